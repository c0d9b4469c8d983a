"""What a description says either can be called, or a finding says that it can't."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from smart_support.connectors.openapi.document.arguments import argument_names
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.parse import parse
from smart_support.connectors.openapi.request.request import build_request
from smart_support.errors import InvalidArguments, InvalidRequest
from tests.support.examples import examples


def _operations(paths: dict[str, Any], version: str = "3.1.0") -> list[Operation]:
    document = {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths}
    return list(parse(document).operations)


def _post(content: dict[str, Any], **more: Any) -> Operation:
    (operation,) = _operations({"/a": {"post": {"requestBody": {"content": content}, **more}}})
    return operation


def _messages(operation: Operation) -> str:
    return "\n".join(one.message for one in operation.findings)


TEXTS = {"type": "object", "properties": {"x": {"type": "string"}}}


def test_a_body_in_the_parameters_of_openapi_3_is_sent() -> None:
    order = {"name": "order", "in": "body", "required": True, "schema": TEXTS}
    field = {"name": "a", "in": "formData", "required": True, "type": "string"}
    paths = {f"/{n}": {"post": {"parameters": [one]}} for n, one in enumerate((order, field))}
    body, form = _operations(paths, "3.0.0")
    assert build_request(body, {"x": "1"}, "https://x.test").content == b'{"x":"1"}'
    assert build_request(form, {"a": "1"}, "https://x.test").content == b"a=1"
    assert "as in Swagger 2.0" in _messages(body)


@pytest.mark.parametrize(
    "open_schema",
    [
        {**TEXTS, "additionalProperties": {"type": "string"}},
        {**TEXTS, "patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False},
    ],
)
def test_names_beside_the_properties_can_be_given(open_schema: dict[str, Any]) -> None:
    operation = _post({"application/json": {"schema": open_schema}})
    args = {"body": {"x": "1", "x-new": "2"}}
    assert Draft202012Validator(operation.schema).is_valid(args)
    assert build_request(operation, args, "https://x.test").content == b'{"x":"1","x-new":"2"}'
    assert not Draft202012Validator(operation.schema).is_valid({"body": {"x-new": 2}})


@pytest.mark.parametrize("anything", [True, {}])
@pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded"])
def test_any_names_beside_the_properties_are_a_finding(anything: Any, media_type: str) -> None:
    closed, unsaid = {**TEXTS, "additionalProperties": False}, TEXTS
    open_schema = {"allOf": [TEXTS, {"additionalProperties": anything}]}
    for schema in ({**TEXTS, "additionalProperties": anything}, open_schema):
        operation = _post({media_type: {"schema": schema}})
        assert [*operation.schema["properties"]] == ["x"]
        assert "names beside the described ones (`additionalProperties`) can't be given" in _messages(
            operation
        )
    for schema in (closed, unsaid):
        assert not _messages(_post({media_type: {"schema": schema}}))


@pytest.mark.parametrize(
    ("media_type", "sent"),
    [
        ("application/json, okta-version=1.0.0", "application/json; okta-version=1.0.0"),
        ("json", "application/json"),
        ("Application/JSON; Charset=UTF-8", "Application/JSON; Charset=UTF-8"),
        ("application/json, text/json", "application/json"),
    ],
)
def test_an_odd_media_type_is_sent_as_what_it_means(media_type: str, sent: str) -> None:
    operation = _post({media_type: {"schema": TEXTS}})
    request = build_request(operation, {"x": "1"}, "https://x.test")
    assert (request.headers["Content-Type"], request.content) == (sent, b'{"x":"1"}')


def test_a_media_type_that_can_not_be_sent_is_an_error_and_others_are_named() -> None:
    assert "`no type` is not valid; the body can't be sent" in _messages(_post({"no type": {}}))
    both = _post({"application/json": {"schema": TEXTS}, "application/xml": {"schema": TEXTS}})
    assert "sent as `application/json`; it can't be sent as application/xml" in _messages(both)


def test_headers_of_a_part_are_named() -> None:
    media = {"schema": TEXTS, "encoding": {"x": {"headers": {"X-Rate": {"schema": {"type": "integer"}}}}}}
    assert "the headers of `x` (`encoding`) are not sent" in _messages(_post({"multipart/form-data": media}))


def test_the_methods_of_openapi_3_2_are_operations() -> None:
    more = {"COPY": {"operationId": "copyIt"}, "get": {}, "no method": {}}
    item = {"query": {"operationId": "askIt"}, "get": {"operationId": "getIt"}, "additionalOperations": more}
    document = {"openapi": "3.2.0", "info": {}, "paths": {"/a": item}}
    parsed = parse(document)
    assert [one.key for one in parsed.operations] == ["GET /a", "QUERY /a", "COPY /a"]
    assert build_request(parsed.operations[2], {}, "https://x.test").method == "COPY"
    assert [one.place for one in parsed.findings if one.severity == "error"] == [
        "/paths/~1a/additionalOperations/get",
        "/paths/~1a/additionalOperations/no method",
    ]


def test_an_argument_in_another_script_has_a_name_in_ascii() -> None:
    names = argument_names([("query", "名前"), ("query", "住所"), ("query", "größe"), ("body", "имя")])
    assert len(set(names)) == 4
    assert names[2] == "groe"
    assert all(name.isascii() and any(map(str.isalnum, name)) for name in names)


SCHEMAS = st.sampled_from(
    [
        {}, {"type": "string"}, {"type": "array", "items": {"type": "integer"}}, TEXTS,
        {**TEXTS, "additionalProperties": {"type": "string"}}, {"type": "string", "format": "binary"},
        {"anyOf": [TEXTS, {"type": "string"}]}, {"type": "string", "contentMediaType": "image/png"},
        {"type": "object", "additionalProperties": True}, True, {"type": "array", "items": TEXTS},
    ]
)  # fmt: skip
ENCODINGS = st.dictionaries(
    st.just("x"),
    st.fixed_dictionaries(
        {},
        optional={
            "style": st.sampled_from(["form", "deepObject", "spaceDelimited", "pipeDelimited", "odd"]),
            "explode": st.booleans(),
            "allowReserved": st.booleans(),
            "contentType": st.sampled_from(["application/json", "image/*", "text/csv, image/png", ""]),
            "headers": st.just({"X-A": {}}),
        },
    ),
)
MEDIA_TYPES = st.sampled_from(
    [
        "application/json", "json", "application/json, v=1", "multipart/form-data", "text/plain", "*/*",
        "application/x-www-form-urlencoded", "application/x-ndjson", "image/png", "no type", "", "a/b; c",
    ]
)  # fmt: skip
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["id", "名前", "x", "a b", "Accept", "x[]"]),
            "in": st.sampled_from(["query", "path", "header", "cookie", "body", "formData"]),
        },
        optional={
            "schema": SCHEMAS,
            "type": st.sampled_from(["string", "array", "file"]),
            "required": st.booleans(),
            "style": st.sampled_from(["form", "simple", "matrix", "label", "deepObject", "odd"]),
            "explode": st.booleans(),
            "collectionFormat": st.sampled_from(["csv", "multi", "pipes"]),
        },
    ),
    max_size=4,
)
BODIES = st.dictionaries(
    MEDIA_TYPES, st.fixed_dictionaries({}, optional={"schema": SCHEMAS, "encoding": ENCODINGS}), max_size=3
)
METHODS = st.sampled_from(["get", "post", "put", "query", "COPY"])


@settings(max_examples=examples(150), deadline=None)
@given(METHODS, PARAMETERS, BODIES, st.sampled_from(["3.0.3", "3.1.0", "3.2.0"]))
def test_a_document_that_mixes_all_of_it_has_valid_schemas_and_its_calls_are_built_or_refused(
    method: str, parameters: list[dict[str, Any]], bodies: dict[str, Any], version: str
) -> None:
    node = {"parameters": parameters, "requestBody": {"content": bodies}}
    item = {"additionalOperations": {method: node}} if method == "COPY" else {method: node}
    (operation,) = _operations({"/a/{id}": item}, version)
    Draft202012Validator.check_schema(operation.schema)
    assert operation.schema["type"] == "object"
    assert not operation.schema.keys() & {"anyOf", "oneOf", "allOf"}
    for value in ("QUJD", ["a", 1], {"x": "1"}):
        args = dict.fromkeys(operation.schema["properties"], value)
        try:
            build_request(operation, args, "https://x.test")
        except (InvalidArguments, InvalidRequest) as error:
            assert error.message
