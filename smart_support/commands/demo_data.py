"""`demo-data`: writes thirty days of generated conversations."""

import argparse
import asyncio
from typing import Any

from smart_support.settings import ROOT, Settings


def add(commands: Any) -> None:
    """Add the command to the parser."""
    description = "write 30 days of generated conversations of the demo shop"
    commands.add_parser("demo-data", help=description).set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    return asyncio.run(_write(Settings()))


async def _write(settings: Settings) -> int:
    # Here, as they import most of the app: the other commands begin in half the time.
    from smart_support.demo import history
    from smart_support.storage.stores import open_stores

    async with open_stores(settings) as stores:
        written = await history.write(stores.event_log, ROOT / "data" / "shop")
    where = "the database" if settings.database_url else settings.data_dir
    print(f"{written} demo conversations are in {where}. You can delete them in the console")
    return 0
