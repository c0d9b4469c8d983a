"""What a graph that is not ours holds of a thread before a turn goes on: the messages it may give again."""

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from smart_support.conversation.graph_adapter.foreign_graph import pregel_of
from smart_support.conversation.graph_adapter.message_keys import messages_in

# Where LangGraph keeps what an entrypoint saved for its next run.
_PREVIOUS = "__previous__"


async def histories_of(graph: Any, thread_id: str) -> list[list[BaseMessage]]:
    """The messages of a thread, in order: as the graph holds them, and as each unfinished subgraph does."""
    config = {"configurable": {"thread_id": thread_id}}
    real = pregel_of(graph)
    if real is None:
        return [messages_in(getattr(await graph.aget_state(config), "values", None))]
    histories = list(_histories(await graph.aget_state(config, subgraphs=True)))
    if entrypoint_of(graph) and isinstance(real.checkpointer, BaseCheckpointSaver):
        saved = await real.checkpointer.aget_tuple(
            {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
        )
        values = saved.checkpoint["channel_values"] if saved else {}
        histories.append(messages_in(values.get(_PREVIOUS)))
    return histories


def entrypoint_of(graph: Any) -> str | None:
    """The name of a graph of the functional API, None for any other."""
    real = pregel_of(graph)
    if real is None or isinstance(real, CompiledStateGraph):
        return None
    return next(iter(real.nodes), None)


def agents_asking(state: Any) -> dict[str, str]:
    """Which node asks, by the interrupt's id, where the node is an agent with steps of its own."""
    return {
        item.id: str(task.name)
        for task in getattr(state, "tasks", ())
        if getattr(task, "state", None) is not None
        for item in task.interrupts
    }


def _histories(state: StateSnapshot) -> Iterator[list[BaseMessage]]:
    yield messages_in(state.values)
    for task in state.tasks:
        if isinstance(task.state, StateSnapshot):
            yield from _histories(task.state)
