"""Which migrations the databases of a data folder have not had. Applying them is part of opening one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from smart_support.storage.events.duckdb_file import applied
from smart_support.storage.state import base


def pending(folder: Path) -> dict[str, list[str]]:
    """File name to the migrations it has not had, in order; nothing is changed by looking.

    Raises:
        ConfigError: the event log is open in another process.
    """
    found = {name: _missing(kind, _applied(path)) for name, kind, path in _databases(folder)}
    if (folder / "events.duckdb").exists():
        found["events.duckdb"] = _missing("events", applied(folder / "events.duckdb"))
    return found


def _databases(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """SQLite files that have migrations of ours: their name, the kind of their migrations, where they are."""
    for kind in sorted(path.name for path in base.MIGRATIONS.iterdir() if path.is_dir()):
        path = folder / f"{kind}.sqlite"
        if path.exists():
            yield path.name, kind, path


def _applied(path: Path) -> set[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as raw:
        if not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'applied_migrations'").fetchone():
            return set()
        return {name for (name,) in raw.execute("SELECT name FROM applied_migrations")}


def _missing(kind: str, applied: set[Any]) -> list[str]:
    return [path.stem for path in sorted((base.MIGRATIONS / kind).glob("*.sql")) if path.name not in applied]
