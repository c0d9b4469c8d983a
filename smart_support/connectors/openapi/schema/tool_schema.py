"""Builds the JSON Schema of a tool's arguments, small enough for a language model."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from smart_support.connectors.openapi.document.findings import Finding, Findings, Severity
from smart_support.connectors.openapi.document.nodes import flag, mapping, pointer, sequence
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.schema import keywords
from smart_support.connectors.openapi.schema.merging import merged, with_numeric_bounds

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "self_contained", "tool_schema"]

MAX_BYTES = 24_000
MAX_DEPTH = 4
MAX_NODES = 200
MAX_WORDS = 300
_FEW_WORDS = 60
_MAX_NESTING = 24  # of nested alternatives and `allOf`, which add no depth to a value
_MAX_DEFAULT_BYTES = 200
_MAX_REQUIRED = 1_000
_UNSUPPORTED = ["not", "if", "contains", "dependentRequired", "dependentSchemas", "patternProperties"]
_UNSUPPORTED += ["propertyNames", "unevaluatedProperties", "unevaluatedItems", "dependencies"]
_PARTS = frozenset(
    ("properties", "required", "additionalProperties", "patternProperties", "items", "prefixItems")
)
_PARTS |= {"anyOf", "oneOf"}
_NOT_IN_LEAVES = _PARTS | {"$ref", "allOf", "readOnly"}
_NESTED = frozenset(("properties", "items", "prefixItems", "oneOf", "anyOf"))
# Validates defaults without `pattern`: a malicious pattern and default could take forever.
_DefaultValidator = extend(Draft202012Validator, {"pattern": lambda *_: iter(())})  # type: ignore[no-untyped-call]


def self_contained(
    schema: Any,
    references: References,
    *,
    place: str = "",
    depth: int = MAX_DEPTH,
    nodes: int = MAX_NODES,
    max_bytes: int = MAX_BYTES,
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """The schema as JSON Schema 2020-12 without references, and findings about it.

    It accepts at least what the original accepts. It is as deep as `depth`, `nodes` and `max_bytes` allow;
    anything deeper accepts any value.

    Args:
        place: the place of the schema, as a JSON Pointer.
        nodes: the maximum number of schemas in it.
        max_bytes: its maximum size as JSON.

    Raises:
        InvalidSpec: the document takes too long.
    """
    leaf = references.inlined.get(_leaf_key(schema, MAX_WORDS))
    if leaf is not None and keywords.encoded_size(leaf) <= max_bytes:
        return leaf, ()
    for limit, words in [*((limit, MAX_WORDS) for limit in range(depth, 0, -1)), (1, _FEW_WORDS)]:
        findings = Findings()
        inliner = _Inliner(references, findings, depth=limit, nodes=nodes, words=words)
        try:
            result = inliner.convert(schema, place)
        except _TooManyNodes:
            continue
        if keywords.encoded_size(result) <= max_bytes:
            return result, findings.all()
    findings = Findings()
    findings.report("warning", place, "the schema is too large for a tool; any value is accepted")
    return {"description": "(Too large to be described here.)"}, findings.all()


def tool_schema(arguments: Mapping[str, dict[str, Any]], required: Iterable[str]) -> dict[str, Any]:
    """The schema of an object with exactly these arguments."""
    return {
        "type": "object",
        "properties": dict(arguments),
        "required": list(required),
        "additionalProperties": False,
    }


class _TooManyNodes(Exception):
    """The schema, inlined to this depth, has more nodes than allowed."""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A schema without `$ref` and `allOf`. `trail`: the references that lead to it."""

    schema: dict[str, Any]
    place: str
    trail: tuple[str, ...]
    is_merged: bool = False

    def at(self, *tokens: str | int) -> str:
        """The place of a part; for a merged schema, the place of the whole."""
        return self.place if self.is_merged else pointer(self.place, *tokens)


