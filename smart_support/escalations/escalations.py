"""Telling a human that one is needed: recorded first, then a signed POST to the operator's webhook.

What could not be delivered stays on record as a dead letter, and can be sent again. Of many processes one at
a time sends it; where that one ends, another goes on.
"""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

import httpx
import orjson
from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from smart_support import clock
from smart_support.concurrency import end_tasks
from smart_support.errors import NotFound, SmartSupportError, ToolUnavailable
from smart_support.events import EscalationKind
from smart_support.observability.log import get_logger
from smart_support.outbound.client import GuardedClient
from smart_support.settings import Settings
from smart_support.storage.coordination.base import Locks
from smart_support.storage.state.base import Connection, StateDatabase

log = get_logger()
TIMEOUT_SECONDS = 3.0
PATIENCE_SECONDS = 4.0
ATTEMPTS = 3
SECONDS_BETWEEN_LOOKS = 1.0

# For so long a conversation's open escalation stands for all later ones of its kind.
COUNTED_TOGETHER = timedelta(hours=1)
_COUNTED: frozenset[EscalationKind | None] = frozenset({"asked", "policy", "limit", "budget", "failures"})
_KNOWN = "SELECT 1 FROM escalations WHERE escalation_id = :id"
_OPEN = """
    SELECT escalation_id FROM escalations
    WHERE thread_id = :thread_id AND kind = :kind AND handled_by IS NULL AND requested_at > :since
    ORDER BY requested_at DESC LIMIT 1
"""
_COUNT = "UPDATE escalations SET times = times + 1, last_at = :now WHERE escalation_id = :id RETURNING *"
_RECORD = """
    INSERT INTO escalations (escalation_id, thread_id, reason, status, requested_at, kind)
    VALUES (:id, :thread_id, :reason, :status, :now, :kind)
    ON CONFLICT (escalation_id) DO UPDATE SET reason = escalations.reason RETURNING *
"""
_ABOUT = uuid.UUID("a6a7e9c4-92f0-4d0e-8a55-3c1b5b0c5a11")
Status = Literal["sending", "delivered", "failed", "no_webhook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationRecord:
    """One escalation and what came of it.

    Attributes:
        status: `sending` until the webhook took it (`delivered`) or did not (`failed`); `no_webhook` where
            none is set, so that only the console tells.
        attempts: how often it was tried; `error`: why the last try failed, without the address.
        handled_by: who in the console has seen to it.
        kind: as in the event, or None; `times`: how often the conversation has asked for a person for this
            kind of reason while it was open, the last time at `last_at`. The reason is that of the first.
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
        """As programs see it."""
        return asdict(self)


class Escalations:
    """Records escalations and sends them to `ESCALATION_WEBHOOK_URL`."""

    def __init__(self, state: StateDatabase, settings: Settings, locks: Locks) -> None:
        """`locks`: tell the processes of a system which of them is sending what."""
        self._state = state
        self._locks = locks
        self._url = settings.escalation_webhook_url
        self._secret = settings.escalation_webhook_secret
        # Only where there is somebody to tell: reading whom to trust takes a while at each start.
        self._client = GuardedClient([_host_and_port(self._url)]) if self._url else None
        self._watchers: set[Callable[[EscalationRecord], None]] = set()
        self._deliveries: dict[str, asyncio.Task[EscalationRecord]] = {}
        locks.when_lost(self._let_go)
        if self._url and not self._secret:
            log.warning("webhook_not_signed", why="SMART_SUPPORT_ESCALATION_WEBHOOK_SECRET is empty")

    async def escalate(
        self, thread_id: str, reason: str, about: str | None = None, kind: EscalationKind | None = None
    ) -> bool:
        """Ask for a human on a thread. It is on record before anything is sent.

        Where the thread has an open escalation of the same kind that is younger than `COUNTED_TOGETHER`, this
        one is counted on it and not sent. Unknown outcomes, and what has no kind, stand by themselves always:
        each is about another call that somebody has to look up.

        Args:
            about: what it is about; the same is recorded once, and not sent again once it was delivered.
            kind: why a human is needed.

        Returns:
            Whether the webhook took it (a 2xx answer within three tries); False where none is set, or where
            it is silent: a customer waits for the answer, so that the tries then go on without them.
        """
        log.info("escalation", thread_id=thread_id, webhook=bool(self._url))
        now = clock.now()
        row = {
            "id": str(uuid.uuid5(_ABOUT, about)) if about else clock.new_id(),
            "thread_id": thread_id,
            "reason": reason,
            "status": "sending" if self._url else "no_webhook",
            "now": clock.rfc3339(now),
            "since": clock.rfc3339(now - COUNTED_TOGETHER),
            "kind": kind,
        }

        def work(connection: Connection) -> tuple[EscalationRecord, bool]:
            if kind in _COUNTED and not connection.execute(_KNOWN, row):
                for open_one in connection.execute(_OPEN, row):
                    counted = connection.execute(_COUNT, row | {"id": open_one["escalation_id"]})
                    return EscalationRecord(**counted[0]), True
            return EscalationRecord(**connection.execute(_RECORD, row)[0]), False

        recorded, is_counted = await self._state.transact(work)
        if is_counted or not self._url or recorded.status == "delivered":
            self.tell(recorded)
            return recorded.status == "delivered"
        delivery = self._begun(recorded)
        await asyncio.wait({delivery}, timeout=PATIENCE_SECONDS)
        if not delivery.done() or delivery.cancelled():
            self.tell(recorded)
            return False
        return delivery.result().status == "delivered"

    async def resend(self, escalation_id: str) -> EscalationRecord:
        """Try a dead letter again.

        Raises:
            NotFound: there is no such escalation.
        """
        recorded = await self.get(escalation_id)
        if self._url and recorded.status != "delivered":
            return await asyncio.shield(self._begun(recorded))
        return recorded

    async def close(self) -> None:
        """Leave what is being sent to the next start."""
        await end_tasks(*self._deliveries.values())

    async def resend_left_behind(self) -> None:
        """Send what nobody is sending any more. Its id is the same: a receiver can tell it had it before."""
        for row in await self._state.read("SELECT * FROM escalations WHERE status = 'sending'"):
            if not await self._locks.held({_lock(row["escalation_id"])}):
                await self.resend(row["escalation_id"])

    async def take_over_forever(self) -> None:
        """Send what other processes leave behind when they end or lose the database."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                await self.resend_left_behind()
            except Exception as error:
                log.error("escalations_not_taken_over", error=repr(error))

    async def handled(self, escalation_id: str, by: str) -> EscalationRecord:
        """Somebody has seen to it; the first who says so is kept.

        Raises:
            NotFound: there is no such escalation.
        """
        await self._state.execute(
            """UPDATE escalations SET handled_by = :by, handled_at = :now
               WHERE escalation_id = :id AND handled_by IS NULL""",
            {"id": escalation_id, "by": by, "now": clock.rfc3339(clock.now())},
        )
        recorded = await self.get(escalation_id)
        self.tell(recorded)
        return recorded

    async def list(self, *, open_only: bool = False, limit: int = 100) -> list[EscalationRecord]:
        """Escalations, the newest first; `open_only`: those that nobody has seen to yet."""
        rows = await self._state.read(
            """SELECT * FROM escalations WHERE (:open_only = 0 OR handled_by IS NULL)
               ORDER BY requested_at DESC LIMIT :limit""",
            {"open_only": int(open_only), "limit": limit},
        )
        return [EscalationRecord(**row) for row in rows]

    def watch(self, watcher: Callable[[EscalationRecord], None]) -> Callable[[], None]:
        """Call `watcher` with every escalation that changes from now on; returns how to stop."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    def tell(self, recorded: EscalationRecord) -> None:
        """Tell the watchers of an escalation as it is now."""
        for watcher in tuple(self._watchers):
            watcher(recorded)

    async def get(self, escalation_id: str) -> EscalationRecord:
        """The escalation of that id.

        Raises:
            NotFound: there is none.
        """
        sql = "SELECT * FROM escalations WHERE escalation_id = :id"
        rows = await self._state.read(sql, {"id": escalation_id})
        if not rows:
            raise NotFound(f"escalation {escalation_id[:64]!r}: there is none; see GET /api/v1/escalations")
        return EscalationRecord(**rows[0])

    def _begun(self, recorded: EscalationRecord) -> asyncio.Task[EscalationRecord]:
        """Its delivery: the one that runs already, or a new one; two at once would tell it twice."""
        one = recorded.escalation_id
        if one not in self._deliveries:
            self._deliveries[one] = asyncio.create_task(self._deliver(recorded))
            self._deliveries[one].add_done_callback(lambda _: self._deliveries.pop(one))
        return self._deliveries[one]

    def _let_go(self) -> None:
        """Send nothing on: whoever holds the locks does."""
        for delivery in self._deliveries.values():
            delivery.cancel()

    async def _deliver(self, recorded: EscalationRecord) -> EscalationRecord:
        """Send it, unless another process has tried while this one waited for it to end."""
        async with self._locks.hold(_lock(recorded.escalation_id)):
            now = await self.get(recorded.escalation_id)
            return await self._send(now) if now.attempts == recorded.attempts else now

    async def _send(self, recorded: EscalationRecord) -> EscalationRecord:
        told = {"id": recorded.escalation_id, "type": "escalation", "requested_at": recorded.requested_at}
        body = orjson.dumps(told | {"thread_id": recorded.thread_id, "reason": recorded.reason})
        attempts, error = 0, None
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_exponential_jitter(multiplier=0.2, max=2),
                retry=retry_if_exception_type((SmartSupportError, TimeoutError)),
            ):
                attempts += 1
                with attempt:
                    await self._post(body)
        except RetryError as failed:
            cause = failed.last_attempt.exception()
            error = _plain(cause)
            log.error("escalation_not_delivered", thread_id=recorded.thread_id, error=repr(cause))
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
        delivered = EscalationRecord(**rows[0])
        self.tell(delivered)
        return delivered

    async def _post(self, body: bytes) -> None:
        assert self._client is not None
        timestamp = str(int(clock.now().timestamp()))
        answer = await self._client.request(
            "POST",
            self._url,
            content=body,
            headers={
                "Content-Type": "application/json",
                "X-Smart-Support-Timestamp": timestamp,
                "X-Smart-Support-Signature": signature(self._secret, timestamp, body),
            },
            timeout_seconds=TIMEOUT_SECONDS,
            max_redirects=0,
        )
        if not 200 <= answer.status < 300:
            raise ToolUnavailable(f"The webhook answered {answer.status}.")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 (RFC 2104), in hexadecimal, over `timestamp.body`."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _lock(escalation_id: str) -> str:
    return f"escalation:{escalation_id}"


def _plain(cause: BaseException | None) -> str:
    if isinstance(cause, TimeoutError):
        return f"The webhook did not answer within {TIMEOUT_SECONDS:g} s."
    return cause.message if isinstance(cause, ToolUnavailable) else "The webhook could not be used."


def _host_and_port(url: str) -> str:
    """The one place the client may go to, public or not: the operator has set it."""
    address = httpx.URL(url)
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port or (443 if address.scheme == 'https' else 80)}"
