"""Assembles one answer of a chat model from its chunks, within fixed limits.

LangChain parses the arguments of a tool call again with every chunk, also where they are not JSON yet, and
its parser takes quadratic time then. Here the pieces are kept as text and parsed once, at the end.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import langchain_core.messages.ai as langchain_ai
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, InvalidToolCall, ToolCall
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.messages.base import merge_content
from langchain_core.utils.json import parse_partial_json

from smart_support.agents.context_window import tokens_of_text
from smart_support.agents.reasoning import MAX_THOUGHT_CHARS, REASONING_ITEMS, encrypted_items, parts_of
from smart_support.agents.thoughts import ThoughtSplitter
from smart_support.gate.planned_call import MAX_ARGUMENT_BYTES
from smart_support.text import clean_json, clean_text

# Text, thoughts and arguments together. The longest answers of today's models have about half of that.
MAX_ANSWER_CHARS = 200_000
MAX_CHUNKS = 20_000
MAX_CALLS = 32
# LangChain joins all chunks of an answer when it ends, without a pause; these take it 0.1 s.
MAX_CALL_CHUNKS = 4_000
MAX_PARTIAL_CHARS = 200
MAX_EVENT_BYTES = 1_000_000
# Of a call that was cut: enough to see what it was about. It is in every later request and checkpoint.
KEPT_OF_CUT_CALL = 2_000
# Names in the metadata of an answer.
USAGE_IS_PARTIAL = "usage_is_partial"
INCOMPLETE = "incomplete"
_MAX_TOKENS = 2**53
_NOT_AN_OBJECT = "not a JSON object"
_TOO_LONG = f"more than {MAX_ARGUMENT_BYTES:,} bytes of arguments"
_CUT = "the answer was cut off before its end"
# Why an answer ended, by the words of OpenAI, Anthropic, Google, Mistral, Ollama and the Responses API.
_REASONS = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "refusal": "refusal",
}
_REASON_FIELDS = "finish_reason", "stop_reason", "done_reason", "status"
_DONE_BYTES = len(b"\ndata: [DONE]")
_DONE = re.compile(rb"[\r\n]data: ?\[DONE\]")


class AnswerTooLong(Exception):
    """A model's answer is longer than what is read of one."""


@dataclass(slots=True)
class StreamFacts:
    """What a stream says beside its chunks, as LangChain passes them on.

    Attributes:
        is_done: the server sent `data: [DONE]`: some end a stream by it alone, without a reason.
        model: what the server calls the model.
    """

    is_done: bool = False
    model: str | None = None


# Those of the request which this task makes.
STREAM_FACTS: ContextVar[StreamFacts | None] = ContextVar("stream_facts", default=None)


