"""The stores of many processes, opened together on one Postgres."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from smart_support.concurrency import in_background
from smart_support.events import Record
from smart_support.settings import Settings
from smart_support.storage.checkpoint_serializer import CleaningSerializer
from smart_support.storage.coordination.postgres_bus import PostgresBus
from smart_support.storage.coordination.postgres_locks import PostgresLocks
from smart_support.storage.coordination.postgres_rates import PostgresRateStorage
from smart_support.storage.events.postgres import SharedEventLog
from smart_support.storage.state.postgres import MIGRATION_LOCK, PostgresStateDatabase, keeping_alive
from smart_support.storage.stores import Stores


@contextlib.asynccontextmanager
async def shared_stores(settings: Settings, seen: Callable[[Record], None]) -> AsyncIterator[Stores]:
    """As `stores.opened`, where the settings name a database."""
    url = keeping_alive(settings.database_url)
    async with contextlib.AsyncExitStack() as stack:
        state = await asyncio.to_thread(PostgresStateDatabase, url)
        stack.callback(state.close)
        bus = await PostgresBus(url).open()
        stack.push_async_callback(bus.close)
        locks = PostgresLocks(url, bus)
        stack.push_async_callback(locks.close)
        event_log = SharedEventLog.open(settings.data_dir, state.pool, bus, seen)
        stack.callback(event_log.close)
        stack.push_async_callback(event_log.stop_rewriting)
        await stack.enter_async_context(in_background(event_log.keep_filled()))
        yield Stores(
            state=state,
            event_log=event_log,
            bus=bus,
            locks=locks,
            rates=PostgresRateStorage(state.pool),
            checkpoints=await _checkpoints(url, stack),
        )


async def _checkpoints(url: str, stack: contextlib.AsyncExitStack) -> AsyncPostgresSaver:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url,
        min_size=1,
        # The saver uses one at a time.
        max_size=2,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    await stack.enter_async_context(pool)
    saver = AsyncPostgresSaver(pool, serde=CleaningSerializer())
    # Two processes that start at once would both make its tables.
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as alone:
        await alone.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        await saver.setup()
    return saver
