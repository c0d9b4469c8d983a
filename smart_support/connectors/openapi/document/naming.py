"""Names for tools and their arguments, made of what a description calls its operations and parameters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

__all__ = ["argument_names", "tool_names"]

_LONGEST = 64
_RANK = {"path": 0, "query": 1, "header": 2, "cookie": 3, "body": 4}


def tool_names(operation_ids: Mapping[str, str]) -> dict[str, str]:
    """A tool's name for every operation's key (`GET /pets/{id}`), given each one's operationId or nothing.

    The name is the operationId in snake_case, or else method and path. An operation that is alone with its
    name keeps it plain. Of those that share one, every one gets a suffix made from its key alone: so neither
    the order of a document nor what else is in it changes a name, except that a name's first sharer makes
    both of them get theirs.
    """
    names = {key: _cut(_plain(key, operation_id), key) for key, operation_id in operation_ids.items()}
    for digits in (6, 12, 24, 48):
        counts = Counter(names.values())
        if len(counts) == len(names):
            break
        names = {
            key: name if counts[name] == 1 else _suffixed(_plain(key, operation_ids[key]), key, digits)
            for key, name in names.items()
        }
    return names


def argument_names(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """A name of `[A-Za-z0-9_-]{1,64}` for each (where, name), where being `path` to `cookie` or `body`.

    On a clash the one that comes first in the order path, query, header, cookie, body keeps the name, and a
    name that was legal from the start before one that was made so. The other becomes `id_query`, `body_id`.
    """

    def precedence(at: int) -> tuple[int, bool, str]:
        where, name = wanted[at]
        return _RANK[where], _legal(where, name) != name, name

    names: dict[int, str] = {}
    taken: set[str] = set()
    for at in sorted(range(len(wanted)), key=precedence):
        where, name = wanted[at]
        legal = _legal(where, name)
        longer = f"body_{legal}" if where == "body" else f"{legal}_{where}"
        hashed = f"{legal[: _LONGEST - 13]}_{_digest(f'{where} {name}', 12)}"
        names[at] = next(
            name for name in (legal, longer, hashed) if name not in taken and len(name) <= _LONGEST
        )
        taken.add(names[at])
    return [names[at] for at in range(len(wanted))]


def _plain(key: str, operation_id: str) -> str:
    return _snake_case(operation_id) or _of_path(key)


def _snake_case(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", ascii_only)
    words = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    return f"op_{words}" if words[:1].isdigit() else words


def _of_path(key: str) -> str:
    """`GET /pets/{id}` as `get_pets_by_id`."""
    method, _, path = key.partition(" ")
    return _snake_case(f"{method.lower()} {path.replace('{', ' by ')}")


def _cut(name: str, key: str) -> str:
    return name if len(name) <= _LONGEST else _suffixed(name, key, 6)


def _suffixed(name: str, key: str, digits: int) -> str:
    return f"{name[: _LONGEST - digits - 1].rstrip('_')}_{_digest(key, digits)}"


def _digest(text: str, digits: int) -> str:
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:digits]


def _legal(where: str, name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_LONGEST] or where
