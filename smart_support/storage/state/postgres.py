"""The state database in PostgreSQL, shared by any number of processes.

A transaction locks, in this order: the state, so that nothing changes under a transaction that needs all of
it; the names of what it works on; and with its last statement the head of the audit trail, which each row of
the trail follows from. All are advisory locks that PostgreSQL frees at the end of the transaction or of its
connection: a killed process blocks nobody. Reads and single statements take none of them.

Each message to the server waits for its answer, so that a transaction sends few: statements that give no rows
wait for the next one that does, or for the commit. Messages go through libpq's own call (`psycopg.pq`), which
takes less time than a cursor; a statement that is `Frequent` is planned once for each connection.
"""

import asyncio
import contextlib
import hashlib
import itertools
import re
import select
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import psycopg
import psycopg.sql
from psycopg.adapt import Transformer
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, Escaping, ExecStatus
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from smart_support.errors import ConfigError
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import (
    GENESIS,
    MIGRATIONS,
    ChainedRow,
    Connection,
    Frequent,
    Migration,
    Params,
    Row,
    StateDatabase,
    T,
    apply_migration,
    missing_migrations,
)
from smart_support.text import NUL_SYMBOL

log = get_logger()
CONNECTIONS, SEARCHES = 6, 2
SECONDS_TO_CONNECT = 10.0
# Keys of advisory locks. The locks of `coordination/postgres_locks.py` have other, hashed keys.
STATE_LOCK, EVENTS_LOCK, MIGRATION_LOCK, AUDIT_LOCK = 0x55501, 0x55502, 0x55503, 0x55504
# The first half of the keys of locks on names.
NAMED_LOCKS = 0x555
# The expression is that of a search in `approvals/reader.py`.
_WORD_INDEX = """
    CREATE INDEX IF NOT EXISTS approvals_by_words ON approvals USING gin ((LOWER(
        COALESCE(summary, '') || ' ' || COALESCE(action, '') || ' ' || COALESCE(args, '') || ' ' ||
        COALESCE(thread_id, '') || ' ' || COALESCE(agent, '') || ' ' || COALESCE(customer_id, '') || ' ' ||
        COALESCE(reason, ''))) gin_trgm_ops)"""
