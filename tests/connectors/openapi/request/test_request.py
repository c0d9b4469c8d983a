"""Arguments become a request that stays under its base, and nothing an argument holds adds to it."""

import posixpath
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.connectors.openapi.document.operation import Body, Operation, Parameter
from smart_support.connectors.openapi.request.request import HttpRequest, build_request
from smart_support.errors import InvalidArguments, InvalidRequest
from tests.support.wire import Wire, an_operation

BASE = "https://api.test/v1"
ID = Parameter(name="id", where="path", argument="id")
NOTE = Parameter(name="X-Note", where="header", argument="note")
QUERY = Parameter(name="q", where="query", argument="q", style="form", explode=True, required=True)
FILTER = Parameter(name="filter", where="query", argument="filter", style="form", explode=True)


def test_each_argument_arrives_at_its_place(wire: Wire) -> None:
    session = Parameter(name="session", where="cookie", argument="session", style="form", explode=True)
    operation = an_operation(ID, NOTE, QUERY, session, path="/pets/{id}/notes")
    received = wire.call(operation, {"id": "a/b c", "note": 3, "q": "x&y=z", "session": "s;t"})
    assert (received.method, received.content) == ("GET", b"")
    assert received.target == "/api/v1/pets/a%2Fb%20c/notes?q=x%26y%3Dz"
    assert received.headers["X-Note"] == "3"
    assert received.headers["Cookie"] == "session=s%3Bt"


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "../x", "x/..", "a/../b", "..\\x", "a/./b", "..;/x", [], [""], [".."], {}, {"a": None}],
)
def test_a_path_value_that_a_server_would_normalise_away_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"^id: .*path parameter can't be"):
        build_request(an_operation(ID, path="/pets/{id}"), {"id": value}, BASE)


@pytest.mark.parametrize("value", ["...", "..a", "a..b", ".hidden", "a.", "%2e%2e", "%2F", "a//b"])
def test_a_path_value_that_only_looks_like_it_arrives(wire: Wire, value: str) -> None:
    received = wire.call(an_operation(ID, path="/pets/{id}"), {"id": value})
    assert unquote(received.path) == f"/api/v1/pets/{value}"


@pytest.mark.parametrize(
    ("path", "value"), [("/pets/.{id}", ";x"), ("/pets/..{id}", ";/x"), ("/{id}/..", "x")]
)
def test_a_value_can_not_complete_what_leads_away(path: str, value: str) -> None:
    with pytest.raises(InvalidArguments, match="would change the URL's base"):
        build_request(an_operation(ID, path=path), {"id": value}, BASE)


def test_a_paths_own_query_is_kept_and_its_fragment_is_not(wire: Wire) -> None:
    operation = an_operation(FILTER, path="/pets?action=list all&x#frag")
    assert wire.call(operation, {"filter": "a"}).target == "/api/v1/pets?action=list%20all&x&filter=a"
    assert wire.call(operation, {}).target == "/api/v1/pets?action=list%20all&x"


@pytest.mark.parametrize("taken", ["q", "limit", "action"])
def test_an_objects_member_can_not_pass_for_another_parameter(taken: str) -> None:
    limit = Parameter(name="limit", where="query", argument="limit", style="form")
    operation = an_operation(FILTER, QUERY, limit, path="/pets?action=list")
    with pytest.raises(InvalidArguments, match=f"filter: its member {taken} has the name of another"):
        build_request(operation, {"filter": {taken: "1"}, "q": "x"}, BASE)


def test_what_is_required_and_missing_is_named() -> None:
    body = Body(
        media_type="application/json", required=True, schema={"required": ["n"]}, properties={"body_n": "n"}
    )
    operation = an_operation(ID, QUERY, NOTE, path="/pets/{id}", body=body)
    with pytest.raises(
        InvalidArguments, match=r"POST /pets/\{id\}: missing required arguments: id, q, body_n\."
    ):
        build_request(operation, {"q": None}, BASE)


