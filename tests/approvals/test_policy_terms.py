"""What a policy says besides how many people: whose groups, in which time, for which caller."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from pydantic import ValidationError

from smart_support import clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.ceilings import CeilingReached
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.policy import Policy, Rule
from smart_support.approvals.policy_dry_run import differences
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.erasure import blank
from smart_support.errors import AlreadyDecided, ConfigError, Forbidden, InvalidRequest
from smart_support.identity.users import Accounts
from smart_support.storage.state.base import StateDatabase
from tests.support.passwords import hash_password
from tests.support.planned_calls import planned, request

ROLES = {"fay": "lead", "finn": "lead", "lou": "lead", "leo": "lead", "op": "operator", "root": "admin"}
GROUPS = {"finance": ["fay", "finn", "op", "root"], "legal": ["lou", "root"]}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    path = tmp_path_factory.mktemp("users") / "users.yaml"
    password = hash_password("correct horse")
    users = [{"name": name, "role": role, "password_hash": password} for name, role in ROLES.items()]
    path.write_text(yaml.safe_dump({"users": users, "groups": GROUPS}))
    return Accounts(path, "bot:lead:a-key-of-a-program,fay/cli:lead:a-key-of-a-person")


@pytest.fixture
def queue(state: StateDatabase, accounts: Accounts) -> ApprovalQueue:
    return ApprovalQueue(state, ttl_seconds=60, accounts=accounts)


def _judged(*rules: dict[str, Any], caller: str | None = None, **facts: Any) -> Any:
    policy = Policy(Rule.model_validate({"tool": "*", "then": "ask"} | rule) for rule in rules)
    return policy.judge("refund_order", facts, facts.keys(), caller=caller)


def test_of_several_rules_all_groups_the_shortest_time_and_an_escalation_count() -> None:
    verdict = _judged(
        {"approvers": ["finance"], "expires_after": "2h", "on_expiry": "reject"},
        {"approvers": ["legal", "finance"], "expires_after": "10m", "then": "two_leads"},
        {"on_expiry": "escalate", "then": "run"},
        {"approvers": ["nobody"], "expires_after": "1s", "when": "amount > 5"},
        amount=5,
    )
    assert (verdict.need, verdict.approvers) == ("two_leads", ("finance", "legal"))
    assert (verdict.expires_after, verdict.on_expiry) == (600, "escalate")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("30d", 2_592_000)])
def test_a_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert Rule.model_validate({"tool": "*", "then": "ask", "expires_after": text}).expires_after == seconds


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"expires_after": "10"}, "10m"),
        ({"expires_after": 600}, "10m"),
        ({"expires_after": "0m"}, "10m"),
        ({"expires_after": "31d"}, "30 days"),
        ({"on_expiry": "approve"}, "escalate"),
        ({"approvers": [""]}, "at least 1"),
        ({"then": "never", "approvers": ["finance"]}, "leave approvers out"),
        ({"then": "never", "expires_after": "10m"}, "leave expires_after out"),
    ],
)
def test_a_mistake_in_a_rule_is_said(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Rule.model_validate({"tool": "*", "then": "ask"} | wrong)


@pytest.mark.parametrize(
    ("rule", "caller", "need"),
    [
        ({"caller": "billing-*", "then": "never"}, "billing-bot", "never"),
        ({"caller": "billing-*", "then": "never"}, "other", "ask"),
        ({"caller": "*", "then": "never"}, None, "ask"),
        ({"when": "caller == 'bot'", "then": "never"}, "bot", "never"),
        ({"when": "caller == 'bot'", "then": "never"}, None, "ask"),
        ({"when": "caller != ''", "then": "never"}, None, "ask"),
        ({"when": "caller in ['a', 'b'] and amount <= 5", "then": "run"}, "a", "run"),
        ({"when": "caller in ['a', 'b'] and amount <= 5", "then": "run"}, None, "ask"),
        ({"when": "caller == 'bot' and other > 5", "then": "never"}, "bot", "ask"),
    ],
)
def test_a_rule_can_be_for_a_caller(rule: dict[str, Any], caller: str | None, need: str) -> None:
    assert _judged(rule, caller=caller, amount=5).need == need


def test_a_model_can_not_say_that_it_is_a_caller() -> None:
    rule = {"when": "caller == 'trusted'", "then": "run"}
    assert _judged(rule, **{"caller_id": 1}).need == "ask"
    policy = Policy([Rule.model_validate({"tool": "*"} | rule)])
    assert policy.judge("x", {"caller": "trusted"}, {"caller"}).need == "ask"
    assert policy.unknown_names(policy.rules[0], {"x": {"amount"}}) == frozenset()


def test_another_group_is_stricter_only_where_people_are_asked() -> None:
    finance = _judged({"approvers": ["finance"]})
    assert finance.stricter_than("ask")
    assert finance.stricter_than("two_leads", ["legal"])
    assert not finance.stricter_than("ask", ["legal", "finance"])
    assert not _judged({"approvers": ["finance"], "then": "run"}).stricter_than("run")


async def _grant(queue: ApprovalQueue, rule: dict[str, Any], thread_id: str, **fields: Any) -> bool:
    ceiling = Rule.model_validate({"tool": "*", "then": "run"} | rule).ceiling
    try:
        await queue.grant(planned(need="run", **fields), thread_id, [ceiling])
    except CeilingReached as reached:
        assert "3 by bot for this customer" in reached.why or "2 in this conversation" in reached.why
        return False
    return True


async def test_a_caller_has_three_for_each_customer_in_a_day_whatever_the_conversation(
    queue: ApprovalQueue,
) -> None:
    one = {"caller": "bot", "customer_id": "C-1"}
    assert [await _grant(queue, {}, f"t{number}", **one) for number in range(4)] == [True, True, True, False]
    assert await _grant(queue, {}, "t9", caller="bot", customer_id="C-2")
    assert await _grant(queue, {}, "t9", caller="other", customer_id="C-1")
    assert await _grant(queue, {}, "t9", customer_id="C-1")
    unknown = [await _grant(queue, {}, f"u{number}", caller="bot") for number in range(4)]
    assert unknown == [True, True, True, False]
    clock.advance(86_401)
    try:
        assert await _grant(queue, {}, "t9", **one)
    finally:
        clock.reset()


async def test_a_ceiling_of_its_own_counts_conversations_for_callers_too(queue: ApprovalQueue) -> None:
    rule, one = {"max_per_conversation": 2}, {"caller": "bot", "customer_id": "C-1"}
    assert [await _grant(queue, rule, "t", **one) for _ in range(3)] == [True, True, False]
    assert await _grant(queue, rule, "another", **one)


async def test_erasing_a_conversation_leaves_no_customer_among_what_ceilings_count(
    queue: ApprovalQueue, state: StateDatabase
) -> None:
    assert await _grant(queue, {}, "t", caller="bot", customer_id="C-1")
    entry = {"kind": "erased", "actor": "root", "via": "rest"}
    await state.transact(lambda connection: blank(connection, ["t"], entry))
    rows = await state.read("SELECT caller, customer_id FROM policy_runs")
    assert [tuple(row.values()) for row in rows] == [("bot", None)]


async def _decided(queue: ApprovalQueue, approval: Approval, by: str, decision: str = "approve") -> Approval:
    return await queue.decide(approval.approval_id, DecisionInput(decision, decided_by=by, via="rest"))


async def test_somebody_of_each_group_has_to_approve(queue: ApprovalQueue) -> None:
    approval = await queue.request(request(approvers=("finance", "legal")))
    assert approval.wire()["approvers"] == ["finance", "legal"]
    for nobody in ("leo", "op", "bot", "fay/cli"):
        with pytest.raises(Forbidden):
            await _decided(queue, approval, nobody)
    first = await _decided(queue, approval, "fay")
    assert (first.status, [vote["by"] for vote in first.votes]) == ("pending", ["fay"])
    with pytest.raises(AlreadyDecided):
        await _decided(queue, approval, "fay")
    with pytest.raises(Forbidden, match="legal"):
        await _decided(queue, approval, "finn")
    done = await _decided(queue, approval, "lou")
    assert (done.status, done.decided_by) == ("approved", "fay and lou")


async def test_one_person_stands_for_all_their_groups(queue: ApprovalQueue) -> None:
    approval = await queue.request(request(approvers=("finance", "legal")))
    assert (await _decided(queue, approval, "root")).status == "approved"


async def test_two_leads_and_a_group_need_two_people_one_of_them_of_the_group(queue: ApprovalQueue) -> None:
    approval = await queue.request(request(need="two_leads", approvers=("finance",)))
    assert (await _decided(queue, approval, "leo")).status == "pending"
    assert (await _decided(queue, approval, "lou")).status == "pending"
    done = await _decided(queue, approval, "fay")
    assert (done.status, done.decided_by) == ("approved", "leo and lou and fay")
    other = await queue.request(request(need="two_leads", approvers=("finance",)))
    assert (await _decided(queue, other, "root")).status == "pending"
    assert (await _decided(queue, other, "leo")).status == "approved"


async def test_anybody_may_reject_and_one_group_may_edit(queue: ApprovalQueue) -> None:
    rejected = await queue.request(request(approvers=("finance", "legal")))
    assert (await _decided(queue, rejected, "leo", "reject")).status == "rejected"
    edit = DecisionInput("edit", decided_by="fay", via="rest", args={"order_id": "7"})
    one = await queue.request(request(approvers=("finance",)))
    assert (await queue.decide(one.approval_id, edit, planned(args={"order_id": "7"}))).status == "edited"
    several = await queue.request(request(approvers=("finance", "legal")))
    with pytest.raises(InvalidRequest, match="several people"):
        await queue.decide(several.approval_id, edit, planned(args={"order_id": "7"}))


async def test_without_logins_nobody_is_in_a_group(state: StateDatabase) -> None:
    queue = ApprovalQueue(state, 60)
    approval = await queue.request(request(approvers=("finance",)))
    with pytest.raises(Forbidden, match="finance"):
        await _decided(queue, approval, "local user")


@pytest.mark.parametrize(
    "content",
    [
        {"users": [], "groups": {"finance": ["nobody"]}},
        {"users": [], "groups": {"finance": "fay"}},
        {"users": [], "teams": {}},
    ],
)
def test_a_mistake_in_the_groups_is_said(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"users\.yaml"):
        Accounts(path, "")


async def test_a_rules_time_takes_the_place_of_the_usual_one(queue: ApprovalQueue) -> None:
    for seconds in (10, 600):
        approval = await queue.request(request(expires_after=seconds))
        left = clock.parse(approval.expires_at) - clock.parse(approval.requested_at)
        assert left.total_seconds() == seconds


def _row(**fields: Any) -> dict[str, Any]:
    usual = {
        "at": "2026-11-01T10:00:00Z",
        "thread_id": "t",
        "action": "refund_order",
        "args": "{}",
        "facts": "{}",
        "need": "ask",
        "status": "approved",
        "decided_by": "dana",
        "approvers": orjson.dumps(["finance"]).decode(),
        "expires_after": 600,
        "on_expiry": "reject",
        "caller": None,
        "customer_id": None,
    }
    return usual | fields


def test_a_dry_run_reports_other_groups_times_and_ends() -> None:
    same = {"tool": "*", "then": "ask", "approvers": ["finance"], "expires_after": "10m"}
    for changed, said in (
        ({}, None),
        (
            {"approvers": ["finance", "legal"]},
            "asks of finance within 600 s -> asks of finance and legal within 600 s",
        ),
        ({"expires_after": "5m"}, "within 600 s -> asks of finance within 300 s"),
        ({"on_expiry": "escalate"}, "-> asks of finance within 600 s or escalates"),
        ({"then": "run"}, "-> runs without asking"),
    ):
        found = list(differences([_row()], Policy([Rule.model_validate(same | changed)])))
        assert [said in one.line() for one in found] == ([True] if said else []), changed


def test_a_dry_run_knows_callers() -> None:
    policy = Policy(
        [
            Rule(tool="*", caller="bot", then="run"),
            Rule(tool="*", caller="other", then="never"),
        ]
    )
    plain = {"approvers": None, "expires_after": None, "on_expiry": None}
    rows = [_row(**plain, caller="bot", customer_id="C-1", thread_id=f"t{number}") for number in range(4)]
    rows += [_row(**plain, caller="other"), _row(**plain)]
    assert [one.verdict.need for one in differences(rows, policy)] == ["run", "run", "run", "never"]
    of_caller = replace(Policy([]).judge("x", {}, ()), approvers=())
    assert of_caller.approvers == ()
    assert list(differences([_row(caller="bot", expires_after=None)], Policy([]))) == []
