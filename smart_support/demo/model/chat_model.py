"""The embedded chat model: deterministic rules instead of a language model, without network.

It calls any bound tools, by their names, descriptions and schemas (see `tool_choice`).
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

from smart_support.demo.model import intent, language, replies
from smart_support.demo.model.routing import route
from smart_support.demo.model.tone import Phrases, phrases_for
from smart_support.demo.model.tool_choice import (
    ToolDescription,
    Vocabulary,
    kind_of,
    plan_calls,
    split_requests,
)
from smart_support.tools.handoff import ESCALATE
from smart_support.tools.withdrawal import WITHDRAW

MODEL_NAME = "demo"
_STOPPING = frozenset({"rejected", "expired", "skipped"})
_REQUEST = re.compile(r"^Your part of the request: (.*)\Z", re.M | re.S)
# While a request waits, "oops, wrong card, cancel that" is about that request.
_STOPS = re.compile(
    r"^\W*(?:(?:oh|no|please|sorry|wait)\W+)*(?:stop|halt)\W*$|\b(?:oops|sorry|wait|"
    r"no)\b[^.?!]{0,20}\bwrong\b|"
    r"^\W*(?:no|stop|wait|nope)\b[^?]{0,40}\b(?:do not|don'?t)\b(?! (?:mind|know|worry|care|think|"
    r"understand|need))|"
    r"\bwas (?:a mistake|an error|wrong)\b|\bby mistake\b|\b(?:cancel|stop|halt|hold) (?:that|this)\b",
    re.I,
)
# Right after the request. Later it may answer "Is there anything else?".
_JUST_NO = re.compile(r"^\W*(?:(?:oh|no|please|sorry|wait)\W+)*(?:no|nope)\W*$", re.I)
_CANCEL_IT = re.compile(r"\bcancel (?:it|all that|everything)\b", re.I)
_TONE = re.compile(r"^Tone: (.*)$", re.M)
_GREETING = re.compile(r"^Greeting: (.*)$", re.M)
DEFAULT_GREETING = "Hello! How can I help?"


class DemoChatModel(BaseChatModel):
    """Replaces a language model by rules, so that everything can be tried without an API key.

    Token counts in its usage are an estimate: 4 characters a token.
    """

    @property
    def _llm_type(self) -> str:
        return "smart-support-demo"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """Bind tools in OpenAI's format."""
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
    """Return the next message of the conversation, given the bound tools."""
    messages = [_within_limits(message) for message in messages]
    known = [ToolDescription.from_function(tool) for tool in tools]
    if [tool.name for tool in known] == ["route"]:
        phrases = phrases_for(_first_group(_TONE, _system(messages)))
        return _message(messages, "", ("route", route(messages, tools[0], phrases)))
    return _message(messages, *_speak_or_act(messages, known))


def _within_limits(message: BaseMessage) -> BaseMessage:
    """Shorten long words and gaps, on which the rules would need quadratic time."""
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
    messages: Sequence[BaseMessage], tools: Sequence[ToolDescription]
) -> tuple[str, tuple[str, dict[str, Any]] | None]:
    """An agent's next step: the next call of its plan, or a message about the results."""
    system = _system(messages)
    phrases = phrases_for(_first_group(_TONE, system))
    history = [message for message in messages if not isinstance(message, SystemMessage)]
    request, said_last = _request(system, history), _last_words(history)
    made, results = _so_far(history)
    withdraw = next((tool for tool in tools if tool.name == WITHDRAW), None)
    if withdraw and not made and _takes_back(said_last, history):
        return "", (WITHDRAW, {})
    if any(_status(result) in _STOPPING for result in results):
        return replies.describe_results(results, phrases), None
    withdrawn = _withdrawn_tool(history)
    # "Cancel it" has withdrawn what waited, and requests nothing more.
    is_all = withdrawn and not intent.has_value(said_last)
    planned, missing = ([], None) if is_all else _plan(request, tools, history, phrases)
    if len(made) < len(planned):
        return "", planned[len(made)]
    said = replies.describe_results(results, phrases)
    if said and all(_status(result) == "ok" for result in results):
        said = replies.regret(said_last, phrases) + said
    if missing:
        return f"{said} {missing}".strip(), None
    greeting = _first_group(_GREETING, system) or DEFAULT_GREETING
    return said or replies.reply_without_tools(
        request,
        greeting,
        phrases,
        withdrawn=withdrawn,
        can_hand_over=any(tool.name == ESCALATE for tool in tools),
    ), None


