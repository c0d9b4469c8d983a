"""An app around a brought graph that kills itself, really, at a chosen place of an approved write.

Its write leaves a line in a file, so that what happened outside can be counted after the process is gone.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from smart_support import Settings, create_app
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.sessions import SessionManager
from smart_support.escalations.escalations import Escalations
from smart_support.server.console import import_console
from tests.support.graphs import failing
from tests.support.graphs.shapes import SHAPES, Write
from tests.support.harness import FORKING, Client, free_port
from tests.support.health import wait_until_healthy
from tests.support.stores import database_url
from tests.support.workers import is_cut_off

import_console()  # once, so that a fork need not

# Each is reached when a call has returned: one thing is durable, and the next that belongs to it is not.
PLACES: dict[str, tuple[type, str]] = {
    "requested": (ApprovalQueue, "request"),
    "decided": (ApprovalQueue, "decide"),
    "begun": (Ledger, "begin_together"),
    "stuck": (SessionManager, "mark_stuck"),
    "told": (Escalations, "escalate"),
    "finished": (Ledger, "finish_together"),
    "resumed": (ApprovalQueue, "mark_resumed"),
}
BEFORE, AFTER = "before the write", "after the write"
BUILDS = {name: shape.build for name, shape in SHAPES.items() if shape.outlives} | {
    "act_in_next_step": failing.act_in_next_step,
    "breakpoint_before": failing.breakpoint_graph(before=["act"]),
    "breakpoint_inside": failing.breakpoint_graph(before=["act"], inside=True),
}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Outside(list[Write]):
    """A system outside: each write is one line of a file, on disk before it returns."""

    def __init__(self, path: Path, place: str) -> None:
        super().__init__()
        self._path, self._place = path, place

    def append(self, write: Write) -> None:
        """Carry out a write."""
        if self._place == BEFORE:
            _die()
        with self._path.open("a") as file:
            file.write(f"{write.order}\n")
            file.flush()
            os.fsync(file.fileno())
        if self._place == AFTER:
            _die()


def _trap(owner: type, name: str) -> None:
    work: Callable[..., Any] = getattr(owner, name)

    async def trapped(*args: Any, **options: Any) -> Any:
        result = await work(*args, **options)
        _die()
        return result

    setattr(owner, name, trapped)


def serve(port: int, folder: str, shape: str, place: str, database: str) -> None:
    """Run the app until it is killed, or kills itself at `place`."""
    base = Path(folder)
    if place in PLACES:
        _trap(*PLACES[place])
    settings = Settings(
        data_dir=base / "var",
        rate_limit="100000/1s",
        log_level="error",
        log_format="json",
        database_url=database,
    )
    app = create_app(settings, graph=BUILDS[shape](_Outside(base / "writes", place), None))
    quiet: dict[str, Any] = {"log_config": None, "access_log": False}
    uvicorn.run(app, port=port, ws="websockets-sansio", timeout_graceful_shutdown=5, **quiet)


class KilledApp:
    """One conversation with an app that is killed again and again."""

    def __init__(self, folder: Path, shape: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.shape = folder, shape
        self.port = 0
        self._process: Any = None

    @property
    def writes(self) -> list[str]:
        """The orders that were refunded outside."""
        path = self.folder / "writes"
        return path.read_text().split() if path.exists() else []

    async def start(self, place: str = "") -> bool:
        """Start it; whether it answers, or has killed itself before it did."""
        self.port = free_port()
        arguments = (self.port, str(self.folder), self.shape, place, database_url(self.folder / "var"))
        self._process = FORKING.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        if await wait_until_healthy(self._process, self._url):
            return True
        assert self._process.exitcode == -signal.SIGKILL, self._process.exitcode
        return False

    async def died(self) -> None:
        """Wait until it has killed itself."""
        await asyncio.to_thread(self._process.join, 30)
        assert self._process.exitcode == -signal.SIGKILL, self._process.exitcode

    def stop(self) -> None:
        """End it."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    async def connect(self) -> Client:
        """A socket to it."""
        return await Client.connect(f"ws://127.0.0.1:{self.port}/ws")

    async def get(self, path: str, **params: Any) -> Any:
        """The `data` of a REST answer."""
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.get(f"{self._url}{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def decide(self, approval_id: str) -> None:
        """Approve; the answer may never come."""
        async with httpx.AsyncClient(timeout=30) as client:
            path = f"{self._url}/approvals/{approval_id}/decision"
            try:
                answer = await client.post(path, json={"decision": "approve"})
            except httpx.TransportError as error:
                if not is_cut_off(error):
                    raise
            else:
                assert answer.status_code == 200, answer.text

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"
