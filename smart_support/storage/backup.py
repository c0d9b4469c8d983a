"""A copy of all that an embedded app keeps, as it was at one moment, taken while it works or is stopped.

For that moment the state database stands still: no turn begins or ends, nothing is decided, no write is begun
or finished. What may still move are events and checkpoints of turns that run, and those are marked as running
in the state that is copied. So the copy is what a kill at that moment would have left, and a start from it
recovers as from one: the ledger knows of every write that had begun, and nothing is ahead of the state.
"""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from smart_support import clock
from smart_support.errors import ConfigError, Conflict
from smart_support.observability.log import get_logger
from smart_support.storage.events.duckdb_file import BACKUPS
from smart_support.storage.events.embedded import EventLog, checked_out
from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.sqlite import SqliteStateDatabase

log = get_logger()
FOLDER = BACKUPS
MANIFEST = "manifest.json"
EVENTS = "events.duckdb"
KEY = "secret.key"
ELSEWHERE = (
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


async def take(state: StateDatabase, event_log: EventLog, folder: Path, version: str) -> Backup:
    """Copy the data of a running app into a new folder in `folder/backups`.

    Raises:
        Conflict: the state is not in files.
    """
    if not isinstance(state, SqliteStateDatabase):
        raise Conflict(ELSEWHERE)
    async with event_log.copying:
        with _begun(folder) as partial, ExitStack() as opened:
            databases = [
                (opened.enter_context(closing(_source(path))), path.name) for path in _sqlite(folder)
            ]

            async def moment(fix_events: Callable[[], None]) -> None:
                def stand_still(_: object) -> None:
                    began = time.perf_counter()
                    fix_events()
                    for database, _name in databases:
                        _hold(database)
                    log.info("stood_still", ms=round((time.perf_counter() - began) * 1000, 1))

                await state.transact(stand_still)
                for database, name in databases:
                    await asyncio.to_thread(_copy, database, partial / name)

            await event_log.copy_to(partial / EVENTS, moment)
            return await asyncio.to_thread(_finished, folder, partial, version)


def take_stopped(folder: Path, version: str) -> Backup:
    """Copy the data of an app that does not run, and that can't be started meanwhile.

    Raises:
        ConfigError: it runs, or there is nothing to copy.
    """
    if not (folder / "state.sqlite").exists():
        raise ConfigError(f"SMART_SUPPORT_DATA_DIR={folder}: there is no data here to back up")
    with checked_out(folder / EVENTS) as write_out, _begun(folder) as partial:
        write_out()
        for path in _sqlite(folder):
            with closing(_source(path)) as database:
                _copy(database, partial / path.name)
        # Last, for whoever closes a file that it has locked gives up the lock.
        shutil.copyfile(folder / EVENTS, partial / EVENTS)
        return _finished(folder, partial, version)


def digests(folder: Path, names: Iterable[str]) -> dict[str, dict[str, object]]:
    """Size and SHA-256 of each file."""
    told = {}
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            told[name] = {
                "bytes": (folder / name).stat().st_size,
                "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            }
    return told


def _sqlite(folder: Path) -> list[Path]:
    """State, checkpoints, and the demo businesses there are."""
    return sorted(folder.glob("*.sqlite"))


@contextmanager
def _begun(folder: Path) -> Iterator[Path]:
    """A new folder, which is named as a backup only when it is one, and is gone if it never is."""
    partial = folder / FOLDER / f"{clock.now():%Y-%m-%dT%H-%M-%S-%f}Z.partial"
    make_private_folder(partial.parent)
    partial.mkdir(mode=0o700)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _source(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _hold(database: sqlite3.Connection) -> None:
    """Go on seeing what is committed now."""
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def _copy(database: sqlite3.Connection, target: Path) -> None:
    """All that `database` sees, into a new file that stands by itself."""
    with closing(sqlite3.connect(target)) as copy:
        database.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _finished(folder: Path, partial: Path, version: str) -> Backup:
    """The manifest, all of it on disk, and the name that says so."""
    if (folder / KEY).exists():
        shutil.copyfile(folder / KEY, partial / KEY)
    whole = partial.with_suffix("")
    files = digests(partial, (path.name for path in partial.iterdir()))
    taken = Backup(str(whole.resolve()), clock.rfc3339(clock.now()), version, files)
    (partial / MANIFEST).write_bytes(orjson.dumps(asdict(taken), option=orjson.OPT_INDENT_2))
    for path in (*partial.iterdir(), partial):
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
        synced(path)
    partial.rename(whole)
    synced(whole.parent)
    log.info("backup_taken", folder=str(whole), bytes=sum(int(str(one["bytes"])) for one in files.values()))
    return taken


def synced(path: Path) -> None:
    """Have a file, or the names in a folder, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
