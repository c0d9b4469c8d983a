"""Identifies messages: by id, or where they have none by content and place."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.types import Overwrite


class MessageKeys:
    """Gives each message a key, so that a repetition is recognised.

    LangGraph's `add_messages` gives every message an id, which is its key. Another reducer may not. Then the
    key is the content with a count: the second "OK." of a conversation is not the first.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._counts: Counter[str] = Counter()

    def remember(self, history: Sequence[BaseMessage]) -> None:
        """Remember messages that are recorded already, in their order."""
        for key in self.of_history(history):
            self._known.add(key)
        self._count_on(history)

    def remember_ids(self, ids: Iterable[str]) -> None:
        """Remember messages that are recorded already, by their ids."""
        self._known.update(ids)

    def is_known(self, key: str) -> bool:
        """Whether the message with that key is recorded already."""
        return key in self._known

    def of(self, messages: Sequence[BaseMessage]) -> list[str]:
        """The keys of the messages in one update.

        An update that begins with the customer's side is the whole history: its messages count from the
        first. One that does not is new, and the messages without an id in it count on from those before.
        """
        if messages and not isinstance(messages[0], AIMessage | ToolMessage):
            self._count_on(messages)
            return list(self.of_history(messages))
        return list(self._following(messages))

    def _count_on(self, history: Sequence[BaseMessage]) -> None:
        for content, number in Counter(_content(one) for one in history if not one.id).items():
            self._counts[content] = max(self._counts[content], number)

    def of_history(self, messages: Sequence[BaseMessage]) -> Iterator[str]:
        """The keys of messages that begin with the first of the conversation."""
        counts: Counter[str] = Counter()
        for message in messages:
            if message.id:
                yield message.id
            else:
                content = _content(message)
                counts[content] += 1
                yield f"{content}#{counts[content]}"

    def _following(self, messages: Sequence[BaseMessage]) -> Iterator[str]:
        for message in messages:
            if message.id:
                yield message.id
            else:
                content = _content(message)
                self._counts[content] += 1
                yield f"{content}#{self._counts[content]}"


def messages_in(value: Any) -> list[BaseMessage]:
    """The messages of a state, an update or a returned value, in order; none where it has another form."""
    if isinstance(value, BaseMessage):
        return [value]
    if isinstance(value, list | tuple):
        return [item for item in value if isinstance(item, BaseMessage)]
    if isinstance(value, Overwrite):
        return messages_in(value.value)
    if isinstance(value, Mapping):
        return messages_in(value.get("messages"))
    # A state may be a dataclass or a pydantic model.
    return messages_in(getattr(value, "messages", None)) if value is not None else []


def call_key(tool_call_id: str, tool: str, args: Any) -> str:
    """The key of a tool call whose message is not known."""
    return f"call {tool_call_id} {tool} {_json(args)}"


def result_key(tool_call_id: str, content: str) -> str:
    """The key of a tool result whose message is not known."""
    return f"result {tool_call_id} {content}"


def is_by_customer(message: BaseMessage) -> bool:
    """Whether it is a customer's: agents hand their answers on as a `HumanMessage` with their name."""
    return isinstance(message, HumanMessage) and not message.name


def _content(message: BaseMessage) -> str:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    of_call = message.tool_call_id if isinstance(message, ToolMessage) else ""
    return f"{message.type} {of_call} {_json(message.content)} {_json(calls)}"


def _json(value: Any) -> str:
    return orjson.dumps(value, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
