"""The ledger: nothing without a decision, nothing twice, nothing silently unknown."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from smart_support.approvals.approval import Approval, Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.digest import digest
from smart_support.approvals.ledger import Entry, Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import (
    Forbidden,
    InvalidArguments,
    ResponseTooLarge,
    SmartSupportError,
    ToolFailed,
    ToolNotReached,
    ToolRefused,
    ToolUnavailable,
)
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import StateDatabase
from tests.support.planned_calls import planned

Wanted = Callable[..., Request]


class _Effects:
    """A tool that counts its effects, and remembers the keys it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.keys: list[str] = []
        self.error = error

    async def run(self, key: str) -> Any:
        self.keys.append(key)
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return {"message": "done"}


async def _approved(
    queue: ApprovalQueue, wanted: Wanted, decision: str = "approve", edit: PlannedCall | None = None
) -> Approval:
    approval = await queue.request(wanted())
    return await queue.decide(
        approval.approval_id, DecisionInput(decision, decided_by="dana", via="rest"), edit
    )


async def _execute(
    ledger: Ledger, approval: Approval, effects: _Effects, *, idempotent: bool = False, **changed: Any
) -> Entry:
    args = changed.pop("args", approval.call.args)
    call = {
        "thread_id": approval.thread_id,
        "tool_call_id": approval.call.tool_call_id,
        "tool": approval.call.tool,
    } | changed
    bound = digest(
        tool=call["tool"],
        version=approval.call.tool_version,
        args=args,
        thread_id=call["thread_id"],
        customer_id=approval.call.customer_id,
    )
    return await ledger.execute(**call, digest=bound, idempotent=idempotent, run=effects.run)


async def test_an_approved_call_runs_once_however_often_it_is_asked(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    approval, effects = await _approved(queue, wanted), _Effects()
    entries = [await _execute(ledger, approval, effects) for _ in range(3)]
    assert len(effects.keys) == 1
    assert {entry.status for entry in entries} == {"done"}
    assert {entry.idempotency_key for entry in entries} == set(effects.keys)
    assert entries[2].result == {"message": "done"}
    assert (await queue.get(approval.approval_id)).execution == "done"


async def test_nothing_runs_without_a_decision(queue: ApprovalQueue, ledger: Ledger, wanted: Wanted) -> None:
    effects = _Effects()
    pending = await queue.request(wanted())
    rejected = await _approved(queue, wanted, "reject")
    for approval in (pending, rejected):
        with pytest.raises(Forbidden):
            await _execute(ledger, approval, effects)
    assert effects.keys == []


@pytest.mark.parametrize(
    "changed",
    [
        {"args": {"order_id": "1043"}},
        {"tool": "refund_order"},
        {"thread_id": "another"},
        {"tool_call_id": "another"},
    ],
)
async def test_an_approval_is_for_exactly_its_call(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted, changed: dict[str, Any]
) -> None:
    approval, effects = await _approved(queue, wanted), _Effects()
    with pytest.raises(Forbidden):
        await _execute(ledger, approval, effects, **changed)
    assert effects.keys == []


async def test_after_an_edit_only_the_edited_arguments_run(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    edit = planned(args={"order_id": "1046"}, summary="Cancel order 1046", customer_id="C-2001")
    approval = await _approved(queue, wanted, "edit", edit=edit)
    effects = _Effects()
    with pytest.raises(Forbidden):
        await _execute(ledger, approval, effects, args=approval.requested_args)
    assert (await _execute(ledger, approval, effects)).status == "done"


async def test_the_detail_of_a_failure_goes_to_the_record_and_not_to_the_customer(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted, state: StateDatabase
) -> None:
    approval = await _approved(queue, wanted)
    failing = _Effects(ToolFailed("Not available at the moment.", detail="Our key was refused (401)."))
    entry = await _execute(ledger, approval, failing)
    assert (entry.status, entry.result) == ("failed", "Not available at the moment.")
    (row,) = await state.read(
        "SELECT execution_reason FROM approvals WHERE approval_id = :id", {"id": approval.approval_id}
    )
    assert row["execution_reason"] == "Our key was refused (401)."


@pytest.mark.parametrize("error", [ToolRefused, ToolFailed, ToolNotReached, InvalidArguments])
async def test_a_failure_that_did_nothing_is_kept_as_one(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted, error: type[SmartSupportError]
) -> None:
    approval = await _approved(queue, wanted)
    effects = _Effects(error("It is shipped already."))
    for _ in range(2):
        entry = await _execute(ledger, approval, effects)
        assert (entry.status, entry.result) == ("failed", "It is shipped already.")
    assert len(effects.keys) == 1


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError, ToolUnavailable, ResponseTooLarge])
async def test_an_answer_that_never_came_is_unknown_and_not_tried_again(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted, error: type[Exception]
) -> None:
    approval, effects = await _approved(queue, wanted), _Effects(error("gone"))
    for _ in range(2):
        assert (await _execute(ledger, approval, effects)).status == "outcome_unknown"
    assert len(effects.keys) == 1
    assert (await queue.get(approval.approval_id)).execution == "outcome_unknown"


