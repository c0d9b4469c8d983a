"""Builds the messages of a model request from our own record of a conversation, and checks them.

Providers refuse a whole request for one message that they don't accept, and that message is in every later
request. So a request never repeats what a model sent: it is built anew, as the provider at hand accepts it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from smart_support import clock
from smart_support.agents.context_window import fitting
from smart_support.agents.provider_profile import ProviderProfile, accepts_id
from smart_support.agents.reasoning import encrypted_reasoning
from smart_support.agents.thoughts import without_thoughts
from smart_support.agents.tool_messages import CUT_OFF
from smart_support.text import clean_json, clean_text
from smart_support.tools.names import MAX_LENGTH

# Providers accept these too; names from a graph of one's own may have them.
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_LENGTH}}}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_UNNAMED = "unnamed_tool"
_NO_TEXT = "(no text)"
_GO_ON = "Please go on."
_MAX_UNREADABLE_CHARS = 2_000
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Every known provider takes ids of this length and alphabet. Mistral takes no other.
_ID_LENGTH = 9


def outgoing_messages(
    prompt: str,
    history: Sequence[BaseMessage],
    max_tokens: int,
    profile: ProviderProfile,
    *,
    cut_results: bool = False,
) -> list[BaseMessage]:
    """The messages of one request.

    Args:
        prompt: of the agent or the router.
        history: a thread's messages, as they are recorded.
        max_tokens, cut_results: how much of the history is included; see `context_window.fitting`.
    """
    messages = fitting(list(_complete(history)), max_tokens, cut_results=cut_results)
    if profile.is_strict_order:
        messages = _in_strict_order(messages)
    ids = _Ids(profile)
    built = [_as_accepted(message, ids, profile) for message in messages]
    return [SystemMessage(clean_text(prompt) or _NO_TEXT), *built]


def new_call_id() -> str:
    """An id for a tool call, as every provider takes it."""
    return _short_id(clock.new_id())


def faults_in(messages: Sequence[BaseMessage], profile: ProviderProfile) -> list[str]:
    """What a provider would refuse in the messages of a request; empty where it is correct."""
    return list(_faults(messages, profile))


def _faults(messages: Sequence[BaseMessage], profile: ProviderProfile) -> Iterator[str]:
    seen: set[str] = set()
    open_ids: list[str] = []
    before = ""
    for number, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in open_ids:
                yield f"message {number}: a result without its call"
            open_ids = [one for one in open_ids if one != message.tool_call_id]
            before = message.type
            continue
        if open_ids:
            yield f"message {number}: calls before it have no result"
        if profile.is_strict_order and message.type == before:
            yield f"message {number}: two of {message.type} in a row"
        yield from (f"message {number}: {fault}" for fault in _faults_of(message, number, profile, seen))
        open_ids = [str(call["id"]) for call in _calls_of(message)]
        seen.update(open_ids)
        before = message.type
    if open_ids:
        yield "the last calls have no result"
    if profile.is_strict_order and before not in ("human", "tool"):
        yield "neither the customer nor a tool is last"


def _faults_of(message: BaseMessage, number: int, profile: ProviderProfile, seen: set[str]) -> Iterator[str]:
    calls = _calls_of(message)
    if isinstance(message, SystemMessage) and number:
        yield "a system message that is not the first"
    if not calls and not str(message.text).strip():
        yield "nothing in it"
    if isinstance(message, AIMessage) and message.invalid_tool_calls:
        yield "a call whose arguments are no object"
    for call in calls:
        if not accepts_id(profile, str(call["id"])) or str(call["id"]) in seen:
            yield f"the id {call['id']!r}"
        if not _NAME.fullmatch(call["name"]):
            yield f"the tool name {call['name']!r}"


def _calls_of(message: BaseMessage) -> list[ToolCall]:
    return message.tool_calls if isinstance(message, AIMessage) else []


def _complete(history: Sequence[BaseMessage]) -> Iterator[AnyMessage]:
    """The messages with something in them; each call is directly followed by its one result."""
    results: dict[str, ToolMessage] = {}
    for message in history:
        if isinstance(message, ToolMessage):
            results.setdefault(message.tool_call_id, message)
    used: set[str] = set()
    for message in history:
        if isinstance(message, HumanMessage):
            yield message
        elif isinstance(message, AIMessage):
            answer = _as_recorded(message, used)
            if answer.tool_calls or answer.content:
                yield answer
            for call in answer.tool_calls:
                call_id = str(call["id"])
                used.add(call_id)
                yield results.get(call_id) or ToolMessage(CUT_OFF, tool_call_id=call_id, status="error")


def _as_recorded(message: AIMessage, used: set[str]) -> AIMessage:
    """An answer with nothing in it but its words and its calls, all with arguments that are an object."""
    calls = [ToolCall(name=call["name"], args=call["args"], id=call["id"]) for call in message.tool_calls]
    for broken in message.invalid_tool_calls:
        args = {"unreadable": str(broken["args"])[:_MAX_UNREADABLE_CHARS]}
        calls.append(ToolCall(name=broken["name"] or "", args=args, id=broken["id"]))
    once: dict[str, ToolCall] = {}
    for call in calls:
        if str(call["id"]) not in used:
            once.setdefault(str(call["id"]), call)
    text = clean_text(without_thoughts(str(message.text)))
    return AIMessage(
        content=text if text.strip() or once else "",
        name=message.name,
        id=message.id,
        tool_calls=list(once.values()),
        additional_kwargs={"reasoning_items": items} if (items := encrypted_reasoning(message)) else {},
    )


def _in_strict_order(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Messages that alternate between customer and assistant; the customer is first, no assistant last."""
    ordered: list[AnyMessage] = []
    for message in messages:
        last = ordered[-1] if ordered else None
        if isinstance(last, HumanMessage) and isinstance(message, HumanMessage):
            ordered[-1] = HumanMessage(f"{last.text}\n\n{message.text}")
        elif isinstance(last, AIMessage) and isinstance(message, AIMessage):
            # Only an answer without a call is last here: a call is followed by its result.
            text = f"{last.content}\n\n{message.content}" if message.content else last.content
            ordered[-1] = message.model_copy(update={"content": text})
        elif last is None and not isinstance(message, HumanMessage):
            ordered += [HumanMessage(_GO_ON), message]
        else:
            ordered.append(message)
    if not ordered or isinstance(ordered[-1], AIMessage):
        ordered.append(HumanMessage(_GO_ON))
    return ordered


