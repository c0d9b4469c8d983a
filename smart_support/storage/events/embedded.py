"""The event log of one process: append with group commit, read by thread, ask for figures.

An event is durable once it is in the journal, a file of which a commit costs little. From there it comes into
the DuckDB file in few large commits: at once where little happens, else four times a second, and before
anything is asked of that file. So nobody who appends waits for DuckDB, who reads a thread waits for nobody,
and a figure counts all that was acknowledged before it was asked for. What a kill leaves in the journal comes
into the file at the next start. No figures are computed here.
"""

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb
import orjson

from smart_support import events
from smart_support.events import Event, Record
from smart_support.observability.log import get_logger
from smart_support.storage.events.duckdb_file import (
    FROM_EVENT,
    REFUSALS,
    UNWRITTEN,
    EventFile,
    connect,
    insert,
    refused,
)
from smart_support.storage.events.group_commit import Done, Gathering
from smart_support.storage.events.journal import NAME, Batch, Journal
from smart_support.storage.events.snapshots import Asks, Params
from smart_support.storage.state.base import Row

log = get_logger()

SECONDS_TO_GATHER = 0.003
# Rows of a commit in the file: what fails and is tried again is no more than these.
AT_ONCE = 20_000
# On their way they are in memory, some 3 kB each. Once there are so many, who appends waits for the file.
MOST_WAITING = 50_000
# What is raised, before anything is written, where a record has no form as a row.
UNSTORABLE: tuple[type[Exception], ...] = (TypeError, ValueError, sqlite3.DataError)
# Of a BIGINT column.
_MAX_COUNT = 2**63 - 1024
_READ = """
    SELECT event_id, thread_id, turn_id, first_seq, seq, happened_at, type, channel, customer_id, payload
    FROM events WHERE thread_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_HAS = "SELECT 1 FROM events WHERE thread_id = ? AND event_id = ? LIMIT 1"
_KNOWN = """
    SELECT event_id FROM events
    WHERE happened_at >= $since::TIMESTAMP
      AND event_id IN (SELECT TRY_CAST(id AS UUID) FROM (SELECT unnest($ids::VARCHAR[]) AS id))
