"""Groups of approvers and callers at the gate; a call that is frozen keeps its approval or is rejected."""

from dataclasses import replace

import pytest

from smart_support.approvals.approval import Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import Forbidden, Frozen
from smart_support.gate.call_result import CallResult
from smart_support.gate.caller import Caller
from smart_support.gate.gate import Gate
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import StateDatabase
from tests.gate.conftest import Make

AGENT = Caller("order_actions", frozenset({"cancel_order", "generate_coupon"}))
BOT = Caller("bot", AGENT.tools, is_client=True, approvers="finance")
WHERE = {"tool_call_id": "c1", "thread_id": "t1"}
BY = {"by": "dana", "via": "rest"}
APPROVE = DecisionInput("approve", decided_by="dana", via="rest")


async def _planned(gate: Gate, caller: Caller = AGENT, tool: str = "cancel_order") -> PlannedCall:
    args = {"cancel_order": {"order_id": "1042"}, "generate_coupon": {"percent": 10}}[tool]
    planned = await gate.plan(caller, tool, args, **WHERE)
    assert isinstance(planned, PlannedCall)
    return planned


async def test_the_group_of_a_caller_is_added_to_those_of_the_policy(make: Make) -> None:
    gate = make({"tool": "*", "then": "ask", "approvers": ["legal"], "expires_after": "10m"})
    assert (await _planned(gate)).approvers == ("legal",)
    planned = await _planned(gate, BOT)
    assert planned.approvers == ("legal", "finance")
    assert (planned.expires_after, planned.needs_several) == (600, True)
    assert PlannedCall.from_state(planned.state()).approvers == ("legal", "finance")


async def test_a_rule_for_a_caller_is_not_for_an_agent(make: Make) -> None:
    gate = make({"tool": "cancel_order", "caller": "bot", "then": "never"})
    assert (await _planned(gate)).need == "ask"
    assert isinstance(await gate.plan(BOT, "cancel_order", {"order_id": "1042"}, **WHERE), CallResult)


async def test_a_group_that_was_added_meanwhile_has_to_approve(make: Make, queue: ApprovalQueue) -> None:
    planned = await _planned(make())
    approval = await queue.request(Request(call=planned, thread_id="t1", interrupt_id="i"))
    await queue.decide(approval.approval_id, APPROVE)
    stricter = make({"tool": "*", "then": "ask", "approvers": ["legal"]})
    again = await stricter.recheck(planned, "t1")
    assert isinstance(again, PlannedCall)
    assert again.approvers == ("legal",)
    assert (await queue.get(approval.approval_id)).execution == "failed"
    assert await stricter.recheck(replace(again, tool_call_id="c2"), "t1") is None


async def test_an_edit_can_not_reach_what_another_group_approves(make: Make, queue: ApprovalQueue) -> None:
    gate = make({"tool": "*", "when": "percent > 20", "then": "ask", "approvers": ["legal"]})
    planned = await _planned(gate, tool="generate_coupon")
    approval = await queue.request(Request(call=planned, thread_id="t1", interrupt_id="i"))
    with pytest.raises(Forbidden, match="legal"):
        await gate.edit(approval, {"percent": 30})


async def test_an_approved_call_that_is_frozen_keeps_its_approval(
    make: Make, queue: ApprovalQueue, state: StateDatabase
) -> None:
    gate, freezes = make(), Freezes(state)
    planned = await _planned(gate)
    approval = await queue.request(Request(call=planned, thread_id="t1", interrupt_id="i"))
    await queue.decide(approval.approval_id, APPROVE)
    await freezes.freeze("agent:order_actions", "why", **BY)
    with pytest.raises(Frozen):
        await gate.execute(planned, AGENT, "t1")
    await freezes.lift("agent:order_actions", **BY)
    assert (await gate.execute(planned, AGENT, "t1")).status == "ok"


async def test_a_granted_call_that_is_frozen_before_it_begins_is_rejected_and_gives_its_place_back(
    make: Make, queue: ApprovalQueue, state: StateDatabase
) -> None:
    gate, freezes = make({"tool": "*", "then": "run"}), Freezes(state)
    planned = await _planned(gate)
    assert planned.need == "run"
    await freezes.freeze("all", "why", **BY)
    result = await gate.execute(planned, AGENT, "t1")
    assert (result.status, result.reason) == ("rejected", "frozen")
    (approval,) = await queue.of_thread("t1")
    assert (approval.execution, approval.execution_reason) == ("failed", "frozen")
    assert await state.read("SELECT * FROM policy_runs") == []
    other = await gate.plan(AGENT, "cancel_order", {"order_id": "1042"}, tool_call_id="c2", thread_id="t1")
    assert isinstance(other, CallResult)
    assert (other.status, other.reason, other.is_final) == ("rejected", "frozen", True)
