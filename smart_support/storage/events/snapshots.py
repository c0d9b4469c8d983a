"""Several questions to one DuckDB file, all answered as of one moment, some of them side by side.

A statement on one thread costs less CPU than on several: what belongs together is asked one question a core.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import duckdb

from smart_support.storage.events.compaction import Turnstile, begin
from smart_support.storage.state.base import Row

Params = Sequence[Any] | Mapping[str, Any]
Cursor = Callable[[], duckdb.DuckDBPyConnection]
BetweenCommits = Callable[[Callable[[], None]], Awaitable[None]]
# Dashboards that are asked at the same time; more would only share the same cores.
MOMENTS = 2
# Statements of one dashboard that are.
SIDE_BY_SIDE = 2


class Asks(Protocol):
    """What can be asked for rows."""

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """Rows of one statement as dicts. `TIMESTAMP`s come as naive UTC."""


class Moments:
    """The threads in which moments are asked: for each moment its own, which wait for nobody else."""

    def __init__(self, use: Turnstile, cursor: Cursor, between_commits: BetweenCommits) -> None:
        """
        Args:
            use: of the file; held for as long as a moment lasts.
            cursor: a new one of the file.
            between_commits: does something while nobody commits.
        """
        self._use = use
        self._cursor = cursor
        self._between_commits = between_commits
        self._threads = [
            [ThreadPoolExecutor(1, thread_name_prefix="event-moment") for _ in range(SIDE_BY_SIDE)]
            for _ in range(MOMENTS)
        ]
        self._free: asyncio.Queue[list[ThreadPoolExecutor]] = asyncio.LifoQueue()
        for threads in self._threads:
            self._free.put_nowait(threads)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Asks]:
        """All that is asked of what this gives, is told of one moment, whatever is written meanwhile."""
        threads = await self._free.get()
        moment = _Moment(threads, self._use, self._cursor)
        try:
            # Entered where nobody commits, and at no other time: who commits may have to wait for all inside.
            await self._between_commits(moment.begin)
            while not moment.begun:
                await moment.opened()
                await self._between_commits(moment.begin)
            yield moment
        except BaseException:
            moment.stop()
            raise
        finally:
            moment.leave()
            self._free.put_nowait(threads)

    def close(self) -> None:
        """Wait for all that was asked."""
        for threads in self._threads:
            for thread in threads:
                thread.shutdown(wait=True)


class _Moment:
    """Transactions that began at one moment, each with the thread that does all asked in it, in order.

    Who asks may be cancelled at any point, and a thread goes on. So it is the threads that give back what the
    moment holds, after all else they were asked.
    """

    def __init__(self, threads: list[ThreadPoolExecutor], use: Turnstile, cursor: Cursor) -> None:
        self._threads = threads
        self._use = use
        self._cursor = cursor
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self._idle: asyncio.Queue[int] = asyncio.LifoQueue()
        for number in range(len(threads)):
            self._idle.put_nowait(number)
        # Protects what follows: a moment may be left before it has begun.
        self._changing = threading.Lock()
        self.begun = False
        self._left = False

    def begin(self) -> None:
        """Hold the file, unless it is closed just now, and go on seeing what is committed."""
        with self._changing:
            if self._left or not self._use.enter_if_open():
                return
            self.begun = True
            for _ in self._threads:
                self._cursors.append(self._cursor())
                begin(self._cursors[-1])

    async def opened(self) -> None:
        """Return once the file is open."""

        def wait() -> None:
            with self._use.inside():
                pass

        await asyncio.get_running_loop().run_in_executor(self._threads[0], wait)

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        number = await self._idle.get()
        try:
            loop, thread = asyncio.get_running_loop(), self._threads[number]
            return await loop.run_in_executor(thread, rows_of, self._cursors[number], sql, params)
        finally:
            self._idle.put_nowait(number)

    def stop(self) -> None:
        """End the statements that run: nobody waits for their answers any more."""
        for cursor in self._cursors:
            cursor.interrupt()

    def leave(self) -> None:
        """Have what it holds given back, soon."""
        with self._changing:
            self._left = True
        first, *others = self._threads
        ended = [thread.submit(self._close, number) for number, thread in enumerate(others, 1)]
        first.submit(self._give_back, ended)

    def _close(self, number: int) -> None:
        # There is none where it never began.
        for cursor in self._cursors[number : number + 1]:
            cursor.close()

    def _give_back(self, others: "list[Future[None]]") -> None:
        for other in others:
            other.result()
        self._close(0)
        if self.begun:
            self._use.leave()


def rows_of(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> list[Row]:
    """Rows of one statement as dicts."""
    result = cursor.execute(sql, params)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
