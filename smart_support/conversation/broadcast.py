"""Publishes the events of threads to live listeners, and lets a listener catch up by number.

A recorded event is shown once it is durable, and in order. A token is shown at once, unless an event before
it is not durable yet. So nobody sees what a crash could lose.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from smart_support.errors import EventRefused, StorageFailed
from smart_support.events import UNRECORDED, Message, Record, Shown, Token, TokenRecord
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore

log = get_logger()

Durable = asyncio.Future[None]


class Subscriber(Protocol):
    """Something that events can be shown to."""

    def put(self, shown: Shown | None) -> None:
        """Take an event; None when the thread has come to rest. Must not block."""


class Listener:
    """A subscriber that keeps events until they are read."""

    def __init__(self) -> None:
        self.waiting: deque[Shown | None] = deque()
        self._arrived = asyncio.Event()

    def put(self, shown: Shown | None) -> None:
        """Take an event."""
        self.waiting.append(shown)
        self._arrived.set()

    async def next(self) -> Shown | None:
        """The next event, or None where the thread has come to rest."""
        while not self.waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self.waiting.popleft()

    async def next_all(self) -> list[Shown | None]:
        """As `next`, with all that have come by then: one step of a channel is expensive."""
        arrived = [await self.next(), *self.waiting]
        self.waiting.clear()
        return arrived


@dataclass
class _Topic:
    """One thread's subscribers, and the events on their way to them.

    Attributes:
        outgoing: events that are published and not shown yet, with what they wait for.
        open_tokens: tokens that are shown and whose message is not in the log yet, for later subscribers.
        failed: an event could not be made durable, and so was not shown.
    """

    subscribers: set[Subscriber] = field(default_factory=set)
    outgoing: deque[tuple[Shown | None, Durable | None]] = field(default_factory=deque)
    open_tokens: list[TokenRecord] = field(default_factory=list)
    pump: asyncio.Task[None] | None = None
    failed: bool = False


class Peers(Protocol):
    """Other processes, whose listeners see what is shown here; see `cluster_relay.py`."""

    def token_shown(self, token: TokenRecord, *, now: bool) -> None:
        """A token of a turn that runs here was published. `now`: all that comes before it is durable."""

    def thread_rested(self, thread_id: str) -> None:
        """A thread whose turns ran here has come to rest."""

    def listening_changed(self, thread_id: str, *, is_listening: bool) -> None:
        """The first subscriber of a thread has come, or the last one left."""


class Broadcast:
    """Shows every event of a thread to its subscribers.

    Attributes:
        peers: informed of what is shown and listened to here; None where there are none.
    """

    def __init__(self, event_log: EventStore) -> None:
        self.peers: Peers | None = None
        self._log = event_log
        self._topics: dict[str, _Topic] = {}

    @property
    def subscribed_threads(self) -> list[str]:
        """The threads that have a subscriber here."""
        return [thread_id for thread_id, topic in self._topics.items() if topic.subscribers]

    @property
    def kept_threads(self) -> list[str]:
        """The threads that anything is kept of."""
        return [*self._topics]

    def open_tokens(self, thread_id: str) -> list[TokenRecord]:
        """The tokens that are shown and whose message is not in the log yet."""
        topic = self._topics.get(thread_id)
        return list(topic.open_tokens) if topic else []

    def repeat(self, thread_id: str, shown: Shown | None) -> None:
        """Show an event here that another process has shown: it is durable, or a token."""
        if topic := self._topics.get(thread_id):
            self._put(thread_id, topic, shown)

    def publish(self, thread_id: str, shown: Shown | None, durable: Durable | None = None) -> None:
        """Show an event, once `durable` is done where that is given. None: the thread is at rest."""
        topic = self._topics.setdefault(thread_id, _Topic())
        now = durable is None and not topic.outgoing
        if self.peers and isinstance(shown, TokenRecord):
            self.peers.token_shown(shown, now=now)
        if now:
            self._show(thread_id, topic, shown)
            return
        topic.outgoing.append((shown, durable))
        if topic.pump is None:
            topic.pump = asyncio.get_running_loop().create_task(self._pump(thread_id, topic))

    async def settled(self, thread_id: str) -> None:
        """Return once all that was published on a thread has been shown.

        Raises:
            StorageFailed: some of it could not be made durable, and so was not shown.
        """
        topic = self._topics.get(thread_id)
        if topic and topic.pump:
            await asyncio.shield(topic.pump)
        if topic and topic.failed:
            topic.failed = False
            raise StorageFailed("The event log could not be written; check the disk of DATA_DIR.")

    def listen(self, thread_id: str) -> Listener:
        """Attach a new listener; end with `leave`."""
        listener = Listener()
        self.attach(thread_id, listener)
        return listener

    def attach(self, thread_id: str, subscriber: Subscriber) -> None:
        """Show everything from now on to `subscriber`, first the tokens of an unfinished message."""
        topic = self._topics.setdefault(thread_id, _Topic())
        if self.peers and not topic.subscribers:
            self.peers.listening_changed(thread_id, is_listening=True)
        topic.subscribers.add(subscriber)
        for token in topic.open_tokens:
            subscriber.put(token)

    def leave(self, thread_id: str, subscriber: Subscriber) -> None:
        """Show nothing more to `subscriber`."""
        topic = self._topics.get(thread_id)
        if topic:
            topic.subscribers.discard(subscriber)
            if self.peers and not topic.subscribers:
                self.peers.listening_changed(thread_id, is_listening=False)
            self._forget_if_idle(thread_id, topic)

    async def caught_up(self, thread_id: str, after: int, listener: Listener) -> AsyncIterator[Shown | None]:
        """Everything after `after` from the log, then what `listener` gets, each number once.

        A message comes as one token with its whole text and the last of its numbers.
        """
        last = after
        for record in await self._log.read(thread_id, after):
            last = record.seq
            yield as_shown(record)
        while True:
            shown = await listener.next()
            if shown is None:
                yield None
            elif shown.seq > last:
                if shown.seq != UNRECORDED:
                    last = shown.seq
                yield shown

    def _show(self, thread_id: str, topic: _Topic, shown: Shown | None) -> None:
        if self.peers and shown is None:
            self.peers.thread_rested(thread_id)
        self._put(thread_id, topic, shown)

    def _put(self, thread_id: str, topic: _Topic, shown: Shown | None) -> None:
        if isinstance(shown, TokenRecord):
            topic.open_tokens.append(shown)
        elif shown and isinstance(shown.event, Message) and shown.event.role == "agent":
            covered = range(shown.first_seq, shown.seq + 1)
            topic.open_tokens = [token for token in topic.open_tokens if token.seq not in covered]
            return
        for subscriber in tuple(topic.subscribers):
            try:
                subscriber.put(shown)
            except Exception as error:
                # One subscriber that fails must not keep the event from the others.
                log.error("listener_failed", thread_id=thread_id, error=repr(error))
                topic.subscribers.discard(subscriber)
        if shown is None:
            self._forget_if_idle(thread_id, topic)

    async def _pump(self, thread_id: str, topic: _Topic) -> None:
        while topic.outgoing:
            shown, durable = topic.outgoing[0]
            try:
                if durable is not None:
                    await durable
            except EventRefused:
                log.error("event_not_shown", thread_id=thread_id)
            except StorageFailed:
                topic.failed = True
            else:
                self._show(thread_id, topic, shown)
            topic.outgoing.popleft()
        topic.pump = None
        self._forget_if_idle(thread_id, topic)

    def _forget_if_idle(self, thread_id: str, topic: _Topic) -> None:
        if not (topic.subscribers or topic.outgoing or topic.open_tokens or topic.failed):
            self._topics.pop(thread_id, None)


def as_shown(record: Record) -> Shown:
    """A record as a late listener gets it: a whole message comes as one token."""
    event = record.event
    if isinstance(event, Message) and event.role == "agent":
        token = Token(agent=event.agent or "", content=event.content)
        return TokenRecord(record.thread_id, record.seq, token, record.turn_id, record.first_seq)
    return record
