"""Runs turns, one at a time per thread, for every channel. What a turn does is in `turn.py`."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog

from smart_support import clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput, check_edit_given
from smart_support.concurrency import end_tasks
from smart_support.conversation.broadcast import Listener
from smart_support.conversation.foreign_turn import ForeignTurn
from smart_support.conversation.graph_adapter.foreign_graph import ForeignGraph
from smart_support.conversation.graph_adapter.own_graph import OwnGraph
from smart_support.conversation.limits import Limits, checked_thread_id
from smart_support.conversation.message_ids import event_id_of
from smart_support.conversation.recorded_turn import RecordedTurn
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session
from smart_support.conversation.side_thread import SideThreads
from smart_support.conversation.turn import Turn, TurnDependencies
from smart_support.conversation.turn_places import TurnPlaces
from smart_support.errors import (
    InvalidRequest,
    NoPendingApproval,
    Overloaded,
    ShuttingDown,
    SmartSupportError,
    StorageFailed,
)
from smart_support.events import UNRECORDED, Failure, Message, Record, Shown
from smart_support.gate.planned_call import PlannedCall
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.identity.users import ANYONE, User
from smart_support.observability import log, tracing
from smart_support.storage.coordination.base import Locks

logger = log.get_logger()
NOT_TAKEN = (
    "Smart Support is restarting and did not take this; nothing was lost. Please send it again in a moment."
)
PARKED = (
    "Smart Support is restarting; this goes on by itself afterwards. Follow it with resume, or in replay."
)
MESSAGE_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Work = Callable[[RecordedTurn], Awaitable[None]]
T = TypeVar("T")
ClientTurn = Callable[[Session, Recorder], RecordedTurn]


@dataclass(frozen=True, slots=True)
class _QueuedTurn:
    """A turn that waits for those before it on its thread.

    Attributes:
        spoken_by: who sent the message it begins with; None where it begins with none.
        message: the text of that message.
        message_id: its id, where the client gave one.
        connection: what it came over.
        since: when it came (`time.monotonic`).
        is_recovery: a crash cut it off, and it goes on under its own id.
    """

    thread_id: str
    turn_id: str
    channel: str
    work: Work
    spoken_by: str | None
    is_recovery: bool
    message: str | None = None
    message_id: str | None = None
    connection: Hashable = None
    since: float = field(default_factory=time.monotonic)


@dataclass
class _Lane:
    """The turns of one thread. Locks are fair: turns run in the order in which they came.

    Attributes:
        lock: held by the turn that runs.
        messages: held by the first turn of a message, also while that waits for its place. What a decision
            starts goes ahead of it.
        free_since: when the last turn of a message ended.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    messages: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_since: float = 0.0
    turns: int = 0


