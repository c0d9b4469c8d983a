"""Opens SQLite files without the right to change them."""

import sqlite3
from pathlib import Path


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only. Every path works, also one with `%`, `#`, `?` or a space.

    Raises:
        sqlite3.OperationalError: there is no such file, or it can't be opened.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
