"""Requests are those that other implementations build: Schemathesis for styles, httpx for bodies."""

import base64
import io
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import pytest
from schemathesis.specs.openapi.serialization import serialize_openapi3_parameters
from werkzeug.formparser import parse_form_data

from smart_support.connectors.openapi.document.operation import Body, Parameter
from smart_support.connectors.openapi.request.request import HttpRequest, build_request
from tests.support.wire import an_operation

VALUES = {"string": "blue", "integer": 12, "array": ["blue", "b:d"], "object": {"R": "100", "G": "2 0"}}
STYLES = [("path", style, explode) for style in ("simple", "label", "matrix") for explode in (False, True)]
STYLES += [("query", "form", explode) for explode in (False, True)]
STYLES += [("header", "simple", explode) for explode in (False, True)]
STYLES += [("cookie", "form", explode) for explode in (False, True)]
CASES = [(*style, kind) for style in STYLES for kind in VALUES]
CASES += [("query", style, False, "array") for style in ("spaceDelimited", "pipeDelimited")]
CASES += [("query", "deepObject", True, "object")]
# Schemathesis sends these as its HTTP library encodes them, which is not what OpenAPI's table says.
CASES = [
    case
    for case in CASES
    if case not in [("cookie", "form", True, "array"), ("cookie", "form", True, "object")]
]
PNG = b"\x89PNG\r\n\x00\xff"


@pytest.mark.parametrize(("where", "style", "explode", "kind"), CASES)
def test_a_parameter_is_sent_as_another_implementation_sends_it(
    where: Any, style: str, explode: bool, kind: str
) -> None:
    parameter = Parameter(name="color", where=where, argument="color", style=style, explode=explode)
    path = "/pets/{color}" if where == "path" else "/pets"
    request = build_request(an_operation(parameter, path=path), {"color": VALUES[kind]}, "https://x.test")

    definition = {"name": "color", "in": where, "style": style, "explode": explode, "schema": {"type": kind}}
    serialize = serialize_openapi3_parameters([definition]) or (lambda values: values)
    other = serialize({"color": VALUES[kind]})

    assert _sent(request, where) == _as_pairs(other)


def _sent(request: HttpRequest, where: str) -> list[tuple[str, str]]:
    url = httpx.URL(request.url)
    match where:
        case "path":
            return [("color", unquote(url.raw_path.decode().removeprefix("/pets/")))]
        case "header":
            return [("color", unquote(request.headers["color"]))]
        case "cookie":
            return [tuple(map(unquote, pair.split("=", 1))) for pair in request.headers["Cookie"].split("; ")]
    return parse_qsl(url.query.decode())


def _as_pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(item))
        for name, value in values.items()
        for item in (value if isinstance(value, list) else [value])
    ]


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_is_read_as_the_one_that_httpx_sends(media_type: str) -> None:
    fields: dict[str, Any] = {"text": "a b&c", "list": ["x", "ÿ"], "number": 2}
    args = fields | {"file": base64.b64encode(PNG).decode()}
    files = {"file": ("file.png", PNG, "image/png")}
    if "multipart" not in media_type:
        del args["file"]
    schema = {"properties": {"file": {"type": "string", "contentEncoding": "base64"}}}
    body = Body(media_type=media_type, properties={name: name for name in args}, schema=schema)

    sent = build_request(an_operation(body=body), args, "https://x.test")

    other = httpx.Request("POST", "https://x.test/pets", data=fields, files=files if "file" in args else None)
    assert _read(sent.headers["Content-Type"], sent.content or b"") == _read(
        other.headers["Content-Type"], other.read()
    )


def _read(media_type: str, content: bytes) -> Any:
    environment = {"CONTENT_TYPE": media_type, "CONTENT_LENGTH": str(len(content)), "REQUEST_METHOD": "POST"}
    _, form, files = parse_form_data(environment | {"wsgi.input": io.BytesIO(content)})
    uploads = [(name, one.filename, one.mimetype, one.read()) for name, one in files.items(multi=True)]
    return sorted(form.items(multi=True)), uploads
