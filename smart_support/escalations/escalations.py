"""Asks for a human: records an escalation, then sends it to the operator's webhook.

An escalation that could not be delivered stays on record and can be sent again. Only one process at a time
sends it; if that process ends, another one takes over.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

import orjson

from smart_support import clock
from smart_support.concurrency import end_tasks
from smart_support.errors import NotFound
from smart_support.escalations.webhook import Webhook
from smart_support.events import EscalationKind
from smart_support.observability.log import get_logger
from smart_support.settings import Settings
from smart_support.storage.coordination.base import Locks
from smart_support.storage.state.base import Connection, Row, StateDatabase, on_thread

log = get_logger()
# How long a customer's turn waits for a delivery; the attempts go on in the background.
PATIENCE_SECONDS = 4.0
CHECK_SECONDS = 1.0
# How long later escalations of the same conversation and kind are counted on an open one.
GROUPING_PERIOD = timedelta(hours=1)
_GROUPED_KINDS: frozenset[EscalationKind | None] = frozenset(
    {"asked", "policy", "limit", "budget", "failures"}
)
_KNOWN = "SELECT 1 FROM escalations WHERE escalation_id = :id"
_OPEN = """
    SELECT escalation_id FROM escalations
    WHERE thread_id = :thread_id AND kind = :kind AND handled_by IS NULL AND requested_at > :since
    ORDER BY requested_at DESC LIMIT 1
"""
_COUNT = "UPDATE escalations SET times = times + 1, last_at = :now WHERE escalation_id = :id RETURNING *"
_RECORD = """
    INSERT INTO escalations (escalation_id, thread_id, reason, status, requested_at, kind, announced)
    VALUES (:id, :thread_id, :reason, :status, :now, :kind, 0)
    ON CONFLICT (escalation_id) DO UPDATE SET reason = escalations.reason RETURNING *
