"""Copying a DuckDB file while it is written: as a backup, or to take its place. When is the caller's affair.

`DELETE` leaves the text in the file; a copy of the database into a new file does not take it along.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

COPY = "compacted"


def file_for(path: Path) -> Path:
    """Where the copy of a database is made; one that a kill left behind is worth nothing."""
    return path.with_name(f"{path.name}.compacting")


def attach(cursor: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Make the file for a copy of a database, empty."""
    target.unlink(missing_ok=True)
    Path(f"{target}.wal").unlink(missing_ok=True)
    cursor.execute(f"DETACH DATABASE IF EXISTS {COPY}")
    # A path can't be a parameter here; it is ours, and its quotes are doubled all the same.
    quoted = str(target.resolve()).replace("'", "''")
    cursor.execute(f"ATTACH '{quoted}' AS {COPY} (STORAGE_VERSION 'v1.5.0')")


def begin(cursor: duckdb.DuckDBPyConnection) -> None:
    """Hold on to what is committed now: that is what `fill` will copy, whatever is written meanwhile."""
    cursor.begin()
    cursor.execute("SELECT 1 FROM events LIMIT 1").fetchall()


def fill(cursor: duckdb.DuckDBPyConnection) -> None:
    """Copy what `begin` holds on to; this takes a while, and nobody has to wait for it."""
    name = cursor.execute("SELECT current_database()").fetchall()[0][0]
    cursor.execute(f'COPY FROM DATABASE "{name}" TO {COPY}')
    cursor.commit()


def finish(cursor: duckdb.DuckDBPyConnection) -> None:
    """Close the copy, all of it in its file."""
    cursor.execute(f"CHECKPOINT {COPY}")
    cursor.execute(f"DETACH {COPY}")


class Turnstile:
    """Many may use something at once; who replaces it lets nobody in meanwhile."""

    def __init__(self) -> None:
        # Protects the two fields below.
        self._changed = threading.Condition()  # one that who holds it may take again
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
            self.leave()

    def enter_if_open(self) -> bool:
        """Begin to use it, unless it is closed; whether it was not. End with `leave`."""
        with self._changed:
            self._inside += not self._closed
            return not self._closed

    def leave(self) -> None:
        """Use it no more."""
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and wait until all are out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0)

    def close_if_open(self) -> bool:
        """As `close`, unless somebody else has closed it; whether it was not so."""
        with self._changed:
            if self._closed:
                return False
            self.close()
            return True

    def open(self) -> None:
        """Let in who waits."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()
