"""A LangGraph graph as a turn uses it: input goes in, events come out, and its checkpoints can be read."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.pregel import Pregel
from langgraph.types import Command

from smart_support.agents.model_spans import callbacks
from smart_support.approvals.approval import Approval
from smart_support.conversation.graph_adapter.interrupts import (
    PendingInterrupt,
    pending_interrupts,
    resume_value,
)
from smart_support.conversation.graph_adapter.message_keys import messages_in
from smart_support.conversation.graph_adapter.stream import STREAM_MODES, EventKey, StreamReader, event_key
from smart_support.conversation.sessions import ANY_CHECKPOINT
from smart_support.events import Event, Message, Record, Takeover, Token

History = Sequence[BaseMessage]
_CUSTOMER_PREFIX = "customer:"


@dataclass(frozen=True, slots=True)
class DecidedInterrupt:
    """An interrupt whose parts are all decided; `approvals` are in the order of its requests."""

    interrupt: PendingInterrupt
    approvals: Sequence[Approval]


class ThreadState:
    """What a graph's latest checkpoint of a thread holds.

    Attributes:
        snapshot: as the graph's `aget_state` returns it.
    """

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = snapshot

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint's id, or `ANY_CHECKPOINT` where the graph has none."""
        config = getattr(self.snapshot, "config", None)
        configurable = config.get("configurable", {}) if isinstance(config, dict) else {}
        return str(configurable.get("checkpoint_id") or ANY_CHECKPOINT)

    @property
    def values(self) -> Any:
        """The graph's own state."""
        return getattr(self.snapshot, "values", None)

    @property
    def messages(self) -> list[BaseMessage]:
        """The conversation as the graph holds it."""
        return messages_in(self.values)

    @property
    def interrupts(self) -> tuple[Any, ...]:
        """The interrupts at which the graph has stopped."""
        return tuple(getattr(self.snapshot, "interrupts", ()) or ())

    @property
    def is_unfinished(self) -> bool:
        """Whether the graph was cut off between two steps, without an interrupt.

        A kill after a step's writes and before its checkpoint leaves tasks that are done but not applied.
        LangGraph then shows them in `tasks`, while `next` is empty.
        """
        steps = getattr(self.snapshot, "next", ()) or getattr(self.snapshot, "tasks", ())
        return bool(steps) and not self.interrupts


class GraphAdapter:
    """Runs a graph and reads its checkpoints.

    Attributes:
        graph: a compiled LangGraph graph, or anything with its `astream` and `aget_state`.
        fallback_agent: the agent's name where the graph gives none.
        is_langgraph: whether it is a compiled LangGraph graph.
        stream_modes: what of its stream is read.
    """

    stream_modes = STREAM_MODES

    def __init__(self, graph: Any, fallback_agent: str) -> None:
        self.graph = graph
        self.fallback_agent = fallback_agent
        self.is_langgraph = pregel_of(graph) is not None

    def start_run(self, thread_id: str, recorded: set[EventKey] | None = None) -> "GraphRun":
        """A turn's use of the graph.

        Args:
            recorded: the events that the turn recorded before a crash cut it off; None in any other turn.
        """
        return GraphRun(self, thread_id, StreamReader(recorded=recorded))

    async def state(self, thread_id: str) -> ThreadState:
        """The latest checkpoint of a thread."""
        return ThreadState(await self.graph.aget_state({"configurable": {"thread_id": thread_id}}))

    def pending_interrupts(self, thread_id: str, state: ThreadState) -> list[PendingInterrupt]:
        """What the graph waits for, in order."""
        return pending_interrupts(
            thread_id, self.fallback_agent, state.interrupts, _agents_of_interrupts(state.snapshot)
        )


