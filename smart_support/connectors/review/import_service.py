"""Reviews imports and makes the approved operations tools.

No operation is a tool before somebody has approved it, and a re-import changes no decision silently.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from smart_support.concurrency import in_slices
from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.request.api_client import ApiClient
from smart_support.connectors.operation_definition import definition_of
from smart_support.connectors.operation_tool import Invoke, OperationInvoker, operation_tool
from smart_support.connectors.review.base_urls import base_url, origin, origin_of
from smart_support.connectors.review.blocked import Blocked, OperationsBlocked, name_conflicts
from smart_support.connectors.review.documents import DocumentCache
from smart_support.connectors.review.hosts import absolute_schemes, is_called, with_host
from smart_support.connectors.review.import_store import ImportJob, ImportStore
from smart_support.connectors.review.import_worker import ImportWorker
from smart_support.connectors.review.reviewed_operation import ReviewedOperation, apply_changes, check_changes
from smart_support.connectors.review.suggestions import SuggestionModel, suggest
from smart_support.connectors.review.vault import Vault
from smart_support.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    SmartSupportError,
    ToolFailed,
    ToolRefused,
)
from smart_support.observability.log import get_logger
from smart_support.outbound.client import GuardedClient
from smart_support.storage.answer_files import AnswerFiles
from smart_support.storage.coordination.base import Locks
from smart_support.tools.registry import Args, Tool, title_of

log = get_logger()
OPEN = ("review", "live")


@dataclass(frozen=True, slots=True)
class ImportedTool:
    """A tool from an import, its agent, the title of its API, and the key of its operation."""

    tool: Tool
    agent: str
    api: str
    job_id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Why an approved operation, or a whole import, can't be used.

    Attributes:
        key, tool_name: of the operation; empty for a whole import.
        is_intended: a reviewer has decided so. It does not stand in the way of an approval.
    """

    job_id: str
    message: str
    key: str = ""
    tool_name: str = ""
    is_intended: bool = False


@dataclass(frozen=True, slots=True)
class Edited:
    """The operations that a change has changed, and those that were left out because they can't have it."""

    changed: list[ReviewedOperation]
    left_out: list[Blocked]


@dataclass(frozen=True, slots=True)
class ImportedTools:
    """The tools of all live imports.

    Attributes:
        former_agents: the agents of all imports that were ever live.
    """

    tools: list[ImportedTool]
    unusable: list[Unusable]
    former_agents: list[str]


# Says of a tool that can't be used whether it has to be.
IsRequired = Callable[[Unusable], bool]

# Builds the agents and their tools from imported tools, and returns a function that activates them. It has no
# side effects. It raises `InvalidRequest` if a required tool can't be used.
BuildToolset = Callable[[ImportedTools, IsRequired], Callable[[], None]]

# What may be changed of an operation whose import is live. Anything else needs a new review.
LIVE_CHANGES = frozenset({"enabled", "customer"})


