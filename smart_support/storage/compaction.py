"""Rewriting a DuckDB file, so that what was deleted leaves its bytes too. When, is the caller's affair.

`DELETE` leaves the text in the file; a copy of the database into a new file does not take it along.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

_COPY = "compacted"


def file_for(path: Path) -> Path:
    """Where the copy of a database is made; one that a kill left behind is worth nothing."""
    return path.with_name(f"{path.name}.compacting")


def copied(cursor: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Copy all that is committed now, while others go on writing; the last row taken along.

    The copy is left attached for `completed`.
    """
    target = file_for(path)
    target.unlink(missing_ok=True)
    Path(f"{target}.wal").unlink(missing_ok=True)
    # A path can't be a parameter here; it is ours, and its quotes are doubled all the same.
    quoted = str(target).replace("'", "''")
    cursor.execute(f"DETACH DATABASE IF EXISTS {_COPY}")
    cursor.execute(f"ATTACH '{quoted}' AS {_COPY} (STORAGE_VERSION 'v1.5.0')")
    name = cursor.execute("SELECT current_database()").fetchall()[0][0]
    cursor.begin()
    last = cursor.execute("SELECT coalesce(max(rowid), -1) FROM events").fetchall()[0][0]
    cursor.execute(f'COPY FROM DATABASE "{name}" TO {_COPY}')
    cursor.commit()
    return int(last)


def completed(cursor: duckdb.DuckDBPyConnection, after: int) -> None:
    """Take along what was written since, and close the copy. Nobody may write meanwhile."""
    cursor.execute(f"INSERT INTO {_COPY}.events SELECT * FROM events WHERE rowid > ?", [after])
    cursor.execute(f"CHECKPOINT {_COPY}")
    cursor.execute(f"DETACH {_COPY}")


class Turnstile:
    """Many may use something at once; who replaces it lets nobody in meanwhile."""

    def __init__(self) -> None:
        # Protects the two fields below.
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Use it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and wait until all are out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0)

    def open(self) -> None:
        """Let in who waits."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()
