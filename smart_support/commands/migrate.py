"""`migrate`: bring the databases to this version, or with `--check` only say what that would do."""

import argparse
from typing import Any

from smart_support.settings import ROOT, Settings
from smart_support.storage.events.duckdb_file import check_free
from smart_support.storage.events.embedded import EventLog
from smart_support.storage.migrations import pending
from smart_support.storage.state.sqlite import SqliteStateDatabase

DUE = 3


def add(commands: Any) -> None:
    """Name the arguments."""
    told = "apply what the databases have not had; files are copied before; so does the app at its start"
    command = commands.add_parser("migrate", help=told, description=told)
    command.add_argument(
        "--check", action="store_true", help=f"only tell; the exit code is {DUE} where some is due"
    )
    command.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    settings = Settings()
    if settings.database_url:
        return _shared(settings.database_url, check=given.check)
    if (settings.data_dir / "events.duckdb").exists():
        check_free(settings.data_dir / "events.duckdb")
    found = pending(settings.data_dir)
    if not found:
        print(f"{settings.data_dir}: there are no databases yet; they are made at the first start")
        return 0
    if not given.check:
        _apply(settings, found)
    for file, names in found.items():
        for name in names:
            print(f"{file}: {name} {'is due' if given.check else 'applied'}")
    if not any(found.values()):
        print("Every database is as this version wants it.")
    return DUE if given.check and any(found.values()) else 0


def _shared(url: str, *, check: bool) -> int:
    from smart_support.storage.state.postgres import connected, due, migrate

    pool = connected(url)
    try:
        names = due(pool) if check else migrate(pool)
    finally:
        pool.close()
    for name in names:
        print(f"{name} {'is due' if check else 'applied'}")
    if not names:
        print("The database is as this version wants it.")
    return DUE if check and names else 0


def _apply(settings: Settings, found: dict[str, list[str]]) -> None:
    """Open each that lacks something, as the app would, and close it again."""
    # It brings LangChain along, which takes seconds.
    from smart_support.demo.store import DemoStore

    for file in (file for file, names in found.items() if names):
        path = settings.data_dir / file
        if file == "state.sqlite":
            SqliteStateDatabase(path).close()
        elif file == "events.duckdb":
            EventLog(path).close()
        else:
            DemoStore(path, ROOT / "data" / path.stem, path.stem).close()
