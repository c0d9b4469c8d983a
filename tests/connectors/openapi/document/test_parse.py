"""Every operation of a description becomes one that can be called, and no mistake costs more than its own."""

import copy
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation, Parameter
from smart_support.connectors.openapi.document.parse import MAX_OPERATIONS, parse
from smart_support.connectors.openapi.document.reader import InvalidSpec, load
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.request.request import build_request
from tests.support.examples import examples

FIXTURES = Path(__file__).parents[2] / "fixtures"
BOOKSHOP = load((FIXTURES / "bookshop.yaml").read_bytes())
POST_OFFICE = load((FIXTURES / "post_office.json").read_bytes())
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 500), st.text(max_size=5), st.just("#/paths"))
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def bookshop() -> Document:
    return parse(BOOKSHOP)


@pytest.fixture(scope="module")
def post_office() -> Document:
    return parse(POST_OFFICE)


def _operation(document: Document, key: str) -> Operation:
    return next(operation for operation in document.operations if operation.key == key)


def _parameters(operation: Operation) -> dict[str, Parameter]:
    return {parameter.argument: parameter for parameter in operation.parameters}


def _parsed(operation: dict[str, Any], path: str = "/a", **more: Any) -> Operation:
    document = parse({"openapi": "3.1.0", "paths": {path: {"post": operation}}, **more})
    assert not document.findings, document.findings
    return document.operations[0]


def _messages(owner: Document | Operation) -> str:
    return "\n".join(f"{each.severity} {each.place} {each.message}" for each in owner.findings)


def test_a_document_says_what_it_is_and_where_its_api_is(bookshop: Document, post_office: Document) -> None:
    assert (bookshop.title, bookshop.version, bookshop.format) == ("Bookshop", "1.0", "openapi-3.0")
    variables = {"region": {"default": "eu", "enum": ["eu", "us"]}}
    assert bookshop.servers == (Server(url="https://{region}.books.example/v1", variables=variables),)
    assert post_office.format == "swagger-2.0"
    assert [each.url for each in post_office.servers] == [
        "https://post.example/api",
        "http://post.example/api",
    ]


def test_an_operation_has_the_paths_parameters_and_its_own_before_them(bookshop: Document) -> None:
    operation = _operation(bookshop, "GET /books")
    assert operation.tool_name == "list_books"
    assert operation.tags == ("books",)
    assert list(_parameters(operation)) == ["shop", "trace", "page", "filter", "sort", "night"]
    assert operation.schema["properties"]["shop"] == {"type": "string", "description": "of the operation"}
    assert operation.schema["required"] == ["shop"]
    assert operation.schema["additionalProperties"] is False
    assert operation.schema["properties"]["page"] == {"type": "integer", "exclusiveMinimum": 0, "default": 1}


def test_a_parameter_keeps_how_it_is_written(bookshop: Document) -> None:
    found = _parameters(_operation(bookshop, "GET /books"))
    assert (found["page"].style, found["page"].explode) == ("form", True)
    assert (found["filter"].style, found["filter"].explode) == ("deepObject", True)
    assert (found["trace"].style, found["trace"].explode) == ("simple", False)
    assert (found["sort"].media_type, found["sort"].schema["type"]) == ("application/json", "array")
    assert found["night"].where == "cookie"


def test_a_parameter_that_carries_the_credential_is_not_asked_of_a_model(bookshop: Document) -> None:
    assert "`X-API-KEY` is a credential" in _messages(_operation(bookshop, "GET /books"))


def test_json_is_sent_where_it_is_taken_and_an_objects_properties_are_arguments(bookshop: Document) -> None:
    operation = _operation(bookshop, "POST /books")
    assert operation.body is not None
    assert operation.body.media_type == "application/json; charset=utf-8"
    assert list(operation.body.properties) == ["title", "published", "sequel", "cover"]
    assert operation.schema["properties"]["title"] == {"type": ["string", "null"], "examples": ["Emma"]}
    assert operation.schema["properties"]["published"]["default"] == "2020-01-01"
    assert operation.schema["required"] == ["title"]
    assert "covers.yaml#/Cover` is in another file" in _messages(operation)


def test_a_path_and_its_parameters_are_made_to_agree(bookshop: Document) -> None:
    bare, full = _operation(bookshop, "GET /books/{id}"), _operation(bookshop, "PUT /books/{id}")
    assert _parameters(bare)["id"].required
    assert "warning /paths/~1books~1{id}/get `id` in the path is not defined" in _messages(bare)
    assert list(_parameters(full)) == ["id", "id_query"]
    assert _parameters(full)["id"].required
    assert "parameters/2 `gone` is not in the path" in _messages(full)
    assert full.body is not None
    assert full.body.properties == {"body_id": "id", "a_b": "a b"}
    assert full.schema["required"] == ["id"]


