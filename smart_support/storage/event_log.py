"""The event log in DuckDB: append with group commit, read by thread, query for analytics.

One writer thread takes all that waits and commits it at once; an append's future is done when its row
is on disk. Readers have a cursor each and never wait for the writer. No figures are computed here.
"""

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb
import orjson

from smart_support import events
from smart_support.errors import ConfigError, StorageFailed
from smart_support.events import Event, Record
from smart_support.log import get_logger
from smart_support.storage.compaction import COPY, Turnstile, attach, begin, file_for, fill, finish
from smart_support.storage.database import MIGRATIONS, Row, apply, unapplied
from smart_support.storage.gathering import Gathering
from smart_support.storage.watch import watched

log = get_logger()

# Columns filled from the event's own field of the same name where it has one.
_FROM_EVENT = (
    *("agent", "role", "tool", "tool_call_id", "status", "approval_id", "outcome", "decided_by"),
    *("model", "duration_ms", "first_token_ms", "code", "error_class", "policy", "kind"),
)
_TYPES = {
    "event_id": "UUID",
    "thread_id": "VARCHAR",
    "turn_id": "UUID",
    "first_seq": "BIGINT",
    "seq": "BIGINT",
    "happened_at": "TIMESTAMP",
    "type": "VARCHAR",
    "channel": "VARCHAR",
    "customer_id": "VARCHAR",
    **dict.fromkeys(_FROM_EVENT, "VARCHAR"),
    "duration_ms": "DOUBLE",
    "first_token_ms": "DOUBLE",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "payload": "VARCHAR",
}
# The structure holds names and types from above, nothing from outside.
_INSERT = "INSERT INTO {} BY NAME SELECT unnest(from_json(?, '{}'), recursive := true)"
# By how much the process may grow for a statement that somebody made up.
MOST_ASKED_BYTES = 1_000_000_000
_ERASE = "DELETE FROM {} WHERE thread_id IN (SELECT unnest($threads::VARCHAR[]))"
_READ = """
    SELECT event_id, thread_id, turn_id, first_seq, seq, happened_at, type, channel, customer_id, payload
    FROM events WHERE thread_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""

SECONDS_TO_FIX = 10
UNWRITTEN = "The event log could not be written; check the disk of DATA_DIR."


class EventLog:
    """The one writer and its readers over `events.duckdb`."""

    def __init__(self, path: Path, seen: Callable[[Record], None] = lambda record: None) -> None:
        """`seen` is called with each record that is handed in, before it is durable."""
        self._seen = seen
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        file_for(path).unlink(missing_ok=True)
        self._database = _connect(path)
        _migrate(self._database, path)
        self._database_use = Turnstile()
        self._writing = self._database.cursor()
        self._writer: Gathering[Record] = Gathering(self._commit, UNWRITTEN)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="event-read")
        self._local = threading.local()
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        # Held by whoever copies or rewrites the files of the stores: one at a time.
        self.copying = asyncio.Lock()
        # While the file is being copied: what was written since, and which threads were erased.
        self._since: list[Row] | None = None
        self._erased: list[str] = []

    def append(self, record: Record) -> "asyncio.Future[None]":
        """Hand a record to the writer.

        Returns:
            A future that is done once the record is durable, or holds `StorageFailed`.
        """
        self._seen(record)
        return self._writer.put(record, awaited=record.event.ends_turn)

    @property
    def waiting(self) -> int:
        """How many records are not on disk yet."""
        return self._writer.waiting

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return self._writer.lag_seconds

    async def erase(self, thread_ids: Sequence[str]) -> None:
        """Delete all records of these threads. Their bytes leave the file with `compact`."""
        await self._writer.do(lambda: self._erase(list(thread_ids)))

    async def compact(self) -> None:
        """Write the file anew, so that nothing erased is left in its bytes.

        Meanwhile all goes on but for the moment in which the files change places. A kill leaves one of them,
        whole.
        """
        with self._database.cursor() as cursor:
            await asyncio.to_thread(attach, cursor, file_for(self._path))
            # By the writer, so that a record is either copied or among those written since.
            await self._writer.do(lambda: self._begin_copy(cursor))
            await asyncio.to_thread(fill, cursor)
        await asyncio.to_thread(self._database_use.close)
        try:
            await self._writer.do(self._put_in_place)
        finally:
            self._database_use.open()
        for copy in self._path.parent.glob(f"{self._path.name}.before-*"):
            copy.unlink()

    async def copy_to(self, path: Path, moment: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Copy the log, as it is at one moment, into a new file; meanwhile all goes on. Hold `copying`.

        Args:
            moment: awaited with a function that fixes what is copied: all that was appended before it is
                called, once and from any thread; it returns when that is done.
        """
        fixed = threading.Event()
        with self._database.cursor() as cursor:

            def fix() -> None:
                begin(cursor)
                fixed.set()

            hand_in = self._writer.later(fix)

            def fix_now() -> None:
                hand_in()
                if not fixed.wait(SECONDS_TO_FIX):
                    raise StorageFailed(UNWRITTEN)

            await asyncio.to_thread(attach, cursor, path)
            await moment(fix_now)
            await asyncio.to_thread(fill, cursor)
            await asyncio.to_thread(finish, cursor)

    async def read(self, thread_id: str, after: int = 0, limit: int = 1_000_000) -> list[Record]:
        """A thread's records with `seq` above `after`, in order, at most `limit`."""
        rows = await self.query(_READ, [thread_id, after, limit])
        return [as_record(row) for row in rows]

    async def has(self, thread_id: str, event_id: str) -> bool:
        """Whether an event of that id stands in the log."""
        sql = "SELECT 1 FROM events WHERE thread_id = ? AND event_id = ? LIMIT 1"
        return bool(await self.query(sql, [thread_id, event_id]))

    async def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Rows of one statement as dicts, from a reader's own cursor. `TIMESTAMP`s come as naive UTC."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._query, sql, params)

    async def export(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> None:
        """Run a `COPY ... TO` statement in a reader."""
        await self.query(sql, params)

    async def ask_once(self, sql: str, seconds: float) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names and rows of a statement that somebody made up, on a cursor and a thread of its own.

        Raises:
            duckdb.InterruptException: it took longer than `seconds`, or `MOST_ASKED_BYTES` of
                memory; any other `duckdb.Error`: it is wrong.
        """
        return await asyncio.to_thread(self._ask_once, sql, seconds)

    def close(self) -> None:
        """Commit what was appended, then close the file."""
        self._writer.close()
        self._writing.close()
        self._readers.shutdown(wait=True)
        for cursor in self._cursors:
            cursor.close()
        self._database.close()

    def _query(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Row]:
        with self._database_use.inside():
            if getattr(self._local, "database", None) is not self._database:
                self._local.database, self._local.cursor = self._database, self._database.cursor()
                self._cursors.append(self._local.cursor)
            cursor = self._local.cursor.execute(sql, params)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _ask_once(self, sql: str, seconds: float) -> tuple[list[str], list[tuple[Any, ...]]]:
        with self._database_use.inside():
            cursor = self._database.cursor()
            try:
                with watched(cursor, seconds, MOST_ASKED_BYTES):
                    result = cursor.execute(sql)
                    return [column[0] for column in result.description or ()], result.fetchall()
            finally:
                cursor.close()

    def _begin_copy(self, cursor: duckdb.DuckDBPyConnection) -> None:
        begin(cursor)
        self._since, self._erased = [], []

    def _put_in_place(self) -> None:
        since, self._since = self._since or [], None
        self._writing.execute(_ERASE.format(f"{COPY}.events"), {"threads": self._erased})
        if since:
            _insert(self._writing, since, f"{COPY}.events")
        finish(self._writing)
        for cursor in (*self._cursors, self._writing):
            cursor.close()
        self._cursors.clear()
        # Closing writes the log into the file, so that none is left that would not fit the new one.
        self._database.close()
        os.replace(file_for(self._path), self._path)
        self._database = _connect(self._path)
        self._writing = self._database.cursor()

    def _erase(self, thread_ids: list[str]) -> None:
        self._writing.execute(_ERASE.format("events"), {"threads": thread_ids})
        if self._since is not None:
            gone = set(thread_ids)
            self._erased += thread_ids
            self._since = [row for row in self._since if row["thread_id"] not in gone]

    def _commit(self, records: list[Record]) -> None:
        rows = [as_row(record) for record in records]
        _insert(self._writing, rows, "events")
        if self._since is not None:
            self._since += rows


def check_free(path: Path) -> None:
    """See that nobody else has the log open; raises `ConfigError` with what to do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _connect(path).close()


def applied(path: Path) -> set[str]:
    """The names of the migrations that a log has had."""
    with contextlib.closing(_connect(path)) as log:
        if not log.execute(
            "SELECT 1 FROM duckdb_tables() WHERE table_name = 'applied_migrations'"
        ).fetchall():
            return set()
        return {str(name) for (name,) in log.execute("SELECT name FROM applied_migrations").fetchall()}


@contextmanager
def checked_out(path: Path) -> Iterator[Callable[[], None]]:
    """Keep everybody else from opening the log; gives a function that has all of it written into its file."""
    with contextlib.closing(_connect(path)) as database:
        yield lambda: database.execute("CHECKPOINT").close()


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    # A file of the older format can still be opened by the release before this one; see docs of DuckDB.
    config: dict[str, Any] = {
        "threads": 2,
        "checkpoint_threshold": "1MB",
        "storage_compatibility_version": "v1.5.0",
    }
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        raise ConfigError(
            f"SMART_SUPPORT_DATA_DIR: {path} can't be opened; stop the other process that uses it, "
            f"or choose another folder ({str(error).splitlines()[0]})"
        ) from None


def _insert(cursor: duckdb.DuckDBPyConnection, rows: list[Row], table: str) -> None:
    """Insert rows in one commit, naming only columns in use: planning for all costs as much as the rest."""
    used = {name for row in rows for name, value in row.items() if value is not None}
    structure = {name: type_ for name, type_ in _TYPES.items() if name in used}
    cursor.execute(_INSERT.format(table, orjson.dumps([structure]).decode()), [orjson.dumps(rows).decode()])


def insert_json(cursor: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Insert many rows, as the JSON of what `as_row` gives."""
    cursor.execute(_INSERT.format("events", orjson.dumps([_TYPES]).decode()), [rows])


def as_row(record: Record) -> dict[str, Any]:
    """A record as the log's columns hold it."""
    fields = events.payload(record.event)
    usage = fields.get("usage") or {}
    return {
        "event_id": record.event_id,
        "thread_id": record.thread_id,
        "turn_id": record.turn_id,
        "first_seq": record.first_seq,
        "seq": record.seq,
        "happened_at": record.happened_at.astimezone(UTC).replace(tzinfo=None).isoformat(),
        "type": record.event.type,
        "channel": record.channel,
        "customer_id": record.customer_id,
        **{name: fields.get(name) for name in _FROM_EVENT},
        "tool": fields.get("tool") or fields.get("action"),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": usage.get("cost_usd"),
        "payload": orjson.dumps(fields).decode(),
    }


def as_record(row: Row) -> Record:
    """What a row of the log tells; its columns that are derived from the payload are not asked for."""
    event: Event = events.from_payload(row["type"], orjson.loads(row["payload"]))
    return Record(
        thread_id=row["thread_id"],
        seq=row["seq"],
        event=event,
        first_seq=row["first_seq"],
        turn_id=str(row["turn_id"]) if row["turn_id"] else None,
        channel=row["channel"],
        customer_id=row["customer_id"],
        event_id=str(row["event_id"]),
        happened_at=row["happened_at"].replace(tzinfo=UTC),
    )


def _migrate(database: duckdb.DuckDBPyConnection, path: Path) -> None:
    class Rows:
        def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
            result = database.execute(sql.replace(":name", "$name"), params or {})
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    for migration in unapplied(Rows(), MIGRATIONS / "events"):
        if not migration.first:
            # With its log written into it, the file is all there is.
            database.execute("CHECKPOINT")
            shutil.copyfile(path, migration.backup_of(path))
        database.begin()
        apply(Rows(), migration)
        database.commit()
