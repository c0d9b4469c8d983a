"""Turns the stream of a foreign graph into events: each message once, and one message at a time.

Such a graph may repeat itself: an agent that is a node gives the whole history as its update, and what an
inner agent streamed comes again in the update of the outer node. It may stream several messages at once, or
nothing but message chunks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from smart_support.conversation.graph_adapter.message_keys import (
    MessageKeys,
    call_key,
    messages_in,
    result_key,
)
from smart_support.conversation.graph_adapter.message_order import MessageOrder
from smart_support.conversation.graph_adapter.stream import (
    Namespace,
    StreamReader,
    events_of_answer,
    events_of_result,
)
from smart_support.events import Event, Message, Token, ToolCall, ToolResult

MAX_STREAMED_ARGUMENTS = 20_000
# The nodes of LangChain's agents: they name a step, not an agent.
_STEPS = frozenset({"model", "tools", "call_model"})
_HOOKS = (".before_agent", ".before_model", ".after_model", ".after_agent")
# An event with the key of the message it is of; None instead of the event where that message has ended.
_Keyed = tuple[str | None, Event | None]


@dataclass(slots=True)
class _StreamedCall:
    """A tool call whose arguments arrive in pieces."""

    index: Any
    name: str = ""
    tool_call_id: str = ""
    args: str = ""

    def continues_in(self, chunk: Mapping[str, Any]) -> bool:
        """Whether a chunk holds more of this call."""
        if chunk.get("index") is not None:
            return bool(self.index == chunk["index"])
        return self.index is None and chunk.get("id") in (None, self.tool_call_id)

    def event(self, agent: str) -> ToolCall:
        """The call. Its arguments are parsed once, as a whole."""
        try:
            args = orjson.loads(self.args or "{}")
        except orjson.JSONDecodeError:
            args = None
        if not isinstance(args, dict):
            args = {"unreadable": self.args[:2000]}
        return ToolCall(agent=agent, tool=self.name, args=args, tool_call_id=self.tool_call_id)


@dataclass(slots=True)
class _StreamedMessage:
    """A message that arrives in chunks.

    Attributes:
        namespace, node: where in the graph it is streamed.
        tokens: that it used, in and out, as far as its chunks report them.
        has_ended: its last chunk has come.
        is_confirmed: the whole message has come too.
    """

    key: str
    agent: str
    namespace: Namespace
    node: str
    text: str = ""
    calls: list[_StreamedCall] = field(default_factory=list)
    tokens: tuple[int, int] = 0, 0
    model: str | None = None
    has_ended: bool = False
    is_confirmed: bool = False

    def add(self, message: AIMessageChunk, text: str) -> None:
        """Take a chunk in. What exceeds the cap of a call's arguments is left out."""
        self.text += text
        self.has_ended = message.chunk_position == "last"
        self.model = message.response_metadata.get("model_name") or self.model
        if used := message.usage_metadata:
            into, out = self.tokens
            self.tokens = into + used["input_tokens"], out + used["output_tokens"]
        for chunk in message.tool_call_chunks:
            call = next((one for one in self.calls if one.continues_in(chunk)), None)
            if call is None:
                call = _StreamedCall(chunk.get("index"))
                self.calls.append(call)
            call.name = call.name or chunk.get("name") or ""
            call.tool_call_id = call.tool_call_id or chunk.get("id") or ""
            if len(call.args) < MAX_STREAMED_ARGUMENTS:
                call.args += chunk.get("args") or ""

    def is_copied_by(self, message: AIMessage) -> bool:
        """Whether a whole message with another id has the content of this one."""
        if text := str(message.text):
            return text == self.text
        ids = {call["id"] for call in message.tool_calls}
        return bool(ids) and ids == {call.tool_call_id for call in self.calls}


