"""Every shape of graph, through every interface: each fact told once, each write run as it was decided."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.graphs.running import CHANNELS, Conversation, messages_of, recorded, serving, shown
from tests.support.graphs.shapes import CENTS, SHAPES, Ran, Shape, Write, spoken_for
from tests.support.harness import Client, LocalApp, of_type

DECISIONS = ("approve", "reject", "edit", "respond")


def _cases() -> Iterator[Any]:
    """Each shape with each decision through one interface, which changes; the other ones at night."""
    for row, shape in enumerate(SHAPES):
        for column, decision in enumerate(DECISIONS):
            for place, channel in enumerate(CHANNELS):
                is_everyday = (row + column) % len(CHANNELS) == place
                marks = [] if is_everyday else [pytest.mark.nightly]
                yield pytest.param(shape, channel, decision, marks=marks, id=f"{shape}-{channel}-{decision}")


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shape, Ran, LocalApp]]:
    """An app around each shape, one after the other."""
    shape: Shape = SHAPES[request.param]
    ran: Ran = []
    with serving(shape.build(ran, None), tmp_path_factory.mktemp(shape.name) / "var") as app:
        yield shape, ran, app


@pytest.mark.parametrize(("served", "channel", "decision"), [*_cases()], indirect=["served"], scope="module")
async def test_three_turns_tell_each_fact_once(served: Any, channel: str, decision: str) -> None:
    shape, ran, app = served
    order = f"{channel}-{decision}"
    runs = decision in ("approve", "edit")
    cents = 7 if decision == "edit" else CENTS
    async with await Client.connect(app.ws_url) as observer:
        talk = Conversation(app, channel, f"{shape.name}-{order}", observer)
        await observer.send(type="resume", thread_id=talk.thread_id, after=0)
        await talk.say("hello 1")
        waiting = (await talk.say(f"refund {order}"))[-1]
        assert waiting["type"] == "interrupt", waiting
        assert (waiting["action"], waiting["args"]) == ("refund", {"order": order, "cents": CENTS})
        if decision not in shape.allowed:
            refused = talk.decide_by_rest(waiting["approval_id"], decision, "Ask me.")
            assert (refused.status_code, refused.json()["error"]["code"]) == (422, "decision_not_allowed")
            decision, runs = "approve", True
        args = {"order": order, "cents": cents} if decision == "edit" else None
        await talk.decide(waiting["approval_id"], decision, "" if runs else "Ask me.", args)
        await talk.say("hello 2")

    steps = talk.steps()
    said = Counter(messages_of(steps))
    assert said["You said: hello 1."] == said["You said: hello 2."] == 1
    assert said[spoken_for(order, runs or decision == "respond")] == 1
    assert [write for write in ran if write.order == order] == ([Write(order, cents)] if runs else [])
    calls = [step for step in of_type(steps, "tool_call") if step["tool"] == "refund"]
    results = [step for step in of_type(steps, "tool_result") if step["tool"] == "refund"]
    assert (len(calls), len(results)) == ((1, 1) if shape.reports else (0, 0))
    by_call = [
        Counter(one["tool_call_id"] for one in of_type(steps, f"tool_{kind}")) for kind in ("call", "result")
    ]
    assert by_call[0] == by_call[1]
    assert "model" not in {step["agent"] for step in steps}
    (approval,) = talk.approvals()
    outcome = {"approve": "approved", "reject": "rejected", "edit": "edited", "respond": "responded"}
    assert (approval["status"], approval["execution"]) == (outcome[decision], "done" if runs else None)
    assert [step["outcome"] for step in of_type(steps, "decision")] == [outcome[decision]]
    assert recorded(steps) == shown(talk.events)
    assert not of_type(steps, "error")
