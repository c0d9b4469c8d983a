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
# Our own agents write the words to show as tokens: a model's chunks hold thoughts, too.
OWN_STREAM_MODES = ["custom", "updates"]
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
        usage_is_partial: a model did not say what all of its answers used.
        model: the model that answered last.
        incomplete: why the last answer is not a whole one; None where it is.
        customer_id: the customer whom the turn's calls were about, where known.
        interrupted: whether the last stream stopped at an interrupt; None before the first stream.
        recorded: the events that a turn recorded before a crash cut it off. Steps that ran may be streamed
            again, and what the checkpoint holds is recorded beside them. None in any other turn.
    """

    agents: dict[str, str] = field(default_factory=dict)
    used: dict[str | None, tuple[int, int]] = field(default_factory=dict)
    usage_is_partial: bool = False
    model: str | None = None
    incomplete: str | None = None
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
        """The events in one item of `astream`, in one of the stream modes above.

        Args:
            namespace: of the subgraph that streamed it, as `subgraphs=True` gives it; empty for the graph.
        """
        if mode == "messages":
            yield from self._from_message(*chunk)
        elif mode == "custom" and isinstance(chunk, Token):
            yield chunk
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
            self._count(route.get("usage"), route.get("model"), bool(route.get("usage_is_partial")))
            targets = [{**one, "request": one["request"][:REQUEST_CHARS]} for one in route["targets"]]
            yield Route(targets=targets, reason=str(route["reason"]))
        messages = update.get("messages") or ()
        for message in messages if isinstance(messages, Sequence) else [messages]:
            if isinstance(message, AIMessage):
                if node == _APPROVE:
                    continue
                metadata = message.response_metadata
                is_partial = bool(metadata.get("usage_is_partial"))
                self._count(message.usage_metadata, metadata.get("model_name"), is_partial)
                incomplete = metadata.get("incomplete")
                self.incomplete = str(incomplete) if incomplete and not message.tool_calls else None
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

    def _count(self, usage: Any, model: Any, is_partial: bool = False) -> None:
        self.usage_is_partial = self.usage_is_partial or is_partial or bool(model and not usage)
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
    reasoning = message.additional_kwargs.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, str) else None
    if text := str(message.text):
        yield Message(role="agent", content=text, agent=agent, message_id=message.id, reasoning=reasoning)
        reasoning = None
    calls: list[tuple[Any, dict[str, Any]]] = [(call, call["args"]) for call in message.tool_calls]
    calls += [(call, {"unreadable": str(call.get("args"))[:2000]}) for call in message.invalid_tool_calls]
    for call, args in calls:
        yield ToolCall(
            agent=agent,
            tool=call["name"] or "",
            args=args,
            tool_call_id=call["id"] or "",
            reasoning=reasoning,
        )
        reasoning = None
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
