"""The queue: one winner, expiry, and a record that can't be changed unseen."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from smart_support import audit, clock
from smart_support.approvals.approval import Approval, Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.reader import ApprovalFilter
from smart_support.errors import AlreadyDecided, ApprovalExpired, InvalidRequest, NotFound
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import StateDatabase
from tests.support.planned_calls import planned

Make = Callable[..., Request]
NONE = planned(args={}, summary="")


async def _decide(
    queue: ApprovalQueue,
    approval_id: str,
    decision: str,
    edit: PlannedCall | None = None,
    reason: str | None = None,
) -> Approval:
    return await queue.decide(
        approval_id, DecisionInput(decision, decided_by="dana", via="rest", reason=reason), edit
    )


async def test_asking_twice_for_one_part_gives_the_first(queue: ApprovalQueue, wanted: Make) -> None:
    request = wanted()
    assert (await queue.request(request)).approval_id == (await queue.request(request)).approval_id
    assert len(await queue.list("pending")) == 1


async def test_exactly_one_of_many_decisions_wins(queue: ApprovalQueue, wanted: Make) -> None:
    for _ in range(20):
        approval = await queue.request(wanted())
        tried = await asyncio.gather(
            *(_decide(queue, approval.approval_id, word) for word in ["approve", "reject"] * 4),
            return_exceptions=True,
        )
        won = [result for result in tried if isinstance(result, Approval)]
        lost = [result for result in tried if isinstance(result, AlreadyDecided)]
        assert (len(won), len(lost)) == (1, 7)
        assert (await queue.get(approval.approval_id)).status == won[0].status
        assert "dana" in lost[0].message


async def test_an_edit_has_its_own_digest_and_keeps_the_original_call(
    queue: ApprovalQueue, wanted: Make
) -> None:
    asked = await queue.request(wanted())
    lines = [{"subject": "order 1046", "field": "status", "before": "processing", "after": "cancelled"}]
    edit = planned(args={"order_id": "1046"}, summary="Cancel 1046", customer_id="C-9", effect=lines)
    edited = await _decide(queue, asked.approval_id, "edit", edit=edit)
    assert (edited.status, edited.is_approved) == ("edited", True)
    assert (edited.call.args, edited.requested_args) == ({"order_id": "1046"}, {"order_id": "1042"})
    assert (edited.call.summary, edited.call.customer_id, edited.call.effect) == ("Cancel 1046", "C-9", lines)
    assert edited.digest != asked.digest
    recorded = (await queue.history(asked.approval_id))[-1]["detail"]
    assert (recorded["args"], recorded["args_before"]) == (edited.call.args, asked.call.args)
    assert (recorded["effect"], recorded["effect_before"]) == (lines, asked.call.effect)
    assert (recorded["customer_id"], recorded["customer_id_before"]) == ("C-9", "C-2001")
    assert recorded["digest_before"] == asked.digest


@pytest.mark.parametrize(
    ("decision", "more"),
    [
        ("maybe", {}),
        ("edit", {}),
        ("approve", {"edit": NONE}),
        ("reject", {"reason": "x" * 2001}),
        ("reject", {"reason": "\ud800"}),
    ],
)
async def test_a_decision_that_is_none_changes_nothing(
    queue: ApprovalQueue, wanted: Make, decision: str, more: dict[str, Any]
) -> None:
    approval = await queue.request(wanted())
    with pytest.raises(InvalidRequest):
        await _decide(queue, approval.approval_id, decision, **more)
    assert (await queue.get(approval.approval_id)).status == "pending"


async def test_what_is_unknown_is_not_found(queue: ApprovalQueue) -> None:
    with pytest.raises(NotFound):
        await _decide(queue, "nothing", "approve")


async def test_past_its_time_it_can_not_be_approved(queue: ApprovalQueue, wanted: Make) -> None:
    approval = await queue.request(wanted())
    clock.advance(61)
    with pytest.raises(ApprovalExpired):
        await _decide(queue, approval.approval_id, "approve")
    expired = await queue.expire_due()
    assert [one.approval_id for one in expired] == [approval.approval_id]
    assert await queue.expire_due() == []
    assert (await queue.get(approval.approval_id)).status == "expired"


async def test_waiting_ends_when_something_is_due(
    state: StateDatabase, queue: ApprovalQueue, wanted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, read = asyncio.Event(), state.read

    async def read_and_tell(*args: Any) -> Any:
        rows = await read(*args)
        looked.set()
        return rows

    monkeypatch.setattr(state, "read", read_and_tell)
    waiting = asyncio.create_task(queue.wait_until_due())
    await looked.wait()
    assert not waiting.done()
    short = ApprovalQueue(state, ttl_seconds=0.05)
    short.subscribe(queue.notify)
    await short.request(wanted())
    await asyncio.wait_for(waiting, 60)


async def test_watchers_hear_of_each_change(queue: ApprovalQueue, wanted: Make) -> None:
    heard: list[str] = []
    stop = queue.subscribe(lambda approval: heard.append(approval.status))
    approval = await queue.request(wanted())
    await _decide(queue, approval.approval_id, "reject")
    stop()
    await queue.request(wanted())
    assert heard == ["pending", "rejected"]


async def test_pages_follow_each_other_without_gap_or_repeat(queue: ApprovalQueue, wanted: Make) -> None:
    asked = [await queue.request(wanted(risk=risk)) for risk in ("low", "high", "medium", "low", "high") * 2]
    made, risks = [one.approval_id for one in asked], {one.approval_id: one.call.risk for one in asked}
    by_risk = {"high": 0, "medium": 1, "low": 2}
    expected = {
        "newest": made[::-1],
        "oldest": made,
        "risk": sorted(made, key=lambda one: (by_risk[risks[one]], one)),
        "decided": [made[place] for place in (8, 1, 5, 3, 2)],
    }
    for approval_id in expected["decided"][::-1]:
        await _decide(queue, approval_id, "reject")
    for sort, order in expected.items():
        found: list[str] = []
        cursor: str | None = None
        while cursor is not None or not found:
            page, cursor = await queue.find(ApprovalFilter(sort=sort, limit=3, cursor=cursor))  # type: ignore[arg-type]
            found += [one.approval_id for one in page]
        assert found == order


async def test_pages_by_amount_have_the_highest_of_each_currency_first_and_no_amount_last(
    queue: ApprovalQueue, wanted: Make
) -> None:
    euros = [{"amount_cents": minor, "currency": "EUR"} for minor in (500, 20, 900)]
    yen = [{"amount_minor": minor, "currency": "JPY"} for minor in (7000, 8000)]
    unknown = {"amount_cents": 7000}
    calls = (euros[0], {}, yen[0], euros[1], unknown, {}, euros[2], yen[1])
    made = [await queue.request(wanted(args=args)) for args in calls]
    ids = [one.approval_id for one in made]
    expected = [ids[place] for place in (6, 0, 3, 7, 2, 4, 1, 5)]
    for limit in (1, 2, 3, 8):
        listed: list[str] = []
        cursor: str | None = None
        while cursor is not None or not listed:
            selected = ApprovalFilter(status="pending", sort="amount", limit=limit, cursor=cursor)
            page, cursor = await queue.find(selected)
            listed += [one.approval_id for one in page]
        assert listed == expected
    assert (await queue.find(ApprovalFilter(sort="amount", status="rejected")))[0] == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"q": "1043"}, {"b"}),
        ({"q": "CANCEL"}, {"a", "b"}),
        ({"q": "100%"}, set()),
        ({"q": "_"}, {"a", "b", "c"}),
        ({"agent": "discount"}, {"c"}),
        ({"action": "cancel_order", "risk": "high"}, {"b"}),
        ({"customer_id": "C-1"}, {"a"}),
        ({"status": "expired"}, set()),
    ],
)
async def test_filters_and_words_find_what_they_say(
    queue: ApprovalQueue, wanted: Make, filters: dict[str, str], expected: set[str]
) -> None:
    coupon = {"agent": "discount", "tool": "generate_coupon", "summary": "Make a coupon of 10"}
    asked = {
        "a": wanted(customer_id="C-1"),
        "b": wanted(risk="high", args={"order_id": "1043"}, customer_id=None),
        "c": wanted(**coupon, args={"percent": 10}),
    }
    ids = {(await queue.request(request)).approval_id: name for name, request in asked.items()}
    found, _ = await queue.find(ApprovalFilter(**filters))  # type: ignore[arg-type]
    assert {ids[one.approval_id] for one in found} == expected


async def test_the_audit_trail_notices_a_changed_a_lost_and_a_moved_row(
    queue: ApprovalQueue, wanted: Make, state: StateDatabase
) -> None:
    for word in ("approve", "reject", "approve"):
        await _decide(queue, (await queue.request(wanted())).approval_id, word)
    rows = await state.execute("SELECT * FROM audit ORDER BY number")
    assert [row["kind"] for row in rows] == ["requested", "decided"] * 3
    assert audit.first_broken(rows) is None
    for place, row in enumerate(rows):
        changed = [*rows[:place], row | {"actor": "mallory"}, *rows[place + 1 :]]
        assert audit.first_broken(changed) == row["number"]
        if place < len(rows) - 1:
            lost = [*rows[:place], *rows[place + 1 :]]
            assert audit.first_broken(lost) == rows[place + 1]["number"]
