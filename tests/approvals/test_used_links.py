"""A link to decide is used up in the transaction of the decision that comes through it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import Forbidden, LinkUsed
from tests.support.planned_calls import request
from tests.support.stores import state_of


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[ApprovalQueue]:
    state = state_of(tmp_path)
    yield ApprovalQueue(state, 1800)
    state.close()


async def _approve(queue: ApprovalQueue, approval: Approval, by: str, link_id: str) -> Approval:
    decision = DecisionInput("approve", decided_by=by, via="link", link_id=link_id)
    return await queue.decide(approval.approval_id, decision)


async def test_the_second_of_two_leads_needs_another_link(queue: ApprovalQueue) -> None:
    approval = await queue.request(request(need="two_leads"))
    assert (await _approve(queue, approval, "lee", "one")).status == "pending"
    with pytest.raises(LinkUsed):
        await _approve(queue, approval, "mia", "one")
    assert len((await queue.get(approval.approval_id)).votes) == 1
    assert (await _approve(queue, approval, "mia", "two")).status == "approved"


async def test_a_refused_decision_uses_up_nothing(queue: ApprovalQueue) -> None:
    approval = await queue.request(request(asked_by="lee"))
    with pytest.raises(Forbidden):
        await _approve(queue, approval, "lee", "one")
    assert not await queue.is_link_used("one")
    assert (await _approve(queue, approval, "mia", "one")).status == "approved"
    assert await queue.is_link_used("one")