def _takes_back(said: str, history: Sequence[BaseMessage]) -> bool:
    """Whether the last message withdraws the request that waits for a decision."""
    of_tool = language.terms(_pending_tool(history))
    is_next = len(history) > 1 and isinstance(history[-2], ToolMessage)
    actions = frozenset(of_tool[:1]) | (intent.ACTIONS & {*of_tool})
    reading = intent.read(said, actions)
    return (
        reading.takes_back
        or reading.corrects
        or bool(_STOPS.search(said))
        or (is_next and bool(_JUST_NO.search(said)))
        or ("cancel" not in of_tool and bool(_CANCEL_IT.search(said)))
        or any(actions & {*language.terms(words)} for words in reading.refused)
    )


def _pending_tool(history: Sequence[BaseMessage]) -> str:
    """The name of the tool whose call waits for a decision: the last that was called before this "
    "message."""
    for message in reversed(history):
        if isinstance(message, ToolMessage) and message.name != WITHDRAW:
            return message.name or ""
    return ""


def _withdrawn_tool(history: Sequence[BaseMessage]) -> str:
    """The tool whose call the customer has withdrawn with their last message."""
    before = _before_this_turn(history)[-2:-1]
    if before and isinstance(before[0], ToolMessage) and _is_withdrawn(before[0]):
        return before[0].name or ""
    return ""


def _is_withdrawn(result: ToolMessage) -> bool:
    return isinstance(result.artifact, Mapping) and bool(result.artifact.get("withdrawn"))


def _last_words(history: Sequence[BaseMessage]) -> str:
    return next((str(m.text) for m in reversed(history) if isinstance(m, HumanMessage)), "")


def _system(messages: Sequence[BaseMessage]) -> str:
    return "\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage))


def _plan(
    request: str, tools: Sequence[ToolDescription], history: Sequence[BaseMessage], phrases: Phrases
) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    """All calls that a request needs, in order, and a question if an argument is missing."""
    vocabulary = Vocabulary(tool for tool in tools if tool.name != WITHDRAW)
    planned: list[tuple[str, dict[str, Any]]] = []
    if replies.needs_no_tool(request):
        return planned, None
    before, about = _before_this_turn(history), None
    for part in split_requests(request, vocabulary):
        tool = vocabulary.choose(part, ids=True)
        if tool is None:
            about = about or vocabulary.questioned_tool(part)
            continue
        context = before if tool.is_read else _without_refused(before, vocabulary, tool)
        arguments, missing = plan_calls(tool, part.text, [*context, HumanMessage(request)])
        if missing:
            schema = tool.properties[missing]
            return planned, replies.ask_for(missing, kind_of(missing, schema), schema, phrases)
        planned += [(tool.name, args) for args in arguments if (tool.name, args) not in planned]
    if about and not planned:
        ids = [mention.value for mention in language.identifiers(request)]
        return planned, replies.how_to_request(about.words, ids, phrases)
    return planned, None


def _without_refused(
    history: Sequence[BaseMessage], vocabulary: Vocabulary, tool: ToolDescription
) -> Sequence[BaseMessage]:
    """The conversation without the ids for which the customer's last message says no to this tool.

    "Don't ship 1069, cancel it" names the order to cancel; "don't cancel 1042, but another one" does not.
    """
    if not history or not isinstance(history[-1], HumanMessage):
        return history
    text = str(history[-1].text)
    actions = vocabulary.actions | intent.ACTIONS
    does = {*language.terms(tool.name)} & actions
    for refused in intent.read(text, vocabulary.actions).refused:
        if does & {*language.terms(refused)}:
            text = text.replace(refused, " ")
    return [*history[:-1], HumanMessage(text)]


def _so_far(history: Sequence[BaseMessage]) -> tuple[list[dict[str, Any]], list[ToolMessage]]:
    """The calls of this request and their results: all since the last message of customer or agent."""
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
    """The conversation up to the customer's last message; a plan must not change while it runs."""
    last = max(
        (place for place, message in enumerate(history) if isinstance(message, HumanMessage)), default=0
    )
    return history[: last + 1]


def _request(system: str, history: Sequence[BaseMessage]) -> str:
    return _first_group(_REQUEST, system) or _last_words(history)


def _first_group(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1).strip() if match else ""


def _status(result: ToolMessage) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    return str(artifact.get("status") or "")


def _call_id(messages: Sequence[BaseMessage], call: tuple[str, dict[str, Any]]) -> str:
    """A unique id for a call of a conversation, the same each time it is computed."""
    seed = orjson.dumps([len(messages), [str(message.id) for message in messages[-3:]], call], default=str)
    return f"call_{hashlib.sha256(seed).hexdigest()[:24]}"


def _usage(messages: Sequence[BaseMessage], said: str) -> UsageMetadata:
    read = sum(len(str(message.text)) for message in messages) // 4 + 1
    written = len(said) // 4 + 1
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)


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
