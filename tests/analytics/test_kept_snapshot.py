"""While many events come in, a look may take the last snapshot, and says up to when it is complete."""

import asyncio
from pathlib import Path

import pytest

from smart_support import clock
from smart_support.analytics.metrics import Metrics
from smart_support.events import Message, Record
from smart_support.storage.events import snapshots
from smart_support.storage.events.embedded import EmbeddedEventStore

MANY = 3_000


async def _say(log: EmbeddedEventStore, thread_id: str, messages: int) -> None:
    """Append messages of a customer, as events of now."""
    said = Message(role="customer", content="Where is it?")
    await asyncio.gather(*(log.append(Record(thread_id, seq, said)) for seq in range(1, messages + 1)))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedEventStore:
    monkeypatch.setattr(snapshots, "MAX_KEPT_SECONDS", 60)
    return EmbeddedEventStore(tmp_path / "events.duckdb")


async def test_beside_many_events_a_look_takes_the_last_snapshot(log: EmbeddedEventStore) -> None:
    metrics = Metrics(log, 1800)
    await _say(log, "early", MANY)
    first = await metrics.analytics("24h")
    between = clock.rfc3339(clock.now())
    await _say(log, "late", MANY)
    second = await metrics.analytics("24h")
    assert (first["conversations"], second["conversations"]) == (1, 1)
    assert second["until"] <= between
    page, _ = await metrics.conversations()
    assert [row["thread_id"] for row in page] == ["late", "early"]
    log.close()


async def test_beside_few_events_a_look_sees_them_all(log: EmbeddedEventStore) -> None:
    metrics = Metrics(log, 1800)
    await _say(log, "early", MANY)
    await metrics.analytics("24h")
    await _say(log, "late", 10)
    assert (await metrics.analytics("24h"))["conversations"] == 2
    log.close()


async def test_an_erasure_ends_the_last_snapshot(log: EmbeddedEventStore) -> None:
    metrics = Metrics(log, 1800)
    await _say(log, "early", MANY)
    await metrics.analytics("24h")
    await _say(log, "late", MANY)
    await log.erase(["early", "late"])
    assert (await metrics.analytics("24h"))["conversations"] == 0
    log.close()


async def test_a_look_at_an_old_snapshot_has_a_newer_made(
    log: EmbeddedEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "REPLACE_AFTER_SECONDS", 0)
    metrics = Metrics(log, 1800)
    await _say(log, "early", MANY)
    await metrics.analytics("24h")
    await _say(log, "late", MANY)
    assert (await metrics.analytics("24h"))["conversations"] == 1
    async with asyncio.timeout(60):
        while (await metrics.analytics("24h"))["conversations"] == 1:
            pass
    log.close()
