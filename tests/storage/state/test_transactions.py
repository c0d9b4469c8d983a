"""Snapshots: whoever gives up in the middle of one leaves nothing that others wait for."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from smart_support import clock
from smart_support.storage.events import snapshots
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.snapshots import MAX_SNAPSHOTS, Params
from smart_support.storage.state.base import Row
from tests.support.story import record, resolved

# `began` is called from within the statement.
ENDLESS = "SELECT count(*) AS n FROM range(10000000000000) WHERE began(range)"
COUNT = "SELECT count(*) AS n FROM events"
SECONDS = 10
query_rows = snapshots.rows_of


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventStore]:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, resolved("t", clock.now()))
    yield log
    # With something left inside, neither would ever end.
    async with asyncio.timeout(SECONDS):
        for _ in range(MAX_SNAPSHOTS + 1):
            assert await _counted(log) == 6
        await log.compact()
    log.close()


async def _counted(log: EventStore) -> int:
    async with log.snapshot() as snapshot:
        return int((await snapshot.query(COUNT))[0]["n"])


async def _wait_for_entry(log: EventStore, before: int) -> None:
    """Return once the thread that writes the file has more to do than before."""
    while log.file.waiting <= before:  # noqa: ASYNC110  (it takes a few steps of the event loop)
        await asyncio.sleep(0)


async def _query(log: EventStore, sql: str) -> None:
    async with log.snapshot() as snapshot:
        await snapshot.query(sql)


async def test_a_snapshot_is_free_again_when_its_query_is_cancelled(
    log: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()

    def tell(_: int) -> bool:
        began.set()
        return True

    def rows_of(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> list[Row]:
        if sql == ENDLESS:
            cursor.create_function("began", tell, ["BIGINT"], "BOOLEAN")
        return query_rows(cursor, sql, params)

    monkeypatch.setattr(snapshots, "rows_of", rows_of)
    for _ in range(MAX_SNAPSHOTS + 1):
        began.clear()
        asking = asyncio.create_task(_query(log, ENDLESS))
        assert await asyncio.to_thread(began.wait, SECONDS)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_snapshot_is_free_again_when_who_waits_for_the_file_is_cancelled(
    log: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, shared = threading.Event(), log.file.lock.shared

    def shared_and_tell() -> contextlib.AbstractContextManager[None]:
        waits.set()
        return shared()

    monkeypatch.setattr(log.file.lock, "shared", shared_and_tell)
    log.file.lock.acquire_exclusive()  # as a compaction does, while the files change places
    try:
        asking = asyncio.create_task(_query(log, COUNT))
        assert await asyncio.to_thread(waits.wait, SECONDS)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    finally:
        log.file.lock.release_exclusive()


async def test_a_snapshot_is_free_again_after_a_query_that_fails(log: EventStore) -> None:
    for _ in range(MAX_SNAPSHOTS + 1):
        with pytest.raises(Exception, match="nowhere"):
            await _query(log, "SELECT * FROM nowhere")


async def test_a_compaction_waits_for_a_snapshot_and_the_snapshot_for_nobody(log: EventStore) -> None:
    async with asyncio.timeout(SECONDS), log.snapshot() as snapshot:
        compacting = asyncio.create_task(log.compact())
        # A shared holder is refused from when the compaction waits for those that there are.
        while log.file.lock.try_acquire_shared():
            log.file.lock.release_shared()
            await asyncio.sleep(0)
        later = asyncio.create_task(_counted(log))
        await record(log, resolved("u", clock.now()))
        assert await snapshot.query(COUNT) == [{"n": 6}]
        assert not compacting.done()
    await compacting
    assert await later == 12
    await log.erase(["u"])


@contextlib.asynccontextmanager
async def _held(log: EventStore) -> AsyncIterator[None]:
    """The thread that writes the file, held at its work."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        release.wait(SECONDS)

    holding = log.file.run(hold)
    await asyncio.to_thread(held.wait)
    try:
        yield
    finally:
        release.set()
        await holding


async def test_a_file_that_is_opened_again_waits_for_no_snapshot_that_waits_for_it(log: EventStore) -> None:
    """DuckDB has given the file up, and the writer opens it again; meanwhile a snapshot is asked for."""
    async with asyncio.timeout(SECONDS):
        async with _held(log):
            caught_up = log.file.flush()
            before = log.file.waiting
            counting = asyncio.create_task(_counted(log))
            await _wait_for_entry(log, before)
            log.file.is_invalid = True
        await caught_up
        assert await counting == 6


async def test_a_snapshot_that_is_cancelled_before_it_begins_holds_nothing(
    log: EventStore,
) -> None:
    for _ in range(MAX_SNAPSHOTS + 1):
        async with _held(log):
            before = log.file.waiting
            asking = asyncio.create_task(_query(log, COUNT))
            await _wait_for_entry(log, before)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
