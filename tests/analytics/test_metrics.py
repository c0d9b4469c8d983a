"""Each figure against values counted by hand; empty logs; the ends of a range; what may be asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smart_support import clock
from smart_support.analytics.filters import Filters
from smart_support.analytics.metrics import Metrics, MetricsQuery
from smart_support.analytics.query_files import FIGURES
from smart_support.analytics.time_range import parse_range
from smart_support.errors import InvalidRequest
from smart_support.storage.events.base import EventStore
from tests.support.story import Story, carried_out, record, resolved, waiting

COUNTS = ("conversations", "turns", "approvals", "escalations")


@pytest.mark.parametrize("range_", ["24h", "7d", "30d", "90d", "all", None])
async def test_an_empty_log_gives_zeros_and_nulls(metrics: Metrics, range_: str | None) -> None:
    found = await metrics.analytics(range_)
    series = found.pop("series")
    assert found.pop("filters") == {"agent": None, "tool": None, "channel": None}
    assert all(bucket[name] == 0 for bucket in series for name in COUNTS)
    assert (found.pop("since") < found.pop("until")) is True
    assert found == {
        "range": range_ or "7d",
        "conversations": 0,
        "outcomes": {
            "resolved": 0,
            "resolved_with_approval": 0,
            "escalated": 0,
            "rejected": 0,
            "abandoned": 0,
        },
        "resolution_rate": None,
        "escalation_rate": None,
        "approvals": {
            "requested": 0,
            "approved": 0,
            "rejected": 0,
            "edited": 0,
            "expired": 0,
            "responded": 0,
            "withdrawn": 0,
            "pending": 0,
            "median_seconds_to_decide": None,
            "p95_seconds_to_decide": None,
            "by_policy": 0,
        },
        "agents": [],
        "callers": [],
        "tools": [],
        "tool_errors": [],
        "leads": [],
        "approval_tools": [],
        "escalations": [],
        "reopened": {"resolved": 0, "reopened": 0, "rate": None},
        "turns_to_resolution": {"median": None, "p95": None},
        "models": [],
        "hours_saved": {"hours": 0.0, "minutes": {"*": 3.0}},
        "latency_ms": {"p50": None, "p95": None, "p99": None},
        "first_token_ms": {"p50": None, "p95": None, "p99": None},
        "tokens": {"input": 0, "output": 0},
        "cost_usd": None,
        "cost_per_conversation_usd": None,
    }


async def test_approvals_by_what_became_of_them(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - timedelta(hours=3)
    seconds = {"approved": 9, "edited": 29, "responded": 29, "rejected": 99}
    stories = [
        waiting(f"t-{outcome}", then, f"a-{outcome}").wait(seconds=waited).decide(f"a-{outcome}", outcome)
        for outcome, waited in seconds.items()
    ]
    for outcome in ("expired", "withdrawn"):
        story = waiting(f"t-{outcome}", then, f"a-{outcome}").wait(minutes=30)
        stories.append(story.decide(f"a-{outcome}", outcome))
    await record(event_log, *stories, waiting("t-pending", then, "a-pending"))
    found = (await metrics.analytics("24h"))["approvals"]
    # From the interrupt to the decision lies the wait and one step; nobody decided the expired and withdrawn.
    assert found == {
        "requested": 7,
        "approved": 1,
        "rejected": 1,
        "edited": 1,
        "expired": 1,
        "responded": 1,
        "withdrawn": 1,
        "pending": 1,
        "median_seconds_to_decide": 30.0,
        "p95_seconds_to_decide": pytest.approx(89.5),
        "by_policy": 0,
    }


async def test_an_approval_decided_after_the_range_is_not_pending_in_it(
    event_log: EventStore, metrics: Metrics
) -> None:
    then = clock.now() - timedelta(days=3)
    await record(event_log, waiting("t", then, "a").wait(hours=2).decide("a").result("ok", "cancel_order"))
    found = await metrics.analytics(since=clock.rfc3339(then), until=clock.rfc3339(then + timedelta(hours=1)))
    assert (found["approvals"]["approved"], found["approvals"]["pending"]) == (1, 0)
    assert found["outcomes"]["resolved_with_approval"] == 1


async def test_turns_of_agents_and_calls_of_tools(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - timedelta(hours=1)
    both = Story("t1", then).ask().call().result().answer("a").answer("b", "discount").complete()
    again = both.ask().call().result("error").answer("Sorry.").complete()
    await record(event_log, again, carried_out("t2", then, "a1"), Story("t3", then).ask().call(tool=""))
    found = await metrics.analytics("24h")
    assert found["agents"] == [
        {"agent": "order_lookup", "turns": 3},
        {"agent": "order_actions", "turns": 2},  # the turn that asked, and the one after the decision
        {"agent": "discount", "turns": 1},
    ]
    assert found["tools"] == [
        {"tool": "get_order_status", "calls": 2, "errors": 1},
        {"tool": "", "calls": 1, "errors": 0},
        {"tool": "cancel_order", "calls": 1, "errors": 0},
    ]


async def test_latency_is_interpolated_over_completed_turns(event_log: EventStore, metrics: Metrics) -> None:
    story = Story("t", clock.now() - timedelta(hours=1))
    for duration in range(1, 101):
        story.ask().complete(duration_ms=float(duration))
    await record(event_log, story.ask().result(tool="slow").fail())
    latency = (await metrics.analytics("24h"))["latency_ms"]
    assert latency == {"p50": 50.5, "p95": pytest.approx(95.05), "p99": pytest.approx(99.01)}


async def test_tokens_and_cost(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - timedelta(hours=1)
    await record(
        event_log,
        Story("t1", then).ask().complete(tokens=(100, 20), cost_usd=0.25),
        Story("t2", then).ask().complete(tokens=(10, 2), cost_usd=0.5).ask().complete(tokens=(1, 1)),
    )
    found = await metrics.analytics("24h")
    assert found["tokens"] == {"input": 111, "output": 23}
    assert (found["cost_usd"], found["cost_per_conversation_usd"]) == (0.75, 0.375)


async def test_a_cost_that_nobody_knows_is_null(event_log: EventStore, metrics: Metrics) -> None:
    await record(event_log, resolved("t", clock.now() - timedelta(minutes=1)))
    found = await metrics.analytics("24h")
    assert (found["cost_usd"], found["cost_per_conversation_usd"]) == (None, None)


async def test_since_is_in_the_range_and_until_is_not(event_log: EventStore, metrics: Metrics) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    moments = [noon - timedelta(microseconds=1), noon, noon + timedelta(hours=1)]
    await record(event_log, *(Story(f"t{i}", at, step=0).ask().complete(i) for i, at in enumerate(moments)))
    found = await metrics.analytics("7d", since="2026-03-01T12:00:00Z", until="2026-03-01T14:00:00+01:00")
    assert (found["range"], found["conversations"], found["latency_ms"]["p50"]) == ("custom", 1, 1)
    assert (found["since"], found["until"]) == ("2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00.000000Z")
    assert [bucket["turns"] for bucket in found["series"]] == [1]


async def test_a_named_range_reaches_up_to_this_very_moment(event_log: EventStore, metrics: Metrics) -> None:
    now = clock.now()
    await record(
        event_log,
        Story("old", now - timedelta(hours=24, minutes=1)).ask(),
        Story("new", now - timedelta(hours=23, minutes=59)).ask(),
        Story("now", now, step=0).ask(),
    )
    counted = {name: (await metrics.analytics(name))["conversations"] for name in ("24h", "7d", "all")}
    assert counted == {"24h": 2, "7d": 3, "all": 3}


async def test_hours_of_a_day_without_gaps(event_log: EventStore, metrics: Metrics) -> None:
    await record(
        event_log,
        carried_out("t1", datetime(2026, 3, 1, 0, 59, 59, tzinfo=UTC), "a1", step=0.1)
        .escalate()
        .wait(minutes=90)
        .ask()
        .complete(),
        resolved("t2", datetime(2026, 3, 1, 23, 0, tzinfo=UTC)),
    )
    series = (await metrics.analytics(since="2026-03-01", until="2026-03-02"))["series"]
    assert [bucket["at"] for bucket in series] == [f"2026-03-01T{h:02}:00:00.000000Z" for h in range(24)]
    empty = dict.fromkeys(COUNTS, 0)
    busy = {0: {"conversations": 1, "turns": 2, "approvals": 1, "escalations": 1}}
    busy[2] = {"conversations": 0, "turns": 1, "approvals": 0, "escalations": 0}
    busy[23] = {"conversations": 1, "turns": 1, "approvals": 0, "escalations": 0}
    assert [{name: bucket[name] for name in COUNTS} for bucket in series] == [
        busy.get(h, empty) for h in range(24)
    ]


async def test_days_of_all_time_begin_with_the_first_event(event_log: EventStore, metrics: Metrics) -> None:
    today = clock.now()
    await record(event_log, resolved("t1", today - timedelta(days=400)), resolved("t2", today))
    clock.advance(60)
    for options in ({"range_": "all"}, {"since": "0001-01-01"}):
        series = (await metrics.analytics(**options))["series"]
        assert len(series) == 401
        assert (series[0]["at"][:10], series[0]["turns"]) == (
            (today - timedelta(days=400)).date().isoformat(),
            1,
        )
        assert sum(bucket["conversations"] for bucket in series) == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"since": "2999-01-01"},
        {"since": "9999-12-31T23:59:59Z"},
        {"until": "0001-01-01"},
        {"since": "1600-01-01", "until": "1600-01-02"},
        {"since": "2026-03-01", "until": "2026-03-01"},
    ],
)
async def test_a_range_without_a_moment_to_count_is_empty(
    event_log: EventStore, metrics: Metrics, asked: dict[str, str]
) -> None:
    await record(event_log, resolved("t", clock.now() - timedelta(minutes=1)))
    found = await metrics.analytics(**asked)
    assert (found["conversations"], found["series"]) == (0, [])
    assert clock.parse(found["since"]) <= clock.parse(found["until"])
    assert await metrics.conversations(**asked) == ([], None)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"range_": "60d"}, ("'60d'", "24h, 7d, 30d, 90d, all")),
        ({"range_": ""}, ("24h, 7d, 30d, 90d, all",)),
        ({"since": "2026-03-02", "until": "2026-03-01"}, ("since", "later than until")),
        ({"since": "yesterday"}, ("since", "'yesterday'", "2026-11-23T09:00:00Z")),
        ({"until": "2026-13-01"}, ("until", "'2026-13-01'")),
        ({"since": "0001-01-01T00:00:00+14:00"}, ("since",)),
        ({"range_": "1y", "since": "2026-03-01"}, ("'1y'",)),
    ],
)
async def test_what_cannot_be_asked_for(
    metrics: Metrics, asked: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await metrics.analytics(**asked)
    assert all(word in refused.value.message for word in words)


async def test_no_figure_reads_the_payload(event_log: EventStore, metrics: Metrics) -> None:
    """What the figures are made of has columns of its own; the texts are by far the most of the file."""
    await event_log.query("ALTER TABLE events DROP COLUMN payload")
    for filters in (Filters(), Filters(agent="a", tool="b", channel="rest")):
        asked = MetricsQuery(parse_range("all"), filters)
        for figure in set(FIGURES) - {"effort", "reopened", "leads", "approval_tools"}:
            await getattr(metrics, figure)(asked)
