"""LangGraph's chunks -> typed events, and nothing else: no numbers, no log, no decisions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from smart_support.conversation.graph_adapter.approval_events import Identity, identity
from smart_support.events import (
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
Namespace = tuple[str, ...]


@dataclass(slots=True)
class Spoken:
    """What one turn of the graph said and used, gathered while its chunks pass.

    Attributes:
        speakers: who said the tokens of a message, by its id.
        used: tokens in and out by the model that used them, as their providers told; none where none did.
        model: who answered last.
        customer_id: the customer the turn's calls were about, where one is known.
        interrupted: whether the last stream stopped at an interrupt; None before there was one.
        told: what was told in a turn that is finished after a crash, for steps that ran may be streamed
            again, and what the checkpoint holds is told beside them; None in any other turn.
    """

    speakers: dict[str, str] = field(default_factory=dict)
    used: dict[str | None, tuple[int, int]] = field(default_factory=dict)
    model: str | None = None
    customer_id: str | None = None
    interrupted: bool | None = None
    told: set[Identity] | None = None

    def is_news(self, event: Event) -> bool:
        """Whether it was not told before, in a turn that is finished after a crash; from now on it was."""
        known_by = identity(event)
        if self.told is None or isinstance(event, Token | Route) or known_by[1] is None:
            return True
        news = known_by not in self.told
        self.told.add(known_by)
        return news

    def events(self, mode: str, chunk: Any, namespace: Namespace = ()) -> Iterator[Event]:
        """The events in one item of `astream(stream_mode=STREAM_MODES)`.

        Args:
            namespace: of the subgraph it comes from, as `subgraphs=True` gives it; empty for the graph.
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
        """What is left when a stream has ended; nothing, as a graph of ours gives updates for all it says."""
        return iter(())

    def _from_message(self, message: BaseMessage, metadata: Mapping[str, Any]) -> Iterator[Event]:
        # A message that comes whole is told in its turn, with the update of its step.
        if not isinstance(message, AIMessageChunk):
            return
        text = message.content if isinstance(message.content, str) else str(message.text)
        if text:
            agent = message.name or str(metadata.get("langgraph_node", "agent"))
            if message.id:
                self.speakers[message.id] = agent
            yield Token(agent=agent, content=text)

    def _from_update(self, node: str, update: Any) -> Iterator[Event]:
        if not isinstance(update, Mapping):
            return
        if isinstance(route := update.get("route"), Mapping):
            self._count(route.get("usage"), route.get("model"))
            yield Route(targets=list(route["targets"]), reason=str(route["reason"]))
        messages = update.get("messages") or ()
        for message in messages if isinstance(messages, Sequence) else [messages]:
            if isinstance(message, AIMessage):
                self._count(message.usage_metadata, message.response_metadata.get("model_name"))
                yield from self.of_message(message, node)
            elif isinstance(message, ToolMessage):
                yield from self.of_message(message, node)

    def of_message(self, message: BaseMessage, node: str = "agent") -> Iterator[Event]:
        """The events a finished message stands for; also those of one read from a checkpoint."""
        if isinstance(message, AIMessage):
            agent = self.speakers.get(message.id or "") or message.name or node
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
    if asked := message.additional_kwargs.get("clarification"):
        yield Clarification(question=str(asked["question"]), options=list(asked["options"]))
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


def _escalation(told: Mapping[str, Any]) -> Escalation:
    return Escalation(
        reason=str(told["reason"]), delivered=bool(told["delivered"]), kind=told.get("kind", "asked")
    )
