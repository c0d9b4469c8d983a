"""Stores the rows of a demo business in a SQLite file."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from smart_support import clock
from smart_support.demo import MIGRATIONS
from smart_support.demo.changes import Tables
from smart_support.errors import ConfigError, ToolRefused
from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state.base import Row, apply_migration, missing_migrations
from smart_support.storage.state.sqlite import SqliteConnection
from smart_support.tools.registry import Call

# The statements that begin, keep and undo a transaction.
_OUTERMOST = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
_NESTED = ("SAVEPOINT step", "RELEASE step", "ROLLBACK TO step")
_TABLES = """
    SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    AND name <> 'applied_migrations' ORDER BY name
"""


class DemoStore:
    """A transactional store of demo rows; a new file gets them from `seed_dir`.

    Only the thread of `executor` uses the database. Call `read`, `execute`, `once` and `try_out` from
    functions that you submit to it, and `dump`, `copy_to` and `close` from any other thread.

    Args:
        seed_dir: a JSON file of rows for each table, `<table>.json`; `customers` is one of them.
        business: the folder of migrations that makes its tables.

    Raises:
        ConfigError: a new file can't be seeded from `seed_dir`.
    """

    def __init__(self, path: Path, seed_dir: Path, business: str = "shop") -> None:
        make_private_folder(path.parent)
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="demo-store")
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.execute("PRAGMA synchronous=FULL")
        self._raw.execute("PRAGMA foreign_keys=ON")
        self._db = SqliteConnection(self._raw)
        try:
            self.executor.submit(self._set_up, seed_dir, business).result()
        except BaseException:
            self.close()
            raise

    def read(self, sql: str, **params: Any) -> list[Row]:
        """Return the rows of a statement; within a write, with the changes so far."""
        return self._db.execute(sql, params)

    def execute(self, sql: str, **params: Any) -> None:
        """Run a statement of a write, within the function given to `once`."""
        if not self._raw.in_transaction:
            raise RuntimeError("a write outside of DemoStore.once")
        self._db.execute(sql, params)

    def once(self, call: Call | None, description: str, work: Callable[[], Row]) -> Row:
        """Run `work` in a transaction, or return the result that is stored under the call's idempotency key.

        Args:
            call: its key is stored with the result, and its `unless_changed` is called, in the transaction.
            description: the tool and its arguments. A key is valid for one description only.

        Raises:
            ToolRefused: the key was used for another call; nothing was changed.
        """
        key = call.idempotency_key if call else None
        with self._transaction():
            if key is None:
                return work()
            sql = "SELECT call, result FROM write_journal WHERE idempotency_key = :key"
            if recorded := self.read(sql, key=key):
                return _recorded_result(recorded[0], description)
            if call and call.unless_changed:
                call.unless_changed()
            result = work()
            self.execute(
                "INSERT INTO write_journal VALUES (:key, :call, :result, :now)",
                key=key,
                call=description,
                result=orjson.dumps(result).decode(),
                now=clock.rfc3339(clock.now()),
            )
            return result

    def try_out(self, work: Callable[[], Any], tables: Iterable[str]) -> tuple[Tables, Tables]:
        """Return the rows of `tables` before and after `work`, in a transaction that is always rolled back.

        Raises whatever `work` raises.
        """
        with self._transaction(keep=False):
            before = self._tables(tables)
            work()
            return before, self._tables(tables)

    def dump(self) -> Tables:
        """Return all rows of all tables, ordered by primary key. Not for the owning thread."""
        return self.executor.submit(self._dump).result()

    def copy_to(self, path: Path) -> None:
        """Write a copy of the database to `path`. Not for the owning thread."""
        self.executor.submit(self._raw.execute, "VACUUM INTO ?", (str(path),)).result()

    def close(self) -> None:
        """Finish submitted work, then close the file."""
        self.executor.shutdown(wait=True)
        self._raw.close()

    def _dump(self) -> Tables:
        return self._tables(row["name"] for row in self.read(_TABLES))

    def _tables(self, names: Iterable[str]) -> Tables:
        # Names come from the schema, never from a caller; the first columns are the primary key.
        return {name: self.read(f"SELECT * FROM {name} ORDER BY 1, 2") for name in names}

    @contextmanager
    def _transaction(self, *, keep: bool = True) -> Iterator[None]:
        """A transaction, or a savepoint in the running one; rolled back at the end unless `keep`."""
        begin, commit, rollback = _NESTED if self._raw.in_transaction else _OUTERMOST
        self._raw.execute(begin)
        kept = False
        try:
            yield
            if keep:
                self._raw.execute(commit)
                kept = True
        finally:
            # A failed commit may have rolled back. A transaction left open would contain all later writes.
            if not kept and self._raw.in_transaction:
                self._raw.execute(rollback)

    def _set_up(self, seed_dir: Path, business: str) -> None:
        with self._transaction():
            for migration in missing_migrations(self._db, MIGRATIONS / business):
                apply_migration(self._db, migration)
            if self.read("SELECT 1 FROM customers LIMIT 1"):
                return
            # Rows refer to rows of files that come later, so foreign keys are checked at the commit.
            self._db.execute("PRAGMA defer_foreign_keys=ON")
            files = sorted(seed_dir.glob("*.json"))
            if not files:
                raise ConfigError(f"{seed_dir}: has no demo data; expected customers.json and other files")
            for file in files:
                self._seed(file)

    def _seed(self, file: Path) -> None:
        """Insert a file's rows into the table it is named after."""
        now = clock.now()
        try:
            for row in orjson.loads(file.read_bytes()):
                values = dict(_dated(row, now))
                columns, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
                self._db.execute(f"INSERT INTO {file.stem} ({columns}) VALUES ({marks})", values)
        except (orjson.JSONDecodeError, AttributeError, TypeError, sqlite3.Error) as error:
            raise ConfigError(f"{file}: can't be loaded into the demo store: {error}") from error


def _dated(row: Mapping[str, Any], now: Any) -> Iterator[tuple[str, Any]]:
    """The columns of a seed row: `placed_days_ago: 2` becomes `placed_at`, two days before `now`."""
    for name, value in row.items():
        if name.endswith("_days_ago"):
            yield name.removesuffix("days_ago") + "at", clock.rfc3339(now - timedelta(days=value))
        elif name.endswith("_in_days"):
            yield name.removesuffix("in_days") + "at", clock.rfc3339(now + timedelta(days=value))
        else:
            yield name, value


def _recorded_result(journal: Row, description: str) -> Row:
    if journal["call"] != description:
        raise ToolRefused("This idempotency key was already used for another call; nothing was changed.")
    result: Row = orjson.loads(journal["result"])
    return result
