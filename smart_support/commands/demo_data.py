"""`demo-data`: thirty days of made-up conversations, for a first look."""

import argparse
import asyncio
from typing import Any

from smart_support.demo import history
from smart_support.settings import ROOT, Settings
from smart_support.storage.stores import opened


def add(commands: Any) -> None:
    """Name the arguments: there are none."""
    told = "write 30 days of made-up conversations for the demo shop"
    commands.add_parser("demo-data", help=told).set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    return asyncio.run(_write(Settings()))


async def _write(settings: Settings) -> int:
    async with opened(settings) as stores:
        written = await history.write(stores.event_log, ROOT / "data" / "shop")
    where = "the database" if settings.database_url else settings.data_dir
    print(f"{written} made-up conversations are in {where}; the console offers to clear them")
    return 0
