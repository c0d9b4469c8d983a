"""How many examples a property of hypothesis gets: all in `make test-nightly`, a part in every other run."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

IS_NIGHTLY = os.environ.get("NIGHTLY") == "1"
EVERYDAY_PART = 10


def examples(count: int) -> int:
    """The number of examples for this run: `count` at night, else a tenth of it, but not less than five."""
    return count if IS_NIGHTLY else min(count, max(5, count // EVERYDAY_PART))


def sample(cases: Iterable[Any], one_of: int) -> Iterator[Any]:
    """The cases of a parameter, of which only the first of each `one_of` runs by day.

    For cases that try the same again with another shape of graph or another kind of value.
    """
    for place, case in enumerate(cases):
        yield pytest.param(case, marks=[pytest.mark.nightly] if place % one_of else [])
