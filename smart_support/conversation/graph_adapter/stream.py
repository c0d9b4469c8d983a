"""Turns the stream of our own graph into events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from smart_support.events import (
    REQUEST_CHARS,
    Clarification,
    Escalation,
    Event,
    Message,
    Route,
    Token,
    ToolCall,
    ToolResult,
    ToolStatus,
)

STREAM_MODES = ["messages", "updates"]
_STATUSES: frozenset[str] = frozenset(get_args(ToolStatus))
# The step that gives an agent's message again, with edited arguments. The decision records these.
_APPROVE = "approve"
Namespace = tuple[str, ...]
EventKey = tuple[str, str | None]


def event_key(event: Event) -> EventKey:
    """Two events with the same key are the same fact. Events whose second part is None have no key."""
    if isinstance(event, (ToolCall, ToolResult)):
        return event.type, event.tool_call_id
    if isinstance(event, Message):
        return event.type, event.message_id
    if isinstance(event, Clarification):
        return event.type, event.question
    return event.type, getattr(event, "reason", None)


@dataclass(slots=True)
class StreamReader:
    """Turns the stream of one turn into events, and sums up what it used.

    Attributes:
        agents: the agent of each streamed message, by the message's id.
        used: tokens in and out by the model that used them, as far as providers report them.
        model: the model that answered last.
        customer_id: the customer whom the turn's calls were about, where known.
        interrupted: whether the last stream stopped at an interrupt; None before the first stream.
        recorded: the events that a turn recorded before a crash cut it off. Steps that ran may be streamed
            again, and what the checkpoint holds is recorded beside them. None in any other turn.
    """

    agents: dict[str, str] = field(default_factory=dict)
    used: dict[str | None, tuple[int, int]] = field(default_factory=dict)
    model: str | None = None
    customer_id: str | None = None
    interrupted: bool | None = None
    recorded: set[EventKey] | None = None

    def is_new(self, event: Event) -> bool:
        """Whether an event was not recorded before a crash, nor seen since; it counts as seen from now on."""
        if self.recorded is None or isinstance(event, Token | Route):
            return True
        key = event_key(event)
        if key[1] is None:
            return True
        is_new = key not in self.recorded
        self.recorded.add(key)
        return is_new

    def events(self, mode: str, chunk: Any, namespace: Namespace = ()) -> Iterator[Event]:
        """The events in one item of `astream(stream_mode=STREAM_MODES)`.

        Args:
            namespace: of the subgraph that streamed it, as `subgraphs=True` gives it; empty for the graph.
        """
        if mode == "messages":
            yield from self._from_message(*chunk)
        elif mode == "updates" and isinstance(chunk, Mapping):
            for node, update in chunk.items():
                if node == "__interrupt__":
                    self.interrupted = True
                else:
                    for part in update if isinstance(update, list) else [update]:
                        yield from self._from_update(str(node), part)

    def finished(self) -> Iterator[Event]:
        """The events that are left at the end of a stream: none, as our graph's updates are complete."""
        return iter(())

    def _from_message(self, message: BaseMessage, metadata: Mapping[str, Any]) -> Iterator[Event]:
        # A message that comes whole is an event when the update of its step comes.
        if not isinstance(message, AIMessageChunk):
            return
        text = message.content if isinstance(message.content, str) else str(message.text)
        if text:
            agent = message.name or str(metadata.get("langgraph_node", "agent"))
            if message.id:
                self.agents[message.id] = agent
            yield Token(agent=agent, content=text)

    def _from_update(self, node: str, update: Any) -> Iterator[Event]:
        if not isinstance(update, Mapping):
            return
        if isinstance(route := update.get("route"), Mapping):
            self._count(route.get("usage"), route.get("model"))
            targets = [{**one, "request": one["request"][:REQUEST_CHARS]} for one in route["targets"]]
            yield Route(targets=targets, reason=str(route["reason"]))
        messages = update.get("messages") or ()
        for message in messages if isinstance(messages, Sequence) else [messages]:
            if isinstance(message, AIMessage):
                if node == _APPROVE:
                    continue
                self._count(message.usage_metadata, message.response_metadata.get("model_name"))
                yield from self.of_message(message, node)
            elif isinstance(message, ToolMessage):
                yield from self.of_message(message, node)

    def of_message(self, message: BaseMessage, node: str = "agent") -> Iterator[Event]:
        """The events of a whole message, streamed or read from a checkpoint."""
        if isinstance(message, AIMessage):
            agent = self.agents.get(message.id or "") or message.name or node
            yield from events_of_answer(message, agent)
        elif isinstance(message, ToolMessage):
            artifact = message.artifact if isinstance(message.artifact, Mapping) else {}
            self.customer_id = artifact.get("customer_id") or self.customer_id
            yield from events_of_result(message, artifact, node)

    def _count(self, usage: Any, model: Any) -> None:
        self.model = str(model or "") or self.model
        if isinstance(usage, Mapping):
            into, out = self.used.get(self.model, (0, 0))
            into += int(usage.get("input_tokens") or 0)
            self.used[self.model] = into, out + int(usage.get("output_tokens") or 0)


def events_of_answer(message: AIMessage, agent: str) -> Iterator[Event]:
    """The events of an AI message."""
    if clarification := message.additional_kwargs.get("clarification"):
        yield Clarification(question=str(clarification["question"]), options=list(clarification["options"]))
        return
    if text := str(message.text):
        yield Message(role="agent", content=text, agent=agent, message_id=message.id)
    for call in message.tool_calls:
        yield ToolCall(agent=agent, tool=call["name"], args=call["args"], tool_call_id=call["id"] or "")
    for broken in message.invalid_tool_calls:
        args = {"unreadable": str(broken.get("args"))[:2000]}
        yield ToolCall(agent=agent, tool=broken["name"] or "", args=args, tool_call_id=broken["id"] or "")
    if isinstance(escalation := message.additional_kwargs.get("escalation"), Mapping):
        yield _escalation(escalation)


def events_of_result(message: ToolMessage, artifact: Mapping[str, Any], node: str) -> Iterator[Event]:
    """The events of a tool's result; `node` stands in where its artifact names no agent."""
    status = str(artifact.get("status"))
    if status not in _STATUSES:
        status = "error" if message.status == "error" else "ok"
    yield ToolResult(
        agent=str(artifact.get("agent") or node),
        tool=message.name or "",
        tool_call_id=message.tool_call_id,
        status=cast(ToolStatus, status),
        content=str(artifact.get("whole") or message.text),
        duration_ms=artifact.get("duration_ms"),
        policy=artifact.get("policy"),
        error_class=artifact.get("error_class"),
    )
    if isinstance(escalation := artifact.get("escalation"), Mapping):
        yield _escalation(escalation)


def _escalation(values: Mapping[str, Any]) -> Escalation:
    return Escalation(
        reason=str(values["reason"]), delivered=bool(values["delivered"]), kind=values.get("kind", "asked")
    )
