"""The list of conversations: its fields, each filter, and pages that stay in place while more arrive."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.analytics.cursor import Cursor
from smart_support.analytics.filters import ConversationFilter, FigureSelection
from smart_support.analytics.metrics import Metrics
from smart_support.errors import InvalidRequest
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.support.examples import examples
from tests.support.story import Story, carried_out, record, resolved, waiting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def _ids(metrics: Metrics, **filters: Any) -> list[str]:
    page, _ = await metrics.conversations(**filters)
    return [item["thread_id"] for item in page]


async def _all_pages(metrics: Metrics, limit: int, **filters: Any) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page, cursor = await metrics.conversations(limit=limit, cursor=cursor, **filters)
        found += [item["thread_id"] for item in page]
        if cursor is None:
            return found
        assert len(page) == limit


async def test_a_conversation_has_these_fields(event_log: EventStore, metrics: Metrics) -> None:
    story = waiting("t", NOON, "a1", customer_id="C-7").decide("a1").result("ok", "cancel_order")
    story.answer("Done.", "order_actions").complete(cost_usd=0.25).ask().answer().complete(cost_usd=0.5)
    await record(event_log, story)
    page, following = await metrics.conversations()
    assert following is None
    assert page == [
        {
            "thread_id": "t",
            "customer_id": "C-7",
            "started_at": "2026-03-01T12:00:00.000000Z",
            "last_at": clock.rfc3339(story.records[-1].happened_at),
            "turns": 3,
            "agents": ["order_actions", "order_lookup"],
            "status": "ended",
            "outcome": "resolved_with_approval",
            "cost_usd": 0.75,
            "opening": "Cancel order 1042",
        }
    ]


async def test_an_empty_log_has_no_conversations(metrics: Metrics) -> None:
    assert await metrics.conversations() == ([], None)
    assert await metrics.conversations(status="waiting", q="x", agent="y") == ([], None)


@pytest.mark.slow
async def test_filters(event_log: EventStore, metrics: Metrics) -> None:
    now = clock.now()
    escalated = (
        Story("t-e", now - timedelta(minutes=4), customer_id="C-Özil").ask("Get me a HUMAN").escalate()
    )
    await record(
        event_log,
        resolved("t-ended", now - timedelta(hours=2)),
        carried_out("t-done", now - timedelta(minutes=6), "a1"),
        waiting("t-waits", now - timedelta(minutes=5), "a2").answer("To İstanbul."),
        escalated.answer('She said "50% off_\\"', "discount").complete(),
    )
    expected = {
        ("status", "active"): ["t-e", "t-done"],
        ("status", "waiting"): ["t-waits"],
        ("status", "ended"): ["t-ended"],
        ("outcome", "resolved"): ["t-ended"],
        ("outcome", "escalated"): ["t-e"],
        ("outcome", "abandoned"): [],
        ("agent", "order_actions"): ["t-waits", "t-done"],
        ("agent", "nobody"): [],
        ("q", "human"): ["t-e"],
        ("q", 'D "50% Off_\\'): ["t-e"],
        ("q", "5%off"): [],
        ("q", "özil"): ["t-e"],
        ("q", "O\u0308ZIL"): ["t-e"],  # the dots as a character of their own
        ("q", "ozil"): ["t-e"],
        ("q", "\uff2f\uff3a\uff29\uff2c"): ["t-e"],  # full-width letters
        ("q", "İSTANBUL"): ["t-waits"],
        ("q", "T-DONE"): ["t-done"],
        ("q", "customer"): [],  # a word of the record's own, not of the text
        ("q", ""): ["t-e", "t-waits", "t-done", "t-ended"],
        ("since", clock.rfc3339(now - timedelta(minutes=5))): ["t-e", "t-waits"],
        ("until", clock.rfc3339(now - timedelta(minutes=5))): ["t-done", "t-ended"],
    }
    for (name, value), ids in expected.items():
        assert await _ids(metrics, **{name: value}) == ids, (name, value)
    assert await _ids(metrics, status="active", outcome="escalated", agent="discount", q="50%") == ["t-e"]
    assert await _ids(metrics, status="ended", agent="discount") == []


async def test_what_a_figure_counts_is_found_whenever_the_conversation_began(
    event_log: EventStore, metrics: Metrics
) -> None:
    early = resolved("early", NOON - timedelta(days=9))
    early.wait(days=8).ask().call("get_status").result("error", "get_status").escalate("limit").answer()
    before, inside = (
        resolved("before", NOON - timedelta(days=9)),
        resolved("inside", NOON - timedelta(days=1)),
    )
    await record(event_log, early, before, inside)
    week = {"since": clock.rfc3339(NOON - timedelta(days=7)), "until": clock.rfc3339(NOON)}

    async def behind(figure: str, line: str | None, **filters: Any) -> set[str]:
        counted = FigureSelection(figure, line, NOON - timedelta(days=7), NOON)
        return {*await _ids(metrics, about=ConversationFilter(**filters, counted=counted))}

    figures = await metrics.analytics(**week)
    assert figures["escalations"] == [{"kind": "limit", "escalations": 1}]
    assert await behind("escalations", "limit") == {"early"}
    assert {*await _ids(metrics, **week, about=ConversationFilter(escalation="limit"))} == set()
    assert await behind("agents", "order_lookup") == {"early", "inside"}
    assert await behind("tool_errors", None) == {"early"}
    # What narrows down looks where the figure does.
    assert await behind("agents", None, tool="get_status") == {"early"}
    with pytest.raises(InvalidRequest, match="figure"):
        FigureSelection("latency", None, None, None)


async def test_a_search_goes_on_from_the_newest_days_to_all_others(
    event_log: EventStore, metrics: Metrics
) -> None:
    ages = [1, 3, 6, 8, 20, 400]
    stories = [resolved(f"t{age}", clock.now() - timedelta(days=age)) for age in ages]
    await record(event_log, *reversed(stories))
    for limit in (1, 2, 6):
        assert await _all_pages(metrics, limit, q="where is") == [f"t{age}" for age in ages]


async def test_filters_fill_their_pages(event_log: EventStore, metrics: Metrics) -> None:
    stories = [
        Story(f"t{i:02}", NOON + timedelta(minutes=i)).ask().escalate() if i % 3 == 0
        else resolved(f"t{i:02}", NOON + timedelta(minutes=i))
        for i in range(30)
    ]  # fmt: skip
    await record(event_log, *stories)
    expected = [f"t{i:02}" for i in reversed(range(0, 30, 3))]
    assert await _all_pages(metrics, 4, outcome="escalated") == expected
    assert await _all_pages(metrics, 4, q="where is") == [f"t{i:02}" for i in reversed(range(30))]


@pytest.mark.slow
@settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_pages_under_ties_give_each_once_in_order(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    minutes = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=12))
    limit = data.draw(st.integers(1, 5))
    log = EmbeddedEventStore(tmp_path_factory.mktemp("log") / "events.duckdb")
    try:
        stories = [resolved(f"t{i:02}", NOON + timedelta(minutes=m)) for i, m in enumerate(minutes)]
        await record(log, *stories)
        expected = sorted(((s.records[0].happened_at, s.thread_id) for s in stories), reverse=True)
        assert await _all_pages(Metrics(log, 1800), limit) == [thread_id for _, thread_id in expected]
    finally:
        log.close()


async def test_what_happens_meanwhile_moves_no_page(event_log: EventStore, metrics: Metrics) -> None:
    stories = [resolved(f"t{i}", NOON + timedelta(minutes=i)) for i in range(4)]
    await record(event_log, *stories)
    first, cursor = await metrics.conversations(limit=2)
    seen = len(stories[0].records)
    stories[0].wait(hours=1).ask().complete()  # the oldest goes on, and a new one begins
    stories[0].records = stories[0].records[seen:]
    await record(event_log, stories[0], resolved("t9", NOON + timedelta(hours=2)))
    second, end = await metrics.conversations(limit=2, cursor=cursor)
    assert [item["thread_id"] for item in first + second] == ["t3", "t2", "t1", "t0"]
    assert end is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"status": "open"}, "active, waiting, ended"),
        ({"outcome": "won"}, "resolved, resolved_with_approval, escalated, rejected, abandoned"),
        ({"limit": 0}, "between 1 and 100"),
        ({"limit": 101}, "between 1 and 100"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "later than"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "t2"}, "next_cursor"),
        ({"cursor": "ünïcode"}, "next_cursor"),
        ({"cursor": "bnVsbA"}, "next_cursor"),  # null
        ({"cursor": "WzEsMl0"}, "next_cursor"),  # [1,2]
        ({"cursor": "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsInQiXQ"}, "next_cursor"),  # ["2026-01-01T00:00:00Z","t"]
    ],
)
async def test_what_cannot_be_asked_for(metrics: Metrics, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        await metrics.conversations(**asked)


@given(st.text())
def test_a_cursor_is_read_or_refused(text: str) -> None:
    try:
        place = Cursor.decode(text)
    except InvalidRequest:
        return
    assert place is not None
    assert Cursor.decode(place.encode()) == place
