"""Encodes a request's body from a tool's arguments: JSON, form, multipart, text or bytes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from smart_support.connectors.openapi.document.operation import Body, Parameter
from smart_support.connectors.openapi.request import multipart
from smart_support.connectors.openapi.request.encoding import (
    EncodingError,
    as_bytes,
    as_json,
    as_text,
    essence,
    is_json,
    naming_argument,
    percent_encode,
)
from smart_support.connectors.openapi.request.media_types import FORM, MEDIA_TYPE, is_lines
from smart_support.connectors.openapi.request.styles import encode_pairs, joined
from smart_support.errors import InvalidRequest

__all__ = ["encode_body", "missing_arguments"]

_BINARY = re.compile(r"(image|audio|video|font)/.*|application/(octet-stream|pdf|zip|gzip)")
# With one of these keys, a property is encoded by its style, and `contentType` is ignored.
_STYLE_KEYS = {"style", "explode", "allowReserved"}
_MAX_HOPS = 8  # through references and alternatives; a schema may be recursive


def missing_arguments(body: Body, args: Mapping[str, Any]) -> list[str]:
    """The required arguments of the body that are missing."""
    if body.argument:
        absent = args.get(body.argument) is None and not (body.argument in args and is_json(body.media_type))
        return [body.argument] if body.required and absent else []
    if not body.required and not any(argument in args for argument in body.properties):
        return []
    required = body.schema.get("required", [])
    return [
        argument for argument, name in body.properties.items() if name in required and argument not in args
    ]


def encode_body(body: Body, args: Mapping[str, Any]) -> tuple[str, bytes] | None:
    """The content type and the bytes, or None if the body is optional and has no arguments.

    A missing argument is left out of the body; a null is a null in JSON and left out of forms.

    Raises:
        InvalidArguments: a value can't be encoded; the message names the argument.
        InvalidRequest: the description has an invalid media type.
    """
    if not MEDIA_TYPE.fullmatch(body.media_type):
        raise InvalidRequest(
            f"{body.media_type[:60]!r} is not a valid media type; correct the API's description."
        )
    if body.argument:
        return _whole(body, args[body.argument]) if body.argument in args else None
    values = {argument: args[argument] for argument in body.properties if argument in args}
    if not values and not body.required:
        return None
    return _object(body, body.properties, values)


def _whole(body: Body, value: Any) -> tuple[str, bytes] | None:
    kind = essence(body.media_type)
    if value is None and not is_json(kind):
        return None
    with naming_argument(body.argument):
        if is_json(kind):
            return _json_type(body.media_type), as_json(value).encode()
        if kind == FORM or kind.startswith("multipart/"):
            if not isinstance(value, dict):
                raise EncodingError("the API requires a form; pass an object")
            names = {f"{body.argument}.{name}": name for name in value}
            return _object(body, names, {argument: value[name] for argument, name in names.items()})
        if is_lines(kind) and isinstance(value, list):
            return body.media_type, "".join(f"{as_json(item)}\n" for item in value).encode()
        if _BINARY.fullmatch(kind) or _is_file(body.schema, body.schema):
            return body.media_type, as_bytes(value)
        return _text_type(body.media_type), _text(value, kind)


def _object(body: Body, properties: Mapping[str, str], values: Mapping[str, Any]) -> tuple[str, bytes]:
    kind = essence(body.media_type)
    if kind == FORM:
        return body.media_type, _form(body, properties, values)
    if kind.startswith("multipart/"):
        parts = [
            part for argument, value in values.items() for part in _parts(body, argument, properties, value)
        ]
        boundary, content = multipart.encode_multipart(parts)
        return f"{kind}; boundary={boundary}", content
    if not is_json(kind):
        raise InvalidRequest(f"A {kind} body can't have properties; correct the API's description.")
    return _json_type(body.media_type), _json_object(properties, values).encode()


def _json_object(properties: Mapping[str, str], values: Mapping[str, Any]) -> str:
    members = []
    for argument, value in values.items():
        with naming_argument(argument):
            members.append(f"{as_json(properties[argument])}:{as_json(value)}")
    return "{" + ",".join(members) + "}"


def _form(body: Body, properties: Mapping[str, str], values: Mapping[str, Any]) -> bytes:
    fields = [
        _field(argument, properties[argument], body.encodings.get(properties[argument], {}), value)
        for argument, value in values.items()
    ]
    others = [percent_encode(name) for argument, name in properties.items() if argument not in values]
    return "&".join(f"{name}={text}" for name, text in encode_pairs(fields, values, others)).encode()


def _field(argument: str, name: str, encoding: Mapping[str, Any], value: Any) -> Parameter:
    """A form's property as a parameter with the same encoding (OpenAPI 3.1, Encoding Object)."""
    if encoding.keys() & _STYLE_KEYS:
        style = encoding.get("style", "form")
        return Parameter(
            name=name,
            where="query",
            argument=argument,
            style=style,
            explode=encoding.get("explode", style == "form"),
            allow_reserved=encoding.get("allowReserved", False),
        )
    # Without a style, an object is JSON, and an array repeats the name for each item.
    is_json_document = isinstance(value, dict) or is_json(encoding.get("contentType", FORM))
    return Parameter(
        name=name,
        where="query",
        argument=argument,
        style="form",
        explode=True,
        media_type="application/json" if is_json_document else None,
    )


