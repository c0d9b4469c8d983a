"""Loads descriptions in the background: download, parse, classify, and store the result for review."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import orjson

from smart_support.concurrency import end_tasks
from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.mcp_document import TOKEN
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.reader import InvalidSpec, load
from smart_support.connectors.openapi.document.tool_names import free_names
from smart_support.connectors.review.base_urls import api_name, inherited_base_url, is_same_api
from smart_support.connectors.review.comparison import Import, changes
from smart_support.connectors.review.customers import lookup_rules, lookups, proposed_rule
from smart_support.connectors.review.documents import DocumentCache, packed, parse_description
from smart_support.connectors.review.hosts import allowed_hosts
from smart_support.connectors.review.import_store import ImportJob, ImportStore
from smart_support.connectors.review.reviewed_operation import ReviewedOperation, propose
from smart_support.connectors.review.vault import Vault
from smart_support.errors import InvalidRequest, SmartSupportError, ToolFailed
from smart_support.garbage_collection import without_garbage_collection
from smart_support.observability.log import get_logger
from smart_support.outbound.client import GuardedClient
from smart_support.storage.coordination.base import Locks

__all__ = ["ImportWorker"]

log = get_logger()
DOWNLOAD_SECONDS = 60.0
_LARGE_BYTES = 500_000


class ImportWorker:
    """Runs import jobs up to their review."""

    def __init__(
        self,
        store: ImportStore,
        vault: Vault,
        documents: DocumentCache,
        client: GuardedClient,
        mcp: McpClient,
        *,
        max_bytes: int,
        reserved_names: Callable[[], Iterable[str]],
        locks: Locks,
    ) -> None:
        """
        Args:
            max_bytes: the size limit of a description.
            reserved_names: the names of tools that are not imported.
            locks: each job holds a lock while it loads, so other processes know that it is alive.
        """
        self._store, self._vault, self._documents = store, vault, documents
        self._client, self._mcp, self._max_bytes = client, mcp, max_bytes
        self._reserved_names = reserved_names
        self._locks = locks
        self._tasks: set[asyncio.Task[None]] = set()

    async def fail_interrupted(self) -> None:
        """Mark jobs that a crash interrupted as failed."""
        loading = {_lock_name(job): job.job_id for job in await self._store.jobs("loading")}
        held = await self._locks.held(loading)
        await self._store.fail_interrupted({loading[name] for name in held})

    async def submit(
        self,
        *,
        url: str | None = None,
        spec: Any = None,
        mcp: str | None = None,
        name: str = "",
        token: str | None = None,
        by: str,
    ) -> ImportJob:
        """Start an import in the background. Give one of `url`, `spec` and `mcp`.

        Args:
            url: the address of the description.
            spec: the description as text, bytes or an object.
            mcp: an MCP server: its URL, or its name in the settings.
            name: the file name of `spec`.
            token: the bearer token of the MCP server; it is stored like any credential.

        Raises:
            InvalidRequest: none or more than one of them is given.
        """
        if [url, spec, mcp].count(None) != 2:
            raise InvalidRequest("give one of 'url', 'spec' and 'mcp', or send a file")
        if mcp is not None:
            self._mcp.check_source(mcp)
            return self._start(await self._store.create("mcp", mcp, by), None, token)
        raw = _encode(spec) if isinstance(spec, (dict, list)) else spec
        return self._start(await self._store.create("openapi", url or name or "pasted text", by), raw, None)

    async def close(self) -> None:
        """Cancel the jobs that are loading; the next start marks them as failed."""
        await end_tasks(*self._tasks)

    def _start(self, job: ImportJob, raw: bytes | str | None, token: str | None) -> ImportJob:
        task = asyncio.create_task(self._run(job, raw, token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def _run(self, job: ImportJob, raw: bytes | str | None, token: str | None) -> None:
        async with self._locks.hold(_lock_name(job)):
            try:
                await self._load(job, raw, token)
            except (SmartSupportError, TimeoutError) as error:
                message = error.message if isinstance(error, SmartSupportError) else str(error)
                await self._store.update(job.job_id, status="failed", error=" ".join(message.split()))
            except Exception as error:
                log.error("import_failed", job_id=job.job_id, error=repr(error))
                message = "The description can't be read; see the server's log."
                await self._store.update(job.job_id, status="failed", error=message)

    async def _load(self, job: ImportJob, raw: bytes | str | None, token: str | None) -> None:
        await self._set_step(job, "downloading" if raw is None else "reading")
        if job.kind == "mcp":
            token_to_use = token or await self._stored_token(job.source)
            description = await self._mcp.list_tools(job.source, token_to_use)
            await self._read(job, description, token)
            return
        raw = await self._download(job.source) if raw is None else raw
        with without_garbage_collection() if len(raw) > _LARGE_BYTES else contextlib.nullcontext():
            description = await asyncio.to_thread(load, raw, max_bytes=self._max_bytes)
            await self._read(job, description, token)

    async def _read(self, job: ImportJob, description: dict[str, Any], token: str | None) -> None:
        document = await asyncio.to_thread(parse_description, description)
        await self._set_step(job, "sorting", total=len(document.operations))
        await self._classify(job, document, description, token)
        log.info("import_loaded", job_id=job.job_id, operations=len(document.operations))

    async def _download(self, url: str) -> bytes:
        response = await self._client.request(
            "GET",
            url,
            headers={"Accept": "application/json, application/yaml, text/yaml, */*"},
            timeout_seconds=DOWNLOAD_SECONDS,
            max_bytes=self._max_bytes,
        )
        if response.status != 200:
            raise ToolFailed(f"The URL returned status {response.status}; enter the URL of the description.")
        return response.content

    async def _stored_token(self, source: str) -> str | None:
        """The token of an MCP server that is live."""
        for live in await self._store.jobs("live", limit=1000):
            if live.source == source and (token := await self._vault.mcp_token(live.api, live.source)):
                return token
        return None

    async def _classify(
        self, job: ImportJob, document: Document, description: dict[str, Any], token: str | None
    ) -> None:
        api, live = await self._match_api(job, document)
        if token:
            scheme = document.schemes[TOKEN]
            await self._vault.store(api, scheme, {"token": token}, job.source, review=job.job_id)
        decided = await self._store.operations(live.job_id) if live else {}
        live_document = await self._documents.get(live) if live else None
        base = inherited_base_url(job, document, live, live_document) if live and live_document else None
        variables = live.variables if live else {}
        compared: dict[str, list[dict[str, str]]] = {}
        before: dict[str, Operation] = {}
        if live and live_document:
            called = replace(job, base_url=base, variables=variables)
            before = {one.tool_name: one for one in live_document.operations}
            imports = Import(live, live_document), Import(called, document)
            compared = await asyncio.to_thread(changes, *imports)
        taken = {*self._reserved_names(), *await self._store.other_tool_names(api)}

        def review() -> list[ReviewedOperation]:
            reviewed = [
                propose(
                    one,
                    decided.get(one.tool_name),
                    before=before.get(one.tool_name),
                    changes=compared.get(one.tool_name),
                )
                for one in document.operations
            ]
            reviewed = _with_customers(reviewed, document, description)
            keys = {one.key for one in reviewed}
            reviewed += [replace(one, change="gone") for key, one in decided.items() if key not in keys]
            return _with_free_names(reviewed, api, taken)

        reviewed = await asyncio.to_thread(review)
        self._documents.put(job.job_id, document)
        await self._store.add_operations(job.job_id, reviewed)
        await self._store.update(
            job.job_id,
            api=api,
            title=document.title or job.source,
            document=await asyncio.to_thread(packed, description),
            base_url=base,
            variables=variables,
            allowed_hosts=allowed_hosts(live, live_document) if live and live_document else {},
            progress={
                "step": "done",
                "done": len(reviewed),
                "total": len(reviewed),
                "compared_with": live.job_id if live else None,
            },
            status="review",
        )

    async def _match_api(self, job: ImportJob, document: Document) -> tuple[str, ImportJob | None]:
        """The API's name, and its live import if there is one.

        Another service with the same title has another name, also if it is still in review.
        """
        in_review = await self._store.jobs("review", limit=1000)
        for number in count(1):
            api = api_name(document.title or job.source, number)
            live = await self._store.live(api)
            others = [live] if live else [one for one in in_review if one.api == api]
            if all([await self._is_same_api(job, document, one) for one in others]):
                return api, live
        raise AssertionError("unreachable: the number of imports is finite")

    async def _is_same_api(self, job: ImportJob, document: Document, other: ImportJob) -> bool:
        try:
            return is_same_api(job, document, other, await self._documents.get(other))
        except Exception as error:
            log.warning("import_not_compared", job_id=job.job_id, other=other.job_id, error=repr(error))
            return False

    async def _set_step(self, job: ImportJob, step: str, total: int = 0) -> None:
        await self._store.update(job.job_id, progress={"step": step, "done": 0, "total": total})


def _lock_name(job: ImportJob) -> str:
    return f"import:{job.job_id}"


def _encode(spec: Any) -> bytes:
    try:
        return orjson.dumps(spec)
    except orjson.JSONEncodeError as error:
        raise InvalidSpec(f"The document can't be read: {error}. Send it as text to see where.") from None


def _with_customers(
    reviewed: list[ReviewedOperation], document: Document, description: dict[str, Any]
) -> list[ReviewedOperation]:
    """The operations, with what the rules propose on whose things they touch; decisions stay."""
    owner_lookups = lookups(description, document)
    result = []
    for one, operation in zip(reviewed, document.operations, strict=True):
        rules = [rule.as_json() for rule in lookup_rules(operation, owner_lookups)]
        customer = one.customer or proposed_rule(operation, one.access, owner_lookups)
        result.append(replace(one, customer=customer, proposal=one.proposal | {"customer_lookups": rules}))
    return result


def _with_free_names(reviewed: list[ReviewedOperation], api: str, taken: set[str]) -> list[ReviewedOperation]:
    """The operations; a new one whose name is taken gets another. What was decided before stays."""
    decided = {one.tool_name for one in reviewed if one.change not in ("new", "gone")}
    new = {one.key: one.tool_name for one in reviewed if one.change == "new"}
    free = free_names(new, taken | decided, api)
    return [replace(one, tool_name=free.get(one.key, one.tool_name)) for one in reviewed]
