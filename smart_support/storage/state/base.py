"""The state database as everyone above knows it: decisions, ledger, audit, sessions; and its migrations.

Work is handed in as a function over a connection and runs as one transaction, one at a time for all who share
the database, so that a rule which needs three statements is judged on what no one else changes meanwhile.
Embedded in one process: embedded.py. Shared by many: shared.py. No tables' rules are known here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = dict[str, Any]
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Connection(Protocol):
    """What a transaction may do."""

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement with named parameters (`:name`); its rows as dicts, or an empty list."""


class StateDatabase(ABC):
    """Where the truth about decisions is. What has returned is on disk."""

    @abstractmethod
    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction; durable when this returns.

        An exception from `work` rolls everything back and is raised here.
        """

    @abstractmethod
    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """One statement as one transaction."""

    @abstractmethod
    def execute_now(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """One statement from a caller that is not async; the caller waits."""

    @abstractmethod
    def transact_now(self, work: Callable[[Connection], T]) -> T:
        """As `transact`, from a caller that is not async; the caller waits."""

    @abstractmethod
    async def compact(self) -> None:
        """Have the bytes of what was erased leave the database's files."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was handed in, then close."""


def listed(name: str, values: Iterable[Any]) -> tuple[str, dict[str, Any]]:
    """`values` for an `IN`: the placeholders, in brackets, and their parameters.

    >>> listed("id", ["a", "b"])
    ('(:id_0, :id_1)', {'id_0': 'a', 'id_1': 'b'})
    """
    params = {f"{name}_{place}": value for place, value in enumerate(values)}
    return f"({', '.join(f':{one}' for one in params) or 'NULL'})", params


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered `.sql` file. `first`: there is nothing yet that it could harm."""

    path: Path
    first: bool

    def backup_of(self, database: Path) -> Path:
        """Where the database is copied to before: `state.sqlite.before-0003_identity`."""
        return database.with_name(f"{database.name}.before-{self.path.stem}")


def unapplied(connection: Any, folder: Path) -> list[Migration]:
    """The migrations of `folder` that a database has not had, in order.

    Args:
        connection: anything whose `execute(sql)` gives rows as dicts.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS applied_migrations (name VARCHAR PRIMARY KEY)")
    applied = {row["name"] for row in connection.execute("SELECT name FROM applied_migrations")}
    wanted = [path for path in sorted(folder.glob("*.sql")) if path.name not in applied]
    return [Migration(path, first=not applied) for path in wanted]


def apply(connection: Any, migration: Migration) -> None:
    """Apply one migration; the caller holds the transaction."""
    for statement in _statements(migration.path.read_text(encoding="utf-8")):
        connection.execute(statement)
    connection.execute("INSERT INTO applied_migrations VALUES (:name)", {"name": migration.path.name})


def _statements(script: str) -> list[str]:
    """The statements of a migration: SQL without strings that hold `;`, comments dropped."""
    code = "\n".join(line.split("--")[0] for line in script.splitlines())
    return [part.strip() for part in code.split(";") if part.strip()]
