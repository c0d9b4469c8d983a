"""Builds the HTTP request of an operation from a tool's arguments. credentials.py adds the credentials."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from smart_support.connectors.openapi.document.operation import Operation, Parameter
from smart_support.connectors.openapi.request.body import encode_body, missing_arguments
from smart_support.connectors.openapi.request.encoding import FIELD_NAME, naming_argument
from smart_support.connectors.openapi.request.server_url import PATH_CHARACTERS
from smart_support.connectors.openapi.request.styles import encode_header, encode_pairs, encode_path
from smart_support.errors import InvalidArguments, InvalidRequest

__all__ = ["HttpRequest", "build_request"]

_PLACEHOLDER = re.compile(r"(\{[^{}]*\})")
# Headers that are never sent as parameters. OpenAPI 3.1 excludes the first three ("Fixed Fields" of the
# Parameter Object); the rest control routing, framing and cookies.
_IGNORED_HEADERS = {"accept", "content-type", "authorization", "proxy-authorization", "cookie", "host"}
_IGNORED_HEADERS |= {
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HttpRequest:
    """A request. Its repr omits query, headers and content, which may hold secrets."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.url.partition('?')[0]}, {len(self.content or b'')} bytes)"


def build_request(operation: Operation, args: Mapping[str, Any], base: str) -> HttpRequest:
    """The request for one call, without credentials.

    Args:
        args: by argument name. Missing and null values are left out, except a null in a JSON body.
        base: the base URL; the request's URL always stays below it.

    Raises:
        InvalidArguments: an argument is missing or can't be encoded; the message names it.
        InvalidRequest: the API's description is invalid.
    """
    _check_required(operation, args)
    headers = _headers(operation, args)
    body = encode_body(operation.body, args) if operation.body else None
    if body:
        headers["Content-Type"] = body[0]
    url = base.rstrip("/") + _target(operation, args)
    if not _lies_under(base, url):
        raise InvalidArguments(
            f"{operation.key}: these arguments would change the URL's base; nothing was sent."
        )
    return HttpRequest(method=operation.method, url=url, headers=headers, content=body[1] if body else None)


def _check_required(operation: Operation, args: Mapping[str, Any]) -> None:
    missing = [
        each.argument
        for each in operation.parameters
        if (each.required or each.where == "path") and args.get(each.argument) is None and not _ignored(each)
    ]
    if operation.body:
        missing += missing_arguments(operation.body, args)
    if missing:
        raise InvalidArguments(f"{operation.key}: missing required arguments: {', '.join(missing)}.")


def _ignored(parameter: Parameter) -> bool:
    return parameter.where == "header" and parameter.name.lower() in _IGNORED_HEADERS


def _headers(operation: Operation, args: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    for parameter in operation.parameters:
        if parameter.where != "header" or parameter.argument not in args or _ignored(parameter):
            continue
        if not FIELD_NAME.fullmatch(parameter.name):
            raise InvalidRequest(
                f"{parameter.name!r} is not a valid header name; correct the API's description."
            )
        with naming_argument(parameter.argument):
            value = encode_header(parameter, args[parameter.argument])
        if value is not None:
            headers[parameter.name] = value
    cookies = encode_pairs([each for each in operation.parameters if each.where == "cookie"], args)
    if cookies:
        # One cookie per item of an exploded array: `&`, as in OpenAPI's table, separates nothing in a header.
        headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in cookies)
    return headers


def _target(operation: Operation, args: Mapping[str, Any]) -> str:
    """Path and query. A fragment is dropped: some descriptions use it only to distinguish operations."""
    path, _, fixed = operation.path.partition("#")[0].partition("?")
    path, fixed = (
        _fill(operation, path, args, PATH_CHARACTERS),
        _fill(operation, fixed, args, PATH_CHARACTERS + "?"),
    )
    names = [pair.partition("=")[0] for pair in fixed.split("&")] if fixed else []
    parameters = [each for each in operation.parameters if each.where == "query"]
    query = "&".join(
        filter(None, [fixed, *(f"{name}={text}" for name, text in encode_pairs(parameters, args, names))])
    )
    return "/" + path.removeprefix("/") + ("?" + query if query else "")


def _fill(operation: Operation, template: str, args: Mapping[str, Any], keep: str) -> str:
    path_parameters = {each.name: each for each in operation.parameters if each.where == "path"}
    pieces = []
    for piece in _PLACEHOLDER.split(template):
        if not _PLACEHOLDER.fullmatch(piece):
            pieces.append(quote(piece, safe=keep))
            continue
        parameter = path_parameters.get(piece[1:-1])
        if parameter is None:
            raise InvalidRequest(f"{operation.key}: {piece} is not declared; correct the API's description.")
        with naming_argument(parameter.argument):
            pieces.append(encode_path(parameter, args[parameter.argument]))
    return "".join(pieces)


def _lies_under(base: str, url: str) -> bool:
    """Whether every server reads the URL as below the base, even one that decodes before it normalises."""
    root, whole = urlsplit(base), urlsplit(url)
    segments = re.split(r"[/\\]", unquote(whole.path))
    return (
        (whole.scheme, whole.netloc) == (root.scheme, root.netloc)
        and whole.path.startswith(root.path.rstrip("/") + "/")
        and not any(segment.partition(";")[0] in {".", ".."} for segment in segments)
    )
