"""Imports from a review to tools in use: what a reviewer changes, enters, tries and approves.

How a description gets as far as a review is in `loading.py`. Nothing is a tool before somebody has approved
it, and a re-import changes nothing that was decided without showing it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel

from smart_support.connectors.asking import Asking
from smart_support.connectors.mcp import McpServers
from smart_support.connectors.openapi.document.operation import Document, Operation
from smart_support.connectors.openapi.request.caller import Caller
from smart_support.connectors.operation_tool import Run, operation_tool
from smart_support.connectors.review.addresses import address, home
from smart_support.connectors.review.review import Reviewed, changed
from smart_support.connectors.review.sources import Sources
from smart_support.connectors.review.store import ImportStore, Job
from smart_support.connectors.review.suggestions import proposals
from smart_support.connectors.review.vault import Vault
from smart_support.connectors.review.worker import Loading
from smart_support.errors import Conflict, InvalidRequest, NotFound, SmartSupportError, ToolFailed
from smart_support.observability.log import get_logger
from smart_support.outbound.client import GuardedClient
from smart_support.storage.coordination.base import Locks
from smart_support.tools.registry import Args, Tool

log = get_logger()
OPEN = ("review", "live")


@dataclass(frozen=True, slots=True)
class ImportedTool:
    """A tool out of an import, and the agent it is for."""

    tool: Tool
    agent: str
    api: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why an operation of an import, or all of them, is out of use although it was approved."""

    job_id: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportedTools:
    """What the imports give.

    Attributes:
        former_agents: agents of all imports that were ever in use.
    """

    tools: list[ImportedTool]
    unusable: list[Unusable]
    former_agents: list[str]


# Makes all that agents work with out of imported tools, and gives what puts it to use. It changes nothing,
# and raises where what the import with the given id adds can't be used.
Assemble = Callable[[ImportedTools, str | None], Callable[[], None]]


