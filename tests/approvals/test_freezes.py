"""Freezes: no write of a frozen scope begins, on any process; the time of approvals stands still."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from smart_support import audit, clock
from smart_support.approvals.approval import Approval, Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.freeze_scope import checked_scope
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.ledger import Entry, Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.audit_consistency import differences
from smart_support.errors import ApprovalExpired, Frozen, InvalidRequest, NotFound
from smart_support.storage.state.base import StateDatabase
from tests.support.planned_calls import planned, request
from tests.support.stores import state_of

BY = {"by": "dana", "via": "rest"}
APPROVE = DecisionInput("approve", decided_by="dana", via="rest")


@pytest.fixture
async def freezes(state: StateDatabase) -> AsyncIterator[Freezes]:
    yield Freezes(state)
    clock.reset()


async def _approved(queue: ApprovalQueue, **fields: Any) -> Approval:
    approval = await queue.request(request(**fields))
    return await queue.decide(approval.approval_id, APPROVE)


async def _execute(ledger: Ledger, approval: Approval, run: Any = None, *, idempotent: bool = False) -> Entry:
    async def works(_: str) -> str:
        return "done"

    return await ledger.execute(
        thread_id=approval.thread_id,
        tool_call_id=approval.call.tool_call_id,
        tool=approval.call.tool,
        digest=approval.digest,
        idempotent=idempotent,
        run=run or works,
    )


async def _check_record(state: StateDatabase) -> None:
    rows = await state.read("SELECT * FROM audit ORDER BY number")
    assert audit.first_broken(rows) is None

    def read(sql: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return iter(state.read_now(sql, params))

    assert list(differences(read, ())) == []


@pytest.mark.parametrize(
    ("scope", "is_frozen"),
    [
        ("all", True),
        ("agent:order_actions", True),
        ("tool:cancel_order", True),
        ("caller:bot", True),
        ("agent:cancel_order", False),
        ("tool:order_actions", False),
        ("caller:other", False),
    ],
)
async def test_a_scope_holds_its_own_calls(
    queue: ApprovalQueue, ledger: Ledger, freezes: Freezes, scope: str, is_frozen: bool
) -> None:
    approval = await _approved(queue, caller="bot")
    await freezes.freeze(scope, "why", **BY)
    if is_frozen:
        with pytest.raises(Frozen):
            await _execute(ledger, approval)
        with pytest.raises(Frozen):
            await ledger.begin_together([approval])
        assert (await queue.get(approval.approval_id)).execution == "not_started"
        await freezes.lift(scope, **BY)
    assert (await _execute(ledger, approval)).status == "done"


async def test_a_call_of_an_agent_is_in_no_callers_scope(
    queue: ApprovalQueue, ledger: Ledger, freezes: Freezes
) -> None:
    approval = await _approved(queue)
    await freezes.freeze("caller:order_actions", "why", **BY)
    assert (await _execute(ledger, approval)).status == "done"


@pytest.mark.parametrize(
    "scope",
    ["", "everything", "tool:", "tool: ", "agent", "Tool:x", "tool:a\nb", "caller:" + "x" * 200, None, 3],
)
def test_what_is_no_scope_is_refused(scope: Any) -> None:
    with pytest.raises(InvalidRequest, match="agent:NAME"):
        checked_scope(scope)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, None])
async def test_a_freeze_needs_a_reason(freezes: Freezes, reason: Any) -> None:
    with pytest.raises(InvalidRequest, match="reason"):
        await freezes.freeze("all", reason, **BY)
    assert await freezes.in_effect() == []


async def test_freezing_twice_keeps_the_first_and_both_are_on_record(
    freezes: Freezes, state: StateDatabase
) -> None:
    first = await freezes.freeze(" all ", " a pricing error ", **BY)
    second = await freezes.freeze("all", "me too", by="kim", via="console")
    assert (second.by, second.reason, second.since) == ("dana", "a pricing error", first.since)
    await freezes.lift("all", by="root", via="rest")
    with pytest.raises(NotFound):
        await freezes.lift("all", by="root", via="rest")
    rows = await state.read("SELECT kind, actor, via FROM audit ORDER BY number")
    assert [tuple(row.values()) for row in rows] == [
        ("frozen", "dana", "rest"),
        ("frozen_again", "kim", "console"),
        ("freeze_lifted", "root", "rest"),
    ]


async def test_a_begun_write_may_end_while_frozen(
    queue: ApprovalQueue, ledger: Ledger, freezes: Freezes
) -> None:
    approval, other = await _approved(queue), await _approved(queue)

    async def freezes_in_between(_: str) -> str:
        await freezes.freeze("all", "why", **BY)
        return "done"

    assert (await _execute(ledger, approval, freezes_in_between)).status == "done"
    await ledger.begin_together([approval])
    with pytest.raises(Frozen):
        await _execute(ledger, other)


async def test_what_a_crash_cut_off_after_its_intent_may_be_repeated_while_frozen(
    queue: ApprovalQueue, ledger: Ledger, freezes: Freezes
) -> None:
    approval = await _approved(queue)

    async def is_killed(_: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await _execute(ledger, approval, is_killed)
    await freezes.freeze("all", "why", **BY)
    assert (await _execute(ledger, approval, idempotent=True)).status == "done"


async def test_a_call_that_a_rule_would_run_is_rejected_as_frozen(
    queue: ApprovalQueue, freezes: Freezes, state: StateDatabase
) -> None:
    await freezes.freeze("all", "why", **BY)
    call = planned(need="run")
    rejected = await queue.grant(call, "t")
    assert (rejected.status, rejected.reason, rejected.decided_by) == ("rejected", "frozen", "policy")
    await freezes.lift("all", **BY)
    assert (await queue.grant(call, "t")).status == "rejected"
    assert await queue.not_resumed() == []
    await _check_record(state)


def _left(approval: Approval) -> float:
    return (clock.parse(approval.expires_at) - clock.now()).total_seconds()


async def test_time_stands_still_while_frozen(
    queue: ApprovalQueue, freezes: Freezes, state: StateDatabase
) -> None:
    before = await queue.request(request())
    clock.advance(20)
    await freezes.freeze("all", "why", **BY)
    during = await queue.request(request())
    other = await queue.request(request(interrupt_id="other"))
    assert during.paused_at is not None
    clock.advance(1000)
    assert await queue.expire_due() == []
    paused = await queue.get(before.approval_id)
    assert paused.expires_at == before.expires_at
    decided = await queue.decide(other.approval_id, DecisionInput("reject", decided_by="kim", via="rest"))
    assert decided.paused_at is None
    await freezes.lift("all", **BY)
    lifted = [await queue.get(one.approval_id) for one in (before, during)]
    assert [round(_left(one)) for one in lifted] == [40, 60]
    assert [one.paused_at for one in lifted] == [None, None]
    assert (await queue.get(other.approval_id)).expires_at == decided.expires_at
    clock.advance(41)
    assert [one.approval_id for one in await queue.expire_due()] == [before.approval_id]
    await _check_record(state)


async def test_freezes_that_overlap_count_once(queue: ApprovalQueue, freezes: Freezes) -> None:
    both = await queue.request(request())
    one = await queue.request(request(tool="refund_order"))
    await freezes.freeze("tool:cancel_order", "why", **BY)
    clock.advance(30)
    await freezes.freeze("all", "why", **BY)
    clock.advance(100)
    await freezes.lift("tool:cancel_order", **BY)
    assert (await queue.get(both.approval_id)).paused_at is not None
    clock.advance(100)
    await freezes.lift("all", **BY)
    left = [round(_left(await queue.get(approval.approval_id))) for approval in (both, one)]
    assert left == [60, 30]


async def test_a_freeze_brings_nothing_back_that_is_past_its_time(
    queue: ApprovalQueue, freezes: Freezes
) -> None:
    approval = await queue.request(request())
    clock.advance(61)
    await freezes.freeze("all", "why", **BY)
    with pytest.raises(ApprovalExpired):
        await queue.decide(approval.approval_id, APPROVE)
    assert [one.approval_id for one in await queue.expire_due()] == [approval.approval_id]


async def test_a_paused_approval_can_be_decided_and_withdrawn_past_its_old_time(
    queue: ApprovalQueue, freezes: Freezes
) -> None:
    approval = await queue.request(request())
    withdrawn = await queue.request(request(interrupt_id="i"))
    await freezes.freeze("all", "why", **BY)
    clock.advance(1000)
    assert (await queue.decide(approval.approval_id, APPROVE)).status == "approved"
    assert await queue.withdraw("t", "i", "no longer")
    assert (await queue.get(withdrawn.approval_id)).status == "withdrawn"


async def test_a_decision_is_parked_until_no_freeze_holds_it(
    queue: ApprovalQueue, freezes: Freezes, state: StateDatabase
) -> None:
    approval = await _approved(queue)
    assert not await queue.park(approval)
    await freezes.freeze("all", "why", **BY)
    await freezes.freeze("tool:cancel_order", "why", **BY)
    # Until it is parked, its turn has yet to record the decision.
    assert [one.approval_id for one in await queue.not_resumed()] == [approval.approval_id]
    assert await queue.park(approval)
    assert await queue.not_resumed() == []
    assert [(one.scope, one.parked, one.paused) for one in await freezes.in_effect()] == [
        ("all", 1, 0),
        ("tool:cancel_order", 1, 0),
    ]
    await freezes.lift("all", **BY)
    assert await queue.not_resumed(parked_only=True) == []
    await freezes.lift("tool:cancel_order", **BY)
    assert [one.approval_id for one in await queue.not_resumed(parked_only=True)] == [approval.approval_id]
    assert not await queue.park(approval)
    await queue.mark_resumed(approval.approval_id)
    assert not (await queue.get(approval.approval_id)).parked
    await _check_record(state)


async def test_a_refusal_and_a_begun_call_are_not_parked(
    queue: ApprovalQueue, ledger: Ledger, freezes: Freezes
) -> None:
    rejected = await queue.request(request(thread_id="other"))
    rejected = await queue.decide(
        rejected.approval_id, DecisionInput("reject", decided_by="dana", via="rest")
    )
    begun = await _approved(queue)
    await ledger.begin_together([begun])
    await freezes.freeze("all", "why", **BY)
    assert not await queue.park(rejected)
    assert not await queue.park(begun)


async def test_a_moved_approval_is_on_record(queue: ApprovalQueue, state: StateDatabase) -> None:
    approval = await _approved(queue)
    await queue.mark_resumed(approval.approval_id)
    moved = await queue.move(approval, "another")
    # A kill right after this must not leave it where nobody takes it up.
    assert [one.approval_id for one in await queue.not_resumed()] == [approval.approval_id]
    assert (moved.interrupt_id, moved.approval_id) == ("another", approval.approval_id)
    again = await queue.request(Request(call=approval.call, thread_id="t", interrupt_id="another"))
    assert again.approval_id == approval.approval_id
    await _check_record(state)


async def test_subscribers_hear_of_each_change_once_whoever_made_it(
    freezes: Freezes, state: StateDatabase
) -> None:
    heard: list[list[str]] = []
    freezes.subscribe(lambda now: heard.append([one.scope for one in now]))
    await freezes.freeze("all", "why", **BY)
    assert not await freezes.refresh()
    await Freezes(state).lift("all", by="root", via="command")
    assert await freezes.refresh()
    assert heard == [["all"], []]


async def _run_until(
    stop: threading.Event, ledger: Ledger, approvals: list[Approval], ran: Callable[[str], None]
) -> None:
    """Execute the approvals, each again while it is frozen."""
    for approval in approvals:
        while not stop.is_set():
            try:
                await _execute(ledger, approval)
            except Frozen:
                await asyncio.sleep(0)
            else:
                ran(approval.approval_id)
                break


async def test_no_write_begins_between_the_answer_of_a_freeze_and_its_end(tmp_path: Path) -> None:
    """Linearizable: however the transactions of several processes fall, the record shows none in between."""
    databases = [state_of(tmp_path) for _ in range(3)]
    queue, freezes = ApprovalQueue(databases[0], 60), Freezes(databases[0])
    approvals = [await _approved(queue, thread_id=f"t{number}") for number in range(36)]
    stop, done = threading.Event(), []
    workers = [
        threading.Thread(
            target=asyncio.run,
            args=(_run_until(stop, Ledger(database), approvals[number::3], done.append),),
        )
        for number, database in enumerate(databases)
    ]

    async def begun() -> int:
        rows = await databases[0].read("SELECT count(*) AS number FROM action_ledger")
        return int(rows[0]["number"])

    for worker in workers:
        worker.start()
    try:
        for _ in range(5):
            await freezes.freeze("all", "why", **BY)
            at_the_answer = await begun()
            await queue.request(request())  # a transaction of somebody else
            assert await begun() == at_the_answer
            await freezes.lift("all", **BY)
    except BaseException:
        stop.set()
        raise
    finally:
        for worker in workers:
            worker.join()
    assert sorted(done) == sorted(approval.approval_id for approval in approvals)
    rows = await databases[0].read("SELECT kind FROM audit ORDER BY number")
    is_frozen = False
    for row in rows:
        is_frozen = row["kind"] == "frozen" or (is_frozen and row["kind"] != "freeze_lifted")
        assert not (is_frozen and row["kind"] == "execution_begun")
    for database in databases:
        database.close()