def _parts(body: Body, argument: str, properties: Mapping[str, str], value: Any) -> Iterator[multipart.Part]:
    name = properties[argument]
    schema = body.schema.get("properties", {}).get(name, {})
    encoding = body.encodings.get(name, {})
    file = _is_file(schema, body.schema)
    percent_encode(name)  # raises if the name is not valid Unicode
    if isinstance(value, list | dict) and encoding.keys() & _STYLE_KEYS and not file:
        # As in a form, but as text: a part is not percent-encoded (RFC 7578, 2).
        with naming_argument(argument):
            for pair in joined(_field(argument, name, encoding, value), value):
                yield multipart.Part(name=pair[0], content=_text(pair[1], ""))
        return
    media_types = [each.strip() for each in encoding.get("contentType", "").split(",")]
    # A range of types can't be sent.
    chosen = [each for each in media_types if MEDIA_TYPE.fullmatch(each) and "*" not in each]
    is_repeated = isinstance(value, list) and not (chosen and is_json(chosen[0]))
    for item in value if is_repeated else [value]:
        if item is not None:
            with naming_argument(argument):
                yield _file(name, item, chosen) if file else _part(name, item, chosen[0] if chosen else "")


def _file(name: str, value: Any, media_types: list[str]) -> multipart.Part:
    """A file. Of several media types the one that its bytes show is used, else the first."""
    content = as_bytes(value)
    shown = multipart.media_type_of(content)
    first = media_types[0] if media_types else shown or "application/octet-stream"
    media_type = shown if shown in media_types else first
    filename = multipart.file_name(name, media_type)
    return multipart.Part(name=name, content=content, media_type=media_type, filename=filename)


def _part(name: str, value: Any, media_type: str) -> multipart.Part:
    if isinstance(value, list | dict) or (media_type and is_json(media_type)):
        content = as_json(value).encode()
        return multipart.Part(name=name, content=content, media_type=media_type or "application/json")
    return multipart.Part(name=name, content=_text(value, media_type), media_type=media_type)


def _is_file(schema: Any, root: Mapping[str, Any], hops: int = 0) -> bool:
    """Whether a property's values or items are files: base64 in the arguments, bytes in the body."""
    if not isinstance(schema, dict) or hops > _MAX_HOPS:
        return False
    if schema.get("format") == "byte":
        return False  # the API itself takes base64
    if schema.get("contentEncoding") == "base64" or schema.get("format") == "binary":
        return True
    subschemas = [schema.get("items"), *(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]
    if str(reference := schema.get("$ref", "")).startswith("#/$defs/"):
        subschemas.append(root.get("$defs", {}).get(reference.removeprefix("#/$defs/")))
    return any(_is_file(each, root, hops + 1) for each in subschemas)


def _text(value: Any, kind: str) -> bytes:
    if isinstance(value, list | dict):
        raise EncodingError(f"the API requires {kind or 'text'}; pass it as text")
    try:
        return as_text(value).encode()
    except UnicodeEncodeError:
        raise EncodingError("it contains a lone surrogate, which is not a character") from None


def _json_type(media_type: str) -> str:
    return "application/json" if "*" in media_type else media_type


def _text_type(media_type: str) -> str:
    return media_type if "charset" in media_type.lower() else f"{media_type}; charset=utf-8"
