"""One turn of a conversation: answers a message, resumes after a decision, or finishes after a crash."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from smart_support import clock
from smart_support.agents.prices import Prices
from smart_support.approvals.approval import Approval
from smart_support.approvals.ledger import UNKNOWN, Entry, Ledger, what_to_check
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.broadcast import Broadcast
from smart_support.conversation.graph_adapter.adapter import (
    DecidedInterrupt,
    GraphAdapter,
    History,
    ThreadState,
    customer_message_ids,
    history_id,
    unread_history,
)
from smart_support.conversation.graph_adapter.checkpoints import Checkpoints
from smart_support.conversation.graph_adapter.interrupts import PendingInterrupt, can_answer
from smart_support.conversation.graph_adapter.stream import event_key
from smart_support.conversation.message_ids import event_id_of
from smart_support.conversation.recorded_turn import RecordedTurn, decision_event, interrupt_event
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.conversation.side_thread import SideThreads
from smart_support.errors import Frozen, ModelFailed, ToolFailed
from smart_support.events import (
    Escalation,
    EscalationKind,
    Event,
    Failure,
    Interrupt,
    Message,
    MessageComplete,
    Record,
    Takeover,
    Token,
    ToolCall,
)
from smart_support.observability import tracing
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore
from smart_support.tools.handoff import Escalate
from smart_support.tools.withdrawal import WITHDRAW

log = get_logger()
FAILED_TURNS_TO_ESCALATE = 2
MODEL_FAILED = "The language model could not answer. Your message is kept; please send it again in a moment."
STUCK = "This conversation is stuck on a decision already made; please start a new one."
NOT_CARRIED_OUT = "This was not carried out."


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDependencies:
    """What turns use.

    Attributes:
        graph: runs the agents.
        escalate: asks for a human.
        prices: of the models' tokens.
        side_threads: answer messages while an approval is pending. Without them, such a message is only
            answered with who decides.
        checkpoints: None where a foreign graph keeps its own.
    """

    graph: GraphAdapter
    sessions: SessionManager
    approvals: ApprovalQueue
    ledger: Ledger
    event_log: EventStore
    broadcast: Broadcast
    escalate: Escalate
    prices: Prices
    side_threads: SideThreads | None = None
    checkpoints: Checkpoints | None = None


class Turn(RecordedTurn):
    """One turn of the agents."""

    def __init__(self, dependencies: TurnDependencies, session: Session, recorder: Recorder) -> None:
        """`session`: as the start of the turn has left it."""
        super().__init__(session, recorder, dependencies.sessions)
        self._speaker = session.spoken_by
        self._side_thread_id = session.side_thread_id
        self._taken_by = session.taken_by
        self._unread_seq = session.unread_seq
        self._unrecorded_takeovers = session.unrecorded_takeovers
        self._graph = dependencies.graph
        self._run = dependencies.graph.start_run(self.thread_id)
        self._approvals = dependencies.approvals
        self._ledger = dependencies.ledger
        self._log = dependencies.event_log
        self._escalate = dependencies.escalate
        self._prices = dependencies.prices
        self._side_threads = dependencies.side_threads
        self._checkpoints = dependencies.checkpoints
        self._first_token_ms: float | None = None

    # From start to end

    async def emit(self, event: Event, event_id: str | None = None) -> None:
        """See `RecordedTurn.emit`."""
        await super().emit(event, event_id)
        if self._first_token_ms is None and isinstance(event, Message | Token) and event.agent is not None:
            self._first_token_ms = self._elapsed_ms()

    async def _before_work(self) -> None:
        await self._record_takeovers()

    def _after_end(self) -> None:
        if self._checkpoints:
            self._checkpoints.prune_soon(self.thread_id)

    def _unexpected(self) -> tuple[str, str]:
        return "model_error", MODEL_FAILED

    async def answer(self, message: Message, *, is_repeatable: bool = False) -> None:
        """Answer a customer's message; while an approval is pending, on a side thread.

        While a person has the conversation, the message is for them.

        Args:
            is_repeatable: a client may send the message again, also to another process: it is recorded once.
        """
        event_id = event_id_of(self.thread_id, message.role, str(message.message_id))
        if is_repeatable and await self._log.has(self.thread_id, event_id):
            await self._complete()
            return
        await self.emit(message, event_id if is_repeatable else None)
        for approval in await self._unresumed_approvals():
            await self._apply(approval)
            await self._use_up_lost_approvals()
        if self._taken_by:
            await self._complete()
            return
        if await self._answer_stuck():
            return
        if pending := await self._pending_interrupts():
            await self._answer_while_pending(pending, message)
            return
        await self._send(message)
        await self._delete_side_thread()
        await self._conclude()

    async def resume(self, approval: Approval) -> None:
        """Go on after an approval was decided or has expired."""
        if (await self._approvals.get(approval.approval_id)).resumed:
            return  # the turn of a message that came in between has done it
        self._speaker = approval.asked_by or self._speaker
        await self._apply(approval)
        await self._raise_if_approval_lost()
        await self._conclude()

    async def answer_as_colleague(self, message: Message) -> None:
        """Record what a person answers. The agents read it with the customer's next message."""
        event_id = event_id_of(self.thread_id, message.role, str(message.message_id))
        if not await self._log.has(self.thread_id, event_id):
            await self._sessions.mark_unread(self.thread_id, self._recorder.last_seq)
            await self.emit(message, event_id)
        await self._complete()

    async def finish_takeover(self) -> None:
        """End a turn in which a person took the conversation or handed it back.

        Where the customer's last message has no answer, the agents answer it.
        """
        message = None if self._taken_by else await self._unanswered_message()
        if message and not await self._pending_interrupts():
            await self._send(message)
            await self._conclude()
        else:
            await self._complete()

    async def finish(self) -> None:
        """Go on where a crash cut the turn off, and record what was done and is not on record."""
        records = await self._log.read(self.thread_id)
        own = [record for record in records if record.turn_id == self.turn_id]
        if own and own[-1].event.ends_turn:
            return
        self._run = self._graph.start_run(self.thread_id, {event_key(record.event) for record in own})
        await self._give_up_begun_calls()
        for approval in await self._unresumed_approvals():
            self._speaker = approval.asked_by or self._speaker
            await self._apply(approval)
        state = await self._graph.state(self.thread_id)
        await self._emit_new(self._run.unrecorded(state.messages, records))
        message = _unsent_message(own, customer_message_ids(state.messages))
        if self._taken_by:
            message = None
        elif any(isinstance(one.event, Takeover) for one in own):
            message = message or await self._unanswered_message()
        if message and await self._answer_stuck():
            return
        stuck = await self._stuck_session(state)
        pending = [] if stuck else self._graph.pending_interrupts(self.thread_id, state)
        if message and pending:
            if await self._have_been_requested(pending, records):
                await self._answer_while_pending(pending, message, own)
                return
            message = None  # the graph has it, though not among its messages: it stopped there
        if message:
            await self._send(message)
        elif stuck and not self._taken_by and not _has_answer(own):
            raise ToolFailed(UNKNOWN if stuck.stuck_because else NOT_CARRIED_OUT)
        elif not pending and not stuck and state.is_unfinished:
            await self._emit_stream(self._run.go_on())
        await self._ledger.give_up(self.thread_id, self._report_unknown_outcome)
        await self._raise_if_approval_lost()
        if own or self.has_begun:
            await self._conclude()

    async def _have_been_requested(
        self, pending: Sequence[PendingInterrupt], records: Sequence[Record]
    ) -> bool:
        """Whether the record has one of these interrupts: then the turn that stopped there has ended."""
        recorded = {one.event.approval_id for one in records if isinstance(one.event, Interrupt)}
        approvals = await self._approvals.of_thread(self.thread_id)
        return any(one.approval_id in recorded and _interrupt_of(one, pending) for one in approvals)

    # Ends

    async def _conclude(self) -> None:
        """End the turn: with the next interrupt, or complete."""
        # LangGraph says when it stops at an interrupt. Reading the checkpoint again costs a tenth of a turn.
        pending = [] if self._run.is_at_rest else await self._pending_interrupts()
        if not pending:
            await self._complete()
            return
        approval = await self._request_approval(pending)
        self._customer_id = approval.call.customer_id or self._customer_id
        if approval.is_approved and approval.parked:
            await self._say_approved_is_frozen(approval)
            await self._complete()
            return
        # Also where it was decided a moment ago: the turn of that decision waits behind this one.
        tracing.note(approval_id=approval.approval_id)
        reader = self._run.reader
        await self.emit(interrupt_event(approval, self._usage(), reader.model))

    async def _complete(self) -> None:
        reader = self._run.reader
        await self.emit(
            MessageComplete(
                usage=self._usage(),
                duration_ms=self._elapsed_ms(),
                first_token_ms=self._first_token_ms,
                model=reader.model,
                incomplete=reader.incomplete,
            )
        )

    def _usage(self) -> dict[str, Any]:
        reader = self._run.reader
        return self._prices.usage(reader.used, is_partial=reader.usage_is_partial)

    async def _fail(self, code: str, message: str, error: Exception) -> None:
        log.error("turn_failed", code=code, error=repr(error), exc_info=error.__cause__ or error)
        tracing.failed(error)
        await self._recorder.close_messages(self._customer_id)
        if not self._has_ended:
            await self._escalate_repeated_failures()
            reason = error.reason if isinstance(error, ModelFailed) else None
            await self.emit(Failure(code=code, message=message, reason=reason))

    async def _escalate_repeated_failures(self) -> None:
        """Escalate once where turn after turn of a conversation fails."""
        records = await self._log.read(self.thread_id)
        ends = [one for one in records if one.event.ends_turn and one.turn_id != self.turn_id]
        failed = list(takewhile(lambda one: isinstance(one.event, Failure), reversed(ends)))
        if len(failed) + 1 == FAILED_TURNS_TO_ESCALATE:
            count = FAILED_TURNS_TO_ESCALATE
            reason = f"{count} turns in a row have failed; the customer is left without an answer."
            about = f"failing:{failed[-1].turn_id}"
            delivered = await self._escalate(self.thread_id, reason, about, kind="failures")
            await self.emit(Escalation(reason=reason, delivered=delivered, kind="failures"))

    # Approvals

    async def _unresumed_approvals(self) -> list[Approval]:
        """Decided approvals of the thread that no turn has applied yet."""
        approvals = await self._approvals.of_thread(self.thread_id)
        return [one for one in approvals if one.status != "pending" and not one.resumed]

    async def _apply(self, approval: Approval) -> None:
        """Record a decision once, and resume the graph as far as it still waits for it.

        While an approved call is frozen, it is parked: the graph goes on waiting for the decision.
        """
        self._customer_id = approval.call.customer_id or self._customer_id
        if not await self._log.has(self.thread_id, str(approval.event_id)):
            await self.emit(decision_event(approval), approval.event_id)
        if approval.status == "expired" and approval.call.on_expiry == "escalate":
            await self._escalate_expired(approval)
        pending = await self._pending_interrupts()
        while waiting := _interrupt_of(approval, pending):
            if waiting.interrupt_id != approval.interrupt_id:
                approval = await self._approvals.move(approval, waiting.interrupt_id)
            if await self._approvals.park(approval):
                return
            try:
                is_resumed = await self._resume_when_decided(pending)
            except Frozen:
                continue
            again = await self._waits_again(approval) if is_resumed else None
            if again is None:
                break
            approval, pending = again, await self._pending_interrupts()
        await self._mark_resumed(approval.approval_id)

    async def _waits_again(self, approval: Approval) -> Approval | None:
        """The approval, where its call was frozen just before it began: the graph waits for it again."""
        if not approval.is_approved or self._run.is_at_rest:
            return None
        now = await self._approvals.get(approval.approval_id)
        return now if _interrupt_of(now, await self._pending_interrupts()) else None

    async def _mark_resumed(self, *approval_ids: str) -> None:
        await self._recorder.settle()
        await self._approvals.mark_resumed(*approval_ids)
        for approval_id in approval_ids:
            await self._approvals.changed(approval_id)

    async def _resume_when_decided(self, pending: Sequence[PendingInterrupt]) -> bool:
        """Resume the graph once every part that it waits for is decided; one refusal refuses the rest.

        Returns:
            Whether it was resumed.

        Raises:
            Frozen: a call that it would run is frozen; the graph still waits.
        """
        decided = {
            (approval.interrupt_id, approval.part): approval
            for approval in await self._approvals.of_thread(self.thread_id)
            if approval.status != "pending"
        }
        parts = [
            (request, decided.get((item.interrupt_id, request.part)))
            for item in pending
            for request in item.requests
        ]
        refusal = next((approval for _, approval in parts if approval and approval.is_refused), None)
        for request, approval in parts:
            if approval is None:
                if refusal is None or "reject" not in request.allowed:
                    return False
                decided[request.interrupt_id, request.part] = refusal
        ready = [
            DecidedInterrupt(item, [decided[item.interrupt_id, request.part] for request in item.requests])
            for item in pending
        ]
        # A graph that takes no refusal is left waiting, and nothing runs.
        if not all(can_answer(one.interrupt, one.approvals) for one in ready):
            return False
        await self._resume_graph(ready)
        return True

    async def _resume_graph(self, decided: Sequence[DecidedInterrupt]) -> None:
        await self._emit_stream(self._run.resume(decided))

    async def _request_approval(self, pending: Sequence[PendingInterrupt]) -> Approval:
        """The first approval that is still to be decided, put on the queue if it is not there yet.

        Where all are decided, one whose call is parked, or else one that was decided a moment ago: another
        turn resumes the graph with it.

        Raises:
            ToolFailed: the graph has got all decisions, none is parked, and yet it waits.
        """
        decided = []
        for item in pending:
            for request in item.requests:
                approval = await self._approvals.request(replace(request, asked_by=self._speaker))
                if approval.status == "pending":
                    return approval
                decided.append(approval)
        held = [one for one in decided if one.is_approved and one.execution == "not_started"]
        if held and any(one.parked for one in decided):
            return replace(held[-1], parked=True)  # also where another call of the same step is frozen
        unresumed = [one for one in decided if not one.resumed]
        if not unresumed:
            raise ToolFailed(STUCK)
        return unresumed[0]

    async def _raise_if_approval_lost(self) -> None:
        """Raise `ToolFailed` where an approved call will not run, because its graph has forgotten it."""
        if lost := await self._use_up_lost_approvals():
            raise ToolFailed(
                f"{lost[0].call.tool} was approved but can't be carried out any more; nothing was changed. "
                "Please ask again."
            )

    async def _use_up_lost_approvals(self) -> list[Approval]:
        """Use up the approvals whose interrupt the graph has lost, so that none is left without an outcome.

        Returns:
            Those approvals. Their calls will not run.
        """
        approvals = await self._approvals.of_thread(self.thread_id)
        left = [one for one in approvals if one.is_approved and one.execution == "not_started"]
        pending = await self._pending_interrupts() if left else []
        for approval in left:
            # Resumed, and frozen after a crash on the way to the call: the graph has gone back and waits.
            waiting = _interrupt_of(approval, pending)
            if waiting and waiting.interrupt_id != approval.interrupt_id:
                await self._apply(approval)
        lost = [one for one in left if _interrupt_of(one, pending) is None]
        for approval in lost:
            why = "the conversation no longer waits for it"
            await self._refuse(approval, why)
        return lost

    async def _refuse(self, approval: Approval, why: str) -> None:
        """Use up an approval whose call will not run, and tell those who look at it."""
        await self._ledger.refuse(self.thread_id, approval.call.tool_call_id, why)
        await self._approvals.changed(approval.approval_id)

    async def _report_unknown_outcome(self, action: str, entry: Entry, because: str = "") -> None:
        """Escalate a call of unknown outcome. It is recorded once, though a crash may repeat this."""
        reason = f"{what_to_check(action, entry)} {because}".strip()
        await self._escalate_once(reason, entry.approval_id, "unknown_outcome")

    async def _escalate_expired(self, approval: Approval) -> None:
        summary = approval.call.summary.rstrip(".")
        reason = f"Nobody decided in time, so this was not carried out: {summary}."
        await self._escalate_once(reason, approval.approval_id, "expired")

    async def _escalate_once(self, reason: str, approval_id: str, kind: EscalationKind) -> None:
        delivered = await self._escalate(self.thread_id, reason, approval_id, kind=kind)
        escalation = Escalation(reason=reason, delivered=delivered, kind=kind)
        recorded = {event_key(one.event) for one in await self._log.read(self.thread_id)}
        if event_key(escalation) not in recorded:
            await self.emit(escalation)

    # While an approval is pending

    async def _answer_while_pending(
        self, pending: Sequence[PendingInterrupt], message: Message, records: Sequence[Record] = ()
    ) -> None:
        """Say who decides and until when; then answer what can be answered by reading.

        Args:
            records: what this turn recorded before a crash cut it off.
        """
        has_notice = _has_answer(records)
        if self._side_threads:
            interrupt_id = pending[0].interrupt_id
            answer = self._side_threads.answer(self._run, self.thread_id, interrupt_id, message, records)
            async with aclosing(answer):
                async for event in answer:
                    if not has_notice and _is_answer(event):
                        await self._say_decision_is_pending(pending)
                        has_notice = True
                    await self._emit_if_new(event)
            self._side_thread_id = self._side_threads.id_of(self.thread_id, interrupt_id)
            if await self._apply_withdrawn():
                await self._send(message)
                await self._delete_side_thread()
                await self._conclude()
                return
        if not has_notice:
            await self._say_decision_is_pending(pending)
        await self._complete()

    async def _apply_withdrawn(self) -> bool:
        """Go on after what the customer has withdrawn with this message; returns whether there was any."""
        withdrawn = [one for one in await self._unresumed_approvals() if one.status == "withdrawn"]
        for approval in withdrawn:
            await self._apply(approval)
        return bool(withdrawn)

    async def _delete_side_thread(self) -> None:
        if self._side_thread_id and self._side_threads:
            await self._side_threads.delete(self.thread_id, self._side_thread_id)

    async def _say_decision_is_pending(self, pending: Sequence[PendingInterrupt]) -> None:
        approval = await self._request_approval(pending)
        if approval.is_approved and approval.parked:
            await self._say_approved_is_frozen(approval)
            return
        if approval.status != "pending":
            await self._say_just_decided(approval)
            return
        until = f"They have until {clock.parse(approval.expires_at):%H:%M} UTC."
        if approval.paused_at:
            until = "Changes are frozen at the moment, so this takes longer."
        summary = approval.call.summary.rstrip(".")
        text = (
            f"A colleague is deciding on this right now: {summary}. {until} "
            "Nothing is lost: as soon as it is decided I will tell you here."
        )
        if self._side_threads:
            text += " Until then I can look things up for you, and change nothing else."
        await self.emit(Message(role="agent", content=text, agent=approval.call.agent))

    async def _say_just_decided(self, approval: Approval) -> None:
        summary = approval.call.summary.rstrip(".")
        text = f"This has just been decided: {summary}. I will tell you here in a moment what came of it."
        await self.emit(Message(role="agent", content=text, agent=approval.call.agent))

    async def _say_approved_is_frozen(self, approval: Approval) -> None:
        summary = approval.call.summary.rstrip(".")
        text = (
            f"This is approved: {summary}. Changes are frozen at the moment, so it is carried out later, by "
            "itself. I will tell you here."
        )
        # One for each turn, also where a crash cut it off after this.
        message_id = f"frozen:{self.turn_id}"
        await self._emit_if_new(
            Message(role="agent", content=text, agent=approval.call.agent, message_id=message_id)
        )

    # The graph

    async def _send(self, message: Message) -> None:
        """Send a message to the graph, after those that it has not got yet."""
        await self._emit_stream(self._run.send(message, await self._preceding(message)))
        await self._mark_read()

    async def _preceding(self, message: Message) -> History:
        """What was said before a message on a side thread, or while a person had the conversation."""
        preceding = (
            await self._side_threads.messages(self.thread_id, self._side_thread_id, message)
            if self._side_threads and self._side_thread_id
            else ()
        )
        if self._unread_seq is None:
            return preceding
        known = [*(await self._graph.state(self.thread_id)).messages, *preceding]
        unread = unread_history(await self._unread_records(), known)
        return [*preceding, *(one for one in unread if one.id != history_id(message))]

    async def _unread_records(self) -> list[Record]:
        return [] if self._unread_seq is None else await self._log.read(self.thread_id, self._unread_seq)

    async def _mark_read(self) -> None:
        if self._unread_seq is not None:
            await self._sessions.mark_read(self.thread_id)

    async def _unanswered_message(self) -> Message | None:
        """The customer's last message, where neither a person nor the agents have answered it."""
        messages = [one.event for one in await self._unread_records() if isinstance(one.event, Message)]
        known = customer_message_ids((await self._graph.state(self.thread_id)).messages)
        if messages and messages[-1].role == "customer" and messages[-1].message_id not in known:
            return messages[-1]
        return None

    async def _record_takeovers(self) -> None:
        for event_id, takeover in self._unrecorded_takeovers.items():
            if not await self._log.has(self.thread_id, event_id):
                await self.emit(takeover, event_id)
        if self._unrecorded_takeovers:
            await self._recorder.settle()
            await self._sessions.mark_recorded(self.thread_id, self._unrecorded_takeovers)

    async def _pending_interrupts(self) -> list[PendingInterrupt]:
        """What the graph waits for and may still be resumed with."""
        state = await self._graph.state(self.thread_id)
        if await self._stuck_session(state):
            return []
        return self._graph.pending_interrupts(self.thread_id, state)

    async def _emit_stream(self, events: AsyncGenerator[Event]) -> None:
        recorder = self._recorder
        async with aclosing(events):
            async for event in events:
                # A token is always new. It takes the short way, because a turn has hundreds.
                if type(event) is Token and self._first_token_ms is not None and recorder.can_show:
                    recorder.show(event)
                else:
                    await self._emit_if_new(event)

    async def _emit_new(self, events: Iterable[Event]) -> None:
        for event in events:
            await self._emit_if_new(event)

    async def _emit_if_new(self, event: Event) -> None:
        reader = self._run.reader
        if reader.is_new(event):
            self._customer_id = reader.customer_id or self._customer_id
            await self.emit(event)

    # What differs for a foreign graph

    async def _give_up_begun_calls(self) -> None:
        """Give up the calls that a crash cut off, where the graph can't go on with them. Ours can."""

    async def _stuck_session(self, state: ThreadState) -> Session | None:
        """The session, where the graph must not be resumed from a state. Ours may be from any."""
        return None

    async def _answer_stuck(self) -> bool:
        """Answer for a graph that must not be sent another message; whether it was one. Ours never is."""
        return False


def _interrupt_of(approval: Approval, pending: Sequence[PendingInterrupt]) -> PendingInterrupt | None:
    """The interrupt that an approval resumes.

    It is another one than the approval was requested at where our graph has gone back from its call, because
    that was frozen. Only a call that is approved and not begun has this.
    """
    for item in pending:
        if item.interrupt_id == approval.interrupt_id:
            return item
    if not approval.is_approved or approval.execution != "not_started":
        return None
    for item in pending:
        if any(request.call.tool_call_id == approval.call.tool_call_id for request in item.requests):
            return item
    return None


def _unsent_message(own: Sequence[Record], sent: set[str]) -> Message | None:
    """The customer's message of a turn, if the graph has never got it."""
    for record in own:
        event = record.event
        if isinstance(event, Message) and event.role == "customer" and event.message_id not in sent:
            return event
    return None


def _is_answer(event: Event) -> bool:
    """Whether an event is more than a step before an answer: the routing, or a withdrawal."""
    return isinstance(event, Token | Message) or (isinstance(event, ToolCall) and event.tool != WITHDRAW)


def _has_answer(records: Sequence[Record]) -> bool:
    return any(isinstance(one.event, Message) and one.event.role == "agent" for one in records)
