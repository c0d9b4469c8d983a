"""Sends what is in the outbox: at least once, with one id for all attempts of a message.

One process of the system sends at a time. Each recipient has a lane of its own, so that one who does not
answer delays nobody else. People get a digest where many things happen at once.
"""

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import orjson

from smart_support import clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.reader import approval_of
from smart_support.concurrency import end_tasks, in_slices
from smart_support.errors import NotFound
from smart_support.escalations.escalations import Escalations
from smart_support.notifications.decide_links import DecideLinks
from smart_support.notifications.mail import MailSender
from smart_support.notifications.messages import Notice
from smart_support.notifications.outbox import Notification, Outbox, Status
from smart_support.notifications.sending import DeliveryFailed, Outgoing, Sender
from smart_support.notifications.slack import SlackSender
from smart_support.notifications.targets import EmailSpec, SlackSpec, Target, WebhookSpec
from smart_support.notifications.webhook import WebhookSender
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import Locks
from smart_support.storage.state.base import StateDatabase, in_clause

log = get_logger()
Lane = tuple[str, str]
Count = Callable[[str, str], None]
LOCK = "notifications"
CHECK_SECONDS = 1.0
# The whole of one attempt: no way to send may hang for longer.
ATTEMPT_SECONDS = 30.0
# Attempts over about nine hours: the waits grow from seconds to an hour.
MAX_ATTEMPTS = 14
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, WAIT_FACTOR = 5.0, 3600.0, 4.0
# More than so many notifications at once for a person, or messages within a minute, become a digest.
MAX_AT_ONCE = 5
MAX_PER_MINUTE = 10
_ERASED = "(erased)"