class StreamedAnswer:
    """Collects the chunks of one answer.

    Attributes:
        began: there was a chunk.
        call_chunks: how many chunks of calls there were.
        is_cut: a call's arguments are too long, or come in too many chunks, so the rest must not be read.
        opened_in_thought: the answer began inside a thought, without the opening tag.
        has_call_in_text: the server left a tool call in the text.
    """

    def __init__(self, *, opens_in_thought: bool | None = False) -> None:
        """
        Args:
            opens_in_thought: whether the answer begins inside a thought, without the opening tag. Where it
                does, or may do (None), the text is held back until that is clear.
        """
        self.began = False
        self.is_cut = False
        self._parts: list[BaseMessage] = []
        self._calls: list[_Call] = []
        self._opens_in_thought = opens_in_thought
        self._splitter = ThoughtSplitter(may_be_open=opens_in_thought is not False)
        self._said: list[str] = []
        self._thoughts: list[str] = []
        self._refusal: list[str] = []
        self._has_ended = False
        self._chars = 0
        self.call_chunks = 0

    @property
    def opened_in_thought(self) -> bool:
        return self._splitter.closed_unopened

    @property
    def has_call_in_text(self) -> bool:
        return self._splitter.has_call

    def release(self) -> None:
        """Hold no text back: the answer does not begin inside a thought."""
        self._said += self._splitter.release()

    def add(self, part: BaseMessage) -> list[str]:
        """Take the next chunk in; return the pieces of text that can be shown now.

        Raises:
            AnswerTooLong: the answer is over the limits.
        """
        self.began = True
        self._parts.append(part)
        parts = parts_of(part)
        # A server that sends thoughts beside the text leaves none in it.
        said = self._splitter.release() if parts.thought else []
        said += self._splitter.add(parts.said)
        self._said += said
        self._thoughts.append(parts.thought)
        self._refusal.append(parts.refusal)
        self._chars += len(parts.said) + len(parts.thought) + len(parts.refusal)
        for piece in part.tool_call_chunks if isinstance(part, AIMessageChunk) else ():
            self.call_chunks += 1
            self._chars += len(piece["args"] or "")
            self._call_of(piece).add(piece)
        too_many = self.call_chunks > MAX_CALL_CHUNKS
        self.is_cut = self.is_cut or too_many or any(call.is_too_long for call in self._calls)
        over = self._chars > MAX_ANSWER_CHARS or len(self._parts) > MAX_CHUNKS or len(self._calls) > MAX_CALLS
        if over and not self.is_cut:
            raise AnswerTooLong(f"more than is read of one answer: {self._chars:,} characters so far")
        return said

    def end(self) -> list[str]:
        """End the answer; return what is still to be shown: a refusal, where nothing else was said."""
        if self._has_ended:
            return []
        self._has_ended = True
        if self._opens_in_thought and self._incomplete() == "length":
            self._splitter.drop_held()
        rest = self._splitter.end()
        if not "".join([*self._said, *rest]).strip():
            rest += self._refusal
        self._said += rest
        return rest

    def message(self) -> AIMessage:
        """The answer, with clean text and only those calls whose arguments are complete JSON.

        LangChain would complete partial JSON. An answer that was cut off has no calls.
        """
        self.end()
        metadata = self._metadata()
        if isinstance(self._parts[0], AIMessageChunk):
            calls, broken = self._whole_calls(metadata.get(INCOMPLETE))
        else:
            calls, broken = _given_calls(self._parts[0])
        return AIMessage(
            content=clean_text("".join(self._said)),
            id=self._id(),
            tool_calls=calls,
            invalid_tool_calls=broken,
            usage_metadata=self._usage(metadata),
            response_metadata=metadata,
            additional_kwargs=self._beside(),
        )

    def _beside(self) -> dict[str, Any]:
        """What is kept beside the words: thoughts for the record, encrypted reasoning for the provider."""
        thoughts = "".join([*self._thoughts, self._splitter.unsaid]).strip()
        beside: dict[str, Any] = {}
        if thoughts:
            beside["reasoning"] = clean_text(thoughts[:MAX_THOUGHT_CHARS])
        blocks = [part.content for part in self._parts if isinstance(part.content, list)]
        if blocks and (items := encrypted_items(merge_content(blocks[0], *blocks[1:]))):
            beside[REASONING_ITEMS] = clean_json(items)
        return beside

    def _metadata(self) -> dict[str, Any]:
        """The metadata of all chunks. Where two differ the first counts, as some servers repeat theirs."""
        metadata: dict[str, Any] = {}
        for part in self._parts:
            metadata = part.response_metadata | metadata
        metadata.pop("logprobs", None)
        metadata.pop(USAGE_IS_PARTIAL, None)
        reason = self._incomplete()
        if reason is None and "".join(self._refusal).strip():
            reason = "refusal"
        if reason is None and metadata.get("status") == "incomplete":
            reason = "length"
        if reason:
            metadata[INCOMPLETE] = reason
        return cast(dict[str, Any], clean_json(metadata))

    def _incomplete(self) -> str | None:
        """Why the answer is not whole, as far as a chunk says so: the first reason counts."""
        for part in self._parts:
            details = part.response_metadata.get("incomplete_details")
            reported = [part.response_metadata.get(field) for field in _REASON_FIELDS]
            reported.append(details.get("reason") if isinstance(details, dict) else None)
            for reason in reported:
                if known := _REASONS.get(str(reason).lower()):
                    return known
        return None

    def _call_of(self, piece: Mapping[str, Any]) -> "_Call":
        """The call that a piece goes on with, or a new one."""
        index, id_ = piece["index"], piece["id"]
        same = [call for call in self._calls if call.index == index]
        for call in reversed(same):
            if id_ and call.id == id_:
                return call
        candidates = self._calls if index is None else same
        if candidates and candidates[-1].goes_on_with(piece):
            return candidates[-1]
        self._calls.append(_Call(index))
        return self._calls[-1]

    def _whole_calls(self, incomplete: str | None) -> tuple[list[ToolCall], list[InvalidToolCall]]:
        calls, broken = [], []
        for call in self._calls:
            name, id_ = clean_text(call.name), clean_text(call.id) or None
            # Where the answer's tokens ran out, a call without arguments may have been about to get some.
            is_cut = self.is_cut or (incomplete == "length" and not call.args.strip())
            args = None if is_cut else _arguments(call.args)
            if args is not None:
                calls.append(ToolCall(name=name, args=clean_json(args), id=id_, type="tool_call"))
                continue
            why = (_TOO_LONG if call.is_too_long else _CUT) if is_cut else _NOT_AN_OBJECT
            text = clean_text(call.args)[: KEPT_OF_CUT_CALL if self.is_cut else None]
            broken.append(InvalidToolCall(name=name, args=text, id=id_, error=why, type="invalid_tool_call"))
        return calls, broken

    def _id(self) -> str | None:
        """The provider's id where there is one, else LangChain's."""
        ids = [part.id for part in self._parts if part.id]
        id_ = next((one for one in ids if not one.startswith("lc_")), next(iter(ids), None))
        return clean_text(id_) if id_ else None

    def _usage(self, metadata: dict[str, Any]) -> UsageMetadata | None:
        """The tokens, as the provider counts them; `metadata` gets a note where they are not all known.

        OpenAI-compatible servers may tell the usage so far in every chunk; then the last is that of the
        answer. The clients of other providers give parts that add up.
        """
        reported = [part for part in self._parts if isinstance(part, AIMessage) and part.usage_metadata]
        if reported and metadata.get("model_provider") == "openai":
            reported = reported[-1:]
        usage: UsageMetadata | None = None
        for part in reported:
            usage = add_usage(usage, part.usage_metadata)
            if part.response_metadata.get(USAGE_IS_PARTIAL):
                metadata[USAGE_IS_PARTIAL] = True
        if usage is None and self.is_cut:
            # The provider reports usage at the end, which was not read.
            metadata[USAGE_IS_PARTIAL] = True
            spent = self.estimated_tokens()
            usage = UsageMetadata(input_tokens=0, output_tokens=spent, total_tokens=spent)
        if usage is None:
            return None
        into, out = _tokens(usage["input_tokens"]), _tokens(usage["output_tokens"])
        if not into:
            # No request is empty: some clients and gateways leave its count out.
            metadata[USAGE_IS_PARTIAL] = True
        return UsageMetadata(input_tokens=into, output_tokens=out, total_tokens=into + out)

    def estimated_tokens(self) -> int:
        """About how many tokens the answer has so far."""
        texts = [*self._said, *self._thoughts, self._splitter.unsaid, *(call.args for call in self._calls)]
        return tokens_of_text("".join(texts)) + 1


