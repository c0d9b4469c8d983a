"""Breakpoints of a foreign graph (`interrupt_before`, `interrupt_after`): it stops without an interrupt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from smart_support.agents.tool_messages import refused
from smart_support.approvals.approval import Approval, Request
from smart_support.conversation.graph_adapter.adapter import ThreadState
from smart_support.conversation.graph_adapter.interrupts import PendingInterrupt
from smart_support.events import ToolResult
from smart_support.gate.planned_call import PlannedCall
from smart_support.tools.registry import summary_of

_START = "__start__"


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """The value of a pending interrupt that is a breakpoint: the graph stopped before `next_steps`.

    `calls`: the model's tool calls that these steps would run, where there are some.
    """

    next_steps: tuple[str, ...]
    calls: tuple[Any, ...] = ()


class Breakpoints:
    """The breakpoints of a graph.

    Attributes:
        are_in_subgraphs: a graph inside it has breakpoints.
    """

    def __init__(self, pregel: Pregel[Any, Any, Any, Any] | None) -> None:
        self._before: set[str] = set()
        self._has_after = self.are_in_subgraphs = False
        if pregel is None:
            return
        before = pregel.interrupt_before_nodes
        self._before = {before} if isinstance(before, str) else {*before}
        self._has_after = bool(pregel.interrupt_after_nodes)
        inner = [graph for _, graph in pregel.get_subgraphs(recurse=True) if isinstance(graph, Pregel)]
        self.are_in_subgraphs = any(
            graph.interrupt_before_nodes or graph.interrupt_after_nodes for graph in inner
        )

    def pending(self, thread_id: str, state: ThreadState, agent: str) -> PendingInterrupt | None:
        """The breakpoint at which a thread has stopped, as something that a human decides.

        Where a graph stopped after a step or inside a subgraph, its state does not show whether that is a
        breakpoint or a step was cut off. Both count as a breakpoint, so that no step runs unapproved.
        """
        snapshot = state.snapshot
        steps = tuple(getattr(snapshot, "next", ()) or ())
        tasks = tuple(getattr(snapshot, "tasks", ()) or ())
        if not steps or _START in steps or any(task.error or task.interrupts for task in tasks):
            return None
        stops_before = "*" in self._before or self._before & {*steps}
        if not (stops_before or self._has_after or self.are_in_subgraphs):
            return None
        breakpoint_id = f"breakpoint:{_innermost_checkpoint(state)}"
        calls = unanswered_calls(state.values)
        planned = [(str(call["name"]), dict(call["args"] or {})) for call in calls]
        planned = planned or [(" and ".join(steps), {})]
        requests = [
            Request(
                call=PlannedCall(
                    tool_call_id=f"{breakpoint_id}:{part}",
                    tool=action,
                    args=args,
                    agent=agent,
                    summary=summary_of(action, args),
                    need="ask",
                ),
                thread_id=thread_id,
                interrupt_id=breakpoint_id,
                part=part,
                allowed=("approve", "reject"),  # the step runs with what is in its state
            )
            for part, (action, args) in enumerate(planned)
        ]
        return PendingInterrupt(breakpoint_id, Breakpoint(steps, tuple(calls)), requests)


def refused_results(value: Breakpoint, refusal: Approval) -> list[ToolResult]:
    """The results of the calls that do not run, because one of them was refused.

    Where the steps have no calls, there is one result without a `tool_call_id`, for the step itself.
    """
    answer = {"outcome": refusal.status, "decided_by": refusal.decided_by, "reason": refusal.reason}
    results = []
    for call in value.calls or ({"name": refusal.call.tool, "id": ""},):
        text = str(refused(dict(call), answer, refusal.call.agent, []).text)
        results.append(
            ToolResult(
                agent=refusal.call.agent,
                tool=call["name"],
                tool_call_id=call["id"],
                status="expired" if refusal.status == "expired" else "rejected",
                content=text,
            )
        )
    return results


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
    """Results for calls that will never get one: a provider refuses a history with an open call."""
    return [
        ToolMessage(why, tool_call_id=call["id"] or "", name=call["name"], status="error")
        for call in unanswered_calls(values)
    ]


def _innermost_checkpoint(state: ThreadState) -> str:
    """The checkpoint in which a graph really stopped, which may be that of a graph inside it."""
    for task in state.snapshot.tasks:
        if isinstance(task.state, StateSnapshot) and task.state.next:
            return _innermost_checkpoint(ThreadState(task.state))
    return state.checkpoint_id
