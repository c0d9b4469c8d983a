"""The event store of many processes: in PostgreSQL, with a copy in DuckDB for queries over all events.

PostgreSQL is the truth: an event is durable there, a thread is read from there, and every commit notifies the
other processes. Each process keeps a DuckDB copy of its own, because DuckDB answers analytical queries much
faster. The copy is brought up to date once a second and before each query, and may be deleted at any time.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg_pool import ConnectionPool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from smart_support import clock
from smart_support.concurrency import wait_for_end
from smart_support.errors import ConfigError
from smart_support.events import Record
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.postgres_bus import CHANNEL, PostgresBus
from smart_support.storage.events.base import EventStore, OnAppend
from smart_support.storage.events.duckdb_file import REFUSALS, DuckDBFile, refused_rows
from smart_support.storage.events.embedded import UNSTORABLE
from smart_support.storage.events.group_commit import GroupCommit
from smart_support.storage.events.rows import as_record, as_row
from smart_support.storage.events.summaries import transaction
from smart_support.storage.state.base import Row
from smart_support.storage.state.postgres import EVENTS_LOCK, ServerConnection

log = get_logger()

# The bus topic of new events.
NEWS = "events"
# Longer than on a journal: a commit in PostgreSQL costs more, and takes a lock that all processes share.
COMMIT_INTERVAL_SECONDS = 0.01
WRITE_FAILED = "The event log could not be written; see that the database answers."
ROWS_PER_STEP = 20_000
MAX_COPIES = 64
# How long events wait for a server that has ended their connection, as at a restart or a failover.
MAX_RECONNECT_SECONDS = 10.0
SECONDS_BETWEEN_UPDATES = 1.0
# This many threads, with ids of the greatest length, fit into one notification.
_THREADS_PER_NOTIFICATION = 40
# Beside records that can't become a row: PostgreSQL's errors about a row, not about its own state.
_UNSTORABLE = (*UNSTORABLE, psycopg.DataError, psycopg.IntegrityError)
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_APPEND = """
    INSERT INTO events (thread_id, seq, event_id, row)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[])
