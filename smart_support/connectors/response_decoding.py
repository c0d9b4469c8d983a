"""Decodes what an API or an MCP server returned into a value that can be stored as JSON."""

from typing import Any

import orjson

__all__ = ["is_json_encodable", "json_or_text"]


def json_or_text(content: bytes) -> Any:
    """The content parsed as JSON, or as text where it is not JSON or can't be encoded again."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")
    return value if is_json_encodable(value) else content.decode("utf-8", "replace")


def is_json_encodable(value: Any) -> bool:
    """Whether `orjson` can encode the value: it decodes deeper nesting than it encodes."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
