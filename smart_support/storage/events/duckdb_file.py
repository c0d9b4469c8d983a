"""The DuckDB file of events: one thread writes it, readers have a cursor each.

Figures and searches are asked of it. How events come into it, and when one is durable, its owner knows: the
event log of one process, or that of many.
"""

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import orjson

from smart_support.errors import ConfigError
from smart_support.storage.events.compaction import COPY, Turnstile, attach, begin, file_for, fill, finish
from smart_support.storage.events.group_commit import Awaited, Done, Gathering
from smart_support.storage.events.snapshots import Asks, Moments, Params, rows_of
from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state.base import MIGRATIONS, Row, apply, unapplied

# Columns filled from the event's own field of the same name where it has one.
FROM_EVENT = (
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
    **dict.fromkeys(FROM_EVENT, "VARCHAR"),
    "duration_ms": "DOUBLE",
    "first_token_ms": "DOUBLE",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "payload": "VARCHAR",
}
TEXT_COLUMNS = tuple(name for name, type_ in _TYPES.items() if type_ == "VARCHAR" and name != "payload")
# The structure holds names and types from above, nothing from outside.
_INSERT = "INSERT INTO {} BY NAME SELECT unnest(from_json(?, '{}'), recursive := true)"
_ERASE = "DELETE FROM {} WHERE thread_id IN (SELECT unnest($threads::VARCHAR[]))"
# The folder of backups, beside the file.
BACKUPS = "backups"
# In this order; after the last nothing can be set any more.
_LOCKED = {
    "enable_progress_bar": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
}
# How long the writing thread waits for somebody who copies the file.
SECONDS_STILL = 60.0
# A commit costs 2 ms of CPU however little is in it, and nobody waits for one: so many a second and no more.
SECONDS_BETWEEN_COMMITS = 0.25
# How long a thread waits for the one that writes, before it is told that nothing can be written.
SECONDS_TO_WRITE = 10
# What DuckDB says of rows that it will never take, whatever becomes of the disk.
REFUSALS = (duckdb.IntegrityError, duckdb.DataError, duckdb.InvalidInputException)
UNWRITTEN = "The event log could not be written; check the disk of DATA_DIR."


