"""All that is kept, opened by what the settings say: files of this process, or a Postgres shared by many."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from limits.storage import MemoryStorage, Storage

from smart_support.events import Record
from smart_support.settings import Settings
from smart_support.storage.checkpoint_serializer import CleaningSerializer
from smart_support.storage.coordination.base import Bus, Locks
from smart_support.storage.coordination.local import LocalBus, LocalLocks
from smart_support.storage.events.embedded import EventLog
from smart_support.storage.private_files import make_private_folder, tighten_files
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.sqlite import SqliteStateDatabase

Seen = Callable[[Record], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What the services keep their things in.

    Attributes:
        bus: what processes tell each other; `locks`: who runs a thread's turn.
        rates: where hits of what has a limited rate are counted.
        checkpoints: LangGraph's state of each thread.
    """

    state: StateDatabase
    event_log: EventLog
    bus: Bus
    locks: Locks
    rates: Storage
    checkpoints: BaseCheckpointSaver[Any]


@contextlib.asynccontextmanager
async def opened(settings: Settings, seen: Seen = lambda record: None) -> AsyncIterator[Stores]:
    """The stores, until the context ends.

    Args:
        seen: called with each record before it is durable.

    Raises:
        ConfigError: one of them can't be opened.
    """
    make_private_folder(settings.data_dir)
    tighten_files(settings.data_dir)
    opening = _shared(settings, seen) if settings.database_url else _embedded(settings.data_dir, seen)
    async with opening as stores:
        tighten_files(settings.data_dir)
        yield stores


@contextlib.asynccontextmanager
async def _embedded(folder: Path, seen: Seen) -> AsyncIterator[Stores]:
    async with contextlib.AsyncExitStack() as stack:
        state = SqliteStateDatabase(folder / "state.sqlite")
        stack.callback(state.close)
        event_log = EventLog(folder / "events.duckdb", seen)
        stack.callback(event_log.close)
        connection = await stack.enter_async_context(aiosqlite.connect(folder / "checkpoints.sqlite"))
        # What is deleted leaves the pages, and not only their lists.
        await connection.execute("PRAGMA secure_delete=ON")
        checkpoints = AsyncSqliteSaver(connection, serde=CleaningSerializer())
        await checkpoints.setup()
        yield Stores(
            state=state,
            event_log=event_log,
            bus=LocalBus(),
            locks=LocalLocks(),
            rates=MemoryStorage(),
            checkpoints=checkpoints,
        )


@contextlib.asynccontextmanager
async def _shared(settings: Settings, seen: Seen) -> AsyncIterator[Stores]:
    # Imported where it is used: whoever runs one process need not wait for it.
    from smart_support.storage.postgres_stores import shared_stores

    async with shared_stores(settings, seen) as stores:
        yield stores
