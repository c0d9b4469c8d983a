"""A graph that this project did not build: where it stopped, and how to drive it without repeating a step.

LangGraph runs an interrupted step again from its top when it is resumed, with every earlier answer given once
more. So a step that has been given an approval must never be resumed a second time. The functions here tell
in which step each interrupt stands, and whether a graph stopped at a breakpoint (`interrupt_before` and
`interrupt_after`, which raise no interrupt).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from smart_support.approvals.approval import Request
from smart_support.conversation.graph_adapter.interrupts import Asked
from smart_support.conversation.graph_adapter.parallel_calls import ambiguous_step
from smart_support.conversation.sessions import ANY_CHECKPOINT
from smart_support.errors import ToolFailed
from smart_support.gate.planned_call import PlannedCall
from smart_support.tools.registry import summary_of

T = TypeVar("T")
_INTERRUPT = "__interrupt__"
_START = "__start__"


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """The value of a pause that is no interrupt: the graph stopped before the steps `next_steps`.

    `calls`: the model's tool calls that these steps would run, where there are some.
    """

    next_steps: tuple[str, ...]
    calls: tuple[Any, ...] = ()


class BroughtGraph:
    """A graph given to `create_app(graph=...)`.

    Attributes:
        keeps_ours: its checkpoints are in our store, so that a conversation can go on past a stuck one.
        is_langgraph: it is a compiled LangGraph graph; anything else has only `astream` and `aget_state`.
        stops_inside: a graph inside it has breakpoints.
    """

    def __init__(self, graph: Any, *, keeps_ours: bool, silence_seconds: float) -> None:
        """`silence_seconds`: a graph that yields nothing for this long is given up."""
        self.graph = graph
        self.keeps_ours = keeps_ours
        pregel = pregel_of(graph)
        self.is_langgraph = pregel is not None
        self._silence = silence_seconds
        self._before, self._after, self.stops_inside = _breakpoints(pregel)

    async def state(self, thread_id: str) -> Any:
        """The thread's state, with those of the graphs inside it where they may stop by themselves."""
        config = {"configurable": {"thread_id": thread_id}}
        if self.stops_inside:
            return await self.graph.aget_state(config, subgraphs=True)
        return await self.graph.aget_state(config)

    async def positions(self, thread_id: str) -> frozenset[str]:
        """The steps that wait at an interrupt: for each its innermost checkpoint and task.

        Two interrupts in one step have the same position, however their ids differ.
        """
        if not self.is_langgraph:
            state = await self.state(thread_id)
            return frozenset(str(item.id) for item in getattr(state, "interrupts", ()) or ())
        state = await self.graph.aget_state({"configurable": {"thread_id": thread_id}}, subgraphs=True)
        found = set()
        for namespace, checkpoint_id, task in _waiting_tasks(state):
            inner = await self._hidden_subgraph(thread_id, namespace, task)
            found.add(inner or f"{namespace}@{checkpoint_id}#{task.id}")
        return frozenset(found)

    async def ambiguous_step(self, thread_id: str) -> str | None:
        """The step that waits at an interrupt which is not of exactly one tool call, if there is one."""
        pregel = pregel_of(self.graph)
        if pregel is None:
            return None
        state = await self.graph.aget_state({"configurable": {"thread_id": thread_id}}, subgraphs=True)
        return ambiguous_step(pregel, state, unanswered_calls)

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

    def breakpoint(self, thread_id: str, state: Any, agent: str) -> Asked | None:
        """The pause at which a state stands without an interrupt, as something a human decides.

        Where a graph stopped after a step (`interrupt_after`) or inside a subgraph, its state does not tell a
        breakpoint from a step that was cut off; both count as a breakpoint, so that no step runs unapproved.
        """
        steps = tuple(getattr(state, "next", ()) or ())
        tasks = tuple(getattr(state, "tasks", ()) or ())
        if not steps or _START in steps or any(task.error or task.interrupts for task in tasks):
            return None
        stops_before = "*" in self._before or self._before & {*steps}
        if not (stops_before or self._after or self.stops_inside):
            return None
        pause_id = f"breakpoint:{_innermost(state)}"
        calls = unanswered_calls(getattr(state, "values", None))
        planned = [(str(call["name"]), dict(call["args"] or {})) for call in calls]
        planned = planned or [(" and ".join(steps), {})]
        requests = [
            Request(
                call=PlannedCall(
                    tool_call_id=f"{pause_id}:{part}",
                    tool=action,
                    args=args,
                    agent=agent,
                    summary=summary_of(action, args),
                    need="ask",
                ),
                thread_id=thread_id,
                interrupt_id=pause_id,
                part=part,
                allowed=("approve", "reject"),  # the step runs with what is in its state
            )
            for part, (action, args) in enumerate(planned)
        ]
        return Asked(pause_id, Breakpoint(steps, tuple(calls)), requests)

    async def chunks(self, stream: AsyncIterator[T]) -> AsyncIterator[T]:
        """What a graph streams.

        Raises:
            ToolFailed: it yields nothing for too long, or was cancelled by something inside it.
        """
        task = asyncio.current_task()
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise ToolFailed(
                    f"This took longer than {self._silence:g} s and was stopped; please try again later."
                ) from error
            except asyncio.CancelledError as error:
                if task and task.cancelling():
                    raise
                raise ToolFailed("This was cancelled before it ended; please try again later.") from error
            yield chunk