def test_a_path_parameter_in_another_spelling_is_the_paths() -> None:
    operation = _parsed(
        {"parameters": [{"name": "PetID", "in": "path", "schema": {"type": "integer"}}]}, "/{petId}"
    )
    assert operation.parameters[0].name == "petId"
    assert operation.parameters[0].schema == {"type": "integer"}


def test_of_two_other_spellings_only_one_is_the_paths() -> None:
    twice = [{"name": name, "in": "path", "schema": {"type": "integer"}} for name in ("PETID", "PetID")]
    assert [each.name for each in _parsed({"parameters": twice}, "/{petId}").parameters] == ["petId"]


def test_every_operation_can_be_called_with_what_its_schema_asks(
    bookshop: Document, post_office: Document
) -> None:
    for operation in (*bookshop.operations, *post_office.operations):
        given = dict.fromkeys(operation.schema["required"], "x")
        assert build_request(operation, given, "https://api.example").url.startswith("https://api.example/")


def test_files_are_base64_to_a_tool(bookshop: Document) -> None:
    form, raw = _operation(bookshop, "POST /books/{id}/cover"), _operation(bookshop, "PUT /books/{id}/cover")
    assert form.body is not None
    assert form.schema["properties"]["file"]["contentEncoding"] == "base64"
    assert form.body.encodings == {"file": {"contentType": "image/png"}}
    assert raw.body is not None
    assert (raw.body.argument, raw.body.schema["contentEncoding"]) == ("body", "base64")