_LOCK_AUDIT = f"SELECT pg_advisory_xact_lock({AUDIT_LOCK})"
# A statement of its own after the lock: it sees what was committed by the one that held the lock before.
_APPEND_TO_AUDIT = """
    INSERT INTO audit ({names}, number, hash)
    SELECT {values}, next.number, encode(sha256(convert_to(
        COALESCE(last.hash, :genesis) || :before || next.number || :after, 'UTF8')), 'hex')
    FROM (VALUES (1)) AS one
    LEFT JOIN (SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1) AS last ON true
    CROSS JOIN LATERAL (SELECT COALESCE(last.number, 0) + 1 AS number) AS next
"""
_GIVES_ROWS = re.compile(r"\A\s*(?!INSERT\b|UPDATE\b|DELETE\b)|\bRETURNING\b")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")
# Types that the migrations name as SQLite does.
_TYPES = ((re.compile(r"\bBLOB\b"), "BYTEA"), (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"))


class ServerConnection(psycopg.Connection[Row]):
    """A connection that sends statements as text, several in one message, with parameters quoted into it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._names: dict[str, bytes] = {}
        self._quoting = Escaping(self.pgconn)
        self._values = Transformer(self)

    def send(self, message: bytes) -> list[Row]:
        """Run a message of one or more statements; the rows of the last one.

        Raises:
            psycopg.Error: as of psycopg's own cursors.
        """
        result = self.pgconn.exec_(message)
        if result.status == ExecStatus.TUPLES_OK:
            names = [(result.fname(place) or b"").decode() for place in range(result.nfields)]
            self._values.set_pgresult(result)
            return self._values.load_rows(
                0, result.ntuples, lambda values: dict(zip(names, values, strict=True))
            )
        if result.status != ExecStatus.COMMAND_OK:
            if self.pgconn.status == ConnStatus.BAD:
                raise psycopg.OperationalError(result.get_error_message("utf-8"))
            raise error_from_result(result)
        return []

    def statement(self, sql: str, params: Params | None = None) -> bytes:
        """A statement with its parameters, for a message."""
        if isinstance(sql, Frequent):
            return self._frequent(sql, params or {})
        parts = _split(sql)
        written = [parts[0].encode()]
        for place in range(1, len(parts), 2):
            written += [self._quoted((params or {})[parts[place]]), parts[place + 1].encode()]
        return b"".join(written)

    def forget_prepared(self) -> None:
        """Have each statement planned again, as when another process has changed a table."""
        self._names.clear()
        self.send(b"DEALLOCATE ALL")

    def _frequent(self, sql: str, params: Params) -> bytes:
        names, body = _numbered(sql)
        name = self._names.get(sql)
        if name is None:
            name = b"frequent_%d" % len(self._names)
            # By itself, so that it is known to be there whatever becomes of the rest.
            self.send(b"PREPARE %s AS %s" % (name, body))
            self._names[sql] = name
        if not names:
            return b"EXECUTE %s" % name
        return b"EXECUTE %s(%s)" % (name, b",".join(self._quoted(params[one]) for one in names))

    def _quoted(self, value: Any) -> bytes:
        if value is None:
            return b"NULL"
        value = _converted_value(value)
        if isinstance(value, str):
            return bytes(self._quoting.escape_literal(value.encode()))
        return psycopg.sql.Literal(value).as_bytes(self)


class PostgresConnection:
    """Runs single statements on a PostgreSQL connection."""

    def __init__(self, raw: ServerConnection) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one statement; its rows, or an empty list."""
        return self._raw.send(self._raw.statement(sql, params))


class PostgresTransaction:
    """The `Connection` of one transaction. `end` commits it."""

    def __init__(self, raw: ServerConnection, locks: Iterable[str], form: "AuditForm") -> None:
        """`locks`: the statements that take the locks to begin with."""
        self._raw = raw
        self._waiting = [b"BEGIN", *(lock.encode() for lock in locks)]
        self._audit: list[bytes] = []
        self._form = form

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows; one that gives none waits."""
        self._waiting.append(self._raw.statement(sql, params))
        return self._send() if _GIVES_ROWS.search(sql) else []

    def lock_rows(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run a SELECT whose rows nobody else changes until the transaction ends."""
        return self.execute(type(sql)(f"{sql} FOR UPDATE"), params)

    def as_stored(self, values: Row) -> Row:
        """The values as text and numbers that PostgreSQL takes."""
        return _converted(values)

    def append_to_audit(self, row: ChainedRow) -> None:
        """Write the next row of the audit trail at the end."""
        own = {"before": row.before, "after": row.after, "genesis": GENESIS}
        self._audit.append(self._raw.statement(_append_to_audit(tuple(row.columns)), row.columns | own))

    def form_of_audit(self) -> int | None:
        """The form of the last row of the audit trail; None where it has none."""
        if self._form.last is None:
            form = self._read_form()
            if form == 1:
                # The caller adds to an old trail what depends on all of it.
                self._waiting.append(_LOCK_AUDIT.encode())
                form = self._read_form()
            # A row of the present form is never followed by an older one.
            self._form.last = form if form != 1 else None
            return form
        return self._form.last

    def end(self) -> None:
        """Lock the head of the audit trail, write its new rows and commit, all in one message."""
        if self._audit:
            self._waiting += [_LOCK_AUDIT.encode(), *self._audit]
        self._waiting.append(b"COMMIT")
        self._send()

    def _read_form(self) -> int | None:
        last = self.execute("SELECT form FROM audit ORDER BY number DESC LIMIT 1")
        return int(last[0]["form"]) if last else None

    def _send(self) -> list[Row]:
        message = b";\n".join(self._waiting)
        self._waiting.clear()
        return self._raw.send(message)


class AuditForm:
    """The form of the last row of the audit trail, once it is known to be the present one."""

    last: int | None = None


class PostgresStateDatabase(StateDatabase):
    """For any number of processes.

    Attributes:
        pool: connections for the other stores that keep their data here.
    """

    # A search is a `LIKE`, with the index of `_create_word_index` if there is one.
    has_word_index = False

    def __init__(self, url: str) -> None:
        """
        Raises:
            ConfigError: the database does not exist, or refuses the connection.
        """
        self.pool = open_pool(url)
        self._form_of_audit = AuditForm()
        self._workers = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="state")
        self._search_threads = ThreadPoolExecutor(SEARCHES, thread_name_prefix="state-search")
        migrate(self.pool)
        _create_word_index(self.pool)

    # A single statement is one transaction either way; marking it read-only would take two more round trips.
    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self.execute(sql, params)

    async def search(self, sql: str, params: Params | None = None) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._search_threads, self.execute_now, sql, params)

    def read_now(self, sql: str, params: Params | None = None) -> list[Row]:
        return self.execute_now(sql, params)

    async def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self.execute_now, sql, params)

    def execute_now(self, sql: str, params: Params | None = None) -> list[Row]:
        with self.pool.connection() as raw:
            return PostgresConnection(raw).execute(sql, params)

    async def transact(self, work: Callable[[Connection], T], on: Iterable[str] | None = None) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self.transact_now, work, on)

    def transact_now(self, work: Callable[[Connection], T], on: Iterable[str] | None = None) -> T:
        locks = _locks(on)
        with self.pool.connection() as raw:
            try:
                return self._transaction(raw, work, locks)
            except psycopg.errors.FeatureNotSupported:
                # "Cached plan must not change result type": a newer version has added a column meanwhile.
                raw.rollback()
                raw.forget_prepared()
                return self._transaction(raw, work, locks)

    def _transaction(self, raw: ServerConnection, work: Callable[[Connection], T], locks: Iterable[str]) -> T:
        transaction = PostgresTransaction(raw, locks, self._form_of_audit)
        result = work(transaction)
        transaction.end()
        return result

    async def compact(self) -> None:
        """Vacuum the tables that hold text now, instead of when PostgreSQL would."""

        def vacuum() -> None:
            with self.pool.connection() as raw:
                for table in ("approvals", "action_ledger", "audit", "escalations", "sessions", "events"):
                    raw.execute(f"VACUUM {table}")

        await asyncio.to_thread(vacuum)

    def close(self) -> None:
        self._search_threads.shutdown(wait=True)
        self._workers.shutdown(wait=True)
        self.pool.close()


