"""Derives the names of tools from those of operations."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping

from smart_support.tools.names import shortened, suffixed

__all__ = ["free_names", "tool_names"]

# Lengths of a suffix, in hexadecimal digits: a longer one is used where a shorter one does not suffice.
_DIGITS = (6, 12, 24, 48)


def tool_names(operation_ids: Mapping[str, str]) -> dict[str, str]:
    """Tool names by operation key (`GET /pets/{id}`).

    The name is the operationId in snake_case, or method and path. Operations with the same name all get a
    suffix derived from their key. So a name depends neither on the order of the document nor on other
    operations, except that the second operation with a name adds suffixes to both.

    Args:
        operation_ids: operation key -> operationId, or an empty string.
    """
    names = {
        key: shortened(_base_name(key, operation_id), key) for key, operation_id in operation_ids.items()
    }
    for digits in _DIGITS:
        counts = Counter(names.values())
        if len(counts) == len(names):
            break
        names = {
            key: name if counts[name] == 1 else suffixed(_base_name(key, operation_ids[key]), key, digits)
            for key, name in names.items()
        }
    return names


def free_names(names: Mapping[str, str], taken: Collection[str], prefix: str) -> dict[str, str]:
    """Names that differ from those that are taken and from each other, by operation key.

    A free name stays. Another one gets the prefix, and where that is taken too, a suffix from its key.

    Args:
        names: operation key -> the name it would have.
        prefix: the API's name.
    """
    counts = Counter(names.values())
    free = {key: name for key, name in names.items() if counts[name] == 1 and name not in taken}
    used = {*taken, *free.values()}
    for key in sorted(names.keys() - free.keys()):
        prefixed = f"{prefix}_{names[key]}"
        candidates = (shortened(prefixed, key), *(suffixed(prefixed, key, digits) for digits in _DIGITS))
        free[key] = next(name for name in candidates if name not in used)
        used.add(free[key])
    return {key: free[key] for key in names}


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
