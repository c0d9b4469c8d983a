"""The app as the kill test runs it: two tools that leave their effects in files, one honest about keys.

It may be started with a trap: a place in the code where it kills itself, the moments that luck seldom hits.
Imported once and forked for each start, so that a start costs a fraction of a second; each is a process of
its own that really is killed.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from smart_support import Settings, create_app
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.sessions import SessionManager
from smart_support.conversation.takeovers import Takeovers
from smart_support.conversation.turn import Turn
from smart_support.escalations.escalations import Escalations
from smart_support.notifications.outbox import Outbox
from smart_support.notifications.webhook import WebhookSender
from smart_support.server.console import import_console
from smart_support.storage.checkpoint_file import CheckpointFile
from smart_support.tools.registry import Access, Args, Call, Tool
from tests.support.notifications import SECRET

import_console()  # once, so that a fork need not

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


KEPT = "kept"
# Where the app may kill itself: each is after one thing is durable and before the next that belongs to it.
TRAPS: dict[str, tuple[type, str]] = {
    "asked": (ApprovalQueue, "request"),  # on the queue, and nobody told
    "decided": (ApprovalQueue, "decide"),  # decided, and neither answered nor taken up
    "parked": (ApprovalQueue, "park"),  # looked for a freeze, and parked where there is one
    "ended": (Ledger, "finish"),  # what came of it is on record, and the conversation knows nothing
    KEPT: (CheckpointFile, "aput_writes"),  # a step's writes are kept, and its checkpoint is not
    "told": (Escalations, "escalate"),  # a human is told, and the conversation is not
    "taken": (SessionManager, "take_over"),  # a person has it, or the agents again, and no event says so
    "said": (Turn, "answer_as_colleague"),  # a person's answer is recorded, and they are not told
    "noted": (Takeovers, "note"),  # a note is kept, and who wrote it is not told
}
# The same for notifications: recorded and not sent, and sent while that is not on record.
RECORDED, SENT = "recorded", "sent"
OUTBOX_TRAPS: dict[str, tuple[type, str]] = {RECORDED: (Outbox, "due"), SENT: (WebhookSender, "send")}
SECRET_VARIABLE = "HOOK_SECRET"
# In a tool: the intent is on record and nothing is done; it is done and that is not on record, by the tool
# that does not honour its key, and by the one that does.
BEGUN, EFFECT, MARKED = "begun", "effect", "marked"


class Trap:
    """Kills this process, really, when it comes to a place for the `nth` time."""

    def __init__(self, place: str, nth: int) -> None:
        self.place, self.left = place, nth
        if place in (traps := TRAPS | OUTBOX_TRAPS):
            owner, name = traps[place]
            setattr(owner, name, self._after(getattr(owner, name)))

    def at(self, place: str) -> None:
        """Say that a place is reached."""
        if place == self.place:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def _after(self, work: Callable[..., Any]) -> Callable[..., Any]:
        async def trapped(*args: Any, **options: Any) -> Any:
            done = await work(*args, **options)
            self.at(self.place)
            return done

        return trapped


def serve(
    port: int,
    folder: str,
    seed: int,
    place: str = "",
    nth: int = 1,
    database: str = "",
    undo_seconds: int = 0,
) -> None:
    """Run the app until it is killed, or kills itself at its trap, if it is given one."""
    base, trap = Path(folder), Trap(place, nth)
    agents = base / "agents.yaml"
    agents.write_text(AGENTS)
    targets = base / "notify.yaml"
    os.environ[SECRET_VARIABLE] = SECRET
    settings = Settings(
        notify_file=targets if targets.exists() else None,
        data_dir=base / "var",
        agents_file=agents,
        rate_limit="100000/1s",
        log_level="error",
        log_format="json",
        database_url=database,
        undo_seconds=undo_seconds,
    )
    app = create_app(settings)
    app.state.services.registry.add(*tools(base, random.Random(seed), trap))
    quiet = {"log_config": None, "access_log": False}
    uvicorn.run(app, port=port, ws="websockets-sansio", timeout_graceful_shutdown=5, **quiet)


def tools(base: Path, chance: random.Random, trap: Trap) -> list[Tool]:
    """`strike` has its effect each time it is called, `mark` once a key; both may be cut off after it."""

    async def strike(args: Args, call: Call) -> Any:
        trap.at(BEGUN)
        await asyncio.sleep(chance.random() * 0.01)
        _append(base / "strikes", str(args["item_id"]))
        trap.at(EFFECT)
        await asyncio.sleep(chance.random() * 0.03)
        return {"message": f"{args['item_id']} is struck."}

    async def mark(args: Args, call: Call) -> Any:
        trap.at(BEGUN)
        done = base / "marks" / str(call.idempotency_key)
        done.parent.mkdir(exist_ok=True)
        if not done.exists():
            # Renamed into place, so that a kill leaves all of it or nothing.
            unfinished = base / f"{call.idempotency_key}.unfinished"
            unfinished.write_text(str(args["item_id"]))
            unfinished.rename(done)
            trap.at(MARKED)
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
