"""One schema of a description, with everything it refers to written out, as JSON Schema 2020-12.

How far it is written out, and what happens when that is too much: tool_schema.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from smart_support.openapi_import import keywords
from smart_support.openapi_import.findings import Findings
from smart_support.openapi_import.merging import merged, with_plain_bounds
from smart_support.openapi_import.nodes import flag, mapping, pointer, sequence
from smart_support.openapi_import.operation import Severity
from smart_support.openapi_import.references import References

__all__ = ["Inliner", "TooManyNodes"]

_MAX_NESTING = 24  # of alternatives and `allOf` in each other, which add no depth to a value
_MAX_DEFAULT_BYTES = 200
_MAX_REQUIRED = 1_000
_UNCHECKED = ["not", "if", "contains", "dependentRequired", "dependentSchemas", "patternProperties"]
_UNCHECKED += ["propertyNames", "unevaluatedProperties", "unevaluatedItems", "dependencies"]
# A default is tried without patterns: both come from a stranger, and together they might take for ever.
_Fits = extend(Draft202012Validator, {"pattern": lambda *_: iter(())})  # type: ignore[no-untyped-call]


class TooManyNodes(Exception):
    """The schema, written out this deep, has more nodes than allowed."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A schema without `$ref` and `allOf`. `trail`: the references that lead here."""

    schema: dict[str, Any]
    place: str
    trail: tuple[str, ...]
    merged: bool = False

    def at(self, *tokens: str | int) -> str:
        """Where a part of it stands; of one that was merged only the whole's place is known."""
        return self.place if self.merged else pointer(self.place, *tokens)


