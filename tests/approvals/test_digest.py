"""The digest: one for one call, whatever the order of its names; another for any other call."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.approvals.digest import digest
from smart_support.errors import InvalidArguments

SAFE = 2**53 - 1
scalars = (
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3)
)
arguments = st.dictionaries(st.text("abcdef", min_size=1), values, max_size=4)


def _of(args: dict[str, Any], **other: Any) -> str:
    usual = {"tool": "t", "version": "1", "thread_id": "th", "customer_id": None}
    return digest(args=args, **(usual | other))


def _same(one: Any, two: Any) -> bool:
    """Equality as JSON has it: `1` is not `true`."""
    if isinstance(one, bool) != isinstance(two, bool) or type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(_same(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)


@given(arguments)
def test_the_order_of_names_does_not_matter(args: dict[str, Any]) -> None:
    assert _of(args) == _of(dict(reversed(args.items())))


@given(arguments, arguments)
def test_other_arguments_have_another_digest(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (_of(one) == _of(two)) == _same(one, two)


@pytest.mark.parametrize(
    "other", [{"tool": "u"}, {"version": "2"}, {"thread_id": "x"}, {"customer_id": "C"}, {"version": None}]
)
def test_it_covers_what_executes_and_for_whom(other: dict[str, Any]) -> None:
    assert _of({"a": 1}) != _of({"a": 1}, **other)


@pytest.mark.parametrize("args", [{"a": 2**60}, {"a": float("nan")}, {"a": "\ud800"}, {"a": object()}])
def test_what_has_no_canonical_form_is_refused(args: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments):
        _of(args)
