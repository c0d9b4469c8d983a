"""The outbox: which notifications wait, and what became of those that were sent.

It is filled from the audit trail, which has a row for each fact in the fact's own transaction, and from
escalations, which are marked in theirs. So no fact is without its notifications, however it came about and
whenever the process ends.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import orjson

from smart_support import clock
from smart_support.errors import NotFound
from smart_support.notifications.targets import Event, Target
from smart_support.storage.state.base import Connection, Row, StateDatabase, in_clause

Status = Literal["waiting", "delivered", "failed", "skipped"]
# A notification before an approval expires: so long before, or halfway where it has less than twice that.
EXPIRES_SOON = timedelta(minutes=5)
# Rows of the audit trail in one transaction, because others wait for it.
AT_ONCE = 100
MAX_ROWS = 500
# What an erased approval says in place of its summary.
_ERASED = "(erased)"
_IDS = uuid.UUID("6d0d4a6b-52f1-4c58-9b0c-0a4f9b6f3f0e")
_EVENT_OF_KIND: dict[str, Event] = {
    "requested": "approval.requested",
    "decided": "approval.decided",
    "frozen": "frozen",
}
_NEWS = """
    SELECT (SELECT audit_number FROM notification_progress WHERE name = 'audit') AS recorded,
        (SELECT coalesce(max(number), 0) FROM audit) AS newest,
        (SELECT count(*) FROM escalations WHERE announced = 0) AS escalations
"""
_ENTRIES = """
    SELECT number, kind, approval_id FROM audit
    WHERE number > :after AND number <= :until AND kind IN ('requested', 'decided', 'frozen') ORDER BY number
"""
_EXPIRING = """
    SELECT approval_id, requested_at, expires_at FROM approvals
    WHERE status = 'pending' AND paused_at IS NULL AND expires_at > :now AND expires_at <= :soon
        AND NOT EXISTS (SELECT 1 FROM notifications
            WHERE subject = approvals.approval_id AND event = 'approval.expiring')
    ORDER BY approval_id LIMIT 500
