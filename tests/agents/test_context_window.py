"""What a model gets: of a large result a part that is still JSON, of a long conversation the newest steps."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, InvalidToolCall, ToolMessage

from smart_support.agents.context_window import estimated_tokens, fitting, tokens_of_text
from smart_support.agents.tool_messages import with_all_results
from smart_support.gate.call_result import MODEL_CHARS, as_text, trimmed


def test_what_fits_is_left_alone() -> None:
    assert trimmed({"a": [1, 2, "x"]}) == '{"a":[1,2,"x"]}'
    assert trimmed("plain") == "plain"


def test_a_long_list_is_cut_with_a_note() -> None:
    cut = orjson.loads(trimmed([{"id": n, "name": "x" * 30} for n in range(5000)]))
    assert "part of" in cut["note"]
    assert cut["result"][0] == {"id": 0, "name": "x" * 30}
    assert cut["result"][-1].startswith("… ")


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=3000),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=8), inner, max_size=8),
    max_leaves=60,
)


@given(_json)
def test_whatever_the_result_it_fits_and_says_what_is_missing(result: object) -> None:
    text = trimmed(result, 2000)
    assert len(text) <= 2000 + 120
    assert text == as_text(result) or "part of" in text
    if not isinstance(result, str):
        orjson.loads(text)
    assert MODEL_CHARS > 2000


@st.composite
def _conversations(draw: st.DrawFn) -> list[AnyMessage]:
    """Messages as a thread holds them, some calls broken, some cut off before their result."""
    said: list[AnyMessage] = []
    for number in range(draw(st.integers(0, 12))):
        text = draw(st.sampled_from(["", "short", "long " * 300]))
        if draw(st.booleans()):
            said.append(HumanMessage(text))
            continue
        ids = [f"{number}-{place}" for place in range(draw(st.integers(0, 3)))]
        broken = draw(st.booleans())
        calls = [{"name": "look", "args": {}, "id": one} for one in ids]
        wrong = InvalidToolCall(name="look", args="{", id=f"{number}-x", error=None, type="invalid_tool_call")
        said.append(AIMessage(text, tool_calls=calls, invalid_tool_calls=[wrong] if broken else []))
        answered = [*ids, f"{number}-x"] if broken else ids
        said += [ToolMessage(text, tool_call_id=one) for one in answered if draw(st.booleans())]
    return said


@given(_conversations(), st.integers(0, 3000))
def test_whatever_the_limit_no_call_and_no_result_is_alone(said: list[AnyMessage], limit: int) -> None:
    whole = with_all_results(said)
    kept = fitting(whole, limit)
    waiting: list[str] = []
    for message in kept:
        if isinstance(message, ToolMessage):
            waiting.remove(message.tool_call_id)
        else:
            assert not waiting
        if isinstance(message, AIMessage):
            waiting = [str(call["id"]) for call in (*message.tool_calls, *message.invalid_tool_calls)]
    assert not waiting
    humans = [message for message in whole if isinstance(message, HumanMessage)]
    assert not humans or humans[-1] in kept
    assert kept[-1:] == whole[-1:]
    assert not humans or kept == whole or isinstance(kept[0], HumanMessage)
    if estimated_tokens(whole) <= limit:
        assert kept == whole


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("where is my order", 5),  # four characters each
        ("我的订单在哪里？", 8),  # one each
        ("где мой заказ", 7),  # two each, but for the spaces
        ("👍", 2),
        ("", 0),
    ],
)
def test_tokens_are_estimated_by_script(text: str, tokens: int) -> None:
    assert tokens_of_text(text) == tokens


def test_a_chinese_conversation_is_trimmed_like_an_english_one_of_as_many_tokens() -> None:
    said: list[AnyMessage] = [HumanMessage("订" * 400), AIMessage("单" * 400), HumanMessage("单" * 100)]
    assert fitting(said, 500) == said[2:]
