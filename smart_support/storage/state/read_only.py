"""The state as commands read it that run beside the app, or without it: nothing can be changed this way."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from smart_support.errors import ConfigError
from smart_support.settings import Settings
from smart_support.storage.state.base import Row

Read = Callable[[str, Mapping[str, Any]], Iterator[Row]]


@contextlib.contextmanager
def reading(settings: Settings) -> Iterator[Read]:
    """Gives a function from a statement with named parameters (`:name`) to its rows, one after the other.

    Raises:
        ConfigError: there is no record where the settings say, or it can't be read.
    """
    if settings.database_url:
        from smart_support.storage.state.postgres import reading_shared

        with reading_shared(settings.database_url) as read:
            yield read
        return
    path = settings.data_dir / "state.sqlite"
    if not path.exists():
        raise ConfigError(f"{path}: there is no record here; set SMART_SUPPORT_DATA_DIR")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            database.execute("BEGIN")  # all that is read is of one moment
            yield lambda sql, params: (dict(row) for row in database.execute(sql, dict(params)))
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: can't be read as a record: {error}") from None
