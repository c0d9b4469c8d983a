"""The turn: one at a time per thread, from a message or a decision to its end, through whatever door.

Socket, REST, Gradio and the decision of an approval all come here. What a turn does between its first
and its last event is in `course.py`; here is who may start one, in which order, and that it ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from smart_support import clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput, check_edit_given
from smart_support.approvals.queue import ApprovalQueue
from smart_support.concurrency import end_tasks
from smart_support.conversation.broadcast import Broadcast, Listener
from smart_support.conversation.limits import Limits, checked_thread_id
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.conversation.turn import Course
from smart_support.errors import NoPendingApproval, ShuttingDown, SmartSupportError, StorageFailed
from smart_support.events import Failure, Message, Record, Shown
from smart_support.gate.planned_call import PlannedCall
from smart_support.identity.users import ANYONE, User
from smart_support.observability import log, tracing
from smart_support.storage.coordination.base import Locks
from smart_support.storage.events.base import EventStore

logger = log.get_logger()
NOT_TAKEN = (
    "Smart Support is restarting and did not take this; nothing was lost. Please send it again in a moment."
)
PARKED = (
    "Smart Support is restarting; this goes on by itself afterwards. Follow it with resume, or in replay."
)
MODEL_FAILED = "The language model could not answer. Your message is kept; please send it again in a moment."


@dataclass
class _Lane:
    """One thread's turns. The lock is fair: turns run in the order they came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    turns: int = 0