def with_keepalives(url: str) -> str:
    """The address with TCP keepalive settings: a connection to an unreachable host fails after 10 seconds.

    Raises:
        ConfigError: it is not the address of a database.
    """
    try:
        return make_conninfo(
            url, keepalives_idle=4, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000
        )
    except psycopg.ProgrammingError as error:
        raise ConfigError(_no_connection(error)) from None


def open_pool(url: str) -> "ConnectionPool[ServerConnection]":
    """A pool of connections to the operator's database.

    Raises:
        ConfigError: the database does not exist, or refuses the connection.
    """

    def check(connection: ServerConnection) -> None:
        """Raise where the server has ended a connection, so that the pool opens another one.

        An open connection that nobody uses has nothing to read; asking the server each time would be one
        more message before each statement.
        """
        waiting = select.poll()
        waiting.register(connection.pgconn.socket, select.POLLIN)
        if waiting.poll(0):
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.Error:
                # As after a restart of the server. The pool tries its other connections at growing intervals.
                pool.drain()
                raise

    pool: ConnectionPool[ServerConnection] = ConnectionPool(
        url,
        min_size=1,
        max_size=CONNECTIONS + SEARCHES + 4,  # for the workers and the event store
        connection_class=ServerConnection,
        kwargs={
            "autocommit": True,
            "client_encoding": "UTF8",
            "row_factory": dict_row,
            # Parameters are quoted into the statement, so that NULL needs no type.
            "cursor_factory": psycopg.ClientCursor,
        },
        check=check,
        open=False,
    )
    try:
        # The pool would report a timeout only; a plain connection raises the reason.
        psycopg.connect(url, connect_timeout=int(SECONDS_TO_CONNECT)).close()
        pool.open(wait=True, timeout=SECONDS_TO_CONNECT)
    except (psycopg.Error, PoolTimeout) as error:
        raise ConfigError(_no_connection(error)) from None
    return pool


def _locks(on: Iterable[str] | None) -> list[str]:
    """The statements that lock what a transaction works on, in an order that is the same for all."""
    if on is None:
        return [f"SELECT pg_advisory_xact_lock({STATE_LOCK})"]
    # A number of two 32-bit halves is in another space than the locks above, which have 64 bits.
    names = sorted({int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], signed=True) for name in on})
    return [
        f"SELECT pg_advisory_xact_lock_shared({STATE_LOCK})",
        *(f"SELECT pg_advisory_xact_lock({NAMED_LOCKS}, {name})" for name in names),
    ]


