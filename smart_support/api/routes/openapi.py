"""`/openapi`: import an API's description, review its operations, approve them as tools. For admins."""

import asyncio
import codecs
import contextlib
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from smart_support.api import request_shapes, schemas
from smart_support.api.dependencies import admin, channel, services
from smart_support.api.envelope import answer
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.reader import check_keys
from smart_support.connectors.review.addresses import moved
from smart_support.connectors.review.review import Reviewed
from smart_support.connectors.review.store import Job
from smart_support.errors import Conflict, InvalidJson, InvalidRequest, TooLarge
from smart_support.identity.users import User
from smart_support.services import Services


def has_imports(services: Services = Depends(services)) -> None:
    """See that this app has agents that can be given tools.

    Raises:
        Conflict: it was made with a graph of somebody else's.
    """
    if not services.has_imports:
        raise Conflict(
            "This app runs a graph of your own, which brings its own tools; nothing can be imported."
        )


router = APIRouter(prefix="/openapi", tags=["openapi"], dependencies=[Depends(admin), Depends(has_imports)])
# No JSON that a program sends begins with one (RFC 8259, 8.1); a file that somebody saved may.
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CHARS_A_TOKEN = 4  # of JSON, about; enough to see what is large
Name = Annotated[str, Field(max_length=63)]


class Changes(BaseModel):
    """What a reviewer may change of an operation."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = None
    access: Literal["read", "write"] | None = None
    needs_approval: bool | None = None
    idempotent: bool | None = None
    agent: Name | None = None
    tool_name: Name | None = None
    description: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    risk: Literal["low", "medium", "high"] | None = None

    def wanted(self) -> dict[str, Any]:
        """Those that were given."""
        return self.model_dump(exclude_none=True)


class BulkChanges(BaseModel):
    """One change for several operations, all or none."""

    keys: list[Annotated[str, Field(max_length=300)]] = Field(min_length=1, max_length=5000)
    changes: Changes


class Place(BaseModel):
    """Where an API's paths begin."""

    base_url: str | None = Field(None, max_length=2000, description="empty: the description's own server")
    variables: dict[str, str] | None = None


class Secret(BaseModel):
    """Credentials for one scheme; they are never shown again."""

    scheme: str = Field(max_length=200)
    values: dict[str, Annotated[str, Field(max_length=10_000)]]


class Trial(BaseModel):
    """Arguments to try a read with."""

    args: dict[str, Any] = Field(default_factory=dict)


