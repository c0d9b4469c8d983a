"""Locks among processes that share a Postgres, held by a connection: the moment it is gone, they are free."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection

import anyio
import psycopg

from smart_support.concurrency import end_tasks
from smart_support.errors import StorageFailed
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.bus import Bus
from smart_support.storage.coordination.locks import Locks

log = get_logger()

SECONDS_BETWEEN_TRIES = 0.25
SECONDS_BETWEEN_LOOKS = 1.0
FREED = "freed"
NO_ANSWER = "The database does not answer; nothing was lost. Please try again."
_HELD = """
    SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
_KEYS = "SELECT name, hashtextextended(name, 0) FROM unnest(%s::text[]) AS name"


class PostgresLocks(Locks):
    """Advisory locks of a connection of its own."""

    def __init__(self, url: str, bus: Bus) -> None:
        self._url = url
        self._bus = bus
        self._mine: set[str] = set()
        self._freed: dict[str, asyncio.Event] = {}
        self._lost: list[Callable[[], None]] = []
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        # Protects the connecting: two at once would leave one of them with locks that nobody knows of.
        self._connecting = asyncio.Lock()
        bus.on(FREED, lambda what: self._freed[what["name"]].set() if what["name"] in self._freed else None)
        self._watch = asyncio.create_task(self._watching())

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Be the only process with this lock; waits until it is free.

        Raises:
            StorageFailed: Postgres does not answer.
        """
        await self._take(name)
        try:
            yield
        finally:
            await self._free(name)

    async def held(self, names: Collection[str]) -> set[str]:
        if not names:
            return set()
        taken = {row[0] for row in await self._ask(_HELD)}
        keys = await self._ask(_KEYS, list(names))
        return {str(name) for name, key in keys if key in taken and name not in self._mine}

    def when_lost(self, lost: Callable[[], None]) -> None:
        self._lost.append(lost)

    async def close(self) -> None:
        await end_tasks(self._watch)
        if self._connection:
            await self._connection.close()

    async def _take(self, name: str) -> None:
        freed = self._freed.setdefault(name, asyncio.Event())
        try:
            while not await self._try(name):
                freed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SECONDS_BETWEEN_TRIES):
                        await freed.wait()
        finally:
            self._freed.pop(name, None)

    async def _try(self, name: str) -> bool:
        trying = asyncio.ensure_future(self._ask(_TRY, name))
        try:
            got = (await asyncio.shield(trying))[0][0]
        except asyncio.CancelledError:
            # Nobody would free what was got just now.
            with anyio.CancelScope(shield=True), contextlib.suppress(StorageFailed):
                if (await trying)[0][0]:
                    await self._ask(_UNLOCK, name)
            raise
        if got:
            self._mine.add(name)
        return bool(got)

    async def _free(self, name: str) -> None:
        if name not in self._mine:
            return  # lost with its connection
        self._mine.discard(name)
        with contextlib.suppress(StorageFailed):
            await self._ask(_UNLOCK, name)
        self._bus.say(FREED, name=name)

    async def _ask(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        try:
            # A statement that is broken off could cost the connection, and with it every lock.
            with anyio.CancelScope(shield=True):
                connection = await self._connected()
                rows = await (await connection.execute(sql, params)).fetchall()
        except (psycopg.Error, OSError) as error:
            raise StorageFailed(
                "The database does not answer; nothing was lost. Please try again."
            ) from error
        return rows

    async def _connected(self) -> "psycopg.AsyncConnection[tuple[object, ...]]":
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._give_up()
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, prepare_threshold=1
                )
            return self._connection

    def _give_up(self) -> None:
        if self._mine:
            log.error("locks_lost", count=len(self._mine))
            self._mine.clear()
            for lost in self._lost:
                lost()

    async def _watching(self) -> None:
        """A connection that is gone is noticed soon, also while nothing is asked of it."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            with contextlib.suppress(StorageFailed):
                await self._ask("SELECT 1")
