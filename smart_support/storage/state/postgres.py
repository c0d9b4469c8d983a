"""The state database in Postgres, shared by any number of processes.

A transaction holds one lock that all processes ask for first, so that it sees and changes the state as the
only one, just as the embedded database's transactions do; no rule needs a second version. Postgres drops the
lock with the connection, so that a killed process keeps nobody waiting. Single statements go without it.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from smart_support.errors import ConfigError
from smart_support.storage.state.base import (
    MIGRATIONS,
    Connection,
    Migration,
    Row,
    StateDatabase,
    T,
    apply,
    unapplied,
)

CONNECTIONS = 6
SECONDS_TO_CONNECT = 10.0
# Keys of Postgres' advisory locks; threads have keys of their own, hashed (see locks.py beside this).
STATE_LOCK, EVENTS_LOCK, MIGRATION_LOCK = 0x55501, 0x55502, 0x55503
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")
# What the migrations call by SQLite's names.
_TYPES = ((re.compile(r"\bBLOB\b"), "BYTEA"), (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"))


class PostgresConnection:
    """Statements on a Postgres connection; a `Connection` as database.py means it."""

    def __init__(self, raw: "psycopg.Connection[Row]") -> None:
        self._raw = raw

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement; its rows, or an empty list."""
        cursor = self._raw.execute(_translated(sql), _plain(params))
        return cursor.fetchall() if cursor.description else []


class SharedDatabase(StateDatabase):
    """For any number of processes.

    Attributes:
        pool: connections for statements of one's own.
    """

    def __init__(self, url: str) -> None:
        """
        Raises:
            ConfigError: there is no such database, or it does not let us in.
        """
        self.pool = connected(url)
        self._workers = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="state")
        migrate(self.pool)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self._transaction, work)

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self.execute_now, sql, params)

    def execute_now(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        with self.pool.connection() as raw:
            return PostgresConnection(raw).execute(sql, params)

    def transact_now(self, work: Callable[[Connection], T]) -> T:
        return self._transaction(work)

    async def compact(self) -> None:
        """Postgres frees what was deleted by itself; this has it done now, for the tables that hold words."""

        def vacuum() -> None:
            with self.pool.connection() as raw:
                for table in ("approvals", "action_ledger", "audit", "escalations", "sessions", "events"):
                    raw.execute(f"VACUUM {table}")

        await asyncio.to_thread(vacuum)

    def close(self) -> None:
        self._workers.shutdown(wait=True)
        self.pool.close()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self.pool.connection() as raw, raw.transaction():
            raw.execute("SELECT pg_advisory_xact_lock(%s)", [STATE_LOCK])
            return work(PostgresConnection(raw))


def keeping_alive(url: str) -> str:
    """The address, with what lets a connection be given up ten seconds after its other end is gone unseen.

    Raises:
        ConfigError: it is no address of a database.
    """
    try:
        return make_conninfo(
            url, keepalives_idle=4, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000
        )
    except psycopg.ProgrammingError as error:
        raise ConfigError(_no_connection(error)) from None


def connected(url: str) -> "ConnectionPool[psycopg.Connection[Row]]":
    """A pool of connections to the database that the operator named.

    Raises:
        ConfigError: there is no such database, or it does not let us in.
    """
    pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
        url,
        min_size=1,
        max_size=CONNECTIONS + 4,  # the workers', and those of the event log
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            # It writes parameters into the statement (quoted), so that NULL needs no type.
            "cursor_factory": psycopg.ClientCursor,
        },
        check=ConnectionPool.check_connection,
        open=False,
    )
    try:
        # Once by hand: the pool would only say that it took too long.
        psycopg.connect(url, connect_timeout=int(SECONDS_TO_CONNECT)).close()
        pool.open(wait=True, timeout=SECONDS_TO_CONNECT)
    except (psycopg.Error, PoolTimeout) as error:
        raise ConfigError(_no_connection(error)) from None
    return pool


def _no_connection(error: Exception) -> str:
    return (
        f"SMART_SUPPORT_DATABASE_URL: no connection: {str(error).strip()}; give it as "
        "postgresql://user:password@host:5432/database, and see that the database exists"
    )


@contextlib.contextmanager
def reading_shared(url: str) -> Iterator[Callable[[str, Mapping[str, Any]], Iterator[Row]]]:
    """As `reading.reading`, of a shared database.

    Raises:
        ConfigError: there is no such database, or it does not let us in.
    """
    try:
        connection = psycopg.connect(url, row_factory=dict_row, connect_timeout=int(SECONDS_TO_CONNECT))
    except psycopg.Error as error:
        raise ConfigError(_no_connection(error)) from None

    def read(sql: str, params: Mapping[str, Any]) -> Iterator[Row]:
        # With a name, so that the rows stay with the server until they are asked for.
        with psycopg.ServerCursor(connection, f"rows_{next(numbers)}") as cursor:
            yield from cursor.execute(_translated(sql), _plain(params))

    numbers = itertools.count()
    with connection:
        connection.read_only = True
        # All that is read is of one moment.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield read


def migrate(pool: "ConnectionPool[psycopg.Connection[Row]]") -> list[str]:
    """Apply the migrations that the database has not had; one process does, the others wait.

    Returns:
        The names of those applied. A copy beforehand is the operator's: `pg_dump`.
    """
    with pool.connection() as raw, raw.transaction():
        raw.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        connection = _Migrating(raw)
        wanted = _unapplied(connection)
        for migration in wanted:
            apply(connection, migration)
        return [migration.path.name for migration in wanted]


def due(pool: "ConnectionPool[psycopg.Connection[Row]]") -> list[str]:
    """The names of the migrations that `migrate` would apply."""
    with pool.connection() as raw, raw.transaction(force_rollback=True):
        return [migration.path.name for migration in _unapplied(_Migrating(raw))]


def _unapplied(connection: Connection) -> list[Migration]:
    return [one for kind in ("state", "shared") for one in unapplied(connection, MIGRATIONS / kind)]


class _Migrating(PostgresConnection):
    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        for theirs, ours in _TYPES:
            sql = theirs.sub(ours, sql)
        return super().execute(sql, params)


@lru_cache(maxsize=500)
def _translated(sql: str) -> Any:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


def _plain(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Flags as the integers that the tables hold; a NUL, which Postgres' text can't hold, as its picture."""
    return {name: _plain_value(value) for name, value in (params or {}).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value.replace("\x00", "␀") if isinstance(value, str) else value
