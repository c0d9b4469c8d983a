"""The event log of many processes: in Postgres, with a copy in DuckDB for questions over all of it.

Postgres is the truth: what is appended is durable there, a thread is read from there, and every commit tells
the other processes which threads have news. Figures are asked of the copy, one for each process, at DuckDB's
own speed; it is filled up before each question and once a second, and may be deleted at any time.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg_pool import ConnectionPool

from smart_support.concurrency import wait_for_end
from smart_support.errors import ConfigError
from smart_support.events import Record
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.postgres_bus import CHANNEL, PostgresBus
from smart_support.storage.events.duckdb_file import REFUSALS, refused
from smart_support.storage.events.embedded import UNSTORABLE, EventLog, as_record, as_row
from smart_support.storage.events.group_commit import Gathering
from smart_support.storage.state.base import Row
from smart_support.storage.state.postgres import EVENTS_LOCK

log = get_logger()

NEWS = "events"
# A commit in Postgres costs more than one in a file, and a lock for all who append.
SECONDS_TO_GATHER = 0.01
UNWRITTEN = "The event log could not be written; see that the database answers."
AT_ONCE = 20_000
MOST_COPIES = 64
SECONDS_BETWEEN_LOOKS = 1.0
# With ids of the longest kind, this many threads fit into one notification.
_THREADS_TOLD_AT_ONCE = 40
# Besides what has no form as a row: what Postgres says of a row, and not of its own state.
_UNSTORABLE = (*UNSTORABLE, psycopg.DataError, psycopg.IntegrityError)
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_APPEND = """
    INSERT INTO events (thread_id, seq, event_id, row)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[])
