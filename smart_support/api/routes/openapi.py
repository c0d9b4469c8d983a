"""`/openapi`: imports API descriptions, reviews their operations and approves them as tools. For admins."""

import asyncio
import codecs
import contextlib
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from smart_support.api import schemas
from smart_support.api.dependencies import admin, channel, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.concurrency import in_slices
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.findings import Finding
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.reader import check_unique_keys
from smart_support.connectors.review.base_urls import base_url_findings
from smart_support.connectors.review.comparison import scheme_findings
from smart_support.connectors.review.hosts import hosts
from smart_support.connectors.review.import_store import ImportJob
from smart_support.connectors.review.reviewed_operation import ReviewedOperation
from smart_support.errors import Conflict, InvalidJson, InvalidRequest, TooLarge
from smart_support.garbage_collection import paused_garbage_collection
from smart_support.identity.users import User
from smart_support.services import Services
from smart_support.tools import names


def has_imports(services: Services = Depends(services)) -> None:
    """Check that tools can be imported.

    Raises:
        Conflict: the app runs a foreign graph, which brings its own tools.
    """
    if not services.has_imports:
        raise Conflict("This app runs your own graph, which has its own tools; nothing can be imported.")


router = rest_router("/openapi", tags=["openapi"], dependencies=[Depends(admin), Depends(has_imports)])
# JSON from a program never begins with one (RFC 8259, 8.1), but a saved file may.
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CHARS_PER_TOKEN = 4  # of JSON, roughly; enough to compare sizes
# Checked by the review, whose error says what a name may be.
Name = Annotated[str, Field(max_length=names.MAX_LENGTH, json_schema_extra={"pattern": names.PATTERN})]


class CustomerChange(BaseModel):
    """Whose things an operation touches, as a reviewer confirms it.

    `proposed` confirms what the rules propose, `unknown` withdraws what was confirmed.
    """

    model_config = ConfigDict(extra="ignore")

    source: Literal["argument", "lookup", "none", "proposed", "unknown"]
    argument: str = Field("", max_length=200, description="with `argument`: holds the customer's id")
    operation: str = Field("", max_length=300, description="with `lookup`: the key of a read")
    arguments: dict[str, str] = Field(
        default_factory=dict, description="with `lookup`: the read's argument -> this operation's argument"
    )
    result: str = Field(
        "", max_length=200, description="with `lookup`: JSON Pointer to the customer's id in its result"
    )


class OperationChanges(BaseModel):
    """What a reviewer may change in an operation."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = None
    access: Literal["read", "write"] | None = None
    needs_approval: bool | None = None
    idempotent: bool | None = None
    agent: Name | None = None
    tool_name: Name | None = None
    description: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    risk: Literal["low", "medium", "high"] | None = None
    customer: CustomerChange | None = None
    confirm: bool | None = Field(
        None,
        description="a POST only reads, although its description does not show it",
    )

    def given(self) -> dict[str, Any]:
        """The changes that the request contains."""
        return self.model_dump(exclude_none=True)


class BulkChanges(BaseModel):
    """The same changes for several operations, all or none.

    If some can't have the changes, `error.blocked` lists them with the reasons.
    """

    keys: list[Annotated[str, Field(max_length=300)]] = Field(min_length=1, max_length=5000)
    changes: OperationChanges
    leave_out: bool = Field(False, description="change the others if some operations can't be changed")


class ServerSettings(BaseModel):
    """The address of an API."""

    base_url: str | None = Field(None, max_length=2000, description="empty for the server in the description")
    variables: dict[str, str] | None = None


class HostPermission(BaseModel):
    """Whether tools may call a host, with the credentials that `hosts` lists for it now."""

    origin: str = Field(max_length=300)
    allowed: bool


class CredentialsRequest(BaseModel):
    """Credentials for one security scheme; they are never shown again."""

    scheme: str = Field(max_length=200)
    values: dict[str, Annotated[str, Field(max_length=10_000)]]


class TrialRequest(BaseModel):
    """Arguments for a trial call."""

    args: dict[str, Any] = Field(default_factory=dict)


@router.post(
    "/import",
    status_code=202,
    response_model=schemas.Answer[schemas.ImportJob],
    openapi_extra={"requestBody": schemas.IMPORT_BODY},
)
async def begin(
    request: Request, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Start an import of `{"url"}`, `{"spec"}` or `{"mcp"}`, or of a file (multipart or the body itself)."""
    given = await _given(request, services.settings.max_spec_bytes)
    job = await services.imports.worker.submit(**given, by=user.name)
    if given.get("token"):
        what = {"job_id": job.job_id, "scheme": "token"}
        await services.audit_trail.record("credentials_entered", by=user.name, via=channel(request), **what)
    return answer(_job(job), status=202)


