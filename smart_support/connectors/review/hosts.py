"""Lists the hosts that the tools of an import call, and decides which credentials may be sent to each.

The API's own host is the one for which credentials are entered. Every other host (of an operation's or a
path's own server, or of a token endpoint) is called only if a reviewer has allowed it, and gets only the
credentials that were shown when it was allowed. So a new description can't send a secret to a new host.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.review.base_urls import base_url, origin, origin_of
from smart_support.connectors.review.import_store import AllowedHosts, ImportJob
from smart_support.errors import InvalidRequest

__all__ = [
    "Host",
    "absolute_schemes",
    "allowed_hosts",
    "callable_origins",
    "hosts",
    "is_called",
    "sendable_schemes",
    "with_host",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One origin (RFC 6454) that tools of an import call.

    Attributes:
        operations: keys of the operations (`GET /pets`) that are called there.
        schemes: the credentials that these operations may need.
        token_schemes: OAuth2 schemes whose client secret is sent to a token endpoint there.
        is_own: the host for which credentials are entered. It needs no permission.
        is_allowed: a reviewer has allowed it, with at least these schemes; or it is the own host.
    """

    origin: str
    operations: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    token_schemes: tuple[str, ...] = ()
    is_own: bool
    is_allowed: bool


def hosts(job: ImportJob, document: Document) -> list[Host]:
    """All hosts of an import: the own one first, then the others in alphabetical order."""
    own = _own(job, document)
    called: dict[str, list[Operation]] = {own: []} if own else {}
    for operation in document.operations:
        try:
            called.setdefault(_origin(job, document, operation), []).append(operation)
        except InvalidRequest:  # it can't be called, so it has no host
            continue
    tokens = _token_hosts(absolute_schemes(job, document))
    result = [_host(job, document, one, called.get(one, []), tokens.get(one, ())) for one in called | tokens]
    return sorted(result, key=lambda host: (not host.is_own, host.origin))


def is_called(job: ImportJob, document: Document, operation: Operation) -> bool:
    """Whether an operation may be called: its host is the own one, or is allowed.

    Raises:
        InvalidRequest: no base URL is known.
    """
    return _origin(job, document, operation) in callable_origins(job, document)


def callable_origins(job: ImportJob, document: Document) -> frozenset[str]:
    """All origins that may be called: the own one, and those that are allowed."""
    return frozenset((_own(job, document), *allowed_hosts(job, document))) - {""}


def sendable_schemes(job: ImportJob, document: Document, operation: Operation) -> dict[str, SecurityScheme]:
    """The schemes whose credentials may be sent with a call of this operation, by name.

    OAuth2 is among them only if its client secret may be sent to its token endpoint as well.

    Raises:
        InvalidRequest: no base URL is known.
    """
    allowed, own = allowed_hosts(job, document), _own(job, document)
    where = _origin(job, document, operation)
    here = allowed.get(where, {}).get("schemes", [])
    result = {}
    for name, scheme in absolute_schemes(job, document).items():
        token_host = origin_of(scheme.token_url)
        may_log_in = token_host in ("", own) or name in allowed.get(token_host, {}).get("token_schemes", [])
        if may_log_in and (where == own or name in here):
            result[name] = scheme
    return result


def absolute_schemes(job: ImportJob, document: Document) -> dict[str, SecurityScheme]:
    """The schemes of a description. A relative token URL is resolved with the API's base URL.

    The server of one operation does not count: the token of an API has one place (OpenAPI 3.0, "Relative
    References in URLs"). Without a base URL it stays relative.
    """
    try:
        base = base_url(job, document)
    except InvalidRequest:
        return document.schemes
    return {
        name: replace(scheme, token_url=urljoin(f"{base}/", scheme.token_url)) if scheme.token_url else scheme
        for name, scheme in document.schemes.items()
    }


def allowed_hosts(job: ImportJob, document: Document) -> AllowedHosts:
    """What was allowed, by origin.

    For an import from before hosts were allowed one by one: the token endpoints, because the credentials were
    entered for these.
    """
    if job.allowed_hosts is not None:
        return job.allowed_hosts
    tokens = _token_hosts(absolute_schemes(job, document))
    return {where: {"schemes": [], "token_schemes": [*names]} for where, names in tokens.items()}


def with_host(job: ImportJob, document: Document, where: str, *, allow: bool) -> AllowedHosts:
    """What is allowed once a reviewer has allowed or refused a host, with the credentials it has now.

    Raises:
        InvalidRequest: nothing is called there, or it is the API's own host.
    """
    others = {host.origin: host for host in hosts(job, document) if not host.is_own}
    host = others.get(where)
    if host is None:
        known = ", ".join(others) or "none"
        raise InvalidRequest(f"host {where[:200]!r} is not one of those that can be allowed: {known}")
    rest = {name: one for name, one in allowed_hosts(job, document).items() if name != where}
    if not allow:
        return rest
    return rest | {where: {"schemes": [*host.schemes], "token_schemes": [*host.token_schemes]}}


def _host(
    job: ImportJob, document: Document, where: str, operations: list[Operation], tokens: tuple[str, ...]
) -> Host:
    named = {name for one in operations for alternative in one.security for name in alternative}
    schemes = tuple(name for name in document.schemes if name in named)
    is_own = where == _own(job, document)
    given = allowed_hosts(job, document).get(where)
    is_allowed = is_own or (
        given is not None and {*schemes} <= {*given["schemes"]} and {*tokens} <= {*given["token_schemes"]}
    )
    return Host(
        origin=where,
        operations=tuple(one.key for one in operations),
        schemes=schemes,
        token_schemes=tokens,
        is_own=is_own,
        is_allowed=is_allowed,
    )


def _token_hosts(schemes: Mapping[str, SecurityScheme]) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for name, scheme in schemes.items():
        if where := origin_of(scheme.token_url):
            result[where] = (*result.get(where, ()), name)
    return result


def _origin(job: ImportJob, document: Document, operation: Operation) -> str:
    return job.source if job.kind == "mcp" else origin_of(base_url(job, document, operation))


def _own(job: ImportJob, document: Document) -> str:
    try:
        return origin(job, document)
    except InvalidRequest:
        return ""
