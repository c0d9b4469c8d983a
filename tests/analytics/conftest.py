"""An empty event log and what reads it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_support.analytics.metrics import Metrics
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore

SESSION_TTL_SECONDS = 1800


@pytest.fixture
def event_log(tmp_path: Path) -> Iterator[EventStore]:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    yield log
    log.close()


@pytest.fixture
def metrics(event_log: EventStore) -> Metrics:
    return Metrics(event_log, SESSION_TTL_SECONDS)