class TurnRunner:
    """Runs turns, and answers for their order, their record and their end.

    Attributes:
        closing: the process is about to end: no new turn is taken.
    """

    def __init__(
        self,
        *,
        course: Course,
        edit: Callable[[Approval, Mapping[str, Any]], Awaitable[PlannedCall]],
        sessions: SessionManager,
        approvals: ApprovalQueue,
        event_log: EventStore,
        broadcast: Broadcast,
        limits: Limits,
        locks: Locks,
        alone: bool,
    ) -> None:
        """
        Args:
            course: what a turn does.
            edit: gives edited arguments as they will run, and their card; raises where they don't fit the
                approval's tool, or need more than the approval does.
            locks: keep other processes from a thread while its turn runs.
            alone: there are no other processes.
        """
        self._course = course
        self._edit = edit
        self._sessions = sessions
        self._approvals = approvals
        self._log = event_log
        self._broadcast = broadcast
        self._limits = limits
        self._locks = locks
        self._alone = alone
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False

    @property
    def running(self) -> int:
        """How many turns run, or wait for the one before them."""
        return len(self._tasks)

    # What a door calls

    async def say(self, thread_id: str, content: str, *, channel: str, by: User = ANYONE) -> str:
        """Take a customer's message; its turn runs to the end, whoever listens or not.

        Args:
            by: who is at the door, as they logged in.

        Returns:
            The turn's id.

        Raises:
            InvalidThreadId, InvalidContent, SessionExpired, RateLimited: it was not taken.
            Forbidden: an operator's message to a conversation that is not theirs.
            ShuttingDown: the process is about to end.
        """
        checked_thread_id(thread_id)
        self._limits.checked_content(content)
        await self._sessions.check_theirs(thread_id, by)
        if thread_id not in self._lanes:
            await self._sessions.check_alive(thread_id)
        await self._limits.count_message(thread_id)
        await self._sessions.take(thread_id, by)
        self._check_open()
        message = Message(role="customer", content=content, message_id=clock.new_id())
        # Nothing is awaited from here on: who listens as soon as this returns hears all of the turn.
        return self.start(
            thread_id, channel, lambda recorder: self._course.answer(recorder, message), spoken_by=by.name
        )

    async def decide(self, approval_id: str, decision: DecisionInput) -> Approval:
        """Decide an approval; returns once that is durable, while the conversation goes on by itself.

        Raises:
            AlreadyDecided, ApprovalExpired, NotFound, InvalidRequest, DecisionNotAllowed, InvalidArguments,
                ShuttingDown: nothing was changed.
        """
        decided, _ = await self._decide(approval_id, decision)
        return decided

    async def tried_edit(self, approval_id: str, args: Mapping[str, Any]) -> PlannedCall:
        """What an edit would make of an approval's card; nothing is changed. Raises as `decide` does."""
        return await self._checked_edit(approval_id, "edit", args)

    async def pending(self, thread_id: str, interrupt_id: str | None = None) -> Approval:
        """The approval that waits on a thread.

        Raises:
            AlreadyDecided, ApprovalExpired: the one asked for, or the one that just waited, is settled.
            NoPendingApproval: nothing waits.
        """
        session = await self._sessions.load(thread_id)
        for approval in reversed(await self._approvals.of_thread(thread_id)):
            if interrupt_id not in (None, approval.interrupt_id):
                continue
            if approval.status == "pending":
                return approval
            latest = session is None or clock.parse(approval.requested_at) >= session.last_message_at
            if interrupt_id or latest:
                raise approval.refusal()
            break
        raise NoPendingApproval(f"thread {thread_id}: nothing waits for a decision")

    async def converse(
        self, thread_id: str, content: str, *, channel: str, by: User = ANYONE
    ) -> AsyncIterator[Shown]:
        """Say something and yield that turn's events to its end. Raises as `say` does."""
        listener = self._broadcast.listen(checked_thread_id(thread_id))
        try:
            turn_id = await self.say(thread_id, content, channel=channel, by=by)
            async for shown in self._heard(listener, thread_id, turn_id):
                yield shown
        finally:
            self._broadcast.leave(thread_id, listener)

    async def carry_out(self, approval_id: str, decision: DecisionInput) -> AsyncIterator[Shown]:
        """Decide, and yield the events of the turn that follows. Takes and raises what `decide` does.

        Where a second lead has to approve too, no turn follows yet and there is nothing to yield.
        """
        thread_id = (await self._approvals.get(approval_id)).thread_id
        listener = self._broadcast.listen(thread_id)
        try:
            _, turn_id = await self._decide(approval_id, decision)
            if turn_id is None:
                return
            async for shown in self._heard(listener, thread_id, turn_id):
                yield shown
        finally:
            self._broadcast.leave(thread_id, listener)

    async def follow(self, thread_id: str, after: int = 0) -> AsyncIterator[Shown]:
        """Everything after `after`, then what happens, until the thread is at rest."""
        listener = self._broadcast.listen(checked_thread_id(thread_id))
        try:
            if not await self._runs(thread_id):
                listener.put(None)
            async for shown in self._broadcast.caught_up(thread_id, after, listener):
                if shown is not None:
                    yield shown
                elif not await self._runs(thread_id):
                    return
        finally:
            self._broadcast.leave(thread_id, listener)

    # Life of the process

    async def close(self, grace_seconds: float) -> None:
        """Take no more turns and let running ones end; what still runs then is parked for the next start."""
        self.closing = True
        until = time.monotonic() + grace_seconds
        while self._tasks and (left := until - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        await end_tasks(*self._tasks)

    async def _runs(self, thread_id: str) -> bool:
        """Whether a turn runs on the thread, here or on another process."""
        return thread_id in self._lanes or bool(await self._locks.held([thread_id]))

    def here(self, thread_id: str) -> bool:
        """Whether a turn of the thread runs on this process, or waits for the one before it."""
        return thread_id in self._lanes

    def let_go(self) -> None:
        """Others may run our turns by now: stop them, as if this process had ended."""
        for task in self._tasks:
            task.cancel()

    # One turn

    async def _decide(self, approval_id: str, decision: DecisionInput) -> tuple[Approval, str | None]:
        self._check_open()
        edit = None
        if decision.args is not None or decision.decision == "edit":
            edit = await self._checked_edit(approval_id, decision.decision, decision.args)
        decided = await self._approvals.decide(approval_id, decision, edit)
        if decided.status == "pending":
            return decided, None
        return decided, self._take_up(decided, decision.via)

    async def _checked_edit(
        self, approval_id: str, decision: str, args: Mapping[str, Any] | None
    ) -> PlannedCall:
        # First whether it can be decided at all: where it can't, the arguments don't matter.
        approval = await self._approvals.undecided(approval_id)
        check_edit_given(decision == "edit", args)
        if approval.call.need != "two_leads":
            approval.check_allows(decision)
        return await self._edit(approval, args or {})

    def _take_up(self, approval: Approval, via: str) -> str:
        with structlog.contextvars.bound_contextvars(approval_id=approval.approval_id):
            return self.start(
                approval.thread_id, via, lambda recorder: self._course.resume(recorder, approval)
            )

    def _check_open(self) -> None:
        if self.closing:
            raise ShuttingDown(NOT_TAKEN)

    async def _heard(self, listener: Listener, thread_id: str, turn_id: str) -> AsyncIterator[Shown]:
        """One turn's events out of all that a listener hears."""
        while True:
            shown = await listener.next()
            if shown is None and thread_id not in self._lanes:
                if self.closing:
                    raise ShuttingDown(PARKED)
                return
            if shown is not None and shown.turn_id == turn_id:
                yield shown
                if shown.event.ends_turn:
                    return

    def start(
        self,
        thread_id: str,
        channel: str,
        work: Callable[[Recorder], Awaitable[None]],
        *,
        spoken_by: str | None = None,
        recovering: Session | None = None,
    ) -> str:
        """Run a turn on a thread, after those that run or wait there.

        Args:
            work: what it does; it is given where to tell of it.
            spoken_by: who says the message it begins with, if it does.
            recovering: the session of a turn that was cut off, if it is that one.

        Returns:
            The turn's id.
        """
        turn_id = (recovering and recovering.turn_id) or clock.new_id()
        lane = self._lanes.setdefault(thread_id, _Lane())
        lane.turns += 1
        task = asyncio.create_task(
            self._turn(lane, thread_id, turn_id, channel, work, spoken_by, recovering is not None)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return turn_id

    async def _turn(
        self,
        lane: _Lane,
        thread_id: str,
        turn_id: str,
        channel: str,
        work: Callable[[Recorder], Awaitable[None]],
        spoken_by: str | None,
        recovering: bool,
    ) -> None:
        log.bind(thread_id=thread_id, turn_id=turn_id)
        recorder: Recorder | None = None
        try:
            with tracing.span("turn", channel=channel, recovered=recovering or None):
                async with lane.lock, self._locks.hold(thread_id):
                    if await self._is_still_ours(thread_id, turn_id, recovering):
                        recorder = await self._recorder(thread_id, turn_id, channel, spoken_by, recovering)
                        await self._run(recorder, work)
        except asyncio.CancelledError:
            # The turn stays marked as running, and the next start finishes it.
            logger.warning("turn_parked")
            if spoken_by is not None and not (recorder and recorder.began):
                self._tell_outside(thread_id, turn_id, ShuttingDown(NOT_TAKEN))
            recorder = None
            raise
        except Exception as error:
            # A store failed: as above.
            logger.error("turn_lost_its_store", error=repr(error))
            told = StorageFailed("Something broke on our side; nothing was lost.")
            self._tell_outside(thread_id, turn_id, told)
            recorder = None
        finally:
            lane.turns -= 1
            if lane.turns == 0:
                del self._lanes[thread_id]
            # Shown last, so that whoever has seen the end finds the thread ready for what they send next.
            if recorder:
                recorder.show_ending()
            if lane.turns == 0:
                self._broadcast.publish(thread_id, None)

    def _tell_outside(self, thread_id: str, turn_id: str, error: SmartSupportError) -> None:
        """Tell those who listen what can't be put on record."""
        told = Failure(code=error.code, message=error.message)
        self._broadcast.publish(thread_id, Record(thread_id, 2**53, told, turn_id=turn_id))

    async def _is_still_ours(self, thread_id: str, turn_id: str, recovering: bool) -> bool:
        """Whether there is something to do; what another process left on the thread is finished first."""
        if self._alone:
            return True
        session = await self._sessions.load(thread_id)
        left = session.turn_id if session else None
        if session and left and left != turn_id:
            logger.warning("turn_taken_over", thread_id=thread_id, turn_id=left)
            recorder = await self._recorder(thread_id, left, session.turn_channel or "system", None, True)
            await self._run(recorder, self._course.finish)
            recorder.show_ending()
        return not recovering or left == turn_id

    async def _run(self, recorder: Recorder, work: Callable[[Recorder], Awaitable[None]]) -> None:
        logger.info("turn_began", channel=recorder.channel)
        await self._to_its_end(recorder, work)
        await self._sessions.end_turn(recorder.thread_id, recorder.seq, recorder.customer_id)
        logger.info("turn_ended", duration_ms=recorder.elapsed_ms)

    async def _recorder(
        self, thread_id: str, turn_id: str, channel: str, spoken_by: str | None, recovering: bool
    ) -> Recorder:
        covers_from = None
        if recovering:
            records = await self._log.read(thread_id)
            covers_from = records[-1].seq + 1 if records else 1
        session = await self._sessions.begin_turn(thread_id, turn_id, channel, spoken_by=spoken_by)
        return Recorder(session, self._log, self._broadcast, self._sessions, covers_from)

    async def _to_its_end(self, recorder: Recorder, work: Callable[[Recorder], Awaitable[None]]) -> None:
        """Do the turn's work; whatever happens, the turn ends in one event, and all of it is durable."""
        try:
            await work(recorder)
        except SmartSupportError as error:
            await self._fail(recorder, error.code, error.message, error)
        except Exception as error:
            await self._fail(recorder, "model_error", MODEL_FAILED, error)
        await recorder.settled()

    async def _fail(self, recorder: Recorder, code: str, message: str, error: Exception) -> None:
        logger.error("turn_failed", code=code, error=repr(error), exc_info=error.__cause__ or error)
        tracing.failed(error)
        await recorder.close_messages()
        if not recorder.ended:
            await self._course.tell_of_failures(recorder)
            await recorder.emit(Failure(code=code, message=message))