"""
_ABOUT = uuid.UUID("a6a7e9c4-92f0-4d0e-8a55-3c1b5b0c5a11")
Status = Literal["sending", "delivered", "failed", "no_webhook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationRecord:
    """One escalation and the state of its delivery.

    Attributes:
        status: `sending`, then `delivered` or `failed`; `no_webhook` where none is set, so that only the
            console shows it.
        attempts: how often it was sent; `error`: why the last attempt failed, without the address.
        handled_by: the user who handled it.
        kind: as in the event, or None; `times`: how many escalations of this kind the conversation had while
            this one was open, the last one at `last_at`. `reason` is that of the first.
    """

    escalation_id: str
    thread_id: str
    reason: str
    status: Status
    attempts: int
    error: str | None
    requested_at: str
    tried_at: str | None
    delivered_at: str | None
    handled_by: str | None
    handled_at: str | None
    kind: str | None
    times: int
    last_at: str | None

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class Escalations:
    """Records escalations and sends them to `ESCALATION_WEBHOOK_URL`."""

    def __init__(self, state: StateDatabase, settings: Settings, locks: Locks) -> None:
        """`locks`: keep two processes from sending the same escalation."""
        self._state = state
        self._locks = locks
        url, secret = settings.escalation_webhook_url, settings.escalation_webhook_secret
        # Only if one is set: loading the trusted certificates takes a while at each start.
        self._webhook = Webhook(url, secret) if url else None
        self._subscribers: set[Callable[[EscalationRecord], None]] = set()
        self._deliveries: dict[str, asyncio.Task[EscalationRecord]] = {}
        locks.when_lost(self._cancel_deliveries)

    async def escalate(
        self, thread_id: str, reason: str, about: str | None = None, kind: EscalationKind | None = None
    ) -> bool:
        """Ask for a human on a thread. The escalation is recorded before anything is sent.

        If the thread has an open escalation of the same kind that is younger than `GROUPING_PERIOD`, this one
        is counted on it and not sent. Unknown outcomes, and escalations without a kind, are never grouped:
        each is about another call that somebody has to look up.

        Args:
            about: identifies the cause. The same cause is recorded once, and sent until it is delivered.
            kind: why a human is needed.

        Returns:
            Whether the webhook accepted it (a 2xx answer). False where none is set, or where it does not
            answer within `PATIENCE_SECONDS`; the attempts then go on in the background.
        """
        log.info("escalation", thread_id=thread_id, webhook=bool(self._webhook))
        now = clock.now()
        row = {
            "id": str(uuid.uuid5(_ABOUT, about)) if about else clock.new_id(),
            "thread_id": thread_id,
            "reason": reason,
            "status": "sending" if self._webhook else "no_webhook",
            "now": clock.rfc3339(now),
            "since": clock.rfc3339(now - GROUPING_PERIOD),
            "kind": kind,
        }

        def work(connection: Connection) -> tuple[EscalationRecord, bool]:
            if kind in _GROUPED_KINDS and not connection.execute(_KNOWN, row):
                for open_one in connection.execute(_OPEN, row):
                    counted = connection.execute(_COUNT, row | {"id": open_one["escalation_id"]})
                    return _record_of(counted[0]), True
            return _record_of(connection.execute(_RECORD, row)[0]), False

        recorded, is_counted = await self._state.transact(work, on=[on_thread(thread_id)])
        if is_counted or not self._webhook or recorded.status == "delivered":
            self.notify(recorded)
            return recorded.status == "delivered"
        delivery = self._delivery(self._webhook, recorded)
        await asyncio.wait({delivery}, timeout=PATIENCE_SECONDS)
        if not delivery.done() or delivery.cancelled():
            self.notify(recorded)
            return False
        return delivery.result().status == "delivered"

    async def resend(self, escalation_id: str) -> EscalationRecord:
        """Send an escalation that is not delivered.

        Raises:
            NotFound: there is no such escalation.
        """
        recorded = await self.get(escalation_id)
        if self._webhook and recorded.status != "delivered":
            return await asyncio.shield(self._delivery(self._webhook, recorded))
        return recorded

    async def close(self) -> None:
        """Stop sending. The next start sends what is not delivered."""
        await end_tasks(*self._deliveries.values())

    async def resend_interrupted(self) -> None:
        """Send escalations whose process ended while it sent them, with the same id as before."""
        for row in await self._state.read("SELECT * FROM escalations WHERE status = 'sending'"):
            if not await self._locks.held({_lock(row["escalation_id"])}):
                await self.resend(row["escalation_id"])

    async def resend_interrupted_forever(self) -> None:
        """Send escalations of other processes that end or lose the database."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.resend_interrupted()
            except Exception as error:
                log.error("escalations_not_resent", error=repr(error))

    async def handled(self, escalation_id: str, by: str) -> EscalationRecord:
        """Mark an escalation as handled. Only the first user who does so is kept.

        Raises:
            NotFound: there is no such escalation.
        """
        await self._state.execute(
            """UPDATE escalations SET handled_by = :by, handled_at = :now
               WHERE escalation_id = :id AND handled_by IS NULL""",
            {"id": escalation_id, "by": by, "now": clock.rfc3339(clock.now())},
        )
        recorded = await self.get(escalation_id)
        self.notify(recorded)
        return recorded

    async def handle_thread(self, thread_id: str, by: str) -> None:
        """Mark every open escalation of a conversation as handled, because a person answers there."""
        rows = await self._state.read(
            "SELECT escalation_id FROM escalations WHERE thread_id = :id AND handled_by IS NULL",
            {"id": thread_id},
        )
        for row in rows:
            await self.handled(row["escalation_id"], by)

    async def list(self, *, open_only: bool = False, limit: int = 100) -> list[EscalationRecord]:
        """Escalations, the newest first; `open_only`: those that are not handled."""
        rows = await self._state.read(
            """SELECT * FROM escalations WHERE (:open_only = 0 OR handled_by IS NULL)
               ORDER BY requested_at DESC LIMIT :limit""",
            {"open_only": int(open_only), "limit": limit},
        )
        return [_record_of(row) for row in rows]

    def subscribe(self, callback: Callable[[EscalationRecord], None]) -> Callable[[], None]:
        """Call `callback` with every escalation that changes. Returns a function that ends it."""
        self._subscribers.add(callback)
        return lambda: self._subscribers.discard(callback)

    def notify(self, recorded: EscalationRecord) -> None:
        """Call the subscribers with an escalation."""
        for callback in tuple(self._subscribers):
            callback(recorded)

    async def get(self, escalation_id: str) -> EscalationRecord:
        """The escalation of that id.

        Raises:
            NotFound: there is none.
        """
        sql = "SELECT * FROM escalations WHERE escalation_id = :id"
        rows = await self._state.read(sql, {"id": escalation_id})
        if not rows:
            raise NotFound(f"escalation {escalation_id[:64]!r}: there is none; see GET /api/v1/escalations")
        return _record_of(rows[0])

    def _delivery(self, webhook: Webhook, recorded: EscalationRecord) -> asyncio.Task[EscalationRecord]:
        """The running delivery of an escalation, or a new one."""
        key = recorded.escalation_id
        if key not in self._deliveries:
            self._deliveries[key] = asyncio.create_task(self._deliver(webhook, recorded))
            self._deliveries[key].add_done_callback(lambda _: self._deliveries.pop(key))
        return self._deliveries[key]

    def _cancel_deliveries(self) -> None:
        """Leave them to the process that now holds their locks."""
        for delivery in self._deliveries.values():
            delivery.cancel()

    async def _deliver(self, webhook: Webhook, recorded: EscalationRecord) -> EscalationRecord:
        """Send it, unless another process did while this one waited for the lock."""
        async with self._locks.hold(_lock(recorded.escalation_id)):
            now = await self.get(recorded.escalation_id)
            return await self._send(webhook, now) if now.attempts == recorded.attempts else now

    async def _send(self, webhook: Webhook, recorded: EscalationRecord) -> EscalationRecord:
        body = {
            "id": recorded.escalation_id,
            "type": "escalation",
            "requested_at": recorded.requested_at,
            "thread_id": recorded.thread_id,
            "reason": recorded.reason,
        }
        attempts, error = await webhook.send(orjson.dumps(body))
        if error:
            log.error("escalation_not_delivered", thread_id=recorded.thread_id, error=error)
        rows = await self._state.execute(
            """UPDATE escalations SET status = :status, attempts = attempts + :attempts, error = :error,
                   tried_at = :now, delivered_at = CASE WHEN :error IS NULL THEN :now END
               WHERE escalation_id = :id RETURNING *""",
            {
                "id": recorded.escalation_id,
                "status": "failed" if error else "delivered",
                "attempts": attempts,
                "error": error,
                "now": clock.rfc3339(clock.now()),
            },
        )
        sent = _record_of(rows[0])
        self.notify(sent)
        return sent


def _record_of(row: Row) -> EscalationRecord:
    # `announced` says only whether notifications are recorded.
    return EscalationRecord(**{name: value for name, value in row.items() if name != "announced"})


def _lock(escalation_id: str) -> str:
    return f"escalation:{escalation_id}"