"""
_READ = "SELECT row FROM events WHERE thread_id = %s AND seq > %s ORDER BY seq LIMIT %s"
_HAS = "SELECT 1 FROM events WHERE thread_id = %s AND event_id = %s LIMIT 1"
_ERASE = "DELETE FROM events WHERE thread_id = ANY(%s)"
_ERASED = "SELECT position, threads FROM erasures WHERE position > %s ORDER BY position"
_NEW = "SELECT position, event_id, row FROM events WHERE position > %s ORDER BY position LIMIT %s"
_IS_OURS = "SELECT 1 FROM events WHERE position = %s AND event_id = %s"
_MARK = "CREATE TABLE IF NOT EXISTS copied (position BIGINT, erasure BIGINT, event_id VARCHAR)"


class SharedEventLog(EventLog):
    """An `EventLog` as all processes of a system see it; its file is this process' copy."""

    def __init__(
        self,
        path: Path,
        pool: "ConnectionPool[psycopg.Connection[Row]]",
        bus: PostgresBus,
        seen: Callable[[Record], None] = lambda record: None,
    ) -> None:
        """
        Raises:
            ConfigError: another process has this copy; take another path.
        """
        self._pool = pool
        self._bus = bus
        super().__init__(path, seen)
        # Protects the copy's mark: who fills the copy reads it, then moves it.
        self._filling = asyncio.Lock()
        self._filled = 0.0
        self._position, self._erasure = self._marked()
        self._rewriting: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, folder: Path, *args: Any) -> "SharedEventLog":
        """With the first copy in `folder` that no other process uses."""
        for number in range(1, MOST_COPIES):
            try:
                return cls(folder / f"copy-{number}.duckdb", *args)
            except ConfigError:
                continue
        return cls(folder / f"copy-{MOST_COPIES}.duckdb", *args)

    async def read(self, thread_id: str, after: int = 0, limit: int = 1_000_000) -> list[Record]:
        rows = await asyncio.to_thread(self._fetch, _READ, (thread_id, after, limit))
        return [_record(row["row"]) for row in rows]

    async def has(self, thread_id: str, event_id: str) -> bool:
        return bool(await asyncio.to_thread(self._fetch, _HAS, (thread_id, event_id)))

    async def erase(self, thread_ids: Sequence[str]) -> None:
        await self._appending.do(lambda: self._erase_for_all(list(thread_ids)))
        await self.fill_up()

    async def compact(self) -> None:
        """Write this process' copy anew; the other processes do the same with theirs."""
        async with self._filling:
            await self._file.compact()

    async def fill_up(self) -> None:
        """Return once the copy holds all that was committed before this was called."""
        asked = time.monotonic()
        async with self._filling:
            if self._filled >= asked:
                return  # somebody began to fill it after we asked
            began = time.monotonic()
            while await self._fill_some():
                pass
            self._filled = began

    async def keep_filled(self) -> None:
        """Fill the copy up once a second, so that nobody who asks waits long."""
        while True:
            try:
                await self.fill_up()
            except Exception as error:
                log.error("copy_not_filled", error=repr(error))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def stop_rewriting(self) -> None:
        """End a compaction of the copy that runs. The next start makes the copy anew where it has to."""
        if self._rewriting:
            await wait_for_end(self._rewriting)

    def close(self) -> None:
        self._appending.close()
        self._file.close()

    def _open(self, folder: Path) -> None:
        self._appending = Gathering(self._write, UNWRITTEN, SECONDS_TO_GATHER, _UNSTORABLE)

    def _bring_in(self) -> None:
        """Nothing is on its way: what is durable is in Postgres, and is taken from there."""

    async def _caught_up(self) -> None:
        await self.fill_up()

    def _write(self, records: list[Record]) -> None:
        texts = [orjson.dumps(as_row(record)).decode() for record in records]
        news: dict[str, list[int]] = {}
        for record in records:
            news.setdefault(record.thread_id, [record.seq, record.seq])[1] = record.seq
        columns = [[record.thread_id for record in records], [record.seq for record in records]]
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(_LOCK, [EVENTS_LOCK])
            connection.execute(_APPEND, [*columns, [record.event_id for record in records], texts])
            for start in range(0, len(news), _THREADS_TOLD_AT_ONCE):
                some = dict([*news.items()][start : start + _THREADS_TOLD_AT_ONCE])
                told = self._bus.payload(NEWS, {"threads": some})
                connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, told])

    def _erase_for_all(self, thread_ids: list[str]) -> None:
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(_LOCK, [EVENTS_LOCK])
            connection.execute(_ERASE, [thread_ids])
            told = orjson.dumps(thread_ids).decode()
            connection.execute("INSERT INTO erasures (threads) VALUES (%s)", [told])

    def _fetch(self, sql: str, params: Sequence[Any]) -> list[Row]:
        with self._pool.connection() as connection:
            return connection.execute(sql, params).fetchall()

    async def _fill_some(self) -> bool:
        """Take the next rows into the copy; whether there may be more."""
        erased, rows = await asyncio.to_thread(self._news)
        if not (erased or rows):
            return False
        await self._file.do(lambda: self._take_in(erased, rows))
        if erased and (self._rewriting is None or self._rewriting.done()):
            self._rewriting = asyncio.create_task(self.compact())
        return len(rows) == AT_ONCE

    def _news(self) -> tuple[list[Row], list[Row]]:
        """Erasures and rows of one moment: of a thread that was erased and goes on, only what is left."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            erased = connection.execute(_ERASED, [self._erasure]).fetchall()
            return erased, connection.execute(_NEW, [self._position, AT_ONCE]).fetchall()

    def _take_in(self, erased: list[Row], rows: list[Row]) -> None:
        """Copy what is new. A row that DuckDB will never take stays in Postgres alone: replay shows it."""
        texts = [row["row"] for row in rows]
        try:
            self._copy(erased, rows, texts)
        except REFUSALS:
            bad = {row["event_id"]: why for row, why in refused(self._file.writing, _parsed(texts))}
            for event_id, why in bad.items():
                log.error("event_not_copied", event_id=event_id, error=why)
            kept = [row["row"] for row in rows if row["event_id"] not in bad]
            self._copy(erased, rows, kept)

    def _copy(self, erased: list[Row], rows: list[Row], texts: list[str]) -> None:
        position = rows[-1]["position"] if rows else self._position
        erasure = erased[-1]["position"] if erased else self._erasure
        writing = self._file.writing
        writing.begin()
        try:
            if erased:
                self._file.erase([thread for row in erased for thread in orjson.loads(row["threads"])])
            if texts:
                self._file.insert_json(f"[{','.join(texts)}]")
            if rows:
                mark = {"position": position, "event_id": rows[-1]["event_id"]}
                writing.execute("UPDATE copied SET position = $position, event_id = $event_id", mark)
            writing.execute("UPDATE copied SET erasure = $erasure", {"erasure": erasure})
            writing.commit()
        except BaseException:
            writing.rollback()
            raise
        self._position, self._erasure = position, erasure

    def _marked(self) -> tuple[int, int]:
        """How far the copy goes. One that is not of this database's log is emptied."""
        self._file.writing.execute(_MARK)
        found = self._file.writing.execute("SELECT position, erasure, event_id FROM copied").fetchall()
        if found and (found[0][0] == 0 or self._fetch(_IS_OURS, (found[0][0], found[0][2]))):
            return int(found[0][0]), int(found[0][1])
        self._file.writing.execute("DELETE FROM events")
        self._file.writing.execute("DELETE FROM copied")
        last = self._fetch("SELECT COALESCE(MAX(position), 0) AS last FROM erasures", ())[0]["last"]
        self._file.writing.execute("INSERT INTO copied VALUES (0, ?, NULL)", [last])
        return 0, int(last)


def _parsed(texts: list[str]) -> list[Row]:
    return [orjson.loads(text) for text in texts]


def _record(text: str) -> Record:
    row = orjson.loads(text)
    return as_record(row | {"happened_at": datetime.fromisoformat(row["happened_at"])})
