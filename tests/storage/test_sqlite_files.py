"""SQLite files are opened for reading by every path, and can't be changed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smart_support.storage.sqlite_files import connect_read_only

NAMES = ["a b", "a%20b", "a%zz", "a#b", "a?b", "a?mode=rw", "it's", 'a"b', "é-日本", "[x]*", "a&b=c;d"]


@pytest.mark.parametrize("name", NAMES)
def test_any_path_is_opened_for_reading_only(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = folder / f"{name}.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
    with closing(connect_read_only(path)) as database:
        assert database.execute("SELECT n FROM t").fetchall() == [(7,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("DELETE FROM t")


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect_read_only(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
