"""Imports from the address of a description to tools in use: load, review, approve, and again.

Loading runs in the background, with progress. Nothing is a tool before somebody has approved it, and a
re-import changes nothing that was decided without showing it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import orjson
from langchain_core.language_models import BaseChatModel

from smart_support.errors import InvalidRequest, NotFound, SmartSupportError, ToolFailed
from smart_support.log import get_logger
from smart_support.net import GuardedClient
from smart_support.openapi_import.addresses import address, api_name, home, kept_address, same_api
from smart_support.openapi_import.asking import Asking
from smart_support.openapi_import.caller import Caller
from smart_support.openapi_import.load import InvalidSpec
from smart_support.openapi_import.mcp_server import TOKEN, McpServers, mcp_document
from smart_support.openapi_import.operation import Document, Operation
from smart_support.openapi_import.operation_tool import Run, operation_tool
from smart_support.openapi_import.parse import parse
from smart_support.openapi_import.review import Reviewed, changed, proposed
from smart_support.openapi_import.sources import Sources
from smart_support.openapi_import.store import ImportStore, Job
from smart_support.openapi_import.vault import Vault
from smart_support.openapi_import.wording import proposals
from smart_support.storage.locks import Locks
from smart_support.tools.registry import Tool

log = get_logger()
OPEN = ("review", "live")


@dataclass(frozen=True, slots=True)
class ImportedTool:
    """A tool out of an import, and the agent it is for."""

    tool: Tool
    agent: str
    api: str


class Imports:
    """All imports, and the tools that came of them."""

    def __init__(
        self,
        store: ImportStore,
        vault: Vault,
        client: GuardedClient,
        *,
        mcp: McpServers,
        max_bytes: int,
        timeout_seconds: float,
        taken: Callable[[], Iterable[str]],
        approved: Callable[[], Awaitable[None]],
        locks: Locks,
    ) -> None:
        """
        Args:
            mcp: the MCP servers that can be asked.
            max_bytes: of a description.
            timeout_seconds: what a call of an imported tool may take.
            taken: names of tools that are not imported ones.
            approved: awaited when the tools in use have changed.
            locks: tell the processes of a system which of them is loading what.
        """
        self.store = store
        self.vault = vault
        self._sources = Sources(client, mcp, max_bytes)
        self._asking = Asking(Caller(client, vault, timeout_seconds), mcp, vault)
        self._timeout = timeout_seconds
        self._mcp = mcp
        self._taken = taken
        self._approved = approved
        self._locks = locks
        self._documents: dict[str, Document] = {}
        self._loading: set[asyncio.Task[None]] = set()

    # Load

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
            self._mcp.check(mcp)
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
        for task in self._loading:
            task.cancel()
        await asyncio.gather(*self._loading, return_exceptions=True)

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

    # Review

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

    async def operations(self, job_id: str) -> list[tuple[Reviewed, Operation | None]]:
        """What a reviewer looks at; an operation that is gone has only what was decided."""
        job = await self.store.job(job_id)
        known = {one.tool_name: one for one in (await self.document(job)).operations}
        return [(one, known.get(key)) for key, one in (await self.store.operations(job_id)).items()]

    async def change(self, job_id: str, keys: list[str], wanted: dict[str, Any]) -> list[Reviewed]:
        """A reviewer's changes to some operations, all or none of them.

        Raises:
            InvalidRequest: one can't be; nothing was changed.
            NotFound: there is no such operation.
        """
        job = await self.store.job(job_id)
        self._must_be(job, "review")
        known = {one.key: (one, operation) for one, operation in await self.operations(job_id) if operation}
        known |= {operation.key: (one, operation) for one, operation in known.values() if operation}
        missing = [key for key in keys if key not in known]
        if missing:
            raise NotFound(f"operation {missing[0][:100]!r}: there is none in this import")
        chosen = [known[key] for key in keys]
        result = [changed(one, operation, wanted) for one, operation in chosen if operation]
        await self._check_names(job, result)
        await self.store.change(job_id, result)
        return result

    async def word(self, job_id: str, model: BaseChatModel) -> list[Reviewed]:
        """Have a language model propose names, descriptions and groups; those operations that it changed."""
        job = await self.store.job(job_id)
        self._must_be(job, "review")
        pairs = [(one, operation) for one, operation in await self.operations(job_id) if operation]
        worded = await proposals(model, job.title, pairs, await self._others(job.api))
        # It takes a while, and the reviewer may go on meanwhile: what they touch stays theirs.
        now = await self.store.operations(job_id)
        untouched = {one.key for one, _ in pairs if one == now[one.key]}
        changed = [one for one in worded if one.key in untouched]
        await self.store.change(job_id, changed)
        return changed

    async def configure(
        self, job_id: str, *, base: str | None = None, variables: dict[str, str] | None = None
    ) -> Job:
        """Where the API's paths begin, or values for its server's variables.

        Raises:
            InvalidRequest: there can be no such address.
        """
        job = await self.store.job(job_id)
        self._must_be(job, *OPEN)
        wanted = replace(
            job,
            base_url=base or None if base is not None else job.base_url,
            variables=variables if variables is not None else job.variables,
        )
        address(wanted, await self.document(job))
        await self.store.update(job_id, base_url=wanted.base_url, variables=wanted.variables)
        if job.status == "live":
            await self._approved()
        return await self.store.job(job_id)

    async def enter_credentials(self, job_id: str, scheme: str, values: dict[str, str]) -> list[str]:
        """Keep credentials for one scheme; the names of all schemes that have some.

        Raises:
            InvalidRequest: there is no such scheme, a value is missing, or it is not known what they are for.
        """
        job = await self.store.job(job_id)
        self._must_be(job, *OPEN)
        document = await self.document(job)
        schemes = document.schemes
        if scheme not in schemes:
            raise InvalidRequest(f"scheme {scheme[:60]!r} is not one of: {', '.join(schemes) or 'none'}")
        await self.vault.keep(job.api, schemes[scheme], values, home(job, document))
        return await self.entered(job)

    async def entered(self, job: Job) -> list[str]:
        """The schemes whose credentials were entered for the place where the API is now."""
        document = await self.document(job)
        try:
            return list(await self.vault.of(job.api, document.schemes, home(job, document)))
        except (InvalidRequest, ToolFailed):
            return []

    async def try_out(self, job_id: str, key: str, args: dict[str, Any]) -> Any:
        """Call a read now, as a tool would; what it gave.

        Raises:
            InvalidRequest: it is a write: those run by an approval only.
        """
        job = await self.store.job(job_id)
        self._must_be(job, *OPEN)
        found = {one.key: (one, operation) for one, operation in await self.operations(job_id)}
        reviewed, operation = found.get(key, (None, None))
        if reviewed is None or operation is None:
            raise NotFound(f"operation {key[:100]!r}: there is none in this import")
        if reviewed.access != "read":
            raise InvalidRequest(f"{operation.key} is a write: it runs by an approval only, never to try it")
        ask = self._asking.of(job, await self.document(job))
        tool = self._tool(job, operation, reviewed, partial(ask, operation))
        tool.check(args)
        return await ask(operation, tool.exact(args), None)

    # Approve

    async def approve(self, job_id: str, *, by: str) -> Job:
        """Its enabled operations become tools at once; those of the import before are no more.

        Raises:
            InvalidRequest: it is not in review, its base URL is missing, or a name is taken.
            ReviewOutdated: what is in use is not what it was compared with.
        """
        job = await self.store.job(job_id)
        self._must_be(job, "review")
        document = await self.document(job)
        address(job, document)
        for reviewed, operation in await self.operations(job_id):
            if reviewed.enabled and operation:
                address(job, document, operation)
        await self._check_names(job, [])
        await self.store.go_live(job, by)
        await self._approved()
        log.info("import_approved", job_id=job_id, api=job.api, by=by)
        return await self.store.job(job_id)

    async def remove(self, job_id: str, *, by: str) -> Job:
        """Take a live API's tools out of use, or put an import aside that nobody wants to review."""
        job = await self.store.job(job_id)
        self._must_be(job, "live", "review", "failed")
        await self.store.remove(job, by)
        if job.status == "live":
            await self._approved()
        return await self.store.job(job_id)

    async def tools(self) -> list[ImportedTool]:
        """The tools in use."""
        found = []
        for job in reversed(await self.store.jobs("live", limit=1000)):
            ask = self._asking.of(job, await self.document(job))
            for reviewed, operation in await self.operations(job.job_id):
                if operation and reviewed.enabled and reviewed.change != "gone":
                    tool = self._tool(job, operation, reviewed, partial(ask, operation))
                    found.append(ImportedTool(tool, reviewed.agent, job.title))
        return found

    def _tool(self, job: Job, operation: Operation, reviewed: Reviewed, ask: Run) -> Tool:
        return operation_tool(operation, reviewed, job.title, ask, timeout_seconds=self._timeout)

    async def _check_names(self, job: Job, changes: list[Reviewed]) -> None:
        known = await self.store.operations(job.job_id) | {one.key: one for one in changes}
        seen = await self._others(job.api)
        for one in known.values():
            if one.enabled and one.change != "gone":
                if one.tool_name in seen:
                    raise InvalidRequest(
                        f"tool name {one.tool_name!r} is taken; choose another for {one.key}"
                    )
                seen.add(one.tool_name)

    def _must_be(self, job: Job, *statuses: str) -> None:
        if job.status not in statuses:
            why = f": {job.error}" if job.error else ""
            raise InvalidRequest(f"import job {job.job_id} is {job.status}, not {' or '.join(statuses)}{why}")


def _lock(job: Job) -> str:
    return f"import:{job.job_id}"


def _written(spec: Any) -> bytes:
    try:
        return orjson.dumps(spec)
    except orjson.JSONEncodeError as error:
        raise InvalidSpec(f"The document can't be read: {error}; send it as text to see where.") from None


def _parsed(loaded: dict[str, Any]) -> Document:
    return mcp_document(loaded) if "mcp" in loaded else parse(loaded)
