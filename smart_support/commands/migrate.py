"""`migrate`: applies pending database migrations, or lists them with `--check`."""

import argparse
from typing import Any

from smart_support import demo
from smart_support.settings import ROOT, Settings
from smart_support.storage.events.duckdb_file import check_free
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.migrations import pending
from smart_support.storage.state.sqlite import SqliteStateDatabase

EXIT_PENDING = 3


def add(commands: Any) -> None:
    """Add the command to the parser."""
    text = "apply pending database migrations, as the app does at its start; files are copied before"
    command = commands.add_parser("migrate", help=text, description=text)
    command.add_argument(
        "--check", action="store_true", help=f"only list them; exit code {EXIT_PENDING} if there are any"
    )
    command.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    settings = Settings()
    if settings.database_url:
        return _shared(settings.database_url, check=given.check)
    if (settings.data_dir / "events.duckdb").exists():
        check_free(settings.data_dir / "events.duckdb")
    migrations = pending(settings.data_dir, demo.MIGRATIONS.iterdir())
    if not migrations:
        print(f"{settings.data_dir}: there are no databases yet; the first start creates them")
        return 0
    if not given.check:
        _apply(settings, migrations)
    for file, names in migrations.items():
        for name in names:
            print(f"{file}: {name} {'is pending' if given.check else 'applied'}")
    if not any(migrations.values()):
        print("Every database is up to date.")
    return EXIT_PENDING if given.check and any(migrations.values()) else 0


def _shared(url: str, *, check: bool) -> int:
    from smart_support.storage.state.postgres import due, migrate, open_pool

    pool = open_pool(url)
    try:
        names = due(pool) if check else migrate(pool)
    finally:
        pool.close()
    for name in names:
        print(f"{name} {'is pending' if check else 'applied'}")
    if not names:
        print("The database is up to date.")
    return EXIT_PENDING if check and names else 0


def _apply(settings: Settings, migrations: dict[str, list[str]]) -> None:
    """Open and close each database that has pending migrations, which applies them."""
    # Importing this takes seconds, because it imports LangChain.
    from smart_support.demo.store import DemoStore

    for file in (file for file, names in migrations.items() if names):
        path = settings.data_dir / file
        if file == "state.sqlite":
            SqliteStateDatabase(path).close()
        elif file == "events.duckdb":
            EmbeddedEventStore(path).close()
        else:
            DemoStore(path, ROOT / "data" / path.stem, path.stem).close()
