"""Locks between processes that share PostgreSQL: advisory locks, freed when their connection ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import anyio
import psycopg

from smart_support.concurrency import end_tasks
from smart_support.errors import StorageFailed
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import Bus, Locks

log = get_logger()

RETRY_SECONDS = 0.25
CHECK_SECONDS = 1.0
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
    """Advisory locks, held by one connection of their own."""

    def __init__(self, url: str, bus: Bus) -> None:
        self._url = url
        self._bus = bus
        self._held: set[str] = set()
        self._freed: dict[str, asyncio.Event] = {}
        self._on_lost: list[Callable[[], None]] = []
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        # Held while connecting: a second connection would hold locks that nothing releases.
        self._connecting = asyncio.Lock()
        bus.subscribe(FREED, self._wake_up)
        self._monitor = asyncio.create_task(self._check_connection())

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        await self._take(name)
        try:
            yield
        finally:
            await self._free(name)

    async def held(self, names: Collection[str]) -> set[str]:
        if not names:
            return set()
        taken = {row[0] for row in await self._query(_HELD)}
        keys = await self._query(_KEYS, list(names))
        return {str(name) for name, key in keys if key in taken and name not in self._held}

    def when_lost(self, callback: Callable[[], None]) -> None:
        self._on_lost.append(callback)

    async def close(self) -> None:
        await end_tasks(self._monitor)
        if self._connection:
            await self._connection.close()

    async def _take(self, name: str) -> None:
        freed = self._freed.setdefault(name, asyncio.Event())
        try:
            while not await self._try(name):
                freed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS):
                        await freed.wait()
        finally:
            self._freed.pop(name, None)

    async def _try(self, name: str) -> bool:
        trying = asyncio.ensure_future(self._query(_TRY, name))
        try:
            is_acquired = (await asyncio.shield(trying))[0][0]
        except asyncio.CancelledError:
            # Nothing else would release a lock that was acquired just now.
            with anyio.CancelScope(shield=True), contextlib.suppress(StorageFailed):
                if (await trying)[0][0]:
                    await self._query(_UNLOCK, name)
            raise
        if is_acquired:
            self._held.add(name)
        return bool(is_acquired)

    async def _free(self, name: str) -> None:
        if name not in self._held:
            return  # it was lost with its connection
        self._held.discard(name)
        with contextlib.suppress(StorageFailed):
            await self._query(_UNLOCK, name)
        self._bus.publish(FREED, name=name)

    def _wake_up(self, fields: dict[str, Any]) -> None:
        if freed := self._freed.get(fields["name"]):
            freed.set()

    async def _query(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        try:
            # A cancelled statement could close the connection, and that would free every lock.
            with anyio.CancelScope(shield=True):
                connection = await self._connect()
                rows = await (await connection.execute(sql, params)).fetchall()
        except (psycopg.Error, OSError) as error:
            raise StorageFailed(NO_ANSWER) from error
        return rows

    async def _connect(self) -> "psycopg.AsyncConnection[tuple[object, ...]]":
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._report_lost()
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, prepare_threshold=1
                )
            return self._connection

    def _report_lost(self) -> None:
        if self._held:
            log.error("locks_lost", count=len(self._held))
            self._held.clear()
            for callback in self._on_lost:
                callback()

    async def _check_connection(self) -> None:
        """Notice a lost connection soon, even while no lock is used."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            with contextlib.suppress(StorageFailed):
                await self._query("SELECT 1")
