"""Opens every store, as the settings say: files of this process, or a PostgreSQL database shared by many."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from limits.storage import MemoryStorage, Storage

from smart_support.concurrency import in_background
from smart_support.settings import Settings
from smart_support.storage.checkpoint_file import CheckpointFile, shrink
from smart_support.storage.checkpoint_serializer import CleaningSerializer
from smart_support.storage.coordination.base import Bus, Locks
from smart_support.storage.coordination.local import LocalBus, LocalLocks
from smart_support.storage.events.base import EventStore, OnAppend
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.private_files import make_private_folder, tighten_files
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.sqlite import SqliteStateDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The stores of a system.

    Attributes:
        bus, locks: coordinate the processes of the system.
        rates: counts the hits of what has a limited rate.
        checkpoints: LangGraph's state of each thread.
    """

    state: StateDatabase
    event_log: EventStore
    bus: Bus
    locks: Locks
    rates: Storage
    checkpoints: BaseCheckpointSaver[Any]


@contextlib.asynccontextmanager
async def open_stores(settings: Settings, on_append: OnAppend = lambda record: None) -> AsyncIterator[Stores]:
    """The stores, until the context ends.

    Args:
        on_append: called with each event record before it is durable.

    Raises:
        ConfigError: a store can't be opened.
    """
    make_private_folder(settings.data_dir)
    tighten_files(settings.data_dir)
    async with contextlib.AsyncExitStack() as stack:
        if settings.database_url:
            stores = await _open_postgres(settings.database_url, settings.data_dir, on_append, stack)
        else:
            stores = await _open_embedded(settings.data_dir, on_append, stack)
        tighten_files(settings.data_dir)
        yield stores


async def _open_embedded(folder: Path, on_append: OnAppend, stack: contextlib.AsyncExitStack) -> Stores:
    state = SqliteStateDatabase(folder / "state.sqlite")
    stack.callback(state.close)
    event_log = EmbeddedEventStore(folder / "events.duckdb", on_append)
    stack.callback(event_log.close)
    path = folder / "checkpoints.sqlite"
    await asyncio.to_thread(shrink, path)
    checkpoints = CheckpointFile(path)
    stack.callback(checkpoints.close)
    return Stores(
        state=state,
        event_log=event_log,
        bus=LocalBus(),
        locks=LocalLocks(),
        rates=MemoryStorage(),
        checkpoints=checkpoints,
    )


async def _open_postgres(
    url: str, folder: Path, on_append: OnAppend, stack: contextlib.AsyncExitStack
) -> Stores:
    # Imported here, so that a start on files does not wait for the PostgreSQL libraries.
    from smart_support.storage.coordination.postgres_bus import PostgresBus
    from smart_support.storage.coordination.postgres_locks import PostgresLocks
    from smart_support.storage.coordination.postgres_rates import PostgresRateStorage
    from smart_support.storage.events.postgres import PostgresEventStore
    from smart_support.storage.state.postgres import PostgresStateDatabase, with_keepalives

    url = with_keepalives(url)
    state = await asyncio.to_thread(PostgresStateDatabase, url)
    stack.callback(state.close)
    bus = await PostgresBus(url).open()
    stack.push_async_callback(bus.close)
    locks = PostgresLocks(url, bus)
    stack.push_async_callback(locks.close)
    event_log = PostgresEventStore.open(folder, state.pool, bus, on_append)
    stack.callback(event_log.close)
    stack.push_async_callback(event_log.stop_compaction)
    await stack.enter_async_context(in_background(event_log.update_copy_forever()))
    return Stores(
        state=state,
        event_log=event_log,
        bus=bus,
        locks=locks,
        rates=PostgresRateStorage(state.pool),
        checkpoints=await _postgres_checkpoints(url, stack),
    )


async def _postgres_checkpoints(url: str, stack: contextlib.AsyncExitStack) -> BaseCheckpointSaver[Any]:
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    from smart_support.storage.state.postgres import MIGRATION_LOCK

    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url,
        min_size=1,
        # The saver uses one connection at a time.
        max_size=2,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    await stack.enter_async_context(pool)
    saver = AsyncPostgresSaver(pool, serde=CleaningSerializer())
    # The lock: two processes that start at the same time would both create the saver's tables.
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        await saver.setup()
    return saver
