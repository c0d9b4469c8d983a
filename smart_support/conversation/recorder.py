"""Numbers the events of one turn, writes them to the event log and publishes them to listeners."""

from dataclasses import replace

from smart_support import clock
from smart_support.conversation.broadcast import Broadcast, Durable
from smart_support.conversation.sessions import SEQ_BLOCK, LastMessage, Session, SessionManager, preview
from smart_support.errors import EventRefused
from smart_support.events import Event, Failure, Message, Record, Token, TokenRecord
from smart_support.observability import tracing
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.group_commit import Chain
from smart_support.text import TextStream

NOT_RECORDED = "The end of this turn could not be recorded. What was done is done; please check the replay."


class Recorder:
    """Numbers, stores and publishes the events of one turn.

    Attributes:
        last_seq: the highest number in use.
        last_message: what was said last in the turn; None where nothing was.
    """

    def __init__(
        self,
        session: Session,
        event_log: EventStore,
        broadcast: Broadcast,
        sessions: SessionManager,
        covers_from: int | None = None,
    ) -> None:
        """
        Args:
            session: as the start of the turn has left it.
            covers_from: the first number that a crash may have lost. The next event covers the numbers from
                there up to its own.
        """
        self.thread_id = session.thread_id
        self.last_seq = session.last_seq
        self.last_message: LastMessage | None = None
        self._turn_id = session.turn_id or clock.new_id()
        self._channel = session.turn_channel
        self._caller = session.caller
        self._reserved = session.reserved_seq
        self._covers_from = covers_from
        self._end: tuple[Record, Durable] | None = None
        self._open_tokens: dict[str, list[TokenRecord]] = {}
        self._texts: dict[str, TextStream] = {}
        self._log = event_log
        self._chain = Chain()
        self._broadcast = broadcast
        self._sessions = sessions

    @property
    def end_seq(self) -> int:
        """The number after which the next turn goes on. Where nothing was left to record, none is used up."""
        return self._covers_from - 1 if self._covers_from else self.last_seq

    async def record(
        self, event: Event, *, event_id: str | None = None, customer_id: str | None = None
    ) -> None:
        """Number an event and hand it to the log and to the listeners.

        A token is published at once; the log keeps it as part of its message.

        Args:
            event_id: the id that the fact already has, so that a repetition is recognised.
            customer_id: the customer whom the turn is about, where known.
        """
        if isinstance(event, Token):
            await self._reserve()
            self.show(event)
        elif isinstance(event, Message) and event.role == "agent":
            await self._record_agent_message(event, customer_id)
        else:
            await self._reserve()
            first, seq = self._next_seq()
            self._append(event, first, seq, event_id, customer_id)

    async def settle(self) -> None:
        """Return once every event is durable, and all but the one that ends the turn are published.

        An event that the log can't store is left out. If it was the end of the turn, a failure replaces it.

        Raises:
            StorageFailed: some of it could not be made durable.
        """
        with tracing.span("commit"):
            await self._broadcast.settled(self.thread_id)
            if self._end:
                record, durable = self._end
                try:
                    await durable
                except EventRefused as error:
                    failure = Failure(code=error.code, message=NOT_RECORDED)
                    await self.record(failure, customer_id=record.customer_id)
                    await self._end[1]

    def publish_end(self) -> None:
        """Publish the event that ended the turn. Call it once the session has ended its turn, too."""
        if self._end:
            self._broadcast.publish(self.thread_id, self._end[0])

    async def close_messages(self, customer_id: str | None = None) -> None:
        """Record messages that were cut off, with the text that they have so far."""
        for agent in list(self._texts):
            await self._end_text(agent)
            if agent in self._open_tokens:
                text = "".join(token.event.content for token in self._open_tokens[agent])
                await self._record_agent_message(
                    Message(role="agent", content=text, agent=agent), customer_id
                )

    @property
    def can_show(self) -> bool:
        """Whether a number is reserved for the next token."""
        return self.last_seq < self._reserved

    def show(self, event: Token) -> None:
        """As `record`, for a token while `can_show`: there are hundreds in a turn, so nothing is awaited.

        Half of a character at its end waits for the next chunk.
        """
        text = self._texts.get(event.agent)
        if text is None:
            text = self._texts[event.agent] = TextStream()
        content = text.add(event.content)
        if content or not event.content:
            self._publish_token(event if content == event.content else replace(event, content=content))

    async def _end_text(self, agent: str) -> None:
        text = self._texts.pop(agent, None)
        if text and (rest := text.end()):
            await self._reserve()
            self._publish_token(Token(agent=agent, content=rest))

    def _publish_token(self, event: Token) -> None:
        first, seq = self._next_seq()
        token = TokenRecord(self.thread_id, seq, event, self._turn_id, first)
        self._open_tokens.setdefault(event.agent, []).append(token)
        self._broadcast.publish(self.thread_id, token)

    async def _record_agent_message(self, event: Message, customer_id: str | None) -> None:
        agent = event.agent or ""
        await self._end_text(agent)
        if agent not in self._open_tokens:
            await self._reserve()
            self._publish_token(Token(agent=agent, content=event.content))
        tokens = self._open_tokens.pop(agent)
        self._append(event, tokens[0].first_seq, tokens[-1].seq, None, customer_id)

    def _append(
        self, event: Event, first: int, seq: int, event_id: str | None, customer_id: str | None
    ) -> None:
        record = Record(
            thread_id=self.thread_id,
            seq=seq,
            event=event,
            first_seq=first,
            turn_id=self._turn_id,
            channel=self._channel,
            customer_id=customer_id,
            caller=self._caller,
            event_id=event_id or clock.new_id(),
        )
        if isinstance(event, Message):
            self._note_last_message(event, record)
        durable = self._log.append(record, self._chain)
        if event.ends_turn:
            self._end = record, durable
            # Nobody awaits it where an event before it failed.
            durable.add_done_callback(lambda end: None if end.cancelled() else end.exception())
        else:
            self._broadcast.publish(self.thread_id, record, durable)

    def _note_last_message(self, event: Message, record: Record) -> None:
        customer_seq = self.last_message.customer_seq if self.last_message else None
        self.last_message = LastMessage(
            seq=record.seq,
            role=event.role,
            by=event.by if event.role == "colleague" else event.agent,
            text=preview(event.content),
            said_at=clock.rfc3339(record.happened_at),
            customer_seq=record.seq if event.role == "customer" else customer_seq,
        )

    async def _reserve(self) -> None:
        """Reserve more numbers, if none is left."""
        if not self.can_show:
            self._reserved += SEQ_BLOCK
            await self._sessions.reserve(self.thread_id, self._reserved)

    def _next_seq(self) -> tuple[int, int]:
        """The first number that the next event covers, and its own, which is reserved."""
        self.last_seq += 1
        first, self._covers_from = self._covers_from or self.last_seq, None
        return first, self.last_seq
