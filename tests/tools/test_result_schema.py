"""The shape of a result's schema: whatever fits the schema fits the shape, and clients can take it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from smart_support.connectors.openapi.document.parse import parse
from smart_support.tools.result_schema import MAX_BYTES, shape_of

ORDER = {
    "type": "object",
    "required": ["id", "secret"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^(a+)+$", "readOnly": True},
        "secret": {"type": "string", "writeOnly": True},
        "note": {"type": "string", "nullable": True, "maxLength": 3},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
    },
}
LINE = {"allOf": [{"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}, {}]}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/orders/{id}": {
            "get": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"$ref": "#/components/responses/Order"}},
            },
            "delete": {"responses": {"204": {"description": "gone"}}},
        }
    },
    "components": {
        "schemas": {"Order": ORDER, "Line": LINE},
        "responses": {
            "Order": {
                "content": {"application/json; v=1": {"schema": {"$ref": "#/components/schemas/Order"}}}
            }
        },
    },
}


def test_an_operation_has_the_shape_of_its_response() -> None:
    get, delete = parse(DOCUMENT).operations
    assert delete.result_schema is None
    shape = get.result_schema
    assert shape is not None
    validator = Draft202012Validator(shape)
    answer = {"id": "b", "note": None, "more": 1, "lines": [{"sku": "x"}]}
    assert validator.is_valid(answer)
    assert validator.is_valid(answer | {"note": "more than three"})
    assert not validator.is_valid(answer | {"id": 1})
    assert not validator.is_valid(answer | {"lines": [{}]})
    assert not validator.is_valid({"note": "no id"})


def test_swagger_2_has_the_schema_in_the_response() -> None:
    paths = {"/a": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/A"}}}}}}
    described = {"swagger": "2.0", "info": {"title": "a", "version": "1"}, "paths": paths}
    (operation,) = parse(described | {"definitions": {"A": LINE}}).operations
    assert operation.result_schema == {"properties": {"sku": {"type": "string"}}, "required": ["sku"]}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        {},
        {"type": "object"},
        {"$ref": "https://example.com/schema.json"},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "properties": {f"name_{n}": {"enum": ["x" * 50]} for n in range(MAX_BYTES // 50)}},
        {"type": "object", "properties": {f"n{n}": {} for n in range(1_000)}},
    ],
)
def test_of_a_schema_that_is_wrong_large_or_empty_nothing_is_said(schema: Any) -> None:
    assert shape_of(schema) is None


def test_a_recursive_schema_ends() -> None:
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}}}
    shape = shape_of(tree)
    assert shape is not None
    assert Draft202012Validator(shape).is_valid({"name": "a", "child": {"name": "b", "child": {}}})
    assert not Draft202012Validator(shape).is_valid({"name": "a", "child": {"name": 1}})
    loop = {"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}
    assert shape_of(loop) is None


VALUES = st.sampled_from(["string", "nonsense", 1, None, "object", "", [], {}]) | st.lists(
    st.sampled_from(["string", "null", "x", 1, []]), max_size=3
)
KEYWORDS = st.dictionaries(st.sampled_from(["type", "enum", "const", "description", "required"]), VALUES)


@given(KEYWORDS, KEYWORDS)
def test_what_is_wrong_is_what_the_general_check_finds_wrong(
    inner: dict[str, Any], outer: dict[str, Any]
) -> None:
    schema = outer | {"properties": {"a": inner, "b": {"items": inner}}}
    kept = [{**part, "required": []} if _is_left_out(part) else part for part in (inner, outer)]
    is_right = all(Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(part) for part in kept)
    shape = shape_of(schema)
    assert (shape is not None) == is_right
    if shape is not None:
        Draft202012Validator.check_schema(shape)


def _is_left_out(part: dict[str, Any]) -> bool:
    """Whether `required` is ignored, or its repetitions are."""
    required = part.get("required", [])
    return not isinstance(required, list) or all(isinstance(name, str) for name in required)