class Imports(Loading):
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
        assemble: Assemble,
        announce: Callable[[], None],
        locks: Locks,
    ) -> None:
        """
        Args:
            mcp: the MCP servers that can be asked.
            max_bytes: of a description.
            timeout_seconds: what a call of an imported tool may take.
            taken: names of tools that are not imported ones.
            assemble: see `Assemble`.
            announce: called when the tools in use have changed here.
            locks: tell the processes of a system which of them is loading what.
        """
        asking = Asking(Caller(client, vault, timeout_seconds), mcp, vault)
        super().__init__(store, vault, Sources(client, mcp, max_bytes), asking, taken=taken, locks=locks)
        self._timeout = timeout_seconds
        self._assemble = assemble
        self._announce = announce
        # Keeps the tools in use as they are stored: nothing else may change either in between.
        self._changing = asyncio.Lock()

    async def operations(self, job_id: str) -> list[tuple[Reviewed, Operation | None]]:
        """What a reviewer looks at; an operation that is gone has only what was decided."""
        job = await self.store.job(job_id)
        known = {one.tool_name: one for one in (await self.document(job)).operations}
        return [(one, known.get(key)) for key, one in (await self.store.operations(job_id)).items()]

    async def change(self, job_id: str, keys: list[str], wanted: dict[str, Any]) -> list[Reviewed]:
        """A reviewer's changes to some operations, all or none of them.

        Raises:
            Conflict: the import is not in review.
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
            Conflict: the import is neither in review nor in use.
            InvalidRequest: there can be no such address.
        """
        async with self._change() as others:
            job = await self.store.job(job_id)
            self._must_be(job, *OPEN)
            wanted = replace(
                job,
                base_url=base or None if base is not None else job.base_url,
                variables=variables if variables is not None else job.variables,
            )
            address(wanted, await self.document(job))
            if job.status == "live":
                after = [wanted if one.job_id == job_id else one for one in others]
                put_to_use = self._assemble(await self._tools_of(after), job_id)
            await self.store.update(job_id, base_url=wanted.base_url, variables=wanted.variables)
            if job.status == "live":
                put_to_use()
        return await self.store.job(job_id)

    async def enter_credentials(self, job_id: str, scheme: str, values: dict[str, str]) -> list[str]:
        """Keep credentials for one scheme; the names of all schemes that have some.

        Raises:
            Conflict: the import is neither in review nor in use.
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
            Conflict: the import is neither in review nor in use.
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
        document = await self.document(job)
        ask = self._asking.of(job, document)
        tool = self._tool(job, document, operation, reviewed, partial(ask, operation))
        tool.check(args)
        return await ask(operation, tool.exact(args), None)

    async def approve(self, job_id: str, *, by: str) -> Job:
        """Its enabled operations become tools at once; those of the import before are no more.

        Raises:
            Conflict: it is not in review.
            InvalidRequest: its base URL is missing, a name is taken, or a policy rule does not fit a tool.
            ReviewOutdated: what is in use is not what it was compared with.
        """
        async with self._change() as live:
            job = await self.store.job(job_id)
            self._must_be(job, "review")
            document = await self.document(job)
            address(job, document)
            for reviewed, operation in await self.operations(job_id):
                if reviewed.enabled and operation:
                    address(job, document, operation)
            await self._check_names(job, [])
            put_to_use = self._assemble(await self._tools_of(_after_approval(job, live)), job_id)
            await self.store.go_live(job, by)
            put_to_use()
        log.info("import_approved", job_id=job_id, api=job.api, by=by)
        return await self.store.job(job_id)

    async def remove(self, job_id: str, *, by: str) -> Job:
        """Take a live API's tools out of use, or put an import aside that nobody wants to review."""
        async with self._change() as live:
            job = await self.store.job(job_id)
            self._must_be(job, "live", "review", "failed")
            after = [one for one in live if one.job_id != job_id]
            put_to_use = self._assemble(await self._tools_of(after), None)
            await self.store.remove(job, by)
            put_to_use()
        return await self.store.job(job_id)

    async def use_stored(self) -> None:
        """Put to use what is stored: at the start, and when another process has changed it."""
        async with self._changing:
            self._assemble(await self._tools_of(await self._live()), None)()

    async def tools_after_approval(self, job: Job) -> ImportedTools:
        """What would be in use if this import were approved now."""
        return await self._tools_of(_after_approval(job, await self._live()))

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[list[Job]]:
        """Change what is in use, as nobody else does meanwhile; gives what is in use before.

        Inside, all that can fail comes first, then what is stored, and at last what puts it to use.
        """
        async with self._locks.hold("imports"), self._changing:
            yield await self._live()
        self._announce()

    async def _live(self) -> list[Job]:
        return [*reversed(await self.store.jobs("live", limit=1000))]

    async def _tools_of(self, jobs: Sequence[Job]) -> ImportedTools:
        """The tools of imports. What can't be read of one is left out and said; it never raises for it."""
        tools: list[ImportedTool] = []
        unusable: list[Unusable] = []
        for job in jobs:
            try:
                document = await self.document(job)
                ask = self._asking.of(job, document)
                operations = await self.operations(job.job_id)
            except Exception as error:
                log.error("import_unusable", job_id=job.job_id, api=job.api, error=repr(error))
                why = error.message if isinstance(error, SmartSupportError) else "it can't be read any more"
                unusable.append(Unusable(job.job_id, f"{job.title}: none of its tools is in use: {why}"))
                continue
            for reviewed, operation in operations:
                if not reviewed.enabled or reviewed.change == "gone":
                    continue
                where = f"{job.title}: {reviewed.tool_name} is not in use:"
                if operation is None:
                    unusable.append(Unusable(job.job_id, f"{where} its description can't be read any more"))
                    continue
                try:
                    run = self._checked(job, partial(ask, operation))
                    tool = self._tool(job, document, operation, reviewed, run)
                except Exception as error:
                    log.error("operation_unusable", job_id=job.job_id, key=reviewed.key, error=repr(error))
                    why = error.message if isinstance(error, SmartSupportError) else "it can't be read"
                    unusable.append(Unusable(job.job_id, f"{where} {why}"))
                    continue
                tools.append(ImportedTool(tool, reviewed.agent, job.title, job.job_id))
        return ImportedTools(tools, unusable, await self.store.former_agents())

    def _checked(self, job: Job, ask: Run) -> Run:
        """A call that looks at the last moment whether its import is in use: any process may change that."""

        async def run(args: Args, key: str | None) -> Any:
            await self.store.check_in_use(job.job_id)
            return await ask(args, key)

        return run

    def _tool(self, job: Job, document: Document, operation: Operation, reviewed: Reviewed, ask: Run) -> Tool:
        where = f"{job.api} {address(job, document, operation)}"
        return operation_tool(operation, reviewed, job.title, ask, where=where, timeout_seconds=self._timeout)

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
            raise Conflict(f"import job {job.job_id} is {job.status}, not {' or '.join(statuses)}{why}")


def _after_approval(job: Job, live: Sequence[Job]) -> list[Job]:
    """The imports in use once a job is approved: it takes the place of the one of its API."""
    return [*(one for one in live if one.api != job.api), job]
