"""The approval queue: request, decide, expire, read, and notify listeners.

An approval is one row in the state database. Each change is one transaction with its audit row.
"""

import asyncio
import builtins
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, get_args

import orjson

from smart_support import audit, clock
from smart_support.approvals.approval import Approval, Request, Status
from smart_support.approvals.ceilings import Ceiling, take_places
from smart_support.approvals.decision import DecisionInput, check_edit_given
from smart_support.approvals.disabled_callers import check_enabled
from smart_support.approvals.duplicates import duplicate_key
from smart_support.approvals.freeze_scope import FROZEN, in_effect_query, is_frozen_sql
from smart_support.approvals.policy import BY_POLICY
from smart_support.approvals.reader import (
    ApprovalFilter,
    amounts_query,
    approval_of,
    load,
    only_row,
    page_by_amount,
    page_of,
    page_queries,
    with_decision,
)
from smart_support.audit_consistency import DECISION, recorded
from smart_support.errors import (
    AlreadyDecided,
    CallerDisabled,
    DecisionNotAllowed,
    Forbidden,
    InvalidRequest,
    LinkUsed,
)
from smart_support.gate.planned_call import PlannedCall
from smart_support.identity.account_names import BOTH, CUSTOMER, LOCAL_USER
from smart_support.identity.single_sign_on.people import people_named
from smart_support.identity.users import Accounts
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import (
    Connection,
    Frequent,
    Row,
    StateDatabase,
    in_clause,
    on_approval,
    on_thread,
)

log = get_logger()

_INSERT = """
    INSERT INTO approvals (approval_id, thread_id, interrupt_id, part, tool_call_id, customer_id, agent,
        action, args, requested_args, tool_version, digest, summary, effect, changed, risk, status,
        requested_at, expires_at, need, because, facts, asked_by, allowed, args_schema, target, caller,
        client, paused_at, approvers, expires_after, on_expiry, verified_customer)
    VALUES (:approval_id, :thread_id, :interrupt_id, :part, :tool_call_id, :customer_id, :agent, :action,
        :args, :args, :tool_version, :digest, :summary, :effect, :changed, :risk, 'pending',
        :requested_at, :expires_at, :need, :because, :facts, :asked_by, :allowed, :args_schema, :target,
        :caller, :client, :paused_at, :approvers, :expires_after, :on_expiry,
        :verified_customer)
    RETURNING *
"""
_USE_LINK = """
    INSERT INTO used_links (link_id, approval_id, used_by, used_at) VALUES (:link, :id, :by, :now)
    ON CONFLICT (link_id) DO NOTHING RETURNING link_id
"""
_VOTE = """
    UPDATE approvals SET votes = :votes, claimed_by = NULL, claimed_until = NULL WHERE approval_id = :id
    RETURNING *
"""
_DECIDE = Frequent(
    f"""UPDATE approvals SET {", ".join(f"{name} = :{name}" for name in DECISION)},
            claimed_by = NULL, claimed_until = NULL, paused_at = NULL
        WHERE approval_id = :approval_id AND status = 'pending'"""
)
# The calls of a conversation that were decided before may begin together with this one.
_IS_HELD = f"""
    EXISTS (SELECT 1 FROM approvals held
        WHERE held.status IN ('approved', 'edited') AND held.execution = 'not_started'
        AND NOT EXISTS (SELECT 1 FROM action_ledger begun
            WHERE begun.thread_id = held.thread_id AND begun.tool_call_id = held.tool_call_id)
        AND (held.approval_id = approvals.approval_id
            OR (held.thread_id = approvals.thread_id AND held.caller IS NULL AND approvals.caller IS NULL))
        AND {is_frozen_sql("held")})
"""
_PARK = f"""
    UPDATE approvals SET parked = 1, resumed = 0 WHERE approval_id = :id AND {_IS_HELD} RETURNING approval_id
"""


