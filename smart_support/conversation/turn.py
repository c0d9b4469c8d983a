"""What a turn does from its first event to its last: answer, resume on a decision, finish after a crash.

The graph's chunks are understood in `stream.py`, its interrupts in `waiting.py`. Order, numbers and the
record of it all are `turns.py`'s and `recorder.py`'s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.types import Command

from smart_support import clock
from smart_support.agents.model_spans import callbacks
from smart_support.agents.prices import Prices
from smart_support.agents.tool_messages import refused as refusal
from smart_support.approvals.approval import Approval, Request
from smart_support.approvals.ledger import UNKNOWN, Entry, Ledger, what_to_check
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.graph_adapter.approval_events import (
    Identity,
    decision_of,
    facts_since_customer,
    identity,
    ids_of,
    interrupt_of,
    unseen,
)
from smart_support.conversation.graph_adapter.foreign_graph import (
    Breakpoint,
    BroughtGraph,
    checkpoint_id_of,
    closing_results,
    pregel_of,
)
from smart_support.conversation.graph_adapter.foreign_history import (
    agents_asking,
    entrypoint_of,
    histories_of,
)
from smart_support.conversation.graph_adapter.foreign_stream import ForeignSpoken
from smart_support.conversation.graph_adapter.interrupts import Asked, answer, asked, can_answer, refusals_in
from smart_support.conversation.graph_adapter.message_keys import messages_in
from smart_support.conversation.graph_adapter.stream import STREAM_MODES, Spoken
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.conversation.side_thread import Aside
from smart_support.errors import ToolFailed
from smart_support.events import (
    Escalation,
    Event,
    Failure,
    Message,
    MessageComplete,
    Record,
)
from smart_support.observability import tracing
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore
from smart_support.tools.handoff import Escalate

log = get_logger()
FAILED_TURNS_TO_TELL = 2
STUCK = "This conversation is stuck on a decision already made; please start a new one."
NOT_CARRIED_OUT = "This was not carried out."
ASKED_TWICE = (
    "Its step asked for a second approval before it ended; going on would run what was approved again, so it "
    "was stopped there."
)
AMBIGUOUS = (
    "Several actions were asked for at once, and an approval can't be bound to one of them. Nothing "
    "was carried out; please ask for one after the other."
)


class Course:
    """Drives a graph through one turn and says what happens."""

    def __init__(
        self,
        *,
        graph: Any,
        fallback_agent: str,
        approvals: ApprovalQueue,
        ledger: Ledger,
        escalate: Escalate,
        event_log: EventStore,
        prices: Prices,
        sessions: SessionManager,
        aside: Aside | None = None,
        brought: BroughtGraph | None = None,
    ) -> None:
        """
        Args:
            graph: a compiled LangGraph graph, or anything with its `astream` and `aget_state`.
            brought: says more of the graph where this project did not build it. Such a graph acts when it is
                resumed, so that it is resumed with an approval at most once.
            fallback_agent: who speaks where the graph does not say.
            escalate: tells a human that one is needed, for writes whose outcome is unknown.
            prices: what the models' tokens cost.
            aside: answers while an approval waits; without it a message then only hears who decides.
        """
        self._graph = graph
        # Only a real graph knows these: each step is durable before the next begins, and what runs inside a
        # node is streamed too.
        self._options: dict[str, Any] = {"durability": "sync", "subgraphs": True} if pregel_of(graph) else {}
        self._fallback_agent = fallback_agent
        self._approvals = approvals
        self._ledger = ledger
        self._escalate = escalate
        self._log = event_log
        self._aside = aside
        self._brought = brought
        self._sessions = sessions
        self._prices = prices

    def use(self, graph: Any, aside: Aside | None) -> None:
        """Go on with another graph of the same state, from the next step that is taken."""
        self._graph, self._aside = graph, aside

    async def answer(self, recorder: Recorder, message: Message) -> None:
        """A customer's message: to the graph, unless a colleague is deciding on this thread."""
        await recorder.emit(message)
        spoken, speaker = self._spoken(), recorder.spoken_by
        for approval in await self._not_taken_up(recorder.thread_id):
            await self._take_up(recorder, spoken, approval)
            await self._use_up_unrun(recorder.thread_id)
        recorder.spoken_by = speaker
        if await self._answer_stuck(recorder, spoken):
            return
        waiting = await self._waiting(recorder.thread_id)
        if waiting:
            await self._answer_aside(recorder, spoken, waiting, message)
            return
        await self._send(recorder, spoken, message)
        if recorder.aside and self._aside:
            await self._aside.end(recorder.thread_id, recorder.aside)
        await self._conclude(recorder, spoken)

    async def resume(self, recorder: Recorder, approval: Approval) -> None:
        """An approval was decided or has expired: tell it, and let the graph go on."""
        if (await self._approvals.get(approval.approval_id)).resumed:
            return  # a message that came in between has taken it up
        spoken = self._spoken()
        await self._take_up(recorder, spoken, approval)
        await self._tell_unrun(recorder)
        await self._conclude(recorder, spoken)

    async def finish(self, recorder: Recorder) -> None:
        """Go on where a crash cut a turn off, telling what was done but not told."""
        records = await self._log.read(recorder.thread_id)
        own = [record for record in records if record.turn_id == recorder.turn_id]
        if own and own[-1].event.ends_turn:
            return
        spoken = self._spoken(told={identity(record.event) for record in own})
        if self._brought and (begun := await self._ledger.begun(recorder.thread_id)):
            await self._give_up(recorder, begun)
        for approval in await self._not_taken_up(recorder.thread_id):
            await self._take_up(recorder, spoken, approval)
        state = await self._state(recorder.thread_id)
        messages = messages_in(getattr(state, "values", None))
        await self._tell_untold(recorder, spoken, records, messages)
        cut_off = unseen(own, messages)
        if cut_off and await self._answer_stuck(recorder, spoken):
            return
        stuck = await self._stuck_session(recorder.thread_id, state) if self._brought else None
        waiting = [] if stuck else self._asked(recorder.thread_id, state)
        if cut_off and waiting:
            await self._answer_aside(recorder, spoken, waiting, cut_off, own)
            return
        if cut_off:
            await self._send(recorder, spoken, cut_off)
        elif stuck and not _has_answer(own):
            raise ToolFailed(UNKNOWN if stuck.stuck_because else NOT_CARRIED_OUT)
        elif not waiting and not stuck and _unfinished(state):
            await self._drive(recorder, spoken, None)
        await self._ledger.give_up(recorder.thread_id, partial(self._tell_unknown, recorder))
        await self._tell_unrun(recorder)
        if own or recorder.began:
            await self._conclude(recorder, spoken)

    async def _take_up(self, recorder: Recorder, spoken: Spoken, approval: Approval) -> None:
        """Tell a decision once, and carry it out as far as the graph still waits for it."""
        recorder.spoken_by = approval.asked_by or recorder.spoken_by  # who asks for what comes next, too
        recorder.customer_id = approval.call.customer_id or recorder.customer_id
        if not await self._log.has(recorder.thread_id, str(approval.event_id)):
            await recorder.emit(decision_of(approval), approval.event_id)
        waiting = await self._waiting(recorder.thread_id)
        if any(item.interrupt_id == approval.interrupt_id for item in waiting):
            await self._go_on(recorder, spoken, waiting)
        await self._mark_taken_up(recorder, approval.approval_id)

    async def _mark_taken_up(self, recorder: Recorder, *approval_ids: str) -> None:
        await recorder.settled()
        await self._approvals.mark_resumed(*approval_ids)
        for approval_id in approval_ids:
            await self._approvals.changed(approval_id)

    async def _tell_unrun(self, recorder: Recorder) -> None:
        """Raise `ToolFailed` where an approved call will not run, because its graph has forgotten it."""
        lost = await self._use_up_unrun(recorder.thread_id)
        if lost:
            raise ToolFailed(
                f"{lost[0].call.tool} was approved but can't be carried out any more; nothing was changed. "
                "Please ask again."
            )

    async def _use_up_unrun(self, thread_id: str) -> list[Approval]:
        """See that no approved call is left without a verdict: a graph may have lost what it waited with.

        Returns:
            Those that will not run; their approvals are used up.
        """
        approvals = await self._approvals.of_thread(thread_id)
        left = [one for one in approvals if one.is_approved and one.execution == "not_started"]
        still = {item.interrupt_id for item in await self._waiting(thread_id)} if left else set()
        lost = [one for one in left if one.interrupt_id not in still]
        for approval in lost:
            why = "the conversation no longer waits for it"
            await self._ledger.refuse(thread_id, approval.call.tool_call_id, why)
        return lost

    async def _go_on(self, recorder: Recorder, spoken: Spoken, waiting: list[Asked]) -> None:
        """Resume the graph, once each part that it waits for is decided; one no is a no to the rest."""
        decided = {
            (approval.interrupt_id, approval.part): approval
            for approval in await self._approvals.of_thread(recorder.thread_id)
            if approval.status != "pending"
        }
        parts = [
            (item, [decided.get((item.interrupt_id, r.part)) for r in item.requests]) for item in waiting
        ]
        refused = next((one for _, some in parts for one in some if one and one.is_refused), None)
        filled = [
            (
                item,
                [one or _no_to(request, refused) for request, one in zip(item.requests, some, strict=True)],
            )
            for item, some in parts
        ]
        if any(one is None for _, some in filled for one in some):
            return
        ready = [(item, [one for one in some if one]) for item, some in filled]
        if not all(can_answer(item, some) for item, some in ready):
            return  # the graph takes no "no": it is left waiting, and nothing runs
        if self._brought:
            await self._deliver(recorder, spoken, ready, self._brought)
        else:
            await self._resume(recorder, spoken, ready)

    async def _resume(
        self, recorder: Recorder, spoken: Spoken, ready: Sequence[tuple[Asked, Sequence[Approval]]]
    ) -> None:
        answers = {item.interrupt_id: answer(item, decided) for item, decided in ready}
        # LangGraph takes one plain value, or a map where several wait.
        value = answers if len(answers) > 1 else next(iter(answers.values()))
        await self._drive(recorder, spoken, Command(resume=value))

    async def _deliver(
        self,
        recorder: Recorder,
        spoken: Spoken,
        ready: Sequence[tuple[Asked, Sequence[Approval]]],
        brought: BroughtGraph,
    ) -> None:
        """Give a brought graph its decisions, once: it acts when it is resumed.

        The approved calls are on record as begun before, and have an outcome after. Where the graph breaks,
        hangs, or asks again within the step that was approved, nobody knows what was done: each is of unknown
        outcome, a human is told, and the checkpoint is never resumed again.

        Raises:
            ToolFailed: what was approved may have run, or not.
        """
        decided = {one.approval_id: one for _, some in ready for one in some}
        approved = [one for one in decided.values() if one.is_approved]
        if _is_breakpoint(ready) and len(approved) < len(decided):
            await self._stop_at_breakpoint(recorder, ready)
            return
        entries = await self._ledger.begin_together(approved)
        if entries and all(entry.status == "done" for entry in entries):
            return  # a crash came between the result and the mark that it was taken up
        try:
            if not all(entry.fresh for entry in entries):
                raise ToolFailed("it was begun before, and what came of it is not on record")
            await self._resume_once(recorder, spoken, ready, brought, bool(approved))
        except Exception as error:
            log.error("brought_graph_broke", error=repr(error), exc_info=error)
            await self._give_up(recorder, entries, ASKED_TWICE if isinstance(error, _AskedTwice) else "")
            await self._mark_taken_up(recorder, *decided)
            if approved:
                raise ToolFailed(UNKNOWN) from error
            raise
        await self._ledger.finish_together(recorder.thread_id, entries, "done")

    async def _resume_once(
        self,
        recorder: Recorder,
        spoken: Spoken,
        ready: Sequence[tuple[Asked, Sequence[Approval]]],
        brought: BroughtGraph,
        is_approved: bool,
    ) -> None:
        """Resume a brought graph; raises `_AskedTwice` where a step that was approved waits once more."""
        before = await brought.positions(recorder.thread_id) if is_approved else frozenset()
        if _is_breakpoint(ready):
            await self._drive(recorder, spoken, None)
        else:
            await self._resume(recorder, spoken, ready)
        if before and not before.isdisjoint(await brought.positions(recorder.thread_id)):
            raise _AskedTwice

    async def _give_up(self, recorder: Recorder, entries: Sequence[Entry], because: str = "") -> None:
        """Never resume a thread's checkpoint again, and have a human find out what became of these calls.

        In this order, so that a crash between any two has it done once more, and nobody is left untold.
        """
        reasons = [f"{what_to_check(entry.tool, entry)} {because}".strip() for entry in entries]
        checkpoint_id = checkpoint_id_of(await self._state(recorder.thread_id))
        await self._sessions.mark_stuck(recorder.thread_id, checkpoint_id, " ".join(reasons) or None)
        for entry in entries:
            await self._tell_unknown(recorder, entry.tool, entry, because)
        await recorder.settled()
        await self._ledger.finish_together(recorder.thread_id, entries, "outcome_unknown", UNKNOWN)

    async def _stop_at_breakpoint(
        self, recorder: Recorder, ready: Sequence[tuple[Asked, Sequence[Approval]]]
    ) -> None:
        """A no at a breakpoint: its steps never run, and the next message goes on past them."""
        await self._give_up(recorder, [])
        for item, decided in ready:
            refused = next(one for one in decided if not one.is_approved)
            for approval in decided:
                if approval.is_approved:
                    why = f"{refused.call.tool} of the same step was {refused.status}"
                    await self._ledger.refuse(recorder.thread_id, approval.call.tool_call_id, why)
            outcome = {"outcome": refused.status, "decided_by": refused.decided_by, "reason": refused.reason}
            calls = item.value.calls or ({"name": refused.call.tool, "id": ""},)
            results = [refusal(dict(call), outcome, refused.call.agent, []) for call in calls]
            for result in results if item.value.calls else ():
                for event in Spoken().of_message(result, refused.call.agent):
                    await recorder.emit(event)
            said = " ".join(str(result.text) for result in results)
            await recorder.emit(Message(role="agent", content=said, agent=refused.call.agent))

    async def _send(self, recorder: Recorder, spoken: Spoken, message: Message) -> None:
        """Hand a customer's message to the graph."""
        if not self._brought:
            await self._drive(recorder, spoken, await self._with_what_was_said_aside(recorder, message))
            return
        state = await self._state(recorder.thread_id)
        stuck = await self._stuck_session(recorder.thread_id, state)
        why = UNKNOWN if stuck and stuck.stuck_because else NOT_CARRIED_OUT
        closed = closing_results(getattr(state, "values", None), why)
        try:
            await self._drive(recorder, spoken, {"messages": [*closed, *_as_input(message)["messages"]]})
        except Exception:
            # What it may be waiting for was never put to anybody; the next message goes on past it.
            await self._give_up(recorder, [])
            raise

    async def _answer_stuck(self, recorder: Recorder, spoken: Spoken) -> bool:
        """Say why a conversation can't go on, where its graph must not be sent another message.

        Where we keep the checkpoints, a new message goes on past the stuck one.
        """
        if not self._brought or self._brought.keeps_ours:
            return False
        session = await self._sessions.load(recorder.thread_id)
        if session is None or session.stuck_checkpoint is None:
            return False
        if session.stuck_because is None and self._brought.is_langgraph:
            return False  # a new message has LangGraph abandon the step
        if session.stuck_because is None:
            raise ToolFailed(STUCK)
        records = await self._log.read(recorder.thread_id)
        said = f"{UNKNOWN} Until then I can't go on here; please start a new conversation for anything else."
        answer_id = f"stuck:{recorder.turn_id}"
        answered = Message(role="agent", content=said, agent=self._fallback_agent, message_id=answer_id)
        if spoken.is_news(answered):
            await recorder.emit(answered)
            events = [one.event for one in records if isinstance(one.event, Escalation)]
            delivered = any(event.delivered for event in events if event.reason in session.stuck_because)
            await recorder.emit(
                Escalation(reason=session.stuck_because, delivered=delivered, kind="unknown_outcome")
            )
        await self._complete(recorder, spoken)
        return True

    async def _tell_unknown(self, recorder: Recorder, action: str, entry: Entry, because: str = "") -> None:
        """Have a human told, and say so in the conversation; once each, though a crash has it told again."""
        reason = f"{what_to_check(action, entry)} {because}".strip()
        delivered = await self._escalate(recorder.thread_id, reason, entry.approval_id)
        told = Escalation(reason=reason, delivered=delivered, kind="unknown_outcome")
        if identity(told) not in {identity(one.event) for one in await self._log.read(recorder.thread_id)}:
            await recorder.emit(told)

    async def tell_of_failures(self, recorder: Recorder) -> None:
        """Have a human told once, where turn after turn of a conversation fails."""
        records = await self._log.read(recorder.thread_id)
        ends = [one for one in records if one.event.ends_turn and one.turn_id != recorder.turn_id]
        failed = list(takewhile(lambda one: isinstance(one.event, Failure), reversed(ends)))
        if len(failed) + 1 == FAILED_TURNS_TO_TELL:
            reason = (
                f"{FAILED_TURNS_TO_TELL} turns in a row have failed; the customer is left without an answer."
            )
            about = f"failing:{failed[-1].turn_id}"
            delivered = await self._escalate(recorder.thread_id, reason, about, kind="failures")
            await recorder.emit(Escalation(reason=reason, delivered=delivered, kind="failures"))

    async def _drive(
        self, recorder: Recorder, spoken: Spoken, graph_input: Any, *, aside: str | None = None
    ) -> None:
        config = {"configurable": {"thread_id": aside or recorder.thread_id}, **callbacks()}
        graph = self._aside.graph if self._aside and aside else self._graph
        spoken.interrupted = False
        if isinstance(spoken, ForeignSpoken):
            await self._recall(recorder, spoken, messages_in(graph_input))
            spoken.refusals |= refusals_in(getattr(graph_input, "resume", None))
        stream = graph.astream(graph_input, config=config, stream_mode=STREAM_MODES, **self._options)
        if self._brought:
            stream = self._brought.chunks(stream)
        try:
            async for item in stream:
                *namespace, mode, chunk = item
                await self._emit_news(recorder, spoken, spoken.events(mode, chunk, *namespace))
        except Exception:
            await self._emit_news(recorder, spoken, spoken.finished())
            raise
        await self._emit_news(recorder, spoken, spoken.finished())
        if isinstance(spoken, ForeignSpoken):
            messages = messages_in(getattr(await self._state(recorder.thread_id), "values", None))
            await self._emit_news(recorder, spoken, spoken.missed(messages))

    async def _emit_news(self, recorder: Recorder, spoken: Spoken, events: Iterable[Event]) -> None:
        for event in events:
            if spoken.is_news(event):
                recorder.customer_id = spoken.customer_id or recorder.customer_id
                await recorder.emit(event)

    def _spoken(self, told: set[Identity] | None = None) -> Spoken:
        if not self._brought:
            return Spoken(told=told)
        return ForeignSpoken(
            told=told,
            fallback_agent=self._fallback_agent,
            gives_updates=self._brought.is_langgraph,
            entrypoint=entrypoint_of(self._graph),
        )

    async def _recall(self, recorder: Recorder, spoken: ForeignSpoken, sent: Sequence[BaseMessage]) -> None:
        """Have what was told before recognised when the graph repeats it, and what it is sent itself."""
        for message in sent:
            message.id = message.id or clock.new_id()
        spoken.known.remember_ids(str(message.id) for message in sent)
        records = await self._log.read(recorder.thread_id)
        for history in await histories_of(self._graph, recorder.thread_id):
            if spoken.told is not None:
                # A crash may have come between a step and its telling.
                await self._tell_untold(recorder, spoken, records, history)
            spoken.known.remember(history)
        spoken.known.remember_ids(ids_of(records))
        if entrypoint_of(self._graph):
            # Its state is the value it returned last: what it has done on its way is in no state.
            spoken.known_facts |= facts_since_customer(records)

    async def _conclude(self, recorder: Recorder, spoken: Spoken) -> None:
        """End the turn: waiting for the next approval, or complete."""
        # LangGraph says so when it stops to wait; reading the checkpoint again would cost a tenth of a turn.
        at_rest = self._options and spoken.interrupted is False
        waiting = [] if at_rest else await self._waiting(recorder.thread_id)
        if waiting and self._brought and (step := await self._brought.ambiguous_step(recorder.thread_id)):
            log.error("ambiguous_interrupt", step=step, fix="send each tool call to a step of its own")
            await self._give_up(recorder, [])
            raise ToolFailed(AMBIGUOUS)
        approval = await self._ask_next(waiting, recorder.spoken_by)
        if approval is not None:
            recorder.customer_id = approval.call.customer_id or recorder.customer_id
            tracing.note(approval_id=approval.approval_id)
            usage = self._prices.usage(spoken.used)
            await recorder.emit(replace(interrupt_of(approval), usage=usage, model=spoken.model))
        elif waiting:
            await self._give_up(recorder, [])
            raise ToolFailed(STUCK)
        else:
            await self._complete(recorder, spoken)

    async def _complete(self, recorder: Recorder, spoken: Spoken) -> None:
        await recorder.emit(
            MessageComplete(
                usage=self._prices.usage(spoken.used),
                duration_ms=recorder.elapsed_ms,
                first_token_ms=recorder.first_token_ms,
                model=spoken.model,
            )
        )

    async def _answer_aside(
        self,
        recorder: Recorder,
        spoken: Spoken,
        waiting: list[Asked],
        message: Message,
        before: Sequence[Record] = (),
    ) -> None:
        """Say who decides and until when; then answer what can be answered by looking.

        Args:
            before: what this turn told before a crash cut it off.
        """
        if not any(isinstance(one.event, Message) and one.event.role == "agent" for one in before):
            await self._say_who_decides(recorder, waiting)
        if self._aside is not None:
            aside = await self._aside.begin(recorder.thread_id, waiting[0].interrupt_id)
            state = await self._state(recorder.thread_id)
            human = HumanMessage(message.content, id=message.message_id)
            graph_input = await self._aside.input(aside, state.values["messages"], human)
            if graph_input is None:
                await self._tell_untold(recorder, spoken, list(before), await self._aside.messages(aside))
            await self._drive(recorder, spoken, graph_input, aside=aside)
        await self._complete(recorder, spoken)

    async def _with_what_was_said_aside(self, recorder: Recorder, message: Message) -> dict[str, Any]:
        """The message for the graph, after what was said aside since its last one."""
        if not (recorder.aside and self._aside):
            return _as_input(message)
        state = await self._state(recorder.thread_id)
        said = await self._aside.taken_back(recorder.aside, state.values.get("messages", ()))
        return {"messages": [*said, *_as_input(message)["messages"]]}

    async def _say_who_decides(self, recorder: Recorder, waiting: list[Asked]) -> None:
        approval = await self._ask_next(waiting, recorder.spoken_by)
        if approval is None:
            raise ToolFailed(STUCK)
        until = clock.parse(approval.expires_at)
        summary = approval.call.summary.rstrip(".")
        text = (
            f"A colleague is deciding on this right now: {summary}. They have until "
            f"{until:%H:%M} UTC. Nothing is lost: as soon as it is decided I will tell you here."
        )
        if self._aside:
            text += " Until then I can look things up for you, and change nothing else."
        await recorder.emit(Message(role="agent", content=text, agent=approval.call.agent))

    async def _ask_next(self, waiting: Iterable[Asked], asked_by: str | None) -> Approval | None:
        """The first approval still to be decided, put on the queue if it is not there yet."""
        for item in waiting:
            for wanted in item.requests:
                approval = await self._approvals.request(replace(wanted, asked_by=asked_by))
                if approval.status == "pending":
                    return approval
        return None

    async def _tell_untold(
        self, recorder: Recorder, spoken: Spoken, records: list[Record], messages: Sequence[BaseMessage]
    ) -> None:
        """Events of what the graph's checkpoint holds since the customer spoke, and the log does not."""
        known = {identity(record.event) for record in records}
        last_human = max((i for i, m in enumerate(messages) if isinstance(m, HumanMessage)), default=-1)
        for message in messages[last_human + 1 :]:
            for event in spoken.of_message(message):
                if identity(event) not in known and spoken.is_news(event):
                    await recorder.emit(event)

    async def _not_taken_up(self, thread_id: str) -> list[Approval]:
        approvals = await self._approvals.of_thread(thread_id)
        return [one for one in approvals if one.status != "pending" and not one.resumed]

    async def _waiting(self, thread_id: str) -> list[Asked]:
        """What the thread's graph waits for and may still be resumed with."""
        state = await self._state(thread_id)
        return [] if await self._is_stuck(thread_id, state) else self._asked(thread_id, state)

    def _asked(self, thread_id: str, state: Any) -> list[Asked]:
        items = asked(thread_id, self._fallback_agent, _interrupts(state), agents_asking(state))
        pause = self._brought.breakpoint(thread_id, state, self._fallback_agent) if self._brought else None
        return [*items, pause] if pause else items

    async def _is_stuck(self, thread_id: str, state: Any) -> bool:
        """Whether the graph must not be resumed from where it is."""
        return bool(self._brought) and await self._stuck_session(thread_id, state) is not None

    async def _stuck_session(self, thread_id: str, state: Any) -> Session | None:
        session = await self._sessions.load(thread_id)
        return session if session and session.is_stuck_at(checkpoint_id_of(state)) else None

    async def _state(self, thread_id: str) -> Any:
        if self._brought:
            return await self._brought.state(thread_id)
        return await self._graph.aget_state({"configurable": {"thread_id": thread_id}})


class _AskedTwice(Exception):
    """A step that was given an approval waits at an interrupt once more."""


def _is_breakpoint(ready: Sequence[tuple[Asked, Sequence[Approval]]]) -> bool:
    return any(isinstance(item.value, Breakpoint) for item, _ in ready)


def _interrupts(state: Any) -> Sequence[Any]:
    return tuple(getattr(state, "interrupts", ()) or ())


def _no_to(request: Request, refused: Approval | None) -> Approval | None:
    """The no to another part that is a no to this one too; None where this one is decided by itself."""
    return refused if "reject" in request.allowed else None


def _unfinished(state: Any) -> bool:
    """Whether a graph stopped on its way, and not to wait.

    A kill after a step's writes and before its checkpoint leaves tasks that are done but not applied;
    LangGraph then shows them in `tasks`, while `next` is empty.
    """
    return bool(getattr(state, "next", ()) or getattr(state, "tasks", ())) and not _interrupts(state)


def _has_answer(own: Sequence[Record]) -> bool:
    return any(isinstance(one.event, Message) and one.event.role == "agent" for one in own)


def _as_input(message: Message) -> dict[str, Any]:
    return {"messages": [HumanMessage(message.content, id=message.message_id)]}