def _as_accepted(message: AnyMessage, ids: "_Ids", profile: ProviderProfile) -> BaseMessage:
    """A message with ids, names and content that the provider accepts."""
    if isinstance(message, ToolMessage):
        text = clean_text(str(message.text))
        return message.model_copy(
            update={
                "content": text if text.strip() else _NO_TEXT,
                "tool_call_id": ids.of(message.tool_call_id),
                "name": _tool_name(message.name or ""),
            }
        )
    if not isinstance(message, AIMessage):
        text = clean_text(str(message.text))
        return message.model_copy(update={"content": text if text.strip() else _NO_TEXT})
    calls = [
        ToolCall(name=_tool_name(call["name"]), args=_object(call["args"]), id=ids.of(str(call["id"])))
        for call in message.tool_calls
    ]
    kwargs = dict(message.additional_kwargs)
    items = kwargs.pop("reasoning_items", []) if profile.uses_responses else []
    content: Any = message.content
    if profile.refuses_blank_text and not str(content).strip():
        content = ""
    if items:
        content = [*items, *([{"type": "text", "text": message.content}] if message.content else [])]
    return AIMessage(
        content=content,
        name=message.name if profile.names_agents else None,
        id=message.id,
        tool_calls=calls,
    )


def _object(args: Any) -> dict[str, Any]:
    cleaned = clean_json(args)
    return cleaned if isinstance(cleaned, dict) else {}


def _tool_name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:MAX_LENGTH] or _UNNAMED


class _Ids:
    """The ids of one request's tool calls: as recorded where the provider takes them, else short ones."""

    def __init__(self, profile: ProviderProfile) -> None:
        self._profile = profile
        self._by_recorded: dict[str, str] = {}
        self._used: set[str] = set()

    def of(self, recorded: str) -> str:
        """The same for a call and its result."""
        if recorded not in self._by_recorded:
            accepted = recorded
            attempt = 0
            while not accepts_id(self._profile, accepted) or accepted in self._used:
                accepted = _short_id(f"{recorded}{attempt or ''}")
                attempt += 1
            self._by_recorded[recorded] = accepted
            self._used.add(accepted)
        return self._by_recorded[recorded]


def _short_id(seed: str) -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()[:8])
    digits = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)