class ImportService:
    """All imports, and the tools that came from them.

    Attributes:
        store, documents: the stored jobs and their parsed descriptions.
        worker: loads descriptions in the background.
    """

    def __init__(
        self,
        store: ImportStore,
        vault: Vault,
        client: GuardedClient,
        *,
        mcp: McpClient,
        max_bytes: int,
        timeout_seconds: float,
        files: AnswerFiles,
        reserved_names: Callable[[], Iterable[str]],
        build_toolset: BuildToolset,
        announce: Callable[[], None],
        locks: Locks,
    ) -> None:
        """
        Args:
            max_bytes: the size limit of a description.
            timeout_seconds: the time limit of one call of an imported tool.
            files: where binary answers of tools are kept.
            reserved_names: the names of tools that are not imported.
            announce: called after this process has changed the live tools.
            locks: locks shared by all processes of the system.
        """
        self.store = store
        self.documents = DocumentCache(store)
        self.worker = ImportWorker(
            store,
            vault,
            self.documents,
            client,
            mcp,
            max_bytes=max_bytes,
            reserved_names=reserved_names,
            locks=locks,
        )
        self._vault = vault
        self._mcp = mcp
        self._invoker = OperationInvoker(ApiClient(client, vault, timeout_seconds), mcp, vault)
        self._timeout = timeout_seconds
        self._files = files
        self._reserved_names = reserved_names
        self._build_toolset = build_toolset
        self._announce = announce
        self._locks = locks
        # Keeps the active tools equal to the stored ones: held from reading the live jobs to activating them.
        self._activating = asyncio.Lock()

    async def operations(self, job_id: str) -> list[tuple[ReviewedOperation, Operation | None]]:
        """The operations under review; None for one that the description no longer has."""
        job = await self.store.job(job_id)
        known = {one.tool_name: one for one in (await self.documents.get(job)).operations}
        return [(one, known.get(key)) for key, one in (await self.store.operations(job_id)).items()]

    async def edit(
        self, job_id: str, keys: Sequence[str], changes: dict[str, Any], *, by: str, leave_out: bool = False
    ) -> Edited:
        """Apply a reviewer's changes to some operations, or to none of them.

        Of a live import, only `LIVE_CHANGES` can be changed; this applies at once, in every process.

        Args:
            keys: keys of reviewed operations, or of operations (`GET /pets`).
            leave_out: change the others if some can't have the changes.

        Raises:
            Conflict: the import is neither in review nor live, or the change needs a review.
            InvalidRequest: a change is not allowed at all.
            OperationsBlocked: some operations can't have the changes, and are not to be left out.
            NotFound: there is no such operation.
        """
        check_changes(changes)
        job = await self.store.job(job_id)
        _require_status(job, *OPEN)
        if job.status == "review":
            edited = await self._edited(job, keys, changes, leave_out=leave_out)
            await self.store.update_operations(job_id, edited.changed)
            return edited
        if needs_review := sorted(changes.keys() - LIVE_CHANGES):
            raise Conflict(
                f"import job {job_id} is live; to change {', '.join(needs_review)}, import the API again"
            )
        async with self._change_live() as live:
            _require_status(await self.store.job(job_id), "live")
            edited, activate = await self._edited_live(job, live, keys, changes, leave_out=leave_out)
            await self.store.update_live_operations(job, edited.changed, changes, by)
            activate()
        return edited

    async def _edited_live(
        self,
        job: ImportJob,
        live: Sequence[ImportJob],
        keys: Sequence[str],
        changes: dict[str, Any],
        *,
        leave_out: bool,
    ) -> tuple[Edited, Callable[[], None]]:
        """Operations of a live import with changes, and the function that activates the tools."""
        edited = await self._edited(job, keys, changes, leave_out=leave_out)
        while True:
            by_key = {one.key: one for one in edited.changed}
            tools = await self._tools_of(live, {job.job_id: by_key})
            required = {(job.job_id, one.key) for one in edited.changed if one.enabled}
            try:
                activate = self._build_toolset(tools, _is_required_among(required))
            except OperationsBlocked as error:
                if not leave_out:
                    raise
                blocked = {one.key for one in error.blocked}
                edited = Edited(
                    [one for one in edited.changed if one.key not in blocked],
                    [*edited.left_out, *error.blocked],
                )
                continue
            return edited, activate

    async def _edited(
        self, job: ImportJob, keys: Sequence[str], changes: dict[str, Any], *, leave_out: bool
    ) -> Edited:
        """Operations with a reviewer's changes; nothing is stored.

        Raises:
            OperationsBlocked, NotFound: as in `edit`.
        """
        known = {
            one.key: (one, operation) for one, operation in await self.operations(job.job_id) if operation
        }
        known |= {operation.key: (one, operation) for one, operation in known.values()}
        if missing := [key for key in keys if key not in known]:
            raise NotFound(f"operation {missing[0][:100]!r} does not exist in this import")
        edited: dict[str, ReviewedOperation] = {}
        blocked: list[Blocked] = []
        renamed = set()
        for one, operation in (known[key] for key in dict.fromkeys(keys)):
            try:
                edited[one.key] = changed = apply_changes(one, operation, changes)
            except InvalidRequest as error:
                blocked.append(Blocked(one.key, one.tool_name, error.message))
                continue
            if (changed.enabled, changed.tool_name) != (one.enabled, one.tool_name):
                renamed.add(one.key)
        blocked += await self._name_conflicts(job, edited, renamed)
        if blocked and not leave_out:
            raise OperationsBlocked(blocked)
        for each in blocked:
            edited.pop(each.key, None)
        return Edited([*edited.values()], blocked)

    async def suggest(self, job_id: str, model: SuggestionModel) -> list[ReviewedOperation]:
        """Let a language model suggest names, descriptions and agents; returns the operations it changed."""
        job = await self.store.job(job_id)
        _require_status(job, "review")
        pairs = [(one, operation) for one, operation in await self.operations(job_id) if operation]
        suggested = await suggest(model, job.title, pairs, await self._taken_names(job.api))
        # The reviewer may have made changes in the meantime; those take precedence.
        current = await self.store.operations(job_id)
        unchanged = {one.key for one, _ in pairs if one == current[one.key]}
        applied = [one for one in suggested if one.key in unchanged]
        await self.store.update_operations(job_id, applied)
        return applied

    async def configure(
        self, job_id: str, *, base: str | None = None, variables: dict[str, str] | None = None
    ) -> ImportJob:
        """Set the base URL, or the values of the server's variables.

        Raises:
            Conflict: the import is neither in review nor live.
            InvalidRequest: the result is not a valid base URL.
        """
        async with self._change_live() as others:
            job = await self.store.job(job_id)
            _require_status(job, *OPEN)
            configured = replace(
                job,
                base_url=base or None if base is not None else job.base_url,
                variables=variables if variables is not None else job.variables,
            )
            base_url(configured, await self.documents.get(job))
            if job.status == "live":
                after = [configured if one.job_id == job_id else one for one in others]
                activate = self._build_toolset(await self._tools_of(after), _is_required_of(job_id))
            await self.store.update(job_id, base_url=configured.base_url, variables=configured.variables)
            if job.status == "live":
                activate()
        return await self.store.job(job_id)

    async def allow_host(self, job_id: str, where: str, *, allow: bool) -> ImportJob:
        """Allow or refuse calls to one of an import's hosts, with the credentials that it needs now.

        Args:
            where: the origin, as `hosts` has it.

        Raises:
            Conflict: the import is neither in review nor live.
            InvalidRequest: it is not a host that can be allowed.
        """
        async with self._change_live() as live:
            job = await self.store.job(job_id)
            _require_status(job, *OPEN)
            allowed = with_host(job, await self.documents.get(job), where, allow=allow)
            changed = replace(job, allowed_hosts=allowed)
            after = [changed if one.job_id == job_id else one for one in live]
            activate = self._build_toolset(await self._tools_of(after), _is_never_required)
            await self.store.update(job_id, allowed_hosts=allowed)
            activate()
        return changed

    async def enter_credentials(self, job_id: str, scheme: str, values: dict[str, str]) -> list[str]:
        """Store credentials for one scheme; returns the names of all schemes that have credentials.

        Those of an import in review are used by its trials only. They replace the API's when it is approved.

        Raises:
            Conflict: the import is neither in review nor live.
            InvalidRequest: there is no such scheme, a value is missing, or the API has no base URL.
        """
        # Without the lock, they could come to a review that has just been approved.
        async with self._locks.hold("imports"):
            job = await self.store.job(job_id)
            _require_status(job, *OPEN)
            document = await self.documents.get(job)
            schemes = absolute_schemes(job, document)
            if scheme not in schemes:
                raise InvalidRequest(f"scheme {scheme[:60]!r} is not one of: {', '.join(schemes) or 'none'}")
            where = origin(job, document)
            await self._vault.store(job.api, schemes[scheme], values, where, review=_review_of(job))
        return await self.schemes_with_credentials(job)

    async def schemes_with_credentials(self, job: ImportJob) -> list[str]:
        """The schemes whose credentials were entered for the API's current origin."""
        document = await self.documents.get(job)
        try:
            schemes = absolute_schemes(job, document)
            where = origin(job, document)
            return list(await self._vault.credentials(job.api, schemes, where, review=_review_of(job)))
        except (InvalidRequest, ToolFailed):
            return []

    async def try_out(self, job_id: str, key: str, args: dict[str, Any]) -> Any:
        """Call a read as its tool would, and return the result.

        Raises:
            Conflict: the import is neither in review nor live.
            InvalidRequest: the operation is a write, which needs an approval.
        """
        job = await self.store.job(job_id)
        _require_status(job, *OPEN)
        operations = {one.key: (one, operation) for one, operation in await self.operations(job_id)}
        reviewed, operation = operations.get(key, (None, None))
        if reviewed is None or operation is None:
            raise NotFound(f"operation {key[:100]!r} does not exist in this import")
        if reviewed.access != "read":
            raise InvalidRequest(f"{operation.key} is a write and can't be tried: it needs an approval")
        document = await self.documents.get(job)
        if not is_called(job, document, operation):
            raise InvalidRequest(f"{operation.key}: its host is not allowed; allow it first")
        at_once = replace(reviewed, needs_approval=False)
        invoke = self._bind(job, document, operation, at_once, review=_review_of(job))
        tool = self._tool(job, document, operation, reviewed, invoke)
        tool.check(args)
        try:
            return await invoke(tool.exact(args), None)
        except SmartSupportError as error:
            # An admin tries it, who needs to know why.
            error.message = error.detail or error.message
            raise

    async def approve(self, job_id: str, *, by: str) -> ImportJob:
        """Make the enabled operations tools. They replace those of the API's previous import.

        Raises:
            Conflict: the import is not in review.
            InvalidRequest: the base URL is missing.
            OperationsBlocked: of some operations, the name is taken, the server is invalid, or a policy rule
                does not fit; it lists all of them.
            ReviewOutdated: another import of the API was approved since this one was compared.
        """
        async with self._change_live() as live:
            job = await self.store.job(job_id)
            _require_status(job, "review")
            document = await self.documents.get(job)
            base_url(job, document)
            blocked = await self._name_conflicts(job, {})
            for reviewed, operation in await self.operations(job_id):
                if reviewed.enabled and operation and (fault := _base_url_fault(job, document, operation)):
                    blocked.append(Blocked(reviewed.key, reviewed.tool_name, fault))
            if blocked:
                raise OperationsBlocked(blocked)
            tools = await self._tools_of(_after_approval(job, live))
            activate = self._build_toolset(tools, _is_required_of(job_id))
            await self.store.go_live(job, by)
            activate()
        log.info("import_approved", job_id=job_id, api=job.api, by=by)
        return await self.store.job(job_id)

    async def remove(self, job_id: str, *, by: str) -> ImportJob:
        """Disable the tools of a live import, or discard one that is in review or failed."""
        async with self._change_live() as live:
            job = await self.store.job(job_id)
            _require_status(job, "live", "review", "failed")
            after = [one for one in live if one.job_id != job_id]
            activate = self._build_toolset(await self._tools_of(after), _is_never_required)
            await self.store.remove(job, by)
            activate()
        return await self.store.job(job_id)

    async def activate_stored(self) -> None:
        """Activate the tools of the live imports: at start-up, or after another process changed them."""
        async with self._activating:
            live = await self._live_jobs()
            self._build_toolset(await self._tools_of(live), _is_never_required)()
            await self._release(live)

    async def tools_after_approval(self, job: ImportJob) -> ImportedTools:
        """The live tools as they would be if this import were approved now."""
        return await self._tools_of(_after_approval(job, await self._live_jobs()))

    @asynccontextmanager
    async def _change_live(self) -> AsyncIterator[list[ImportJob]]:
        """Change the live imports exclusively, across all processes. Yields those that are live before.

        In the body, do what can fail first, then store the change, then activate it.
        """
        async with self._locks.hold("imports"), self._activating:
            yield await self._live_jobs()
            await self._release(await self._live_jobs())
        self._announce()

    async def _release(self, live: Sequence[ImportJob]) -> None:
        """Give back what belongs to other imports: parsed descriptions, and processes of MCP servers."""
        in_review = await self.store.jobs("review", limit=1000)
        self.documents.keep_only({job.job_id for job in live}, {job.job_id for job in in_review})
        self._mcp.keep_only({job.source for job in (*live, *in_review) if job.kind == "mcp"})

    async def _live_jobs(self) -> list[ImportJob]:
        return [*reversed(await self.store.jobs("live", limit=1000))]

    async def _tools_of(
        self, jobs: Sequence[ImportJob], edited: Mapping[str, Mapping[str, ReviewedOperation]] | None = None
    ) -> ImportedTools:
        """The tools of these imports. It never raises: what can't be used is listed in `unusable`.

        Args:
            edited: by job and key, operations that are not stored yet.
        """
        tools: list[ImportedTool] = []
        unusable: list[Unusable] = []
        for job in jobs:
            try:
                document = await self.documents.get(job)
                base_url(job, document)
                operations = await self.operations(job.job_id)
            except Exception as error:
                log.error("import_unusable", job_id=job.job_id, api=job.api, error=repr(error))
                message = f"{job.title}: its tools are disabled: {_why(error)}"
                unusable.append(Unusable(job_id=job.job_id, message=message))
                continue
            ours = (edited or {}).get(job.job_id, {})
            changed = await self.store.changed_keys(job.job_id)
            reads = {
                reviewed.key: (reviewed, operation)
                for stored, operation in operations
                if operation and _runs_at_once(reviewed := ours.get(stored.key, stored))
            }
            async for stored, operation in in_slices(operations):
                reviewed = ours.get(stored.key, stored)
                if not reviewed.enabled or reviewed.change == "gone":
                    continue
                made = self._made(job, document, operation, reviewed, reads, changed)
                if isinstance(made, Unusable):
                    unusable.append(made)
                else:
                    tools.append(made)
        return ImportedTools(tools, unusable, await self.store.former_agents())

    def _made(
        self,
        job: ImportJob,
        document: Document,
        operation: Operation | None,
        reviewed: ReviewedOperation,
        reads: Mapping[str, tuple[ReviewedOperation, Operation]],
        changed: Collection[str],
    ) -> ImportedTool | Unusable:
        """The tool of an operation.

        Args:
            reads: the import's reads by key, which can look a customer up.
            changed: keys of operations that their server has changed since the review.
        """
        unusable = partial(Unusable, job_id=job.job_id, key=reviewed.key, tool_name=reviewed.tool_name)
        start = f"{job.title}: {reviewed.tool_name} is disabled:"
        try:
            if operation is None:
                raise InvalidRequest("its description can't be read")
            if not is_called(job, document, operation):
                message = f"{start} its host {origin_of(base_url(job, document, operation))} is not allowed"
                return unusable(message=message, is_intended=True)
            if reviewed.key in changed:
                return unusable(message=f"{start} its server has changed it; import it again to review it")
            invoke = self._if_live(job, reviewed, self._bind(job, document, operation, reviewed))
            look_up = self._owner_lookup(job, document, reviewed, reads)
            tool = self._tool(job, document, operation, reviewed, invoke, look_up)
        except Exception as error:
            log.error("operation_unusable", job_id=job.job_id, key=reviewed.key, error=repr(error))
            return unusable(message=f"{start} {_why(error)}")
        return ImportedTool(tool, reviewed.agent, job.title, job.job_id, reviewed.key)

    def _owner_lookup(
        self,
        job: ImportJob,
        document: Document,
        reviewed: ReviewedOperation,
        reads: Mapping[str, tuple[ReviewedOperation, Operation]],
    ) -> Invoke | None:
        """Calls the read that a confirmed rule names; None without such a rule, or if it can't be called."""
        rule = reviewed.customer
        read, operation = (reads.get(rule.operation) if rule and rule.confirmed else None) or (None, None)
        if read is None or operation is None or not is_called(job, document, operation):
            return None
        return self._bind(job, document, operation, read)

    def _bind(
        self,
        job: ImportJob,
        document: Document,
        operation: Operation,
        reviewed: ReviewedOperation,
        *,
        review: str = "",
    ) -> Invoke:
        """A function that calls an operation. A read of an MCP server runs only as it was reviewed.

        A write needs no check here: what was approved is compared before it runs.

        Args:
            review: as in `Vault.credentials`.
        """
        invoke = self._invoker.bind(job, document, operation, review=review)
        if job.kind != "mcp" or not _runs_at_once(reviewed):
            return invoke
        as_reviewed = definition_of(operation, document.schemes, job.source)

        async def invoke_if_unchanged(args: Args, key: str | None) -> Any:
            present = await self._invoker.present(job, operation, review=review, is_recent_enough=True)
            if present is None:
                raise ToolRefused(f"{title_of(reviewed.tool_name)} is no longer offered.")
            if present != operation and definition_of(present, document.schemes, job.source) != as_reviewed:
                await self._disable_changed(job, reviewed)
                raise ToolRefused(
                    f"{title_of(reviewed.tool_name)} is not available: it was changed and has to be reviewed."
                )
            return await invoke(args, key)

        return invoke_if_unchanged

    async def _disable_changed(self, job: ImportJob, reviewed: ReviewedOperation) -> None:
        """Disable an operation that its server has changed, in every process and until a new review."""
        log.warning("tool_changed_by_server", job_id=job.job_id, api=job.api, tool=reviewed.tool_name)
        async with self._change_live() as live:
            await self.store.set_changed(job, reviewed.key)
            self._build_toolset(await self._tools_of(live), _is_never_required)()

    def _if_live(self, job: ImportJob, reviewed: ReviewedOperation, invoke: Invoke) -> Invoke:
        """Check right before each call that the operation is live: any process may have changed that."""

        async def invoke_if_live(args: Args, key: str | None) -> Any:
            await self.store.require_live(job.job_id, reviewed.key)
            return await invoke(args, key)

        return invoke_if_live

    def _tool(
        self,
        job: ImportJob,
        document: Document,
        operation: Operation,
        reviewed: ReviewedOperation,
        invoke: Invoke,
        look_up: Invoke | None = None,
    ) -> Tool:
        server = base_url(job, document, operation)

        def tool_of(described: Operation) -> Tool:
            definition = definition_of(described, document.schemes, server)
            definition |= {"method": "MCP"} if job.kind == "mcp" else {}
            return operation_tool(
                described,
                reviewed,
                job.title,
                invoke,
                target=f"{job.api} {server}",
                timeout_seconds=self._timeout,
                files=self._files,
                definition=definition | {"service": job.api},
                look_up=look_up,
            )

        tool = tool_of(operation)

        async def refresh() -> Tool | None:
            present = await self._invoker.present(job, operation)
            if present is None or present == operation:
                return tool if present else None
            return replace(tool_of(present), former_version=None)

        return replace(tool, refresh=refresh) if job.kind == "mcp" else tool

    async def _taken_names(self, api: str) -> set[str]:
        """The names of all tools that are not this API's."""
        return {*self._reserved_names(), *await self.store.other_tool_names(api)}

    async def _name_conflicts(
        self, job: ImportJob, edited: Mapping[str, ReviewedOperation], of: Collection[str] | None = None
    ) -> list[Blocked]:
        """The enabled operations whose names are taken.

        Args:
            edited: operations that are not stored yet, by key.
            of: keys of the operations that count; None for all.
        """
        operations = {**await self.store.operations(job.job_id), **edited}
        # Where two have one name, the one that counts is in conflict, and not the other.
        in_order = sorted(operations.values(), key=lambda one: of is not None and one.key in of)
        conflicts = name_conflicts(in_order, await self._taken_names(job.api))
        return [one for one in conflicts if of is None or one.key in of]