@dataclass(slots=True)
class _Trace:
    """What happened while a part was inlined.

    Attributes:
        reports: arguments of `Findings.report`.
        visited: the references that were followed.
        recursive: the references that were not followed because they are recursive.
    """

    reports: list[tuple[Severity, str, str]] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)
    recursive: set[str] = field(default_factory=set)

    def add(self, part: "_Trace") -> None:
        """Add the reports and references of a part."""
        self.reports += part.reports
        self.visited |= part.visited


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """An inlined part, for the next reference to it. `schema` keeps the object, and so its id, alive."""

    schema: dict[str, Any]
    result: dict[str, Any]
    nodes: int
    changes: int
    trace: _Trace


class _Inliner:
    """Inlines one schema. Uses and fills the cache `references.inlined`.

    Args:
        depth: of nested properties and items; anything deeper accepts any value.
        nodes: the maximum number of schemas in the result.
        words: the maximum length of a description in characters.
    """

    def __init__(
        self, references: References, findings: Findings, *, depth: int, nodes: int, words: int
    ) -> None:
        self._references = references
        self._depth, self._max_nodes, self._left, self._words = depth, nodes, nodes, words
        self._changes = 0
        self._trace = _Trace()
        self._findings = findings

    def convert(self, node: Any, place: str) -> dict[str, Any]:
        """The schema without references.

        Raises:
            _TooManyNodes: it has more than allowed.
        """
        return self._convert(node, place, 0, 0, ())

    def _convert(
        self, node: Any, place: str, depth: int, nesting: int, trail: tuple[str, ...]
    ) -> dict[str, Any]:
        if (leaf := self._known_leaf(node, nesting)) is not None:
            return leaf
        resolved = self._resolve(node, place, nesting, trail)
        return self._cut(node) if resolved is None else self._cached(resolved, depth, nesting)

    def _known_leaf(self, node: Any, nesting: int) -> dict[str, Any] | None:
        """The result of an equal schema without parts that was inlined before, if it has one."""
        if nesting > _MAX_NESTING or not (key := _leaf_key(node, self._words)):
            return None
        known: dict[str, Any] | None = self._references.inlined.get(key)
        if known is not None:
            self._count(1)
        return known

    def _cached(self, resolved: _Resolved, depth: int, nesting: int) -> dict[str, Any]:
        if resolved.is_merged or not _has_parts(resolved.schema):
            before = self._changes
            result = self._inline(resolved, depth, nesting)
            if self._changes == before and (leaf_key := _leaf_key(resolved.schema, self._words)):
                self._references.inlined[leaf_key] = result
            return result
        # The place is part of the key because reports name it, and it differs under a merged parent.
        key = (
            id(resolved.schema),
            resolved.place,
            self._depth - depth,
            nesting,
            self._max_nodes,
            self._words,
        )
        entry: _CacheEntry | None = self._references.inlined.get(key)
        if entry and entry.trace.visited.isdisjoint(resolved.trail):
            return self._replay(entry)
        left, changes, outer = self._left, self._changes, self._trace
        self._trace = trace = _Trace()
        result = self._inline(resolved, depth, nesting)
        self._trace = outer
        outer.add(trace)
        outer.recursive |= trace.recursive
        if trace.recursive.isdisjoint(resolved.trail):
            self._references.inlined[key] = _CacheEntry(
                resolved.schema, result, left - self._left, self._changes - changes, trace
            )
        return result

    def _replay(self, entry: _CacheEntry) -> dict[str, Any]:
        """A cached part; repeats its reports and counts its nodes."""
        self._count(entry.nodes)
        self._changes += entry.changes
        self._trace.add(entry.trace)
        for severity, place, message in entry.trace.reports:
            self._findings.report(severity, place, message)
        return entry.result

    def _inline(self, resolved: _Resolved, depth: int, nesting: int) -> dict[str, Any]:
        schema, note = resolved.schema, self._notes_at(resolved.place)
        if nesting > _MAX_NESTING or (depth >= self._depth and _has_parts(schema)):
            return self._cut(schema)
        keys = schema.keys()
        if not keys.isdisjoint(_UNSUPPORTED):
            for key in (key for key in _UNSUPPORTED if key in schema):
                note(f"`{key}` is not checked here, only by the API")
        result = keywords.assertions(schema, note)
        # Most schemas have no parts.
        if not keys.isdisjoint(_PARTS):
            result |= self._object(resolved, depth, nesting)
            result |= self._array(resolved, depth, nesting)
            result |= self._alternatives(resolved, depth, nesting)
        if flag(schema.get("nullable")):
            result = keywords.with_null(result)
        result |= keywords.annotations(schema, result, self._words)
        if "default" in schema and self._fits(schema["default"], result):
            result["default"] = schema["default"]
        return result

    def _resolve(self, node: Any, place: str, nesting: int, trail: tuple[str, ...]) -> _Resolved | None:
        """The schema with references resolved and `allOf` merged; None if it is recursive."""
        self._count(1)
        target = self._references.resolve(node, place)
        if target.fault:
            self._report("warning", target.place, f"{target.fault}; any value is accepted")
        self._trace.visited.update(target.visited)
        recursive = set(target.visited).intersection(trail)
        if recursive or nesting > _MAX_NESTING:
            self._trace.recursive |= recursive
            self._report(
                "note", place, "the schema is recursive; it is described once, then any value is accepted"
            )
            return None
        if not isinstance(target.node, dict | bool):
            self._report("warning", target.place, "a schema must be an object; any value is accepted")
        trail = (*trail, *target.visited)
        if not target.siblings and isinstance(target.node, dict) and "allOf" not in target.node:
            self._check_width([target.node])
            return _Resolved(with_numeric_bounds(target.node), target.place, trail)
        parts = [*target.siblings, mapping(target.node)]
        members = [
            self._resolve(member, pointer(target.place, "allOf", at), nesting + 1, trail)
            for part in parts
            for at, member in enumerate(sequence(part.get("allOf")))
        ]
        return self._merged(parts, [member for member in members if member], target.place, trail)

    def _merged(
        self, parts: list[dict[str, Any]], members: list[_Resolved], place: str, trail: tuple[str, ...]
    ) -> _Resolved:
        own = [{key: value for key, value in part.items() if key != "allOf"} for part in parts]
        schemas = [*own, *(member.schema for member in members)]
        self._check_width(schemas)
        whole, conflicts = merged([with_numeric_bounds(schema) for schema in schemas if schema] or [{}])
        for key in conflicts:
            self._report("warning", place, f"the parts of `allOf` conflict in `{key}`; the first one is used")
        if len(members) == 1 and not any(_has_parts(part) for part in own):
            # A single reference with annotations: its parts are those of the target.
            return _Resolved(whole, members[0].place, members[0].trail, members[0].is_merged)
        return _Resolved(whole, place, trail, is_merged=len(schemas) > 1)

    def _object(self, resolved: _Resolved, depth: int, nesting: int) -> dict[str, Any]:
        schema = resolved.schema
        result: dict[str, Any] = {}
        required = dict.fromkeys(
            name for name in sequence(schema.get("required"))[:_MAX_REQUIRED] if isinstance(name, str)
        )
        if isinstance(schema.get("properties"), dict):
            result["properties"] = {}
            for name, node in schema["properties"].items():
                if (leaf := self._known_leaf(node, nesting)) is not None:
                    result["properties"][name] = leaf
                    continue
                part = self._resolve(node, resolved.at("properties", name), nesting, resolved.trail)
                if part is None:
                    result["properties"][name] = self._cut(node)
                elif flag(part.schema.get("readOnly")):
                    required.pop(name, None)
                else:
                    # Older formats have `required` in the property instead of the object.
                    required |= {name: None} if flag(part.schema.get("required")) else {}
                    result["properties"][name] = self._cached(part, depth + 1, nesting)
        if required:
            result["required"] = list(required)
        additional = schema.get("additionalProperties")
        patterns = mapping(schema.get("patternProperties"))
        if additional is False and patterns:
            # Further names are possible, those that fit a pattern, and all values fit one of its schemas.
            additional = (
                {"anyOf": [*patterns.values()]} if len(patterns) > 1 else next(iter(patterns.values()))
            )
        if additional == {} and depth == 0:
            additional = True  # it says the same, and the body's names have to be counted as open
        if isinstance(additional, bool) and not patterns:
            result["additionalProperties"] = additional
        elif isinstance(additional, dict) and additional:
            place = resolved.at("additionalProperties")
            result["additionalProperties"] = self._convert(
                additional, place, depth + 1, nesting, resolved.trail
            )
        return result

    def _array(self, resolved: _Resolved, depth: int, nesting: int) -> dict[str, Any]:
        schema = resolved.schema
        result: dict[str, Any] = {}
        # A list in `items` is draft 4's form of `prefixItems`.
        positions = schema.get("prefixItems", schema.get("items"))
        if isinstance(positions, list) and positions:
            key = "prefixItems" if "prefixItems" in schema else "items"
            result["prefixItems"] = [
                self._convert(node, resolved.at(key, at), depth + 1, nesting, resolved.trail)
                for at, node in enumerate(positions)
            ]
        if isinstance(schema.get("items"), dict):
            result["items"] = self._convert(
                schema["items"], resolved.at("items"), depth + 1, nesting, resolved.trail
            )
        return result

    def _alternatives(self, resolved: _Resolved, depth: int, nesting: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key in ("anyOf", "oneOf"):
            nodes = sequence(resolved.schema.get(key))
            before = self._changes
            converted = [
                self._convert(node, resolved.at(key, at), depth, nesting + 1, resolved.trail)
                for at, node in enumerate(nodes)
            ]
            if not converted:
                continue
            # Alternatives may overlap if they now accept more, or if only a discriminator separates them.
            is_exact = self._changes == before and "discriminator" not in resolved.schema and not result
            if key == "oneOf" and is_exact:
                return {"oneOf": converted}
            result["anyOf"] = [*result.get("anyOf", []), *converted]
        return result

    def _cut(self, node: Any) -> dict[str, Any]:
        self._changes += 1
        description = str(mapping(node).get("description") or "")
        return {
            "description": keywords.shortened(
                f"(Not described further here.) {description}".strip(), self._words
            )
        }

    def _fits(self, value: Any, schema: dict[str, Any]) -> bool:
        return keywords.encoded_size(value) <= _MAX_DEFAULT_BYTES and bool(
            _DefaultValidator(schema).is_valid(value)
        )

    def _check_width(self, schemas: Iterable[dict[str, Any]]) -> None:
        count = 0
        for schema in schemas:
            if "properties" in schema:
                count += len(mapping(schema["properties"]))
        if count > self._max_nodes:
            raise _TooManyNodes

    def _count(self, nodes: int) -> None:
        self._left -= nodes
        if self._left < 0:
            raise _TooManyNodes

    def _notes_at(self, place: str) -> Callable[[str], None]:
        return lambda message: self._report("note", place, message)

    def _report(self, severity: Severity, place: str, message: str) -> None:
        self._changes += 1
        self._trace.reports.append((severity, place, message))
        self._findings.report(severity, place, message)


def _leaf_key(schema: Any, words: int) -> tuple[Any, ...]:
    """A key that equal schemas have if they have no parts and refer to nothing; empty for other schemas.

    Most schemas of a description are such, and many are equal: `{"type": "string"}`.
    """
    if not isinstance(schema, dict) or not schema.keys().isdisjoint(_NOT_IN_LEAVES):
        return ()
    try:
        return orjson.dumps(schema), words
    except TypeError:  # not JSON, such as an integer above 64 bits
        return ()


def _has_parts(schema: dict[str, Any]) -> bool:
    return not schema.keys().isdisjoint(_NESTED) or isinstance(schema.get("additionalProperties"), dict)
