"""Decides which base URL an import calls, and whether two imports are of the same API."""

import re
from dataclasses import replace
from functools import lru_cache
from urllib.parse import urlsplit

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.findings import Finding
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.request.server_url import server_url
from smart_support.connectors.review.import_store import ImportJob
from smart_support.errors import InvalidRequest

__all__ = [
    "api_name",
    "base_url",
    "base_url_findings",
    "inherited_base_url",
    "is_same_api",
    "origin",
    "origin_of",
]

_PORTS = {"http": 80, "https": 443}
_NO_SERVER = Server(url="")


def base_url(job: ImportJob, document: Document, operation: Operation | None = None) -> str:
    """The base URL of the API, or of one operation, which may have its own server.

    A base URL that a reviewer entered applies to all operations except those on another host than the API.

    Raises:
        InvalidRequest: there is none; the message says what to enter.
    """
    if job.kind == "mcp":
        return job.source
    first = next(iter(document.servers), _NO_SERVER)
    own = next(iter(operation.servers), None) if operation else None
    if job.base_url and not (own and own.is_on_another_host(first)):
        matching = (server for server in document.servers if server.url == job.base_url)
        server = next(matching, Server(url=job.base_url))
    else:
        server = own or first
    source = job.source if urlsplit(job.source).scheme in ("http", "https") else None
    if server.url in ("", "/") and source is None:
        raise InvalidRequest("The description has no server; enter the API's base URL.")
    try:
        return server_url(server, job.variables, document_url=source)
    except InvalidRequest as error:
        if operation is None or server is not own:
            raise
        raise InvalidRequest(f"{operation.key} has its own server. {error.message}") from None


def origin(job: ImportJob, document: Document) -> str:
    """Where an API's credentials are sent: the URL of an MCP server, or an origin (RFC 6454).

    Raises:
        InvalidRequest: as in `base_url`.
    """
    if job.kind == "mcp":
        return job.source
    return origin_of(base_url(job, document))


# Thousands of operations have the same few servers.
@lru_cache(maxsize=1_000)
def origin_of(url: str) -> str:
    """The origin of a URL, without the default port of its scheme; empty if it has none or is invalid."""
    try:
        parts = urlsplit(url.lower())
        port = parts.port
    except ValueError:
        return ""
    if not parts.scheme or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _PORTS.get(parts.scheme) else "")


def is_same_api(job: ImportJob, document: Document, live: ImportJob, live_document: Document) -> bool:
    """Whether an import is of the same API as a live import, or one in review, with the same title.

    It is if both came from the same URL, or if both have the same origin. Many services are titled `FastAPI`;
    one must not replace another or receive its credentials.
    """
    if job.kind != live.kind:
        return False
    if job.kind == "mcp" or (job.source == live.source and urlsplit(job.source).scheme):
        return job.source == live.source
    try:
        new_origin = origin(replace(job, variables=live.variables), document)
        live_origins = {origin(live, live_document), origin(replace(live, base_url=None), live_document)}
    except InvalidRequest:  # without a server, nothing contradicts it
        return True
    return new_origin in live_origins


def inherited_base_url(
    job: ImportJob, document: Document, live: ImportJob, live_document: Document
) -> str | None:
    """The base URL that makes an import call the same server as the live one; None if it does without.

    An approved base URL stays until somebody changes it, even if a new description names another server.
    """
    if live.base_url or job.kind == "mcp":
        return live.base_url
    before = base_url(live, live_document)
    try:
        after = base_url(replace(job, variables=live.variables), document)
    except InvalidRequest:
        return before
    return None if after == before else before


def base_url_findings(job: ImportJob, document: Document) -> list[Finding]:
    """A warning if calls go to another server than the description names."""
    try:
        actual, described = base_url(job, document), base_url(replace(job, base_url=None), document)
    except InvalidRequest:
        return []
    if actual == described:
        return []
    message = (
        f"the description names {described}; calls go to {actual}; to switch, change or clear the base URL"
    )
    return [Finding(severity="warning", place="/servers", message=message)]


def api_name(title: str, number: int = 1) -> str:
    """A name for an API: `[a-z][a-z0-9_]*`. `number` distinguishes APIs with the same title."""
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:40].strip("_")
    name = name if name and name[0].isalpha() else f"api_{name}".rstrip("_")
    return name if number == 1 else f"{name}_{number}"
