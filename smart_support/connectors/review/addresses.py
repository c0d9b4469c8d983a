"""Where the calls of an import go, and whether it is of an API that is in use already.

How an address is made of a server and its variables: servers.py.
"""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from smart_support.connectors.openapi.document.operation import Document, Finding, Operation, Server
from smart_support.connectors.openapi.request.servers import base_url
from smart_support.connectors.review.store import Job
from smart_support.errors import InvalidRequest

__all__ = ["address", "api_name", "home", "kept_address", "moved", "same_api"]


def address(job: Job, document: Document, operation: Operation | None = None) -> str:
    """Where the paths begin: of the API, or of one operation, which may have a server of its own.

    A base URL that a reviewer entered counts for all but operations that are on another host than the rest.

    Raises:
        InvalidRequest: there is none; says what to enter.
    """
    if job.kind == "mcp":
        return job.source
    first = next(iter(document.servers), Server(url=""))
    own = next(iter(operation.servers), None) if operation else None
    if job.base_url and not (own and own.is_elsewhere(first)):
        declared = (server for server in document.servers if server.url == job.base_url)
        server = next(declared, Server(url=job.base_url))
    else:
        server = own or first
    source = job.source if urlsplit(job.source).scheme in ("http", "https") else None
    if server.url in ("", "/") and source is None:
        raise InvalidRequest("The description names no server; enter the API's base URL first.")
    return base_url(server, job.variables, document_url=source)


def home(job: Job, document: Document) -> str:
    """The one place that an API's credentials are for.

    Raises:
        InvalidRequest: as of `address`.
    """
    return job.source if job.kind == "mcp" else _origin(address(job, document))


def same_api(job: Job, document: Document, live: Job, live_document: Document) -> bool:
    """Whether an import is of the API that is in use under the same title.

    It is where both came from one address, or where they are to be called at one host. Many services are all
    called `FastAPI`; none of them may take another's place, or its credentials.
    """
    if job.kind != live.kind:
        return False
    if job.kind == "mcp" or (job.source == live.source and urlsplit(job.source).scheme):
        return job.source == live.source
    try:
        where = home(replace(job, variables=live.variables), document)
    except InvalidRequest:  # it does not say, so nothing speaks against it
        return True
    return where in {home(live, live_document), home(replace(live, base_url=None), live_document)}


def kept_address(job: Job, document: Document, live: Job, live_document: Document) -> str | None:
    """The base URL with which an import goes on calling where the live one calls; None where it needs none.

    What a description says of its server is no decision: an address that was approved stays until somebody
    changes it.
    """
    if live.base_url or job.kind == "mcp":
        return live.base_url
    was = address(live, live_document)
    try:
        now = address(replace(job, variables=live.variables), document)
    except InvalidRequest:
        return was
    return None if now == was else was


def moved(job: Job, document: Document) -> list[Finding]:
    """That the calls go to another place than the description names, where it is so."""
    try:
        here, there = address(job, document), address(replace(job, base_url=None), document)
    except InvalidRequest:
        return []
    if here == there:
        return []
    message = f"the description names {there}; calls go to {here}, until the base URL is changed or emptied"
    return [Finding(severity="warning", place="/servers", message=message)]


def api_name(title: str, number: int = 1) -> str:
    """What an API is called among the imported ones; `number` tells those of one title apart."""
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:40].strip("_")
    name = name if name and name[0].isalpha() else f"api_{name}".rstrip("_")
    return name if number == 1 else f"{name}_{number}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
