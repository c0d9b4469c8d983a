"""`backup` and `restore`: copy all data, and put a copy back."""

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
from smart_support.storage.restore import count_pending_approvals, restore

KEY = "SMART_SUPPORT_KEY"
SECONDS = 3600


def add(commands: Any) -> None:
    """Add both commands to the parser."""
    text = "copy all data into a new folder, whether the app runs or not"
    backing_up = commands.add_parser("backup", help=text, description=f"{text}; set {KEY} if it runs")
    backing_up.add_argument("to", type=Path, metavar="TO_FOLDER")
    backing_up.add_argument("--url", help="the address of the running app, if not its HOST and PORT")
    backing_up.set_defaults(run=_backup)
    text = "put a backup into the data folder of an app that does not run"
    restoring = commands.add_parser("restore", help=text, description=text)
    restoring.add_argument("source", type=Path, metavar="FROM_FOLDER")
    restoring.add_argument(
        "--force", action="store_true", help="move the present data to another folder first"
    )
    restoring.set_defaults(run=_restore)


def _backup(given: argparse.Namespace) -> int:
    settings = Settings()
    if settings.database_url:
        raise ConfigError(backup.IN_POSTGRES)
    if given.to.exists() and (not given.to.is_dir() or any(given.to.iterdir())):
        raise ConfigError(f"{given.to} exists and is not an empty folder; choose another one")
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
    print(f"Restore it with: python -m smart_support restore {given.to}")
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
    """Ask the running app for the copy. It runs on this machine, because it has the files open."""
    address = (url or settings.local_url).rstrip("/")
    key = os.environ.get(KEY)
    try:
        headers = {"X-API-Key": key} if key else {}
        answer = httpx.post(f"{address}/api/v1/backup", headers=headers, timeout=SECONDS, trust_env=False)
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ConfigError(
            f"SMART_SUPPORT_DATA_DIR={settings.data_dir} is in use, but no app answers at {address} "
            f"({error or type(error).__name__}); give the app's address with --url, or stop the app"
        ) from None
    if answer.status_code in (401, 403):
        raise ConfigError(
            f"{KEY}: {body['error']['message']} Set it to the key of an admin; create one with "
            "python -m smart_support users key backup --role admin"
        )
    if answer.status_code != 201:
        raise ConfigError(f"{address} could not make a backup: {body['error']['message']}")
    return Path(body["data"]["folder"])


def _restore(given: argparse.Namespace) -> int:
    settings = Settings()
    if settings.database_url:
        raise ConfigError(backup.IN_POSTGRES.replace("back it up with pg_dump", "restore it with pg_restore"))
    moved = restore(given.source, settings.data_dir, force=given.force)
    audit.record_command(settings, "backup_restored", backup=given.source.resolve().name)
    if moved:
        print(f"The old data is now in {moved}; delete it when you no longer need it")
    if left := count_pending_approvals(settings.data_dir):
        print(
            f"{left} approvals are pending. Check them before you decide: an approval that was decided after "
            "the backup is pending again, and its action may already have run",
            file=sys.stderr,
        )
    return audit.main(["verify"])