def _require_status(job: ImportJob, *statuses: str) -> None:
    if job.status not in statuses:
        why = f": {job.error}" if job.error else ""
        raise Conflict(f"import job {job.job_id} is {job.status}, not {' or '.join(statuses)}{why}")


def _review_of(job: ImportJob) -> str:
    """The review whose credentials count for a job; empty for the API's own."""
    return job.job_id if job.status == "review" else ""


def _is_required_of(job_id: str) -> IsRequired:
    """Whether a tool must be usable so that an import can be approved."""
    return lambda one: one.job_id == job_id and not one.is_intended


def _is_required_among(operations: Collection[tuple[str, str]]) -> IsRequired:
    """Whether a tool must be usable so that operations, by job and key, can be changed."""
    return lambda one: (one.job_id, one.key) in operations and not one.is_intended


def _is_never_required(_: Unusable) -> bool:
    return False


def _runs_at_once(reviewed: ReviewedOperation) -> bool:
    return reviewed.access == "read" and not reviewed.needs_approval and reviewed.change != "gone"


def _base_url_fault(job: ImportJob, document: Document, operation: Operation) -> str | None:
    """Why an operation's server can't be called, or None."""
    try:
        base_url(job, document, operation)
    except InvalidRequest as error:
        return f"{operation.key}: {error.message}"
    return None


def _after_approval(job: ImportJob, live: Sequence[ImportJob]) -> list[ImportJob]:
    """The live imports once a job is approved: it replaces the one of the same API."""
    return [*(one for one in live if one.api != job.api), job]


def _why(error: Exception) -> str:
    return error.message if isinstance(error, SmartSupportError) else "it can't be read"
