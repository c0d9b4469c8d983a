"""Two operations are equal, or their definitions show the difference in words."""

from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as some

from smart_support.connectors.openapi.document.operation import Body, Operation, Parameter
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.operation_definition import definition_of, operation_differences
from smart_support.tools.definition import DETAILS, differences, value_differences, version_of

SERVER = "https://desk.example/v1"
KEY = SecurityScheme(name="key", kind="apiKey", where="header", parameter="X-Desk-Key")
TICKET = Operation(
    key="DELETE /tickets/{id}",
    method="DELETE",
    path="/tickets/{id}",
    tool_name="delete_ticket",
    summary="Delete a ticket",
    parameters=(Parameter(name="id", where="path", argument="id", required=True),),
    schema={"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
    security=({"key": []},),
)

_words = some.text(min_size=1, max_size=8)
_names = some.sampled_from(
    ["id", "a", "b", "a.b", "a[]", "items", "type", "required", "properties", "ä b", ""]
)
_leaf = some.none() | some.booleans() | some.integers(-3, 3) | _words
_types = some.sampled_from(
    ["string", "integer", "object", "array", ["string", "null"], ["string"], "string or null"]
)


def _nodes(children: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.fixed_dictionaries(
        {},
        optional={
            "type": _types,
            "description": _words,
            "enum": some.lists(_leaf, max_size=2),
            "maxLength": some.integers(0, 3),
            "required": some.lists(_names, max_size=2, unique=True),
            "properties": some.dictionaries(_names, children, max_size=3),
            "items": children,
            "anyOf": some.lists(children, max_size=2),
            "additionalProperties": some.booleans() | children,
        },
    )


_schemas = some.recursive(some.booleans() | _nodes(some.just({})), _nodes, max_leaves=8)
_arguments = _nodes(_schemas)
_operations = some.builds(
    lambda **parts: replace(TICKET, **parts),
    method=some.sampled_from(["GET", "POST"]),
    path=some.sampled_from(["/a", "/b/{id}"]),
    summary=some.sampled_from(["", "One", "Two"]),
    description=some.sampled_from(["", "Only if agreed", "Only if agreed "]),
    schema=_arguments,
    parameters=some.lists(
        some.builds(
            Parameter,
            name=some.sampled_from(["id", "X-Id"]),
            where=some.sampled_from(["query", "header"]),
            argument=some.just("id"),
            style=some.sampled_from(["form", "simple"]),
            explode=some.booleans(),
            schema=_schemas,
        ),
        max_size=1,
    ).map(tuple),
    body=some.none()
    | some.builds(Body, media_type=some.sampled_from(["application/json", "text/plain"]), schema=_schemas),
    security=some.lists(some.sampled_from([{}, {"key": []}, {"key": ["write"]}]), max_size=2).map(tuple),
    keyed=some.booleans(),
    deprecated=some.booleans(),
)


def _define(operation: Operation, server: str = SERVER, scheme: SecurityScheme = KEY) -> dict[str, str]:
    return definition_of(operation, {"key": scheme}, server)


def _fields(before: dict[str, str], after: dict[str, str]) -> list[tuple[str, str]]:
    return [(line["field"], line["subject"]) for line in differences(before, after)]


def _same_json(one: Any, other: Any) -> bool:
    """Whether two schemas mean the same: neither order counts, nor an empty `required` or `properties`."""
    return _normal(one) == _normal(other)


def _normal(value: Any) -> bytes:
    return orjson.dumps(_sorted(value), option=orjson.OPT_SORT_KEYS)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: sorted(part) if name == "required" and isinstance(part, list) else _sorted(part)
            for name, part in value.items()
            if part or name not in ("required", "properties")
        }
    return [_sorted(part) for part in value] if isinstance(value, list) else value


@given(_operations, _operations)
def test_operations_are_equal_or_their_difference_is_shown(one: Operation, other: Operation) -> None:
    before, after = _define(one), _define(other)
    lines = operation_differences(one, before, other, after)
    assert bool(lines) == (version_of(before) != version_of(after))
    if orjson.dumps(one) != orjson.dumps(other):
        assert lines or _same_json(orjson.loads(orjson.dumps(one)), orjson.loads(orjson.dumps(other)))
    assert all(line["before"] != line["after"] for line in lines)


@given(_arguments, _arguments)
def test_a_changed_argument_is_shown_in_words_and_never_only_as_a_detail(one: Any, other: Any) -> None:
    before, after = (_define(replace(TICKET, schema=schema, parameters=())) for schema in (one, other))
    if not _same_json(one, other):
        assert any(before.get(name) != after.get(name) for name in {**before, **after} if name != DETAILS)


@given(some.recursive(_leaf, lambda part: some.lists(part) | some.dictionaries(_names, part)), some.data())
def test_two_json_values_are_equal_or_differ_in_a_line(one: Any, data: some.DataObject) -> None:
    other = data.draw(some.just(one) | some.recursive(_leaf, some.lists))
    assert bool(value_differences(one, other)) == (orjson.dumps(one) != orjson.dumps(other))


def test_each_part_of_a_definition_has_its_line() -> None:
    before = _define(TICKET)
    string = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    cases: dict[tuple[str, str], dict[str, str]] = {
        ("method", ""): _define(replace(TICKET, method="POST")),
        ("path", ""): _define(replace(TICKET, path="/v2/tickets/{id}")),
        ("server", ""): _define(TICKET, "https://other.example"),
        ("summary", ""): _define(replace(TICKET, summary="Delete all tickets")),
        ("description", ""): _define(replace(TICKET, description="It is final.")),
        ("argument", "id"): _define(replace(TICKET, schema=string)),
        ("credentials", ""): _define(TICKET, scheme=replace(KEY, where="query")),
        ("idempotency key", ""): _define(replace(TICKET, keyed=True)),
        ("deprecated", ""): _define(replace(TICKET, deprecated=True)),
        ("body", ""): _define(replace(TICKET, body=Body(media_type="application/json"))),
    }
    for line, after in cases.items():
        assert _fields(before, after) == [line]
        assert version_of(before) != version_of(after)
    moved = differences(before, cases["credentials", ""])[0]
    assert moved["before"] == "key (key, in the header X-Desk-Key)"
    assert moved["after"] == "key (key, in the query X-Desk-Key)"
    changed = differences(before, cases["argument", "id"])[0]
    assert (changed["before"], changed["after"]) == (
        "integer, required; in the path",
        "string, required; in the path",
    )


def test_an_added_and_a_removed_argument_have_one_empty_side() -> None:
    schema = {"type": "object", "properties": {"force": {"type": "boolean", "description": "Also if open."}}}
    lines = differences(_define(TICKET), _define(replace(TICKET, schema=schema, parameters=())))
    assert {(line["subject"], bool(line["before"]), bool(line["after"])) for line in lines} == {
        ("id", True, False),
        ("force", False, True),
    }


def test_of_long_words_the_part_that_differs_is_shown() -> None:
    one, other = "x" * 3000 + "only with consent", "x" * 3000 + "always"
    line = differences(
        _define(replace(TICKET, description=one)), _define(replace(TICKET, description=other))
    )[0]
    assert line["before"].endswith("only with consent")
    assert line["after"].endswith("always")
    assert len(line["before"]) < 700


def test_a_detail_without_a_line_is_shown_where_both_operations_are_known() -> None:
    before, after = (
        replace(TICKET, body=Body(media_type="application/json", schema={"type": kind}))
        for kind in ("object", "array")
    )
    lines = operation_differences(before, _define(before), after, _define(after))
    assert lines == [{"subject": "", "field": "body schema type", "before": "object", "after": "array"}]
    assert differences(_define(before), _define(after))[0]["after"] == "in another way"
