"""Ceilings of policy rules: never exceeded, over restarts too; given back where nothing was begun."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from smart_support import clock
from smart_support.agents.team import Personality, Team, check_ceilings
from smart_support.approvals.approval import Request
from smart_support.approvals.ceilings import CeilingReached, Tally
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.policy import Policy, Rule
from smart_support.approvals.policy_dry_run import differences
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import ConfigError
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.registry import Access, Registry, Tool
from tests.support.examples import examples
from tests.support.planned_calls import request
from tests.support.stores import state_of

DAY_LIMIT = {"field": "amount_cents", "limit": 5000}
KNOWN = {"amount_cents"}


def _policy(*rules: dict[str, Any]) -> Policy:
    return Policy([Rule(**{"tool": "refund_order", "then": "run"} | rule) for rule in rules])


def _request(number: int, amount: Any = 100, thread_id: str = "t") -> Request:
    return request(
        thread_id=thread_id,
        tool="refund_order",
        args={"amount_cents": amount},
        agent="order_actions",
        summary="Refund",
        tool_call_id=f"call-{number}",
        tool_version="1",
        customer_id=None,
        need="run",
    )


async def _granted(queue: ApprovalQueue, policy: Policy, request: Request) -> str:
    """`run`, or why it has to be asked."""
    verdict = policy.judge(request.call.tool, request.call.args, KNOWN)
    assert verdict.need == "run"
    try:
        await queue.grant(request.call, request.thread_id, verdict.ceilings)
    except CeilingReached as reached:
        return reached.why
    return "run"


async def test_a_rule_without_a_ceiling_runs_three_times_in_a_conversation(queue: ApprovalQueue) -> None:
    policy = _policy({})
    told = [await _granted(queue, policy, _request(number)) for number in range(5)]
    assert told == ["run"] * 3 + ["More than 3 in this conversation."] * 2
    assert await _granted(queue, policy, _request(9, thread_id="another")) == "run"


async def test_what_is_over_a_ceiling_leaves_nothing_on_record(
    queue: ApprovalQueue, state: StateDatabase
) -> None:
    policy = _policy({"max_per_conversation": 1})
    await _granted(queue, policy, _request(1))
    before = [await state.execute(f"SELECT COUNT(*) AS n FROM {t}") for t in ("approvals", "audit")]
    assert await _granted(queue, policy, _request(2)) == "More than 1 in this conversation."
    after = [await state.execute(f"SELECT COUNT(*) AS n FROM {t}") for t in ("approvals", "audit")]
    assert after == before


async def test_money_is_summed_over_all_conversations_of_the_last_24_hours(queue: ApprovalQueue) -> None:
    policy = _policy({"max_per_day": DAY_LIMIT})
    told = [await _granted(queue, policy, _request(n, 2000, f"t{n}")) for n in range(3)]
    assert told == ["run", "run", "More than 5,000 of amount_cents in 24 hours."]
    assert await _granted(queue, policy, _request(3, 1000, "t3")) == "run"  # to the cent
    assert await _granted(queue, policy, _request(4, 1, "t4")) != "run"
    # Not at midnight: 24 hours after each of them.
    clock.advance(24 * 3600 - 60)
    assert await _granted(queue, policy, _request(5, 1, "t5")) != "run"
    clock.advance(120)
    assert await _granted(queue, policy, _request(6, 5000, "t6")) == "run"


@pytest.mark.parametrize("amount", [None, "2000", True, float("nan"), float("inf"), -1, [1], {}])
async def test_an_unknown_amount_needs_approval(queue: ApprovalQueue, amount: Any) -> None:
    policy = _policy({"max_per_day": DAY_LIMIT})
    request = _request(1, 5)
    object.__setattr__(request.call, "facts", {"amount_cents": amount})  # the system's word counts
    assert "is not known" in await _granted(queue, policy, request)


async def test_all_ceilings_of_all_rules_that_apply_hold(queue: ApprovalQueue) -> None:
    policy = _policy(
        {"max_per_conversation": 5},
        {"tool": "refund_*", "max_per_day": {"field": "amount_cents", "limit": 350}},
        {"when": "amount_cents <= 100", "max_per_conversation": 2},
    )
    told = [await _granted(queue, policy, _request(n, a)) for n, a in enumerate([100, 100, 100, 150, 200])]
    assert told[:2] == ["run", "run"]
    assert told[2] == "More than 2 in this conversation."
    assert told[3:] == ["run", "More than 350 of amount_cents in 24 hours."]


async def test_a_place_is_counted_once_however_often_it_is_granted_and_kept_over_a_restart(
    tmp_path: Path,
) -> None:
    policy = _policy({"max_per_conversation": 2})
    for number in (1, 1, 2, 2):
        state = state_of(tmp_path)
        assert await _granted(ApprovalQueue(state, 60), policy, _request(number)) == "run"
        state.close()
    state = state_of(tmp_path)
    assert await _granted(ApprovalQueue(state, 60), policy, _request(3)) != "run"
    state.close()


async def test_a_call_that_was_never_begun_gives_its_place_back_and_one_that_was_does_not(
    queue: ApprovalQueue, ledger: Ledger
) -> None:
    policy = _policy({"max_per_conversation": 1})
    assert await _granted(queue, policy, _request(1)) == "run"
    await ledger.refuse("t", "call-1", "what its card showed had changed")
    assert await _granted(queue, policy, _request(2)) == "run"
    (second,) = [one for one in await queue.of_thread("t") if one.execution == "not_started"]

    async def fails(key: str) -> None:
        raise TimeoutError

    await ledger.execute(
        thread_id="t",
        tool_call_id="call-2",
        tool="refund_order",
        digest=second.digest,
        idempotent=False,
        run=fails,
    )
    await ledger.refuse("t", "call-2", "as after every run")
    assert await _granted(queue, policy, _request(3)) == "More than 1 in this conversation."


async def test_a_lower_ceiling_holds_for_what_was_granted_and_has_not_run(queue: ApprovalQueue) -> None:
    for number in range(3):
        assert await _granted(queue, _policy({}), _request(number)) == "run"
    lower = _policy({"max_per_conversation": 2}).judge("refund_order", {"amount_cents": 100}, KNOWN)
    with pytest.raises(CeilingReached, match="More than 2"):
        await queue.check_ceilings(_request(0).call, "t", lower.ceilings)
    same = _policy({}).judge("refund_order", {"amount_cents": 100}, KNOWN)
    await queue.check_ceilings(_request(0).call, "t", same.ceilings)


async def test_many_at_once_take_no_more_places_than_there_are(state: StateDatabase, tmp_path: Path) -> None:
    """On connections of their own, as two processes have them."""
    other = state_of(tmp_path)
    queues = [ApprovalQueue(one, 60) for one in (state, other, state, other)]
    policy = _policy({"max_per_conversation": 5}, {"max_per_day": {"field": "amount_cents", "limit": 1200}})
    told = await asyncio.gather(
        *(_granted(queues[n % 4], policy, _request(n, 300, f"t{n % 2}")) for n in range(40))
    )
    assert told.count("run") == 4
    other.close()


_rules = st.lists(
    st.fixed_dictionaries(
        {"when": st.sampled_from(["", "amount_cents <= 500", "amount_cents > 200"])},
        optional={
            "max_per_conversation": st.integers(0, 4),
            "max_per_day": st.integers(0, 2000).map(lambda limit: {"field": "amount_cents", "limit": limit}),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda rule: rule["when"],
)
_calls = st.lists(
    st.tuples(st.integers(0, 900), st.sampled_from(["a", "b"]), st.sampled_from([0, 0, 0, 40_000, 90_000])),
    max_size=25,
)


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rules=_rules, calls=_calls)
def test_no_ceiling_is_ever_exceeded_and_a_dry_run_judges_alike(
    state: StateDatabase, rules: list[dict[str, Any]], calls: list[tuple[int, str, int]]
) -> None:
    """Against a model of its own: all that ran, looked through for each rule after each call."""
    queue, policy, tally, name = ApprovalQueue(state, 60), _policy(*rules), Tally(), clock.new_id()
    # Its own database rows: rules are told apart by their tools, so each run of this has a tool of its own.
    own = Policy([rule.model_copy(update={"tool": f"refund_{name}"}) for rule in policy.rules])
    ran: list[tuple[int, str, Any]] = []

    async def work() -> None:
        for number, (amount, thread, wait) in enumerate(calls):
            clock.advance(wait)
            verdict = own.judge(f"refund_{name}", {"amount_cents": amount}, KNOWN)
            if verdict.need != "run":
                continue
            now = clock.now()
            imagined = tally.reason_to_ask(
                verdict.ceilings, thread, clock.rfc3339(now), {"amount_cents": amount}
            )
            request = _request(number, amount, f"{name}-{thread}")
            try:
                await queue.grant(request.call, request.thread_id, verdict.ceilings)
                ran.append((amount, thread, now))
                assert imagined is None
            except CeilingReached as reached:
                assert imagined == reached.why
            for rule in own.rules:
                ceiling = rule.ceiling
                mine = [one for one in ran if own.applies(rule, f"refund_{name}", _facts(one), KNOWN)]
                if ceiling.max_per_conversation is not None:
                    most = max((sum(one[1] == t for one in mine) for t in "ab"), default=0)
                    assert most <= ceiling.max_per_conversation
                if ceiling.field:
                    day = sum(one[0] for one in mine if (now - one[2]).total_seconds() < 86_400)
                    assert day <= ceiling.limit

    asyncio.run(work())


def _facts(call: tuple[int, str, Any]) -> dict[str, Any]:
    return {"amount_cents": call[0]}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"then": "ask", "max_per_conversation": 2}, "max_per_conversation, which limits what runs without"),
        ({"then": "never", "max_per_day": DAY_LIMIT}, "has max_per_day, which limits what runs without"),
        ({"max_per_conversation": -1}, "greater than or equal to 0"),
        ({"max_per_conversation": 1.5}, "valid integer"),
        ({"max_per_conversation": True}, "valid integer"),
        ({"max_per_day": 5}, "max_per_day"),
        ({"max_per_day": {"field": "amount_cents"}}, "limit"),
        ({"max_per_day": {"field": "a b", "limit": 5}}, "field"),
        ({"max_per_day": {"field": "x", "limit": -5}}, "greater than or equal to 0"),
        ({"max_per_day": {"field": "x", "limit": 5, "per": "customer"}}, "Extra inputs"),
    ],
)
def test_a_wrong_ceiling_says_what_is_wrong(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Rule(**{"tool": "refund_order", "then": "run"} | rule)


def _team(rule: dict[str, Any]) -> tuple[Team, Registry]:
    async def run(args: Any, call: Any) -> None: ...

    properties = {"amount_cents": {"type": "integer"}, "note": {"type": "string"}}
    schema = {"type": "object", "properties": properties}
    tool = Tool(name="refund_order", description="x", schema=schema, access=Access.WRITE, run=run)
    policy = Policy([Rule(**{"tool": "refund_order", "then": "run"} | rule)])
    return Team("c", Personality(), (), "x", "agents.yaml", policy), Registry([tool])


def test_a_daily_limit_is_on_a_number_that_the_tool_has() -> None:
    check_ceilings(*_team({"max_per_day": DAY_LIMIT}))
    with pytest.raises(ConfigError, match=r"agents.yaml: policy rule 1: max_per_day.field 'amount' is noth"):
        check_ceilings(*_team({"max_per_day": {"field": "amount", "limit": 5}}))
    with pytest.raises(ConfigError, match="'note' is no number of refund_order but string"):
        check_ceilings(*_team({"max_per_day": {"field": "note", "limit": 5}}))


def test_a_dry_run_knows_ceilings() -> None:
    def row(number: int, need: str) -> dict[str, Any]:
        at = f"2026-11-01T00:00:0{number}.000000Z"
        args = {"action": "refund_order", "args": b'{"amount_cents":100}', "facts": b"{}"}
        return args | {"at": at, "thread_id": "t", "need": need, "status": "approved", "decided_by": "x"}

    rows = [row(number, "run") for number in range(5)]
    found = [*differences(rows, _policy({}))]
    assert [(one.at[18], one.verdict.need) for one in found] == [("3", "ask"), ("4", "ask")]
    assert found[0].line().endswith("More than 3 in this conversation.")
    assert [*differences([row(0, "run")], _policy({}))] == []


def test_the_strictest_rule_still_wins(wanted: Callable[..., Request]) -> None:
    policy = Policy(
        [Rule(tool="a", then="run", max_per_conversation=9), Rule(tool="*", when="x > 1", then="never")]
    )
    assert policy.judge("a", {"x": 2}, {"x"}).ceilings == ()
    assert len(policy.judge("a", {"x": 1}, {"x"}).ceilings) == 1
