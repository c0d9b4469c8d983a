"""Restores a backup into a data folder. Deletes nothing that was there before."""

import shutil
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from smart_support import clock
from smart_support.errors import ConfigError
from smart_support.storage.answer_files import NAME
from smart_support.storage.backup import ANSWER_FILES, EVENTS, FOLDER, MANIFEST, digests, sync
from smart_support.storage.events.duckdb_file import check_free
from smart_support.storage.private_files import make_private_folder, tighten_files
from smart_support.storage.state.base import MIGRATIONS

REPLACED = "replaced-"


def restore(source: Path, folder: Path, *, force: bool = False) -> Path | None:
    """Restore a backup into a data folder that no app uses.

    Args:
        force: move the folder's content into a subfolder, instead of refusing.

    Returns:
        That subfolder, if the folder was not empty.

    Raises:
        ConfigError: the backup is incomplete or of a newer version, the app runs, or the folder is not empty.
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
            f"its content to {REPLACED}TIME in it"
        )
    restoring = folder / FOLDER / f"{source.resolve().name}.restoring"
    shutil.rmtree(restoring, ignore_errors=True)
    restoring.mkdir(parents=True, mode=0o700)
    for name in files:
        shutil.copy2(source / name, restoring / name)
        sync(restoring / name)
    _end_logins(restoring / "state.sqlite")
    replaced = _move_away(folder, before)
    if (archived := restoring / ANSWER_FILES).exists():
        _unpack(archived, restoring)
        archived.unlink()
    for path in sorted(restoring.iterdir()):
        path.rename(folder / path.name)
    restoring.rmdir()
    tighten_files(folder)
    sync(folder)
    return replaced


def count_pending_approvals(folder: Path) -> int:
    """How many approvals are pending in a data folder."""
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
    missing = [name for name in files if Path(name).name != name or not (source / name).is_file()]
    actual = {} if missing else digests(source, files)
    wrong = missing or [name for name in files if files[name] != actual[name]]
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


def _unpack(archived: Path, into: Path) -> None:
    """Copy the answer files out of an archive, and nothing else, should somebody have put it there.

    `TarFile.extractall` has a filter for this from Python 3.11.4 on, and none before.
    """
    with tarfile.open(archived) as archive:
        for member in archive:
            content = archive.extractfile(member) if NAME.fullmatch(member.name) and member.isfile() else None
            if content:
                file = into / member.name
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with content, file.open("wb") as copy:
                    shutil.copyfileobj(content, copy)


def _end_logins(state: Path) -> None:
    """Delete all logins: somebody who logged out after the backup would be logged in again."""
    with closing(sqlite3.connect(state)) as database, database:
        for table in ("logins", "known_logins", "single_sign_on_attempts"):
            if database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone():
                database.execute(f"DELETE FROM {table}")


def _move_away(folder: Path, before: list[Path]) -> Path | None:
    if not before:
        return None
    replaced = folder / f"{REPLACED}{clock.now():%Y-%m-%dT%H-%M-%S-%f}Z"
    replaced.mkdir(mode=0o700)
    for path in before:
        path.rename(replaced / path.name)
    return replaced
