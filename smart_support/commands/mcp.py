"""`mcp`: an MCP server on standard input and output, for desktop clients; it speaks to a running app."""

import argparse
import asyncio
import os
import sys
from typing import Any

from smart_support.settings import Settings


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("mcp", help="serve a client's tools over MCP on standard input and output")
    command.add_argument(
        "--url", type=_address, help="of the running app; by default where the settings say that it listens"
    )
    command.set_defaults(run=_run)


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r}: give it as http://HOST:PORT")
    return text


def _run(given: argparse.Namespace) -> int:
    from smart_support.mcp_server import stdio  # takes as long to import as all other commands

    url = given.url or Settings().local_url
    key = os.environ.get("SMART_SUPPORT_KEY")
    print(f"Passing on to {url}/mcp" + ("" if key else " without SMART_SUPPORT_KEY"), file=sys.stderr)
    asyncio.run(stdio.serve(url, key))
    return 0
