"""The event store's interface: all events of a system, appended in order and read by thread.

Implementations: `embedded.py` for one process, `postgres.py` for any number. Both commit in groups, and both
answer queries over all events from a DuckDB file.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path

from smart_support import clock
from smart_support.events import Message, Record
from smart_support.storage.events.duckdb_file import DuckDBFile
from smart_support.storage.events.group_commit import Chain, Done, GroupCommit
from smart_support.storage.events.search_index import Hits
from smart_support.storage.events.snapshots import Contents, Params, Queryable, Snapshot
from smart_support.storage.state.base import Row

OnAppend = Callable[[Record], None]
# With so many new events or more, at so many a second or more, a reader can do with a snapshot that is kept.
MANY_NEW_EVENTS = 400
MANY_EVENTS_PER_SECOND = 200
# How long an agent's message waits for the end of its turn, to share the commit. Its words are shown already.
SECONDS_TO_END = 0.01


class EventStore(ABC):
    """All events of a system.

    Attributes:
        file: answers queries.
        commits: makes records durable.
        copying: held by whoever copies or rewrites the files of the stores.
    """

    def __init__(self, file: DuckDBFile, commits: GroupCommit[Record], on_append: OnAppend) -> None:
        """
        Args:
            on_append: called with each record before it is durable.
        """
        self.file = file
        self.commits = commits
        self._on_append = on_append
        self.copying = asyncio.Lock()
        # When the last snapshot was opened, and how many events had come in.
        self._opened_at, self._opened_with = time.monotonic(), 0

    def append(self, record: Record, chain: Chain | None = None) -> Done:
        """Queue a record to be stored.

        Args:
            chain: of the records of which none is stored after one that could not be.

        Returns:
            A future that is done once the record is durable, or holds `StorageFailed`; `EventRefused` where
            only this record can't be stored.
        """
        self._on_append(record)
        event = record.event
        is_answer = isinstance(event, Message) and event.role == "agent"
        wait_seconds = SECONDS_TO_END if is_answer else None
        return self.commits.put(record, urgent=event.ends_turn, chain=chain, wait_seconds=wait_seconds)

    @property
    def waiting(self) -> int:
        """How many records are not durable yet."""
        return self.commits.waiting

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return self.commits.lag_seconds

    @abstractmethod
    async def read(self, thread_id: str, after: int = 0, limit: int = 1_000_000) -> list[Record]:
        """A thread's records with `seq` above `after`, in order, at most `limit`."""

    @abstractmethod
    async def has(self, thread_id: str, event_id: str) -> bool:
        """Whether a thread has an event of that id."""

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """The rows of one statement over all events, as dicts. `TIMESTAMP`s are naive, in UTC."""
        await self._catch_up()
        return await self.file.query(sql, params)

    @property
    def summaries(self) -> Queryable:
        """Answers queries over the summaries of all events. Unlike a snapshot, it waits for no other."""
        return _Summaries(self)

    async def summarize(self) -> None:
        """Bring the summaries up to date."""
        await self._catch_up()
        if not self.file.is_summarized:
            await self.file.run(self.file.summarize)

    async def search(self, q: str) -> Hits | None:
        """Which texts can have `q`; None if it is in so many that each must be read."""
        return await self.file.search(q)

    @contextlib.asynccontextmanager
    async def snapshot(self, *, may_be_kept: bool = False) -> AsyncIterator[Snapshot]:
        """A snapshot: all its queries see the same events, all that are durable now, and the summaries of
        these.

        Args:
            may_be_kept: while many events come in, it may be up to `MAX_KEPT_SECONDS` old.
        """
        contents = Contents(clock.now(), self._events_arrived)
        if may_be_kept:
            async with self.file.snapshots.kept(contents.events - MANY_NEW_EVENTS) as kept:
                if kept is not None:
                    yield kept
                    self.file.replace_kept_snapshot(Contents(self._complete_until, self._events_arrived))
                    return
        keep = may_be_kept and self._is_busy()
        await self._catch_up()
        async with self.file.snapshots.open(contents, keep=keep) as snapshot:
            yield snapshot

    def _is_busy(self) -> bool:
        """Whether many events have come in since this was last called."""
        before, self._opened_at = self._opened_at, time.monotonic()
        new, self._opened_with = self._events_arrived - self._opened_with, self._events_arrived
        return new >= MANY_EVENTS_PER_SECOND * (self._opened_at - before)

    async def export(self, sql: str, params: Params = ()) -> None:
        """Run a `COPY ... TO` statement. DuckDB can write into `export_folder` only."""
        await self.query(sql, params)

    @property
    def export_folder(self) -> Path:
        """The folder into which `export` may write."""
        return self.file.export_folder

    @property
    def question_folder(self) -> Path:
        """The folder for the copy on which an admin's SQL question runs. The caller creates it."""
        return self.file.question_folder

    @contextlib.asynccontextmanager
    async def pause_writes(self) -> AsyncIterator[Path]:
        """The DuckDB file, with all events, while nothing writes it; see `DuckDBFile.pause_writes`."""
        await self._catch_up()
        async with self.file.pause_writes() as path:
            yield path

    @abstractmethod
    async def erase(self, thread_ids: Sequence[str]) -> None:
        """Delete all records of these threads. `compact` removes them from the files' bytes."""

    @abstractmethod
    async def compact(self) -> None:
        """Rewrite the files, so that nothing erased is left in their bytes. Hold `copying`."""

    def close(self) -> None:
        """Store what was appended, then close."""
        self.commits.close()
        self.file.close()

    @property
    @abstractmethod
    def _events_arrived(self) -> int:
        """How many events are known to have come in since the store was opened."""

    @property
    @abstractmethod
    def _complete_until(self) -> datetime:
        """The DuckDB file has all events that were durable then, once its pending rows are written."""

    @abstractmethod
    async def _catch_up(self) -> None:
        """Bring every record that is durable now into the DuckDB file."""


class _Summaries:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        await self._store.summarize()
        return await self._store.file.query(sql, params)
