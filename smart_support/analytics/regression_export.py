"""Exports a recorded conversation as a regression test: same messages, same tool calls."""

from collections.abc import Iterable, Mapping
from pprint import pformat
from typing import Any

from smart_support.errors import InvalidRequest

Step = Mapping[str, Any]
_WIDTH = 100
_TEMPLATE = '''"""Recorded as thread {thread_id}: the same messages and decisions lead to the same calls."""

from pathlib import Path

from tests.support.harness import AppProcess, Client, of_type

# Messages and decisions in order.
STEPS = {steps}
# The tool calls of the agents, and their results.
CALLS = {calls}
RESULTS = {results}


async def test_recorded_conversation(data_dir: Path) -> None:
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


def regression_test(thread_id: str, steps: Iterable[Step]) -> str:
    """The source of a test file for the folder `tests/`.

    The test runs with the demo model; for a conversation with another model it shows where the two differ.

    Raises:
        InvalidRequest: an approval expired or was withdrawn, which a test can't repeat, or is still pending.
    """
    steps = list(steps)
    requested = {step["approval_id"] for step in steps if step["type"] == "interrupt"}
    decided = {step["approval_id"] for step in steps if step["type"] == "decision"}
    if requested - decided:
        raise InvalidRequest(f"thread {thread_id}: an approval is still pending; decide it first")
    return _TEMPLATE.format(
        thread_id=thread_id,
        steps=_format([frame for step in steps if (frame := _frame(thread_id, step))]),
        calls=_format([(step["tool"], step["args"]) for step in steps if step["type"] == "tool_call"]),
        results=_format([(step["tool"], step["status"]) for step in steps if step["type"] == "tool_result"]),
    )


def _frame(thread_id: str, step: Step) -> dict[str, Any] | None:
    """The frame that a client sends for a person's step; None for other steps."""
    if step["type"] == "message" and step["role"] == "customer":
        return {"type": "message", "content": step["content"]}
    if step["type"] != "decision":
        return None
    if step["outcome"] == "expired":
        raise InvalidRequest(f"thread {thread_id}: an approval expired, which a test can't repeat")
    if step["outcome"] == "responded":
        return {"type": "interrupt_response", "decision": "respond", "message": step["reason"]}
    if step["outcome"] == "withdrawn":
        raise InvalidRequest(f"thread {thread_id}: the customer withdrew a call, which a test can't repeat")
    frame = {"type": "interrupt_response", "approved": step["outcome"] != "rejected"}
    optional = {"reason": step.get("reason"), "args": step.get("args")}
    return frame | {name: value for name, value in optional.items() if value}


def _format(value: Any) -> str:
    return pformat(value, width=_WIDTH, sort_dicts=False)
