"""The first answer of a model is shown word by word, unless it may begin inside a thought."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from smart_support.agents.budget import Budget
from smart_support.agents.model_client import Models
from smart_support.agents.models import NamedModel
from smart_support.agents.provider_profile import profile_of
from smart_support.agents.streamed_answer import STREAM_FACTS
from smart_support.errors import ModelFailed
from smart_support.settings import Settings
from tests.support.stores import state_of

END = {"finish_reason": "stop"}


class _Scripted(BaseChatModel):
    """Streams the next answer, and notes what was shown before each chunk."""

    answers: list[list[AIMessageChunk]]
    reported_name: str = ""
    shown: list[str] = []  # noqa: RUF012
    shown_before: list[str] = []  # noqa: RUF012

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        facts = STREAM_FACTS.get()
        assert facts
        facts.model = self.reported_name or None
        for chunk in self.answers.pop(0):
            self.shown_before.append("".join(self.shown))
            yield ChatGenerationChunk(message=chunk)


def _chunks(*texts: str, end: dict[str, str] = END) -> list[AIMessageChunk]:
    return [*(AIMessageChunk(text) for text in texts), AIMessageChunk("", response_metadata=end)]


async def _ask(models: Models, model: _Scripted, *, is_router: bool = False) -> str:
    model.shown, model.shown_before = [], []
    show = None if is_router else model.shown.append
    answer = await models.ask("t", "", [HumanMessage("Hi")], show=show, must_answer=not is_router)
    return str(answer.text)


@pytest.fixture
def models_of(tmp_path: Path) -> Any:
    state = state_of(tmp_path)

    async def escalate(*_: Any, **__: Any) -> bool:
        return False

    def make(model: _Scripted, name: str) -> Models:
        named = NamedModel(model, name, 5, profile_of("http://model.example/v1"))
        return Models([named], Budget(Settings(), state, escalate, ""), 32_000)

    yield make
    state.close()


HELLO = _chunks("Hello, ", "there.")
CALL = AIMessageChunk(
    "", tool_call_chunks=[{"name": "route", "args": "{}", "id": "a", "index": 0, "type": "tool_call_chunk"}]
)
THOUGHT = AIMessageChunk("", additional_kwargs={"reasoning_content": "Hm."})


@pytest.mark.parametrize(
    ("name", "reported", "answer"),
    [
        ("qwen2.5:7b", "", HELLO),
        ("local", "/models/Mistral-7B.gguf", HELLO),
        ("local", "", [THOUGHT, *HELLO]),
    ],
)
async def test_the_first_answer_streams(
    models_of: Any, name: str, reported: str, answer: list[AIMessageChunk]
) -> None:
    model = _Scripted(answers=[answer], reported_name=reported)
    assert await _ask(models_of(model, name), model) == "Hello, there."
    assert model.shown_before[-2:] == ["Hello, ", "Hello, there."]


@pytest.mark.parametrize("routing", [_chunks("The fallback."), [CALL, *_chunks()]])
async def test_the_answer_of_the_router_tells_whether_the_next_one_streams(
    models_of: Any, routing: list[AIMessageChunk]
) -> None:
    model = _Scripted(answers=[routing, HELLO])
    models = models_of(model, "local")
    await _ask(models, model, is_router=True)
    assert await _ask(models, model) == "Hello, there."
    assert model.shown_before[-1] == "Hello, there."


async def test_a_router_that_thinks_in_its_text_holds_the_next_answer_back(models_of: Any) -> None:
    model = _Scripted(
        answers=[[AIMessageChunk("Secret.</think>"), CALL, *_chunks()], _chunks("Sec", "ret.</think>Hi.")]
    )
    models = models_of(model, "qwen2.5:7b")
    await _ask(models, model, is_router=True)
    assert await _ask(models, model) == "Hi."
    assert model.shown == ["Hi."]


async def test_a_model_of_an_unknown_name_is_held_back_once(models_of: Any) -> None:
    model = _Scripted(answers=[HELLO, HELLO])
    models = models_of(model, "local")
    await _ask(models, model)
    assert model.shown_before[-1] == ""
    await _ask(models, model)
    assert model.shown_before[-1] == "Hello, there."


async def test_a_thought_that_is_cut_off_is_no_answer(models_of: Any) -> None:
    cut = _chunks("More thoughts", end={"finish_reason": "length"})
    model = _Scripted(answers=[_chunks("Secret.</think>Hi."), cut, cut])
    models = models_of(model, "local")
    await _ask(models, model)
    with pytest.raises(ModelFailed) as failed:
        await _ask(models, model)
    assert (failed.value.reason, model.shown) == ("length", [])


def _after_a_write(status: str) -> list[AnyMessage]:
    """A conversation in which an approved write has just been done, or not."""
    calls = [{"name": "cancel_order", "args": {}, "id": "a"}]
    artifact = {"approval_id": "1", "status": status}
    result = ToolMessage("...", name="cancel_order", tool_call_id="a", artifact=artifact)
    return [HumanMessage("Cancel it"), AIMessage("", tool_calls=calls), result]


@pytest.mark.parametrize(
    ("status", "sentence"), [("ok", "Cancel order: done."), ("error", "Cancel order: not done.")]
)
async def test_a_customer_is_told_of_a_write_although_no_model_answers(
    models_of: Any, status: str, sentence: str
) -> None:
    model = _Scripted(answers=[_chunks(), _chunks()])
    with pytest.raises(ModelFailed) as failed:
        await models_of(model, "local").ask("t", "", _after_a_write(status), show=model.shown.append)
    assert failed.value.message.startswith(sentence)
