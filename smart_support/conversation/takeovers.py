"""People in a conversation: they take it from the agents, answer the customer, and hand it back."""

from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from smart_support import clock
from smart_support.approvals.approval import whole_text
from smart_support.conversation.limits import Limits, checked_thread_id
from smart_support.conversation.sessions import Session, SessionManager, check_conversation
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.errors import InvalidRequest, NotFound, StorageFailed, TakenOver
from smart_support.escalations.escalations import Escalations
from smart_support.events import Failure, Message, Takeover
from smart_support.storage.state.base import StateDatabase

MAX_NOTE_CHARS = 2000
MOST_NOTES = 200


@dataclass(frozen=True, slots=True)
class Note:
    """What a colleague noted about a conversation. Neither the customer nor the agents see it."""

    note_id: str
    thread_id: str
    noted_by: str
    noted_at: str
    content: str

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class Takeovers:
    """Takeovers, answers and notes of people."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        sessions: SessionManager,
        turns: TurnRunner,
        limits: Limits,
        escalations: Escalations,
    ) -> None:
        self._state = state
        self._escalations = escalations
        self._sessions = sessions
        self._turns = turns
        self._limits = limits

    async def take_over(self, thread_id: str, *, by: str, via: str) -> Session:
        """Give a conversation to a person. Returns once that is durable; the agents stop at the next step.

        Approvals that wait stay, and an approved call still runs: its result is for the person. Open
        escalations of the conversation are handled by this.

        Raises:
            NotFound: there is no such conversation.
            TakenOver: somebody else has it.
            ShuttingDown: the process is about to end.
        """
        session = await self._change(thread_id, Takeover(state="taken", by=by), via)
        await self._escalations.handle_thread(thread_id, by)
        return session

    async def release(self, thread_id: str, *, by: str, via: str, note: str | None = None) -> Session:
        """Hand a conversation back to the agents, which answer what the customer has said last.

        Args:
            by: any lead, so that a conversation does not stay with somebody who has gone home.
            note: what the agents should know.

        Raises:
            InvalidRequest: the note is too long.
            NotFound, ShuttingDown: as for `take_over`.
        """
        text = whole_text("note", note, MAX_NOTE_CHARS).strip() if note else None
        return await self._change(thread_id, Takeover(state="released", by=by, note=text or None), via)

    async def answer(
        self, thread_id: str, content: str, *, by: str, via: str, message_id: str | None = None
    ) -> str:
        """Answer the customer as a person. Returns the message's id once the message is durable.

        The agents go on with the customer's next message, unless somebody has taken the conversation. Open
        escalations of the conversation are handled by this.

        Args:
            message_id: given by a client that may have to send it again: the same id is recorded once.

        Raises:
            InvalidContent, NotFound, ShuttingDown: nothing was recorded.
            TakenOver: somebody else has the conversation.
            StorageFailed: it could not be recorded.
        """
        self._limits.checked_content(content)
        session = await self._session(thread_id)
        if session.taken_by not in (None, by):
            raise TakenOver(thread_id, str(session.taken_by))
        message = Message(role="colleague", content=content, message_id=message_id or clock.new_id(), by=by)
        events = self._turns.start_and_follow(thread_id, via, lambda turn: turn.answer_as_colleague(message))
        async with aclosing(events):
            async for shown in events:
                if isinstance(shown.event, Failure):
                    raise StorageFailed(shown.event.message)
        await self._escalations.handle_thread(thread_id, by)
        return str(message.message_id)

    async def note(self, thread_id: str, content: str, *, by: str, note_id: str | None = None) -> Note:
        """Keep a note for colleagues.

        Args:
            note_id: given by a client that may have to send it again: the same id is kept once.

        Raises:
            InvalidRequest: it is empty or too long, or its id is that of another conversation's note.
            NotFound: there is no such conversation.
        """
        if not whole_text("content", content, MAX_NOTE_CHARS).strip():
            raise InvalidRequest("content: give some text, not only white space")
        await self._session(thread_id)
        note = Note(note_id or clock.new_id(), thread_id, by, clock.rfc3339(clock.now()), content.strip())
        await self._state.execute(
            """INSERT INTO conversation_notes (note_id, thread_id, noted_by, noted_at, content)
               VALUES (:note_id, :thread_id, :noted_by, :noted_at, :content)
               ON CONFLICT (note_id) DO NOTHING""",
            note.wire(),
        )
        kept = await self._state.read(
            "SELECT * FROM conversation_notes WHERE note_id = :note_id AND thread_id = :thread_id",
            note.wire(),
        )
        if not kept:
            raise InvalidRequest("note_id: another note has this id; use a new one")
        self._sessions.notify(thread_id)
        return Note(**kept[0])

    async def notes(self, thread_id: str) -> list[Note]:
        """The notes of a conversation, the oldest first; the newest `MOST_NOTES` of them."""
        rows = await self._state.read(
            """SELECT * FROM conversation_notes WHERE thread_id = :id
               ORDER BY noted_at DESC, note_id DESC LIMIT :most""",
            {"id": thread_id, "most": MOST_NOTES},
        )
        return [Note(**row) for row in reversed(rows)]

    async def _session(self, thread_id: str) -> Session:
        session = await self._sessions.load(checked_thread_id(thread_id))
        if session is None:
            raise NotFound(f"thread {thread_id}: there is no such conversation; see GET /conversations")
        check_conversation(session)
        return session

    async def _change(self, thread_id: str, takeover: Takeover, via: str) -> Session:
        checked_thread_id(thread_id)
        self._turns.check_open()
        session = await self._sessions.take_over(thread_id, takeover, via)
        if session.unrecorded_takeovers:
            self._turns.start(thread_id, via, lambda turn: turn.finish_takeover())
        return session
