"""Several queries of one DuckDB file that all see the same state of it, some of them in parallel.

A statement uses less CPU on one thread of DuckDB than on several. So a snapshot has several cursors.

While many events come in, the newest snapshot is kept for a short time, and several readers may use it.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import duckdb

from smart_support.storage.events.compaction import begin_snapshot
from smart_support.storage.events.group_commit import Done, GroupCommit, Work
from smart_support.storage.events.readers_writer_lock import ReadersWriterLock
from smart_support.storage.state.base import Row

Params = Sequence[Any] | Mapping[str, Any]
# More snapshots at a time would only share the same cores.
MAX_SNAPSHOTS = 2
CURSORS_PER_SNAPSHOT = 2
MAX_KEPT_SECONDS = 2.0
# A snapshot of this age is used once more, and then replaced.
REPLACE_AFTER_SECONDS = 1.0


class Queryable(Protocol):
    """Runs queries."""

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """The rows of one statement as dicts. `TIMESTAMP`s are naive, in UTC."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a snapshot has, and perhaps more.

    Attributes:
        complete_until: all events that were durable at that time.
        events: how many had come in since the store was opened.
    """

    complete_until: datetime
    events: int


class Snapshot(Queryable, Protocol):
    """Queries that all see the same state.

    Attributes:
        contents: what it has.
    """

    contents: Contents


class Snapshots:
    """Opens snapshots. Each has threads of its own, and waits for no other query.

    `open` and what follows it are for the event loop's thread.
    """

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
        self._kept: _Snapshot | None = None
        # The one that is to replace it, and whether it has begun.
        self._next: _Snapshot | None = None
        self._next_begun: Done | None = None
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def open(self, contents: Contents, *, keep: bool = False) -> AsyncIterator[Snapshot]:
        """A snapshot: all its queries see the same state, whatever is written meanwhile.

        Args:
            contents: what the file has.
            keep: let others use it too, for `MAX_KEPT_SECONDS`.
        """
        if self._free.empty():
            self._drop_kept()
        snapshot = self._new(await self._free.get(), contents)
        with self._using(snapshot):
            # Never waited for in the writer: it may itself wait until all snapshots have released the lock.
            await self._writer.run(snapshot.try_begin)
            while not snapshot.has_begun:
                await snapshot.wait_for_file()
                await self._writer.run(snapshot.try_begin)
            if keep:
                self._keep(snapshot)
            yield snapshot

    @contextlib.asynccontextmanager
    async def kept(self, most_events: int) -> AsyncIterator[Snapshot | None]:
        """The kept snapshot, if there is one with at most so many events."""
        if self._kept is None and self._next_begun is not None:
            await asyncio.wait({self._next_begun})
        if self._kept is None or self._kept.contents.events > most_events:
            yield None
            return
        with self._using(self._kept) as snapshot:
            yield snapshot

    def replace_kept(self, contents: Contents, prepare: Work) -> None:
        """Make a newer snapshot in the background if the kept one is rather old.

        Args:
            contents: what the file has after `prepare`.
            prepare: called in the writing thread before.
        """
        if self._kept is None or self._kept.age_seconds < REPLACE_AFTER_SECONDS:
            return
        if self._next is not None or self._free.empty():
            return
        self._next = snapshot = self._new(self._free.get_nowait(), contents)

        def begin() -> None:
            prepare()
            snapshot.try_begin()

        self._next_begun = self._writer.run(begin)
        self._next_begun.add_done_callback(partial(self._take_next, snapshot))

    def forget(self) -> None:
        """Keep none of the snapshots that have begun, because some of what they hold is erased."""
        self._drop_kept()
        self._next = self._next_begun = None

    def close(self) -> None:
        """Wait for all queries."""
        self._is_closed = True
        if self._next is not None:
            self._next.release()
        self.forget()
        for threads in self._threads:
            for thread in threads:
                thread.shutdown(wait=True)

    def _new(self, threads: list[ThreadPoolExecutor], contents: Contents) -> "_Snapshot":
        return _Snapshot(threads, self._file_lock, self._open_cursor, self._summarize, contents)

    @contextlib.contextmanager
    def _using(self, snapshot: "_Snapshot") -> Iterator["_Snapshot"]:
        snapshot.users += 1
        try:
            yield snapshot
        except BaseException:
            # After a failed query its transaction is of no use.
            if snapshot is self._kept:
                self._drop_kept()
            if snapshot.users == 1:
                snapshot.interrupt()
            raise
        finally:
            self._leave(snapshot)

    def _keep(self, snapshot: "_Snapshot") -> None:
        snapshot.users += 1
        self._drop_kept()
        self._kept = snapshot
        asyncio.get_running_loop().call_later(MAX_KEPT_SECONDS, self._drop_kept, snapshot)

    def _drop_kept(self, only: "_Snapshot | None" = None) -> None:
        if self._kept is not None and only in (None, self._kept):
            kept, self._kept = self._kept, None
            self._leave(kept)

    def _leave(self, snapshot: "_Snapshot") -> None:
        snapshot.users -= 1
        if snapshot.users <= 0:
            snapshot.release()
            self._free.put_nowait(snapshot.threads)

    def _take_next(self, snapshot: "_Snapshot", begun: Done) -> None:
        has_failed = begun.exception() is not None
        if self._is_closed:
            return
        snapshot.users += 1
        if snapshot is self._next:
            self._next = self._next_begun = None
            if snapshot.has_begun and not has_failed:
                self._keep(snapshot)
        self._leave(snapshot)


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
        contents: Contents,
    ) -> None:
        self.threads = threads
        self.contents = contents
        # How many use it, or keep it.
        self.users = 0
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
        self._begun_at = 0.0

    @property
    def age_seconds(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self._begun_at

    def try_begin(self) -> None:
        """Begin, unless the file is being replaced just now."""
        self._summarize()
        with self._changing:
            if self._is_released or not self._file_lock.try_acquire_shared():
                return
            self._begun_at, self.has_begun = time.monotonic(), True
            for _ in self.threads:
                self._cursors.append(self._open_cursor())
                begin_snapshot(self._cursors[-1])

    async def wait_for_file(self) -> None:
        """Return once the file is not being replaced."""

        def wait() -> None:
            with self._file_lock.shared():
                pass

        await asyncio.get_running_loop().run_in_executor(self.threads[0], wait)

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        index = await self._idle.get()
        try:
            loop, thread = asyncio.get_running_loop(), self.threads[index]
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
        first, *others = self.threads
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
