"""The figures a lead decides by, each against a small history whose answer is worked out here by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smart_support import clock
from smart_support.analytics.filters import ConversationFilter, Filters
from smart_support.analytics.metrics import Metrics
from smart_support.analytics.query_files import FIGURES, figure_definition
from smart_support.errors import InvalidRequest
from smart_support.storage.events.base import EventStore
from tests.support.story import Story, record, resolved, waiting

AGO = timedelta(days=2)


def _decided(name: str, seconds: float, outcome: str = "approved", by: str = "dana", **more: Any) -> Story:
    """An approval decided so many seconds after it was asked for."""
    return waiting(name, clock.now() - AGO, name, **more).wait(seconds=seconds - 1).decide(name, outcome, by)


async def test_leads_are_told_apart_and_haste_is_seen(event_log: EventStore, metrics: Metrics) -> None:
    stories = [_decided("a", 2, by="dana"), _decided("b", 2.5, by="dana"), _decided("c", 10, "edited")]
    stories += [_decided("d", 60, "rejected", "robin"), _decided("e", 1800, "expired", "clock")]
    await record(event_log, *stories)
    dana, robin = (await metrics.analytics("7d"))["leads"]
    assert dana == {
        "decided_by": "dana",
        "decided": 3,
        "approved": 2,
        "edited": 1,
        "rejected": 0,
        "responded": 0,
        "median_seconds": 2.5,
        "p95_seconds": pytest.approx(9.25),  # nine tenths of the way from 2.5 to 10
        "hasty": 2,
        "hasty_share": pytest.approx(2 / 3),
    }
    assert (robin["decided_by"], robin["rejected"], robin["hasty_share"]) == ("robin", 1, 0)


async def test_approvals_by_tool_and_writes_that_a_policy_let_run(
    event_log: EventStore, metrics: Metrics
) -> None:
    free = resolved("free", clock.now() - AGO).result("ok", "refund_order", policy="up to 20 EUR")
    await record(event_log, _decided("a", 4), _decided("b", 8, "rejected"), free)
    found = await metrics.analytics("7d")
    (tool,) = found["approval_tools"]
    assert (tool["tool"], tool["requested"], tool["rejected"], tool["median_seconds"]) == (
        *("cancel_order", 2, 1),
        6.0,
    )
    assert (found["approvals"]["requested"], found["approvals"]["by_policy"]) == (2, 1)


async def test_errors_by_class(event_log: EventStore, metrics: Metrics) -> None:
    story = Story("t", clock.now() - AGO).ask()
    for error_class in ("transient", "transient", "auth", None):
        story.result("error", error_class=error_class)
    await record(event_log, story.result("ok"))
    assert (await metrics.analytics("7d"))["tool_errors"] == [
        {"error_class": "transient", "errors": 2},
        {"error_class": "auth", "errors": 1},
        {"error_class": "unknown", "errors": 1},
    ]


async def test_why_humans_were_called(event_log: EventStore, metrics: Metrics) -> None:
    story = Story("t", clock.now() - AGO).ask()
    await record(event_log, story.escalate("policy").escalate("failures").escalate("policy"))
    assert (await metrics.analytics("7d"))["escalations"] == [
        {"kind": "policy", "escalations": 2},
        {"kind": "failures", "escalations": 1},
    ]


async def test_a_customer_who_comes_back_within_a_week(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - timedelta(days=20)
    day = timedelta(days=1)
    mine = [resolved("m1", then, customer_id="mia"), resolved("m2", then + 6 * day, customer_id="mia")]
    late = [resolved("l1", then, customer_id="lu"), resolved("l2", then + 8 * day, customer_id="lu")]
    await record(event_log, *mine, *late, resolved("unknown", then))
    # Of four conversations of known customers, mia's first was followed by another within a week.
    assert (await metrics.analytics("30d"))["reopened"] == {"resolved": 4, "reopened": 1, "rate": 0.25}


async def test_turns_it_took(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - AGO
    long = resolved("long", then).ask().answer().complete().ask().answer().complete()
    open_ended = Story("open", then).ask().clarify().complete()
    await record(event_log, resolved("short", then), long, open_ended)
    # One turn and three: half way between them lie two.
    assert (await metrics.analytics("7d"))["turns_to_resolution"] == {
        "median": 2.0,
        "p95": pytest.approx(2.9),
    }


async def test_models_and_first_tokens(event_log: EventStore, metrics: Metrics) -> None:
    story = Story("t", clock.now() - AGO).ask()
    story.complete(1000, (100, 10), 0.5, model="big", first_token_ms=200)
    story.complete(3000, (10, 1), None, model="small", first_token_ms=400)
    story.complete(1000, (100, 10), 0.25, model="big")
    await record(event_log, story)
    found = await metrics.analytics("7d")
    assert found["models"] == [
        {"model": "big", "turns": 2, "input": 200, "output": 20, "cost_usd": 0.75},
        {"model": "small", "turns": 1, "input": 10, "output": 1, "cost_usd": None},
    ]
    assert found["first_token_ms"]["p50"] == 300


async def test_hours_saved_are_calls_times_what_is_said_of_each(event_log: EventStore) -> None:
    story = Story("t", clock.now() - AGO).ask().result("ok", "refund_order").result("ok", 'odd"$.name')
    await record(event_log, story.result("ok", "refund_order").result("error", "refund_order"))
    named = Metrics(event_log, 1800, {"refund_order": 6, "*": 3})
    assert (await named.analytics("7d"))["hours_saved"]["hours"] == (6 + 6 + 3) / 60
    alone = Metrics(event_log, 1800, {"refund_order": 6})
    assert (await alone.analytics("7d"))["hours_saved"]["hours"] == 12 / 60


async def test_the_time_before_is_as_long_and_does_not_overlap(
    event_log: EventStore, metrics: Metrics
) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    step = timedelta(microseconds=1)
    ats = {"in": midnight, "before": midnight - step, "long before": midnight - timedelta(days=1, hours=1)}
    await record(event_log, *(resolved(name, at) for name, at in ats.items()))
    since, until = clock.rfc3339(midnight), clock.rfc3339(midnight + timedelta(days=1))
    found = await metrics.analytics(since=since, until=until, compare=True)
    assert (found["conversations"], found["previous"]["conversations"]) == (1, 1)
    assert found["previous"]["until"] == found["since"]
    # The same day as two hours east of Greenwich count it: it ends two hours sooner.
    east = midnight.isoformat().replace("+00:00", "+02:00")
    shifted = await metrics.analytics(since=east, until=since, compare=True)
    assert (shifted["conversations"], shifted["previous"]["conversations"]) == (1, 0)
    assert (await metrics.analytics("all", compare=True))["previous"] is None


async def test_the_series_tells_what_became_of_each_day(event_log: EventStore, metrics: Metrics) -> None:
    monday = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
    held = waiting("held", monday, "a", customer_id="mia").wait(minutes=10).decide("a")
    held.result("ok", "cancel_order").answer().complete(2000, (10, 5), 0.5, model="big")
    again = resolved("again", monday + timedelta(days=1), customer_id="mia").result("ok", policy="small")
    await record(event_log, held, again)
    first, second = (await metrics.analytics(since="2026-03-02", until="2026-03-04"))["series"]
    # Asked and begun before midnight; decided, carried out and answered after it.
    assert (first["at"][:10], first["resolved_with_approval"], first["reopened"]) == ("2026-03-02", 1, 1)
    assert (first["seconds_to_decide"], first["turns_to_resolution"]) == (601.0, 2.0)
    assert (first["tokens"], first["cost_usd"], first["hours_saved"]) == (0, None, 0)
    assert first["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    assert (second["at"][:10], second["resolved"], second["by_policy"]) == ("2026-03-03", 1, 1)
    assert (second["tokens"], second["cost_usd"], second["hours_saved"]) == (15, 0.5, 3 * 3 / 60)
    assert (second["latency_ms"]["p50"], second["seconds_to_decide"]) == (1500, None)


async def test_a_filter_applies_to_every_figure(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - AGO
    stories = [
        resolved("rest", then, channel="rest"),
        _decided("held", 5).result("ok", "cancel_order", "order_actions").answer(agent="order_actions"),
        Story("plain", then).ask().answer(agent="order_lookup").complete(1000, (5, 5)),
    ]
    await record(event_log, *stories)
    whole = await metrics.analytics("7d")
    assert whole["conversations"] == 3
    by_door = await metrics.analytics("7d", filters=Filters(channel="rest"))
    assert (by_door["conversations"], by_door["approvals"]["requested"]) == (1, 0)
    assert [tool["tool"] for tool in by_door["tools"]] == ["get_order_status"]
    by_tool = await metrics.analytics("7d", filters=Filters(tool="cancel_order"))
    assert (by_tool["conversations"], by_tool["approvals"]["requested"]) == (1, 1)
    assert sum(bucket["conversations"] for bucket in by_tool["series"]) == 1
    both = await metrics.analytics("7d", filters=Filters(agent="order_lookup", tool="cancel_order"))
    assert (both["conversations"], both["tokens"]["input"], both["models"]) == (0, 0, [])
    with pytest.raises(InvalidRequest, match="channel 'fax' is not one of socket"):
        Filters(channel="fax")


@pytest.mark.slow
async def test_a_figure_leads_to_the_conversations_behind_it(event_log: EventStore, metrics: Metrics) -> None:
    then = clock.now() - AGO
    broken = (
        Story("broken", then).ask().call("refund_order").result("error", "refund_order", error_class="auth")
    )
    rejected = _decided("rejected", 5, "rejected", "robin")
    free = resolved("free", then).result("ok", "refund_order", policy="up to 20 EUR")
    stories = [broken, rejected, _decided("approved", 5), resolved("rest", then, channel="rest"), free]
    stories += [waiting("waits", then, "w"), Story("called", then).ask().escalate("policy")]
    await record(event_log, *stories)

    async def behind(**about: str) -> set[str]:
        page, _ = await metrics.conversations(about=ConversationFilter(**about))
        return {item["thread_id"] for item in page}

    assert await behind(tool="refund_order") == {"broken", "free"}
    assert await behind(error_class="auth") == {"broken"}
    assert await behind(error_class="auth", tool="cancel_order") == set()
    assert await behind(approval="rejected") == {"rejected"}
    assert await behind(decided_by="dana") == {"approved"}
    assert await behind(decided_by="dana", approval="rejected") == set()
    assert await behind(channel="rest") == {"rest"}
    assert await behind(approval="asked") == {"rejected", "approved", "waits"}
    assert await behind(approval="pending") == {"waits"}
    assert await behind(approval="by_policy") == {"free"}
    assert await behind(escalation="policy") == {"called"}
    assert await behind(escalation="limit") == set()
    either, _ = await metrics.conversations(outcome=["resolved", "escalated"])
    assert {item["thread_id"] for item in either} == {"free", "rest", "called"}


async def test_there_is_no_time_before_where_the_record_begins_in_it(
    event_log: EventStore, metrics: Metrics
) -> None:
    await record(event_log, resolved("t", clock.now() - timedelta(days=10)))
    assert (await metrics.analytics("7d", compare=True))["previous"] is None
    await record(event_log, resolved("older", clock.now() - timedelta(days=15)))
    assert (await metrics.analytics("7d", compare=True))["previous"]["conversations"] == 1


def test_every_figure_says_what_it_counts() -> None:
    assert all(
        len(figure_definition(figure)) > 60 and "--" not in figure_definition(figure) for figure in FIGURES
    )
