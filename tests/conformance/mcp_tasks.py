"""The tasks over MCP: a program makes each expected call with the unmodified client of the official SDK.

At a stop its client may be killed, may time out, or may lose the server. It then makes the call again with
the same key, which has to join the one that waits.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from tests.conformance import retail
from tests.support.harness import FORKING

Interruption = Literal["client_killed", "timed_out", "server_killed"]
REVISIONS = {"newest revision": "auto", "older revision": "legacy"}
# Shorter than any decision takes.
TIME_OUT_SECONDS = 0.2
WAITING_SECONDS = 60


class App(Protocol):
    """The app that is called."""

    @property
    def port(self) -> int: ...

    async def start(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a task, with the key that makes its repetitions join."""

    port: int
    mode: str
    tool: str
    args: dict[str, Any]
    key: str

    async def make(self, seconds: float | None = None) -> CallToolResult:
        """Make it with a client of its own, which waits at most `seconds` for the answer."""
        async with httpx2.AsyncClient(timeout=120, trust_env=False) as http:
            transport = streamable_http_client(f"http://127.0.0.1:{self.port}/mcp", http_client=http)
            async with Client(transport, mode=self.mode) as client:  # type: ignore[arg-type]
                meta: Any = {"smart-support/idempotency_key": self.key}
                return await client.call_tool(self.tool, self.args, read_timeout_seconds=seconds, meta=meta)


class McpTasks:
    """Makes the calls of tasks, and decides the writes."""

    def __init__(self, app: App, decides: Callable[[], bool]) -> None:
        """`decides`: whether the next write is approved."""
        self._app = app
        self._decides = decides

    async def run(
        self, name: str, number: int, actions: list[retail.Action], interruption: Interruption | None
    ) -> set[int]:
        """Make all calls of a task; returns the places of the writes that were approved.

        Raises:
            RuntimeError: a stop was not as it has to be.
        """
        approved: set[int] = set()
        for place, action in enumerate(actions):
            mode = list(REVISIONS.values())[(number + place) % len(REVISIONS)]
            call = Call(self._app.port, mode, action.name, action.arguments, f"{name}-{number}-{place}")
            if not retail.is_write(action.name):
                await call.make()
            elif await self._write(call, interruption, decide_first=place % 2 == 0):
                approved.add(place)
        return approved

    async def _write(self, call: Call, interruption: Interruption | None, *, decide_first: bool) -> bool:
        """Make a write and decide it; returns whether it was approved."""
        if interruption is None:
            answering = asyncio.create_task(call.make())
            yes = await self._decide(await self._waiting(call))
            self._check(await answering, yes, joined=False)
            return yes
        approval_id = await self._cut_off(call, interruption)
        call = Call(self._app.port, call.mode, call.tool, call.args, call.key)
        if decide_first:
            yes = await self._decide(approval_id)
            answer = await call.make()
        else:
            answering = asyncio.create_task(call.make())
            yes = await self._decide(await self._waiting(call))
            answer = await answering
        self._check(answer, yes, joined=True)
        return yes

    async def _cut_off(self, call: Call, interruption: Interruption) -> str:
        """Make a call whose client gets no answer; returns the id of the approval that waits."""
        if interruption == "client_killed":
            child = FORKING.Process(target=_make, args=(call,), daemon=True)
            child.start()
            approval_id = await self._waiting(call)
            child.kill()
            child.join()
            return approval_id
        if interruption == "timed_out":
            with contextlib.suppress(Exception):
                await call.make(TIME_OUT_SECONDS)
                raise AssertionError("the call did not time out")
            return await self._waiting(call)
        calling = asyncio.create_task(call.make())
        approval_id = await self._waiting(call)
        self._app.kill()
        await asyncio.wait({calling})
        if calling.exception() is None:
            raise RuntimeError(f"answered by a server that was killed: {calling.result()}")
        await self._app.start()
        return approval_id

    async def _waiting(self, call: Call) -> str:
        """The id of the one approval that waits, which has to be the call's."""
        async with asyncio.timeout(WAITING_SECONDS):
            waiting = await self._pending()
            while not waiting:
                await asyncio.sleep(0.02)  # what waits is on record a moment after the request
                waiting = await self._pending()
        shown = [(one["action"], one["args"]) for one in waiting]
        if shown != [(call.tool, call.args)]:
            raise RuntimeError(f"{call} waits, and shown is {shown}")
        return str(waiting[0]["approval_id"])

    async def _pending(self) -> list[dict[str, Any]]:
        approvals: list[dict[str, Any]] = (await self._rest("GET", "/approvals?status=pending")).json()[
            "data"
        ]
        return approvals

    async def _decide(self, approval_id: str) -> bool:
        yes = self._decides()
        body = {"decision": "approve" if yes else "reject"}
        (await self._rest("POST", f"/approvals/{approval_id}/decision", json=body)).raise_for_status()
        return yes

    async def _rest(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as rest:
            return await rest.request(method, f"http://127.0.0.1:{self._app.port}/api/v1{path}", **options)

    def _check(self, answer: CallToolResult, yes: bool, *, joined: bool) -> None:
        meta: Any = answer.meta or {}
        statuses = ("done", "failed") if yes else ("rejected",)
        given = meta.get("smart-support/status"), meta.get("smart-support/joined")
        if given[0] not in statuses or given[1] is not joined or answer.is_error is (given[0] == "done"):
            raise RuntimeError(f"approved {yes}, and answered {given}: {answer}")


def _make(call: Call) -> None:
    work: Awaitable[CallToolResult] = call.make()
    asyncio.run(work)  # type: ignore[arg-type]