@dataclass(slots=True, kw_only=True)
class ForeignStreamReader(StreamReader):
    """Reads the stream of one turn of a foreign graph.

    Attributes:
        fallback_agent: the agent's name where the graph gives none.
        gives_updates: the graph is LangGraph's own, whose `updates` name all that its nodes return.
        entrypoint: the name of a graph of the functional API; the value it returns is its answer.
        known: the messages of earlier turns.
        known_facts: the keys of calls and results that are recorded already, where no message names them.
        refusals: the texts that the graph was given for calls that a person refused.
    """

    fallback_agent: str = "agent"
    gives_updates: bool = False
    entrypoint: str | None = None
    known: MessageKeys = field(default_factory=MessageKeys)
    known_facts: set[str] = field(default_factory=set)
    refusals: set[str] = field(default_factory=set)
    _order: MessageOrder = field(default_factory=MessageOrder)
    _streamed: dict[str, _StreamedMessage] = field(default_factory=dict)
    _unnamed: dict[tuple[Namespace, str], str] = field(default_factory=dict)
    _seen_parts: set[tuple[str, str]] = field(default_factory=set)
    _texts: dict[tuple[Namespace, str], set[str]] = field(default_factory=dict)
    _yielded_texts: set[str] = field(default_factory=set)
    _callers: dict[str, str] = field(default_factory=dict)
    _answered: dict[str, str] = field(default_factory=dict)
    _saw_updates: bool = False

    def events(self, mode: str, chunk: Any, namespace: Namespace = ()) -> Iterator[Event]:
        """The events in one item of the stream; see `StreamReader.events`."""
        if mode == "messages":
            message, metadata = chunk
            yield from self._ordered(self._from_stream(message, metadata, namespace))
        elif mode == "updates" and isinstance(chunk, Mapping):
            for node, update in chunk.items():
                if node == "__interrupt__":
                    self.interrupted = True
                elif node != "__metadata__":
                    self._saw_updates = True
                    yield from self._ordered(self._from_node(str(node), update, namespace))

    def finished(self) -> Iterator[Event]:
        """The events that are left at the end of a stream: of messages in chunks only, and those held."""
        if not (self.gives_updates and self._saw_updates):
            for streamed in self._streamed.values():
                yield from self._ordered(self._calls_of(streamed))
        for streamed in self._streamed.values():
            if self._is_new(streamed.key, "usage"):
                into, out = streamed.tokens
                self._count({"input_tokens": into, "output_tokens": out}, streamed.model)
        yield from self._order.end_stream()

    def missed(self, messages: Sequence[BaseMessage]) -> Iterator[Event]:
        """The events of what the checkpoint holds and the stream did not yield; call it after `finished`."""
        for message, key in zip(messages, MessageKeys().of_history(messages), strict=True):
            yield from self._ordered(self._of(message, key, "", None))

    def of_message(self, message: BaseMessage, node: str = "") -> Iterator[Event]:
        """The events of a message read from a checkpoint, less those that this turn has yielded."""
        (key,) = self.known.of([message])
        yield from self._ordered(self._of(message, key, node, None, is_unrecorded=True))

    def _ordered(self, keyed: Iterator[_Keyed]) -> Iterator[Event]:
        for key, event in keyed:
            if event is not None:
                yield from self._order.put(key, event)
            elif key is not None:
                yield from self._order.end_message(key)

    # Mode "messages": chunks, and whole messages where a node returns them

    def _from_stream(
        self, message: BaseMessage, metadata: Mapping[str, Any], namespace: Namespace
    ) -> Iterator[_Keyed]:
        node, name = str(metadata.get("langgraph_node") or ""), metadata.get("lc_agent_name")
        if isinstance(message, AIMessageChunk):
            yield from self._from_chunk(message, node, namespace, name)
        elif isinstance(message, AIMessage | ToolMessage):
            self._unnamed.clear()
            if isinstance(message, ToolMessage):
                yield from self._call_before(message)
            (key,) = self.known.of([message])
            yield from self._of(message, key, node, namespace, name=name)

    def _from_chunk(
        self, message: AIMessageChunk, node: str, namespace: Namespace, name: str | None
    ) -> Iterator[_Keyed]:
        place = namespace, node
        key = message.id or self._unnamed.setdefault(place, f"unnamed:{len(self._streamed)}")
        if self.known.is_known(key):
            return
        if key not in self._streamed:
            agent = self._agent_of(message.name or name, node, namespace)
            self._streamed[key] = _StreamedMessage(key, agent, namespace, node)
        streamed = self._streamed[key]
        text = message.content if isinstance(message.content, str) else str(message.text)
        streamed.add(message, text)
        if text:
            yield key, Token(agent=streamed.agent, content=text)
        if streamed.has_ended:
            self._unnamed.pop(place, None)
            yield key, None
            if not self.gives_updates:
                yield from self._calls_of(streamed)

    def _call_before(self, result: ToolMessage) -> Iterator[_Keyed]:
        """The call of a result, where it came in chunks and no update holds it."""
        for streamed in self._streamed.values():
            is_its_call = any(call.tool_call_id == result.tool_call_id for call in streamed.calls)
            if is_its_call and not self.gives_updates:
                yield from self._calls_of(streamed)

    def _calls_of(self, streamed: _StreamedMessage) -> Iterator[_Keyed]:
        if streamed.text:
            # The message ends before its calls.
            yield streamed.key, None
        for call in streamed.calls:
            yield from self._call(streamed.key, call.event(streamed.agent))

    # Mode "updates": what nodes return

    def _from_node(self, node: str, update: Any, namespace: Namespace) -> Iterator[_Keyed]:
        if isinstance(update, str) and node == self.entrypoint and not namespace:
            yield from self._returned(node, update)
            return
        several = isinstance(update, list) and not any(isinstance(one, BaseMessage) for one in update)
        for part in update if several else [update]:
            messages = messages_in(part)
            for message, key in zip(messages, self.known.of(messages), strict=True):
                yield from self._of(message, key, node, namespace)

    def _returned(self, node: str, text: str) -> Iterator[_Keyed]:
        streamed = (one.text for one in self._streamed.values())
        if text and text not in {*self._yielded_texts, *streamed} and self._is_new(text, "returned"):
            self._yielded_texts.add(text)
            yield None, Message(role="agent", content=text, agent=self._agent_of(None, node, ()))

    def _of(
        self,
        message: BaseMessage,
        key: str,
        node: str,
        namespace: Namespace | None,
        *,
        name: str | None = None,
        is_unrecorded: bool = False,
    ) -> Iterator[_Keyed]:
        """The parts of a whole message that were not yielded before.

        Args:
            namespace: None where it is not known, for a message that is read from a checkpoint.
            name: the agent's name in the graph's metadata.
            is_unrecorded: it is not on record, though the graph had it before.
        """
        if self.known.is_known(key) and not is_unrecorded:
            return
        if isinstance(message, AIMessage):
            yield from self._of_answer(message, key, node, namespace, name)
        elif isinstance(message, ToolMessage):
            yield from self._of_result(message, key, node, namespace or (), name)

    def _of_answer(
        self, message: AIMessage, key: str, node: str, namespace: Namespace | None, name: str | None
    ) -> Iterator[_Keyed]:
        streamed = self._streamed.get(key) or self._original_of(message, node, namespace)
        if streamed:
            streamed.is_confirmed = True
            key, agent = streamed.key, streamed.agent
        else:
            agent = self._agent_of(message.name or name, node, namespace or ())
        if self._is_new(key, "usage"):
            self._count(message.usage_metadata, message.response_metadata.get("model_name"))
        text = str(message.text)
        if not streamed and text and self._was_yielded_within(text, node, namespace):
            self._seen_parts.add((key, "text"))
        for event in events_of_answer(message, agent):
            if isinstance(event, ToolCall):
                yield from self._call(key, event)
            elif self._is_new(key, "text" if isinstance(event, Message) else event.type):
                self._note(text, namespace or ())
                yield key, event
        if streamed and not text:
            yield key, None

    def _of_result(
        self, message: ToolMessage, key: str, node: str, namespace: Namespace, name: str | None
    ) -> Iterator[_Keyed]:
        known = result_key(message.tool_call_id, str(message.text))
        # A handoff gives its result to the outer graph as a copy with an id of its own.
        is_copy = self._answered.get(message.tool_call_id) == str(message.text)
        if is_copy or known in self.known_facts or not self._is_new(key, "result"):
            return
        self._answered[message.tool_call_id] = str(message.text)
        artifact = message.artifact if isinstance(message.artifact, Mapping) else {}
        self.customer_id = artifact.get("customer_id") or self.customer_id
        agent = self._callers.get(message.tool_call_id) or self._agent_of(name, node, namespace)
        is_refusal = message.status == "error" and str(message.text).endswith(tuple(self.refusals))
        for event in events_of_result(message, artifact, agent):
            if is_refusal and isinstance(event, ToolResult):
                yield None, replace(event, status="rejected")
            else:
                yield None, event

    def _call(self, key: str, event: ToolCall) -> Iterator[_Keyed]:
        known = call_key(event.tool_call_id, event.tool, event.args) in self.known_facts
        if not known and self._is_new(key, f"call {event.tool_call_id}"):
            self._callers[event.tool_call_id] = event.agent
            self._answered.pop(event.tool_call_id, None)
            yield None, event

    def _is_new(self, key: str, part: str) -> bool:
        is_new = (key, part) not in self._seen_parts
        self._seen_parts.add((key, part))
        return is_new

    def _original_of(
        self, message: AIMessage, node: str, namespace: Namespace | None
    ) -> _StreamedMessage | None:
        """The streamed message that a node returns as its own, with another id or none."""
        for streamed in self._streamed.values():
            is_here = namespace is None or (streamed.namespace, streamed.node) == (namespace, node)
            if is_here and not streamed.is_confirmed and streamed.is_copied_by(message):
                return streamed
        return None

    def _was_yielded_within(self, text: str, node: str, namespace: Namespace | None) -> bool:
        """Whether an agent inside a node has yielded in this turn what the node now returns."""
        return namespace is not None and text in self._texts.get((namespace, node), ())

    def _note(self, text: str, namespace: Namespace) -> None:
        self._yielded_texts.add(text)
        for depth, place in enumerate(namespace):
            self._texts.setdefault((namespace[:depth], place.partition(":")[0]), set()).add(text)

    def _agent_of(self, name: Any, node: str, namespace: Namespace) -> str:
        """The agent of a message: by its name, else by the innermost node that is no step of an agent."""
        if name:
            return str(name)
        for place in reversed(namespace or (self.entrypoint or node,)):
            outer = place.partition(":")[0]
            if outer and outer not in _STEPS and not outer.endswith(_HOOKS):
                return outer
        return self.fallback_agent