class Inliner:
    """Writes out one schema.

    Args:
        depth: how many properties or items may lie in each other; what lies deeper may be anything.
        nodes: how many schemas the result may hold.
        words: the longest description, in characters.
        sending: whether values go to the API: then what is `readOnly` is left out, else what is `writeOnly`.
    """

    def __init__(
        self, references: References, findings: Findings, *, depth: int, nodes: int, words: int, sending: bool
    ) -> None:
        self._references = references
        self._depth, self._most, self._left, self._words = depth, nodes, nodes, words
        self._unwanted = "readOnly" if sending else "writeOnly"
        self._changes = 0
        self._findings = findings

    def convert(self, node: Any, place: str) -> dict[str, Any]:
        """The schema, self-contained.

        Raises:
            TooManyNodes: it has more than allowed.
        """
        return self._convert(node, place, 0, 0, ())

    def _convert(
        self, node: Any, place: str, depth: int, nesting: int, trail: tuple[str, ...]
    ) -> dict[str, Any]:
        opened = self._opened(node, place, nesting, trail)
        return self._cut(node) if opened is None else self._written(opened, depth, nesting)

    def _written(self, opened: _Opened, depth: int, nesting: int) -> dict[str, Any]:
        schema, tell = opened.schema, self._teller(opened.place)
        if nesting > _MAX_NESTING or (depth >= self._depth and _has_parts(schema)):
            return self._cut(schema)
        for key in _UNCHECKED:
            if key in schema:
                tell(f"`{key}` is not checked here, only by the API")
        result = keywords.rules(schema, tell)
        result |= self._object(opened, depth, nesting)
        result |= self._array(opened, depth, nesting)
        result |= self._alternatives(opened, depth, nesting)
        if flag(schema.get("nullable")):
            result = keywords.with_null(result)
        result |= keywords.annotations(schema, result, self._words)
        if "default" in schema and self._fits(schema["default"], result):
            result["default"] = schema["default"]
        return result

    def _opened(self, node: Any, place: str, nesting: int, trail: tuple[str, ...]) -> _Opened | None:
        """The schema after its references, all parts of it merged into one; None where it holds itself."""
        self._count()
        found = self._references.follow(node, place)
        if found.fault:
            self._tell("warning", found.place, f"{found.fault}; any value is taken")
        if set(found.passed) & set(trail) or nesting > _MAX_NESTING:
            self._tell("note", place, "the schema holds itself; described once, then any value is taken")
            return None
        if not isinstance(found.node, dict | bool):
            self._tell("warning", found.place, "a schema must be an object; any value is taken")
        trail = (*trail, *found.passed)
        parts = [*found.beside, mapping(found.node)]
        members = [
            self._opened(member, pointer(found.place, "allOf", at), nesting + 1, trail)
            for part in parts
            for at, member in enumerate(sequence(part.get("allOf")))
        ]
        return self._merged(parts, [member for member in members if member], found.place, trail)

    def _merged(
        self, parts: list[dict[str, Any]], members: list[_Opened], place: str, trail: tuple[str, ...]
    ) -> _Opened:
        own = [{key: value for key, value in part.items() if key != "allOf"} for part in parts]
        schemas = [*own, *(member.schema for member in members)]
        if sum(len(mapping(schema.get("properties"))) for schema in schemas) > self._most:
            raise TooManyNodes
        whole, conflicts = merged([with_plain_bounds(schema) for schema in schemas if schema] or [{}])
        for key in conflicts:
            self._tell("warning", place, f"the parts of `allOf` conflict in `{key}`; the first one's stands")
        if len(members) == 1 and not any(_has_parts(part) for part in own):
            # One reference with some words beside it: what lies in it is that reference's alone.
            return _Opened(whole, members[0].place, members[0].trail, members[0].merged)
        return _Opened(whole, place, trail, merged=len(schemas) > 1)

    def _object(self, opened: _Opened, depth: int, nesting: int) -> dict[str, Any]:
        schema = opened.schema
        result: dict[str, Any] = {}
        required = dict.fromkeys(
            name for name in sequence(schema.get("required"))[:_MAX_REQUIRED] if isinstance(name, str)
        )
        if isinstance(schema.get("properties"), dict):
            result["properties"] = {}
            for name, node in schema["properties"].items():
                part = self._opened(node, opened.at("properties", name), nesting, opened.trail)
                if part is None:
                    result["properties"][name] = self._cut(node)
                elif flag(part.schema.get(self._unwanted)):
                    required.pop(name, None)
                else:
                    # Older formats said it of the property instead of the object.
                    required |= {name: None} if flag(part.schema.get("required")) else {}
                    result["properties"][name] = self._written(part, depth + 1, nesting)
        if required:
            result["required"] = list(required)
        further = schema.get("additionalProperties")
        if isinstance(further, bool) and "patternProperties" not in schema:
            result["additionalProperties"] = further
        elif isinstance(further, dict) and further:
            place = opened.at("additionalProperties")
            result["additionalProperties"] = self._convert(further, place, depth + 1, nesting, opened.trail)
        return result

    def _array(self, opened: _Opened, depth: int, nesting: int) -> dict[str, Any]:
        schema = opened.schema
        result: dict[str, Any] = {}
        # A list of items is draft 4's way to say what 2020-12 calls prefixItems.
        positions = schema.get("prefixItems", schema.get("items"))
        if isinstance(positions, list) and positions:
            key = "prefixItems" if "prefixItems" in schema else "items"
            result["prefixItems"] = [
                self._convert(node, opened.at(key, at), depth + 1, nesting, opened.trail)
                for at, node in enumerate(positions)
            ]
        if isinstance(schema.get("items"), dict):
            result["items"] = self._convert(
                schema["items"], opened.at("items"), depth + 1, nesting, opened.trail
            )
        return result

    def _alternatives(self, opened: _Opened, depth: int, nesting: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key in ("anyOf", "oneOf"):
            nodes = sequence(opened.schema.get(key))
            before = self._changes
            written = [
                self._convert(node, opened.at(key, at), depth, nesting + 1, opened.trail)
                for at, node in enumerate(nodes)
            ]
            if not written:
                continue
            # Alternatives that allow more than they did may overlap; those that a discriminator parts, too.
            exact = self._changes == before and "discriminator" not in opened.schema and not result
            if key == "oneOf" and exact:
                return {"oneOf": written}
            result["anyOf"] = [*result.get("anyOf", []), *written]
        return result

    def _cut(self, node: Any) -> dict[str, Any]:
        self._changes += 1
        words = str(mapping(node).get("description") or "")
        return {
            "description": keywords.shortened(f"(Not described further here.) {words}".strip(), self._words)
        }

    def _fits(self, value: Any, schema: dict[str, Any]) -> bool:
        return keywords.encoded_size(value) <= _MAX_DEFAULT_BYTES and bool(_Fits(schema).is_valid(value))

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooManyNodes

    def _teller(self, place: str) -> Callable[[str], None]:
        return lambda message: self._tell("note", place, message)

    def _tell(self, severity: Severity, place: str, message: str) -> None:
        self._changes += 1
        self._findings.tell(severity, place, message)


def _has_parts(schema: dict[str, Any]) -> bool:
    return bool(
        schema.keys() & {"properties", "items", "prefixItems", "oneOf", "anyOf"}
        or isinstance(schema.get("additionalProperties"), dict)
    )