@pytest.mark.parametrize(
    ("types", "chosen"),
    [
        (["text/csv", "application/vnd.x+json", "application/json"], "application/json"),
        (["multipart/form-data", "application/x-www-form-urlencoded"], "application/x-www-form-urlencoded"),
        (["multipart/form-data", "text/plain"], "multipart/form-data"),
        (["application/pdf", "application/xml"], "application/xml"),
        (["*/*", "application/hal+json"], "application/hal+json"),
    ],
)
def test_of_several_media_types_the_simplest_is_sent(types: list[str], chosen: str) -> None:
    operation = _parsed(
        {"requestBody": {"content": {each: {"schema": {"type": "object"}} for each in types}}}
    )
    assert operation.body is not None
    assert operation.body.media_type == chosen


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {}},
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}, "oneOf": [{"required": ["a"]}]},
        {"type": "object", "properties": {"a": {"readOnly": True}}},
        {},
    ],
)
def test_a_body_that_is_no_plain_object_is_one_argument(schema: dict[str, Any]) -> None:
    operation = _parsed(
        {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    )
    assert operation.body is not None
    assert (operation.body.argument, operation.body.properties) == ("body", {})
    assert operation.schema["required"] == ["body"]


def test_an_operations_security_stands_before_the_documents(bookshop: Document) -> None:
    assert _operation(bookshop, "GET /books").security == ({"key": []},)
    assert _operation(bookshop, "POST /books").security == ({"token": []}, {})
    assert _operation(bookshop, "GET /books/{id}").security == ()


def test_security_schemes_are_told_by_what_they_need(bookshop: Document, post_office: Document) -> None:
    kinds = {name: scheme.kind for name, scheme in (bookshop.schemes | post_office.schemes).items()}
    assert kinds == {
        **{"key": "apiKey", "token": "bearer", "login": "basic", "shop": "oauth2", "browser": "bearer"},
        **{"user": "basic", "app": "oauth2", "page": "bearer"},
    }
    assert bookshop.schemes["shop"].token_url == "/oauth/token"
    assert bookshop.schemes["shop"].scopes == ("read", "write")
    assert (post_office.schemes["key"].where, post_office.schemes["key"].parameter) == ("query", "key")
    assert _operation(post_office, "GET /parcels").security == ({"app": ["send"]},)


def test_a_login_that_only_people_can_go_through_takes_its_token_by_hand() -> None:
    flows = {"authorizationCode": {"authorizationUrl": "https://a.example", "tokenUrl": "https://b.example"}}
    schemes = {
        "oauth": {"type": "oauth2", "flows": flows},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://a.example"},
        "digest": {"type": "http", "scheme": "digest"},
    }
    found = parse({"openapi": "3.0.0", "paths": {}, "components": {"securitySchemes": schemes}}).schemes
    assert {name: scheme.kind for name, scheme in found.items()} == {
        "oauth": "bearer",
        "oidc": "bearer",
        "digest": "other",
    }
    assert "access token" in found["oauth"].description


def test_a_variable_of_a_server_is_asked_for_though_it_is_not_declared() -> None:
    (server,) = parse(
        {"openapi": "3.0.0", "paths": {}, "servers": [{"url": "https://{shop}.example"}]}
    ).servers
    assert server.variables == {"shop": {}}


def test_where_every_operation_names_its_server_the_first_one_is_the_apis() -> None:
    servers = [{"url": "https://a.example"}]
    paths = {"/a": {"servers": servers, "get": {}}, "/b": {"servers": servers, "get": {}}}
    assert parse({"openapi": "3.0.0", "paths": paths}).servers == (Server(url="https://a.example"),)
    paths["/b"].pop("servers")
    assert parse({"openapi": "3.0.0", "paths": paths}).servers == (Server(url="/"),)


def test_a_scheme_that_is_not_declared_is_told() -> None:
    operation = _parsed({"security": [{"ghost": []}]})
    assert operation.security == ({"ghost": []},)
    assert "`ghost` is not defined" in _messages(operation)


def test_an_operations_own_servers_are_kept_and_relative_ones_stay_so(
    bookshop: Document, post_office: Document
) -> None:
    assert _operation(bookshop, "GET /books/{id}").servers == (Server(url="/mirror"),)
    assert _operation(bookshop, "GET /books").servers == ()
    assert _operation(post_office, "GET /parcels").servers == (Server(url="http://post.example/api"),)


@pytest.mark.parametrize(
    ("said", "urls"),
    [
        ({}, ["/"]),
        ({"basePath": "/v1"}, ["/v1"]),
        ({"host": "a.example"}, ["https://a.example"]),
        ({"host": "a.example", "schemes": ["ws", "http"]}, ["http://a.example"]),
        ({"host": "http://a.example/", "basePath": "v1/"}, ["http://a.example/v1"]),
    ],
)
def test_a_server_of_swagger_2_is_put_together(said: dict[str, Any], urls: list[str]) -> None:
    assert [server.url for server in parse({"swagger": "2.0", "paths": {}, **said}).servers] == urls


def test_swagger_2_says_how_arrays_are_written(post_office: Document) -> None:
    found = _parameters(_operation(post_office, "GET /parcels"))
    assert {name: (each.style, each.explode) for name, each in found.items()} == {
        "plain": ("form", False),
        "many": ("form", True),
        "piped": ("pipeDelimited", False),
        "spaced": ("spaceDelimited", False),
        "tabbed": ("tabDelimited", False),
    }


def test_swagger_2_bodies_and_forms_are_bodies(post_office: Document) -> None:
    parcel, label = (
        _operation(post_office, "POST /parcels"),
        _operation(post_office, "POST /parcels/{id}/label"),
    )
    scan = _operation(post_office, "PUT /parcels/{id}/label")
    assert parcel.body is not None
    assert (parcel.body.media_type, parcel.body.properties) == (
        "application/json",
        {"to": "to", "grams": "grams"},
    )
    assert parcel.schema["required"] == ["to"]
    assert label.body is not None
    assert label.body.media_type == "application/x-www-form-urlencoded"
    assert label.body.encodings == {"marks": {"style": "form", "explode": True}}
    assert label.schema["required"] == ["id", "size"]
    assert scan.body is not None
    assert scan.body.media_type == "multipart/form-data"
    assert scan.schema["properties"]["scan"]["contentEncoding"] == "base64"


def test_what_can_not_be_read_is_told_and_the_rest_is(bookshop: Document) -> None:
    assert len(bookshop.operations) == 8
    assert [each.place for each in bookshop.findings if each.severity == "error"] == [
        "/paths/~1elsewhere",
        "/paths/~1broken/get",
    ]
    assert "GET /broken is left out: an operation must be an object" in _messages(bookshop)
    assert "paths are in other files, which are not fetched" in _messages(bookshop)


def test_a_document_made_to_take_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("time.thread_time", lambda: float(next(clock)))
    paths = {f"/{at}": {"get": {"responses": {"200": {}}}} for at in range(60)}
    document = parse({"openapi": "3.0.0", "paths": paths})
    assert 0 < len(document.operations) < 60
    assert "too much to be read in time" in _messages(document)


def test_a_path_may_refer_to_another(bookshop: Document) -> None:
    assert {"POST /orders~new/{a b}", "PUT /orders~new/{a b}"} <= {each.key for each in bookshop.operations}


def test_names_do_not_depend_on_the_order_of_paths(bookshop: Document) -> None:
    paths = list(BOOKSHOP["paths"].items())
    random.Random(7).shuffle(paths)
    again = parse({**BOOKSHOP, "paths": dict(paths)})
    assert {each.key: each.tool_name for each in again.operations} == {
        each.key: each.tool_name for each in bookshop.operations
    }


def test_too_many_optional_arguments_are_left_out_from_the_end() -> None:
    many = [{"name": f"p{at}", "in": "query", "description": "w" * 400} for at in range(450)]
    operation = _parsed({"parameters": [*many, {"name": "last", "in": "query", "required": True}]})
    assert len(orjson.dumps(operation.schema)) <= 24_000
    assert {"p0", "last"} <= operation.schema["properties"].keys()
    assert "p449" not in operation.schema["properties"]
    assert "left out: the tool has too many arguments" in _messages(operation)


def test_an_operation_that_no_tool_can_hold_is_left_out() -> None:
    many = [{"name": f"p{at}" * 10, "in": "query", "required": True} for at in range(490)]
    document = parse({"openapi": "3.0.0", "paths": {"/a": {"get": {"parameters": many}, "put": {}}}})
    assert [each.key for each in document.operations] == ["PUT /a"]
    assert "larger than 24,000 bytes" in _messages(document)


def test_an_operation_has_at_most_so_many_parameters() -> None:
    many = [{"name": f"p{at}", "in": "query"} for at in range(501)]
    document = parse({"openapi": "3.0.0", "paths": {"/a": {"parameters": many, "get": {}}}})
    assert "GET /a is left out: it has 501 parameters; a tool can have 500" in _messages(document)


def test_only_so_many_operations_are_read() -> None:
    document = parse(
        {"openapi": "3.0.0", "paths": {f"/{at}": {"get": {}} for at in range(MAX_OPERATIONS + 1)}}
    )
    assert len(document.operations) == MAX_OPERATIONS
    assert "only the first 5000" in _messages(document)


def test_what_is_no_description_is_refused() -> None:
    with pytest.raises(InvalidSpec):
        parse({"asyncapi": "2.0.0"})


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in inner for place in _places(child, (*path, key)))]


