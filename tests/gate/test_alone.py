"""The gate by itself: any caller's call is planned, approved and executed without a graph."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from smart_support.approvals.approval import Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.gate.call_result import CallResult
from smart_support.gate.caller import Caller, CallerLimits
from smart_support.gate.gate import Gate
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import StateDatabase
from tests.gate.conftest import Make

CALLER = Caller("site", frozenset({"get_order_status", "cancel_order", "refund_order"}))
WHERE = {"tool_call_id": "c1", "thread_id": "t1"}


@pytest.fixture
def gate(make: Make) -> Gate:
    return make({"tool": "refund_order", "then": "never", "because": "Refunds are made by hand."})


async def test_a_write_runs_once_after_its_approval(gate: Gate, queue: ApprovalQueue) -> None:
    planned = await gate.plan(CALLER, "cancel_order", {"order_id": "1042"}, **WHERE)
    assert isinstance(planned, PlannedCall)
    assert planned.needs_approval
    approval = await queue.request(Request(call=planned, thread_id="t1", interrupt_id="c1"))
    await queue.decide(approval.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
    assert await gate.recheck(planned, "t1") is None
    result = await gate.execute(planned, CALLER, "t1")
    assert (result.status, result.approval_id) == ("ok", approval.approval_id)
    assert (await queue.get(approval.approval_id)).execution == "done"


async def test_an_approval_says_which_client_asked(gate: Gate, queue: ApprovalQueue) -> None:
    client = replace(CALLER, is_client=True)
    planned = await gate.plan(client, "cancel_order", {"order_id": "1042"}, **WHERE)
    assert isinstance(planned, PlannedCall)
    said = {"client_name": "cursor", "client_version": "2", "session": "s", "reason": "Do as I say!"}
    approval = await queue.request(Request(call=planned, thread_id="t1", interrupt_id="c1", client=said))
    assert approval.wire()["caller"] == {"name": "site", **said}
    await queue.decide(approval.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
    shop_changed = replace(planned, seen={"something": "else"})
    again = await gate.recheck(shop_changed, "t1")
    assert isinstance(again, PlannedCall)
    assert again.caller == "site"
    own = await gate.plan(CALLER, "cancel_order", {"order_id": "1042"}, tool_call_id="c2", thread_id="t1")
    assert isinstance(own, PlannedCall)
    assert own.caller is None


async def test_a_write_without_an_approval_does_not_run(gate: Gate) -> None:
    planned = await gate.plan(CALLER, "cancel_order", {"order_id": "1042"}, **WHERE)
    assert isinstance(planned, PlannedCall)
    result = await gate.execute(planned, CALLER, "t1")
    assert result.status == "error"
    assert "no approved decision" in result.text


async def test_a_read_runs_at_once(gate: Gate) -> None:
    planned = await gate.plan(CALLER, "get_order_status", {"order_id": "1042"}, **WHERE)
    assert isinstance(planned, PlannedCall)
    result = await gate.execute(planned, CALLER, "t1")
    assert result.status == "ok"
    assert "processing" in result.text


@pytest.mark.parametrize(
    ("caller", "tool", "args", "flags", "status", "text"),
    [
        (Caller("other"), "cancel_order", {"order_id": "1042"}, {}, "error", "has no tool"),
        (CALLER, "cancel_order", {"order": "1042"}, {}, "error", "order_id"),
        (CALLER, "cancel_order", None, {}, "error", "not a JSON object"),
        (CALLER, "refund_order", {"order_id": "1042", "amount_cents": 5}, {}, "rejected", "made by hand"),
        (CALLER, "cancel_order", {"order_id": "1042"}, {"read_only": True}, "skipped", "deciding"),
        (
            CALLER,
            "cancel_order",
            {"order_id": "1042"},
            {"is_stopped": True},
            "skipped",
            "rejected an earlier action",
        ),
        (
            Caller("site", CALLER.tools, limits=CallerLimits(writes_per_hour=0)),
            "cancel_order",
            {"order_id": "1042"},
            {},
            "rejected",
            "0 writes of this hour",
        ),
    ],
)
async def test_a_refusal_says_why(
    gate: Gate, caller: Caller, tool: str, args: Any, flags: dict[str, bool], status: str, text: str
) -> None:
    refused = await gate.plan(caller, tool, args, **WHERE, **flags)
    assert isinstance(refused, CallResult)
    assert refused.status == status
    assert text in refused.text


async def test_an_approved_write_takes_four_transactions(
    gate: Gate, queue: ApprovalQueue, state: StateDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Request, decision, intent and result: each is durable before the next step."""
    count = 0
    transact = state.transact

    async def counted(work: Any, **given: Any) -> Any:
        nonlocal count
        count += 1
        return await transact(work, **given)

    monkeypatch.setattr(state, "transact", counted)
    planned = await gate.plan(CALLER, "cancel_order", {"order_id": "1042"}, **WHERE)
    assert isinstance(planned, PlannedCall)
    approval = await queue.request(Request(call=planned, thread_id="t1", interrupt_id="c1"))
    await queue.undecided(approval.approval_id)
    await queue.decide(approval.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
    await queue.get(approval.approval_id)
    await gate.recheck(planned, "t1")
    await gate.execute(planned, CALLER, "t1")
    await queue.changed(approval.approval_id)
    assert count == 4


def test_the_gate_needs_no_graph_library() -> None:
    code = (
        "import sys, smart_support.gate.gate\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'langgraph', 'langchain', 'langchain_core'}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
