"""Turns the result of an MCP tool into a value for a model, and its error into words for a customer."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)

from smart_support.connectors.response_decoding import is_json_encodable, json_or_text

__all__ = ["readable_result", "reason_of"]

_MAX_REASON_CHARS = 300
NO_REASON = "The tool refused the call and gave no reason."
HIDDEN_REASON = "The tool failed on its side; the server's log has its message."
# Colours and other commands to a terminal (ECMA-48), and control characters but tab and line feed.
_CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What a program says when it breaks, and not what a person is to read: a trace, or the class of an exception.
_CRASH = re.compile(
    r"Traceback \(most recent call last\)|\bFile \"|\b[A-Za-z_]\w*(?:Error|Exception)\b\s*[:(]"
    r"|\[Errno|\bpanicked at\b|\bat [\w.$<>]+ \((?:/|file:|node:)|\bgoroutine \d+"
)
# Where something is on a machine or in a network: addresses, hosts with a port, files.
_PLACES = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://\S+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|\b(?:localhost|[A-Za-z][\w-]*(?:\.[\w-]+)+):\d{2,5}\b"
    r"|(?<![\w/.])~?/(?:[\w.@%+-]+/)+[\w.@%+-]*|\b[A-Za-z]:\\[^\s'\"]+"
)


def readable_result(result: CallToolResult) -> Any:
    """The result as JSON or text.

    Structured content is the result, and text that repeats it or a part of it is left out. Of what a model
    can't read, such as an image, a line says what came.
    """
    structured = result.structured_content
    if structured is not None and is_json_encodable(structured):
        known = {orjson.dumps(part, option=orjson.OPT_SORT_KEYS) for part in _outer_parts(structured)}
        lines = [line for part in result.content if not _is_among(part, known) and (line := _line(part))]
        return {"result": structured, "content": "\n".join(lines)} if lines else structured
    text = "\n".join(line for content in result.content if (line := _line(content)))
    return json_or_text(text.encode()) or {"message": "Done."}


def reason_of(text: str) -> str:
    """Why a tool refused a call, as a customer may read it: one line without traces, files and addresses."""
    text = _CONTROLS.sub("", text)
    if _CRASH.search(text):
        return HIDDEN_REASON
    return _PLACES.sub("…", " ".join(text.split()))[:_MAX_REASON_CHARS] or NO_REASON


def _line(content: Any) -> str:
    """One part of a result as text."""
    if isinstance(content, TextContent):
        return content.text
    if isinstance(content, ImageContent | AudioContent):
        return f"({content.type}, {content.mime_type}, {_size(content.data)}; it can't be shown here)"
    if isinstance(content, ResourceLink):
        described = f": {content.description}" if content.description else ""
        return f"{content.title or content.name} <{content.uri}>{described}"
    if isinstance(content, EmbeddedResource):
        resource = content.resource
        kind = resource.mime_type or "unknown type"
        if isinstance(resource, BlobResourceContents):
            return f"(file {resource.uri}, {kind}, {_size(resource.blob)}; it can't be shown here)"
        return f"{resource.uri}:\n{resource.text}"
    return f"({getattr(content, 'type', 'unknown content')}; it can't be shown here)"


def _size(base64: str) -> str:
    return f"{len(base64.rstrip('=')) * 3 // 4:,} bytes"


def _outer_parts(structured: Any) -> Iterator[Any]:
    """What a server may repeat as text: all of it, the value of a field, or an item of a field's list."""
    yield structured
    for value in structured.values() if isinstance(structured, dict) else ():
        yield value
        yield from value if isinstance(value, list) else ()


def _is_among(content: Any, known: set[bytes]) -> bool:
    if not isinstance(content, TextContent):
        return False
    said = (content.text, json_or_text(content.text.encode()))
    return any(orjson.dumps(one, option=orjson.OPT_SORT_KEYS) in known for one in said)