"""
_APPROVALS = "SELECT approval_id, thread_id, agent, action, risk, need, approvers, summary FROM approvals"
_INSERT = """
    INSERT INTO notifications (notification_id, target, recipient, event, subject, thread_id, status,
        recorded_at, due_at)
    VALUES (:id, :target, :recipient, :event, :subject, :thread_id, 'waiting', :now, :now)
    ON CONFLICT (notification_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification for one recipient, and the state of its delivery.

    Attributes:
        subject: the id of the approval or the escalation, or the number of the freeze's row in the audit.
        status: `waiting`, then `delivered`, or `failed` when no attempt is left; `skipped` where it was out
            of date before it could be sent.
        attempts: how often it was sent since it was recorded or sent again by hand.
        error: why the last attempt failed.
        digest: the message that it is a part of.
        due_at: when it is sent next, while it waits.
    """

    notification_id: str
    target: str
    recipient: str
    event: Event
    subject: str
    thread_id: str | None
    status: Status
    attempts: int
    error: str | None
    digest: str | None
    recorded_at: str
    due_at: str
    tried_at: str | None
    delivered_at: str | None

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class Outbox:
    """Records notifications, and what became of them."""

    def __init__(self, state: StateDatabase, targets: Sequence[Target]) -> None:
        self._state = state
        self._targets = targets

    async def record(self) -> bool:
        """Record what is new; returns whether there may be more."""
        (news,) = await self._state.read(_NEWS)
        is_new = news["recorded"] != news["newest"] or bool(news["escalations"])
        expiring = await self._expiring()
        if not is_new and not expiring:
            return False
        work = partial(self._record, expiring=expiring)
        return await self._state.transact(work, on=["notifications"])

    async def begin(self) -> None:
        """Record what happens from now on, or go on where the last process ended.

        Without targets this is forgotten, so that later ones are not told what happened meanwhile.
        """
        if not self._targets:
            await self._state.execute("DELETE FROM notification_progress")
            return
        (news,) = await self._state.read(_NEWS)
        if news["recorded"] is None:
            await self._state.transact(partial(self._record, expiring=()), on=["notifications"])

    async def lanes(self) -> set[tuple[str, str]]:
        """The targets and recipients for which something is due."""
        rows = await self._state.read(
            """SELECT DISTINCT target, recipient FROM notifications
               WHERE status = 'waiting' AND due_at <= :now""",
            {"now": clock.rfc3339(clock.now())},
        )
        return {(row["target"], row["recipient"]) for row in rows}

    async def due(self, target: str, recipient: str) -> list[Notification]:
        """What is due for one recipient, the oldest first."""
        rows = await self._state.read(
            """SELECT * FROM notifications WHERE status = 'waiting' AND due_at <= :now
                   AND target = :target AND recipient = :recipient
               ORDER BY recorded_at, notification_id LIMIT :limit""",
            {
                "now": clock.rfc3339(clock.now()),
                "target": target,
                "recipient": recipient,
                "limit": MAX_ROWS,
            },
        )
        return [_notification(row) for row in rows]

    async def join(self, ids: Collection[str], digest: str) -> None:
        """Make these a part of one message, which then has the same id in each attempt."""
        among, params = in_clause("id", ids)
        sql = f"UPDATE notifications SET digest = :digest WHERE notification_id IN {among}"
        await self._state.execute(sql, params | {"digest": digest})

    async def finish(
        self,
        ids: Collection[str],
        status: Status,
        *,
        error: str | None = None,
        reference: str | None = None,
        due_after: float = 0,
    ) -> None:
        """Record what came of an attempt.

        Args:
            status: `waiting` for another attempt after `due_after` seconds.
            reference: names the message at the receiver, if it can be updated.
        """
        now, (among, params) = clock.now(), in_clause("id", ids)
        await self._state.execute(
            f"""UPDATE notifications SET status = :status, attempts = attempts + :tried, error = :error,
                    reference = coalesce(:reference, reference), tried_at = :now, due_at = :due,
                    delivered_at = CASE WHEN :status = 'delivered' THEN :now ELSE delivered_at END
                WHERE notification_id IN {among}""",
            params
            | {
                "status": status,
                "tried": int(status != "skipped"),
                "error": error,
                "reference": reference,
                "now": clock.rfc3339(now),
                "due": clock.rfc3339(now + timedelta(seconds=due_after)),
            },
        )

    async def references(self, target: str, approval_ids: Collection[str]) -> dict[str, list[str]]:
        """The messages about approvals that a target can update, by approval."""
        among, params = in_clause("id", approval_ids)
        rows = await self._state.read(
            f"""SELECT subject, reference FROM notifications WHERE subject IN {among} AND target = :target
                AND reference IS NOT NULL AND event <> 'approval.decided' ORDER BY notification_id""",
            params | {"target": target},
        )
        references: dict[str, list[str]] = {}
        for row in rows:
            references.setdefault(row["subject"], []).append(row["reference"])
        return references

    async def newest(self, *, status: Status | None = None, limit: int = 100) -> list[Notification]:
        """Notifications, the newest first."""
        rows = await self._state.read(
            """SELECT * FROM notifications WHERE (:status = '' OR status = :status)
               ORDER BY recorded_at DESC, notification_id LIMIT :limit""",
            {"status": status or "", "limit": limit},
        )
        return [_notification(row) for row in rows]

    async def get(self, notification_id: str) -> Notification:
        """The notification of that id.

        Raises:
            NotFound: there is none.
        """
        sql = "SELECT * FROM notifications WHERE notification_id = :id"
        rows = await self._state.read(sql, {"id": notification_id})
        if not rows:
            raise NotFound(
                f"notification {notification_id[:64]!r}: there is none; see GET /api/v1/notifications"
            )
        return _notification(rows[0])

    async def resend(self, notification_id: str | None = None) -> int:
        """Make failed notifications due now, all or one; returns their number."""
        rows = await self._state.execute(
            """UPDATE notifications SET status = 'waiting', attempts = 0, digest = NULL, due_at = :now
               WHERE status = 'failed' AND (:id = '' OR notification_id = :id) RETURNING notification_id""",
            {"id": notification_id or "", "now": clock.rfc3339(clock.now())},
        )
        return len(rows)

    async def _expiring(self) -> list[str]:
        """The ids of approvals that expire soon and have no notification of that yet."""
        if not any("approval.expiring" in target.spec.events for target in self._targets):
            return []
        now = clock.now()
        soon = {"now": clock.rfc3339(now), "soon": clock.rfc3339(now + EXPIRES_SOON)}
        return [row["approval_id"] for row in await self._state.read(_EXPIRING, soon) if _is_soon(row)]

    def _record(self, connection: Connection, expiring: Sequence[str]) -> bool:
        (news,) = connection.execute(_NEWS)
        newest = int(news["newest"])
        if news["recorded"] is None:
            self._progress(connection, newest)
            connection.execute("UPDATE escalations SET announced = 1 WHERE announced = 0")
            return False
        until = min(newest, int(news["recorded"]) + AT_ONCE)
        entries = connection.execute(_ENTRIES, {"after": news["recorded"], "until": until})
        about = {row["approval_id"] for row in entries if row["approval_id"]} | {*expiring}
        approvals = _approvals(connection, about)
        for row in entries:
            event = _EVENT_OF_KIND[row["kind"]]
            if event == "frozen":
                self._add(connection, event, str(row["number"]), None, self._targets)
            elif approval := approvals.get(row["approval_id"]):
                self._add_approval(connection, event, approval)
        for approval_id in expiring:
            if approval := approvals.get(approval_id):
                self._add_approval(connection, "approval.expiring", approval)
        for row in connection.execute(
            "UPDATE escalations SET announced = 1 WHERE announced = 0 RETURNING escalation_id, thread_id"
        ):
            self._add(connection, "escalation.opened", row["escalation_id"], row["thread_id"], self._targets)
        self._progress(connection, until)
        return until < newest

    def _progress(self, connection: Connection, number: int) -> None:
        connection.execute(
            """INSERT INTO notification_progress (name, audit_number) VALUES ('audit', :number)
               ON CONFLICT (name) DO UPDATE SET audit_number = :number""",
            {"number": number},
        )

    def _add_approval(self, connection: Connection, event: Event, approval: Row) -> None:
        # What a policy rule runs needs nobody; of what is erased there is nothing to say.
        if approval["need"] == "run" or approval["summary"] == _ERASED:
            return
        passing = [
            target
            for target in self._targets
            if target.takes_approval(
                agent=approval["agent"],
                tool=approval["action"],
                risk=approval["risk"],
                groups=orjson.loads(approval["approvers"] or "[]"),
            )
        ]
        self._add(connection, event, approval["approval_id"], approval["thread_id"], passing)

    def _add(
        self,
        connection: Connection,
        event: Event,
        subject: str,
        thread_id: str | None,
        targets: Iterable[Target],
    ) -> None:
        for target in targets:
            for recipient in target.recipients if target.takes(event) else ():
                key = "\n".join((target.name, recipient, event, subject))
                connection.execute(
                    _INSERT,
                    {
                        "id": f"msg_{uuid.uuid5(_IDS, key).hex}",
                        "target": target.name,
                        "recipient": recipient,
                        "event": event,
                        "subject": subject,
                        "thread_id": thread_id,
                        "now": clock.rfc3339(clock.now()),
                    },
                )


def _approvals(connection: Connection, ids: Collection[str]) -> dict[str, Row]:
    if not ids:
        return {}
    among, params = in_clause("id", ids)
    rows = connection.execute(f"{_APPROVALS} WHERE approval_id IN {among}", params)
    return {row["approval_id"]: row for row in rows}


def _is_soon(row: Row) -> bool:
    expires_at, requested_at = clock.parse(row["expires_at"]), clock.parse(row["requested_at"])
    return expires_at - clock.now() <= min(EXPIRES_SOON, (expires_at - requested_at) / 2)


def _notification(row: Row) -> Notification:
    given = {name: row[name] for name in Notification.__dataclass_fields__}
    return Notification(**given)
