"""Queue, desk, policy, limits and ledger under any interleaving of what people, clocks and crashes do.

Decisions, edits, claims, expiry, freezes, runs, kills in the midst of them, retries, recoveries and restarts.
"""

import asyncio
import dataclasses
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from smart_support import audit, clock
from smart_support.approvals.approval import Approval, Request
from smart_support.approvals.claims import CLAIM, Claims
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.ledger import Entry, Ledger
from smart_support.approvals.policy import Policy, Rule
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import HOUR, Quota
from smart_support.audit_consistency import differences
from smart_support.errors import (
    AlreadyClaimed,
    AlreadyDecided,
    ApprovalExpired,
    Forbidden,
    Frozen,
    InvalidRequest,
    NotFound,
    ToolRefused,
)
from smart_support.observability import log
from tests.support.examples import examples
from tests.support.planned_calls import planned
from tests.support.planned_calls import request as request_of
from tests.support.stores import state_of

TTL = 2 * CLAIM.total_seconds()
LIMIT = 3
ends = st.sampled_from(
    ["works", "refuses", "breaks", "is killed before", "is killed after", "is killed after"]
)


rarely = st.sampled_from([False, False, False, True])
POLICY = Policy(
    [
        Rule(tool="*", when="amount <= 10", then="run", because="small"),
        Rule(tool="*", when="amount > 100", then="two_leads"),
        Rule(tool="*", when="amount > 1000", then="never"),
    ]
)


class _Killed(BaseException):
    """What a kill looks like to the code it cuts off: nothing after it runs."""


