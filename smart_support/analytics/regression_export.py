"""A recorded conversation as a test of the project's own suite: same words, same calls."""

from collections.abc import Iterable, Mapping
from pprint import pformat
from typing import Any

from smart_support.errors import InvalidRequest

Step = Mapping[str, Any]
_WIDTH = 100
_TEMPLATE = '''"""Recorded as thread {thread_id}: the same words and decisions lead to the same calls."""

from pathlib import Path

from tests.harness import AppProcess, Client, of_type

# What people did, in order: said something, or decided on what waited.
STEPS = {steps}
# The calls that agents made of it, and what became of each.
CALLS = {calls}
RESULTS = {results}


async def test_it_goes_as_it_went(data_dir: Path) -> None:
    ends = ("message_complete", "interrupt", "error")
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            for step in STEPS:
                await client.send(thread_id="recorded", **step)
                await client.until(*ends, thread_id="recorded")
    calls = [(event["tool"], event["args"]) for event in of_type(client.seen, "tool_call")]
    results = [(event["tool"], event["status"]) for event in of_type(client.seen, "tool_result")]
    assert calls == CALLS
    assert results == RESULTS
'''


def as_test(thread_id: str, steps: Iterable[Step]) -> str:
    """The source of a test file, to be put under `tests/`.

    It runs against the app as it is configured for tests, with the demo model; what was recorded with another
    model shows where the two differ.

    Raises:
        InvalidRequest: an approval of it expired or was withdrawn, which a test can't repeat, or is still
            pending.
    """
    told = list(steps)
    asked = {step["approval_id"] for step in told if step["type"] == "interrupt"}
    decided = {step["approval_id"] for step in told if step["type"] == "decision"}
    if asked - decided:
        raise InvalidRequest(f"thread {thread_id}: an approval is still pending; decide it first")
    return _TEMPLATE.format(
        thread_id=thread_id,
        steps=_written([frame for step in told if (frame := _frame(thread_id, step))]),
        calls=_written([(step["tool"], step["args"]) for step in told if step["type"] == "tool_call"]),
        results=_written([(step["tool"], step["status"]) for step in told if step["type"] == "tool_result"]),
    )


def _frame(thread_id: str, step: Step) -> dict[str, Any] | None:
    """What a client sends for a step that a person made; None for all others."""
    if step["type"] == "message" and step["role"] == "customer":
        return {"type": "message", "content": step["content"]}
    if step["type"] != "decision":
        return None
    if step["outcome"] == "expired":
        raise InvalidRequest(f"thread {thread_id}: an approval of it expired, which a test can't wait for")
    if step["outcome"] == "responded":
        return {"type": "interrupt_response", "decision": "respond", "message": step["reason"]}
    if step["outcome"] == "withdrawn":
        raise InvalidRequest(f"thread {thread_id}: its customer withdrew a call, which a test can't repeat")
    frame = {"type": "interrupt_response", "approved": step["outcome"] != "rejected"}
    named = {"reason": step.get("reason"), "args": step.get("args")}
    return frame | {name: value for name, value in named.items() if value}


def _written(value: Any) -> str:
    return pformat(value, width=_WIDTH, sort_dicts=False)
