"""`backup` and `restore`: a copy of all data, by the app where it runs, and its way back."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx

from smart_support import __version__, audit
from smart_support.errors import ConfigError
from smart_support.settings import Settings
from smart_support.storage import backup
from smart_support.storage.events.duckdb_file import check_free
from smart_support.storage.restore import restore, waiting

KEY = "SMART_SUPPORT_KEY"
SECONDS = 3600


def add(commands: Any) -> None:
    """Name the arguments."""
    told = "copy all data into a new folder, whether the app runs or not"
    taking = commands.add_parser("backup", help=told, description=f"{told}; where it runs, with {KEY}")
    taking.add_argument("to", type=Path, metavar="TO_FOLDER")
    taking.add_argument("--url", help="where the app answers, if not at its HOST and PORT")
    taking.set_defaults(run=_backup)
    told = "put a backup into the data folder of an app that does not run"
    restoring = commands.add_parser("restore", help=told, description=told)
    restoring.add_argument("source", type=Path, metavar="FROM_FOLDER")
    restoring.add_argument("--force", action="store_true", help="move what is in the data folder aside")
    restoring.set_defaults(run=_restore)


def _backup(given: argparse.Namespace) -> int:
    settings = Settings()
    if settings.database_url:
        raise ConfigError(backup.ELSEWHERE)
    if given.to.exists() and (not given.to.is_dir() or any(given.to.iterdir())):
        raise ConfigError(f"{given.to}: is there already and not an empty folder; name another one")
    if _runs(settings):
        taken = _by_the_app(settings, given.url)
    else:
        if (settings.data_dir / "state.sqlite").exists():
            audit.record_command(settings, "backup_begun")
        taken = Path(backup.take_stopped(settings.data_dir, __version__).folder)
    given.to.parent.mkdir(parents=True, exist_ok=True)
    if given.to.exists():
        given.to.rmdir()
    shutil.move(taken, given.to)
    copied = sum(path.stat().st_size for path in given.to.iterdir())
    print(f"{copied / 1e6:.1f} MB are in {given.to}")
    print(f"Put them back with: python -m smart_support restore {given.to}")
    return 0


def _runs(settings: Settings) -> bool:
    if not (settings.data_dir / backup.EVENTS).exists():
        return False
    try:
        check_free(settings.data_dir / backup.EVENTS)
    except ConfigError:
        return True
    return False


def _by_the_app(settings: Settings, url: str | None) -> Path:
    """Have the running app take the copy; it is on this machine, for it holds the data folder's files."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    at = (url or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}").rstrip("/")
    key = os.environ.get(KEY)
    try:
        headers = {"X-API-Key": key} if key else {}
        answer = httpx.post(f"{at}/api/v1/backup", headers=headers, timeout=SECONDS, trust_env=False)
        told = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ConfigError(
            f"SMART_SUPPORT_DATA_DIR={settings.data_dir} is in use, and no app that could copy it answers at "
            f"{at} ({error or type(error).__name__}); give the app's address with --url, or stop the app"
        ) from None
    if answer.status_code in (401, 403):
        raise ConfigError(
            f"{KEY}: {told['error']['message']} Set it to an admin's key; one is made with "
            "python -m smart_support users key backup --role admin"
        )
    if answer.status_code != 201:
        raise ConfigError(f"{at} could not take a backup: {told['error']['message']}")
    return Path(told["data"]["folder"])


def _restore(given: argparse.Namespace) -> int:
    settings = Settings()
    if settings.database_url:
        raise ConfigError(backup.ELSEWHERE.replace("back it up with pg_dump", "restore it with pg_restore"))
    aside = restore(given.source, settings.data_dir, force=given.force)
    audit.record_command(settings, "backup_restored", backup=given.source.resolve().name)
    if aside:
        print(f"What was in {settings.data_dir} is in {aside} now; delete it when you need it no more")
    if left := waiting(settings.data_dir):
        print(
            f"{left} approvals wait. Look at them before you decide: what was decided after the backup was "
            "taken waits here again, though its action may have been carried out since",
            file=sys.stderr,
        )
    return audit.main(["verify"])
