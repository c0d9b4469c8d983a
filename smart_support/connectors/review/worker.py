"""From the address of a description to a review of its operations: in the background, with progress.

What a reviewer then does with it is in `jobs.py`.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import orjson

from smart_support.concurrency import end_tasks
from smart_support.connectors.asking import Asking
from smart_support.connectors.mcp import TOKEN, mcp_document
from smart_support.connectors.openapi.document.operation import Document
from smart_support.connectors.openapi.document.parse import parse
from smart_support.connectors.openapi.document.reader import InvalidSpec
from smart_support.connectors.review.addresses import api_name, kept_address, same_api
from smart_support.connectors.review.review import Reviewed, proposed
from smart_support.connectors.review.sources import Sources
from smart_support.connectors.review.store import ImportStore, Job
from smart_support.connectors.review.vault import Vault
from smart_support.errors import InvalidRequest, NotFound, SmartSupportError
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import Locks

log = get_logger()


class Loading:
    """All imports, as far as their review."""

    def __init__(
        self,
        store: ImportStore,
        vault: Vault,
        sources: Sources,
        asking: Asking,
        *,
        taken: Callable[[], Iterable[str]],
        locks: Locks,
    ) -> None:
        """
        Args:
            asking: knows the token that an MCP server was given before.
            taken: names of tools that are not imported ones.
            locks: tell the processes of a system which of them is loading what.
        """
        self.store = store
        self.vault = vault
        self._sources = sources
        self._asking = asking
        self._taken = taken
        self._locks = locks
        self._documents: dict[str, Document] = {}
        self._loading: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Say of what a crash cut off while it was loading that it was."""
        loading = {_lock(job): job.job_id for job in await self.store.jobs("loading")}
        held = await self._locks.held(loading)
        await self.store.fail_left_behind({loading[name] for name in held})

    async def begin(
        self,
        *,
        url: str | None = None,
        spec: Any = None,
        mcp: str | None = None,
        name: str = "",
        token: str | None = None,
        by: str,
    ) -> Job:
        """Begin an import; it goes on in the background.

        Args:
            url: where the description is; or
            spec: the description itself: text, bytes, or the object; `name`: what it was called; or
            mcp: an MCP server: its address, or the name under which it was declared;
                `token`: the bearer token it asks for, which is kept like any credential.

        Raises:
            InvalidRequest: none of them was given, or more than one.
        """
        if [url, spec, mcp].count(None) != 2:
            raise InvalidRequest("give one of 'url', 'spec' and 'mcp', or send a file")
        if mcp is not None:
            self._sources.check(mcp)
            return self._background(await self.store.begin("mcp", mcp, by), None, token)
        raw = _written(spec) if isinstance(spec, (dict, list)) else spec
        return self._background(
            await self.store.begin("openapi", url or name or "pasted text", by), raw, None
        )

    def _background(self, job: Job, raw: bytes | str | None, token: str | None) -> Job:
        task = asyncio.create_task(self._load(job, raw, token))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)
        return job

    async def close(self) -> None:
        """Leave what is loading; the next start says that it was cut off."""
        await end_tasks(*self._loading)

    async def _load(self, job: Job, raw: bytes | str | None, token: str | None) -> None:
        async with self._locks.hold(_lock(job)):
            await self._loaded(job, raw, token)

    async def _loaded(self, job: Job, raw: bytes | str | None, token: str | None) -> None:
        try:
            await self._step(job, "downloading" if raw is None else "reading")
            if job.kind == "mcp":
                loaded = await self._sources.listed(job.source, token or await self._token(job.source))
            else:
                raw = await self._sources.downloaded(job.source) if raw is None else raw
                loaded = await self._sources.read(raw)
            document = await asyncio.to_thread(_parsed, loaded)
            await self._step(job, "sorting", total=len(document.operations))
            await self._sort(job, document, loaded, token)
            log.info("import_loaded", job_id=job.job_id, operations=len(document.operations))
        except (SmartSupportError, TimeoutError) as error:
            told = error.message if isinstance(error, SmartSupportError) else str(error)
            await self.store.update(job.job_id, status="failed", error=" ".join(told.split()))
        except Exception as error:
            log.error("import_failed", job_id=job.job_id, error=repr(error))
            told = "This description could not be read; the log says why."
            await self.store.update(job.job_id, status="failed", error=told)

    async def _token(self, source: str) -> str | None:
        """What was entered for an MCP server that is in use."""
        for live in await self.store.jobs("live", limit=1000):
            if live.source == source and (token := await self._asking.token(live)):
                return token
        return None

    async def _sort(
        self, job: Job, document: Document, loaded: dict[str, Any], token: str | None = None
    ) -> None:
        api, live = await self._api_of(job, document)
        if token:
            await self.vault.keep(api, document.schemes[TOKEN], {"token": token}, job.source)
        decided = await self.store.operations(live.job_id) if live else {}
        reviewed = await asyncio.to_thread(
            lambda: [proposed(one, decided.get(one.tool_name)) for one in document.operations]
        )
        found = {one.key for one in reviewed}
        reviewed += [replace(one, change="gone") for key, one in decided.items() if key not in found]
        self._documents[job.job_id] = document
        await self.store.put(job.job_id, self._renamed(reviewed, api, await self._others(api)))
        progress = {"step": "done", "done": len(reviewed), "total": len(reviewed)}
        await self.store.update(
            job.job_id,
            api=api,
            title=document.title or job.source,
            document=orjson.dumps(loaded),
            base_url=kept_address(job, document, live, await self.document(live)) if live else None,
            variables=live.variables if live else {},
            progress=progress | {"compared_with": live.job_id if live else None},
            status="review",
        )

    async def _api_of(self, job: Job, document: Document) -> tuple[str, Job | None]:
        """What the API is called, and its import that is in use."""
        for number in count(1):
            api = api_name(document.title or job.source, number)
            live = await self.store.live(api)
            if live is None or same_api(job, document, live, await self.document(live)):
                return api, live
        raise AssertionError("unreachable: there are finitely many imports")

    async def _others(self, api: str) -> set[str]:
        """Names of tools that belong to somebody else."""
        taken = set(self._taken())
        for job in await self.store.jobs("live", limit=1000):
            if job.api != api:
                taken |= {one.tool_name for one in (await self.store.operations(job.job_id)).values()}
        return taken

    def _renamed(self, reviewed: list[Reviewed], api: str, taken: set[str]) -> list[Reviewed]:
        """A new tool that has a taken name gets its API's name before its own."""
        return [
            replace(one, tool_name=f"{api}_{one.tool_name}"[:63].rstrip("_"))
            if one.change == "new" and one.tool_name in taken
            else one
            for one in reviewed
        ]

    async def _step(self, job: Job, step: str, total: int = 0) -> None:
        await self.store.update(job.job_id, progress={"step": step, "done": 0, "total": total})

    async def document(self, job: Job) -> Document:
        """What was read; parsed again after a restart.

        Raises:
            NotFound: nothing has been read yet, or nothing could be.
        """
        if job.job_id not in self._documents:
            loaded = orjson.loads(await self.store.document(job.job_id))
            if loaded is None:
                raise NotFound(
                    f"import job {job.job_id}: {job.error or 'it is still loading; try again soon'}"
                )
            self._documents[job.job_id] = await asyncio.to_thread(_parsed, loaded)
        return self._documents[job.job_id]


def _lock(job: Job) -> str:
    return f"import:{job.job_id}"


def _written(spec: Any) -> bytes:
    try:
        return orjson.dumps(spec)
    except orjson.JSONEncodeError as error:
        raise InvalidSpec(f"The document can't be read: {error}; send it as text to see where.") from None


def _parsed(loaded: dict[str, Any]) -> Document:
    return mcp_document(loaded) if "mcp" in loaded else parse(loaded)
