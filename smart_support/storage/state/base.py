"""The state database's interface (approvals, ledger, audit, sessions), and its migrations.

Implementations: `sqlite.py` for one process, `postgres.py` for any number of processes.
"""

import hashlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = dict[str, Any]
Params = Mapping[str, Any]
# The hash before the first row of the audit trail.
GENESIS = "0" * 64
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Frequent(str):
    """A statement that runs so often that a database server should plan it once for each connection."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ChainedRow:
    """A row of the audit trail whose number and hash follow from the row before it.

    Attributes:
        columns: all others, by name.
        before, after: the hash is the SHA-256 of the last row's hash, `before`, the number in decimal digits
            and `after`, in UTF-8.
    """

    columns: Row
    before: str
    after: str

    def linked(self, last_number: int, last_hash: str) -> Row:
        """All columns of the row that follows another one."""
        number = last_number + 1
        text = f"{last_hash}{self.before}{number}{self.after}"
        return {**self.columns, "number": number, "hash": hashlib.sha256(text.encode()).hexdigest()}


class Connection(Protocol):
    """Runs statements inside a transaction."""

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one statement with named parameters (`:name`); its rows as dicts, or an empty list.

        A statement that gives no rows may run later, with the next one that does or with the commit.
        """

    def lock_rows(self, sql: str, params: Params | None = None) -> list[Row]:
        """As `execute`, for a SELECT of rows that nobody else changes until the transaction ends."""

    def as_stored(self, values: Row) -> Row:
        """The values of columns as this database gives them back."""

    def append_to_audit(self, row: ChainedRow) -> None:
        """Write a row of the audit trail. On a shared database this is the last thing before the commit."""

    def form_of_audit(self) -> int | None:
        """The form of the last row of the audit trail; None where it has none."""


class StateDatabase(ABC):
    """The system's record of approvals, writes and sessions. A write is on disk when its method returns.

    Attributes:
        has_word_index: the table `approval_search` finds the words of approvals.

    `read` never waits for a transaction. `execute` is for a single write. `transact` runs several statements
    as one; what it is told to work on changes in no other transaction meanwhile.
    """

    has_word_index: bool

    @abstractmethod
    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        """The rows of one SELECT, as they are committed now."""

    @abstractmethod
    async def search(self, sql: str, params: Params | None = None) -> list[Row]:
        """As `read`, for a SELECT that may take long.

        Few run at the same time, on connections of their own, so that nothing else waits for them.
        """

    @abstractmethod
    def read_now(self, sql: str, params: Params | None = None) -> list[Row]:
        """As `read`, for callers that are not async; blocks."""

    @abstractmethod
    async def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one statement that writes, as a transaction of its own. Returns its rows (`RETURNING`)."""

    @abstractmethod
    def execute_now(self, sql: str, params: Params | None = None) -> list[Row]:
        """As `execute`, for callers that are not async; blocks."""

    @abstractmethod
    async def transact(self, work: Callable[[Connection], T], on: Iterable[str] | None = None) -> T:
        """Run `work` as one transaction and return its result.

        An exception of `work` rolls everything back and is raised here.

        Args:
            on: names of what `work` reads and then changes, such as `approval:ID`. Transactions that share a
                name run one after the other, in all processes. None: no other transaction runs meanwhile.
                With no names, rows that the statements change are locked, and nothing else.
        """

    @abstractmethod
    def transact_now(self, work: Callable[[Connection], T], on: Iterable[str] | None = None) -> T:
        """As `transact`, for callers that are not async; blocks."""

    @abstractmethod
    async def compact(self) -> None:
        """Remove what was erased from the bytes of the database's files."""

    @abstractmethod
    def close(self) -> None:
        """Finish the work that was submitted, then close."""


def on_thread(thread_id: str) -> str:
    """The name, for `transact`, of a conversation's session, requests, ledger and escalations."""
    return f"thread {thread_id}"


def on_approval(approval_id: str) -> str:
    """The name, for `transact`, of one approval and who decides it."""
    return f"approval {approval_id}"


def in_clause(name: str, values: Iterable[Any]) -> tuple[str, dict[str, Any]]:
    """`values` for an `IN`: the placeholders, in brackets, and their parameters.

    >>> in_clause("id", ["a", "b"])
    ('(:id_0, :id_1)', {'id_0': 'a', 'id_1': 'b'})
    """
    params = {f"{name}_{place}": value for place, value in enumerate(values)}
    return f"({', '.join(f':{one}' for one in params) or 'NULL'})", params


def insert_into(table: str, columns: Iterable[str]) -> str:
    """The INSERT of one row, with a parameter for each column.

    >>> insert_into("bare", ["number", "text"])
    'INSERT INTO bare (number, text) VALUES (:number, :text)'
    """
    names = list(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered `.sql` file. `first`: the database is new, so that no data needs a backup."""

    path: Path
    first: bool

    def backup_of(self, database: Path) -> Path:
        """The file for the copy made before this migration: `state.sqlite.before-0003_identity`."""
        return database.with_name(f"{database.name}.before-{self.path.stem}")


def missing_migrations(connection: Any, folder: Path) -> list[Migration]:
    """The migrations of `folder` that a database has not had, in order.

    Args:
        connection: anything whose `execute(sql)` gives rows as dicts.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS applied_migrations (name VARCHAR PRIMARY KEY)")
    applied = {row["name"] for row in connection.execute("SELECT name FROM applied_migrations")}
    missing = [path for path in sorted(folder.glob("*.sql")) if path.name not in applied]
    return [Migration(path, first=not applied) for path in missing]


def apply_migration(connection: Any, migration: Migration) -> None:
    """Apply one migration, within the caller's transaction."""
    for statement in _statements(migration.path.read_text(encoding="utf-8")):
        connection.execute(statement)
    connection.execute("INSERT INTO applied_migrations VALUES (:name)", {"name": migration.path.name})


def _statements(script: str) -> list[str]:
    """The statements of a migration: SQL without `;` in its strings. Comments are dropped."""
    code = "\n".join(line.split("--")[0] for line in script.splitlines())
    statements, begun = [], ""
    for part in code.split(";"):
        begun += f"{part};"
        # A trigger contains `;` between its BEGIN and END.
        if sqlite3.complete_statement(begun):
            statements.append(begun.strip().rstrip(";"))
            begun = ""
    return [statement for statement in statements if statement]
