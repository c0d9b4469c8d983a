"""What every turn does: it records its events, ends in exactly one way, and leaves nothing half stored."""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Self

from smart_support.approvals.approval import Approval
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.errors import SmartSupportError, StorageFailed
from smart_support.events import Decision, Event, Interrupt, Message
from smart_support.observability.log import get_logger
from smart_support.storage.failures import FAILED, is_store_failure

log = get_logger()


class RecordedTurn(ABC):
    """One turn of a thread: it emits numbered events, the last of them with `ends_turn`.

    Each abstract method does the work of one kind of turn; `run` calls it.

    Attributes:
        has_begun: whether an event was emitted.
    """

    def __init__(self, session: Session, recorder: Recorder, sessions: SessionManager) -> None:
        """`session`: as the start of the turn has left it."""
        self.thread_id = session.thread_id
        self.turn_id = session.turn_id
        self.channel = session.turn_channel
        self.has_begun = False
        self._has_ended = False
        self._customer_id = session.customer.id if session.customer else session.customer_id
        self._recorder = recorder
        self._sessions = sessions
        self._started = time.perf_counter()

    async def run(self, work: Callable[[Self], Awaitable[None]]) -> None:
        """Do the turn's work. Whatever happens, all of it is durable, and its end is ready to be published.

        Raises:
            StorageFailed: some of it could not be made durable.
        """
        log.info("turn_began", channel=self.channel)
        try:
            await self._before_work()
            await work(self)
        except SmartSupportError as error:
            await self._fail(error.code, error.message, error)
        except Exception as error:
            code, message = self._unexpected()
            if is_store_failure(error):
                code, message = StorageFailed.code, FAILED
            await self._fail(code, message, error)
        await self._recorder.settle()
        recorder = self._recorder
        await self._sessions.end_turn(
            self.thread_id, recorder.end_seq, self._customer_id, recorder.last_message
        )
        self._after_end()
        log.info("turn_ended", duration_ms=self._elapsed_ms())

    def publish_end(self) -> None:
        """Publish the event that ended the turn."""
        self._recorder.publish_end()

    async def emit(self, event: Event, event_id: str | None = None) -> None:
        """Record and publish an event.

        Args:
            event_id: the id that the fact already has, so that a repetition is recognised.
        """
        await self._recorder.record(event, event_id=event_id, customer_id=self._customer_id)
        self.has_begun = True
        self._has_ended = self._has_ended or event.ends_turn

    @abstractmethod
    async def answer(self, message: Message, *, is_repeatable: bool = False) -> None:
        """Answer a customer's message.

        Args:
            is_repeatable: a client may send the message again, also to another process: it is recorded once.
        """

    @abstractmethod
    async def resume(self, approval: Approval) -> None:
        """Go on after an approval was decided or has expired."""

    @abstractmethod
    async def answer_as_colleague(self, message: Message) -> None:
        """Record what a person answers."""

    @abstractmethod
    async def finish_takeover(self) -> None:
        """End a turn in which a person took the conversation or handed it back."""

    @abstractmethod
    async def finish(self) -> None:
        """Go on where a crash cut the turn off."""

    @abstractmethod
    async def _fail(self, code: str, message: str, error: Exception) -> None:
        """End the turn with an error."""

    @abstractmethod
    def _unexpected(self) -> tuple[str, str]:
        """The code and the message of an error that nobody foresaw."""

    @abstractmethod
    async def _before_work(self) -> None:
        """Record what comes before the turn's own work."""

    @abstractmethod
    def _after_end(self) -> None:
        """Clean up once the turn's end is durable."""

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 1)


def decision_event(approval: Approval) -> Decision:
    """The event of an approval that was decided."""
    return Decision(
        approval_id=approval.approval_id,
        outcome="approved" if approval.status == "pending" else approval.status,
        decided_by=approval.decided_by or "system",
        reason=approval.reason,
        args=dict(approval.call.args) if approval.status == "edited" else None,
        summary=approval.call.summary if approval.status == "edited" else None,
    )


def interrupt_event(approval: Approval, usage: dict[str, Any], model: str | None) -> Interrupt:
    """The event of a turn that waits for the decision on an approval."""
    return Interrupt(
        interrupt_id=approval.interrupt_id,
        approval_id=approval.approval_id,
        action=approval.call.tool,
        args=dict(approval.call.args),
        agent=approval.call.agent,
        expires_at=approval.expires_at,
        summary=approval.call.summary,
        usage=usage,
        model=model,
    )
