"""Copies the DuckDB file while it is written: as a backup, or to take the file's place.

`DELETE` leaves the deleted text in the bytes of the file. A copy of the database in a new file does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

# The name under which the copy is attached.
COPY = "compacted"


def compacting_path(path: Path) -> Path:
    """The file in which the compacted copy of a database is made. Left behind by a kill, it is useless."""
    return path.with_name(f"{path.name}.compacting")


def attach_copy(cursor: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Create an empty file for the copy and attach it."""
    target.unlink(missing_ok=True)
    Path(f"{target}.wal").unlink(missing_ok=True)
    cursor.execute(f"DETACH DATABASE IF EXISTS {COPY}")
    # ATTACH takes no parameter for the path. It is our own path; its quotes are escaped all the same.
    quoted = str(target.resolve()).replace("'", "''")
    cursor.execute(f"ATTACH '{quoted}' AS {COPY} (STORAGE_VERSION 'v1.5.0')")


def begin_snapshot(cursor: duckdb.DuckDBPyConnection) -> None:
    """Begin a transaction that sees what is committed now, whatever is written later."""
    cursor.begin()
    cursor.execute("SELECT 1 FROM events LIMIT 1").fetchall()


def fill_copy(cursor: duckdb.DuckDBPyConnection) -> None:
    """Copy what the snapshot of `begin_snapshot` sees. Takes long for a large file; blocks no one else."""
    name = cursor.execute("SELECT current_database()").fetchall()[0][0]
    cursor.execute(f'COPY FROM DATABASE "{name}" TO {COPY}')
    cursor.commit()


@contextmanager
def in_copy(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Statements in this context are about the copy."""
    name = cursor.execute("SELECT current_database()").fetchall()[0][0]
    cursor.execute(f"USE {COPY}")
    try:
        yield
    finally:
        cursor.execute(f'USE "{name}"')


def finish_copy(cursor: duckdb.DuckDBPyConnection) -> None:
    """Write the copy to its file completely, and detach it."""
    cursor.execute(f"CHECKPOINT {COPY}")
    cursor.execute(f"DETACH {COPY}")
