"""Canonical JSON is that of RFC 8785, whoever writes it."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from smart_support.canonical_json import canonical

_NAMES = st.text(max_size=5) | st.sampled_from(["a", "Z", "_", "é", "\ue000", "\U0001f600"])
_ONE = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=8)
_ANY = st.recursive(
    _ONE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4)
)


def _written(write: Any, value: Any) -> bytes | type[Exception]:
    try:
        return bytes(write(value))
    except Exception as error:
        return type(error)


@given(_ANY)
def test_any_value_is_written_as_the_standard_says(value: Any) -> None:
    assert _written(canonical, value) == _written(rfc8785.dumps, value)


@pytest.mark.parametrize(
    "value",
    [
        '\x00\x1b\x7f\u2028\\"/',
        "\ud800",
        {"\ud800": 1},
        {"b": 1, "a": [1.0, 1e21]},
        2**53,
        {1: 2},
        {"k": {1}},
    ],
)
def test_a_value_at_the_edges_is_written_as_the_standard_says(value: Any) -> None:
    assert _written(canonical, value) == _written(rfc8785.dumps, value)


def test_every_character_is_written_as_the_standard_says() -> None:
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert canonical(every) == rfc8785.dumps(every)


def test_what_is_written_often_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rfc8785, "dumps", None)
    row = {"number": 1, "at": "2026-11-30T00:00:00Z", "detail": {"args": {"order_id": "1042"}, "why": "é"}}
    assert canonical(row).startswith(b'{"at":"2026')