class Notifications:
    """Records notifications and sends them."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        targets: Sequence[Target],
        approvals: ApprovalQueue,
        escalations: Escalations,
        links: DecideLinks,
        console: str,
        locks: Locks,
        count: Count,
    ) -> None:
        """
        Args:
            console: the address of the console.
            count: called with the kind of target and the outcome of each attempt.
        """
        self.outbox = Outbox(state, targets)
        self._state = state
        self._targets = {target.name: target for target in targets}
        self._senders = {target.name: _sender(target) for target in targets}
        self._escalations = escalations
        self._links = links
        self._console = console
        self._locks = locks
        self._count = count
        self._wake = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._busy: dict[Lane, asyncio.Task[None]] = {}
        self._resting_until: dict[Lane, float] = {}
        self._sent: dict[Lane, deque[float]] = defaultdict(deque)
        locks.when_lost(self._stop_sending)
        approvals.subscribe(lambda _: self.wake())
        escalations.subscribe(lambda _: self.wake())

    def wake(self) -> None:
        """Look for something to send now."""
        self._wake.set()

    async def resend(self, notification_id: str) -> Notification:
        """Send a failed notification again, soon.

        Raises:
            NotFound: there is no such notification.
        """
        await self.outbox.get(notification_id)
        await self.outbox.resend(notification_id)
        self.wake()
        return await self.outbox.get(notification_id)

    async def resend_all(self) -> int:
        """Send every failed notification again, soon; returns their number."""
        count = await self.outbox.resend()
        self.wake()
        return count

    async def send_forever(self) -> None:
        """Record and send, while no other process does."""
        while self._targets:
            try:
                if await self._locks.held({LOCK}):
                    await asyncio.sleep(CHECK_SECONDS)
                    continue
                async with self._locks.hold(LOCK):
                    self._sending = asyncio.create_task(self._send_while_held())
                    await asyncio.wait({self._sending})
            except Exception as error:
                log.error("notifications_stopped", error=repr(error))
            finally:
                if self._sending:
                    await end_tasks(self._sending)
            await asyncio.sleep(CHECK_SECONDS)

    async def close(self) -> None:
        """Close all connections. What is not delivered is sent after the next start."""
        for sender in self._senders.values():
            await sender.close()

    def _stop_sending(self) -> None:
        """Leave it to the process that now holds the lock."""
        if self._sending:
            self._sending.cancel()

    async def _send_while_held(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    await self.send_due()
                except Exception as error:
                    log.error("notifications_not_sent", error=repr(error))
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            await end_tasks(*self._busy.values())

    async def send_due(self) -> None:
        """Record what is new, and begin to send what is due to everybody for whom nothing is being sent."""
        while await self.outbox.record():
            pass
        for lane in await self.outbox.lanes():
            if lane not in self._busy and self._resting_until.get(lane, 0) <= time.monotonic():
                self._busy[lane] = asyncio.create_task(self._serve(lane))
                self._busy[lane].add_done_callback(partial(self._free, lane))

    async def idle(self) -> None:
        """Wait until nothing is being sent."""
        while self._busy:
            await asyncio.wait({*self._busy.values()})

    def _free(self, lane: Lane, _: asyncio.Task[None]) -> None:
        self._busy.pop(lane, None)
        self.wake()

    async def _serve(self, lane: Lane) -> None:
        """Send what is due to one recipient."""
        try:
            rows = await self.outbox.due(*lane)
            target = self._targets.get(lane[0])
            if target is None:
                reason = f"There is no target {lane[0]!r} in the file any more."
                await self.outbox.finish([row.notification_id for row in rows], "failed", error=reason)
                return
            sender = self._senders[target.name]
            places = asyncio.Semaphore(sender.concurrency)

            async def send(outgoing: Outgoing) -> None:
                async with places:
                    if self._resting_until.get(lane, 0) <= time.monotonic():
                        await self._send(lane, target, sender, outgoing)

            async with asyncio.TaskGroup() as group:
                for outgoing in await self._messages(lane, target, sender, rows):
                    group.create_task(send(outgoing))
        except Exception as error:
            # The next look tries again; without a pause it would do so all the time.
            self._resting_until[lane] = time.monotonic() + FIRST_WAIT_SECONDS
            log.error("notifications_not_sent", target=lane[0], error=repr(error), exc_info=error)

    async def _messages(
        self, lane: Lane, target: Target, sender: Sender, rows: Sequence[Notification]
    ) -> list[Outgoing]:
        """The messages to send now, after what is out of date was skipped."""
        notices = await self._notices(rows)
        references: Mapping[str, list[str]] = {}
        if target.updates_messages:
            decided = [row.subject for row in rows if row.event == "approval.decided"]
            references = await self.outbox.references(target.name, decided)
        skipped = [
            row.notification_id for row in rows if not self._is_due(target, sender, row, notices, references)
        ]
        if skipped:
            await self.outbox.finish(skipped, "skipped")
            self._count(target.spec.type, "skipped")
        left = [row for row in rows if row.notification_id not in set(skipped)]

        def outgoing(message_id: str, parts: Sequence[Notification]) -> Outgoing:
            return Outgoing(
                id=message_id,
                recipient=lane[1],
                notices=[notices[row.notification_id] for row in parts],
                details=target.spec.details,
                console=self._console,
                updates=references.get(parts[0].subject, []) if parts[0].event == "approval.decided" else [],
            )

        messages = [
            outgoing(row.notification_id, [row])
            for row in left
            if row.event == "approval.decided" and row.subject in references
        ]
        updated = {message.id for message in messages}
        joined: dict[str, list[Notification]] = defaultdict(list)
        for row in left:
            if row.digest:
                joined[row.digest].append(row)
        single = [row for row in left if not row.digest and row.notification_id not in updated]
        if sender.is_for_people and single and (seconds := self._seconds_until_room(lane)):
            # What comes until then becomes a digest.
            self._resting_until[lane] = time.monotonic() + seconds
            single = []
        elif sender.is_for_people and len(single) > MAX_AT_ONCE:
            digest = f"dig_{clock.new_id()}"
            await self.outbox.join([row.notification_id for row in single], digest)
            joined[digest], single = single, []
        messages += [outgoing(row.notification_id, [row]) for row in single]
        messages += [outgoing(digest, parts) for digest, parts in joined.items()]
        return messages

    def _is_due(
        self,
        target: Target,
        sender: Sender,
        row: Notification,
        notices: Mapping[str, Notice],
        references: Mapping[str, list[str]],
    ) -> bool:
        """Whether there is still something to say."""
        notice = notices.get(row.notification_id)
        if notice is None:
            return False
        if row.event == "approval.decided":
            is_erased = notice.facts["summary"] == _ERASED
            return row.subject in references or (row.event in target.spec.events and not is_erased)
        if row.event == "approval.expiring" or (row.event == "approval.requested" and sender.is_for_people):
            return notice.is_pending
        return True

    def _seconds_until_room(self, lane: Lane) -> float:
        """How long a person gets no further message, after many of them; 0 for not at all."""
        sent, now = self._sent[lane], time.monotonic()
        while sent and sent[0] <= now - 60:
            sent.popleft()
        return sent[0] + 60 - now if len(sent) >= MAX_PER_MINUTE else 0

    async def _send(self, lane: Lane, target: Target, sender: Sender, outgoing: Outgoing) -> None:
        """Make one attempt, and record what came of it."""
        ids = [notice.id for notice in outgoing.notices]
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                reference = await sender.send(outgoing)
        except DeliveryFailed as error:
            await self._failed(lane, target, outgoing, error)
            return
        except TimeoutError:
            failure = DeliveryFailed(f"Not done within {ATTEMPT_SECONDS:g} s.")
            await self._failed(lane, target, outgoing, failure)
            return
        except Exception as error:
            log.error("notification_failed", target=target.name, error=repr(error), exc_info=error)
            await self._failed(lane, target, outgoing, DeliveryFailed("It could not be sent; see the log."))
            return
        if not outgoing.updates:
            self._sent[lane].append(time.monotonic())
        # A message about several approvals is not updated when one of them is decided.
        await self.outbox.finish(ids, "delivered", reference=reference if len(ids) == 1 else None)
        self._count(target.spec.type, "delivered")

    async def _failed(self, lane: Lane, target: Target, outgoing: Outgoing, error: DeliveryFailed) -> None:
        ids = [notice.id for notice in outgoing.notices]
        attempts = (await self.outbox.get(ids[0])).attempts + 1
        if error.retry_after is not None:
            self._resting_until[lane] = time.monotonic() + error.retry_after
        is_last = error.is_final or attempts >= MAX_ATTEMPTS
        status: Status = "failed" if is_last else "waiting"
        wait = max(wait_seconds(attempts), error.retry_after or 0)
        await self.outbox.finish(ids, status, error=str(error), due_after=wait)
        self._count(target.spec.type, "failed" if is_last else "retried")
        log.warning("notification_not_delivered", target=target.name, attempts=attempts, error=str(error))

    async def _notices(self, rows: Sequence[Notification]) -> dict[str, Notice]:
        """What each notification tells, as it is now, by its id; nothing for what is gone."""
        approvals = await self._approvals({row.subject for row in rows if row.event.startswith("approval.")})
        notices: dict[str, Notice] = {}
        async for row in in_slices(rows):
            if row.event == "frozen":
                notice = await self._freeze(row)
            elif row.event == "escalation.opened":
                notice = await self._escalation(row)
            else:
                approval = approvals.get(row.subject)
                notice = self._approval(row, approval) if approval else None
            if notice:
                notices[row.notification_id] = notice
        return notices

    async def _approvals(self, ids: set[str]) -> dict[str, Approval]:
        among, params = in_clause("id", ids)
        rows = await self._state.read(f"SELECT * FROM approvals WHERE approval_id IN {among}", params)
        return {row["approval_id"]: approval_of(row) for row in rows}

    def _approval(self, row: Notification, approval: Approval) -> Notice | None:
        facts = approval.wire()
        if facts["summary"] == _ERASED and row.event != "approval.decided":
            return None
        at = approval.decided_at if row.event == "approval.decided" else approval.requested_at
        link = self._links.make(approval.approval_id, row.notification_id)
        return _notice(row, at or row.recorded_at, facts, link)

    async def _escalation(self, row: Notification) -> Notice | None:
        try:
            record = await self._escalations.get(row.subject)
        except NotFound:
            return None
        if record.reason == _ERASED:
            return None
        facts = {
            "escalation_id": record.escalation_id,
            "thread_id": record.thread_id,
            "kind": record.kind,
            "requested_at": record.requested_at,
            "reason": record.reason,
        }
        return _notice(row, record.requested_at, facts, self._console)

    async def _freeze(self, row: Notification) -> Notice | None:
        entries = await self._state.read(
            "SELECT at, actor, detail FROM audit WHERE number = :number", {"number": int(row.subject)}
        )
        if not entries:
            return None
        detail = orjson.loads(entries[0]["detail"])
        facts = {"scope": detail["scope"], "reason": detail["reason"], "by": entries[0]["actor"]}
        return _notice(row, entries[0]["at"], facts, self._console)


def wait_seconds(attempts: int) -> float:
    """How long to wait after so many attempts, with jitter, so that many do not come back at once."""
    wait = min(FIRST_WAIT_SECONDS * WAIT_FACTOR ** (attempts - 1), MAX_WAIT_SECONDS)
    return wait * random.uniform(0.8, 1.2)


def _notice(row: Notification, at: str, facts: Mapping[str, object], link: str) -> Notice:
    return Notice(id=row.notification_id, event=row.event, at=at, facts=facts, link=link)


def _sender(target: Target) -> Sender:
    match target.spec:
        case WebhookSpec():
            return WebhookSender(target.spec, target.secret)
        case EmailSpec():
            return MailSender(target.spec, target.secret)
        case SlackSpec():
            return SlackSender(target.spec, target.secret)
