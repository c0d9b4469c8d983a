"""Derives the names of tools and arguments from those of operations and parameters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

__all__ = ["argument_names", "tool_names"]

_MAX_LENGTH = 64
_PRECEDENCE = {"path": 0, "query": 1, "header": 2, "cookie": 3, "body": 4}


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


def argument_names(parameters: Sequence[tuple[str, str]]) -> list[str]:
    """An argument name (`[A-Za-z0-9_-]{1,64}`) for each parameter.

    On a clash the first in the order path, query, header, cookie, body keeps the name, and a name that was
    valid before one that had to be changed. The other gets a suffix or prefix: `id_query`, `body_id`.

    Args:
        parameters: (where, name) of each; where is `path`, `query`, `header`, `cookie` or `body`.
    """

    def precedence(at: int) -> tuple[int, bool, str]:
        where, name = parameters[at]
        return _PRECEDENCE[where], _valid(where, name) != name, name

    names: dict[int, str] = {}
    taken: set[str] = set()
    for at in sorted(range(len(parameters)), key=precedence):
        where, name = parameters[at]
        valid = _valid(where, name)
        longer = f"body_{valid}" if where == "body" else f"{valid}_{where}"
        hashed = f"{valid[: _MAX_LENGTH - 13]}_{_digest(f'{where} {name}', 12)}"
        names[at] = next(
            name for name in (valid, longer, hashed) if name not in taken and len(name) <= _MAX_LENGTH
        )
        taken.add(names[at])
    return [names[at] for at in range(len(parameters))]


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


def _valid(where: str, name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_MAX_LENGTH] or where
