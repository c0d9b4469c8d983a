"""One turn's events: each gets its number, goes to the log, and is shown. What they say is not known here."""

import time
from dataclasses import replace

from smart_support import clock
from smart_support.conversation.broadcast import Broadcast, Durable
from smart_support.conversation.sessions import NUMBERS_AT_ONCE, Session, SessionManager
from smart_support.errors import EventRefused
from smart_support.events import Event, Failure, Message, Record, Token, TokenRecord
from smart_support.observability import tracing
from smart_support.storage.events.base import EventStore
from smart_support.text import TextStream

NOT_RECORDED = (
    "The end of this turn could not be recorded; what was done is done. Please look at it in replay."
)


class Recorder:
    """Numbers, records and shows what happens in one turn.

    Attributes:
        customer_id: put on every record from when it is known.
        aside: the side thread on which messages were answered while an approval waited.
        spoken_by: who said the message that the turn goes back to.
        ended: an event that ends the turn was emitted.
    """

    def __init__(
        self,
        session: Session,
        event_log: EventStore,
        broadcast: Broadcast,
        sessions: SessionManager,
        covers_from: int | None = None,
    ) -> None:
        """`covers_from`: the first number a crash may have lost; the next event covers it and all between."""
        self.thread_id = session.thread_id
        self.turn_id = session.turn_id or clock.new_id()
        self.channel = session.turn_channel
        self.customer_id = session.customer_id
        self.spoken_by = session.spoken_by
        self.aside = session.aside
        self.seq = session.last_seq
        self._from = session.last_seq
        self.ended = False
        self.first_token_ms: float | None = None
        self._reserved = session.reserved_seq
        self._covers_from = covers_from
        self._started = time.perf_counter()
        self._ending: tuple[Record, Durable] | None = None
        self._open: dict[str, list[TokenRecord]] = {}
        self._texts: dict[str, TextStream] = {}
        self._log = event_log
        self._broadcast = broadcast
        self._sessions = sessions

    @property
    def began(self) -> bool:
        """Whether anything was emitted."""
        return self.seq > self._from

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the turn began."""
        return round((time.perf_counter() - self._started) * 1000, 1)

    async def emit(self, event: Event, event_id: str | None = None) -> None:
        """Number an event, hand it to the log (a token is kept with its message), and have it shown.

        Args:
            event_id: given where the fact has an id already, so that telling it again is seen to be.
        """
        if isinstance(event, Token):
            await self._token(event)
        elif isinstance(event, Message) and event.role == "agent":
            await self._message(event)
        else:
            first, seq = await self._number()
            self._record(event, first, seq, event_id)
        self.ended = self.ended or event.ends_turn

    async def settled(self) -> None:
        """Return once all that was emitted is durable, and shown but for the event that ends the turn.

        An event that the log can't hold is left out. If it was to end the turn, a failure ends it.

        Raises:
            StorageFailed: some of it could not be made durable.
        """
        with tracing.span("commit"):
            await self._broadcast.settled(self.thread_id)
            if self._ending:
                try:
                    await self._ending[1]
                except EventRefused as error:
                    await self.emit(Failure(code=error.code, message=NOT_RECORDED))
                    await self._ending[1]

    def show_ending(self) -> None:
        """Show the event that ended the turn, once the turn has really ended, its session included."""
        if self._ending:
            self._broadcast.publish(self.thread_id, self._ending[0])

    async def close_messages(self) -> None:
        """Record what was spoken so far of messages that were cut off."""
        for agent in list(self._texts):
            await self._end_text(agent)
            if agent in self._open:
                text = "".join(token.event.content for token in self._open[agent])
                await self._message(Message(role="agent", content=text, agent=agent))

    async def _token(self, event: Token) -> None:
        """Show a chunk, but for half of a character at its end: that comes with the next one."""
        content = self._texts.setdefault(event.agent, TextStream()).add(event.content)
        if content or not event.content:
            await self._show(event if content == event.content else replace(event, content=content))

    async def _end_text(self, agent: str) -> None:
        text = self._texts.pop(agent, None)
        if text and (rest := text.end()):
            await self._show(Token(agent=agent, content=rest))

    async def _show(self, event: Token) -> None:
        first, seq = await self._number()
        if self.first_token_ms is None:
            self.first_token_ms = self.elapsed_ms
        token = TokenRecord(self.thread_id, seq, event, self.turn_id, first)
        self._open.setdefault(event.agent, []).append(token)
        self._broadcast.publish(self.thread_id, token)

    async def _message(self, event: Message) -> None:
        agent = event.agent or ""
        await self._end_text(agent)
        if agent not in self._open:
            await self._show(Token(agent=agent, content=event.content))
        tokens = self._open.pop(agent)
        self._record(event, tokens[0].first_seq, tokens[-1].seq, None)

    def _record(self, event: Event, first: int, seq: int, event_id: str | None) -> None:
        record = Record(
            thread_id=self.thread_id,
            seq=seq,
            event=event,
            first_seq=first,
            turn_id=self.turn_id,
            channel=self.channel,
            customer_id=self.customer_id,
            event_id=event_id or clock.new_id(),
        )
        durable = self._log.append(record)
        if event.ends_turn:
            self._ending = record, durable
        else:
            self._broadcast.publish(self.thread_id, record, durable)

    async def _number(self) -> tuple[int, int]:
        self.seq += 1
        if self.seq > self._reserved:
            self._reserved += NUMBERS_AT_ONCE
            await self._sessions.reserve(self.thread_id, self._reserved)
        first, self._covers_from = self._covers_from or self.seq, None
        return first, self.seq
