"""Replay: every event a step, with the numbers and fields of the socket."""

from datetime import UTC, datetime

import orjson
import pytest

from smart_support.analytics.replay import PAGE, Replay
from smart_support.errors import InvalidRequest, NotFound
from smart_support.storage.events.base import EventStore
from tests.support.story import Story, carried_out, record, resolved

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_steps_are_the_events_of_the_socket(event_log: EventStore) -> None:
    story = carried_out("t", NOON, "a1")
    await record(event_log, story, resolved("other", NOON))
    steps = await Replay(event_log).steps("t")
    assert len(steps) == len(story.records)
    for step, told in zip(steps, story.records, strict=True):
        shown = orjson.loads(told.wire()) | {"at": step["at"]}
        assert {name: step.get(name) for name in shown if name != "thread_id"} == {
            name: value for name, value in shown.items() if name != "thread_id"
        }
        assert step["agent"] == shown.get("agent")
    assert steps[0] == {
        "seq": 1,
        "first_seq": 1,
        "type": "message",
        "at": "2026-03-01T12:00:00.000000Z",
        "turn_id": story.records[0].turn_id,
        "channel": "socket",
        "agent": None,
        "role": "customer",
        "content": "Cancel order 1042",
        "reasoning": None,
        "message_id": None,
        "by": None,
    }


async def test_a_message_has_the_number_of_its_last_token(event_log: EventStore) -> None:
    await record(event_log, Story("t", NOON).ask().answer(tokens=7).complete())
    steps = await Replay(event_log).steps("t")
    assert [(step["first_seq"], step["seq"]) for step in steps] == [(1, 1), (2, 8), (9, 9)]


async def test_after_and_limit_walk_through_it(event_log: EventStore) -> None:
    await record(event_log, carried_out("t", NOON, "a1"))
    replay = Replay(event_log)
    whole = await replay.steps("t")
    walked, after = [], 0
    while steps := await replay.steps("t", after, limit=2):
        assert len(steps) <= 2
        walked += steps
        after = steps[-1]["seq"]
    assert walked == whole


async def test_an_outline_leads_to_any_step(event_log: EventStore) -> None:
    story = Story("t", NOON)
    for _ in range(PAGE):
        story.ask("Where is my “order”?").answer(tokens=3).complete()
    await record(event_log, story, resolved("other", NOON))
    replay = Replay(event_log)
    outline, whole = await replay.outline("t"), [step async for page in replay.batches("t") for step in page]
    assert whole == await replay.steps("t", limit=1000)
    assert (outline["steps"], outline["messages"], len(outline["pages"])) == (len(whole), PAGE, 3)
    assert outline["found"] is None
    pages = [await replay.steps("t", after, PAGE) for after in outline["pages"]]
    assert [step for page in pages for step in page] == whole
    asked = [place for place, step in enumerate(whole, start=1) if step.get("role") == "customer"]
    assert (await replay.outline("t", q="MY “ORDER”"))["found"] == asked
    # The names of fields are no words of the conversation.
    assert (await replay.outline("t", q="content"))["found"] == []


async def test_an_outline_says_where_to_look(event_log: EventStore) -> None:
    await record(event_log, carried_out("t", NOON, "a1"))
    replay = Replay(event_log)
    outline, steps = await replay.outline("t"), await replay.steps("t")
    waits = [place for place, step in enumerate(steps, start=1) if step["type"] == "interrupt"]
    assert (outline["approvals"], outline["failed"], outline["escalations"]) == (waits, [], [])
    assert outline["channels"] == ["socket"]
    with pytest.raises(NotFound, match="'nobody'"):
        await replay.outline("nobody")
    with pytest.raises(NotFound, match="'nobody'"):
        await anext(replay.batches("nobody"))


async def test_a_thread_that_never_was_is_not_found(event_log: EventStore) -> None:
    await record(event_log, resolved("t", NOON))
    for after in (0, 5):
        with pytest.raises(NotFound, match="'nobody'"):
            await Replay(event_log).steps("nobody", after)
    assert await Replay(event_log).steps("t", after=1000) == []


@pytest.mark.parametrize(("after", "limit"), [(-1, 1), (10**30, 1), (0, 0), (0, -5)])
async def test_what_cannot_be_asked_for(event_log: EventStore, after: int, limit: int) -> None:
    with pytest.raises(InvalidRequest):
        await Replay(event_log).steps("t", after, limit)
