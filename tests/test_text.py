"""Cleaned text and JSON values are taken by every encoder and store; what was clean before is not changed."""

import itertools
import sqlite3
import string
from typing import Any

import orjson
import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.text import MAX_DEPTH, MAX_NODES, TextStream, clean_json, clean_text

# Hypothesis leaves surrogates out unless they are asked for.
any_character = st.characters(exclude_categories=()) | st.sampled_from("\x00\ud83d\ude00\ud800\udfff😀")
any_text = st.text(any_character, max_size=30)
any_value: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.binary(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            any_text | st.integers() | st.none() | st.floats() | st.tuples(st.integers()), inner
        )
        | st.frozensets(any_text, max_size=3)
    ),
    max_leaves=12,
)


@given(any_text)
def test_clean_text_is_taken_by_every_encoder(text: str) -> None:
    cleaned = clean_text(text)
    assert orjson.loads(orjson.dumps(cleaned)) == cleaned
    assert ormsgpack.unpackb(ormsgpack.packb(cleaned)) == cleaned
    assert sqlite3.connect(":memory:").execute("SELECT ?", [cleaned]).fetchall() == [(cleaned,)]
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_text_that_is_clean_stays_as_it_is(text: str) -> None:
    assert clean_text(text) == text


@given(any_text, st.lists(st.integers(0, 30)))
def test_a_text_in_pieces_comes_out_as_the_whole_text_does(text: str, cuts: list[int]) -> None:
    stream, places = TextStream(), sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    assert "".join([*map(stream.add, pieces), stream.end()]) == clean_text(text)


def test_a_character_cut_in_two_comes_whole_with_its_second_half() -> None:
    stream = TextStream()
    assert [stream.add("a\ud83d"), stream.add("\ude00b"), stream.end()] == ["a", "😀b", ""]


@given(any_value)
def test_clean_json_is_taken_by_every_encoder(value: Any) -> None:
    cleaned = clean_json(value)
    assert orjson.loads(orjson.dumps(cleaned)) == cleaned
    assert b"\\u0000" not in orjson.dumps(cleaned)
    assert clean_json(cleaned) == cleaned


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(string.printable),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(string.printable), inner),
        max_leaves=12,
    )
)
def test_json_that_is_clean_stays_as_it_is(value: Any) -> None:
    assert clean_json(value) == value


class _Unspeakable:
    def __str__(self) -> str:
        raise ValueError("no")


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _circular() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        2**64,
        -(2**63) - 1,
        10**5000,
        {1: {None: {True: "\ud800"}}},
        b"\xff\x00",
        {"\ud800", "b"},
        _Unspeakable(),
        _nested(MAX_DEPTH * 100),
        _circular(),
        range(5),
        [0] * (2 * MAX_NODES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_encoders_refuse_becomes_text(value: Any) -> None:
    assert orjson.dumps(clean_json({"value": value}))
