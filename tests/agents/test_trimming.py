"""Large results: a model gets a part that is still JSON and says so; the record has all of it."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from smart_support.agents.trimming import MODEL_CHARS, as_text, trimmed


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
