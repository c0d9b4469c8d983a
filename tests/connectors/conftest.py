"""One server for a file's tests."""

from collections.abc import Iterator

import pytest

from tests.support.wire import Wire, opened


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with opened() as wire:
        yield wire
