"""Live listeners of a thread, and catching up by number. What an event says is not known here.

A recorded event is shown once it is durable, in order; a token at once, unless something before it still
waits. So nobody ever sees what a kill could take back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from smart_support.errors import EventRefused, StorageFailed
from smart_support.events import Message, Record, Shown, Token, TokenRecord
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore

log = get_logger()

Durable = asyncio.Future[None]


class Ear(Protocol):
    """Whatever a channel can show events to."""

    def put(self, shown: Shown | None) -> None:
        """Take what is shown; None when the thread has come to rest. Must not block."""


class Listener:
    """An ear that keeps what it hears until it is asked for."""

    def __init__(self) -> None:
        self.waiting: deque[Shown | None] = deque()
        self._arrived = asyncio.Event()

    def put(self, shown: Shown | None) -> None:
        """Called by the channel."""
        self.waiting.append(shown)
        self._arrived.set()

    async def next(self) -> Shown | None:
        """The next one shown, or None where the thread has come to rest."""
        while not self.waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self.waiting.popleft()


@dataclass
class _Channel:
    """One thread's listeners, and what is on its way to them.

    `open_tokens` are those shown whose message is not in the log yet: a latecomer gets them from here.
    """

    listeners: set[Ear] = field(default_factory=set)
    on_its_way: deque[tuple[Shown | None, Durable | None]] = field(default_factory=deque)
    open_tokens: list[TokenRecord] = field(default_factory=list)
    pump: asyncio.Task[None] | None = None
    failed: bool = False


class Neighbours(Protocol):
    """Other processes, whose listeners hear what is shown here; see relay.py."""

    def said(self, token: TokenRecord, *, now: bool) -> None:
        """A token of a turn that runs here. `now`: all that comes before it is durable."""

    def rested(self, thread_id: str) -> None:
        """A thread whose turns ran here has come to rest."""

    def listening(self, thread_id: str, *, on: bool) -> None:
        """The first listener of a thread has come, or the last one left."""


class Broadcast:
    """Shows every event of every thread to whoever listens to it.

    Attributes:
        neighbours: told what is shown and listened to here; None where there are none.
    """

    def __init__(self, event_log: EventStore) -> None:
        self.neighbours: Neighbours | None = None
        self._log = event_log
        self._channels: dict[str, _Channel] = {}

    @property
    def listened(self) -> list[str]:
        """The threads that somebody listens to here."""
        return [thread_id for thread_id, channel in self._channels.items() if channel.listeners]

    def open_tokens(self, thread_id: str) -> list[TokenRecord]:
        """Those shown whose message is not in the log yet."""
        channel = self._channels.get(thread_id)
        return list(channel.open_tokens) if channel else []

    def repeat(self, thread_id: str, shown: Shown | None) -> None:
        """Show here what another process has shown: it is durable, or a token."""
        if channel := self._channels.get(thread_id):
            self._put(thread_id, channel, shown)

    def publish(self, thread_id: str, shown: Shown | None, durable: Durable | None = None) -> None:
        """Show an event, when `durable` is done where it is given. None says that the thread is at rest."""
        channel = self._channels.setdefault(thread_id, _Channel())
        now = durable is None and not channel.on_its_way
        if self.neighbours and isinstance(shown, TokenRecord):
            self.neighbours.said(shown, now=now)
        if now:
            self._show(thread_id, channel, shown)
            return
        channel.on_its_way.append((shown, durable))
        if channel.pump is None:
            channel.pump = asyncio.get_running_loop().create_task(self._pump(thread_id, channel))

    async def settled(self, thread_id: str) -> None:
        """Return once all that was published on a thread has been shown.

        Raises:
            StorageFailed: some of it could not be made durable, and so was not shown.
        """
        channel = self._channels.get(thread_id)
        if channel and channel.pump:
            await asyncio.shield(channel.pump)
        if channel and channel.failed:
            channel.failed = False
            raise StorageFailed("The event log could not be written; check the disk of DATA_DIR.")

    def listen(self, thread_id: str) -> Listener:
        """Begin to listen; end with `leave`."""
        listener = Listener()
        self.attach(thread_id, listener)
        return listener

    def attach(self, thread_id: str, ear: Ear) -> None:
        """Show everything from now on to `ear`; what was shown of an unfinished message comes first."""
        channel = self._channels.setdefault(thread_id, _Channel())
        if self.neighbours and not channel.listeners:
            self.neighbours.listening(thread_id, on=True)
        channel.listeners.add(ear)
        for token in channel.open_tokens:
            ear.put(token)

    def leave(self, thread_id: str, ear: Ear) -> None:
        """Stop listening."""
        channel = self._channels.get(thread_id)
        if channel:
            channel.listeners.discard(ear)
            if self.neighbours and not channel.listeners:
                self.neighbours.listening(thread_id, on=False)
            self._forget_if_idle(thread_id, channel)

    async def caught_up(self, thread_id: str, after: int, listener: Listener) -> AsyncIterator[Shown | None]:
        """Everything after `after` from the log, then what `listener` hears, each number once.

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
                last = shown.seq
                yield shown

    def _show(self, thread_id: str, channel: _Channel, shown: Shown | None) -> None:
        if self.neighbours and shown is None:
            self.neighbours.rested(thread_id)
        self._put(thread_id, channel, shown)

    def _put(self, thread_id: str, channel: _Channel, shown: Shown | None) -> None:
        if isinstance(shown, TokenRecord):
            channel.open_tokens.append(shown)
        elif shown and isinstance(shown.event, Message) and shown.event.role == "agent":
            covered = range(shown.first_seq, shown.seq + 1)
            channel.open_tokens = [token for token in channel.open_tokens if token.seq not in covered]
            return
        for listener in tuple(channel.listeners):
            try:
                listener.put(shown)
            except Exception as error:
                # One listener that breaks must not keep the event from the others.
                log.error("listener_failed", thread_id=thread_id, error=repr(error))
                channel.listeners.discard(listener)
        if shown is None:
            self._forget_if_idle(thread_id, channel)

    async def _pump(self, thread_id: str, channel: _Channel) -> None:
        while channel.on_its_way:
            shown, durable = channel.on_its_way[0]
            try:
                if durable is not None:
                    await durable
            except EventRefused:
                log.error("event_not_shown", thread_id=thread_id)
            except StorageFailed:
                channel.failed = True
            else:
                self._show(thread_id, channel, shown)
            channel.on_its_way.popleft()
        channel.pump = None
        self._forget_if_idle(thread_id, channel)

    def _forget_if_idle(self, thread_id: str, channel: _Channel) -> None:
        if not (channel.listeners or channel.on_its_way or channel.open_tokens or channel.failed):
            self._channels.pop(thread_id, None)


def as_shown(record: Record) -> Shown:
    """What is shown of a record to who was not there: a whole message comes as one token."""
    event = record.event
    if isinstance(event, Message) and event.role == "agent":
        token = Token(agent=event.agent or "", content=event.content)
        return TokenRecord(record.thread_id, record.seq, token, record.turn_id, record.first_seq)
    return record