"""
_IS_STORED = "SELECT 1 FROM events WHERE thread_id = %s AND seq = %s AND event_id = %s"
_READ = "SELECT row FROM events WHERE thread_id = %s AND seq > %s ORDER BY seq LIMIT %s"
_HAS = "SELECT 1 FROM events WHERE thread_id = %s AND event_id = %s LIMIT 1"
_ERASE = "DELETE FROM events WHERE thread_id = ANY(%s)"
_ERASURES = "SELECT position, threads FROM erasures WHERE position > %s ORDER BY position"
_NEW_EVENTS = "SELECT position, event_id, row FROM events WHERE position > %s ORDER BY position LIMIT %s"
_IS_SAME_LOG = "SELECT 1 FROM events WHERE position = %s AND event_id = %s"
# How far the copy goes: the positions of the last event and the last erasure.
_COPIED = "CREATE TABLE IF NOT EXISTS copied (position BIGINT, erasure BIGINT, event_id VARCHAR)"


class PostgresEventStore(EventStore):
    """For any number of processes. Its DuckDB file is this process's copy."""

    def __init__(
        self,
        path: Path,
        pool: "ConnectionPool[ServerConnection]",
        bus: PostgresBus,
        on_append: OnAppend = lambda record: None,
    ) -> None:
        """
        Raises:
            ConfigError: another process uses this copy; take another path.
        """
        self._pool = pool
        self._bus = bus
        file = DuckDBFile(path)
        commits = GroupCommit(self._commit, WRITE_FAILED, COMMIT_INTERVAL_SECONDS, _UNSTORABLE)
        super().__init__(file, commits, on_append)
        # Held while the copy is updated: protects its position.
        self._updating = asyncio.Lock()
        self._updated_at = 0.0
        self._updated_until = clock.now()
        self._position, self._erasure = self._copied_positions()
        file.start()
        self._compaction: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, folder: Path, *args: Any) -> "PostgresEventStore":
        """Open the store with the first copy in `folder` that no other process uses."""
        for number in range(1, MAX_COPIES):
            try:
                return cls(folder / f"copy-{number}.duckdb", *args)
            except ConfigError:
                continue
        return cls(folder / f"copy-{MAX_COPIES}.duckdb", *args)

    async def read(self, thread_id: str, after: int = 0, limit: int = 1_000_000) -> list[Record]:
        rows = await asyncio.to_thread(self._fetch, _READ, (thread_id, after, limit))
        return [_record(row["row"]) for row in rows]

    async def has(self, thread_id: str, event_id: str) -> bool:
        return bool(await asyncio.to_thread(self._fetch, _HAS, (thread_id, event_id)))

    async def erase(self, thread_ids: Sequence[str]) -> None:
        await self.commits.run(lambda: self._erase(list(thread_ids)))
        await self._catch_up()

    async def compact(self) -> None:
        """Rewrite this process's copy. The other processes do the same with theirs."""
        async with self._updating:
            await self.file.compact()

    async def update_copy_forever(self) -> None:
        """Update the copy once a second, so that a query has little to wait for."""
        while True:
            try:
                await self._catch_up()
            except Exception as error:
                log.error("copy_not_updated", error=repr(error))
            await asyncio.sleep(SECONDS_BETWEEN_UPDATES)

    async def stop_compaction(self) -> None:
        """Wait for a compaction that runs because of an erasure elsewhere."""
        if self._compaction:
            await wait_for_end(self._compaction)

    async def _catch_up(self) -> None:
        requested_at = time.monotonic()
        async with self._updating:
            if self._updated_at >= requested_at:
                return  # an update that began after this call has just ended
            began_at, complete_until = time.monotonic(), clock.now()
            while await self._update_copy():
                pass
            self._updated_at, self._updated_until = began_at, complete_until

    @property
    def _events_arrived(self) -> int:
        return self.file.rows_written

    @property
    def _complete_until(self) -> datetime:
        return self._updated_until

    def _commit(self, records: list[Record]) -> None:
        """Append records. A turn that loses an event in its middle would have a gap for ever, so this goes on
        over a lost connection."""
        try:
            self._append_records(records)
        except psycopg.OperationalError as lost:
            if not _is_connection_lost(lost):
                raise
            log.warning("event_log_connection_lost", error=str(lost))
            for attempt in Retrying(
                retry=retry_if_exception(_is_connection_lost),
                wait=wait_random_exponential(0.05, max=1),
                stop=stop_after_delay(MAX_RECONNECT_SECONDS),
                reraise=True,
            ):
                with attempt:
                    # One transaction: if the first is stored, all are, and only the answer was lost.
                    if not self._is_stored(records[0]):
                        self._append_records(records)

    def _is_stored(self, record: Record) -> bool:
        return bool(self._fetch(_IS_STORED, (record.thread_id, record.seq, record.event_id)))

    def _append_records(self, records: list[Record]) -> None:
        texts = [orjson.dumps(as_row(record)).decode() for record in records]
        # Thread id to its first and last new `seq`.
        news: dict[str, list[int]] = {}
        for record in records:
            news.setdefault(record.thread_id, [record.seq, record.seq])[1] = record.seq
        columns = [[record.thread_id for record in records], [record.seq for record in records]]
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(_LOCK, [EVENTS_LOCK])
            connection.execute(_APPEND, [*columns, [record.event_id for record in records], texts])
            for start in range(0, len(news), _THREADS_PER_NOTIFICATION):
                some = dict([*news.items()][start : start + _THREADS_PER_NOTIFICATION])
                payload = self._bus.payload(NEWS, {"threads": some})
                connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])

    def _erase(self, thread_ids: list[str]) -> None:
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(_LOCK, [EVENTS_LOCK])
            connection.execute(_ERASE, [thread_ids])
            threads = orjson.dumps(thread_ids).decode()
            connection.execute("INSERT INTO erasures (threads) VALUES (%s)", [threads])

    def _fetch(self, sql: str, params: Sequence[Any]) -> list[Row]:
        with self._pool.connection() as connection:
            return connection.execute(sql, params).fetchall()

    async def _update_copy(self) -> bool:
        """Copy the next rows. Returns whether there may be more."""
        erasures, rows = await asyncio.to_thread(self._changes)
        if not (erasures or rows):
            return False
        await self.file.run(lambda: self._apply(erasures, rows))
        if erasures:
            self.file.snapshots.forget()
        if erasures and (self._compaction is None or self._compaction.done()):
            self._compaction = asyncio.create_task(self.compact())
        return len(rows) == ROWS_PER_STEP

    def _changes(self) -> tuple[list[Row], list[Row]]:
        """New erasures and rows, of one snapshot: it has no rows that one of the erasures deleted."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            erasures = connection.execute(_ERASURES, [self._erasure]).fetchall()
            return erasures, connection.execute(_NEW_EVENTS, [self._position, ROWS_PER_STEP]).fetchall()

    def _apply(self, erasures: list[Row], rows: list[Row]) -> None:
        """Copy the changes. A row that DuckDB can never store stays in PostgreSQL only; replay shows it."""
        texts = [row["row"] for row in rows]
        try:
            self._write(erasures, rows, texts)
        except REFUSALS:
            parsed = [orjson.loads(text) for text in texts]
            refused = {row["event_id"]: why for row, why in refused_rows(self.file.write_cursor, parsed)}
            for event_id, why in refused.items():
                log.error("event_not_copied", event_id=event_id, error=why)
            self._write(erasures, rows, [row["row"] for row in rows if row["event_id"] not in refused])

    def _write(self, erasures: list[Row], rows: list[Row], texts: list[str]) -> None:
        position = rows[-1]["position"] if rows else self._position
        erasure = erasures[-1]["position"] if erasures else self._erasure
        cursor = self.file.write_cursor
        if erasures:
            self.file.summarize()
        with transaction(cursor):
            if erasures:
                self.file.erase([thread for row in erasures for thread in orjson.loads(row["threads"])])
            if texts:
                self.file.insert_json(texts)
            if rows:
                last = {"position": position, "event_id": rows[-1]["event_id"]}
                cursor.execute("UPDATE copied SET position = $position, event_id = $event_id", last)
            cursor.execute("UPDATE copied SET erasure = $erasure", {"erasure": erasure})
        self._position, self._erasure = position, erasure

    def _copied_positions(self) -> tuple[int, int]:
        """How far the copy goes. A copy of another database's events is emptied."""
        cursor = self.file.write_cursor
        cursor.execute(_COPIED)
        for position, erasure, event_id in cursor.execute(
            "SELECT position, erasure, event_id FROM copied"
        ).fetchall():
            if position == 0 or self._fetch(_IS_SAME_LOG, (position, event_id)):
                return int(position), int(erasure)
        cursor.execute("DELETE FROM events")
        self.file.rebuild_summaries()
        cursor.execute("DELETE FROM copied")
        last = self._fetch("SELECT COALESCE(MAX(position), 0) AS last FROM erasures", ())[0]["last"]
        cursor.execute("INSERT INTO copied VALUES (0, ?, NULL)", [last])
        return 0, int(last)


def _is_connection_lost(error: BaseException) -> bool:
    """Whether a statement failed because of its connection, or of a server that ends or starts."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    # Class 08: connection exceptions; 57P: shutdowns, and a server that starts. None: libpq's own.
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def _record(text: str) -> Record:
    row = orjson.loads(text)
    return as_record(row | {"happened_at": datetime.fromisoformat(row["happened_at"])})