class EventFile:
    """The file, its writing thread and its readers."""

    def __init__(self, path: Path, due: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            due: writes what waits to be written, if anything does. Called in the writing thread soon after
                `soon`, and before all other work there.

        Raises:
            ConfigError: another process has it open.
        """
        make_private_folder(path.parent)
        self._path = path
        self._due = due
        file_for(path).unlink(missing_ok=True)
        self._database = connect(path)
        # Only now: they are another process' where it has the file open.
        for folder in (self.exports, self.question):
            shutil.rmtree(folder, ignore_errors=True)
        make_private_folder(self.exports)
        _migrate(self._database, path)
        self._database_use = Turnstile()
        # The writing thread's; nobody else's once there are things for it to do.
        self.writing = self._database.cursor()
        self._writer: Gathering[None] = Gathering(
            lambda _: self._working(due)(), UNWRITTEN, SECONDS_BETWEEN_COMMITS
        )
        self._given_up = False
        self._short = ThreadPoolExecutor(1, thread_name_prefix="event-read")
        self._long = ThreadPoolExecutor(2, thread_name_prefix="event-ask")
        self._moments = Moments(self._database_use, self._cursor, self._writer.do)
        self._local = threading.local()
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        # While the file is being copied: what was written since, and which threads were erased.
        self._since: list[Row] | None = None
        self._erased: list[str] = []

    @property
    def exports(self) -> Path:
        """The one folder that `COPY ... TO` can write into."""
        return exports_of(self._path)

    @property
    def question(self) -> Path:
        """The folder for the copy of which an admin's question is asked."""
        return self._path.with_name(f"{self._path.name}.question")

    def soon(self) -> None:
        """Have `due` called: from any thread."""
        self._writer.hand(None)

    def do(self, work: Callable[[], None]) -> Done:
        """Have work done by the writing thread, after all that is due."""
        return self._writer.do(self._working(self._after_due(work)))

    def caught_up(self) -> Done:
        """Have all that is due written."""
        return self._writer.do(self._working(self._due))

    def catch_up(self) -> None:
        """As `caught_up`, for a thread that waits; raises `StorageFailed`."""
        due = Awaited(self._working(self._due), UNWRITTEN)
        self._writer.later(due)()
        due.wait(SECONDS_TO_WRITE)

    def insert(self, rows: list[Row]) -> None:
        """Write rows in one commit; in the writing thread."""
        insert(self.writing, rows)
        if self._since is not None:
            self._since += rows

    def insert_json(self, rows: str) -> None:
        """Write many rows, as the JSON of an array of them; in the writing thread."""
        self.writing.execute(_INSERT.format("events", orjson.dumps([_TYPES]).decode()), [rows])

    def erase(self, thread_ids: list[str]) -> None:
        """Delete the rows of these threads; in the writing thread."""
        self.writing.execute(_ERASE.format("events"), {"threads": thread_ids})
        if self._since is not None:
            gone = set(thread_ids)
            self._erased += thread_ids
            self._since = [row for row in self._since if row["thread_id"] not in gone]

    async def read(self, sql: str, params: Params) -> list[Row]:
        """As `query`, for what is soon found: it never waits behind a figure."""
        return await asyncio.get_running_loop().run_in_executor(self._short, self._query, sql, params)

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """Rows of one statement as dicts, from a reader's own cursor. `TIMESTAMP`s come as naive UTC."""
        return await asyncio.get_running_loop().run_in_executor(self._long, self._query, sql, params)

    def moment(self) -> contextlib.AbstractAsyncContextManager[Asks]:
        """All that is asked of what this gives, is told of one moment, whatever is written meanwhile."""
        return self._moments.one()

    @contextlib.asynccontextmanager
    async def held_still(self) -> AsyncIterator[Path]:
        """The path of the file, which with its log stays as it is until the caller leaves.

        Meanwhile the writing thread waits (at most `SECONDS_STILL`); what is appended is durable elsewhere.
        Whoever copies the file must do it in another process: by closing a file, a process gives up all its
        locks on it.
        """
        loop = asyncio.get_running_loop()
        still: asyncio.Future[None] = loop.create_future()
        left = threading.Event()

        def wait() -> None:
            loop.call_soon_threadsafe(still.cancel)  # which, unlike a result, may come too late
            left.wait(SECONDS_STILL)

        held = self.do(wait)
        try:
            await asyncio.wait({held, still}, return_when=asyncio.FIRST_COMPLETED)
            if held.done():
                await held  # what was due could not be written
            yield self._path
        finally:
            left.set()
        await held

    async def compact(self) -> None:
        """Write the file anew, so that nothing erased is left in its bytes.

        Meanwhile all goes on but for the moment in which the files change places. A kill leaves one of them,
        whole.
        """
        with self._database.cursor() as cursor:
            await asyncio.to_thread(attach, cursor, file_for(self._path))
            # By the writer, so that a row is either copied or among those written since.
            await self.do(lambda: self._begin_copy(cursor))
            await asyncio.to_thread(fill, cursor)
        await asyncio.to_thread(self._database_use.close)
        try:
            await self.do(self._put_in_place)
        finally:
            self._database_use.open()
        for copy in self._path.parent.glob(f"{self._path.name}.before-*"):
            copy.unlink()

    async def copy_to(
        self,
        path: Path,
        moment: Callable[[Callable[[], None]], Awaitable[None]],
        after: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        """Copy the file, as it is at one moment, into a new one; meanwhile all goes on.

        Args:
            moment: awaited with a function that fixes what is copied: all that was due before it is called,
                once and from any thread; it returns when that is done.
            after: makes of what hands in work one that hands it in when all is due that was appended.
        """
        with self._database.cursor() as cursor:
            fix = Awaited(self._after_due(lambda: begin(cursor)), UNWRITTEN)
            hand_in = after(self._writer.later(fix))

            def fix_now() -> None:
                hand_in()
                fix.wait(SECONDS_TO_WRITE)

            await asyncio.to_thread(attach, cursor, path)
            await moment(fix_now)
            await asyncio.to_thread(fill, cursor)
            await asyncio.to_thread(finish, cursor)

    def close(self) -> None:
        """Write what is due, then close the file."""
        self.soon()
        self._writer.close()
        self.writing.close()
        self._short.shutdown(wait=True)
        self._long.shutdown(wait=True)
        self._moments.close()
        for cursor in self._cursors:
            cursor.close()
        self._database.close()

    def _working(self, work: Callable[[], None]) -> Callable[[], None]:
        """Work of the writing thread, with the file opened anew if DuckDB has given it up.

        So it does where the disk is full at a checkpoint; only another instance can go on after that.
        """

        def done() -> None:
            if self._given_up and self._database_use.close_if_open():
                try:
                    self._open_anew(self._path)
                finally:
                    self._database_use.open()
                self._given_up = False
            try:
                work()
            except duckdb.FatalException:
                self._given_up = True
                self.soon()
                raise

        return done

    def _after_due(self, work: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            self._due()
            work()

        return both

    def _query(self, sql: str, params: Params) -> list[Row]:
        with self._database_use.inside():
            if getattr(self._local, "database", None) is not self._database:
                self._local.database, self._local.cursor = self._database, self._database.cursor()
                self._cursors.append(self._local.cursor)
            return rows_of(self._local.cursor, sql, params)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        return self._database.cursor()

    def _begin_copy(self, cursor: duckdb.DuckDBPyConnection) -> None:
        begin(cursor)
        self._since, self._erased = [], []

    def _put_in_place(self) -> None:
        since, self._since = self._since or [], None
        self.writing.execute(_ERASE.format(f"{COPY}.events"), {"threads": self._erased})
        if since:
            insert(self.writing, since, f"{COPY}.events")
        finish(self.writing)
        self._open_anew(file_for(self._path))

    def _open_anew(self, path: Path) -> None:
        """Open a file in the place of this one, or this one again; while nobody uses it."""
        for cursor in (*self._cursors, self.writing):
            cursor.close()
        self._cursors.clear()
        # Closing writes the log into the file, so that none is left that would not fit the new one.
        self._database.close()
        if path != self._path:
            os.replace(path, self._path)
        self._database = connect(self._path)
        self.writing = self._database.cursor()


def exports_of(path: Path) -> Path:
    """Where exports of an event file are written; absolute, as DuckDB compares paths."""
    return path.resolve().with_name(f"{path.name}.exports")


def check_free(path: Path) -> None:
    """See that nobody else has the log open; raises `ConfigError` with what to do."""
    make_private_folder(path.parent)
    connect(path).close()


def applied(path: Path) -> set[str]:
    """The names of the migrations that a log has had."""
    with contextlib.closing(connect(path)) as log:
        if not log.execute(
            "SELECT 1 FROM duckdb_tables() WHERE table_name = 'applied_migrations'"
        ).fetchall():
            return set()
        return {str(name) for (name,) in log.execute("SELECT name FROM applied_migrations").fetchall()}


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file, as it is, in an instance that can reach no other file but those it has to write.

    Every DuckDB of the product is opened here. Those files are its exports, its compacted copy, and backups.

    Raises:
        ConfigError: another process has it open; says what to do.
    """
    # A file of the older format can still be opened by the release before this one; see docs of DuckDB.
    config: dict[str, Any] = {
        # A statement costs less CPU so, and several are asked side by side; see moments.py.
        "threads": 1,
        "checkpoint_threshold": "1MB",
        "storage_compatibility_version": "v1.5.0",
    }
    try:
        database = duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        raise ConfigError(
            f"SMART_SUPPORT_DATA_DIR: {path} can't be opened; stop the other process that uses it, "
            f"or choose another folder ({str(error).splitlines()[0]})"
        ) from None
    _lock(database, path)
    return database


def _lock(database: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Take away what SQL could reach beside the file (duckdb.org, "Securing DuckDB"); it can't be undone.

    The order matters: the paths can't be named any more once external access is off.
    """
    if database.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]:
        return  # the same instance, opened a second time by this process
    place, copy = path.resolve(), file_for(path.resolve())
    folders = [exports_of(path), place.with_name(BACKUPS)]
    files = [f"{copy}{ending}" for ending in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]
    for name, paths in (("allowed_directories", folders), ("allowed_paths", files)):
        listed = ", ".join("'" + str(one).replace("'", "''") + "'" for one in paths)
        database.execute(f"SET {name} = [{listed}]")
    for name, value in _LOCKED.items():
        database.execute(f"SET {name} = {value}")


def insert(cursor: duckdb.DuckDBPyConnection, rows: list[Row], table: str = "events") -> None:
    """Insert rows in one commit, naming only columns in use: planning for all costs as much as the rest."""
    if not rows:
        return
    used = {name for row in rows for name, value in row.items() if value is not None}
    structure = {name: type_ for name, type_ in _TYPES.items() if name in used}
    cursor.execute(_INSERT.format(table, orjson.dumps([structure]).decode()), [orjson.dumps(rows).decode()])


def refused(cursor: duckdb.DuckDBPyConnection, rows: list[Row]) -> list[tuple[Row, str]]:
    """Those of the rows that can never be inserted, each with DuckDB's reason; nothing is changed."""
    cursor.begin()
    try:
        insert(cursor, rows)
        return []
    except REFUSALS as error:
        if len(rows) == 1:
            return [(rows[0], str(error))]
    finally:
        cursor.rollback()
    half = len(rows) // 2
    return refused(cursor, rows[:half]) + refused(cursor, rows[half:])


def _migrate(database: duckdb.DuckDBPyConnection, path: Path) -> None:
    class Rows:
        def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
            return rows_of(database, sql.replace(":name", "$name"), params or {})

    for migration in unapplied(Rows(), MIGRATIONS / "events"):
        if not migration.first:
            # With its log written into it, the file is all there is.
            database.execute("CHECKPOINT")
            shutil.copyfile(path, migration.backup_of(path))
        database.begin()
        apply(Rows(), migration)
        database.commit()
