"""Derives the names of tools from those of operations."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256

__all__ = ["tool_names"]

_MAX_LENGTH = 64


def tool_names(operation_ids: Mapping[str, str]) -> dict[str, str]:
    """Tool names by operation key (`GET /pets/{id}`).

    The name is the operationId in snake_case, or method and path. Operations with the same name all get a
    suffix derived from their key. So a name depends neither on the order of the document nor on other
    operations, except that the second operation with a name adds suffixes to both.

    Args:
        operation_ids: operation key -> operationId, or an empty string.
    """
    names = {key: _cut(_base_name(key, operation_id), key) for key, operation_id in operation_ids.items()}
    for digits in (6, 12, 24, 48):
        counts = Counter(names.values())
        if len(counts) == len(names):
            break
        names = {
            key: name if counts[name] == 1 else _suffixed(_base_name(key, operation_ids[key]), key, digits)
            for key, name in names.items()
        }
    return names


def _base_name(key: str, operation_id: str) -> str:
    return _snake_case(operation_id) or _path_name(key)


def _snake_case(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", ascii_only)
    words = re.sub(r"[^a-z0-9]+", "_", separated.lower()).strip("_")
    return f"op_{words}" if words[:1].isdigit() else words


def _path_name(key: str) -> str:
    """`GET /pets/{id}` as `get_pets_by_id`."""
    method, _, path = key.partition(" ")
    return _snake_case(f"{method.lower()} {path.replace('{', ' by ')}")


def _cut(name: str, key: str) -> str:
    return name if len(name) <= _MAX_LENGTH else _suffixed(name, key, 6)


def _suffixed(name: str, key: str, digits: int) -> str:
    return f"{name[: _MAX_LENGTH - digits - 1].rstrip('_')}_{_digest(key, digits)}"


def _digest(text: str, digits: int) -> str:
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:digits]
