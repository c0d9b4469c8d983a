"""What an API or an MCP server answers, as a value that can be kept."""

from typing import Any

import orjson

__all__ = ["is_storable", "json_or_text"]


def json_or_text(content: bytes) -> Any:
    """JSON where it is JSON that can be written again, else text: a result is stored before it is told."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")
    return value if is_storable(value) else content.decode("utf-8", "replace")


def is_storable(value: Any) -> bool:
    """Whether a value can be written as JSON: the reader takes deeper ones than the writer."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
