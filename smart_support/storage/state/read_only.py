"""Read-only access to the state database, for commands that run beside the app or without it."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from smart_support.errors import ConfigError
from smart_support.settings import Settings
from smart_support.storage.sqlite_files import connect_read_only
from smart_support.storage.state.base import Row

Read = Callable[[str, Mapping[str, Any]], Iterator[Row]]


@contextlib.contextmanager
def open_read_only(settings: Settings) -> Iterator[Read]:
    """Yields a function that runs a SELECT with named parameters (`:name`) and iterates over its rows.

    Raises:
        ConfigError: the database does not exist, or can't be read.
    """
    if settings.database_url:
        from smart_support.storage.state.postgres import reading_postgres

        with reading_postgres(settings.database_url) as read:
            yield read
        return
    path = settings.data_dir / "state.sqlite"
    if not path.exists():
        raise ConfigError(f"{path}: there is no state database here; set SMART_SUPPORT_DATA_DIR")
    try:
        with contextlib.closing(connect_read_only(path)) as database:
            database.row_factory = sqlite3.Row
            database.execute("BEGIN")  # all statements read the same snapshot
            yield lambda sql, params: (dict(row) for row in database.execute(sql, dict(params)))
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: can't be read as a state database: {error}") from None
