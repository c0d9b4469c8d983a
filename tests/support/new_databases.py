"""New databases as copies of one that has had all migrations, which take a tenth of a second of CPU each.

The first one of a process is made as an operator's is, and so is one where a test changes the migrations.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from smart_support.storage.events import duckdb_file
from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state import base, sqlite


def copy_new_databases(*, for_forks: bool = False) -> None:
    """From now on a state database or an event file that is not there yet begins as a copy.

    Args:
        for_forks: make what is copied now, so that no fork of this process has to.
    """
    for content in (
        _begin_with_copies(sqlite.SqliteStateDatabase, base),
        _begin_with_copies(duckdb_file.DuckDBFile, duckdb_file),
    ):
        if for_forks:
            content()


def _begin_with_copies(owner: Any, with_migrations: ModuleType) -> Callable[[], bytes]:
    """Returns what gives the content of a new database."""
    create: Callable[..., None] = owner.__init__
    migrations = vars(with_migrations)["MIGRATIONS"]

    @functools.cache
    def content() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "new"
            made = object.__new__(owner)
            create(made, path)
            made.close()
            return path.read_bytes()

    @functools.wraps(create)
    def copy_or_create(self: Any, path: Path, *arguments: Any, **options: Any) -> None:
        if not path.exists() and vars(with_migrations)["MIGRATIONS"] == migrations:
            make_private_folder(path.parent)
            path.write_bytes(content())
        create(self, path, *arguments, **options)

    owner.__init__ = copy_or_create
    return content
