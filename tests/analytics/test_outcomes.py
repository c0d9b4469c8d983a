"""What becomes of a conversation: its status and outcome, case by case, and the rates over them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from smart_support import clock
from smart_support.analytics.metrics import Metrics
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.analytics.conftest import SESSION_TTL_SECONDS
from tests.support.story import Story, carried_out, record, resolved, waiting

Tale = Callable[[datetime], Story]
# For each moment: thread -> status and outcome; and how many conversations have each outcome.
Computed = list[tuple[dict[str, tuple[str, str | None]], dict[str, int]]]

# What happened -> status and outcome a minute later, and status and outcome once the session is over.
CASES: dict[str, tuple[Tale, tuple[str, str | None], tuple[str, str | None]]] = {
    "a tool ran and the answer came": (
        lambda at: resolved("t", at),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "only an answer": (
        lambda at: Story("t", at).ask("Hello").answer("How can I help?").complete(),
        ("active", None),
        ("ended", "resolved"),
    ),
    "only half an answer": (
        lambda at: Story("t", at).ask("Hello").answer("How can").complete(incomplete="length"),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "a tool ran, and the model refused to answer": (
        lambda at: Story("t", at).ask().result().answer("I can't.").complete(incomplete="refusal"),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "half an answer, then a whole one": (
        lambda at: Story("t", at).ask().answer("How").complete(incomplete="length")
        .ask("More").answer("Here.").complete(),
        ("active", None),
        ("ended", "resolved"),
    ),
    "in the middle of a turn": (
        lambda at: resolved("t", at).ask("And order 1043?").route(),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "an approval waits": (
        lambda at: waiting("t", at, "a1"),
        ("waiting", None),
        ("waiting", None),
    ),
    "an approval waits, and the customer was told so": (
        lambda at: waiting("t", at, "a1").ask("And?").answer("A colleague is deciding.").complete(),
        ("waiting", None),
        ("waiting", None),
    ),
    "approved and carried out": (
        lambda at: carried_out("t", at, "a1"),
        ("active", "resolved_with_approval"),
        ("ended", "resolved_with_approval"),
    ),
    "edited and carried out": (
        lambda at: waiting("t", at, "a1").decide("a1", "edited").result("ok", "cancel_order")
        .answer().complete(),
        ("active", "resolved_with_approval"),
        ("ended", "resolved_with_approval"),
    ),
    "carried out, then the next one waits": (
        lambda at: carried_out("t", at, "a1").ask("Another").interrupt("a2", "refund_order"),
        ("waiting", None),
        ("waiting", None),
    ),
    "two asked for, one decided": (
        lambda at: waiting("t", at, "a1").interrupt("a2").decide("a1").result("ok", "cancel_order"),
        ("waiting", None),
        ("waiting", None),
    ),
    "approved, but the tool failed": (
        lambda at: waiting("t", at, "a1").decide("a1").result("error", "cancel_order")
        .answer("Sorry.").complete(),
        ("active", None),
        ("ended", "resolved"),
    ),
    "approved, the tool failed, another tool ran": (
        lambda at: waiting("t", at, "a1").decide("a1").result("error", "cancel_order").result()
        .answer().complete(),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "approved, from a graph that reports no results": (
        lambda at: waiting("t", at, "a1").decide("a1").answer("Done.").complete(),
        ("active", "resolved_with_approval"),
        ("ended", "resolved_with_approval"),
    ),
    "approved, and the turn still runs": (
        lambda at: waiting("t", at, "a1").decide("a1"),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "rejected, and the customer was told why": (
        lambda at: waiting("t", at, "a1").decide("a1", "rejected").result("rejected", "cancel_order")
        .answer("It was not approved.").complete(),
        ("active", "rejected"),
        ("ended", "rejected"),
    ),
    "rejected, after a lookup for it": (
        lambda at: Story("t", at).ask("Cancel it").result().interrupt("a1").decide("a1", "rejected")
        .result("rejected", "cancel_order").answer().complete(),
        ("active", "rejected"),
        ("ended", "rejected"),
    ),
    "rejected, between questions that were answered": (
        lambda at: resolved("t", at).ask("Cancel it").interrupt("a1").decide("a1", "rejected")
        .result("rejected", "cancel_order").answer().complete().ask("And when does it come?").result()
        .answer().complete(),
        ("active", "rejected"),
        ("ended", "rejected"),
    ),
    "rejected, after a write that needed no approval": (
        lambda at: Story("t", at).ask("A coupon").result("ok", "generate_coupon", policy="up to 10%")
        .answer().complete().ask("Cancel it").interrupt("a1").decide("a1", "rejected")
        .result("rejected", "cancel_order").answer().complete(),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "rejected, and another one carried out": (
        lambda at: carried_out("t", at, "a1").ask("Refund it").interrupt("a2", "refund_order")
        .decide("a2", "rejected").result("rejected", "refund_order").answer().complete(),
        ("active", "resolved_with_approval"),
        ("ended", "resolved_with_approval"),
    ),
    "rejected, and another one approved, which failed": (
        lambda at: waiting("t", at, "a1").decide("a1").result("error", "cancel_order").answer().complete()
        .ask("Refund it").interrupt("a2", "refund_order").decide("a2", "rejected")
        .result("rejected", "refund_order").answer().complete(),
        ("active", "rejected"),
        ("ended", "rejected"),
    ),
    "rejected, and another one answered by a person": (
        lambda at: waiting("t", at, "a1").decide("a1", "responded").result("ok", "cancel_order").answer()
        .complete().ask("Refund it").interrupt("a2", "refund_order").decide("a2", "rejected")
        .result("rejected", "refund_order").answer().complete(),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "rejected, and another one withdrawn by the customer": (
        lambda at: waiting("t", at, "a1").decide("a1", "rejected").result("rejected", "cancel_order").answer()
        .complete().ask("Refund it").interrupt("a2", "refund_order").decide("a2", "withdrawn")
        .result("skipped", "refund_order").answer().complete(),
        ("active", "rejected"),
        ("ended", "rejected"),
    ),
    "withdrawn by the customer": (
        lambda at: waiting("t", at, "a1").decide("a1", "withdrawn").result("skipped", "cancel_order")
        .answer("Then I leave it.").complete(),
        ("active", None),
        ("ended", "resolved"),
    ),
    "rejected, and another one expired as the last word": (
        lambda at: waiting("t", at, "a1").decide("a1", "rejected").result("rejected", "cancel_order").answer()
        .complete().ask("Refund it").interrupt("a2", "refund_order").decide("a2", "expired")
        .result("expired", "refund_order").answer().complete(),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "rejected, and then an error": (
        lambda at: waiting("t", at, "a1").decide("a1", "rejected").result("rejected", "cancel_order").answer()
        .complete().ask("Why?").fail(),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "answered by a person in the tool's place": (
        lambda at: waiting("t", at, "a1").decide("a1", "responded").result("ok", "cancel_order")
        .answer().complete(),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "expired as the last word": (
        lambda at: waiting("t", at, "a1").decide("a1", "expired").result("expired", "cancel_order")
        .answer("Nobody decided in time; shall I ask again?").complete(),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "expired, asked again, carried out": (
        lambda at: waiting("t", at, "a1").decide("a1", "expired").answer().complete()
        .ask("Yes, again").interrupt("a2").decide("a2").result("ok", "cancel_order").answer().complete(),
        ("active", "resolved_with_approval"),
        ("ended", "resolved_with_approval"),
    ),
    "a question that the customer left open": (
        lambda at: Story("t", at).ask("Cancel it").clarify().complete(),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "a question that the customer answered": (
        lambda at: Story("t", at).ask("Cancel it").clarify().complete()
        .ask("1042").result().answer().complete(),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "an error as the last word": (
        lambda at: resolved("t", at).ask().fail(),
        ("active", None),
        ("ended", "abandoned"),
    ),
    "an error, then all well": (
        lambda at: Story("t", at).ask().fail().ask().result().answer().complete(),
        ("active", "resolved"),
        ("ended", "resolved"),
    ),
    "a human was called": (
        lambda at: Story("t", at).ask("A human, please").escalate().answer().complete(),
        ("active", "escalated"),
        ("ended", "escalated"),
    ),
    "carried out, yet a human was called": (
        lambda at: carried_out("t", at, "a1").ask("A human, please").escalate().answer().complete(),
        ("active", "escalated"),
        ("ended", "escalated"),
    ),
    "nobody answered": (
        lambda at: Story("t", at).ask(),
        ("active", None),
        ("ended", "abandoned"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """Status and outcome of each case, and the counts of outcomes: a minute later, and after the session.

    All cases are in one log: a query takes as long for all as for one.
    """

    async def both(log: EventStore) -> Computed:
        at = clock.now() - timedelta(minutes=1)
        await record(log, *(tale(at).renamed(case) for case, (tale, _, _) in CASES.items()))
        metrics = Metrics(log, SESSION_TTL_SECONDS)
        moments = []
        for _ in range(2):
            listed, _ = await metrics.conversations(limit=len(CASES))
            counts = (await metrics.analytics("24h"))["outcomes"]
            moments.append(({one["thread_id"]: (one["status"], one["outcome"]) for one in listed}, counts))
            clock.advance(SESSION_TTL_SECONDS)
        return moments

    log = EmbeddedEventStore(tmp_path_factory.mktemp("outcomes") / "events.duckdb")
    try:
        return asyncio.run(both(log))
    finally:
        log.close()
        clock.reset()


@pytest.mark.parametrize("case", CASES)
def test_status_and_outcome(case: str, computed: Computed) -> None:
    assert [listed[case] for listed, _ in computed] == [*CASES[case][1:]]


def test_each_outcome_is_counted(computed: Computed) -> None:
    for (_, counts), place in zip(computed, (1, 2), strict=True):
        expected = Counter(case[place][1] for case in CASES.values())
        assert counts == {name: expected[name] for name in counts}
        assert sum(counts.values()) == len(CASES) - expected[None]


async def test_a_session_ends_at_its_time_to_live_to_the_moment(
    event_log: EventStore, metrics: Metrics
) -> None:
    story = resolved("t", clock.now())
    await record(event_log, story)
    last_at = story.records[-1].happened_at
    clock.advance((last_at - clock.now()).total_seconds() + 1790)
    assert (await metrics.conversations())[0][0]["status"] == "active"
    clock.advance(10)
    assert (await metrics.conversations())[0][0]["status"] == "ended"


async def test_rates_are_over_conversations_that_have_an_outcome(
    event_log: EventStore, metrics: Metrics
) -> None:
    then = clock.now() - timedelta(hours=2)
    await record(
        event_log,
        resolved("r1", then),
        resolved("r2", then),
        carried_out("c1", then, "a1"),
        Story("e1", then).ask().escalate().complete(),
        Story("f1", then).ask().fail(),
        waiting("j1", then, "a3").decide("a3", "rejected").result("rejected").answer().complete(),
        waiting("w1", then, "a2"),
        Story("n1", clock.now() - timedelta(seconds=30)).ask(),
    )
    found = await metrics.analytics("24h")
    assert found["conversations"] == 8
    assert found["outcomes"] == {
        "resolved": 2,
        "resolved_with_approval": 1,
        "escalated": 1,
        "rejected": 1,
        "abandoned": 1,
    }
    assert found["resolution_rate"] == 3 / 6
    assert found["escalation_rate"] == 1 / 6


async def test_no_rate_without_an_outcome(event_log: EventStore, metrics: Metrics) -> None:
    await record(event_log, waiting("w1", clock.now(), "a1"))
    found = await metrics.analytics("24h")
    assert found["conversations"] == 1
    assert (found["resolution_rate"], found["escalation_rate"]) == (None, None)