async def _left_begun(ledger: Ledger, approval: Approval) -> str:
    """A call that began and never ended, as a crash leaves it; its key."""
    begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class _Stuck(_Effects):
        async def run(self, key: str) -> Any:
            begun.set_result(key)
            await asyncio.Event().wait()

    task = asyncio.create_task(_execute(ledger, approval, _Stuck()))
    key = await begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return key


async def test_what_a_crash_left_open_is_asked_again_only_where_that_is_safe(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    safe, unsafe, effects = await _approved(queue, wanted), await _approved(queue, wanted), _Effects()
    key = await _left_begun(ledger, safe)
    await _left_begun(ledger, unsafe)
    assert (await _execute(ledger, safe, effects, idempotent=True)).status == "done"
    assert effects.keys == [key]
    assert (await _execute(ledger, unsafe, effects)).status == "outcome_unknown"
    assert effects.keys == [key]


async def test_what_a_crash_left_open_and_that_is_another_call_by_now_is_not_asked_again(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    approval, effects = await _approved(queue, wanted), _Effects()
    await _left_begun(ledger, approval)
    entry = await _execute(ledger, approval, effects, idempotent=True, args={"order_id": "1043"})
    assert (entry.status, effects.keys) == ("outcome_unknown", [])
    done = await _approved(queue, wanted)
    await _execute(ledger, done, effects)
    with pytest.raises(Forbidden):
        await _execute(ledger, done, effects, args={"order_id": "1043"})
    assert len(effects.keys) == 1


async def test_what_was_begun_can_not_be_said_to_have_been_refused(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    approval = await _approved(queue, wanted)
    await _left_begun(ledger, approval)
    await ledger.refuse(approval.thread_id, approval.call.tool_call_id, "its tool is gone")
    assert (await queue.get(approval.approval_id)).execution == "not_started"
    told: list[tuple[str, str]] = []

    async def tell(tool: str, entry: Entry) -> None:
        told.append((tool, entry.approval_id))
        if len(told) == 1:
            raise ConnectionError("killed before it was marked")

    with pytest.raises(ConnectionError):
        await ledger.give_up(approval.thread_id, tell)
    await ledger.give_up(approval.thread_id, tell)
    await ledger.give_up(approval.thread_id, tell)
    assert told == [("cancel_order", approval.approval_id)] * 2
    assert (await queue.get(approval.approval_id)).execution == "outcome_unknown"


async def test_every_step_is_in_the_audit_trail(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted, state: StateDatabase
) -> None:
    approval = await _approved(queue, wanted)
    await _execute(ledger, approval, _Effects())
    rows = await state.execute("SELECT kind, digest FROM audit ORDER BY number")
    assert [row["kind"] for row in rows] == ["requested", "decided", "execution_begun", "execution_ended"]
    assert {row["digest"] for row in rows} == {approval.digest}


async def test_a_refusal_after_a_crash_says_nothing_of_the_first_attempt(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    approval = await _approved(queue, wanted)
    await _left_begun(ledger, approval)
    refuses = _Effects(ToolRefused("It is cancelled already."))
    assert (await _execute(ledger, approval, refuses, idempotent=True)).status == "outcome_unknown"


async def test_calls_that_are_resumed_together_are_begun_together_or_not_at_all(
    queue: ApprovalQueue, ledger: Ledger, wanted: Wanted
) -> None:
    first, second = await _approved(queue, wanted), await _approved(queue, wanted)
    pending = await queue.request(wanted())
    with pytest.raises(Forbidden):
        await ledger.begin_together([first, pending])
    assert await ledger.begun(first.thread_id) == []
    entries = await ledger.begin_together([first, second])
    assert [entry.fresh for entry in entries] == [True, True]
    again = await ledger.begin_together([first, second])
    assert [entry.fresh for entry in again] == [False, False]
    await ledger.finish_together(first.thread_id, [entries[0]], "outcome_unknown")
    await ledger.finish_together(first.thread_id, entries, "done")
    for approval, execution in ((first, "outcome_unknown"), (second, "done")):
        assert (await queue.get(approval.approval_id)).execution == execution
