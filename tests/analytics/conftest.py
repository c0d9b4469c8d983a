"""An empty event log and what reads it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from smart_support.analytics.ad_hoc_sql import AdHocSql
from smart_support.analytics.metrics import Metrics
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore

SESSION_TTL_SECONDS = 1800
OpenBox = Callable[..., AdHocSql]


@pytest.fixture
def event_log(tmp_path: Path) -> Iterator[EventStore]:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    yield log
    log.close()


@pytest.fixture
def metrics(event_log: EventStore) -> Metrics:
    return Metrics(event_log, SESSION_TTL_SECONDS)


@pytest.fixture
async def open_box(event_log: EventStore) -> AsyncIterator[OpenBox]:
    """Makes boxes for SQL over `event_log`, with limits of their own; their processes end with the test."""
    boxes: list[AdHocSql] = []

    def opened(**limits: float) -> AdHocSql:
        boxes.append(AdHocSql(event_log, **limits))
        return boxes[-1]

    yield opened
    for box in boxes:
        await box.close()