@router.post(
    "/import",
    status_code=202,
    response_model=schemas.Answer[schemas.ImportJob],
    openapi_extra={"requestBody": request_shapes.IMPORT_BODY},
)
async def begin(
    request: Request, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Begin an import of `{"url"}`, `{"spec"}` or `{"mcp"}`, or of a file (multipart or the bare body)."""
    given = await _given(request, services.settings.max_spec_bytes)
    job = await services.imports.begin(**given, by=user.name)
    if given.get("token"):
        what = {"job_id": job.job_id, "scheme": "token"}
        await services.audit_trail.record("credentials_entered", by=user.name, via=channel(request), **what)
    return answer(_job(job), status=202)


@router.get("/jobs", response_model=schemas.Page[schemas.ImportJob])
async def list_jobs(services: Services = Depends(services)) -> Response:
    """Imports, the newest first."""
    return answer([_job(job) for job in await services.imports.store.jobs()])


@router.get("/jobs/{job_id}", response_model=schemas.Answer[schemas.ImportJob])
async def get_job(job_id: str, services: Services = Depends(services)) -> Response:
    """An import's status, progress, findings, servers, and which credentials were entered."""
    job = await services.imports.store.job(job_id)
    return answer(_job(job) | await _details(services, job) | await _warnings(services, job))


@router.get("/jobs/{job_id}/operations", response_model=schemas.Page[schemas.ImportOperation])
async def list_operations(job_id: str, services: Services = Depends(services)) -> Response:
    """Every operation of an import as it stands in the review."""
    return answer([_operation(*pair) for pair in await services.imports.operations(job_id)])


@router.patch("/jobs/{job_id}/operations", response_model=schemas.Answer[schemas.Changed])
async def change_several(job_id: str, body: BulkChanges, services: Services = Depends(services)) -> Response:
    """Change several operations at once, all or none."""
    await services.imports.change(job_id, body.keys, body.changes.wanted())
    return answer({"changed": len(body.keys)})


@router.patch("/jobs/{job_id}/operations/{key:path}", response_model=schemas.Answer[schemas.ImportOperation])
async def change_one(
    job_id: str, key: str, body: Changes, services: Services = Depends(services)
) -> Response:
    """Change one operation."""
    done = await services.imports.change(job_id, [key], body.wanted())
    operations = {one.key: operation for one, operation in await services.imports.operations(job_id)}
    return answer(_operation(done[0], operations[done[0].key]))


@router.post("/jobs/{job_id}/words", response_model=schemas.Answer[schemas.Worded])
async def word(job_id: str, services: Services = Depends(services)) -> Response:
    """Have the language model propose names, words and groups for what is new; never another access."""
    await services.imports.store.job(job_id)  # one that there is not needs no model
    model = services.wording_model
    if model is None:
        raise Conflict("words: this needs a language model; set SMART_SUPPORT_MODEL=openai:NAME")
    return answer({"changed": [one.key for one in await services.imports.word(job_id, model)]})


@router.put("/jobs/{job_id}/place", response_model=schemas.Answer[schemas.ImportJob])
async def set_place(job_id: str, body: Place, services: Services = Depends(services)) -> Response:
    """Set where the API's paths begin, and its server's variables."""
    job = await services.imports.configure(job_id, base=body.base_url, variables=body.variables)
    return answer(_job(job) | await _details(services, job) | await _warnings(services, job))


@router.put("/jobs/{job_id}/credentials", response_model=schemas.Answer[schemas.Credentials])
async def set_credentials(
    job_id: str,
    body: Secret,
    user: User = Depends(admin),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Enter credentials; the answer names the schemes that have some, and shows none."""
    kept = await services.imports.enter_credentials(job_id, body.scheme, body.values)
    what = {"job_id": job_id, "scheme": body.scheme}
    await services.audit_trail.record("credentials_entered", by=user.name, via=via, **what)
    return answer({"credentials": kept})


@router.post("/jobs/{job_id}/try/{key:path}", response_model=schemas.Answer[schemas.Tried])
async def try_out(job_id: str, key: str, body: Trial, services: Services = Depends(services)) -> Response:
    """Call a read now; what the API gave."""
    return answer({"result": await services.imports.try_out(job_id, key, body.args)})


@router.post("/jobs/{job_id}/approve", response_model=schemas.Answer[schemas.ImportJob])
async def approve(
    job_id: str, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Make the enabled operations tools, at once."""
    job = await services.imports.approve(job_id, by=user.name)
    return answer(_job(job) | await _warnings(services, job))


@router.post("/jobs/{job_id}/remove", response_model=schemas.Answer[schemas.ImportJob])
async def remove(
    job_id: str, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Take an API's tools out of use, or put aside an import that is in review or failed."""
    job = await services.imports.remove(job_id, by=user.name)
    return answer(_job(job) | await _warnings(services, job))


async def _given(request: Request, max_bytes: int) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        # What is told is checked before it fills a disk; the form's own parts are a few bytes.
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
        raise InvalidRequest("mcp: give the server's address, or the name it was declared with")
    if url is not None and not (isinstance(url, str) and url.strip()):
        raise InvalidRequest("url: give the address of the description")
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
        with contextlib.suppress(orjson.JSONEncodeError):  # too deep: the import says so, and where
            check_keys(raw, orjson.dumps(body))
    return body


async def _body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"The description is too large: more than {max_bytes} bytes.")
    return bytes(body)


def _job(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__slots__}


async def _warnings(services: Services, job: Job) -> dict[str, Any]:
    """What is amiss with the agents file and this import together, in sentences."""
    return {"warnings": [] if job.status in ("loading", "failed") else await services.import_warnings(job)}


async def _details(services: Services, job: Job) -> dict[str, Any]:
    if job.status in ("loading", "failed"):
        return {"findings": []}
    document = await services.imports.document(job)
    findings = [
        *moved(job, document),
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
        "credentials": await services.imports.entered(job),
        "can_be_worded": services.wording_model is not None,
        "findings": [
            {"severity": one.severity, "place": one.place, "message": one.message} for one in findings[:500]
        ],
    }


def _operation(reviewed: Reviewed, operation: Operation | None) -> dict[str, Any]:
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
        "reasons": proposal.get("reasons", []),
        "risks": proposal.get("risks", []),
        "read_proposed": proposal.get("read_proposed", False),
        "customer_arguments": proposal.get("customer_arguments", []),
    }
    if operation is None:
        return wire | {"method": None, "path": None, "schema": None, "tokens": 0, "findings": []}
    said = {"name": reviewed.tool_name, "description": reviewed.description, "parameters": operation.schema}
    return wire | {
        "method": operation.method.upper(),
        "path": operation.path,
        "summary": operation.summary,
        "deprecated": operation.deprecated,
        "tags": list(operation.tags),
        "schema": operation.schema,
        "tokens": len(orjson.dumps(said)) // CHARS_A_TOKEN,
        "findings": [
            {"severity": one.severity, "place": one.place, "message": one.message}
            for one in operation.findings
        ],
    }