Relation = Literal["duplicate", "same_thread", "same_customer"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
MAX_RELATED = 20
# An approved call counts as the first of a possible duplicate for so long.
RECENT = timedelta(days=1)


class ApprovalQueue:
    """All approvals: requested, decided by one winner, expired."""

    def __init__(self, state: StateDatabase, ttl_seconds: float, accounts: Accounts | None = None) -> None:
        """`accounts`: who the names of deciders belong to; without it, each name is a person of its own."""
        self._state = state
        self._accounts = accounts or Accounts(None, "")
        self._ttl = timedelta(seconds=ttl_seconds)
        self._callbacks: set[Callable[[Approval], None]] = set()
        self._changed = asyncio.Event()

    async def request(self, request: Request) -> Approval:
        """Put a call on the queue; a second request for the same part of one interrupt returns the first."""
        on = [on_thread(request.thread_id)]
        approval, new = await self._state.transact(lambda c: self._request(c, request), on=on)
        if new:
            ids = {"approval_id": approval.approval_id, "agent": approval.call.agent}
            log.info("approval_requested", **ids, action=approval.call.tool)
            self.notify(approval)
        return approval

    async def grant(self, call: PlannedCall, thread_id: str, ceilings: Iterable[Ceiling] = ()) -> Approval:
        """Record a call that the policy lets run without a human: requested and approved at once.

        Granting the same call twice returns the first approval. Where its scope is frozen, it is rejected at
        once, with the reason `frozen`.

        Raises:
            CeilingReached: it is over one of these ceilings; nothing is on record.
        """
        among = tuple(ceilings)
        request = Request(call=call, thread_id=thread_id, interrupt_id=f"{BY_POLICY}:{call.tool_call_id}")

        def work(connection: Connection) -> Approval:
            approval, new = self._request(connection, request)
            if not new:
                return approval
            is_frozen = approval.paused_at is not None
            if not is_frozen:
                _take_places(connection, among, call, thread_id)
            outcome: tuple[Status, str | None] = (
                ("rejected", FROZEN) if is_frozen else ("approved", call.because)
            )
            granted = self._settle(connection, approval, outcome[0], BY_POLICY, BY_POLICY, outcome[1], None)
            # The turn that requested the call goes on with it directly.
            connection.execute(
                "UPDATE approvals SET resumed = 1 WHERE approval_id = :id", {"id": granted.approval_id}
            )
            return replace(granted, resumed=True)

        granted = await self._state.transact(work, on=[on_thread(thread_id), *_names(among)])
        event = "approval_granted" if granted.is_approved else "rejected_while_frozen"
        log.info(event, approval_id=granted.approval_id, action=granted.call.tool)
        self.notify(granted)
        return granted

    async def check_ceilings(self, call: PlannedCall, thread_id: str, ceilings: Iterable[Ceiling]) -> None:
        """Check that a granted call is still within the ceilings, which may have changed.

        Raises:
            CeilingReached: it is over one of them.
        """
        among = tuple(ceilings)
        on = [on_thread(thread_id), *_names(among)]
        await self._state.transact(lambda c: _take_places(c, among, call, thread_id), on=on)

    async def forbid(self, call: PlannedCall, thread_id: str) -> None:
        """Record a call that the policy forbids."""
        detail = {"action": call.tool, "args": dict(call.args), "because": call.because}
        await self._state.transact(
            lambda connection: audit.append(
                connection,
                "forbidden",
                actor=BY_POLICY,
                via=BY_POLICY,
                thread_id=thread_id,
                digest=call.digest(thread_id),
                detail=detail | {"agent": call.agent, "facts": dict(call.facts or {})},
            ),
            on=(),
        )

    async def decide(
        self, approval_id: str, decision: DecisionInput, edit: PlannedCall | None = None
    ) -> Approval:
        """Decide once: the first caller wins, and it is durable when this returns.

        Where several people are needed, each who approves is recorded, and the approval stays pending until
        there are enough: two leads, and somebody of each group of `approvers`. One person may stand for
        several groups. Anybody who may decide can reject.

        Args:
            edit: with decision `edit`, the edited call, checked by the caller; its `EDITED_FIELDS` are taken.

        Raises:
            AlreadyDecided, ApprovalExpired: someone or the clock was first; nothing was changed.
            NotFound: there is no such approval.
            InvalidRequest: an edit comes without what was edited, or another decision with it.
            DecisionNotAllowed: the requesting agent does not accept it.
            Forbidden: nobody approves their own request.
            LinkUsed: the link through which it comes was used before.
        """
        on = [on_approval(approval_id)]
        decided = await self._state.transact(lambda c: self._decide(c, approval_id, decision, edit), on=on)
        ids = {"thread_id": decided.thread_id, "approval_id": approval_id, "agent": decided.call.agent}
        log.info(
            "approval_decided", **ids, outcome=decided.status, via=decision.via, votes=len(decided.votes)
        )
        self.notify(decided)
        return decided

    async def undecided(self, approval_id: str) -> Approval:
        """The approval of that id, which can still be decided.

        Raises:
            AlreadyDecided, ApprovalExpired: it can't.
            NotFound: there is none.
        """
        return _checked_pending(await self.get(approval_id))

    async def get(self, approval_id: str) -> Approval:
        """The approval with that id.

        Raises:
            NotFound: there is none.
        """
        rows = await self._state.read("SELECT * FROM approvals WHERE approval_id = :id", {"id": approval_id})
        return approval_of(only_row(rows, approval_id))

    async def is_link_used(self, link_id: str) -> bool:
        """Whether somebody has decided through this link."""
        sql = "SELECT 1 FROM used_links WHERE link_id = :link"
        return bool(await self._state.read(sql, {"link": link_id}))

    async def find(self, selected: ApprovalFilter) -> tuple[builtins.list[Approval], str | None]:
        """One page, and the cursor of the next; None where this is the last.

        Raises:
            InvalidRequest: the status or the cursor is not valid.
        """
        if selected.sort == "amount":
            return await self._find_by_amount(selected)
        rows: builtins.list[Row] = []
        for sql, params in page_queries(selected, has_word_index=self._state.has_word_index):
            rows += await self._state.search(sql, params)
            if len(rows) > selected.limit:
                break
        return page_of(rows, selected.limit)

    async def _find_by_amount(self, selected: ApprovalFilter) -> tuple[builtins.list[Approval], str | None]:
        """As `find`. Amounts stand in arguments and facts, which no index has."""
        known = await self._state.search(*amounts_query(selected))
        ids, cursor = await asyncio.to_thread(page_by_amount, known, selected)
        among, params = in_clause("id", ids)
        rows = await self._state.search(f"SELECT * FROM approvals WHERE approval_id IN {among}", params)
        by_id = {row["approval_id"]: row for row in rows}
        return [approval_of(by_id[one]) for one in ids if one in by_id], cursor

    async def list(self, status: str | None = None, *, limit: int = 100) -> builtins.list[Approval]:
        """Approvals of one status, or of all, the newest first."""
        page, _ = await self.find(ApprovalFilter(status=status, limit=limit))
        return page

    async def recently_decided(self, limit: int) -> builtins.list[Approval]:
        """What people decided and what expired, the latest first, without what the policy let run."""
        rows = await self._state.read(
            """SELECT * FROM approvals WHERE status <> 'pending' AND need <> 'run'
               ORDER BY decided_at DESC LIMIT :limit""",
            {"limit": limit},
        )
        return [approval_of(row) for row in rows]

    async def of_thread(self, thread_id: str) -> builtins.list[Approval]:
        """Every approval of one thread, the oldest first."""
        rows = await self._state.read(
            "SELECT * FROM approvals WHERE thread_id = :thread_id ORDER BY approval_id",
            {"thread_id": thread_id},
        )
        return [approval_of(row) for row in rows]

    async def related(self, approval: Approval) -> builtins.list[tuple[Relation, Approval]]:
        """Other approvals that a person should see before deciding this one, the closest first.

        Possible duplicates that are pending or were approved within a day, then what else is pending in its
        conversation, then for its customer.
        """
        rows = await self._state.read(
            """SELECT approval_id, action, args, customer_id, thread_id, status FROM approvals
               WHERE status = 'pending' AND approval_id <> :id
               UNION ALL
               SELECT approval_id, action, args, customer_id, thread_id, status FROM approvals
               WHERE decided_at > :since AND status IN ('approved', 'edited') AND action = :action
                   AND approval_id <> :id""",
            {
                "id": approval.approval_id,
                "since": clock.rfc3339(clock.now() - RECENT),
                "action": approval.call.tool,
            },
        )
        related = [(relation, row["approval_id"]) for row in rows if (relation := _relation(row, approval))]
        related.sort(key=lambda one: (RELATIONS.index(one[0]), one[1]))
        closest = {approval_id: relation for relation, approval_id in related[:MAX_RELATED]}
        among, params = in_clause("id", closest)
        full = await self._state.read(f"SELECT * FROM approvals WHERE approval_id IN {among}", params)
        by_id = {row["approval_id"]: approval_of(row) for row in full}
        return [
            (relation, by_id[approval_id])
            for approval_id, relation in closest.items()
            if approval_id in by_id
        ]

    async def not_resumed(self, *, parked_only: bool = False) -> builtins.list[Approval]:
        """Decided or expired approvals that their conversations have not taken up, as after a crash.

        Parked calls are among them as soon as they are no longer frozen; with `parked_only`, nothing else is.
        """
        rows = await self._state.read(
            f"""SELECT * FROM approvals WHERE status <> 'pending' AND resumed = 0
                AND parked >= :parked AND NOT (parked = 1 AND {_IS_HELD}) ORDER BY approval_id""",
            {"parked": int(parked_only)},
        )
        return [approval_of(row) for row in rows]

    def wake(self) -> None:
        """Look again at when the next approval is due: a lifted freeze has given some their time back."""
        self._changed.set()

    async def park(self, approval: Approval) -> bool:
        """Park a decision if a call that would begin with it is frozen now; returns whether one is.

        Its conversation stops before the call, and takes the decision up when the freeze is lifted.
        """
        call = approval.call
        if not await self._state.read("SELECT 1 FROM freezes WHERE lifted_at IS NULL"):
            return False
        # In the same transaction as the freezes are looked at, so that none is lifted in between.
        on = [on_thread(approval.thread_id), on_approval(approval.approval_id)]
        parked = await self._state.transact(lambda c: c.execute(_PARK, {"id": approval.approval_id}), on=on)
        if parked:
            log.info("approval_parked", approval_id=approval.approval_id, action=call.tool)
            await self.changed(approval.approval_id)
        return bool(parked)

    async def move(self, approval: Approval, interrupt_id: str) -> Approval:
        """Bind an approved call that has not begun to the interrupt at which its graph waits now.

        Its conversation has yet to take the decision up there, also where it has done so before.
        """

        def work(connection: Connection) -> Approval:
            rows = connection.execute(
                """UPDATE approvals SET interrupt_id = :interrupt, resumed = 0 WHERE approval_id = :id
                   AND status IN ('approved', 'edited') AND execution = 'not_started' RETURNING *""",
                {"id": approval.approval_id, "interrupt": interrupt_id},
            )
            for row in rows:
                moved = {"interrupt_before": approval.interrupt_id}
                _record(
                    connection,
                    "moved",
                    row,
                    actor="system",
                    via="graph",
                    detail=moved,
                    columns=("interrupt_id",),
                )
            return approval_of(rows[0]) if rows else approval

        on = [on_thread(approval.thread_id), on_approval(approval.approval_id)]
        return await self._state.transact(work, on=on)

    async def history(self, approval_id: str) -> builtins.list[dict[str, Any]]:
        """The audit rows of one approval, the oldest first.

        Raises:
            NotFound: there is no such approval.
        """
        await self.get(approval_id)
        rows = await self._state.read(
            "SELECT at, kind, actor, via, digest, detail FROM audit WHERE approval_id = :id ORDER BY number",
            {"id": approval_id},
        )
        return [row | {"detail": _shown_detail(row["kind"], orjson.loads(row["detail"]))} for row in rows]

    async def expire_due(self) -> builtins.list[Approval]:
        """Expire what is past its time; each is returned once, to whoever expired it."""

        where = "status = 'pending' AND paused_at IS NULL AND expires_at <= :now"
        expired = await self._settle_all(where, {"now": clock.rfc3339(clock.now())}, "expired", "system")
        for approval in expired:
            ids = {"thread_id": approval.thread_id, "approval_id": approval.approval_id}
            log.info("approval_expired", **ids, agent=approval.call.agent, action=approval.call.tool)
            self.notify(approval)
        return expired

    async def withdraw(self, thread_id: str, interrupt_id: str, reason: str | None) -> bool:
        """Withdraw what an interrupt of a thread waits for, because the customer takes it back.

        Returns:
            Whether anything was withdrawn; not, if it was decided or has expired before.
        """

        where = """thread_id = :thread AND interrupt_id = :interrupt
            AND status = 'pending' AND (expires_at > :now OR paused_at IS NOT NULL)"""
        params = {"thread": thread_id, "interrupt": interrupt_id, "now": clock.rfc3339(clock.now())}
        withdrawn = await self._settle_all(where, params, "withdrawn", CUSTOMER, reason)
        for approval in withdrawn:
            log.info("approval_withdrawn", thread_id=thread_id, approval_id=approval.approval_id)
            self.notify(approval)
        return bool(withdrawn)

    async def wait_until_due(self) -> None:
        """Return when the next pending approval is due, having looked again at each change."""
        while True:
            self._changed.clear()
            rows = await self._state.read(
                "SELECT MIN(expires_at) AS next FROM approvals WHERE status = 'pending' AND paused_at IS NULL"
            )
            next_due = rows[0]["next"]
            seconds = (clock.parse(next_due) - clock.now()).total_seconds() if next_due else None
            if seconds is not None and seconds <= 0:
                return
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def mark_resumed(self, *approval_ids: str) -> None:
        """Record that the conversation has taken up these decisions."""
        among, params = in_clause("id", approval_ids)
        await self._state.execute(
            f"UPDATE approvals SET resumed = 1, parked = 0 WHERE approval_id IN {among}", params
        )

    async def changed(self, approval_id: str) -> Approval:
        """Notify the subscribers of a changed approval, and return it."""
        approval = await self.get(approval_id)
        self.notify(approval)
        return approval

    def notify(self, approval: Approval) -> None:
        """Call the subscribers with an approval as it is now."""
        self._changed.set()
        for callback in tuple(self._callbacks):
            callback(approval)

    def subscribe(self, callback: Callable[[Approval], None]) -> Callable[[], None]:
        """Call `callback` with every approval that changes from now on; returns a function that ends this."""
        self._callbacks.add(callback)
        return lambda: self._callbacks.discard(callback)

    def _request(self, connection: Connection, request: Request) -> tuple[Approval, bool]:
        """The approval of a request, and whether it is new."""
        rows = connection.execute(
            """SELECT * FROM approvals
               WHERE thread_id = :thread AND interrupt_id = :interrupt AND part = :part""",
            {"thread": request.thread_id, "interrupt": request.interrupt_id, "part": request.part},
        )
        if rows:
            return approval_of(rows[0]), False
        approval_id, now, call = clock.new_id(), clock.now(), request.call
        sql, scopes = in_effect_query(agent=call.agent, tool=call.tool, caller=call.caller)
        is_frozen = bool(connection.execute(sql, scopes))
        inserted = connection.execute(
            _INSERT,
            {
                "approval_id": approval_id,
                "thread_id": request.thread_id,
                "interrupt_id": request.interrupt_id,
                "part": request.part,
                "tool_call_id": call.tool_call_id,
                "customer_id": call.customer_id,
                "agent": call.agent,
                "action": call.tool,
                "args": _json(call.args),
                "tool_version": call.tool_version,
                "digest": call.digest(request.thread_id),
                "summary": call.summary,
                "effect": _json_or_null(call.effect),
                "changed": _json_or_null(call.changed),
                "risk": call.risk,
                "requested_at": clock.rfc3339(now),
                "expires_at": clock.rfc3339(now + self._time_for(call)),
                "approvers": _json(list(call.approvers)),
                "expires_after": call.expires_after,
                "on_expiry": call.on_expiry,
                "need": call.need or "ask",
                "because": call.because,
                "facts": _json_or_null(call.facts),
                "asked_by": request.asked_by,
                "allowed": _json(list(request.allowed)),
                "args_schema": _json_or_null(request.args_schema),
                "target": _json_or_null(call.target),
                "caller": call.caller,
                "client": _json_or_null(request.client),
                "paused_at": clock.rfc3339(now) if is_frozen else None,
                "verified_customer": _json_or_null(_verified_customer(connection, request.thread_id)),
            },
        )
        detail = {
            "action": call.tool,
            "args": dict(call.args),
            "effect": call.effect,
            "need": call.need or "ask",
            "asked_by": request.asked_by,
            "allowed": list(request.allowed),
        }
        row = inserted[0]
        _record(connection, "requested", row, actor=_requested_by(call), via="graph", detail=detail)
        return approval_of(row), True

    def _time_for(self, call: PlannedCall) -> timedelta:
        return self._ttl if call.expires_after is None else timedelta(seconds=call.expires_after)

    def _decide(
        self, connection: Connection, approval_id: str, decision: DecisionInput, edit: PlannedCall | None
    ) -> Approval:
        current = _checked_pending(load(connection, approval_id))
        status, by = decision.status, decision.decided_by
        if self._accounts.issuer:
            names = [by, current.asked_by, *(vote["by"] for vote in current.votes)]
            self._accounts.remember(people_named(connection, filter(None, names)))
        check_edit_given(status == "edited", edit)
        if decision.link_id:
            _use_link(connection, decision.link_id, approval_id, by)
        current.check_allows(decision.decision)
        if status != "rejected":
            _check_caller(connection, current)
        if status != "rejected" and self._is_own_request(current, by):
            raise Forbidden("You requested this. Another lead must approve.")
        if status != "rejected" and (current.call.need == "two_leads" or current.call.approvers):
            voters = [*self._voters(current), by]
            if status == "edited" and current.call.needs_several:
                needs = "two leads" if current.call.need == "two_leads" else "several people"
                raise InvalidRequest(
                    f"approval {approval_id}: it needs {needs}, who must see the same call; "
                    "reject it and have it asked with other arguments"
                )
            self._check_counts(current, by)
            if not self._is_enough(current.call, voters):
                return self._vote(connection, current, decision)
            by = BOTH.join(voters)
        return self._settle(connection, current, status, by, decision.via, decision.reason, edit)

    def _voters(self, approval: Approval) -> builtins.list[str]:
        """Who has approved so far. Counted again each time: somebody may have been removed since."""
        return [vote["by"] for vote in approval.votes if self._accounts.may_vote(vote["by"])]

    def _missing_groups(self, call: PlannedCall, voters: Iterable[str]) -> builtins.list[str]:
        return [
            group
            for group in call.approvers
            if not any(self._accounts.is_in_group(name, group) for name in voters)
        ]

    def _is_enough(self, call: PlannedCall, voters: Sequence[str]) -> bool:
        people = 2 if call.need == "two_leads" else 1
        return len(voters) >= people and not self._missing_groups(call, voters)

    def _check_counts(self, approval: Approval, by: str) -> None:
        """Check that somebody's approval brings this one closer to its end.

        Raises:
            Forbidden: it does not count, or not for what is missing.
            AlreadyDecided: they have approved it before.
        """
        call, approval_id = approval.call, approval.approval_id
        if not self._accounts.may_vote(by):
            needs = "two people" if call.need == "two_leads" else "a person"
            raise Forbidden(
                f"approval {approval_id}: it needs {needs}, each a lead who logs in; the API key "
                f"{by!r} counts as neither; users are added with python -m smart_support users add"
            )
        voters = self._voters(approval)
        for vote in approval.votes:
            if vote["by"] in voters and self._accounts.is_same_person(vote["by"], by):
                raise AlreadyDecided(approval_id, "approved once", vote["by"], clock.parse(vote["at"]))
        missing = self._missing_groups(call, voters)
        is_second = call.need == "two_leads" and len(voters) < 2
        if not is_second and not any(self._accounts.is_in_group(by, group) for group in missing):
            raise Forbidden(
                f"approval {approval_id}: somebody of {' and of '.join(missing)} has to approve it, and "
                f"{by} is not; groups are in the users file or come from the identity provider"
            )

    def _is_own_request(self, approval: Approval, by: str) -> bool:
        """Whether `by` decides on their own request; known only where people log in."""
        asked_by = approval.asked_by
        return asked_by is not None and by != LOCAL_USER and self._accounts.is_same_person(asked_by, by)

    def _identities(self, names: Iterable[str]) -> dict[str, Any]:
        """For the audit trail: issuer and subject of each of them who logs in with the identity provider."""
        known = {name: self._accounts.identity_of(name) for name in names}
        identities = [{"name": name, **identity} for name, identity in known.items() if identity]
        return {"identities": identities} if identities else {}

    def _vote(self, connection: Connection, current: Approval, decision: DecisionInput) -> Approval:
        by, via, reason = decision.decided_by, decision.via, decision.reason
        vote = {"by": by, "via": via, "at": clock.rfc3339(clock.now()), "reason": reason}
        counted = self._voters(current)
        votes = [*(one for one in current.votes if one["by"] in counted), vote]
        row = connection.execute(_VOTE, {"id": current.approval_id, "votes": _json(votes)})[0]
        _record(
            connection,
            "approved_once",
            row,
            actor=by,
            via=via,
            detail={"reason": reason, **self._identities([by])},
            columns=("votes",),
        )
        return approval_of(row)

    async def _settle_all(
        self, where: str, params: Row, status: Status, by: str, reason: str | None = None
    ) -> builtins.list[Approval]:
        """Settle all approvals that a condition holds for; each is returned by whoever settled it."""
        sql = f"SELECT * FROM approvals WHERE {where}"
        ids = [row["approval_id"] for row in await self._state.read(sql, params)]
        among, listed = in_clause("id", ids)

        def work(connection: Connection) -> builtins.list[Approval]:
            # Somebody may have decided since they were read.
            rows = connection.lock_rows(f"{sql} AND approval_id IN {among}", {**params, **listed})
            return [self._settle(connection, approval_of(row), status, by, by, reason, None) for row in rows]

        return await self._state.transact(work, on=map(on_approval, ids)) if ids else []

    def _settle(
        self,
        connection: Connection,
        current: Approval,
        status: Status,
        by: str,
        via: str,
        reason: str | None,
        edit: PlannedCall | None,
    ) -> Approval:
        """Write a decision; nobody else can change the approval meanwhile.

        Args:
            current: pending, and its row is locked or inserted by this transaction.
        """
        before = current.call
        # The tool and its version are always those that were requested.
        final = before.edited(edit.edited_fields()) if edit else before
        detail = {"outcome": status, "reason": reason, "args": dict(final.args), "effect": final.effect}
        detail |= self._identities(by.split(BOTH))
        if edit:
            detail |= {
                "args_before": dict(before.args),
                "digest_before": current.digest,
                "effect_before": before.effect,
                "customer_id": final.customer_id,
                "customer_id_before": before.customer_id,
            }
        written = connection.as_stored(
            {
                "status": status,
                "execution": "not_started" if status in ("approved", "edited") else None,
                "args": _json(final.args),
                "digest": final.digest(current.thread_id),
                "summary": final.summary,
                "customer_id": final.customer_id,
                "effect": _json_or_null(final.effect),
                "facts": _json_or_null(final.facts),
                "decided_at": clock.rfc3339(clock.now()),
                "decided_by": by,
                "decided_via": via,
                "reason": reason,
                "event_id": clock.new_id(),
            }
        )
        connection.execute(_DECIDE, written | {"approval_id": current.approval_id})
        _record(
            connection,
            "decided",
            {"approval_id": current.approval_id, "thread_id": current.thread_id, **written},
            actor=by,
            via=via,
            detail=detail,
            columns=DECISION,
            event_id=written["event_id"],
        )
        return with_decision(current, written)


def _names(ceilings: Iterable[Ceiling]) -> builtins.list[str]:
    """The names of what is counted under ceilings, for a transaction."""
    return [f"ceiling {one.rule}" for one in ceilings]


def _use_link(connection: Connection, link_id: str, approval_id: str, by: str) -> None:
    """Use up a link, in the transaction of the decision that comes through it.

    Raises:
        LinkUsed: it was used before.
    """
    use = {"link": link_id, "id": approval_id, "by": by, "now": clock.rfc3339(clock.now())}
    if not connection.execute(_USE_LINK, use):
        raise LinkUsed("This link has been used. Open the console to decide.")


def _requested_by(call: PlannedCall) -> str:
    """The actor of a request in the audit trail."""
    return f"caller:{call.caller}" if call.caller else f"agent:{call.agent}"


def _relation(row: Row, approval: Approval) -> Relation | None:
    """How the call of a row is related to an approval."""
    call = approval.call
    if row["action"] == call.tool:
        ids = {"customer_id": row["customer_id"], "thread_id": row["thread_id"]}
        if duplicate_key(call.tool, orjson.loads(row["args"]), **ids) == approval.duplicate_key:
            return "duplicate"
    if row["status"] != "pending":
        return None
    if row["thread_id"] == approval.thread_id:
        return "same_thread"
    is_same = call.customer_id is not None and row["customer_id"] == call.customer_id
    return "same_customer" if is_same else None


def _record(
    connection: Connection,
    kind: str,
    row: Row,
    *,
    actor: str,
    via: str,
    detail: dict[str, Any],
    columns: Iterable[str] | None = None,
    event_id: str | None = None,
) -> None:
    """Put on record what a step has written into an approval's row, which is given as it is now."""
    written = recorded("approval", row, columns)
    audit.append(
        connection,
        kind,
        actor=actor,
        via=via,
        thread_id=row["thread_id"],
        approval_id=row["approval_id"],
        digest=row["digest"],
        event_id=event_id,
        fields=written["fields"],
        detail=detail | written["detail"],
    )


def _verified_customer(connection: Connection, thread_id: str) -> dict[str, str] | None:
    """Whom a conversation is bound to."""
    rows = connection.execute(
        """SELECT bound_customer AS id, bound_name AS name, bound_email AS email FROM sessions
           WHERE thread_id = :thread AND bound_customer IS NOT NULL""",
        {"thread": thread_id},
    )
    return {name: value for name, value in rows[0].items() if value} if rows else None


def _take_places(
    connection: Connection, ceilings: Iterable[Ceiling], call: PlannedCall, thread_id: str
) -> None:
    facts = {**call.args, **(call.facts or {})}
    take_places(
        connection,
        ceilings,
        thread_id=thread_id,
        tool_call_id=call.tool_call_id,
        facts=facts,
        caller=call.caller,
        customer_id=call.customer_id,
    )


def _checked_pending(current: Approval) -> Approval:
    """The same approval; raises where it is decided or expired."""
    if current.status != "pending":
        raise current.refusal()
    if current.paused_at is None and clock.parse(current.expires_at) <= clock.now():
        # The clock was first, though the background task has yet to write it down.
        raise replace(current, status="expired").refusal()
    return current


def _check_caller(connection: Connection, current: Approval) -> None:
    """Check that the call of an approval may run: not while its caller is disabled."""
    try:
        check_enabled(connection, current.call.caller)
    except CallerDisabled as disabled:
        raise DecisionNotAllowed(
            f"approval {current.approval_id}: {current.call.caller} is disabled, so its call can't be "
            "approved. Enable it again, or reject the call. Nothing was changed."
        ) from disabled


def _shown_detail(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    """The detail of an audit row without `stored`, which is for `audit verify`.

    Of a request, what its client said of itself is taken from there.
    """
    stored = detail.pop("stored", {})
    if kind == "requested" and (client := stored.get("approval", {}).get("client")):
        detail["client"] = orjson.loads(client)
    return detail


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _json_or_null(value: Any) -> str | None:
    return None if value is None else _json(value)
