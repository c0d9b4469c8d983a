"""Who calls: which of an API's credentials are used and how a request carries them. Tokens: oauth.py."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_plus

from smart_support.connectors.openapi.document.operation import SecurityScheme
from smart_support.connectors.openapi.request.encoding import FIELD_NAME, percent
from smart_support.connectors.openapi.request.request import Prepared
from smart_support.errors import InvalidRequest, ToolFailed

__all__ = ["Credential", "apply", "choose"]

_FIELDS = {
    "apiKey": ("value",),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("client_id", "client_secret"),
}
_MAY_BE_EMPTY = {"password", "client_secret"}  # APIs that take a key as the user name
_PRINTABLE = re.compile(r"[!-~]([ -~]*[!-~])?")
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")  # RFC 6265, 4.1.1


@dataclass(frozen=True, slots=True)
class Credential:
    """What an admin entered for one scheme. Its repr and its errors show no secret.

    Attributes:
        values: of an API key `value`; of basic `username` and `password`; of bearer `token`; of OAuth2
            client credentials `client_id` and `client_secret`.

    Raises:
        InvalidRequest: a value is missing or could not be sent, or the scheme is of no supported kind.
    """

    scheme: SecurityScheme
    values: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        fault = (
            _unknown(self.scheme)
            or _incomplete(self.scheme, self.values)
            or _unsendable(self.scheme, self.values)
        )
        if fault:
            raise InvalidRequest(f"{self.scheme.name}: {fault}.")


def choose(
    security: Sequence[Mapping[str, Sequence[str]]], credentials: Mapping[str, Credential]
) -> tuple[Credential, ...]:
    """The credentials of the first alternative for which all are there; none where none are asked for.

    Args:
        security: as of `Operation.security`. Where an alternative names scopes, its OAuth2 credential
            asks for those only.
        credentials: by the name of their scheme.

    Raises:
        ToolFailed: no alternative has all it needs.
    """
    if not security:
        return ()
    for alternative in security:
        if all(name in credentials for name in alternative):
            return tuple(_narrowed(credentials[name], scopes) for name, scopes in alternative.items())
    needed = " or ".join(" with ".join(alternative) for alternative in security)
    raise ToolFailed(
        f"This API needs credentials ({needed}) that nobody has entered; "
        "an admin can add them in the API tab."
    )


def apply(prepared: Prepared, credentials: Sequence[Credential], access_token: str | None = None) -> Prepared:
    """The request with its credentials, in the place of whatever an argument put there.

    Args:
        access_token: from `oauth.TokenSource`, where one of the credentials is of OAuth2.

    Raises:
        ToolFailed: a token is needed and none was given.
    """
    for credential in credentials:
        prepared = _applied(prepared, credential, access_token)
    return prepared


def _unknown(scheme: SecurityScheme) -> str | None:
    if scheme.kind not in _FIELDS:
        return "credentials of this kind are not supported"
    if scheme.kind == "apiKey" and scheme.where != "query" and not FIELD_NAME.fullmatch(scheme.parameter):
        return f"{scheme.parameter!r} is no name of a {scheme.where}; correct the API's description"
    return None


def _incomplete(scheme: SecurityScheme, values: Mapping[str, str]) -> str | None:
    for name in _FIELDS[scheme.kind]:
        if name not in values or not (values[name] or name in _MAY_BE_EMPTY):
            return f"{name} is missing; enter it"
        if not values[name].isprintable():
            return f"{name} holds a line break or another control character; enter it again"
    return None


def _unsendable(scheme: SecurityScheme, values: Mapping[str, str]) -> str | None:
    carried = values[_FIELDS[scheme.kind][0]]
    if scheme.kind == "basic" and ":" in carried:
        return "a user name can't hold a colon (RFC 7617); enter it again"
    if scheme.kind in {"apiKey", "bearer"} and not _PRINTABLE.fullmatch(carried):
        return "only printable ASCII without spaces around it can be sent; enter it again"
    if scheme.where == "cookie" and not _COOKIE_VALUE.fullmatch(carried):
        return "it holds what a cookie can't; enter it again"
    return None


def _narrowed(credential: Credential, scopes: Sequence[str]) -> Credential:
    if credential.scheme.kind != "oauth2" or not scopes:
        return credential
    return replace(credential, scheme=replace(credential.scheme, scopes=tuple(scopes)))


def _applied(prepared: Prepared, credential: Credential, access_token: str | None) -> Prepared:
    scheme, values = credential.scheme, credential.values
    if scheme.kind == "basic":
        pair = f"{values['username']}:{values['password']}".encode()
        return _with_header(prepared, "Authorization", f"Basic {base64.b64encode(pair).decode()}")
    if scheme.kind == "apiKey" and scheme.where == "query":
        return _with_query(prepared, scheme.parameter, values["value"])
    if scheme.kind == "apiKey" and scheme.where == "cookie":
        return _with_cookie(prepared, scheme.parameter, values["value"])
    if scheme.kind == "apiKey":
        return _with_header(prepared, scheme.parameter, values["value"])
    token = values["token"] if scheme.kind == "bearer" else access_token
    if token is None:
        raise ToolFailed(f"No access token was fetched for this API ({scheme.name}); nothing was sent.")
    return _with_header(prepared, "Authorization", f"Bearer {token}")


def _with_header(prepared: Prepared, name: str, value: str) -> Prepared:
    others = {other: text for other, text in prepared.headers.items() if other.lower() != name.lower()}
    return replace(prepared, headers=others | {name: value})


def _with_query(prepared: Prepared, name: str, value: str) -> Prepared:
    address, _, query = prepared.url.partition("?")
    pairs = [*_without(name, query.split("&")), f"{percent(name)}={percent(value)}"]
    return replace(prepared, url=f"{address}?{'&'.join(pairs)}")


def _with_cookie(prepared: Prepared, name: str, value: str) -> Prepared:
    cookies = [*_without(name, prepared.headers.get("Cookie", "").split("; ")), f"{name}={value}"]
    return _with_header(prepared, "Cookie", "; ".join(cookies))


def _without(name: str, pairs: Sequence[str]) -> list[str]:
    return [pair for pair in pairs if pair and unquote_plus(pair.partition("=")[0]) != name]
