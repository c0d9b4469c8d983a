"""What a foreign graph may repeat of a thread: the messages it holds, and what is recorded of it."""

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from smart_support.conversation.graph_adapter.adapter import history_id, pregel_of
from smart_support.conversation.graph_adapter.message_keys import call_key, messages_in, result_key
from smart_support.events import Message, Record, ToolCall, ToolResult

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


def message_ids(records: Sequence[Record]) -> set[str]:
    """The ids of the messages on record, in a graph's history."""
    messages = [one.event for one in records if isinstance(one.event, Message) and one.event.message_id]
    own = {history_id(one) for one in messages if one.role == "customer"}
    return own | {str(one.message_id) for one in messages}


def facts_since_customer(records: Sequence[Record]) -> set[str]:
    """The keys of the calls and results recorded since the customer's last message; see `message_keys`."""
    facts: set[str] = set()
    for record in records:
        event = record.event
        if isinstance(event, Message) and event.role == "customer":
            facts.clear()
        elif isinstance(event, ToolCall):
            facts.add(call_key(event.tool_call_id, event.tool, event.args))
        elif isinstance(event, ToolResult):
            facts.add(result_key(event.tool_call_id, event.content))
    return facts


def _histories(state: StateSnapshot) -> Iterator[list[BaseMessage]]:
    yield messages_in(state.values)
    for task in state.tasks:
        if isinstance(task.state, StateSnapshot):
            yield from _histories(task.state)
