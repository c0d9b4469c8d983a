"""`demo-data`: thirty days of made-up conversations, for a first look."""

import argparse
import asyncio
from typing import Any

from smart_support.analytics import demo_history
from smart_support.settings import ROOT, Settings
from smart_support.storage.event_log import EventLog


def add(commands: Any) -> None:
    """Name the arguments: there are none."""
    told = "write 30 days of made-up conversations for the demo shop"
    commands.add_parser("demo-data", help=told).set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    return asyncio.run(_write(Settings()))


async def _write(settings: Settings) -> int:
    event_log = EventLog(settings.data_dir / "events.duckdb")
    try:
        written = await demo_history.write(event_log, ROOT / "data" / "shop")
    finally:
        event_log.close()
    print(f"{written} made-up conversations are in {settings.data_dir}; the console offers to clear them")
    return 0