class TurnRunner:
    """Starts turns, runs those of a thread in order, and ends them when the process ends.

    Attributes:
        places: limit how many turns of messages run at once.
        is_closing: the process is about to end; no new turn is taken.
        store_lost: set when a store failed, so that a turn could not end; cleared by who finishes it.
    """

    def __init__(
        self,
        *,
        dependencies: TurnDependencies,
        edit: Callable[[Approval, Mapping[str, Any]], Awaitable[PlannedCall]],
        limits: Limits,
        places: TurnPlaces,
        locks: Locks,
        is_single_process: bool,
        client_turn: ClientTurn | None = None,
    ) -> None:
        """
        Args:
            dependencies: what the turns use.
            edit: returns edited arguments as they will run, with their card. Raises where they don't fit the
                approval's tool, or need more than the approval does.
            locks: keep other processes from a thread while its turn runs.
            is_single_process: there are no other processes.
            client_turn: makes the turn of a thread that holds the actions of an API client.
        """
        self._client_turn = client_turn
        self._dependencies = dependencies
        self._edit = edit
        self._sessions = dependencies.sessions
        self._approvals = dependencies.approvals
        self._log = dependencies.event_log
        self._broadcast = dependencies.broadcast
        self._limits = limits
        self.places = places
        self._locks = locks
        self._is_single_process = is_single_process
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        # Messages with a client's id whose turn runs or waits, by thread and id.
        self._accepted: set[tuple[str, str]] = set()
        self.is_closing = False
        self.store_lost = asyncio.Event()
        # Threads with a turn that could not end, because a store failed.
        self._left: set[str] = set()

    @property
    def running_count(self) -> int:
        """How many turns run, or wait for those before them."""
        return len(self._tasks)

    def use(self, graph: OwnGraph) -> None:
        """Let the turns that start from now on use another graph, with the same checkpoints."""
        side_threads = SideThreads(graph, self._sessions)
        self._dependencies = replace(self._dependencies, graph=graph, side_threads=side_threads)

    # What channels call

    async def submit(
        self,
        thread_id: str,
        content: str,
        *,
        channel: str,
        by: User = ANYONE,
        message_id: str | None = None,
        customer: VerifiedCustomer | None = None,
        connection: Hashable = None,
    ) -> str:
        """Accept a customer's message. Its turn runs to its end, with or without listeners.

        Where too many turns run, it waits for its place; if it gets none, listeners get `overloaded`, and
        nothing of it is on record.

        Args:
            by: the user who sends it, as they logged in.
            message_id: see `submit_once`.
            customer: whom a website vouches for; the first one of a thread binds it.
            connection: what it comes over; None: one of its own.

        Returns:
            The turn's id.

        Raises:
            InvalidThreadId, InvalidContent, SessionExpired, RateLimited: it was not accepted.
            NotFound: the thread holds the actions of an API client.
            Forbidden: an operator's message to a conversation of another user.
            CustomerMismatch: the conversation belongs to another customer.
            ShuttingDown: the process is about to end.
        """
        checked_thread_id(thread_id)
        self._limits.checked_content(content)
        has_turn = thread_id in self._lanes
        await self._sessions.check_sender(thread_id, by, customer, has_turn=has_turn)
        await self._limits.count_message(thread_id)
        await self._sessions.claim(thread_id, by)
        if customer:
            await self._sessions.bind_customer(thread_id, customer)
        self.check_open()
        message = Message(role="customer", content=content, message_id=message_id or clock.new_id())

        async def work(turn: RecordedTurn) -> None:
            await turn.answer(message, is_repeatable=message_id is not None)

        # Nothing is awaited from here on: a listener attached as soon as this returns gets the whole turn.
        turn_id = clock.new_id()
        return self._start(
            _QueuedTurn(
                thread_id,
                turn_id,
                channel,
                work,
                spoken_by=by.name,
                is_recovery=False,
                message=message.content,
                message_id=message_id,
                connection=turn_id if connection is None else connection,
            )
        )

    async def submit_once(
        self,
        thread_id: str,
        content: str,
        *,
        message_id: str,
        channel: str,
        by: User = ANYONE,
        customer: VerifiedCustomer | None = None,
        connection: Hashable = None,
    ) -> bool:
        """Accept a message of a client that sends it again until it is on record.

        Args:
            message_id: a UUID of the client's own; a message is recorded once under it.

        Returns:
            Whether it is on record already. Otherwise its turn runs, or waits for those before it.

        Raises:
            As `submit` does; InvalidRequest: `message_id` is not a UUID in lower case.
        """
        if not isinstance(message_id, str) or not MESSAGE_ID.fullmatch(message_id):
            raise InvalidRequest("message_id: give a UUID of your own, in lower case")
        accepted = (checked_thread_id(thread_id), message_id)
        await self._sessions.check_owner(thread_id, by)
        await self._sessions.check_customer(thread_id, by, customer)
        event_id = event_id_of(thread_id, "customer", message_id)
        if accepted in self._accepted:
            return await self._log.has(thread_id, event_id)
        self._accepted.add(accepted)
        try:
            if is_recorded := await self._log.has(thread_id, event_id):
                self._accepted.discard(accepted)
            else:
                await self.submit(
                    thread_id,
                    content,
                    channel=channel,
                    by=by,
                    message_id=message_id,
                    customer=customer,
                    connection=connection,
                )
        except BaseException:
            self._accepted.discard(accepted)
            raise
        return is_recorded

    async def decide(self, approval_id: str, decision: DecisionInput) -> Approval:
        """Decide an approval. Returns once that is durable; the turn that follows runs by itself.

        Raises:
            AlreadyDecided, ApprovalExpired, NotFound, InvalidRequest, DecisionNotAllowed, InvalidArguments,
                ShuttingDown: nothing was changed.
        """
        decided, _ = await self._decide(approval_id, decision)
        return decided

    async def preview_edit(self, approval_id: str, args: Mapping[str, Any]) -> PlannedCall:
        """The approval's card as an edit would make it; nothing is changed. Raises as `decide` does."""
        return await self._checked_edit(approval_id, "edit", args)

    async def pending_approval(self, thread_id: str, interrupt_id: str | None = None) -> Approval:
        """The pending approval of a thread.

        Raises:
            AlreadyDecided, ApprovalExpired: the one with `interrupt_id`, or the last one, is not pending any
                more.
            NoPendingApproval: there is none.
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

    async def submit_and_follow(
        self,
        thread_id: str,
        content: str,
        *,
        channel: str,
        by: User = ANYONE,
        customer: VerifiedCustomer | None = None,
    ) -> AsyncIterator[Shown]:
        """Submit a message and yield its turn's events to the end. Raises as `submit` does."""
        lists = self.submit_and_follow_in_lists(thread_id, content, channel=channel, by=by, customer=customer)
        async with aclosing(lists):
            async for several in lists:
                for shown in several:
                    yield shown

    async def submit_and_follow_in_lists(
        self,
        thread_id: str,
        content: str,
        *,
        channel: str,
        by: User = ANYONE,
        customer: VerifiedCustomer | None = None,
    ) -> AsyncGenerator[list[Shown]]:
        """As `submit_and_follow`, with the events that have come by then in one list, never an empty one."""
        listener = self._broadcast.listen(checked_thread_id(thread_id))
        try:
            turn_id = await self.submit(thread_id, content, channel=channel, by=by, customer=customer)
            async for several in self._events_of_turn(listener, thread_id, turn_id):
                yield several
        finally:
            self._broadcast.leave(thread_id, listener)

    async def start_and_follow(self, thread_id: str, channel: str, work: Work) -> AsyncGenerator[Shown]:
        """Start a turn and yield its events to the end.

        Raises:
            ShuttingDown: the process is about to end.
        """
        self.check_open()
        listener = self._broadcast.listen(thread_id)
        try:
            turn_id = self.start(thread_id, channel, work)
            async for several in self._events_of_turn(listener, thread_id, turn_id):
                for shown in several:
                    yield shown
        finally:
            self._broadcast.leave(thread_id, listener)

    async def decide_and_follow(self, approval_id: str, decision: DecisionInput) -> AsyncIterator[Shown]:
        """Decide, and yield the events of the turn that follows. Raises as `decide` does.

        Where a second lead has to approve too, no turn follows yet, and nothing is yielded.
        """
        thread_id = (await self._approvals.get(approval_id)).thread_id
        listener = self._broadcast.listen(thread_id)
        try:
            _, turn_id = await self._decide(approval_id, decision)
            if turn_id is None:
                return
            async for several in self._events_of_turn(listener, thread_id, turn_id):
                for shown in several:
                    yield shown
        finally:
            self._broadcast.leave(thread_id, listener)

    async def follow(self, thread_id: str, after: int = 0) -> AsyncIterator[Shown]:
        """Yield every event after the number `after`, then live ones, until the thread is at rest."""
        listener = self._broadcast.listen(checked_thread_id(thread_id))
        try:
            if not await self._has_turn_anywhere(thread_id):
                listener.put(None)
            async for shown in self._broadcast.caught_up(thread_id, after, listener):
                if shown is not None:
                    yield shown
                elif not await self._has_turn_anywhere(thread_id):
                    return
        finally:
            self._broadcast.leave(thread_id, listener)

    # Life of the process

    async def close(self, grace_seconds: float) -> None:
        """Accept no more turns, and wait for those that run. The next start finishes the rest."""
        self.is_closing = True
        until = time.monotonic() + grace_seconds
        while self._tasks and (left := until - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        await end_tasks(*self._tasks)

    async def _has_turn_anywhere(self, thread_id: str) -> bool:
        """Whether a turn runs on the thread, here or on another process."""
        return thread_id in self._lanes or bool(await self._locks.held([thread_id]))

    def check_open(self) -> None:
        """Raise `ShuttingDown` where the process takes no new turn."""
        if self.is_closing:
            raise ShuttingDown(NOT_TAKEN)

    def has_turn(self, thread_id: str) -> bool:
        """Whether a turn of the thread runs on this process, or waits for the one before it."""
        return thread_id in self._lanes

    def cancel_all(self) -> None:
        """Stop all turns, as if this process had ended: other processes may run them by now."""
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            # After its first step: a task that is cancelled before it never runs, and would keep its lane.
            loop.call_soon(task.cancel)

    # One turn

    async def _decide(self, approval_id: str, decision: DecisionInput) -> tuple[Approval, str | None]:
        self.check_open()
        edit = None
        if decision.args is not None or decision.decision == "edit":
            edit = await self._checked_edit(approval_id, decision.decision, decision.args)
        decided = await self._approvals.decide(approval_id, decision, edit)
        if decided.status == "pending":
            return decided, None
        return decided, self._resume(decided, decision.via)

    async def _checked_edit(
        self, approval_id: str, decision: str, args: Mapping[str, Any] | None
    ) -> PlannedCall:
        # Whether it can be decided at all comes first: where it can't, the arguments don't matter.
        approval = await self._approvals.undecided(approval_id)
        check_edit_given(decision == "edit", args)
        if not approval.call.needs_several:
            approval.check_allows(decision)
        return await self._edit(approval, args or {})

    def _resume(self, approval: Approval, via: str) -> str:
        with structlog.contextvars.bound_contextvars(approval_id=approval.approval_id):
            return self.start(approval.thread_id, via, lambda turn: turn.resume(approval))

    async def _events_of_turn(
        self, listener: Listener, thread_id: str, turn_id: str
    ) -> AsyncIterator[list[Shown]]:
        """The events of one turn out of all that a listener gets."""
        while True:
            own: list[Shown] = []
            for shown in await listener.next_all():
                if shown is None and thread_id not in self._lanes:
                    if own:
                        yield own
                    if self.is_closing:
                        raise ShuttingDown(PARKED)
                    return
                if shown is not None and shown.turn_id == turn_id:
                    own.append(shown)
                    if shown.event.ends_turn:
                        yield own
                        return
            if own:
                yield own

    def start(
        self,
        thread_id: str,
        channel: str,
        work: Work,
        *,
        recovering: Session | None = None,
    ) -> str:
        """Run a turn that no message begins on a thread, after those that run there.

        Args:
            work: what it does.
            recovering: the session of a turn that a crash cut off, to go on with that one.

        Returns:
            The turn's id.
        """
        turn_id = (recovering and recovering.turn_id) or clock.new_id()
        is_recovery = recovering is not None
        return self._start(_QueuedTurn(thread_id, turn_id, channel, work, None, is_recovery))

    def _start(self, queued: _QueuedTurn) -> str:
        lane = self._lanes.setdefault(queued.thread_id, _Lane())
        lane.turns += 1
        task = asyncio.create_task(self._run(lane, queued))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return queued.turn_id

    def start_alone(self, thread_id: str, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Run work on a thread that is not on record yet. It marks no turn: a crash leaves nothing of it."""
        lane = self._lanes.setdefault(thread_id, _Lane())
        lane.turns += 1

        async def run() -> T:
            try:
                async with lane.lock, self._locks.hold(thread_id):
                    return await work()
            finally:
                lane.turns -= 1
                if lane.turns == 0:
                    del self._lanes[thread_id]
                    self._broadcast.publish(thread_id, None)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, lane: _Lane, queued: _QueuedTurn) -> None:
        thread_id = queued.thread_id
        log.bind(thread_id=thread_id, turn_id=queued.turn_id)
        turn, is_complete = None, False
        try:
            with tracing.span("turn", channel=queued.channel, recovered=queued.is_recovery or None):
                async with self._place(lane, queued), lane.lock, self._locks.hold(thread_id):
                    if await self._is_still_ours(queued):
                        turn = await self._begin(queued)
                        await turn.run(queued.work)
                        is_complete = True
        except asyncio.CancelledError:
            # The turn stays marked as running, so that the next start finishes it.
            logger.warning("turn_parked")
            if queued.spoken_by is not None and not (turn and turn.has_begun):
                self._publish_unrecorded(queued, ShuttingDown(NOT_TAKEN))
            raise
        except Overloaded as error:
            logger.warning("turn_refused", waiting=self.places.waiting_count)
            self._publish_unrecorded(queued, error)
        except Exception as error:
            # A store failed: the turn stays marked as running, and is finished once the store works again.
            logger.error("turn_lost_its_store", error=repr(error))
            self._left.add(thread_id)
            self.store_lost.set()
            self._publish_unrecorded(queued, StorageFailed("Something broke on our side; nothing was lost."))
        finally:
            self._accepted.discard((thread_id, queued.message_id or ""))
            lane.turns -= 1
            if lane.turns == 0:
                del self._lanes[thread_id]
            # Published last, so that a client that has seen the end can send its next message at once.
            if turn and is_complete:
                turn.publish_end()
            if lane.turns == 0:
                self._broadcast.publish(thread_id, None)

    @contextlib.asynccontextmanager
    async def _place(self, lane: _Lane, queued: _QueuedTurn) -> AsyncIterator[None]:
        """The place of a message's turn, which has it as long as it runs. Other turns need none.

        Raises:
            Overloaded: there was none in time.
        """
        if queued.spoken_by is None:
            yield
            return
        async with lane.messages:
            # Waiting for the message before it is no overload.
            async with self.places.hold(queued.connection, max(queued.since, lane.free_since)):
                yield
            lane.free_since = time.monotonic()

    async def _begin(self, queued: _QueuedTurn) -> RecordedTurn:
        """Mark a turn as running, until it ends or is recovered after a crash."""
        covers_from = None
        if queued.is_recovery:
            records = await self._log.read(queued.thread_id)
            covers_from = records[-1].seq + 1 if records else 1
        session = await self._sessions.begin_turn(
            queued.thread_id,
            queued.turn_id,
            queued.channel,
            spoken_by=queued.spoken_by,
            message=queued.message,
        )
        recorder = Recorder(session, self._log, self._broadcast, self._sessions, covers_from)
        if session.caller is not None and self._client_turn is not None:
            return self._client_turn(session, recorder)
        graph = self._dependencies.graph
        if isinstance(graph, ForeignGraph):
            return ForeignTurn(self._dependencies, graph, session, recorder)
        return Turn(self._dependencies, session, recorder)

    async def _is_still_ours(self, queued: _QueuedTurn) -> bool:
        """Whether the turn is still to be run. First finishes one that was left: by another process, or by
        this one when a store failed."""
        if self._is_single_process and queued.thread_id not in self._left:
            return True
        session = await self._sessions.load(queued.thread_id)
        left = session.turn_id if session else None
        if session and left and left != queued.turn_id:
            logger.warning("turn_taken_over", thread_id=queued.thread_id, turn_id=left)
            channel = session.turn_channel or "system"
            unfinished = _QueuedTurn(
                queued.thread_id, left, channel, _finish, spoken_by=None, is_recovery=True
            )
            turn = await self._begin(unfinished)
            await turn.run(unfinished.work)
            turn.publish_end()
        self._left.discard(queued.thread_id)
        return not queued.is_recovery or left == queued.turn_id

    def _publish_unrecorded(self, queued: _QueuedTurn, error: SmartSupportError) -> None:
        """Show listeners an error that can't be recorded."""
        failure = Failure(code=error.code, message=error.message)
        record = Record(queued.thread_id, UNRECORDED, failure, turn_id=queued.turn_id)
        self._broadcast.publish(queued.thread_id, record)


async def _finish(turn: RecordedTurn) -> None:
    await turn.finish()