class _Call:
    """A tool call that is still incomplete."""

    def __init__(self, index: int | str | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self._pieces: list[str] = []
        self._chars = 0

    def goes_on_with(self, piece: Mapping[str, Any]) -> bool:
        """Whether a piece is more of this call, which is the last one with the piece's index.

        Servers repeat a name, give each piece an id of its own, or give each call the index 0.
        """
        id_, name, args = piece["id"], piece["name"], piece["args"] or ""
        if piece["index"] is None:
            return not (id_ or name)
        if id_ and self.id and id_ != self.id:
            return not name
        is_next_call = bool(name) and args.lstrip().startswith("{") and json_object(self.args) is not None
        has_other_name = bool(name and self.name and self._pieces) and name != self.name
        return not (is_next_call or has_other_name)

    def add(self, piece: Mapping[str, Any]) -> None:
        self.id = self.id or piece["id"] or ""
        self._add_name(piece["name"] or "")
        if (text := piece["args"]) and not self.is_too_long:
            self._chars += len(text)
            self._pieces.append(text[: MAX_ARGUMENT_BYTES + 1])

    def _add_name(self, name: str) -> None:
        """A name may come in pieces, and it may be repeated with each piece of the arguments."""
        if name.startswith(self.name):
            self.name = name or self.name
        elif name:
            self.name += name

    @property
    def is_too_long(self) -> bool:
        return self._chars > MAX_ARGUMENT_BYTES or len(self.name) > MAX_ARGUMENT_BYTES

    @property
    def args(self) -> str:
        return "".join(self._pieces)[: MAX_ARGUMENT_BYTES + 1]


def _tokens(count: Any) -> int:
    """A provider's count, as far as it can be one."""
    return min(max(int(count or 0), 0), _MAX_TOKENS)


def _given_calls(message: BaseMessage) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """The calls of a message that came whole."""
    if not isinstance(message, AIMessage):
        return [], []
    calls = [
        ToolCall(
            name=clean_text(call["name"]),
            args=clean_json(call["args"]),
            id=clean_text(call["id"] or "") or None,
            type="tool_call",
        )
        for call in message.tool_calls
    ]
    broken = [cast(InvalidToolCall, clean_json(call)) for call in message.invalid_tool_calls]
    return calls, broken


def _arguments(text: str) -> dict[str, Any] | None:
    """The arguments of a finished call; None where they are no object. Nothing and `null` stand for none."""
    return {} if text.strip() in ("", "null") else json_object(text)


def json_object(text: str) -> dict[str, Any] | None:
    """The object that a text is as JSON; None where it is none."""
    try:
        # Control characters in strings are common and unmistakable; `NaN` is neither JSON nor a value.
        value = json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def parse_within_limit(text: str, *, strict: bool = False) -> Any:
    """As LangChain's `parse_partial_json`, which takes quadratic time where a text is not JSON.

    A long text that is not JSON is not completed: the call then counts as invalid.

    Raises:
        JSONDecodeError: it is no JSON, and longer than `MAX_PARTIAL_CHARS`.
    """
    if len(text) <= MAX_PARTIAL_CHARS:
        return parse_partial_json(text, strict=strict)
    return json.loads(text, strict=strict)


def limit_partial_json() -> None:
    """Have every chunk of every model in this process parsed within the limit.

    LangChain parses the arguments when a chunk is made, and when chunks are joined at the end of a stream. It
    has no setting for that. It concerns models and graphs that are brought along, too.
    """
    vars(langchain_ai)["parse_partial_json"] = parse_within_limit


def limit_events(response: httpx2.Response) -> None:
    """Have no more read of one event of a response's stream than an event may have.

    Raises:
        AnswerTooLong: an event is longer, while the response is read.
    """
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _LimitedEvents(response.stream)


class _LimitedEvents(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        event = 0
        tail = b"\n"
        facts = STREAM_FACTS.get()
        async for data in self._stream:
            if facts and not facts.is_done:
                facts.is_done = _DONE.search(tail + data) is not None
                tail = (tail + data)[-_DONE_BYTES:]
            line_end = data.rfind(b"\n")
            event = event + len(data) if line_end < 0 else len(data) - line_end - 1
            if event > MAX_EVENT_BYTES:
                raise AnswerTooLong(f"{event:,} bytes in one event")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()
