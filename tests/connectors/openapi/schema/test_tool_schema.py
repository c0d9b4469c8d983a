"""Any schema of a description becomes a valid, self-contained and short one of JSON Schema 2020-12."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.schema import patterns
from smart_support.connectors.openapi.schema.tool_schema import MAX_BYTES, self_contained
from tests.support.cpu_cost import cost
from tests.support.examples import examples

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
REFERENCE = st.sampled_from(
    ["#/defs/A", "#/defs/B", "#/defs/C", "#/defs/none", "#", "#A", "x.yaml#/A", "#/defs/%41"]
)
LEAVES = {
    "type": st.sampled_from(
        ["string", "integer", "number", "array", "object", "file", "int", ["string", "null"], "?"]
    ),
    "enum": st.lists(SCALARS, max_size=3),
    "default": ANYTHING,
    "required": st.one_of(st.booleans(), st.lists(st.sampled_from("abc"), max_size=2)),
    "pattern": st.sampled_from(["^a+$", "(a+)+$", "[", r"\p{L}", "/^a$/i"]),
    "minimum": st.one_of(st.integers(), st.floats(), st.text(max_size=2)),
    "exclusiveMinimum": st.one_of(st.booleans(), st.integers()),
    "multipleOf": st.one_of(st.integers(-1, 3), st.floats()),
    "maxLength": st.one_of(st.integers(-1, 9), st.floats()),
    "nullable": st.booleans(),
    "readOnly": st.booleans(),
    "format": st.sampled_from(["binary", "byte", "date", 3]),
    "const": SCALARS,
    "discriminator": st.just({"propertyName": "a"}),
    "description": st.one_of(st.text(max_size=5), st.just("w" * 1000), st.integers()),
    "example": ANYTHING,
}


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = {
        "items": inner,
        "additionalProperties": inner,
        "not": inner,
        "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        **{key: st.lists(inner, max_size=3) for key in ("prefixItems", "oneOf", "anyOf", "allOf")},
    }
    return st.fixed_dictionaries({}, optional={**LEAVES, **parts, "$ref": REFERENCE})


SCHEMAS = st.recursive(
    st.one_of(ANYTHING, st.builds(lambda to: {"$ref": to}, REFERENCE)), _schemas, max_leaves=8
)


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    further = [
        *schema.get("properties", {}).values(),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]
    for key in ("prefixItems", "oneOf", "anyOf"):
        further += schema.get(key, [])
    for part in further:
        if isinstance(part, dict):
            yield from _parts(part)


def _converted(schema: Any, **defs: Any) -> dict[str, Any]:
    result, _ = self_contained(schema, References({"defs": defs}))
    Draft202012Validator.check_schema(result)
    return result


def _told(schema: Any, **defs: Any) -> list[tuple[str, str, str]]:
    _, findings = self_contained(schema, References({"defs": defs}), place="/here")
    return [(each.severity, each.place, each.message) for each in findings]


def test_a_reference_is_written_out_and_what_stands_beside_it_counts() -> None:
    schema = {"$ref": "#/defs/a~1b%20c", "description": "nearer"}
    result, _ = self_contained(
        schema, References({"defs": {"a/b c": {"type": "string", "description": "far"}}})
    )
    assert result == {"type": "string", "description": "nearer"}


def test_a_schema_that_holds_itself_is_cut_where_it_comes_again() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/defs/Node"}, "name": {"type": "string"}}}
    result = _converted({"$ref": "#/defs/Node"}, Node=node)
    assert result["properties"]["name"] == {"type": "string"}
    assert result["properties"]["next"].keys() == {"description"}
    assert "is recursive" in _told({"$ref": "#/defs/Node"}, Node=node)[0][2]


def test_what_is_used_twice_is_no_recursion() -> None:
    pair = {
        "type": "object",
        "properties": {"a": {"$ref": "#/defs/T"}, "b": {"allOf": [{"$ref": "#/defs/T"}]}},
    }
    assert _converted(pair, T={"type": "integer"})["properties"] == {
        "a": {"type": "integer"},
        "b": {"type": "integer"},
    }


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("other.yaml#/A", "in another file"),
        ("https://x.example/a.json", "in another file"),
        ("#/defs/none", "does not exist in"),
        ("#/defs/Loop", "refers to itself"),
    ],
)
def test_a_reference_that_leads_nowhere_here_may_be_anything_and_is_told(reference: str, said: str) -> None:
    loop = {"$ref": "#/defs/Loop"}
    assert _converted({"$ref": reference}, Loop=loop) == {}
    ((severity, _, message),) = _told({"$ref": reference}, Loop=loop)
    assert (severity, said in message) == ("warning", True)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"exclusiveMinimum": 2}, {"exclusiveMinimum": 2}),
        (
            {"type": "file"},
            {
                "type": "string",
                "contentEncoding": "base64",
                "description": "The bytes of the file, as base64.",
            },
        ),
        ({"type": "string", "example": "Rex", "xml": {}, "x-a": 1}, {"type": "string", "examples": ["Rex"]}),
        ({"type": "string", "example": "x" * 100}, {"type": "string"}),
        ({"type": "integer", "default": 3}, {"type": "integer", "default": 3}),
        ({"type": "integer", "default": "three"}, {"type": "integer"}),
        ({"type": "string", "enum": [1, True]}, {"type": "string", "enum": ["1", "true"]}),
        ({"properties": {"a": True}}, {"type": "object", "properties": {"a": {}}}),
        ({"items": [{"type": "string"}]}, {"type": "array", "prefixItems": [{"type": "string"}]}),
        ({"type": "int", "minLength": "2"}, {"type": "integer", "minLength": 2}),
        ({"title": "A name"}, {"description": "A name"}),
        ({"not": {"type": "string"}, "if": {}}, {}),
        (
            {"patternProperties": {"^x": {}}, "additionalProperties": False, "type": "object"},
            {"type": "object"},
        ),
        ("text", {}),
    ],
)
def test_keywords_are_written_as_2020_12_has_them(schema: Any, expected: dict[str, Any]) -> None:
    assert _converted(schema) == expected


def test_a_property_marked_required_is_required_of_its_object() -> None:
    result = _converted({"type": "object", "properties": {"a": {"type": "string", "required": True}}})
    assert result == {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def test_what_is_read_only_is_not_sent() -> None:
    schema = {"required": ["a", "b"], "properties": {"a": {"readOnly": True}, "b": {"writeOnly": True}}}
    assert _converted(schema)["required"] == ["b"]


def test_all_of_becomes_one_schema_as_strict_as_all() -> None:
    base = {"type": "object", "required": ["a"], "properties": {"a": {"type": "number", "minimum": 1}}}
    more = {
        "required": ["b"],
        "properties": {"a": {"type": "integer", "minimum": 2}, "b": {"type": "string"}},
    }
    assert _converted({"allOf": [{"$ref": "#/defs/Base"}, more], "description": "both"}, Base=base) == {
        "type": "object",
        "description": "both",
        "required": ["a", "b"],
        "properties": {"a": {"type": "integer", "minimum": 2}, "b": {"type": "string"}},
    }


def test_parts_of_all_of_that_conflict_are_told_and_the_first_stands() -> None:
    schema = {"allOf": [{"type": "string"}, {"type": "integer"}]}
    assert _converted(schema) == {"type": "string"}
    assert _told(schema)[0][:2] == ("warning", "/here")


def test_alternatives_stay_exclusive_only_where_nothing_was_widened() -> None:
    exact = [{"type": "string"}, {"type": "integer"}]
    assert _converted({"oneOf": exact}) == {"oneOf": exact}
    assert "anyOf" in _converted({"oneOf": [{"type": "string", "pattern": "["}, {"type": "string"}]})
    assert _converted({"oneOf": exact, "nullable": True}) == {"anyOf": [*exact, {"type": "null"}]}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[", "not a valid regular expression"),
        ("(" * 400, "not a valid regular expression"),
        ("a" * 501, "longer"),
        (7, "not a string"),
        ("/^[a-z]+$/", "slashes"),
        ("^(a+)+$", "exponential time"),
        ("^(a|aa)*$", "exponential time"),
        ("((x{1,9})y?){1,9}", "exponential time"),
    ],
)
def test_a_pattern_that_can_not_be_used_is_left_out_and_told(pattern: Any, said: str) -> None:
    assert _converted({"type": "string", "pattern": pattern}) == {"type": "string"}
    assert said in _told({"type": "string", "pattern": pattern})[0][2]


@pytest.mark.parametrize(
    "pattern", [r"^\d{3}-[a-z+*]{2,5}$", r"^(USD|EUR)$", r"(ab)+", r"\(a+\)+", r"[(+]*[)]+"]
)
def test_a_harmless_pattern_is_kept(pattern: str) -> None:
    assert patterns.fault(pattern) == ""


def test_a_default_is_not_tried_on_a_pattern_that_could_take_for_ever() -> None:
    pattern = {"type": "string", "pattern": "^a*a*a*a*a*a*a*a*a*a*a*a*$", "default": "a" * 150 + "!"}
    assert cost(lambda: _converted(pattern)) < 50


def _deep(levels: int, width: int) -> dict[str, Any]:
    if not levels:
        return {"type": "string", "description": "w" * 400}
    return {"type": "object", "properties": {f"p{at}": _deep(levels - 1, width) for at in range(width)}}


def test_what_lies_deeper_than_four_may_be_anything() -> None:
    node = _converted(_deep(6, 1))
    for _ in range(4):
        assert node["type"] == "object"
        node = node["properties"]["p0"]
    assert node.keys() == {"description"}


def test_a_wide_schema_is_described_less_deep_until_it_fits() -> None:
    assert len(orjson.dumps(_converted(_deep(4, 6)))) <= MAX_BYTES
    assert _converted(_deep(4, 6))["properties"]["p0"]["type"] == "object"
    assert _converted(_deep(1, 201)).keys() == {"description"}


def test_descriptions_and_long_lists_of_values_are_shortened() -> None:
    result = _converted(
        {"type": "string", "description": "w" * 400, "enum": [f"value {at}" for at in range(999)]}
    )
    assert len(result["description"]) == 300
    assert "enum" not in result


def test_references_that_fan_out_cost_little() -> None:
    defs = {f"T{at}": {"anyOf": [{"$ref": f"#/defs/T{at + 1}"}] * 10} for at in range(50)}
    defs |= {f"U{at}": {"allOf": [{"$ref": f"#/defs/U{at + 1}"}] * 10} for at in range(50)}
    for name in ("T0", "U0"):
        assert cost(lambda name=name: _converted({"$ref": f"#/defs/{name}"}, **defs)) < 50


@settings(max_examples=examples(200), deadline=None)
@given(SCHEMAS, SCHEMAS, SCHEMAS, SCHEMAS)
def test_whatever_it_is_given_the_result_is_a_valid_schema_within_its_limits(
    schema: Any, a: Any, b: Any, c: Any
) -> None:
    references = References({"defs": {"A": a, "B": b, "C": c}})
    result, findings = self_contained(schema, references)
    Draft202012Validator.check_schema(result)
    assert b"$ref" not in orjson.dumps({**result, "examples": None, "default": None}) or "const" in str(
        result
    )
    assert len(orjson.dumps(result)) <= MAX_BYTES
    assert all("\n" not in each.message for each in findings)


@pytest.mark.slow
@settings(max_examples=examples(150), deadline=None)
@given(st.lists(SCHEMAS, min_size=1, max_size=3), SCHEMAS, SCHEMAS, SCHEMAS)
# The same part under a merged parent and under its own: told at two places.
@example([{"type": "string", "$ref": "#/defs/A"}], {"properties": {"a": {"prefixItems": [None]}}}, {}, {})
def test_what_was_written_out_before_changes_nothing(schemas: list[Any], a: Any, b: Any, c: Any) -> None:
    defs = {"A": a, "B": b, "C": c}
    asked = [*schemas, *({"$ref": f"#/defs/{name}"} for name in "ABCA")]
    used = References({"defs": defs})
    for schema in asked:
        assert self_contained(schema, used) == self_contained(schema, References({"defs": defs}))


@pytest.mark.parametrize("deepest_first", [True, False])
def test_a_part_of_a_circle_is_written_out_anew_where_the_circle_begins_elsewhere(
    deepest_first: bool,
) -> None:
    defs = {
        "A": {"properties": {"b": {"$ref": "#/defs/B"}}},
        "B": {"properties": {"a": {"$ref": "#/defs/A"}}},
    }
    asked: list[Any] = [{"$ref": "#/defs/A"}, {"$ref": "#/defs/B"}]
    for place in range(6):
        asked.append({"properties": {"around": asked[place]}})
    used = References({"defs": defs})
    for schema in reversed(asked) if deepest_first else asked:
        assert self_contained(schema, used) == self_contained(schema, References({"defs": defs}))


def test_equal_schemas_without_parts_share_their_result_and_each_report_is_made_at_its_own_place() -> None:
    valid, faulty = {"type": "string", "description": "A name."}, {"type": "string", "pattern": "("}
    source = {
        "type": "object",
        "properties": {"a": dict(valid), "b": dict(valid), "c": dict(faulty), "d": dict(faulty)},
    }

    result, findings = self_contained(source, References({}), place="/x")

    parts = result["properties"]
    assert parts["a"] == valid
    assert parts["a"] is parts["b"]
    assert parts["c"] == parts["d"] == {"type": "string"}
    assert [one.place for one in findings] == ["/x/properties/c", "/x/properties/d"]


def test_a_value_of_another_type_is_another_schema() -> None:
    source = {"properties": {"a": {"const": 1}, "b": {"const": True}, "c": {"const": 1.0}}}
    result, _ = self_contained(source, References({}))
    assert [type(one["const"]) for one in result["properties"].values()] == [int, bool, float]
