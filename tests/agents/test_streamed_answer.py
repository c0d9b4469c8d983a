"""A model's answer is read within limits, in linear time, and only calls that came whole pass."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import langchain_core.messages.ai as langchain_ai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json

from smart_support.agents import model_client, streamed_answer
from smart_support.agents.budget import Budget
from smart_support.agents.model_client import Models
from smart_support.agents.models import NamedModel
from smart_support.agents.streamed_answer import (
    MAX_ANSWER_CHARS,
    MAX_CALL_CHUNKS,
    MAX_CALLS,
    MAX_EVENT_BYTES,
    MAX_PARTIAL_CHARS,
    AnswerTooLong,
    StreamedAnswer,
    limit_events,
    limit_partial_json,
    parse_within_limit,
)
from smart_support.errors import ModelFailed
from smart_support.gate.planned_call import MAX_ARGUMENT_BYTES
from smart_support.settings import Settings
from tests.support.cpu_cost import cost
from tests.support.harness import ScriptedModel
from tests.support.stores import state_of


@pytest.fixture(autouse=True)
def _limited() -> None:
    limit_partial_json()


def _piece(args: str | None, index: int | None = 0, id_: str | None = None, name: str | None = None) -> Any:
    piece = {"name": name, "args": args, "id": id_, "index": index, "type": "tool_call_chunk"}
    return AIMessageChunk("", tool_call_chunks=[piece])


def _answer(*parts: AIMessageChunk) -> StreamedAnswer:
    answer = StreamedAnswer()
    for part in parts:
        answer.add(part)
        if answer.is_cut:
            break
    return answer


OBJECTS = ("", '{"a": 1}', '{"b": 2}')
texts = st.builds(
    AIMessageChunk, st.sampled_from(["", "Hello", " there"]), id=st.sampled_from([None, "lc_1", "p"])
)


@st.composite
def _streams(draw: st.DrawFn) -> list[AIMessageChunk]:
    """Chunks as OpenAI sends them: id and name come first, and each call has an index of its own."""
    chunks = draw(st.lists(texts, min_size=1, max_size=4))
    for index in range(draw(st.integers(0, 3))):
        args = draw(st.lists(st.sampled_from(["", '{"a', '": 1', "}", '{"b": 2}', "x"]), max_size=4))
        chunks.append(_piece(None, index, f"id{index}", draw(st.sampled_from(["a", "b", "c"]))))
        chunks += [_piece(piece, index) for piece in args]
    return chunks


@given(_streams())
def test_it_puts_together_what_langchain_does(parts: list[AIMessageChunk]) -> None:
    whole = parts[0] + parts[1:] if parts[1:] else parts[0]
    ours = _answer(*parts).message()
    assert (ours.content, ours.id) == (whole.content, whole.id)
    told = [(one["name"] or "", one["args"] or "") for one in whole.tool_call_chunks]
    objects = [(name, json.loads(args or "{}")) for name, args in told if args in OBJECTS]
    assert [(call["name"], call["args"]) for call in ours.tool_calls] == objects
    broken = [(name, args) for name, args in told if args not in OBJECTS]
    assert [(call["name"], call["args"]) for call in ours.invalid_tool_calls] == broken


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 400, 30_000, 1_000_000])
@pytest.mark.parametrize("junk", ["x", "- ", '{"a": 1} ', '"', "[", '{"a":'])
def test_arguments_that_are_no_json_take_no_time(size: int, junk: str) -> None:
    text = (junk * size)[:size]
    answer = StreamedAnswer()

    def read() -> None:
        while not answer.is_cut and answer.call_chunks < MAX_CALL_CHUNKS:
            answer.add(_piece(text, name="n" if not answer.began else None))

    # LangChain's own parser costs more than 400 for two pieces of 50,000.
    assert cost(read) < 100
    message = answer.message()
    assert message.tool_calls == []
    assert len(message.invalid_tool_calls[0]["args"] or "") <= MAX_ARGUMENT_BYTES + 1


@given(st.text('{}[]",:\\ \nabc123', max_size=MAX_PARTIAL_CHARS))
def test_what_is_short_is_completed_as_before(text: str) -> None:
    def outcome(parse: Any) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            return type(error), str(error)

    assert outcome(parse_within_limit) == outcome(parse_partial_json)


def test_langchain_uses_the_limit_in_every_chunk() -> None:
    assert langchain_ai.parse_partial_json is parse_within_limit
    assert _piece('{"a": "' + "x" * 100).tool_calls[0]["args"] == {"a": "x" * 100}
    assert _piece('{"a": "' + "x" * 100_000).invalid_tool_calls[0]["name"] is None
    assert _piece(json.dumps({"a": "x" * 100_000})).tool_calls[0]["args"] == {"a": "x" * 100_000}


def test_no_call_of_an_answer_that_was_cut_passes() -> None:
    answer = _answer(
        _piece('{"order_id": "1"}', 0, "a", "cancel_order"),
        _piece("x" * (MAX_ARGUMENT_BYTES + 1), 1, "b", "other"),
    )
    message = answer.message()
    assert answer.is_cut
    assert message.tool_calls == []
    assert [call["id"] for call in message.invalid_tool_calls] == ["a", "b"]
    assert message.usage_metadata
    assert message.usage_metadata["output_tokens"] > MAX_ARGUMENT_BYTES // 4


@pytest.mark.parametrize(
    "parts",
    [
        [AIMessageChunk("x" * 1000)] * (MAX_ANSWER_CHARS // 1000 + 1),
        [AIMessageChunk([{"type": "text", "text": "x" * 1000}])] * (MAX_ANSWER_CHARS // 1000 + 1),
        [AIMessageChunk("")] * (streamed_answer.MAX_CHUNKS + 1),
        [_piece("{}", number) for number in range(MAX_CALLS + 1)],
        [_piece("{}", None, name="n") for _ in range(MAX_CALLS + 1)],
    ],
)
def test_an_answer_over_the_limits_is_not_read(parts: list[AIMessageChunk]) -> None:
    with pytest.raises(AnswerTooLong):
        _answer(*parts)


def test_a_call_in_too_many_chunks_is_cut() -> None:
    answer = _answer(*[_piece(" ", 0)] * (MAX_CALL_CHUNKS + 1))
    assert answer.is_cut
    assert answer.message().tool_calls == []


def test_usage_is_what_can_be_counted() -> None:
    usage = {"input_tokens": -5, "output_tokens": 2**70, "total_tokens": 1}
    message = _answer(AIMessageChunk("a", usage_metadata=usage)).message()
    assert message.usage_metadata == {"input_tokens": 0, "output_tokens": 2**53, "total_tokens": 2**53}


class _Endless(ScriptedModel):
    """Says the same piece for ever."""

    piece: Any
    read: list[int]

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        while True:
            self.read.append(1)
            yield ChatGenerationChunk(message=self.piece.model_copy())


async def _asked(model: _Endless, tmp_path: Any) -> Any:
    state = state_of(tmp_path)

    async def escalate(*_: Any) -> bool:
        return False

    models = Models([NamedModel(model)], Budget(Settings(), state, escalate, ""), 32_000)
    try:
        return await models.ask("t", "prompt", [HumanMessage("hello")])
    finally:
        state.close()


async def test_an_endless_text_is_said_to_be_too_long(tmp_path: Any) -> None:
    model = _Endless(script=None, piece=AIMessageChunk("word " * 100), read=[])
    with pytest.raises(ModelFailed, match="too long"):
        await _asked(model, tmp_path)
    assert len(model.read) <= MAX_ANSWER_CHARS // 500 + 1


async def test_endless_arguments_are_read_to_the_limit_while_others_go_on(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_client, "SECONDS_BETWEEN_PAUSES", 0)
    model = _Endless(script=None, piece=_piece("x" * 400, 0, None), read=[])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    answer = await _asked(model, tmp_path)
    beside.cancel()
    assert len(model.read) == MAX_ARGUMENT_BYTES // 400 + 1
    assert turns >= len(model.read) - 1
    assert "bytes of arguments" in str(answer.invalid_tool_calls[0]["error"])


class _Bytes(httpx2.AsyncByteStream):
    def __init__(self, data: bytes, times: int) -> None:
        self._data, self._times = data, times

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._times):
            yield self._data


async def _read(data: bytes, times: int) -> int:
    response = httpx2.Response(200, stream=_Bytes(data, times))
    limit_events(response)
    return len(await response.aread())


async def test_an_event_is_read_to_its_limit() -> None:
    assert await _read(b"data: " + b"x" * 994 + b"\n", 1000) == 1_001_000
    with pytest.raises(AnswerTooLong):
        await _read(b"x" * 1000, MAX_EVENT_BYTES // 1000 + 1)
