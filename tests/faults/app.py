"""The app as the kill test runs it: two tools that leave their effects in files, one honest about keys.

Imported once and forked for each start, so that a start costs a fraction of a second; each is a process of
its own that really is killed.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import uvicorn

import pages  # noqa: F401  (imported here, so that a fork need not)
from smart_support import Settings, create_app
from smart_support.tools.registry import Access, Args, Call, Tool

AGENTS = """\
company: Faults
fallback: only
agents:
  - {name: only, title: Only, description: Strikes and marks., tools: [strike, mark]}
"""
SCHEMA = {
    "type": "object",
    "properties": {"item_id": {"type": "string"}},
    "required": ["item_id"],
    "additionalProperties": False,
}


def serve(port: int, folder: str, seed: int) -> None:
    """Run the app until it is killed."""
    base = Path(folder)
    agents = base / "agents.yaml"
    agents.write_text(AGENTS)
    settings = Settings(
        data_dir=base / "var",
        agents_file=agents,
        rate_limit="100000/1s",
        log_level="error",
        log_format="json",
    )
    app = create_app(settings)
    app.state.services.registry.add(*tools(base, random.Random(seed)))
    uvicorn.run(app, port=port, ws="websockets-sansio", log_config=None, access_log=False)


def tools(base: Path, chance: random.Random) -> list[Tool]:
    """`strike` has its effect each time it is called, `mark` once a key; both may be cut off after it."""

    async def strike(args: Args, call: Call) -> Any:
        await asyncio.sleep(chance.random() * 0.01)
        _append(base / "strikes", str(args["item_id"]))
        await asyncio.sleep(chance.random() * 0.03)
        return {"message": f"{args['item_id']} is struck."}

    async def mark(args: Args, call: Call) -> Any:
        done = base / "marks" / str(call.idempotency_key)
        done.parent.mkdir(exist_ok=True)
        if not done.exists():
            # Renamed into place, so that a kill leaves all of it or nothing.
            unfinished = base / f"{call.idempotency_key}.unfinished"
            unfinished.write_text(str(args["item_id"]))
            unfinished.rename(done)
        await asyncio.sleep(chance.random() * 0.03)
        return {"message": f"{args['item_id']} is marked."}

    def write(name: str, run: Any, *, idempotent: bool) -> Tool:
        words = f"{name.capitalize()} an item."
        return Tool(name, words, SCHEMA, Access.WRITE, run, idempotent=idempotent)

    return [write("strike", strike, idempotent=False), write("mark", mark, idempotent=True)]


def _append(path: Path, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
