"""A copied database is what its migrations make."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from smart_support.storage.events.duckdb_file import DuckDBFile
from smart_support.storage.state import base
from smart_support.storage.state.sqlite import SqliteStateDatabase

STATE = (SqliteStateDatabase, sqlite3.connect, "SELECT name, sql FROM sqlite_master ORDER BY name")
EVENTS = (DuckDBFile, duckdb.connect, "SELECT table_name, sql FROM duckdb_tables() ORDER BY ALL")


@pytest.mark.parametrize(("owner", "connect", "schema"), [STATE, EVENTS])
def test_a_copy_is_what_the_migrations_make(owner: Any, connect: Any, schema: str, tmp_path: Path) -> None:
    made = object.__new__(owner)
    owner.__init__.__wrapped__(made, tmp_path / "made")
    made.close()
    owner(tmp_path / "copied").close()
    rows = {}
    for name in ("made", "copied"):
        with closing(connect(str(tmp_path / name))) as connection:
            applied = connection.execute("SELECT name FROM applied_migrations ORDER BY name").fetchall()
            rows[name] = [applied, connection.execute(schema).fetchall()]
    assert rows["copied"] == rows["made"]
    assert len(rows["made"][0]) > 1


def test_where_a_test_changes_the_migrations_there_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(base, "MIGRATIONS", tmp_path)
    SqliteStateDatabase(tmp_path / "state.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection:
        assert connection.execute("SELECT name FROM applied_migrations").fetchall() == []
