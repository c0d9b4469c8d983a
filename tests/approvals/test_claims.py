"""Working in the queue together: claims that lapse, notes that stay, and a history of it all."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from smart_support import clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.claims import CLAIM, Claims
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import AlreadyClaimed, AlreadyDecided, Forbidden, InvalidRequest, NotFound
from smart_support.identity.users import Accounts
from smart_support.storage.state.base import StateDatabase
from tests.approvals.test_queue import Make
from tests.support.passwords import hash_password
from tests.support.planned_calls import planned

HASH = hash_password("correct horse")
EDIT = planned(args={"order_id": "2"}, summary="Cancel order 2")


@pytest.fixture
def claims(state: StateDatabase, queue: ApprovalQueue) -> Claims:
    return Claims(state, queue)


async def test_a_claim_is_seen_and_lapses(state: StateDatabase, wanted: Make) -> None:
    queue = ApprovalQueue(state, ttl_seconds=3600)
    claims, approval = Claims(state, queue), await queue.request(wanted())
    told: list[Approval] = []
    queue.subscribe(told.append)
    await claims.claim(approval.approval_id, by="dana", via="rest")
    assert told[-1].holder == "dana"
    with pytest.raises(AlreadyClaimed, match="dana is at work on it until"):
        await claims.claim(approval.approval_id, by="kim", via="rest")
    with pytest.raises(AlreadyClaimed):
        await claims.release(approval.approval_id, by="kim", via="rest")
    clock.advance(CLAIM.total_seconds())
    assert (await claims.claim(approval.approval_id, by="kim", via="rest")).holder == "kim"
    assert (await claims.release(approval.approval_id, by="kim", via="rest")).holder is None
    assert (await claims.release(approval.approval_id, by="dana", via="rest")).holder is None


async def test_a_claim_keeps_nobody_from_deciding_and_ends_with_it(
    claims: Claims, queue: ApprovalQueue, wanted: Make
) -> None:
    approval = await queue.request(wanted())
    await claims.claim(approval.approval_id, by="dana", via="rest")
    decided = await queue.decide(approval.approval_id, DecisionInput("approve", decided_by="kim", via="rest"))
    assert (decided.status, decided.decided_by, decided.holder) == ("approved", "kim", None)
    with pytest.raises(AlreadyDecided):
        await claims.claim(approval.approval_id, by="dana", via="rest")


async def test_the_history_tells_everything_in_its_order(
    claims: Claims, queue: ApprovalQueue, wanted: Make
) -> None:
    approval = await queue.request(wanted())
    await claims.claim(approval.approval_id, by="dana", via="console")
    noted = await claims.note(approval.approval_id, " called the customer ", by="dana", via="console")
    assert noted.notes == 1
    await queue.decide(
        approval.approval_id, DecisionInput("reject", decided_by="dana", via="rest", reason="no")
    )
    history = await queue.history(approval.approval_id)
    assert [row["kind"] for row in history] == ["requested", "claimed", "noted", "decided"]
    assert history[2]["detail"] == {"text": "called the customer"}
    assert (history[3]["actor"], history[3]["via"], history[3]["detail"]["reason"]) == ("dana", "rest", "no")


async def test_bad_notes_and_unknown_approvals_are_refused(
    claims: Claims, queue: ApprovalQueue, wanted: Make
) -> None:
    approval = await queue.request(wanted())
    for text in ("", " \n", "x" * 2001, "\ud800"):
        with pytest.raises(InvalidRequest):
            await claims.note(approval.approval_id, text, by="dana", via="rest")
    with pytest.raises(NotFound):
        await claims.claim("nothing", by="dana", via="rest")
    with pytest.raises(NotFound):
        await queue.history("nothing")


async def test_two_leads_are_two_people(queue: ApprovalQueue, wanted: Make) -> None:
    approval_id = (await queue.request(wanted(need="two_leads"))).approval_id
    first = await queue.decide(approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
    assert (first.status, first.execution) == ("pending", None)
    with pytest.raises(AlreadyDecided, match="already approved once by dana"):
        await queue.decide(approval_id, DecisionInput("approve", decided_by="dana", via="socket"))
    with pytest.raises(InvalidRequest, match="needs two leads"):
        await queue.decide(approval_id, DecisionInput("edit", decided_by="kim", via="rest"), edit=EDIT)
    second = await queue.decide(approval_id, DecisionInput("approve", decided_by="kim", via="rest"))
    assert (second.status, second.decided_by, second.execution) == ("approved", "dana and kim", "not_started")
    kinds = [row["kind"] for row in await queue.history(approval_id)]
    assert kinds == ["requested", "approved_once", "decided"]


@pytest.fixture
def accounts(tmp_path: Path) -> Callable[..., Accounts]:
    """Makes accounts: people by name and role, and keys as `API_KEYS` has them."""

    def make(keys: str = "", **roles: str) -> Accounts:
        path = tmp_path / "users.yaml"
        entries = [{"name": name, "role": role, "password_hash": HASH} for name, role in roles.items()]
        path.write_text(yaml.safe_dump(entries))
        return Accounts(path if entries else None, keys)

    return make


async def test_an_api_key_is_no_second_person_nor_a_first(
    state: StateDatabase, wanted: Make, accounts: Callable[..., Accounts]
) -> None:
    keys = "nightly:lead:nightly-key-1,lena/laptop:admin:laptop-key-1"
    queue = ApprovalQueue(state, 60, accounts(keys, lena="lead", omar="lead"))
    approval_id = (await queue.request(wanted(need="two_leads"))).approval_id
    for key in ("nightly", "lena/laptop"):
        with pytest.raises(Forbidden, match=f"the API key '{key}' counts as neither"):
            await queue.decide(approval_id, DecisionInput("approve", decided_by=key, via="rest"))
    first = await queue.decide(approval_id, DecisionInput("approve", decided_by="lena", via="console"))
    assert [vote["by"] for vote in first.votes] == ["lena"]
    for key in ("nightly", "lena/laptop"):
        with pytest.raises(Forbidden, match="counts as neither"):
            await queue.decide(approval_id, DecisionInput("approve", decided_by=key, via="rest"))
    decided = await queue.decide(approval_id, DecisionInput("approve", decided_by="omar", via="console"))
    assert (decided.status, decided.decided_by) == ("approved", "lena and omar")


async def test_keys_alone_can_not_meet_a_rule_of_two_leads_but_can_reject(
    state: StateDatabase, wanted: Make, accounts: Callable[..., Accounts]
) -> None:
    queue = ApprovalQueue(state, 60, accounts("one:lead:first-key-1,two:admin:second-key-1"))
    approval_id = (await queue.request(wanted(need="two_leads"))).approval_id
    for key in ("one", "two"):
        with pytest.raises(Forbidden, match="two people, each a lead who logs in"):
            await queue.decide(approval_id, DecisionInput("approve", decided_by=key, via="rest"))
    assert (await queue.get(approval_id)).votes == []
    assert (
        await queue.decide(approval_id, DecisionInput("reject", decided_by="one", via="rest"))
    ).status == "rejected"


@pytest.mark.parametrize("now", [{}, {"lena": "operator"}])
async def test_the_vote_of_a_lead_who_is_none_any_more_does_not_count(
    state: StateDatabase, wanted: Make, accounts: Callable[..., Accounts], now: dict[str, str]
) -> None:
    before = ApprovalQueue(state, 60, accounts(lena="lead", omar="lead"))
    approval_id = (await before.request(wanted(need="two_leads"))).approval_id
    await before.decide(approval_id, DecisionInput("approve", decided_by="lena", via="console"))
    after = ApprovalQueue(state, 60, accounts(omar="lead", mia="lead", **now))
    counted = await after.decide(approval_id, DecisionInput("approve", decided_by="omar", via="console"))
    assert (counted.status, [vote["by"] for vote in counted.votes]) == ("pending", ["omar"])
    decided = await after.decide(approval_id, DecisionInput("approve", decided_by="mia", via="console"))
    assert (decided.status, decided.decided_by) == ("approved", "omar and mia")
    told = [row["actor"] for row in await after.history(approval_id) if row["kind"] == "approved_once"]
    assert told == ["lena", "omar"]


@pytest.mark.parametrize(
    ("asker", "decider"),
    [("lena/laptop", "lena"), ("lena", "lena/laptop"), ("Lena", "lena"), ("l\u0435na/old", "lena")],
)
async def test_nobody_approves_what_their_own_key_asked_for(
    state: StateDatabase, wanted: Make, accounts: Callable[..., Accounts], asker: str, decider: str
) -> None:
    queue = ApprovalQueue(state, 60, accounts("lena/laptop:lead:laptop-key-1", lena="lead", omar="lead"))
    approval_id = (await queue.request(wanted(asked_by=asker))).approval_id
    with pytest.raises(Forbidden, match="You requested this"):
        await queue.decide(approval_id, DecisionInput("approve", decided_by=decider, via="rest"))
    assert (
        await queue.decide(approval_id, DecisionInput("approve", decided_by="omar", via="rest"))
    ).status == "approved"


async def test_one_no_is_enough_where_two_leads_are_needed(queue: ApprovalQueue, wanted: Make) -> None:
    approval_id = (await queue.request(wanted(need="two_leads"))).approval_id
    await queue.decide(approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
    decided = await queue.decide(approval_id, DecisionInput("reject", decided_by="dana", via="rest"))
    assert (decided.status, decided.decided_by) == ("rejected", "dana")


async def test_nobody_approves_what_they_asked_for(queue: ApprovalQueue, wanted: Make) -> None:
    approval_id = (await queue.request(wanted(asked_by="dana"))).approval_id
    for decision, edit in (("approve", None), ("edit", EDIT)):
        with pytest.raises(Forbidden, match="You requested this"):
            await queue.decide(approval_id, DecisionInput(decision, decided_by="dana", via="rest"), edit=edit)
    assert (
        await queue.decide(approval_id, DecisionInput("approve", decided_by="kim", via="rest"))
    ).status == "approved"
    own = (await queue.request(wanted(asked_by="dana"))).approval_id
    assert (
        await queue.decide(own, DecisionInput("reject", decided_by="dana", via="rest"))
    ).status == "rejected"
