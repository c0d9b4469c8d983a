"""The embedded chat model: rules, no language model, no network. Deterministic: same messages, same answer.

It drives whatever tools are bound to it, by their names, descriptions and schemas (`demo_tools.py`). Here is
its LangChain face and the choice of what to do next; words are found and put elsewhere in `demo_*.py`.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import orjson
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from smart_support.demo.model import language, replies
from smart_support.demo.model.routing import route
from smart_support.demo.model.tone import Manner, manner_of
from smart_support.demo.model.tool_choice import Known, Vocabulary, calls, wishes

MODEL_NAME = "demo"
NO_MORE = frozenset({"rejected", "expired", "skipped"})
_REQUEST = re.compile(r"^Your part of the request: (.*)\Z", re.M | re.S)
_TONE = re.compile(r"^Tone: (.*)$", re.M)
_GREETING = re.compile(r"^Greeting: (.*)$", re.M)
DEFAULT_GREETING = "Hello! How can I help?"


class DemoChatModel(BaseChatModel):
    """A rule-based stand-in for a language model, so that everything can be tried without a key.

    Token counts in its usage are an estimate: 4 characters a token.
    """

    @property
    def _llm_type(self) -> str:
        return "smart-support-demo"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """Keep the tools, in OpenAI's format, for the next call."""
        return self.bind(tools=list(tools))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = answer(messages, kwargs.get("tools") or [])
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(answer(messages, kwargs.get("tools") or [])):
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(answer(messages, kwargs.get("tools") or [])):
            yield ChatGenerationChunk(message=chunk)


def answer(messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]]) -> AIMessage:
    """What the rules say next, given the conversation and the tools that are bound."""
    messages = [_within_limits(message) for message in messages]
    known = [Known.of(tool) for tool in tools]
    if [tool.name for tool in known] == ["route"]:
        manner = manner_of(_found(_TONE, _system(messages)))
        return _message(messages, "", ("route", route(messages, tools[0], manner)))
    return _message(messages, *_speak_or_act(messages, known))


def _within_limits(message: BaseMessage) -> BaseMessage:
    """The message with no word or gap so long that a rule could take quadratic time over it."""
    if isinstance(message, ToolMessage):
        return message
    text = str(message.text)
    short = language.shortened(text)
    return message if short == text else message.model_copy(update={"content": short})


def _message(
    messages: Sequence[BaseMessage], said: str, call: tuple[str, dict[str, Any]] | None
) -> AIMessage:
    message = AIMessage(said, response_metadata={"model_name": MODEL_NAME})
    if call:
        message.tool_calls = [
            {"name": call[0], "args": call[1], "id": _call_id(messages, call), "type": "tool_call"}
        ]
    message.usage_metadata = _usage(messages, said or str(call))
    return message


def _speak_or_act(
    messages: Sequence[BaseMessage], tools: Sequence[Known]
) -> tuple[str, tuple[str, dict[str, Any]] | None]:
    """An agent's next step: the next call its part of the request asks for, or what came of them."""
    system = _system(messages)
    manner = manner_of(_found(_TONE, system))
    history = [message for message in messages if not isinstance(message, SystemMessage)]
    request = _request(system, history)
    made, results = _so_far(history)
    if any(_status(result) in NO_MORE for result in results):
        return replies.of_results(results, manner), None
    planned, missing = _plan(request, tools, history, manner)
    if len(made) < len(planned):
        return "", planned[len(made)]
    said = replies.of_results(results, manner)
    if missing:
        return f"{said} {missing}".strip(), None
    greeting = _found(_GREETING, system) or DEFAULT_GREETING
    return said or replies.small_talk(request, greeting, manner), None


def _system(messages: Sequence[BaseMessage]) -> str:
    return "\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage))


def _plan(
    request: str, tools: Sequence[Known], history: Sequence[BaseMessage], manner: Manner
) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    """All calls that a request asks for, in order, and a question where something is missing."""
    vocabulary = Vocabulary(tools)
    planned: list[tuple[str, dict[str, Any]]] = []
    before = _before_this_turn(history)
    for wish in wishes(request, vocabulary):
        tool, _ = vocabulary.best(wish, ids=True)
        if tool is None:
            continue
        arguments, missing = calls(tool, wish, [*before, HumanMessage(request)])
        if missing:
            return planned, replies.question(missing, tool.words, tool.properties[missing], manner)
        planned += [(tool.name, args) for args in arguments if (tool.name, args) not in planned]
    return planned, None


def _so_far(history: Sequence[BaseMessage]) -> tuple[list[dict[str, Any]], list[ToolMessage]]:
    """The calls made for this request and their results: all since the customer or an agent last spoke."""
    made: list[dict[str, Any]] = []
    results: list[ToolMessage] = []
    for message in reversed(history):
        if isinstance(message, HumanMessage) or (isinstance(message, AIMessage) and not _is_call(message)):
            break
        if isinstance(message, AIMessage):
            made += [dict(call) for call in (*message.tool_calls, *message.invalid_tool_calls)]
        elif isinstance(message, ToolMessage):
            results.append(message)
    return made, results[::-1]


def _is_call(message: AIMessage) -> bool:
    return bool(message.tool_calls or message.invalid_tool_calls)


def _before_this_turn(history: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """The conversation up to the customer's last message, so that a plan stays the same while it runs."""
    last = max(
        (place for place, message in enumerate(history) if isinstance(message, HumanMessage)), default=0
    )
    return history[: last + 1]


def _request(system: str, history: Sequence[BaseMessage]) -> str:
    told = _found(_REQUEST, system)
    return told or next((str(m.text) for m in reversed(history) if isinstance(m, HumanMessage)), "")


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1).strip() if match else ""


def _status(result: ToolMessage) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    return str(artifact.get("status") or "")


def _call_id(messages: Sequence[BaseMessage], call: tuple[str, dict[str, Any]]) -> str:
    """An id of its own for each call of a conversation, the same whenever it is thought up again."""
    seed = orjson.dumps([len(messages), [str(message.id) for message in messages[-3:]], call], default=str)
    return f"call_{hashlib.sha256(seed).hexdigest()[:24]}"


def _usage(messages: Sequence[BaseMessage], said: str) -> UsageMetadata:
    heard = sum(len(str(message.text)) for message in messages) // 4 + 1
    spoken = len(said) // 4 + 1
    return UsageMetadata(input_tokens=heard, output_tokens=spoken, total_tokens=heard + spoken)


def _chunks(message: AIMessage) -> Iterator[AIMessageChunk]:
    for word in re.findall(r"\s*\S+\s*\Z|\s*\S+", str(message.content)):
        yield AIMessageChunk(content=word)
    parts: list[Any] = [
        {
            "type": "tool_call_chunk",
            "name": call["name"],
            "args": orjson.dumps(call["args"]).decode(),
            "id": call["id"],
            "index": place,
        }
        for place, call in enumerate(message.tool_calls)
    ]
    yield AIMessageChunk(
        content="",
        tool_call_chunks=parts,
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
        chunk_position="last",
    )
