"""Builds the JSON Schema of a tool's arguments, small enough for a language model."""

from collections.abc import Iterable, Mapping
from typing import Any

from smart_support.connectors.openapi.document.findings import Finding, Findings
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.schema.inlining import Inliner, TooManyNodes
from smart_support.connectors.openapi.schema.keywords import encoded_size

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "self_contained", "tool_schema"]

MAX_BYTES = 24_000
MAX_DEPTH = 4
MAX_NODES = 200
MAX_WORDS = 300
_FEW_WORDS = 60


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
    for limit, words in [*((limit, MAX_WORDS) for limit in range(depth, 0, -1)), (1, _FEW_WORDS)]:
        findings = Findings()
        inliner = Inliner(references, findings, depth=limit, nodes=nodes, words=words)
        try:
            result = inliner.convert(schema, place)
        except TooManyNodes:
            continue
        if encoded_size(result) <= max_bytes:
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