class Approvals(RuleBasedStateMachine):
    """The real queue and ledger beside the simplest model of what they promise."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        log.configure("console", "error")
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self._open()
        self.calls: dict[str, Request] = {}
        self.outcomes: dict[str, str] = {}
        self.approved: dict[str, Request] = {}
        self.effects: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = defaultdict(set)
        self.begun: set[str] = set()
        self.claims: dict[str, tuple[str, datetime]] = {}
        self.counted: dict[str, datetime] = {}
        self.votes: dict[str, str] = {}
        self.forbidden = 0
        self.frozen: set[str] = set()
        self.seconds_left: dict[str, float] = {}
        self.paused: set[str] = set()

    def teardown(self) -> None:
        self.state.close()
        self.loop.close()
        shutil.rmtree(self.folder)
        clock.reset()
        log.configure("console", "info")  # as other tests expect it

    @initialize(target=asked)
    def one_is_approved(self) -> str:
        """Most steps then are about something that may run."""
        approval_id = self.ask(0, 50)
        self.decide(approval_id, "approve", "a")
        return approval_id

    @precondition(lambda self: len(self.calls) < 4)
    @rule(target=asked, number=st.integers(0, 3), amount=st.sampled_from([5, 50, 50, 500, 500]))
    def ask(self, number: int, amount: int) -> str:
        """As the gate does: judged first, then asked or let run."""
        need = POLICY.judge("cancel_order", {"amount": amount}, {"amount"}).need
        request = _request(number, need)
        grants = need == "run"
        put = self.queue.grant(request.call, request.thread_id) if grants else self.queue.request(request)
        approval_id = str(self._run(put).approval_id)
        self.calls[approval_id] = request
        self.seconds_left[approval_id] = TTL
        if self._is_frozen():
            self.paused.add(approval_id)
        if need == "run" and self._is_frozen():
            self.outcomes[approval_id] = "rejected"
        elif need == "run":
            self.outcomes[approval_id] = "approved"
            self.approved[approval_id] = request
        return approval_id

    @rule(scope=st.sampled_from(["all", "tool:cancel_order", "tool:other"]))
    def freeze(self, scope: str) -> None:
        self._run(self.freezes.freeze(scope, "why", by="a", via="rest"))
        self.frozen.add(scope)
        if self._is_frozen():
            self.paused |= {one for one in self.calls if self.seconds_left[one] > 0}

    @rule(scope=st.sampled_from(["all", "tool:cancel_order", "tool:other"]))
    def lift(self, scope: str) -> None:
        try:
            self._run(self.freezes.lift(scope, by="a", via="rest"))
        except NotFound:
            assert scope not in self.frozen
            return
        self.frozen.remove(scope)
        if not self._is_frozen():
            self.paused.clear()

    @rule(number=st.integers(0, 3))
    def forbid(self, number: int) -> None:
        """What is never allowed leaves a record and nothing that could run."""
        assert POLICY.judge("cancel_order", {"amount": 5000}, {"amount"}).need == "never"
        request = _request(number, "never")
        self._run(self.queue.forbid(request.call, request.thread_id))
        self.forbidden += 1
        try:
            self._run(self._execution("forbidden", request, "works"))
        except Forbidden:
            return
        raise AssertionError("a forbidden call ran")

    @rule(
        approval_id=asked,
        word=st.sampled_from(["approve", "approve", "edit", "reject"]),
        who=st.sampled_from("ab"),
    )
    def decide(self, approval_id: str, word: str, who: str) -> None:
        edit = planned(args={"order_id": "edited"}, summary="Edited", customer_id="C-2")
        made = DecisionInput(word, decided_by=who, via="rest")
        try:
            decided = self._run(self.queue.decide(approval_id, made, edit if word == "edit" else None))
        except AlreadyDecided:
            voted_before = self.votes.get(approval_id) == who and word == "approve"
            assert voted_before or self.outcomes[approval_id] != "expired"
            return
        except ApprovalExpired:
            assert self.outcomes.get(approval_id) == "expired" or self._is_overdue(approval_id)
            self.outcomes.setdefault(approval_id, "overdue")
            assert self.outcomes[approval_id] in ("expired", "overdue")
            return
        except InvalidRequest:
            assert (word, self.calls[approval_id].call.need) == ("edit", "two_leads")
            return
        except Forbidden:
            assert (word != "reject", who) == (True, self.calls[approval_id].asked_by)
            return
        self.claims.pop(approval_id, None)
        if decided.status == "pending":
            assert self.calls[approval_id].call.need == "two_leads"
            assert approval_id not in self.votes
            self.votes[approval_id] = who
            return
        if decided.is_approved and self.calls[approval_id].call.need == "two_leads":
            assert {self.votes[approval_id], who} == {"a", "b"}
        assert approval_id not in self.outcomes
        self.outcomes[approval_id] = decided.status
        if decided.is_approved:
            self.approved[approval_id] = self.calls[approval_id]
            if word == "edit":
                self.approved[approval_id] = _with(
                    self.calls[approval_id], args=edit.args, customer_id=edit.customer_id
                )

    @rule(approval_id=asked, who=st.sampled_from("ab"), release=st.booleans())
    def claim(self, approval_id: str, who: str, release: bool) -> None:
        work = (self.desk.release if release else self.desk.claim)(approval_id, by=who, via="rest")
        held = self._holder(approval_id)
        try:
            approval: Approval = self._run(work)
        except AlreadyClaimed:
            assert held not in (None, who)
            return
        except (AlreadyDecided, ApprovalExpired):
            assert self.outcomes[approval_id] != "overdue"
            return
        assert held in (None, who)
        if release:
            self.claims.pop(approval_id, None)
        else:
            self.claims[approval_id] = who, clock.parse(str(approval.claimed_until))

    @rule(number=st.integers(0, 7))
    def count(self, number: int) -> None:
        """A write of an agent that may make only so many an hour; the same call counts once."""
        call = f"call-{number}"
        known = call in self.counted
        within = sum(at > clock.now() - HOUR for at in self.counted.values())
        taken = self._run(self.quota.take("agent", LIMIT, "t", call))
        assert taken == (known or within < LIMIT)
        if taken and not known:
            self.counted = {one: at for one, at in self.counted.items() if at > clock.now() - HOUR}
            self.counted[call] = clock.now()

    @rule(seconds=st.sampled_from([1, 1, 1, TTL // 2, TTL]))
    def wait(self, seconds: float) -> None:
        clock.advance(seconds)
        for approval_id in self.calls.keys() - self.paused:
            self.seconds_left[approval_id] -= seconds

    @rule()
    def expire(self) -> None:
        waiting = {one for one in self.calls if self.outcomes.get(one, "overdue") == "overdue"}
        expired = self._run(self.queue.expire_due())
        assert {one.approval_id for one in expired} == {one for one in waiting if self._is_overdue(one)}
        for approval in expired:
            assert self.outcomes.get(approval.approval_id, "overdue") == "overdue"
            self.outcomes[approval.approval_id] = "expired"

    @rule(approval_id=asked, end=ends, changed=rarely)
    def execute(self, approval_id: str, end: str, changed: bool) -> None:
        request = self.approved.get(approval_id, self.calls[approval_id])
        if changed:
            request = _with(request, args={"order_id": "another"})
        allowed = approval_id in self.approved and not changed
        known = approval_id in self.begun
        try:
            entry = self._run(self._execution(approval_id, request, end))
        except Forbidden:
            assert not allowed
        except Frozen:
            assert allowed
            assert not known
            assert self._is_frozen()
            return
        except _Killed:
            assert allowed
            self._restart()
        else:
            assert allowed or (known and entry.status == "outcome_unknown")
            assert entry.status != "begun"
        assert known or approval_id not in self.begun or not self._is_frozen()

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0, 2), end=ends, changed=rarely)
    def try_again(self, which: int, end: str, changed: bool) -> None:
        """What was begun comes again, as after a crash: most of what can go wrong is here."""
        approval_id = sorted(self.begun)[which % len(self.begun)]
        self.execute(approval_id, end, changed=changed)

    @rule(approval_id=asked, killed=rarely)
    def recover(self, approval_id: str, killed: bool) -> None:
        """What will not be taken up again is told before it is marked, so a kill between leaves it to do."""
        told: set[str] = set()

        async def tell(_: str, entry: Entry) -> None:
            told.add(entry.approval_id)
            if killed:
                raise _Killed

        try:
            self._run(self.ledger.give_up(self.calls[approval_id].thread_id, tell))
        except _Killed:
            self._restart()
        assert told <= self.begun

    @rule()
    def restart(self) -> None:
        self._restart()

    @invariant()
    def nothing_runs_twice_or_without_approval(self) -> None:
        assert max(self.effects.values(), default=0) <= 1
        assert set(self.effects) <= set(self.approved)
        assert max(map(len, self.keys.values()), default=0) <= 1

    @invariant()
    def what_is_kept_is_what_was_decided(self) -> None:
        for approval_id in self.calls:
            kept = self._run(self.queue.get(approval_id))
            expected = self.outcomes.get(approval_id, "pending")
            assert kept.status == ("pending" if expected == "overdue" else expected)
            assert [vote["by"] for vote in kept.votes] == [*filter(None, [self.votes.get(approval_id)])]
            assert kept.holder in (None, self._holder(approval_id))
            bound = self.approved.get(approval_id, self.calls[approval_id])
            assert (kept.digest, kept.call.customer_id) == (_digest(bound), bound.call.customer_id)
            if kept.execution == "done":
                assert self.effects[approval_id] == 1
            elif kept.execution == "failed":
                assert self.effects[approval_id] == 0
            elif kept.execution == "outcome_unknown":
                assert approval_id in self.begun

    @invariant()
    def the_record_is_whole(self) -> None:
        rows = self.state.execute_now("SELECT * FROM audit ORDER BY number")
        assert audit.first_broken(rows) is None

        def read(sql: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
            return iter(self.state.execute_now(sql, params))

        assert list(differences(read, ())) == []
        assert sum(row["kind"] == "forbidden" for row in rows) == self.forbidden

    async def _execution(self, approval_id: str, request: Request, end: str) -> Entry:
        idempotent = _idempotent(request)

        async def run(key: str) -> Any:
            self.begun.add(approval_id)
            known = key in self.keys[approval_id]
            self.keys[approval_id].add(key)
            if end == "is killed before":
                raise _Killed
            if end == "refuses":
                raise ToolRefused("no")
            if end == "breaks":
                raise ConnectionError("gone")
            if not (idempotent and known and self.effects[approval_id]):
                self.effects[approval_id] += 1
            if end == "is killed after":
                raise _Killed
            return {"message": "done"}

        return await self.ledger.execute(
            thread_id=request.thread_id,
            tool_call_id=request.call.tool_call_id,
            tool=request.call.tool,
            digest=_digest(request),
            idempotent=idempotent,
            run=run,
        )

    def _open(self) -> None:
        self.state = state_of(self.folder)
        self.queue = ApprovalQueue(self.state, TTL)
        self.desk = Claims(self.state, self.queue)
        self.ledger = Ledger(self.state)
        self.quota = Quota(self.state)
        self.freezes = Freezes(self.state)

    def _is_frozen(self) -> bool:
        return not self.frozen.isdisjoint({"all", "tool:cancel_order"})

    def _is_overdue(self, approval_id: str) -> bool:
        return approval_id not in self.paused and self.seconds_left[approval_id] <= 0

    def _holder(self, approval_id: str) -> str | None:
        who, until = self.claims.get(approval_id, (None, clock.now()))
        return who if until > clock.now() and self.outcomes.get(approval_id, "overdue") == "overdue" else None

    def _restart(self) -> None:
        self.state.close()
        self._open()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)


def _digest(request: Request) -> str:
    return request.call.digest(request.thread_id)


def _with(request: Request, **fields: Any) -> Request:
    return dataclasses.replace(request, call=dataclasses.replace(request.call, **fields))


def _idempotent(request: Request) -> bool:
    """A tool's nature, which does not change: here every second thread's."""
    return request.thread_id in ("thread-1", "thread-3")


def _request(number: int, need: str) -> Request:
    return request_of(
        thread_id=f"thread-{number}",
        interrupt_id=clock.new_id(),
        tool="cancel_order",
        args={"order_id": str(number)},
        agent="order_actions",
        summary="Cancel",
        tool_call_id=clock.new_id(),
        tool_version="1",
        customer_id="C-1",
        need=need,
        asked_by="a" if number == 2 else "customer",
    )


Approvals.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
TestApprovals = pytest.mark.slow(Approvals.TestCase)
