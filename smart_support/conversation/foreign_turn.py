"""A turn of a foreign graph. Such a graph acts when it is resumed, so it gets an approval at most once."""

from collections.abc import Sequence

from smart_support.approvals.approval import Approval
from smart_support.approvals.ledger import UNKNOWN, Entry, what_to_check
from smart_support.conversation.graph_adapter.adapter import DecidedInterrupt, ThreadState
from smart_support.conversation.graph_adapter.breakpoints import Breakpoint, refused_results
from smart_support.conversation.graph_adapter.foreign_graph import ForeignGraph
from smart_support.conversation.graph_adapter.interrupts import PendingInterrupt
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session
from smart_support.conversation.turn import NOT_CARRIED_OUT, STUCK, Turn, TurnDependencies
from smart_support.errors import ToolFailed
from smart_support.events import Escalation, Message
from smart_support.observability.log import get_logger

log = get_logger()
SECOND_APPROVAL = (
    "Its step asked for a second approval before it ended; going on would run what was approved again, so it "
    "was stopped there."
)
AMBIGUOUS = (
    "Several actions were asked for at once, and an approval can't be bound to one of them. Nothing "
    "was carried out; please ask for one after the other."
)


class ForeignTurn(Turn):
    """Keeps the ledger for its graph, and marks a checkpoint from which the graph must not be resumed."""

    def __init__(
        self, dependencies: TurnDependencies, graph: ForeignGraph, session: Session, recorder: Recorder
    ) -> None:
        super().__init__(dependencies, session, recorder)
        self._foreign = graph

    async def _resume_graph(self, decided: Sequence[DecidedInterrupt]) -> None:
        """Resume the graph with its decisions, once.

        The approved calls are on record as begun before, and have an outcome after. Where the graph breaks,
        hangs, or stops again within the step that was approved, nobody knows what was done: each call is of
        unknown outcome, a human is asked to find out, and the checkpoint is never resumed again.

        Raises:
            ToolFailed: what was approved may have run, or not.
            Frozen: one of the calls is frozen. The graph was not resumed.
        """
        approvals = {one.approval_id: one for item in decided for one in item.approvals}
        approved = [one for one in approvals.values() if one.is_approved]
        if _is_breakpoint(decided) and len(approved) < len(approvals):
            await self._stop_at_breakpoint(decided)
            return
        entries = await self._ledger.begin_together(approved)
        if entries and all(entry.status == "done" for entry in entries):
            return  # a crash came between the result and the mark that it was resumed
        try:
            if not all(entry.fresh for entry in entries):
                raise ToolFailed("it was begun before, and its outcome is not on record")
            await self._resume_once(decided, is_approved=bool(approved))
        except Exception as error:
            log.error("foreign_graph_failed", error=repr(error), exc_info=error)
            await self._give_up(entries, SECOND_APPROVAL if isinstance(error, _SecondApproval) else "")
            await self._mark_resumed(*approvals)
            if approved:
                raise ToolFailed(UNKNOWN) from error
            raise
        await self._ledger.finish_together(self.thread_id, entries, "done")

    async def _waits_again(self, approval: Approval) -> Approval | None:
        # A frozen call is noticed before the graph is resumed.
        return None

    async def _resume_once(self, decided: Sequence[DecidedInterrupt], *, is_approved: bool) -> None:
        """Resume the graph; raises `_SecondApproval` where a step that was approved waits once more."""
        before = await self._foreign.positions(self.thread_id) if is_approved else frozenset()
        if _is_breakpoint(decided):
            await self._emit_stream(self._run.go_on())
        else:
            await super()._resume_graph(decided)
        if before and not before.isdisjoint(await self._foreign.positions(self.thread_id)):
            raise _SecondApproval

    async def _stop_at_breakpoint(self, decided: Sequence[DecidedInterrupt]) -> None:
        """Refuse the steps after a breakpoint: they never run, and the next message goes on past them."""
        await self._give_up([])
        for item in decided:
            refusal = next(one for one in item.approvals if not one.is_approved)
            for approval in item.approvals:
                if approval.is_approved:
                    why = f"{refusal.call.tool} of the same step was {refusal.status}"
                    await self._refuse(approval, why)
            results = refused_results(item.interrupt.value, refusal)
            for result in results if item.interrupt.value.calls else ():
                await self.emit(result)
            text = " ".join(result.content for result in results)
            await self.emit(Message(role="agent", content=text, agent=refusal.call.agent))

    async def _send(self, message: Message) -> None:
        """Send a message to the graph, after results for the calls that it will never get one for."""
        state = await self._foreign.state(self.thread_id)
        stuck = await self._stuck_session(state)
        why = UNKNOWN if stuck and stuck.stuck_because else NOT_CARRIED_OUT
        try:
            preceding = [*self._foreign.closing_results(state, why), *await self._preceding(message)]
            await self._emit_stream(self._run.send(message, preceding))
            await self._mark_read()
        except Exception:
            # Nobody was ever asked for what it may be waiting for. The next message goes on past it.
            await self._give_up([])
            raise

    async def _request_approval(self, pending: Sequence[PendingInterrupt]) -> Approval:
        if step := await self._foreign.ambiguous_step(self.thread_id):
            log.error("ambiguous_interrupt", step=step, fix="send each tool call to a step of its own")
            await self._give_up([])
            raise ToolFailed(AMBIGUOUS)
        try:
            return await super()._request_approval(pending)
        except ToolFailed:
            await self._give_up([])
            raise

    async def _give_up(self, entries: Sequence[Entry], because: str = "") -> None:
        """Never resume the thread's checkpoint again, and ask a human to find out what these calls did.

        The order matters: after a crash between any two steps all of it is repeated, so that no call is
        marked before a human was asked.
        """
        reasons = [f"{what_to_check(entry.tool, entry)} {because}".strip() for entry in entries]
        checkpoint_id = (await self._foreign.state(self.thread_id)).checkpoint_id
        await self._sessions.mark_stuck(self.thread_id, checkpoint_id, " ".join(reasons) or None)
        for entry in entries:
            await self._report_unknown_outcome(entry.tool, entry, because)
        await self._recorder.settle()
        await self._ledger.finish_together(self.thread_id, entries, "outcome_unknown", UNKNOWN)

    async def _give_up_begun_calls(self) -> None:
        if begun := await self._ledger.begun(self.thread_id):
            await self._give_up(begun)

    async def _stuck_session(self, state: ThreadState) -> Session | None:
        session = await self._sessions.load(self.thread_id)
        return session if session and session.is_stuck_at(state.checkpoint_id) else None

    async def _answer_stuck(self) -> bool:
        """Say why a conversation can't go on, where its graph must not be sent another message.

        Where we keep the checkpoints, a new message goes on past the one at which the graph is stuck.
        """
        if self._foreign.keeps_our_checkpoints:
            return False
        session = await self._sessions.load(self.thread_id)
        if session is None or session.stuck_checkpoint is None:
            return False
        if session.stuck_because is None and self._foreign.is_langgraph:
            return False  # with a new message LangGraph abandons the step
        if session.stuck_because is None:
            raise ToolFailed(STUCK)
        records = await self._log.read(self.thread_id)
        text = f"{UNKNOWN} Until then I can't go on here; please start a new conversation for anything else."
        answer = Message(
            role="agent",
            content=text,
            agent=self._foreign.fallback_agent,
            message_id=f"stuck:{self.turn_id}",
        )
        if self._run.reader.is_new(answer):
            await self.emit(answer)
            escalations = [one.event for one in records if isinstance(one.event, Escalation)]
            delivered = any(one.delivered for one in escalations if one.reason in session.stuck_because)
            await self.emit(
                Escalation(reason=session.stuck_because, delivered=delivered, kind="unknown_outcome")
            )
        await self._complete()
        return True


class _SecondApproval(Exception):
    """A step that was given an approval waits at an interrupt once more."""


def _is_breakpoint(decided: Sequence[DecidedInterrupt]) -> bool:
    return any(isinstance(item.interrupt.value, Breakpoint) for item in decided)
