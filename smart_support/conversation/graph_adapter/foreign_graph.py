"""A foreign graph, one that this project did not build: where it has stopped, and how a turn runs it.

LangGraph runs an interrupted step again from its top when it is resumed, with every earlier answer given once
more. So a step that has been given an approval must never be resumed a second time. `ForeignGraph.positions`
says in which step each interrupt is.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import StateSnapshot

from smart_support import clock
from smart_support.conversation.graph_adapter.adapter import (
    GraphAdapter,
    GraphRun,
    History,
    ThreadState,
    pregel_of,
)
from smart_support.conversation.graph_adapter.breakpoints import (
    Breakpoints,
    closing_results,
    unanswered_calls,
)
from smart_support.conversation.graph_adapter.foreign_history import (
    entrypoint_of,
    facts_since_customer,
    histories_of,
    message_ids,
)
from smart_support.conversation.graph_adapter.foreign_stream import ForeignStreamReader
from smart_support.conversation.graph_adapter.interrupts import PendingInterrupt, refusals_in
from smart_support.conversation.graph_adapter.message_keys import messages_in
from smart_support.conversation.graph_adapter.parallel_calls import ambiguous_step
from smart_support.conversation.graph_adapter.stream import EventKey
from smart_support.errors import ToolFailed
from smart_support.events import Event
from smart_support.storage.events.base import EventStore

_INTERRUPT = "__interrupt__"


class ForeignGraph(GraphAdapter):
    """A graph given to `create_app(graph=...)`.

    Attributes:
        keeps_our_checkpoints: its checkpoints are in our store, so that a conversation can go on past a
            checkpoint at which it is stuck.
    """

    def __init__(
        self,
        graph: Any,
        fallback_agent: str,
        event_log: EventStore,
        *,
        keeps_our_checkpoints: bool,
        silence_seconds: float,
    ) -> None:
        """
        Args:
            event_log: for recognising messages that the graph repeats.
            silence_seconds: a graph that yields nothing for this long is given up.
        """
        super().__init__(graph, fallback_agent)
        self.keeps_our_checkpoints = keeps_our_checkpoints
        self.event_log = event_log
        self.silence_seconds = silence_seconds
        self._breakpoints = Breakpoints(pregel_of(graph))

    def start_run(self, thread_id: str, recorded: set[EventKey] | None = None) -> "ForeignRun":
        reader = ForeignStreamReader(
            recorded=recorded,
            fallback_agent=self.fallback_agent,
            gives_updates=self.is_langgraph,
            entrypoint=entrypoint_of(self.graph),
        )
        return ForeignRun(self, thread_id, reader)

    async def state(self, thread_id: str) -> ThreadState:
        """The latest checkpoint, with those of the graphs inside it where these have breakpoints."""
        if self._breakpoints.are_in_subgraphs:
            return await self._whole_state(thread_id)
        return await super().state(thread_id)

    def pending_interrupts(self, thread_id: str, state: ThreadState) -> list[PendingInterrupt]:
        pending = super().pending_interrupts(thread_id, state)
        at_breakpoint = self._breakpoints.pending(thread_id, state, self.fallback_agent)
        return [*pending, at_breakpoint] if at_breakpoint else pending

    async def positions(self, thread_id: str) -> frozenset[str]:
        """The steps that wait at an interrupt: for each its innermost checkpoint and task.

        Two interrupts in one step have the same position, however their ids differ.
        """
        if not self.is_langgraph:
            return frozenset(str(item.id) for item in (await self.state(thread_id)).interrupts)
        positions = set()
        state = await self._whole_state(thread_id)
        for namespace, checkpoint_id, task in _interrupted_tasks(state.snapshot):
            inner = await self._hidden_subgraph(thread_id, namespace, task)
            positions.add(inner or f"{namespace}@{checkpoint_id}#{task.id}")
        return frozenset(positions)

    async def ambiguous_step(self, thread_id: str) -> str | None:
        """The step that waits at an interrupt which is not of exactly one tool call, if there is one."""
        pregel = pregel_of(self.graph)
        if pregel is None:
            return None
        return ambiguous_step(pregel, (await self._whole_state(thread_id)).snapshot, unanswered_calls)

    def closing_results(self, state: ThreadState, why: str) -> History:
        """Results for the calls that a state leaves open, to be sent before the next message."""
        return closing_results(state.values, why)

    async def _whole_state(self, thread_id: str) -> ThreadState:
        config = {"configurable": {"thread_id": thread_id}}
        return ThreadState(await self.graph.aget_state(config, subgraphs=True))

    async def _hidden_subgraph(self, thread_id: str, namespace: str, task: Any) -> str | None:
        """The position inside a graph that a step calls by itself, where LangGraph does not know of it."""
        pregel = pregel_of(self.graph)
        saver = pregel.checkpointer if pregel else None
        if not isinstance(saver, BaseCheckpointSaver):
            return None
        inside = f"{namespace}|{task.name}:{task.id}" if namespace else f"{task.name}:{task.id}"
        kept = await saver.aget_tuple({"configurable": {"thread_id": thread_id, "checkpoint_ns": inside}})
        if kept is None:
            return None
        waiting = sorted(
            {task_id for task_id, channel, _ in kept.pending_writes or () if channel == _INTERRUPT}
        )
        return f"{inside}@{kept.checkpoint['id']}#{','.join(waiting)}"


class ForeignRun(GraphRun):
    """One turn's use of a foreign graph, which may repeat what is recorded already."""

    reader: ForeignStreamReader

    def __init__(self, adapter: ForeignGraph, thread_id: str, reader: ForeignStreamReader) -> None:
        super().__init__(adapter, thread_id, reader)
        self._foreign = adapter

    async def _stream(self, graph_input: Any) -> AsyncGenerator[Event]:
        async for event in self._remember(messages_in(graph_input)):
            yield event
        self.reader.refusals |= refusals_in(getattr(graph_input, "resume", None))
        async for event in super()._stream(graph_input):
            yield event
        for event in self.reader.missed((await self._foreign.state(self._thread_id)).messages):
            yield event

    async def _remember(self, sent: History) -> AsyncIterator[Event]:
        """Have the reader recognise what the graph may repeat: what was recorded, and what it is sent.

        Yields what the graph holds and the log does not: a crash may have come between a step and its events.
        """
        graph, reader = self._foreign.graph, self.reader
        for message in sent:
            message.id = message.id or clock.new_id()
        reader.known.remember_ids(str(message.id) for message in sent)
        records = await self._foreign.event_log.read(self._thread_id)
        for history in await histories_of(graph, self._thread_id):
            if reader.recorded is not None:
                for event in self.unrecorded(history, records):
                    yield event
            reader.known.remember(history)
        reader.known.remember_ids(message_ids(records))
        if reader.entrypoint:
            # Its state is the value that it returned last: what it has done on its way is in no state.
            reader.known_facts |= facts_since_customer(records)

    async def _chunks(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What the graph streams.

        Raises:
            ToolFailed: it yields nothing for too long, or was cancelled by something inside it.
        """
        task = asyncio.current_task()
        silence_seconds = self._foreign.silence_seconds
        while True:
            try:
                async with asyncio.timeout(silence_seconds):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise ToolFailed(
                    f"This took longer than {silence_seconds:g} s and was stopped; please try again later."
                ) from error
            except asyncio.CancelledError as error:
                if task and task.cancelling():
                    raise
                raise ToolFailed("This was cancelled before it ended; please try again later.") from error
            yield chunk


def _interrupted_tasks(state: StateSnapshot) -> Iterator[tuple[str, str, Any]]:
    """Namespace, checkpoint and task of each interrupt, the innermost that is known."""
    configurable = state.config.get("configurable", {})
    place = str(configurable.get("checkpoint_ns") or ""), str(configurable.get("checkpoint_id") or "")
    for task in state.tasks:
        inner = list(_interrupted_tasks(task.state)) if isinstance(task.state, StateSnapshot) else []
        if inner:
            yield from inner
        elif task.interrupts:
            yield *place, task
