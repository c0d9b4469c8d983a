"""Whatever happened, the figures fit together: rates are rates, parts make the whole, lists agree."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.analytics.metrics import Metrics
from smart_support.storage.event_log import EventLog
from tests.analytics.story import Story, record

Step = Callable[[Story], Any]
STEPS: dict[str, Step] = {
    "ask": lambda story: story.ask(),
    "route": lambda story: story.route(),
    "call": lambda story: story.call("cancel_order"),
    "ok": lambda story: story.result("ok", "cancel_order"),
    "error": lambda story: story.result("error"),
    "answer": lambda story: story.answer(),
    "clarify": lambda story: story.clarify(),
    "escalate": lambda story: story.escalate(),
    "complete": lambda story: story.complete(len(story.records), (3, 2), 0.125),
    "fail": lambda story: story.fail(),
    "wait": lambda story: story.wait(minutes=40),
    "interrupt": lambda story: story.interrupt(f"{story.thread_id}-{len(story.records)}"),
    "approved": lambda story: _decide(story, "approved"),
    "edited": lambda story: _decide(story, "edited"),
    "rejected": lambda story: _decide(story, "rejected"),
    "expired": lambda story: _decide(story, "expired"),
}
TURNS_END = ("message_complete", "interrupt", "error")


def _decide(story: Story, outcome: str) -> None:
    """Decide the first approval that waits, if one does."""
    events = [told.event for told in story.records]
    decided = {event.approval_id for event in events if event.type == "decision"}
    asked = [event.approval_id for event in events if event.type == "interrupt"]
    for approval_id in asked:
        if approval_id not in decided:
            story.decide(approval_id, outcome)
            return


def _told(steps: list[list[str]], ages: list[int]) -> list[Story]:
    stories = []
    for number, (names, hours) in enumerate(zip(steps, ages, strict=True)):
        story = Story(f"t{number}", clock.now() - timedelta(hours=hours)).ask()
        for name in names:
            STEPS[name](story)
        story.records = [told for told in story.records if told.happened_at <= clock.now()]
        stories.append(story)
    return stories


@settings(max_examples=20, deadline=None)
@given(data=st.data())
async def test_the_figures_fit_together(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    steps = data.draw(st.lists(st.lists(st.sampled_from(list(STEPS)), max_size=12), max_size=6))
    ages = data.draw(
        st.lists(st.integers(1, 30) | st.integers(1, 800), min_size=len(steps), max_size=len(steps))
    )
    stories = _told(steps, ages)
    log = EventLog(tmp_path_factory.mktemp("log") / "events.duckdb")
    try:
        await record(log, *stories)
        metrics = Metrics(log, 1800)
        for name in ("24h", "7d", "all"):
            found = await metrics.analytics(name)
            _fits_together(found)
            page, _ = await metrics.conversations(since=found["since"], until=found["until"], limit=100)
            _agrees(found, page)
        _counts_everything(found, stories)
    finally:
        log.close()


def _fits_together(found: dict[str, Any]) -> None:
    judged = sum(found["outcomes"].values())
    assert judged <= found["conversations"]
    for rate in ("resolution_rate", "escalation_rate"):
        assert (found[rate] is None) == (judged == 0)
        assert found[rate] is None or 0 <= found[rate] <= 1
    if judged:
        assert found["resolution_rate"] + found["escalation_rate"] <= 1
    approvals = found["approvals"]
    parts = [approvals[name] for name in ("approved", "rejected", "edited", "expired", "pending")]
    assert approvals["requested"] == sum(parts)
    decided = sum(parts[:3])
    assert (approvals["median_seconds_to_decide"] is None) == (decided == 0)
    latency = found["latency_ms"]
    assert (latency["p50"] is None) == (latency["p99"] is None)
    assert latency["p50"] is None or latency["p50"] <= latency["p95"] <= latency["p99"]
    assert sum(bucket["conversations"] for bucket in found["series"]) == found["conversations"]
    assert sum(bucket["approvals"] for bucket in found["series"]) == approvals["requested"]
    moments = [clock.parse(bucket["at"]) for bucket in found["series"]]
    width = timedelta(hours=1) if found["range"] == "24h" else timedelta(days=1)
    assert all(later - earlier == width for earlier, later in pairwise(moments))


def _agrees(found: dict[str, Any], page: list[dict[str, Any]]) -> None:
    """The sums say the same as the list."""
    assert len(page) == found["conversations"]
    outcomes = Counter(item["outcome"] for item in page if item["outcome"])
    assert {name: count for name, count in found["outcomes"].items() if count} == dict(outcomes)
    waits = sum(item["status"] == "waiting" for item in page)
    assert (waits > 0) <= (found["approvals"]["pending"] > 0)
    assert all(item["outcome"] in (None, "escalated") for item in page if item["status"] == "waiting")
    assert all(item["outcome"] for item in page if item["status"] == "ended")


def _counts_everything(found: dict[str, Any], stories: list[Story]) -> None:
    """Over all time, every event is counted once where it belongs."""
    types = Counter(told.event.type for story in stories for told in story.records)
    completed = types["message_complete"]
    assert found["conversations"] == len(stories)
    assert found["approvals"]["requested"] == types["interrupt"]
    assert sum(bucket["turns"] for bucket in found["series"]) == sum(types[name] for name in TURNS_END)
    assert sum(bucket["escalations"] for bucket in found["series"]) == types["escalation"]
    assert sum(tool["calls"] for tool in found["tools"]) == types["tool_call"]
    assert found["tokens"] == {"input": 3 * completed, "output": 2 * completed}
    assert found["cost_usd"] == (0.125 * completed if completed else None)