class GraphRun:
    """One turn's use of a graph.

    Attributes:
        reader: turns the graph's stream into events, and sums up what models have used.
    """

    def __init__(
        self, adapter: GraphAdapter, thread_id: str, reader: StreamReader, *, read_only: bool = False
    ) -> None:
        """`read_only`: the gate of our own graph refuses every write of this run."""
        self.reader = reader
        self._read_only = read_only
        self._adapter = adapter
        self._thread_id = thread_id
        # Only a LangGraph graph takes these: each step is durable before the next one begins, and what runs
        # inside a node is streamed, too.
        self._options: dict[str, Any] = (
            {"durability": "sync", "subgraphs": True} if adapter.is_langgraph else {}
        )

    @property
    def is_at_rest(self) -> bool:
        """Whether the last stream is known to have ended without an interrupt."""
        return self._adapter.is_langgraph and self.reader.interrupted is False

    def send(self, message: Message, preceding: History = ()) -> AsyncGenerator[Event]:
        """Send a customer's message, after messages that the graph does not have yet."""
        return self._stream({"messages": [*preceding, as_human(message)]})

    def resume(self, decided: Sequence[DecidedInterrupt]) -> AsyncGenerator[Event]:
        """Resume the graph with what was decided."""
        answers = {one.interrupt.interrupt_id: resume_value(one.interrupt, one.approvals) for one in decided}
        # LangGraph takes one plain value, or a map where several interrupts are pending.
        value = answers if len(answers) > 1 else next(iter(answers.values()))
        return self._stream(Command(resume=value))

    def go_on(self) -> AsyncGenerator[Event]:
        """Let the graph go on from its last checkpoint."""
        return self._stream(None)

    def unrecorded(self, messages: History, records: Sequence[Record]) -> Iterator[Event]:
        """The events of what the graph holds since the customer's last message and the log does not."""
        known = {event_key(record.event) for record in records}
        last = max((i for i, one in enumerate(messages) if isinstance(one, HumanMessage)), default=-1)
        for message in messages[last + 1 :]:
            for event in self.reader.of_message(message):
                if event_key(event) not in known:
                    yield event

    async def _stream(self, graph_input: Any) -> AsyncGenerator[Event]:
        configurable = {"thread_id": self._thread_id} | ({"read_only": True} if self._read_only else {})
        config = {"configurable": configurable, **callbacks()}
        self.reader.interrupted = False
        stream = self._adapter.graph.astream(
            graph_input, config=config, stream_mode=self._adapter.stream_modes, **self._options
        )
        events = self.reader.events
        try:
            async for item in self._chunks(stream):
                *namespace, mode, chunk = item
                if type(chunk) is Token:
                    yield chunk
                    continue
                for event in events(mode, chunk, *namespace):
                    yield event
        except Exception:
            for event in self.reader.finished():
                yield event
            raise
        for event in self.reader.finished():
            yield event

    def _chunks(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        return stream


def pregel_of(graph: Any) -> Pregel[Any, Any, Any, Any] | None:
    """The LangGraph graph itself, also where it is bound to a configuration."""
    for candidate in (graph, getattr(graph, "bound", None)):
        if isinstance(candidate, Pregel):
            return candidate
    return None


def as_human(message: Message) -> HumanMessage:
    """A customer's message as a graph takes it."""
    return HumanMessage(message.content, id=history_id(message))


def history_id(message: Message) -> str:
    """The id of a customer's message in a graph's history.

    A customer's program chooses `message_id`. LangGraph replaces a message by one with the same id, so no
    choice may give the id of an agent's or a colleague's message.
    """
    return f"{_CUSTOMER_PREFIX}{message.message_id}"


def customer_message_ids(messages: History) -> set[str]:
    """The `message_id` of the customer's messages in a graph's history.

    Histories of earlier versions hold them as they are.
    """
    return {
        message.id.removeprefix(_CUSTOMER_PREFIX)
        for message in messages
        if isinstance(message, HumanMessage) and message.id
    }


def unread_history(records: Sequence[Record], messages: History) -> History:
    """What was said in a conversation while a person had it, as a graph takes it.

    Args:
        records: of the conversation, since the person took it.
        messages: those that the graph has already.
    """
    known = {message.id for message in messages}
    of_customer = customer_message_ids(messages)
    unread: list[BaseMessage] = []
    for record in records:
        event = record.event
        if isinstance(event, Message) and event.role == "customer":
            if event.message_id not in of_customer:
                unread.append(as_human(event))
        elif isinstance(event, Message) and event.role == "colleague":
            unread.append(AIMessage(event.content, id=event.message_id))
        elif isinstance(event, Takeover) and event.note:
            text = f"[A note from your colleague {event.by}; the customer does not see it] {event.note}"
            unread.append(HumanMessage(text, id=record.event_id))
    return [message for message in unread if message.id not in known]


def _agents_of_interrupts(snapshot: Any) -> dict[str, str]:
    """The node of each interrupt, by the interrupt's id, where the node is an agent with steps of its own."""
    return {
        item.id: str(task.name)
        for task in getattr(snapshot, "tasks", ())
        if getattr(task, "state", None) is not None
        for item in task.interrupts
    }