@pytest.mark.parametrize(
    "name", ["Authorization", "accept", "Content-Type", "Host", "Cookie", "Transfer-Encoding"]
)
def test_a_header_that_is_no_parameter_is_never_set_by_an_argument(name: str) -> None:
    parameter = Parameter(name=name, where="header", argument="given", required=True)
    prepared = build_request(an_operation(parameter), {"given": "mine"}, BASE)
    assert prepared.headers == {}
    assert build_request(an_operation(parameter), {}, BASE).headers == {}


@pytest.mark.parametrize("broken", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00", "\x7f", "é", "\u2028"])
def test_no_header_can_be_injected(broken: str) -> None:
    with pytest.raises(InvalidArguments, match="note: a header can only contain printable ASCII"):
        build_request(an_operation(NOTE), {"note": broken}, BASE)


@pytest.mark.parametrize(
    "operation",
    [
        an_operation(path="/pets/{undeclared}"),
        an_operation(Parameter(name="X Y", where="header", argument="note")),
        an_operation(Parameter(name="X\r\nY", where="header", argument="note")),
        an_operation(body=Body(media_type="text/plain\r\nX: 1", argument="note")),
    ],
)
def test_a_fault_of_the_description_is_told_as_one(operation: Operation) -> None:
    with pytest.raises(InvalidRequest, match="correct the API's description"):
        build_request(operation, {"note": "x"}, BASE)


def test_a_prepared_request_shows_no_values() -> None:
    prepared = HttpRequest(
        method="GET", url=f"{BASE}/x?key=hunter2", headers={"A": "hunter2"}, content=b"hunter2"
    )
    assert repr(prepared) == "HttpRequest(GET https://api.test/v1/x, 7 bytes)"


texts = st.text(st.characters(codec=None), max_size=12) | st.sampled_from(
    ["..", ".", "%2e", "\r\nA: b", "//x"]
)
nested = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
places = [
    ("path", "simple"),
    ("path", "label"),
    ("path", "matrix"),
    ("query", "form"),
    ("query", "deepObject"),
]
places += [("query", "pipeDelimited"), ("header", "simple"), ("cookie", "form")]


@given(
    place=st.sampled_from(places), explode=st.booleans(), reserved=st.booleans(), first=nested, second=nested
)
def test_whatever_the_arguments_the_request_stays_under_its_base(
    wire: Wire, place: tuple[Any, str], explode: bool, reserved: bool, first: Any, second: Any
) -> None:
    where, style = place
    name = "X-One" if where == "header" else "one"
    one = Parameter(
        name=name, where=where, argument="one", style=style, explode=explode, allow_reserved=reserved
    )
    two = Parameter(name="two", where="path", argument="two")
    path = "/{one}/{two}/end" if where == "path" else "/fixed/{two}/end"
    args = {"one": first, "two": second}
    try:
        received = wire.call(an_operation(one, two, path=path), args)
    except InvalidArguments:
        return
    assert received.path.startswith("/api/v1/")
    assert received.path.count("/") == 5
    decoded = unquote(received.path).replace("\\", "/")
    assert posixpath.normpath(decoded).lstrip("/").startswith("api/v1/")
    assert decoded.endswith("/end")
    assert "#" not in received.target
    added = {header.lower() for header in received.headers} - {
        "host",
        "accept",
        "user-agent",
        "accept-encoding",
    }
    assert added <= {"x-one", "cookie", "content-length"}


@given(values=st.dictionaries(st.sampled_from("abc"), st.text(max_size=30)), reserved=st.booleans())
def test_a_servers_own_parser_reads_exactly_the_querys_values(
    wire: Wire, values: dict[str, str], reserved: bool
) -> None:
    parameters = [
        Parameter(name=f"{name}[é&]", where="query", argument=name, style="form", allow_reserved=reserved)
        for name in "abc"
    ]
    received = wire.call(an_operation(*parameters), values)
    read = dict(parse_qsl(received.query, keep_blank_values=True))
    assert read == {f"{name}[é&]": value for name, value in values.items()}
