"""Several queries of one DuckDB file that all see the same state of it, some of them in parallel.

A statement uses less CPU on one thread of DuckDB than on several. So a snapshot has several cursors.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import duckdb

from smart_support.storage.events.compaction import begin_snapshot
from smart_support.storage.events.group_commit import GroupCommit, Work
from smart_support.storage.events.readers_writer_lock import ReadersWriterLock
from smart_support.storage.state.base import Row

Params = Sequence[Any] | Mapping[str, Any]
# More snapshots at a time would only share the same cores.
MAX_SNAPSHOTS = 2
CURSORS_PER_SNAPSHOT = 2


class Queryable(Protocol):
    """Runs queries."""

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """The rows of one statement as dicts. `TIMESTAMP`s are naive, in UTC."""


class Snapshots:
    """Opens snapshots. Each has threads of its own, and waits for no other query."""

    def __init__(
        self,
        file_lock: ReadersWriterLock,
        writer: GroupCommit[None],
        open_cursor: Callable[[], duckdb.DuckDBPyConnection],
        summarize: Work,
    ) -> None:
        """
        Args:
            file_lock: held shared while a snapshot is open.
            writer: begins snapshots between two commits, so that all cursors of one see the same state.
            summarize: brings the summaries up to date, so that they fit the events of a snapshot.
        """
        self._file_lock = file_lock
        self._writer = writer
        self._summarize = summarize
        self._open_cursor = open_cursor
        self._threads = [
            [ThreadPoolExecutor(1, thread_name_prefix="event-snapshot") for _ in range(CURSORS_PER_SNAPSHOT)]
            for _ in range(MAX_SNAPSHOTS)
        ]
        self._free: asyncio.Queue[list[ThreadPoolExecutor]] = asyncio.LifoQueue()
        for threads in self._threads:
            self._free.put_nowait(threads)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Queryable]:
        """A snapshot: all its queries see the same state, whatever is written meanwhile."""
        threads = await self._free.get()
        snapshot = _Snapshot(threads, self._file_lock, self._open_cursor, self._summarize)
        try:
            # Never waited for in the writer: it may itself wait until all snapshots have released the lock.
            await self._writer.run(snapshot.try_begin)
            while not snapshot.has_begun:
                await snapshot.wait_for_file()
                await self._writer.run(snapshot.try_begin)
            yield snapshot
        except BaseException:
            snapshot.interrupt()
            raise
        finally:
            snapshot.release()
            self._free.put_nowait(threads)

    def close(self) -> None:
        """Wait for all queries."""
        for threads in self._threads:
            for thread in threads:
                thread.shutdown(wait=True)


class _Snapshot:
    """Transactions that began at the same time. Each belongs to one thread, which runs its queries in order.

    The caller may be cancelled at any point while a thread still runs a query. So the threads themselves
    release what the snapshot holds, after the last query.
    """

    def __init__(
        self,
        threads: list[ThreadPoolExecutor],
        file_lock: ReadersWriterLock,
        open_cursor: Callable[[], duckdb.DuckDBPyConnection],
        summarize: Work,
    ) -> None:
        self._threads = threads
        self._file_lock = file_lock
        self._open_cursor = open_cursor
        self._summarize = summarize
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self._idle: asyncio.Queue[int] = asyncio.LifoQueue()
        for index in range(len(threads)):
            self._idle.put_nowait(index)
        # Protects the two fields below: a snapshot may be released before it has begun.
        self._changing = threading.Lock()
        self.has_begun = False
        self._is_released = False

    def try_begin(self) -> None:
        """Begin, unless the file is being replaced just now."""
        self._summarize()
        with self._changing:
            if self._is_released or not self._file_lock.try_acquire_shared():
                return
            self.has_begun = True
            for _ in self._threads:
                self._cursors.append(self._open_cursor())
                begin_snapshot(self._cursors[-1])

    async def wait_for_file(self) -> None:
        """Return once the file is not being replaced."""

        def wait() -> None:
            with self._file_lock.shared():
                pass

        await asyncio.get_running_loop().run_in_executor(self._threads[0], wait)

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        index = await self._idle.get()
        try:
            loop, thread = asyncio.get_running_loop(), self._threads[index]
            return await loop.run_in_executor(thread, rows_of, self._cursors[index], sql, params)
        finally:
            self._idle.put_nowait(index)

    def interrupt(self) -> None:
        """Stop the queries that run."""
        for cursor in self._cursors:
            cursor.interrupt()

    def release(self) -> None:
        """Have the threads close the cursors and release the file after their last query."""
        with self._changing:
            self._is_released = True
        first, *others = self._threads
        closed = [thread.submit(self._close_cursor, index) for index, thread in enumerate(others, 1)]
        first.submit(self._release_file, closed)

    def _close_cursor(self, index: int) -> None:
        # There is none if the snapshot never began.
        for cursor in self._cursors[index : index + 1]:
            cursor.close()

    def _release_file(self, others: "list[Future[None]]") -> None:
        for other in others:
            other.result()
        self._close_cursor(0)
        if self.has_begun:
            self._file_lock.release_shared()


def rows_of(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> list[Row]:
    """The rows of one statement as dicts."""
    result = cursor.execute(sql, params)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
