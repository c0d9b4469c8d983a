"""Disabled callers: no call of theirs is taken, approved or begun; what waits can be rejected."""

from typing import Any

import pytest

from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.disabled_callers import DisabledCallers
from smart_support.approvals.ledger import Entry, Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import CallerDisabled, DecisionNotAllowed, InvalidRequest
from smart_support.storage.state.base import StateDatabase
from tests.support.planned_calls import request

BY = {"by": "dana", "via": "rest"}


def _decision(decision: str) -> DecisionInput:
    return DecisionInput(decision, decided_by="dana", via="rest")


async def _execute(ledger: Ledger, approval: Approval, run: Any = None) -> Entry:
    async def works(_: str) -> str:
        return "done"

    return await ledger.execute(
        thread_id=approval.thread_id,
        tool_call_id=approval.call.tool_call_id,
        tool=approval.call.tool,
        digest=approval.digest,
        idempotent=False,
        run=run or works,
    )


async def test_its_pending_call_can_be_rejected_and_not_approved_until_it_is_enabled(
    queue: ApprovalQueue, state: StateDatabase
) -> None:
    disabled = DisabledCallers(state)
    first, second = [await queue.request(request(caller="bot")) for _ in range(2)]
    of_agent = await queue.request(request(agent="bot"))
    await disabled.disable("bot", "a stolen key", **BY)
    with pytest.raises(DecisionNotAllowed, match="bot is disabled"):
        await queue.decide(first.approval_id, _decision("approve"))
    assert (await queue.get(first.approval_id)).status == "pending"
    assert (await queue.decide(second.approval_id, _decision("reject"))).status == "rejected"
    assert (await queue.decide(of_agent.approval_id, _decision("approve"))).status == "approved"
    await disabled.enable("bot", **BY)
    assert (await queue.decide(first.approval_id, _decision("approve"))).status == "approved"


async def test_its_approved_call_does_not_begin_and_its_begun_call_may_end(
    queue: ApprovalQueue, ledger: Ledger, state: StateDatabase
) -> None:
    disabled = DisabledCallers(state)
    begun, other = [await queue.request(request(caller="bot")) for _ in range(2)]
    begun, other = [await queue.decide(one.approval_id, _decision("approve")) for one in (begun, other)]

    async def disables_in_between(_: str) -> str:
        await disabled.disable("bot", "why", **BY)
        return "done"

    assert (await _execute(ledger, begun, disables_in_between)).status == "done"
    with pytest.raises(CallerDisabled):
        await _execute(ledger, other)


async def test_each_change_is_on_record_once(state: StateDatabase) -> None:
    disabled = DisabledCallers(state)
    await disabled.enable("bot", **BY)
    first = await disabled.disable("bot", " a stolen key ", **BY)
    assert (first.name, first.reason, first.by) == ("bot", "a stolen key", "dana")
    assert await disabled.disable("bot", "again", by="kim", via="rest") == first
    assert await disabled.all() == {"bot": first}
    with pytest.raises(CallerDisabled):
        await disabled.check("bot")
    await disabled.enable("bot", by="kim", via="console")
    await disabled.check("bot")
    rows = await state.read("SELECT kind, actor, via FROM audit WHERE kind LIKE 'caller%' ORDER BY number")
    assert [tuple(row.values()) for row in rows] == [
        ("caller_disabled", "dana", "rest"),
        ("caller_enabled", "kim", "console"),
    ]


@pytest.mark.parametrize("reason", ["", " \n", None, "x" * 501])
async def test_it_needs_a_reason(state: StateDatabase, reason: Any) -> None:
    with pytest.raises(InvalidRequest, match="reason"):
        await DisabledCallers(state).disable("bot", reason, **BY)
    assert await DisabledCallers(state).all() == {}