def _no_connection(error: Exception) -> str:
    return (
        f"SMART_SUPPORT_DATABASE_URL: no connection: {str(error).strip()}; give it as "
        "postgresql://user:password@host:5432/database, and see that the database exists"
    )


@contextlib.contextmanager
def reading_postgres(url: str) -> Iterator[Callable[[str, Mapping[str, Any]], Iterator[Row]]]:
    """As `read_only.open_read_only`, for a PostgreSQL database.

    Raises:
        ConfigError: the database does not exist, or refuses the connection.
    """
    try:
        connection = psycopg.connect(url, row_factory=dict_row, connect_timeout=int(SECONDS_TO_CONNECT))
    except psycopg.Error as error:
        raise ConfigError(_no_connection(error)) from None

    def read(sql: str, params: Mapping[str, Any]) -> Iterator[Row]:
        # A named cursor: the rows stay on the server until they are fetched.
        with psycopg.ServerCursor(connection, f"rows_{next(counter)}") as cursor:
            yield from cursor.execute(_translated(sql), _converted(params))

    counter = itertools.count()
    with connection:
        connection.read_only = True
        # All statements read the same snapshot.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield read


def migrate(pool: "ConnectionPool[ServerConnection]") -> list[str]:
    """Apply the missing migrations; where several processes start, one does and the others wait.

    Returns:
        The names of those applied. Operators back up beforehand with `pg_dump`.
    """
    with pool.connection() as raw, raw.transaction():
        raw.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        connection = _Migrating(raw)
        missing = _unapplied(connection)
        for migration in missing:
            apply_migration(connection, migration)
        return [migration.path.name for migration in missing]


def _create_word_index(pool: "ConnectionPool[ServerConnection]") -> None:
    """Create the search index of approvals, which needs the extension pg_trgm.

    It comes with most installations, and a user who may create objects in the database may create it. Without
    it, a search compares all approvals, on its own few connections.
    """
    try:
        with pool.connection() as raw, raw.transaction():
            raw.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            raw.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            raw.execute(_WORD_INDEX)
    except psycopg.Error as error:
        log.warning("no_search_index", error=str(error).strip())


def due(pool: "ConnectionPool[ServerConnection]") -> list[str]:
    """The names of the migrations that `migrate` would apply."""
    with pool.connection() as raw, raw.transaction(force_rollback=True):
        return [migration.path.name for migration in _unapplied(_Migrating(raw))]


def _unapplied(connection: PostgresConnection) -> list[Migration]:
    missing = [
        one for kind in ("state", "shared") for one in missing_migrations(connection, MIGRATIONS / kind)
    ]
    return [one for one in missing if not one.path.name.endswith(".sqlite.sql")]


class _Migrating(PostgresConnection):
    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        for sqlite_type, postgres_type in _TYPES:
            sql = sqlite_type.sub(postgres_type, sql)
        return super().execute(sql, params)


@lru_cache(maxsize=500)
def _split(sql: str) -> list[str]:
    """What stands before, between and after the parameters, with their names in between."""
    return _PARAMETER.split(sql)


@lru_cache(maxsize=500)
def _numbered(sql: str) -> tuple[list[str], bytes]:
    """The names of the parameters, and the statement with `$1`, `$2`... in their places."""
    names = list(dict.fromkeys(_PARAMETER.findall(sql)))
    body = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql)
    return names, body.encode()


@lru_cache(maxsize=10)
def _append_to_audit(columns: tuple[str, ...]) -> Frequent:
    values = ", ".join(f":{name}" for name in columns)
    return Frequent(_APPEND_TO_AUDIT.format(names=", ".join(columns), values=values))


@lru_cache(maxsize=500)
def _translated(sql: str) -> Any:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


def _converted(params: Params | None) -> dict[str, Any]:
    """Booleans as integers, as the tables hold them; NUL, which PostgreSQL refuses in text, as its symbol."""
    return {name: _converted_value(value) for name, value in (params or {}).items()}


def _converted_value(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value.replace("\x00", NUL_SYMBOL) if isinstance(value, str) else value