"""


class EventLog:
    """All events of a system."""

    def __init__(self, path: Path, seen: Callable[[Record], None] = lambda record: None) -> None:
        """`seen` is called with each record that is handed in, before it is durable.

        Raises:
            ConfigError: another process has the log open.
        """
        self._seen = seen
        self._file = EventFile(path, self._bring_in)
        # Held by whoever copies or rewrites the files of the stores: one at a time.
        self.copying = asyncio.Lock()
        # How often something was erased.
        self._erasures = 0
        # Whether the last commit in the file failed: a part of it may be there all the same.
        self._unsure = False
        self._open(path.parent)

    def append(self, record: Record) -> Done:
        """Hand a record to the writer.

        Returns:
            A future that is done once the record is durable, or holds `StorageFailed`; `EventRefused` where
            the log can't hold this record, whatever becomes of the others.
        """
        self._seen(record)
        return self._appending.put(record, awaited=record.event.ends_turn)

    @property
    def waiting(self) -> int:
        """How many records are not durable yet."""
        return self._appending.waiting

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return self._appending.lag_seconds

    async def read(self, thread_id: str, after: int = 0, limit: int = 1_000_000) -> list[Record]:
        """A thread's records with `seq` above `after`, in order, at most `limit`."""
        erasures = self._erasures
        # Looked at first: what comes into the file meanwhile is found twice, and not missed.
        coming = self._coming(thread_id)
        found = [as_record(row) for row in await self._file.read(_READ, [thread_id, after, limit])]
        if erasures != self._erasures:
            # What was looked at first may be erased by now.
            return await self.read(thread_id, after, limit)
        known = {record.event_id for record in found}
        found += [record for record in coming if record.seq > after and record.event_id not in known]
        return sorted(found, key=lambda record: record.seq)[:limit]

    async def has(self, thread_id: str, event_id: str) -> bool:
        """Whether an event of that id stands in the log."""
        if any(record.event_id == event_id for record in self._coming(thread_id)):
            return True
        return bool(await self._file.read(_HAS, [thread_id, event_id]))

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """Rows of one statement as dicts, from a reader's own cursor. `TIMESTAMP`s come as naive UTC."""
        await self._caught_up()
        return await self._file.query(sql, params)

    @contextlib.asynccontextmanager
    async def moment(self) -> AsyncIterator[Asks]:
        """What several statements are asked of, so that all tell of the same moment."""
        await self._caught_up()
        async with self._file.moment() as moment:
            yield moment

    async def export(self, sql: str, params: Params = ()) -> None:
        """Run a `COPY ... TO` statement in a reader; DuckDB writes into `export_folder` alone."""
        await self.query(sql, params)

    @property
    def export_folder(self) -> Path:
        """Where `export` may write."""
        return self._file.exports

    @property
    def question_folder(self) -> Path:
        """The folder for the copy of which an admin's question is asked; the asker makes it."""
        return self._file.question

    @contextlib.asynccontextmanager
    async def held_still(self) -> AsyncIterator[Path]:
        """The event file, with all that was appended, while nobody writes it; see `EventFile.held_still`."""
        await self._caught_up()
        async with self._file.held_still() as path:
            yield path

    async def erase(self, thread_ids: Sequence[str]) -> None:
        """Delete all records of these threads. Their bytes leave the files with `compact`."""
        # All of them in the file and none in the journal: what a kill leaves there would come back.
        await self._appending.do(_nothing)
        await self._file.caught_up()
        await self._appending.do(self._journal.forget)
        self._erasures += 1
        await self._file.do(lambda: self._file.erase(list(thread_ids)))
        await self._appending.do(lambda: self._journal.erase(thread_ids))
        await self._appending.do(self._journal.forget)

    async def compact(self) -> None:
        """Leave nothing erased in the bytes of the files; see `EventFile.compact`. Hold `copying`."""
        await self._appending.do(self._journal.clean)
        await self._file.compact()

    async def copy_to(self, path: Path, moment: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Copy the log, as it is at one moment, into a new file; meanwhile all goes on. Hold `copying`.

        Args:
            moment: awaited with a function that fixes what is copied: all that was appended before it is
                called, once and from any thread; it returns when that is done.
        """
        await self._file.copy_to(path, moment, self._appending.later)

    def close(self) -> None:
        """Have all that was appended in the file, and close it."""
        self._appending.close()
        self._file.close()
        with contextlib.suppress(sqlite3.Error):  # a full disk: the next start knows what is in the file
            self._journal.clean()
        self._journal.close()

    def _open(self, folder: Path) -> None:
        """Open what makes records durable, and bring in what a kill left there."""
        self._journal = Journal(folder / NAME)
        _bring_in_left(self._file.writing, self._journal)
        self._appending: Gathering[Record] = Gathering(self._write, UNWRITTEN, SECONDS_TO_GATHER, UNSTORABLE)

    def _write(self, records: list[Record]) -> None:
        if self._journal.rows_waiting >= MOST_WAITING:
            self._file.catch_up()
        self._journal.add(Batch(records, [as_row(record) for record in records]))
        self._file.soon()

    def _bring_in(self) -> None:
        """Bring what waits in the journal into the file; in the thread that writes it."""
        while batches := self._journal.first(AT_ONCE):
            rows = [row for batch in batches.values() for row in batch.rows]
            if self._unsure:
                rows = _missing(self._file.writing, rows)
            self._unsure = True
            try:
                self._file.insert(rows)
            except REFUSALS:
                self._file.insert(_without_refused(self._file.writing, self._journal, rows))
            self._journal.done(batches)
            self._unsure = False

    def _coming(self, thread_id: str) -> list[Record]:
        batches = self._journal.waiting().values()
        return [record for batch in batches for record in batch.records if record.thread_id == thread_id]

    async def _caught_up(self) -> None:
        if self._journal.waiting():
            await self._file.caught_up()


@contextlib.contextmanager
def checked_out(path: Path) -> Iterator[Callable[[], None]]:
    """Keep everybody else from opening the log; gives a function that has all of it written into its file."""
    journal = path.with_name(NAME)
    with contextlib.closing(connect(path)) as database:

        def write_out() -> None:
            if journal.exists():
                with contextlib.closing(Journal(journal)) as left:
                    _bring_in_left(database, left)
            database.execute("CHECKPOINT")

        yield write_out


def as_row(record: Record) -> Row:
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
        **{name: fields.get(name) for name in FROM_EVENT},
        "tool": fields.get("tool") or fields.get("action"),
        "duration_ms": _number(fields.get("duration_ms")),
        "first_token_ms": _number(fields.get("first_token_ms")),
        "input_tokens": _count(usage.get("input_tokens")),
        "output_tokens": _count(usage.get("output_tokens")),
        "cost_usd": _number(usage.get("cost_usd")),
        "payload": orjson.dumps(fields).decode(),
    }


def _number(value: Any) -> float | None:
    """A column's number. What a foreign graph gives in its place is kept in the payload alone."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= _MAX_COUNT else None


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


def _bring_in_left(cursor: duckdb.DuckDBPyConnection, journal: Journal) -> None:
    """Bring what a kill left in the journal into the file, but for what had come there before the kill."""
    if not (left := journal.left()):
        return
    missing = _missing(cursor, left)
    try:
        insert(cursor, missing)
    except REFUSALS:
        insert(cursor, _without_refused(cursor, journal, missing))
    journal.empty()


def _missing(cursor: duckdb.DuckDBPyConnection, rows: list[Row]) -> list[Row]:
    """Those of the rows that are not in the file."""
    since = min(row["happened_at"] for row in rows)
    found = cursor.execute(_KNOWN, {"since": since, "ids": [row["event_id"] for row in rows]}).fetchall()
    known = {str(event_id) for (event_id,) in found}
    return [row for row in rows if row["event_id"] not in known]


def _without_refused(cursor: duckdb.DuckDBPyConnection, journal: Journal, rows: list[Row]) -> list[Row]:
    """Those rows that the file takes. The others stay in the journal, so that nothing waits behind them."""
    aside = refused(cursor, rows)
    journal.put_aside(aside)
    for row, why in aside:
        log.error("event_put_aside", event_id=row["event_id"], thread_id=row["thread_id"], error=why)
    known = {row["event_id"] for row, _ in aside}
    return [row for row in rows if row["event_id"] not in known]


def _nothing() -> None:
    """What a thread does to say that all before it is done."""
