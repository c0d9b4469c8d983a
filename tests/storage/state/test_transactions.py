"""Several statements of one moment: whoever gives up in the middle leaves nothing that others wait for."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smart_support import clock
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.snapshots import MAX_SNAPSHOTS
from tests.support.story import record, resolved

ENDLESS = "SELECT count(*) AS n FROM range(10000000000000)"
COUNT = "SELECT count(*) AS n FROM events"
SECONDS = 10


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


async def _query(log: EventStore, sql: str, began: asyncio.Event | None = None) -> None:
    async with log.snapshot() as snapshot:
        if began:
            began.set()
        await snapshot.query(sql)


async def test_who_is_cancelled_while_a_statement_runs_leaves_the_moment(log: EventStore) -> None:
    for _ in range(MAX_SNAPSHOTS + 1):
        began = asyncio.Event()
        asking = asyncio.create_task(_query(log, ENDLESS, began))
        await began.wait()
        await asyncio.sleep(0.05)  # until DuckDB is at it, which nothing tells
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_who_is_cancelled_before_it_begins_leaves_the_moment(log: EventStore) -> None:
    log._file._lock.acquire_exclusive()  # as a compaction does, while the files change places
    try:
        asking = asyncio.create_task(_query(log, COUNT))
        await asyncio.sleep(0.05)  # until it stands there, which nothing tells
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    finally:
        log._file._lock.release_exclusive()


async def test_a_statement_that_fails_leaves_the_moment(log: EventStore) -> None:
    for _ in range(MAX_SNAPSHOTS + 1):
        with pytest.raises(Exception, match="nowhere"):
            await _query(log, "SELECT * FROM nowhere")


async def test_a_compaction_waits_for_a_moment_and_the_moment_for_nobody(log: EventStore) -> None:
    async with asyncio.timeout(SECONDS), log.snapshot() as snapshot:
        compacting = asyncio.create_task(log.compact())
        while not log._file._lock._is_exclusive:  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0.01)
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

    holding = log._file.run(hold)
    await asyncio.to_thread(held.wait)
    try:
        yield
    finally:
        release.set()
        await holding


async def test_a_file_that_is_opened_anew_waits_for_no_moment_that_waits_for_it(
    log: EventStore,
) -> None:
    """DuckDB has given the file up, and who writes opens it again; meanwhile somebody asks for a moment."""
    async with asyncio.timeout(SECONDS):
        async with _held(log):
            caught_up = log._file.flush()
            counting = asyncio.create_task(_counted(log))
            await asyncio.sleep(0.05)  # until it waits, which nothing tells
            log._file._is_invalid = True
        await caught_up
        assert await counting == 6


async def test_who_is_cancelled_before_the_writer_comes_to_it_holds_nothing(log: EventStore) -> None:
    for _ in range(MAX_SNAPSHOTS + 1):
        async with _held(log):
            asking = asyncio.create_task(_query(log, COUNT))
            await asyncio.sleep(0.05)  # until it waits, which nothing tells
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
