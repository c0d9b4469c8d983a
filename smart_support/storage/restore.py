"""Putting a backup in the place of an app's data. Nothing of what was there before is deleted."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from smart_support import clock
from smart_support.errors import ConfigError
from smart_support.storage.backup import EVENTS, FOLDER, MANIFEST, digests, synced
from smart_support.storage.events.duckdb_file import check_free
from smart_support.storage.private_files import make_private_folder, tighten_files
from smart_support.storage.state.base import MIGRATIONS

REPLACED = "replaced-"


def restore(source: Path, folder: Path, *, force: bool = False) -> Path | None:
    """Put a backup into a data folder that no app uses.

    Args:
        force: move what is in the folder aside, instead of refusing.

    Returns:
        Where what was there before is now, if there was anything.

    Raises:
        ConfigError: it is no whole backup, or a newer version's; the app runs; the folder is not empty.
            Nothing was changed.
    """
    files = _checked(source)
    make_private_folder(folder)
    if (folder / EVENTS).exists():
        check_free(folder / EVENTS)
    before = [path for path in folder.iterdir() if path.name != FOLDER and not path.name.startswith(REPLACED)]
    if before and not force:
        raise ConfigError(
            f"SMART_SUPPORT_DATA_DIR={folder} is not empty; choose another one, or add --force, which moves "
            f"what is there into {REPLACED}TIME inside it"
        )
    coming = folder / FOLDER / f"{source.resolve().name}.restoring"
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir(parents=True, mode=0o700)
    for name in files:
        shutil.copy2(source / name, coming / name)
        synced(coming / name)
    _end_logins(coming / "state.sqlite")
    aside = _moved_aside(folder, before)
    for name in files:
        (coming / name).rename(folder / name)
    coming.rmdir()
    tighten_files(folder)
    synced(folder)
    return aside


def waiting(folder: Path) -> int:
    """How many approvals wait in a data folder."""
    with closing(sqlite3.connect(folder / "state.sqlite")) as state:
        counted = state.execute("SELECT count(*) FROM approvals WHERE status = 'pending'").fetchone()
    return int(counted[0])


def _checked(source: Path) -> Mapping[str, Any]:
    try:
        manifest = orjson.loads((source / MANIFEST).read_bytes())
        files: dict[str, Any] = manifest["files"]
    except (OSError, KeyError, TypeError, orjson.JSONDecodeError):
        raise ConfigError(
            f"{source}: is no backup; name a folder that python -m smart_support backup has made, with its "
            f"{MANIFEST}"
        ) from None
    odd = [name for name in files if Path(name).name != name or not (source / name).is_file()]
    found = {} if odd else digests(source, files)
    wrong = odd or [name for name in files if files[name] != found[name]]
    if wrong:
        raise ConfigError(
            f"{source}: {', '.join(wrong)} is missing or not as it was copied; take another backup"
        )
    with closing(sqlite3.connect(source / "state.sqlite")) as state:
        applied = {name for (name,) in state.execute("SELECT name FROM applied_migrations")}
    if unknown := applied - {path.name for path in (MIGRATIONS / "state").glob("*.sql")}:
        raise ConfigError(
            f"{source}: was made by version {manifest.get('version')}, which is newer than this one (it has "
            f"{', '.join(sorted(unknown))}); install that version or a later one"
        )
    return files


def _end_logins(state: Path) -> None:
    """Who had logged out after the copy would be logged in again: all log in anew."""
    with closing(sqlite3.connect(state)) as database, database:
        if database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'logins'").fetchone():
            database.execute("DELETE FROM logins")


def _moved_aside(folder: Path, before: list[Path]) -> Path | None:
    if not before:
        return None
    aside = folder / f"{REPLACED}{clock.now():%Y-%m-%dT%H-%M-%S-%f}Z"
    aside.mkdir(mode=0o700)
    for path in before:
        path.rename(aside / path.name)
    return aside
