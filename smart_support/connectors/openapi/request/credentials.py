"""Selects an API's credentials and adds them to a request. oauth.py fetches access tokens."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_plus

from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.request.encoding import FIELD_NAME, percent_encode
from smart_support.connectors.openapi.request.request import HttpRequest
from smart_support.errors import InvalidRequest, ToolFailed

__all__ = ["UNAVAILABLE", "Credential", "add_credentials", "select_credentials"]

# What a customer is told where credentials are missing or refused: nothing of the system behind.
UNAVAILABLE = "This service is not available at the moment, so nothing was done."

_FIELDS = {
    "apiKey": ("value",),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("client_id", "client_secret"),
}
_MAY_BE_EMPTY = {"password", "client_secret"}  # some APIs take a key as the user name
_PRINTABLE = re.compile(r"[!-~]([ -~]*[!-~])?")
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")  # RFC 6265, 4.1.1


@dataclass(frozen=True, slots=True)
class Credential:
    """The values that an admin entered for one scheme. Its repr and its errors never show a secret.

    Attributes:
        values: apiKey: `value`; basic: `username` and `password`; bearer: `token`; oauth2 client credentials:
            `client_id` and `client_secret`.

    Raises:
        InvalidRequest: a value is missing or can't be sent, or the kind of scheme is not supported.
    """

    scheme: SecurityScheme
    values: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        fault = (
            _scheme_fault(self.scheme)
            or _missing_value(self.scheme, self.values)
            or _value_fault(self.scheme, self.values)
        )
        if fault:
            raise InvalidRequest(f"{self.scheme.name}: {fault}.")


def select_credentials(
    security: Sequence[Mapping[str, Sequence[str]]], credentials: Mapping[str, Credential]
) -> tuple[Credential, ...]:
    """The credentials of the first complete alternative; empty if the operation requires none.

    Args:
        security: as in `Operation.security`. If an alternative names scopes, its OAuth2 credential requests
            only those.
        credentials: by scheme name.

    Raises:
        ToolFailed: no alternative is complete.
    """
    if not security:
        return ()
    for alternative in security:
        if all(name in credentials for name in alternative):
            return tuple(_narrowed(credentials[name], scopes) for name, scopes in alternative.items())
    needed = " or ".join(" with ".join(alternative) for alternative in security)
    raise ToolFailed(
        UNAVAILABLE,
        detail=f"This API needs credentials ({needed}), which are missing, or may not go to this host or "
        "to their token endpoint; an admin can add them and allow hosts in the API tab.",
    )


def add_credentials(
    request: HttpRequest, credentials: Sequence[Credential], access_token: str | None = None
) -> HttpRequest:
    """The request with credentials; they replace an argument in the same place.

    Args:
        access_token: from `oauth.TokenSource`, for an OAuth2 credential.

    Raises:
        ToolFailed: an OAuth2 credential has no access token.
    """
    for credential in credentials:
        request = _add(request, credential, access_token)
    return request


def _scheme_fault(scheme: SecurityScheme) -> str | None:
    if scheme.kind not in _FIELDS:
        return "credentials of this kind are not supported"
    if scheme.kind == "apiKey" and scheme.where != "query" and not FIELD_NAME.fullmatch(scheme.parameter):
        return f"{scheme.parameter!r} is not a valid {scheme.where} name; correct the API's description"
    return None


def _missing_value(scheme: SecurityScheme, values: Mapping[str, str]) -> str | None:
    for name in _FIELDS[scheme.kind]:
        if name not in values or not (values[name] or name in _MAY_BE_EMPTY):
            return f"{name} is missing; enter it"
        if not values[name].isprintable():
            return f"{name} contains a line break or another control character; enter it again"
    return None


def _value_fault(scheme: SecurityScheme, values: Mapping[str, str]) -> str | None:
    value = values[_FIELDS[scheme.kind][0]]
    if scheme.kind == "basic" and ":" in value:
        return "a user name can't contain a colon (RFC 7617); enter it again"
    if scheme.kind in {"apiKey", "bearer"} and not _PRINTABLE.fullmatch(value):
        return "only printable ASCII without leading or trailing spaces can be sent; enter it again"
    if scheme.where == "cookie" and not _COOKIE_VALUE.fullmatch(value):
        return "it contains characters that a cookie can't; enter it again"
    return None


def _narrowed(credential: Credential, scopes: Sequence[str]) -> Credential:
    if credential.scheme.kind != "oauth2" or not scopes:
        return credential
    return replace(credential, scheme=replace(credential.scheme, scopes=tuple(scopes)))


def _add(request: HttpRequest, credential: Credential, access_token: str | None) -> HttpRequest:
    scheme, values = credential.scheme, credential.values
    if scheme.kind == "basic":
        pair = f"{values['username']}:{values['password']}".encode()
        return _with_header(request, "Authorization", f"Basic {base64.b64encode(pair).decode()}")
    if scheme.kind == "apiKey" and scheme.where == "query":
        return _with_query(request, scheme.parameter, values["value"])
    if scheme.kind == "apiKey" and scheme.where == "cookie":
        return _with_cookie(request, scheme.parameter, values["value"])
    if scheme.kind == "apiKey":
        return _with_header(request, scheme.parameter, values["value"])
    token = values["token"] if scheme.kind == "bearer" else access_token
    if token is None:
        raise ToolFailed(f"This API has no access token ({scheme.name}); nothing was sent.")
    return _with_header(request, "Authorization", f"Bearer {token}")


def _with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    others = {other: text for other, text in request.headers.items() if other.lower() != name.lower()}
    return replace(request, headers=others | {name: value})


def _with_query(request: HttpRequest, name: str, value: str) -> HttpRequest:
    address, _, query = request.url.partition("?")
    pairs = [*_without(name, query.split("&")), f"{percent_encode(name)}={percent_encode(value)}"]
    return replace(request, url=f"{address}?{'&'.join(pairs)}")


def _with_cookie(request: HttpRequest, name: str, value: str) -> HttpRequest:
    cookies = [*_without(name, request.headers.get("Cookie", "").split("; ")), f"{name}={value}"]
    return _with_header(request, "Cookie", "; ".join(cookies))


def _without(name: str, pairs: Sequence[str]) -> list[str]:
    return [pair for pair in pairs if pair and unquote_plus(pair.partition("=")[0]) != name]
