"""Assembles one answer of a chat model from its chunks, within fixed limits.

LangChain parses the arguments of a tool call again with every chunk, also where they are not JSON yet, and
its parser takes quadratic time then. Here the pieces are kept as text and parsed once, at the end.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import httpx2
import langchain_core.messages.ai as langchain_ai
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, InvalidToolCall, ToolCall
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.messages.base import merge_content
from langchain_core.utils._merge import merge_dicts
from langchain_core.utils.json import parse_partial_json

from smart_support.gate.planned_call import MAX_ARGUMENT_BYTES
from smart_support.text import clean_json, clean_text

# Text and arguments together. The longest answers of today's models have about half of that.
MAX_ANSWER_CHARS = 200_000
MAX_CHUNKS = 20_000
MAX_CALLS = 32
# LangChain joins all chunks of an answer when it ends, without a pause; these take it 0.1 s.
MAX_CALL_CHUNKS = 4_000
MAX_PARTIAL_CHARS = 200
MAX_EVENT_BYTES = 1_000_000
# Of a call that was cut: enough to see what it was about. It is in every later request and checkpoint.
KEPT_OF_CUT_CALL = 2_000
_MAX_TOKENS = 2**53
_NOT_AN_OBJECT = "not a JSON object"
_TOO_LONG = f"more than {MAX_ARGUMENT_BYTES:,} bytes of arguments"
_CUT = "the answer was cut off before its end"


class AnswerTooLong(Exception):
    """A model's answer is longer than what is read of one."""


class StreamedAnswer:
    """Collects the chunks of one answer.

    Attributes:
        began: there was a chunk.
        call_chunks: how many chunks of calls there were.
        is_cut: a call's arguments are too long, or come in too many chunks, so the rest must not be read.
    """

    def __init__(self) -> None:
        self.began = False
        self.is_cut = False
        self._parts: list[BaseMessage] = []
        self._calls: list[_Call] = []
        self._chars = 0
        self.call_chunks = 0

    def add(self, part: BaseMessage) -> None:
        """Take the next chunk in.

        Raises:
            AnswerTooLong: the answer is over the limits.
        """
        self.began = True
        self._parts.append(part)
        self._chars += len(part.content) if isinstance(part.content, str) else len(str(part.content))
        for piece in part.tool_call_chunks if isinstance(part, AIMessageChunk) else ():
            self.call_chunks += 1
            self._chars += len(piece["args"] or "")
            self._call_of(piece).add(piece)
        too_many = self.call_chunks > MAX_CALL_CHUNKS
        self.is_cut = self.is_cut or too_many or any(call.is_too_long for call in self._calls)
        over = self._chars > MAX_ANSWER_CHARS or len(self._parts) > MAX_CHUNKS or len(self._calls) > MAX_CALLS
        if over and not self.is_cut:
            raise AnswerTooLong(f"more than is read of one answer: {self._chars:,} characters so far")

    def message(self) -> AIMessage:
        """The answer, with clean text and only those calls whose arguments are complete JSON.

        LangChain would complete partial JSON. An answer that was cut off has no calls.
        """
        first, *others = self._parts
        if isinstance(first, AIMessageChunk):
            calls, broken = self._whole_calls()
            content: Any = merge_content(first.content, *(part.content for part in others))
        else:
            calls, broken = _given_calls(first)
            content = first.content
        metadata: list[dict[str, Any]] = [
            part.response_metadata for part in self._parts if part.response_metadata
        ]
        return AIMessage(
            content=clean_text(content) if isinstance(content, str) else clean_json(content),
            id=self._id(),
            tool_calls=calls,
            invalid_tool_calls=broken,
            usage_metadata=self._usage(),
            response_metadata=clean_json(merge_dicts({}, *metadata)),
        )

    def _call_of(self, piece: Mapping[str, Any]) -> "_Call":
        """The call that a piece goes on with, or a new one; by LangChain's own rule."""
        index, id_ = piece["index"], piece["id"]
        if index is not None:
            for call in self._calls:
                if call.index == index and (not id_ or not call.id or call.id == id_):
                    return call
        self._calls.append(_Call(index))
        return self._calls[-1]

    def _whole_calls(self) -> tuple[list[ToolCall], list[InvalidToolCall]]:
        calls, broken = [], []
        for call in self._calls:
            args = None if self.is_cut else json_object(call.args or "{}")
            name, id_ = clean_text(call.name), clean_text(call.id) or None
            if args is not None:
                calls.append(ToolCall(name=name, args=clean_json(args), id=id_, type="tool_call"))
                continue
            why = (_TOO_LONG if call.is_too_long else _CUT) if self.is_cut else _NOT_AN_OBJECT
            text = clean_text(call.args)[: KEPT_OF_CUT_CALL if self.is_cut else None]
            broken.append(InvalidToolCall(name=name, args=text, id=id_, error=why, type="invalid_tool_call"))
        return calls, broken

    def _id(self) -> str | None:
        """The provider's id where there is one, else LangChain's."""
        ids = [part.id for part in self._parts if part.id]
        id_ = next((one for one in ids if not one.startswith("lc_")), next(iter(ids), None))
        return clean_text(id_) if id_ else None

    def _usage(self) -> UsageMetadata | None:
        usage: UsageMetadata | None = None
        for part in self._parts:
            if isinstance(part, AIMessage) and part.usage_metadata:
                usage = add_usage(usage, part.usage_metadata)
        if usage is None and self.is_cut:
            # The provider reports usage at the end, which was not read: estimate four characters a token.
            spent = self._chars // 4 + 1
            usage = UsageMetadata(input_tokens=0, output_tokens=spent, total_tokens=spent)
        if usage is None:
            return None
        into, out = _tokens(usage["input_tokens"]), _tokens(usage["output_tokens"])
        return UsageMetadata(input_tokens=into, output_tokens=out, total_tokens=into + out)


class _Call:
    """A tool call that is still incomplete."""

    def __init__(self, index: int | str | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self._pieces: list[str] = []
        self._chars = 0

    def add(self, piece: Mapping[str, Any]) -> None:
        self.id = self.id or piece["id"] or ""
        self.name += piece["name"] or ""
        if (text := piece["args"]) and not self.is_too_long:
            self._chars += len(text)
            self._pieces.append(text[: MAX_ARGUMENT_BYTES + 1])

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
        async for data in self._stream:
            line_end = data.rfind(b"\n")
            event = event + len(data) if line_end < 0 else len(data) - line_end - 1
            if event > MAX_EVENT_BYTES:
                raise AnswerTooLong(f"{event:,} bytes in one event")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()
