"""Lists the migrations that the databases of a data folder have not had. Opening a database applies them."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from smart_support.storage.events.duckdb_file import applied_migrations
from smart_support.storage.sqlite_files import connect_read_only
from smart_support.storage.state import base


def pending(folder: Path, more: Iterable[Path] = ()) -> dict[str, list[str]]:
    """The names of the missing migrations, in order, for each database file that exists. Changes nothing.

    Args:
        more: folders of migrations, each for the SQLite file of the same name.

    Raises:
        ConfigError: another process has the event log open.
    """
    result = {}
    for migrations in sorted((base.MIGRATIONS / "state", *more), key=lambda path: path.name):
        path = folder / f"{migrations.name}.sqlite"
        if path.exists():
            result[path.name] = _missing(migrations, _applied(path))
    if (folder / "events.duckdb").exists():
        result["events.duckdb"] = _missing(
            base.MIGRATIONS / "events", applied_migrations(folder / "events.duckdb")
        )
    return result


def _applied(path: Path) -> set[Any]:
    with closing(connect_read_only(path)) as raw:
        if not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'applied_migrations'").fetchone():
            return set()
        return {name for (name,) in raw.execute("SELECT name FROM applied_migrations")}


def _missing(migrations: Path, applied: set[Any]) -> list[str]:
    return [path.stem for path in sorted(migrations.glob("*.sql")) if path.name not in applied]