def pregel_of(graph: Any) -> Pregel[Any, Any, Any, Any] | None:
    """The LangGraph graph itself, also where it is bound to a configuration."""
    for candidate in (graph, getattr(graph, "bound", None)):
        if isinstance(candidate, Pregel):
            return candidate
    return None


def checkpoint_id_of(state: Any) -> str:
    """The id of a state's checkpoint, or `ANY_CHECKPOINT` where the graph has none."""
    config = getattr(state, "config", None)
    configurable = config.get("configurable", {}) if isinstance(config, dict) else {}
    return str(configurable.get("checkpoint_id") or ANY_CHECKPOINT)


def unanswered_calls(values: Any) -> list[Any]:
    """The tool calls of a state's last AI message that have no result yet."""
    messages = values.get("messages") if isinstance(values, dict) else None
    answered: set[str] = set()
    for message in reversed(messages if isinstance(messages, Sequence) else ()):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            return [call for call in message.tool_calls if call["id"] not in answered]
    return []


def closing_results(values: Any, why: str) -> list[AnyMessage]:
    """Results for calls that will never get one: a provider refuses a history with a call left open."""
    return [
        ToolMessage(why, tool_call_id=call["id"] or "", name=call["name"], status="error")
        for call in unanswered_calls(values)
    ]


def _breakpoints(pregel: Pregel[Any, Any, Any, Any] | None) -> tuple[set[str], bool, bool]:
    """The steps a graph stops before, whether it stops after some, and whether a subgraph of it stops."""
    if pregel is None:
        return set(), False, False
    inner = [graph for _, graph in pregel.get_subgraphs(recurse=True) if isinstance(graph, Pregel)]
    stops_inside = any(graph.interrupt_before_nodes or graph.interrupt_after_nodes for graph in inner)
    before = pregel.interrupt_before_nodes
    names = {before} if isinstance(before, str) else {*before}
    return names, bool(pregel.interrupt_after_nodes), stops_inside


def _innermost(state: Any) -> str:
    """The checkpoint in which a graph really stopped, which may be that of a graph inside it."""
    for task in state.tasks:
        if isinstance(task.state, StateSnapshot) and task.state.next:
            return _innermost(task.state)
    return checkpoint_id_of(state)


def _waiting_tasks(state: StateSnapshot) -> Iterator[tuple[str, str, Any]]:
    """Namespace, checkpoint and task of each interrupt, the innermost that is known."""
    configurable = state.config.get("configurable", {})
    place = str(configurable.get("checkpoint_ns") or ""), str(configurable.get("checkpoint_id") or "")
    for task in state.tasks:
        inner = list(_waiting_tasks(task.state)) if isinstance(task.state, StateSnapshot) else []
        if inner:
            yield from inner
        elif task.interrupts:
            yield *place, task
