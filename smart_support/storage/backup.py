"""Backs up the data of an app on files, as it is at one point in time, while the app runs or is stopped.

All snapshots begin inside one transaction of the state database. So no turn begins or ends, nothing is
decided and no write begins or finishes in between. Only events and checkpoints of running turns may change,
and the copied state marks those turns as running. A start from the backup recovers as after a kill at that
time: the ledger has every write that had begun, and nothing is ahead of the state.
"""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from smart_support import clock
from smart_support.errors import ConfigError, Conflict
from smart_support.observability.log import get_logger
from smart_support.storage import answer_files
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.duckdb_file import BACKUPS
from smart_support.storage.events.embedded import EmbeddedEventStore, exclusive_access
from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.sqlite import SqliteStateDatabase

log = get_logger()
FOLDER = BACKUPS
MANIFEST = "manifest.json"
EVENTS = "events.duckdb"
KEY = "secret.key"
# The binary answers of APIs, as one file.
ANSWER_FILES = "files.tar"
IN_POSTGRES = (
    "SMART_SUPPORT_DATABASE_URL is set, so that the data is in Postgres: back it up with pg_dump, and keep a "
    "copy of secret.key of the data folder with it"
)


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished copy. `files`: name to `{"bytes", "sha256"}`; `version`: of the app that took it."""

    folder: str
    taken_at: str
    version: str
    files: Mapping[str, Mapping[str, object]]


async def take(state: StateDatabase, event_log: EventStore, folder: Path, version: str) -> Backup:
    """Copy the data of a running app into a new folder in `folder/backups`.

    Raises:
        Conflict: the data is in PostgreSQL.
    """
    if not (isinstance(state, SqliteStateDatabase) and isinstance(event_log, EmbeddedEventStore)):
        raise Conflict(IN_POSTGRES)
    async with event_log.copying:
        with _new_folder(folder) as partial, ExitStack() as opened:
            databases = [
                (opened.enter_context(closing(_source(path))), path.name) for path in _sqlite_files(folder)
            ]
            async with event_log.start_copy(partial / EVENTS) as event_copy:

                def begin_snapshots(_: object) -> None:
                    """In a transaction of the state, so that the state does not change meanwhile."""
                    began = time.perf_counter()
                    event_copy.begin()
                    for database, _name in databases:
                        _begin_snapshot(database)
                    log.info("state_paused", ms=round((time.perf_counter() - began) * 1000, 1))

                await state.transact(begin_snapshots)
                for database, name in databases:
                    await asyncio.to_thread(_copy, database, partial / name)
                await event_copy.complete()
            return await asyncio.to_thread(_finish, folder, partial, version)


def take_stopped(folder: Path, version: str) -> Backup:
    """Copy the data of a stopped app, and keep it from being started meanwhile.

    Raises:
        ConfigError: the app runs, or there is nothing to copy.
    """
    if not (folder / "state.sqlite").exists():
        raise ConfigError(f"SMART_SUPPORT_DATA_DIR={folder}: there is no data here to back up")
    with exclusive_access(folder / EVENTS) as move_all_events, _new_folder(folder) as partial:
        move_all_events()
        for path in _sqlite_files(folder):
            with closing(_source(path)) as database:
                _copy(database, partial / path.name)
        # Last: a process that closes a file gives up all its locks on that file.
        shutil.copyfile(folder / EVENTS, partial / EVENTS)
        return _finish(folder, partial, version)


def digests(folder: Path, names: Iterable[str]) -> dict[str, dict[str, object]]:
    """Size and SHA-256 of each file."""
    result = {}
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            result[name] = {
                "bytes": (folder / name).stat().st_size,
                "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            }
    return result


def _sqlite_files(folder: Path) -> list[Path]:
    """State, checkpoints, and the demo businesses."""
    return sorted(folder.glob("*.sqlite"))


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A new folder named `.partial`, which is deleted unless `_finish` renames it."""
    partial = folder / FOLDER / f"{clock.now():%Y-%m-%dT%H-%M-%S-%f}Z.partial"
    make_private_folder(partial.parent)
    partial.mkdir(mode=0o700)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _source(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _begin_snapshot(database: sqlite3.Connection) -> None:
    """Begin a transaction that sees what is committed now."""
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def _copy(database: sqlite3.Connection, target: Path) -> None:
    """Copy what `database` sees into a new file that needs no write-ahead log."""
    with closing(sqlite3.connect(target)) as copy:
        database.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _finish(folder: Path, partial: Path, version: str) -> Backup:
    """Write the manifest, sync everything to disk, and give the folder its name."""
    if (folder / KEY).exists():
        shutil.copyfile(folder / KEY, partial / KEY)
    if (folder / answer_files.FOLDER).is_dir():
        # A file never changes, and those that came after the snapshots do no harm.
        with tarfile.open(partial / ANSWER_FILES, "w") as archive:
            archive.add(folder / answer_files.FOLDER, answer_files.FOLDER, filter=_finished)
    finished = partial.with_suffix("")
    files = digests(partial, (path.name for path in partial.iterdir()))
    taken = Backup(str(finished.resolve()), clock.rfc3339(clock.now()), version, files)
    (partial / MANIFEST).write_bytes(orjson.dumps(asdict(taken), option=orjson.OPT_INDENT_2))
    for path in (*partial.iterdir(), partial):
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
        sync(path)
    partial.rename(finished)
    sync(finished.parent)
    log.info(
        "backup_taken", folder=str(finished), bytes=sum(int(str(one["bytes"])) for one in files.values())
    )
    return taken


def _finished(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(answer_files.PARTIAL) else member


def sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
