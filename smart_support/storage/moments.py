"""Several statements asked of one moment of a DuckDB file, each moment in a thread of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import duckdb

from smart_support.storage.database import Row

Params = Sequence[Any] | Mapping[str, Any]
# Gives a cursor of the file; what has to be given back after it goes onto the stack.
Enter = Callable[[contextlib.ExitStack], duckdb.DuckDBPyConnection]
# Whole dashboards asked at the same time; more would only share the same cores.
MOMENTS = 2


class Asks(Protocol):
    """What can be asked for rows."""

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """Rows of one statement as dicts. `TIMESTAMP`s come as naive UTC."""


class Moments:
    """Who asks several things of one moment, at most `MOMENTS` at a time."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter
        # Not those of the readers: they may wait for a compaction, which waits for moments to end.
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix="event-moment") for _ in range(MOMENTS)]
        self._free: asyncio.Queue[ThreadPoolExecutor] = asyncio.Queue()
        for thread in self._threads:
            self._free.put_nowait(thread)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Asks]:
        """All that is asked of what this gives, is told of one moment, whatever is written meanwhile."""
        thread = await self._free.get()
        moment = _Moment(thread)
        try:
            await moment.enter(self._enter)
            yield moment
        except BaseException:
            moment.stop()
            raise
        finally:
            moment.leave()
            self._free.put_nowait(thread)

    def close(self) -> None:
        """Wait for those that have not ended."""
        for thread in self._threads:
            thread.shutdown(wait=True)


class _Moment:
    """A transaction that reads, and the thread that does all that is asked in it, in order.

    Who asks may be cancelled at any point, and the thread goes on. So it is this thread that gives back what
    the moment holds, after all else it was asked.
    """

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._held = contextlib.ExitStack()

    async def enter(self, enter: Enter) -> None:
        """Begin the transaction."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._enter, enter)

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, sql, params)

    def stop(self) -> None:
        """End the statement that runs, if one does: nobody waits for its answer any more."""
        if self._cursor:
            self._cursor.interrupt()

    def leave(self) -> None:
        """Have what it holds given back, soon."""
        self._thread.submit(self._held.close)

    def _ask(self, sql: str, params: Params) -> list[Row]:
        assert self._cursor, "asked before it was entered"
        return rows_of(self._cursor, sql, params)

    def _enter(self, enter: Enter) -> None:
        self._cursor = enter(self._held)
        self._cursor.begin()


def rows_of(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> list[Row]:
    """The rows of one statement, as dicts."""
    result = cursor.execute(sql, params)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
