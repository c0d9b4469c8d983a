"""An operation and a tool's arguments become one HTTP request under the API's base address.

Who calls is added by credentials.py; nothing is sent here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from smart_support.connectors.openapi.document.operation import Operation, Parameter
from smart_support.connectors.openapi.request.body import missing, write_body
from smart_support.connectors.openapi.request.encoding import FIELD_NAME, naming
from smart_support.connectors.openapi.request.servers import IN_PATH, base_url
from smart_support.connectors.openapi.request.styles import in_header, in_path, pairs
from smart_support.errors import InvalidArguments, InvalidRequest

__all__ = ["Prepared", "base_url", "prepare"]

_PLACEHOLDER = re.compile(r"(\{[^{}]*\})")
# The first three are no parameters by OpenAPI 3.1 ("Fixed Fields" of the Parameter Object); the rest say
# where a message goes and where it ends, or hold what is set as cookies.
_NO_PARAMETERS = {"accept", "content-type", "authorization", "proxy-authorization", "cookie", "host"}
_NO_PARAMETERS |= {"content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Prepared:
    """A request ready to be sent. Its repr shows no query, header or content: they may hold secrets."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def __repr__(self) -> str:
        return f"Prepared({self.method} {self.url.partition('?')[0]}, {len(self.content or b'')} bytes)"


def prepare(operation: Operation, args: Mapping[str, Any], base: str) -> Prepared:
    """The request for one call, without credentials.

    Args:
        args: by the names of the tool's arguments; what is absent or null is left out, but a null in a JSON
            body stays one.
        base: as of `base_url`; whatever the arguments, the request stays under it.

    Raises:
        InvalidArguments: one is missing or can't be written at its place; names it.
        InvalidRequest: the API's description is at fault.
    """
    _require(operation, args)
    headers = _headers(operation, args)
    body = write_body(operation.body, args) if operation.body else None
    if body:
        headers["Content-Type"] = body[0]
    url = base.rstrip("/") + _target(operation, args)
    if not _lies_under(base, url):
        raise InvalidArguments(
            f"{operation.key}: these arguments lead away from the API's address; not sent."
        )
    return Prepared(method=operation.method, url=url, headers=headers, content=body[1] if body else None)


def _require(operation: Operation, args: Mapping[str, Any]) -> None:
    absent = [
        each.argument
        for each in operation.parameters
        if (each.required or each.where == "path") and args.get(each.argument) is None and not _ignored(each)
    ]
    if operation.body:
        absent += missing(operation.body, args)
    if absent:
        raise InvalidArguments(f"{operation.key}: required and not given: {', '.join(absent)}.")


def _ignored(parameter: Parameter) -> bool:
    return parameter.where == "header" and parameter.name.lower() in _NO_PARAMETERS


def _headers(operation: Operation, args: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    for parameter in operation.parameters:
        if parameter.where != "header" or parameter.argument not in args or _ignored(parameter):
            continue
        if not FIELD_NAME.fullmatch(parameter.name):
            raise InvalidRequest(f"{parameter.name!r} is no name of a header; correct the API's description.")
        with naming(parameter.argument):
            value = in_header(parameter, args[parameter.argument])
        if value is not None:
            headers[parameter.name] = value
    cookies = pairs([each for each in operation.parameters if each.where == "cookie"], args)
    if cookies:
        # Exploded arrays as one cookie each: the `&` of OpenAPI's table separates nothing in this header.
        headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in cookies)
    return headers


def _target(operation: Operation, args: Mapping[str, Any]) -> str:
    """Path and query. A fragment is dropped: some descriptions tell operations apart by it, none sends it."""
    path, _, fixed = operation.path.partition("#")[0].partition("?")
    path, fixed = _filled(operation, path, args, IN_PATH), _filled(operation, fixed, args, IN_PATH + "?")
    names = [pair.partition("=")[0] for pair in fixed.split("&")] if fixed else []
    wanted = [each for each in operation.parameters if each.where == "query"]
    query = "&".join(filter(None, [fixed, *(f"{name}={text}" for name, text in pairs(wanted, args, names))]))
    return "/" + path.removeprefix("/") + ("?" + query if query else "")


def _filled(operation: Operation, template: str, args: Mapping[str, Any], keep: str) -> str:
    declared = {each.name: each for each in operation.parameters if each.where == "path"}
    pieces = []
    for piece in _PLACEHOLDER.split(template):
        if not _PLACEHOLDER.fullmatch(piece):
            pieces.append(quote(piece, safe=keep))
            continue
        parameter = declared.get(piece[1:-1])
        if parameter is None:
            raise InvalidRequest(f"{operation.key}: {piece} is not declared; correct the API's description.")
        with naming(parameter.argument):
            pieces.append(in_path(parameter, args[parameter.argument]))
    return "".join(pieces)


def _lies_under(base: str, url: str) -> bool:
    """Whether any server reads the URL as one under the base, even one that decodes before it normalises."""
    root, whole = urlsplit(base), urlsplit(url)
    segments = re.split(r"[/\\]", unquote(whole.path))
    return (
        (whole.scheme, whole.netloc) == (root.scheme, root.netloc)
        and whole.path.startswith(root.path.rstrip("/") + "/")
        and not any(segment.partition(";")[0] in {".", ".."} for segment in segments)
    )
