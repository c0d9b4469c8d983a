"""One schema of a description, with everything it refers to written out, as JSON Schema 2020-12.

How far it is written out, and what happens when that is too much: tool_schema.py.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import flag, mapping, pointer, sequence
from smart_support.connectors.openapi.document.operation import Severity
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.schema import keywords
from smart_support.connectors.openapi.schema.merging import merged, with_plain_bounds

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


@dataclass(slots=True)
class _Notes:
    """What came up while a part was written out.

    `passed`: the references followed. `repeated`: those not followed, because they led there already.
    """

    told: list[tuple[Severity, str, str]] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)

    def add(self, told: Iterable[tuple[Severity, str, str]], passed: Iterable[str]) -> None:
        """Those of a part of this part."""
        self.told += told
        self.passed.update(passed)


@dataclass(frozen=True, slots=True)
class _Written:
    """A part as it was written out, to be used wherever it is referred to again; `schema` keeps its id."""

    schema: dict[str, Any]
    result: dict[str, Any]
    nodes: int
    changes: int
    notes: _Notes


class Inliner:
    """Writes out one schema. What it has written stands in `references.written` for the next.

    Args:
        depth: how many properties or items may lie in each other; what lies deeper may be anything.
        nodes: how many schemas the result may hold.
        words: the longest description, in characters.
    """

    def __init__(
        self, references: References, findings: Findings, *, depth: int, nodes: int, words: int
    ) -> None:
        self._references = references
        self._depth, self._most, self._left, self._words = depth, nodes, nodes, words
        self._changes = 0
        self._notes = _Notes()
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
        if opened.merged or not _has_parts(opened.schema):
            return self._write(opened, depth, nesting)
        # With the place, which is another under a merged parent: what is told of a part names it.
        key = (id(opened.schema), opened.place, self._depth - depth, nesting, self._most, self._words)
        known: _Written | None = self._references.written.get(key)
        if known and known.notes.passed.isdisjoint(opened.trail):
            return self._again(known)
        left, changes, around = self._left, self._changes, self._notes
        self._notes = notes = _Notes()
        result = self._write(opened, depth, nesting)
        self._notes = around
        around.add(notes.told, notes.passed)
        around.repeated |= notes.repeated
        if notes.repeated.isdisjoint(opened.trail):
            self._references.written[key] = _Written(
                opened.schema, result, left - self._left, self._changes - changes, notes
            )
        return result

    def _again(self, known: _Written) -> dict[str, Any]:
        """A part as it was written out before: with all it told, and as large as it was."""
        self._count(known.nodes)
        self._changes += known.changes
        self._notes.add(known.notes.told, known.notes.passed)
        for severity, place, message in known.notes.told:
            self._findings.tell(severity, place, message)
        return known.result

    def _write(self, opened: _Opened, depth: int, nesting: int) -> dict[str, Any]:
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
        self._count(1)
        found = self._references.follow(node, place)
        if found.fault:
            self._tell("warning", found.place, f"{found.fault}; any value is taken")
        self._notes.passed.update(found.passed)
        repeated = set(found.passed).intersection(trail)
        if repeated or nesting > _MAX_NESTING:
            self._notes.repeated |= repeated
            self._tell("note", place, "the schema holds itself; described once, then any value is taken")
            return None
        if not isinstance(found.node, dict | bool):
            self._tell("warning", found.place, "a schema must be an object; any value is taken")
        trail = (*trail, *found.passed)
        if not found.beside and isinstance(found.node, dict) and "allOf" not in found.node:
            self._check_width([found.node])
            return _Opened(with_plain_bounds(found.node), found.place, trail)
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
        self._check_width(schemas)
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
                elif flag(part.schema.get("readOnly")):
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

    def _check_width(self, schemas: Iterable[dict[str, Any]]) -> None:
        if sum(len(mapping(schema.get("properties"))) for schema in schemas) > self._most:
            raise TooManyNodes

    def _count(self, nodes: int) -> None:
        self._left -= nodes
        if self._left < 0:
            raise TooManyNodes

    def _teller(self, place: str) -> Callable[[str], None]:
        return lambda message: self._tell("note", place, message)

    def _tell(self, severity: Severity, place: str, message: str) -> None:
        self._changes += 1
        self._notes.told.append((severity, place, message))
        self._findings.tell(severity, place, message)


def _has_parts(schema: dict[str, Any]) -> bool:
    return bool(
        schema.keys() & {"properties", "items", "prefixItems", "oneOf", "anyOf"}
        or isinstance(schema.get("additionalProperties"), dict)
    )
