"""The import service on a database of its own, without an app: reviews and approvals in milliseconds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.review.import_service import ImportedTools, ImportService
from smart_support.connectors.review.import_store import ImportJob, ImportStore
from smart_support.connectors.review.vault import Vault
from smart_support.outbound.client import GuardedClient
from smart_support.storage.answer_files import AnswerFiles
from smart_support.storage.coordination.local import LocalLocks
from smart_support.storage.state.sqlite import SqliteStateDatabase
from smart_support.tools.registry import Call, Tool


@dataclass
class Reviews:
    """An import service, and the tools that it has activated.

    Attributes:
        build: called with the tools before they are activated; raises where they can't be used.
    """

    service: ImportService
    state: SqliteStateDatabase
    client: Any
    active: ImportedTools = field(default_factory=lambda: ImportedTools([], [], []))
    build: Callable[[ImportedTools], None] = lambda tools: None

    @property
    def tools(self) -> dict[str, Tool]:
        """The active tools by name."""
        return {one.tool.name: one.tool for one in self.active.tools}

    async def imported(self, spec: dict[str, Any] | None = None, by: str = "dana", **given: Any) -> ImportJob:
        """A job once it has been loaded for review. `given`: as of `ImportWorker.submit`."""
        job = await self.service.worker.submit(spec=spec, by=by, **given)
        while (job := await self.service.store.job(job.job_id)).status == "loading":  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.002)
        assert job.status == "review", job.error
        return job

    async def call(self, name: str, **args: Any) -> Any:
        """The result of an active tool."""
        return await self.tools[name].run(args, Call("thread", "call"))


@asynccontextmanager
async def reviews(
    folder: Path,
    reserved: Sequence[str] = (),
    client: Any = None,
    commands: Mapping[str, list[str]] | None = None,
) -> AsyncIterator[Reviews]:
    """An import service whose data is in `folder`.

    Args:
        client: sends its requests; None for one that may call 127.0.0.1.
        commands: of MCP servers, by name.
    """
    mcp = McpClient(commands or {}, frozenset(["127.0.0.1"]), timeout_seconds=5)
    state, own = SqliteStateDatabase(folder / "state.sqlite"), GuardedClient(["127.0.0.1"])

    def build(imported: ImportedTools, *_: Any) -> Callable[[], None]:
        running.build(imported)

        def activate() -> None:
            running.active = imported

        return activate

    service = ImportService(
        ImportStore(state),
        Vault(state, folder / "secret.key"),
        client or own,
        mcp=mcp,
        max_bytes=20_000_000,
        timeout_seconds=5,
        files=AnswerFiles(folder),
        reserved_names=lambda: reserved,
        build_toolset=build,
        announce=lambda: None,
        locks=LocalLocks(),
    )
    running = Reviews(service, state, client or own)
    yield running
    await service.worker.close()
    await mcp.close()
    await own.aclose()
    state.close()


def document(title: str, url: str, paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An OpenAPI description of a service at `url`."""
    server = {"servers": [{"url": url}]}
    return {"openapi": "3.1.0", "info": {"title": title, "version": "1"}, "paths": paths, **server, **more}


def operation(operation_id: str, **more: Any) -> dict[str, Any]:
    """An operation with a summary."""
    return {"operationId": operation_id, "summary": f"Do {operation_id}", **more}