@router.get("/jobs", response_model=schemas.Page[schemas.ImportJob])
async def list_jobs(services: Services = Depends(services)) -> Response:
    """List imports, newest first."""
    jobs = await services.imports.store.jobs()
    return answer([_job(job) | {"out_of_use": services.unusable(job.job_id)} for job in jobs])


@router.get("/jobs/{job_id}", response_model=schemas.Answer[schemas.ImportJob])
async def get_job(job_id: str, services: Services = Depends(services)) -> Response:
    """The status, progress, findings and servers of an import, and the schemes that have credentials."""
    job = await services.imports.store.job(job_id)
    return answer(_job(job) | await _details(services, job) | await _warnings(services, job))


@router.get("/jobs/{job_id}/operations", response_model=schemas.Page[schemas.ImportOperation])
async def list_operations(job_id: str, services: Services = Depends(services)) -> Response:
    """List the operations of an import, with their review."""
    with paused_garbage_collection():
        operations = await services.imports.operations(job_id)
        encoded = [orjson.Fragment(orjson.dumps(_operation(*pair))) async for pair in in_slices(operations)]
        return answer(encoded)


@router.patch("/jobs/{job_id}/operations", response_model=schemas.Answer[schemas.ChangedOperations])
async def change_several(
    job_id: str, body: BulkChanges, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Change several operations, all or none; or those that can be changed, with `leave_out`."""
    edited = await services.imports.edit(
        job_id, body.keys, body.changes.given(), by=user.name, leave_out=body.leave_out
    )
    changed = {"changed": len(edited.changed)}
    left_out = {"left_out": [asdict(one) for one in edited.left_out]} if body.leave_out else {}
    return answer(changed | left_out)


@router.patch("/jobs/{job_id}/operations/{key:path}", response_model=schemas.Answer[schemas.ImportOperation])
async def change_one(
    job_id: str,
    key: str,
    body: OperationChanges,
    user: User = Depends(admin),
    services: Services = Depends(services),
) -> Response:
    """Change one operation. Of a live import, only `enabled` and `customer` can be changed."""
    edited = await services.imports.edit(job_id, [key], body.given(), by=user.name)
    operations = {one.key: operation for one, operation in await services.imports.operations(job_id)}
    return answer(_operation(edited.changed[0], operations[edited.changed[0].key]))


@router.post("/jobs/{job_id}/words", response_model=schemas.Answer[schemas.RewordedOperations])
async def word(job_id: str, services: Services = Depends(services)) -> Response:
    """Let the language model propose names, descriptions and groups for new operations."""
    await services.imports.store.job(job_id)
    model = services.suggestion_model
    if model is None:
        raise Conflict("This needs a language model; set SMART_SUPPORT_MODEL=openai:NAME")
    return answer({"changed": [one.key for one in await services.imports.suggest(job_id, model)]})


@router.put("/jobs/{job_id}/place", response_model=schemas.Answer[schemas.ImportJob])
async def set_place(job_id: str, body: ServerSettings, services: Services = Depends(services)) -> Response:
    """Set the base URL of the API and the variables of its server."""
    job = await services.imports.configure(job_id, base=body.base_url, variables=body.variables)
    return answer(_job(job) | await _details(services, job) | await _warnings(services, job))


@router.put("/jobs/{job_id}/hosts", response_model=schemas.Answer[schemas.ImportJob])
async def set_host(
    job_id: str,
    body: HostPermission,
    user: User = Depends(admin),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Allow or refuse calls to one of the hosts that the description names beside the API's own."""
    job = await services.imports.allow_host(job_id, body.origin, allow=body.allowed)
    kind = "host_allowed" if body.allowed else "host_refused"
    await services.audit_trail.record(kind, by=user.name, via=via, job_id=job_id, host=body.origin)
    return answer(_job(job) | await _details(services, job) | await _warnings(services, job))


@router.put("/jobs/{job_id}/credentials", response_model=schemas.Answer[schemas.Credentials])
async def set_credentials(
    job_id: str,
    body: CredentialsRequest,
    user: User = Depends(admin),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Store credentials; the answer lists the schemes that have some."""
    schemes = await services.imports.enter_credentials(job_id, body.scheme, body.values)
    what = {"job_id": job_id, "scheme": body.scheme}
    await services.audit_trail.record("credentials_entered", by=user.name, via=via, **what)
    return answer({"credentials": schemes})


@router.post("/jobs/{job_id}/try/{key:path}", response_model=schemas.Answer[schemas.TrialResult])
async def try_out(
    job_id: str, key: str, body: TrialRequest, services: Services = Depends(services)
) -> Response:
    """Call a read operation now, and answer with its result."""
    return answer({"result": await services.imports.try_out(job_id, key, body.args)})


@router.post("/jobs/{job_id}/approve", response_model=schemas.Answer[schemas.ImportJob])
async def approve(
    job_id: str, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Turn the enabled operations into tools."""
    job = await services.imports.approve(job_id, by=user.name)
    return answer(_job(job) | await _warnings(services, job))


@router.post("/jobs/{job_id}/remove", response_model=schemas.Answer[schemas.ImportJob])
async def remove(
    job_id: str, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Disable the tools of an API, or discard an import that is in review or failed."""
    job = await services.imports.remove(job_id, by=user.name)
    return answer(_job(job) | await _warnings(services, job))


async def _given(request: Request, max_bytes: int) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        # Check the announced size before the file is written to disk; the form adds a few bytes.
        if int(request.headers.get("content-length", 0)) > max_bytes + 100_000:
            raise TooLarge(f"The description is too large: more than {max_bytes} bytes.")
        async with request.form(max_files=1, max_part_size=max_bytes) as form:
            file = next((part for part in form.values() if isinstance(part, UploadFile)), None)
            if file is None:
                raise InvalidRequest("file: send the description as a file, or {'url': ...} as JSON")
            return {"spec": await file.read(max_bytes + 1), "name": file.filename or "a file"}
    raw = await _body(request, max_bytes)
    if kind not in ("application/json", "") or raw.startswith(BYTE_ORDER_MARKS):
        return {"spec": raw}
    body = await asyncio.to_thread(_read, raw)
    if not isinstance(body, dict) or not ({"url", "spec", "mcp", "openapi", "swagger"} & set(body)):
        raise InvalidRequest("give {'url': ...}, {'spec': ...} or {'mcp': ...}")
    if "openapi" in body or "swagger" in body:
        return {"spec": raw}
    url, spec, mcp = body.get("url"), body.get("spec"), body.get("mcp")
    if mcp is not None and not (isinstance(mcp, str) and mcp.strip()):
        raise InvalidRequest("mcp: give the server's URL, or its name in SMART_SUPPORT_MCP_SERVERS")
    if url is not None and not (isinstance(url, str) and url.strip()):
        raise InvalidRequest("Enter a URL, file or text")
    if spec is not None and not isinstance(spec, (str, dict, list)):
        raise InvalidRequest("spec: give the description as text or as an object")
    token = body.get("token")
    if token is not None and not isinstance(token, str):
        raise InvalidRequest("token: give the MCP server's token as text")
    return {
        "url": url.strip() if url else None,
        "spec": spec,
        "mcp": mcp.strip() if mcp else None,
        "token": (token or "").strip() or None,
    }


def _read(raw: bytes) -> Any:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"Invalid JSON: {error}") from None
    if isinstance(body, dict) and isinstance(body.get("spec"), dict):
        with contextlib.suppress(orjson.JSONEncodeError):  # too deep; the import reports where
            check_unique_keys(raw, orjson.dumps(body))
    return body


async def _body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"The description is too large: more than {max_bytes} bytes.")
    return bytes(body)


def _job(job: ImportJob) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ImportJob.__slots__}


async def _warnings(services: Services, job: ImportJob) -> dict[str, Any]:
    """Problems of the agents file and this import, in sentences."""
    return {"warnings": [] if job.status in ("loading", "failed") else await services.import_warnings(job)}


async def _details(services: Services, job: ImportJob) -> dict[str, Any]:
    if job.status in ("loading", "failed"):
        return {"findings": []}
    document = await services.imports.documents.get(job)
    findings = [
        *base_url_findings(job, document),
        *await _changed_schemes(services, job, document),
        *document.findings,
        *(one for operation in document.operations for one in operation.findings),
    ]
    return {
        "format": document.format,
        "version": document.version,
        "description": document.description[:1000],
        "servers": [{"url": server.url, "variables": server.variables} for server in document.servers],
        "schemes": [
            {"name": name, "kind": scheme.kind, "description": scheme.description[:300]}
            for name, scheme in document.schemes.items()
        ],
        "hosts": [asdict(host) for host in hosts(job, document)],
        "credentials": await services.imports.schemes_with_credentials(job),
        "can_be_worded": services.suggestion_model is not None,
        "findings": [
            {"severity": one.severity, "place": one.place, "message": one.message} for one in findings[:500]
        ],
    }


async def _changed_schemes(services: Services, job: ImportJob, document: Document) -> list[Finding]:
    compared_with = job.progress.get("compared_with")
    if job.status != "review" or not compared_with:
        return []
    live = await services.imports.store.job(compared_with)
    return scheme_findings(await services.imports.documents.get(live), document)


def _operation(reviewed: ReviewedOperation, operation: Operation | None) -> dict[str, Any]:
    proposal = reviewed.proposal
    wire = {
        "key": reviewed.key,
        "tool_name": reviewed.tool_name,
        "access": reviewed.access,
        "needs_approval": reviewed.needs_approval,
        "idempotent": reviewed.idempotent,
        "agent": reviewed.agent,
        "enabled": reviewed.enabled,
        "risk": reviewed.risk,
        "description": reviewed.description,
        "change": reviewed.change,
        "changes": proposal.get("changes", []),
        "reasons": proposal.get("reasons", []),
        "risks": proposal.get("risks", []),
        "read_proposed": proposal.get("read_proposed", False),
        "customer_arguments": proposal.get("customer_arguments", []),
        "customer": reviewed.customer.as_json() if reviewed.customer else None,
        "customer_lookups": proposal.get("customer_lookups", []),
    }
    if operation is None:
        return wire | {"method": None, "path": None, "schema": None, "tokens": 0, "findings": []}
    definition = {
        "name": reviewed.tool_name,
        "description": reviewed.description,
        "parameters": operation.schema,
    }
    return wire | {
        "method": operation.method.upper(),
        "path": operation.path,
        "summary": operation.summary,
        "deprecated": operation.deprecated,
        "tags": list(operation.tags),
        "schema": operation.schema,
        "tokens": len(orjson.dumps(definition)) // CHARS_PER_TOKEN,
        "findings": [
            {"severity": one.severity, "place": one.place, "message": one.message}
            for one in operation.findings
        ],
    }