def _replaced(document: dict[str, Any], place: tuple[Any, ...], value: Any) -> None:
    node: Any = document
    for step in place[:-1]:
        if not isinstance(node, dict | list) or (isinstance(node, dict) and step not in node):
            return
        if isinstance(node, list) and not (isinstance(step, int) and step < len(node)):
            return
        node = node[step]
    if isinstance(node, dict) or (
        isinstance(node, list) and isinstance(place[-1], int) and place[-1] < len(node)
    ):
        node[place[-1]] = value


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    document = copy.deepcopy(draw(st.sampled_from([BOOKSHOP, POST_OFFICE])))
    places = [place for place in _places(document) if place]
    nodes = [{"$ref": "#"}, {"$ref": "#/components/schemas/Book"}, {"$ref": "x.json"}]
    for _ in range(draw(st.integers(1, 4))):
        value = draw(st.one_of(ANYTHING, st.sampled_from(nodes)))
        _replaced(document, draw(st.sampled_from(places)), value)
    return document


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(damaged(), st.randoms(use_true_random=False))
def test_whatever_is_wrong_the_rest_is_read(document: dict[str, Any], shuffling: random.Random) -> None:
    try:
        parsed = parse(document)
    except InvalidSpec:
        return
    names = {operation.key: operation.tool_name for operation in parsed.operations}
    assert len(set(names.values())) == len(parsed.operations)
    for operation in parsed.operations:
        for schema in (operation.schema, operation.body.schema if operation.body else {}):
            Draft202012Validator.check_schema(schema)
        arguments = [each.argument for each in operation.parameters]
        if operation.body:
            arguments += [*operation.body.properties, *filter(None, [operation.body.argument])]
        assert sorted(arguments) == sorted(operation.schema["properties"])
        assert set(operation.schema["required"]) <= set(arguments)
    assert "it can't be parsed" not in _messages(parsed)
    if isinstance(document.get("paths"), dict):
        paths = list(document["paths"].items())
        shuffling.shuffle(paths)
        again = parse({**document, "paths": dict(paths)})
        assert {operation.key: operation.tool_name for operation in again.operations} == names
