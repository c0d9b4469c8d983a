"""Every style, exploded or not, with every type: the server reads exactly the values that were given."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.connectors.openapi.document.operation import Parameter
from smart_support.connectors.openapi.request.request import build_request
from smart_support.errors import InvalidArguments
from tests.support.wire import Received, Wire, an_operation

DELIMITERS = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}
ON_PATH = ["simple", "label", "matrix"]
PAIRED = ["form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject"]
ALL = [("path", style, explode) for style in ON_PATH for explode in (False, True)]
ALL += [("query", style, explode) for style in PAIRED for explode in (False, True)]
ALL += [("header", "simple", explode) for explode in (False, True)]
ALL += [("cookie", "form", explode) for explode in (False, True)]

AWKWARD = "a/b?c#d%2Fé&e=f g+h\u2028😀"
VALUES = {
    "text": AWKWARD,
    "number": 12,
    "boolean": True,
    "array": ["blue", AWKWARD, "black"],
    "object": {"R": "100", "gré/en": AWKWARD, "B": "150"},
}
PLAIN = {"text": "blue", "number": 12, "array": ["blue", "black"], "object": {"R": "100", "G": "200"}}


def _parameter(where: Any, style: str, explode: bool, **more: Any) -> Parameter:
    name = "X-Color" if where == "header" else "color"
    return Parameter(name=name, where=where, argument="wanted", style=style, explode=explode, **more)


def _received(wire: Wire, parameter: Parameter, value: Any) -> Received:
    path = "/pets/{color}/end" if parameter.where == "path" else "/pets"
    return wire.call(an_operation(parameter, path=path), {"wanted": value})


def _read(received: Received, parameter: Parameter, kind: str) -> Any:
    """What a server makes of it that follows the tables of OpenAPI and RFC 6570, written apart from ours."""
    match parameter.where:
        case "path":
            text = received.path.removeprefix("/api/v1/pets/").removesuffix("/end")
            return _from_path(text, parameter, kind)
        case "header":
            return _from_text(received.headers["X-Color"], ",", parameter.explode, kind)
        case "query":
            return _from_pairs(received.query.split("&"), parameter, kind)
        case "cookie":
            return _from_pairs(received.headers["Cookie"].split("; "), parameter, kind)


def _from_path(text: str, parameter: Parameter, kind: str) -> Any:
    if parameter.style == "matrix":
        assert text[0] == ";"
        return _from_pairs(text[1:].split(";"), parameter, kind)
    if parameter.style == "simple":
        return _from_text(text, ",", parameter.explode, kind)
    assert text[0] == "."
    return _from_text(text[1:], "." if parameter.explode else ",", parameter.explode, kind)


def _from_text(text: str, delimiter: str, explode: bool, kind: str) -> Any:
    if kind not in {"array", "object"}:
        return unquote(text)
    members = text.split(delimiter)
    if kind == "array":
        return [unquote(member) for member in members]
    if explode:
        return {unquote(name): unquote(value) for name, value in (member.split("=") for member in members)}
    return {unquote(name): unquote(value) for name, value in zip(members[::2], members[1::2], strict=True)}


def _from_pairs(texts: list[str], parameter: Parameter, kind: str) -> Any:
    pairs = [(unquote(name), value) for name, _, value in (text.partition("=") for text in texts)]
    if parameter.style == "deepObject" and kind in {"array", "object"}:
        members = {name.removeprefix("color[").removesuffix("]"): unquote(value) for name, value in pairs}
        return members if kind == "object" else [members[str(at)] for at in range(len(members))]
    if kind == "object" and parameter.explode:
        return {name: unquote(value) for name, value in pairs}
    assert {name for name, _ in pairs} == {"color"}
    if kind == "array" and parameter.explode:
        return [unquote(value) for _, value in pairs]
    ((_, value),) = pairs
    return _from_text(value, DELIMITERS.get(parameter.style, ","), False, kind)


def _as_texts(value: Any) -> Any:
    return {True: "true", 12: "12"}.get(value, value) if not isinstance(value, list | dict) else value


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(("where", "style", "explode"), ALL)
def test_the_server_reads_the_value_that_was_given(
    wire: Wire, where: str, style: str, explode: bool, kind: str
) -> None:
    parameter = _parameter(where, style, explode)
    value = (PLAIN if where == "header" or "Delimited" in style else VALUES).get(kind, VALUES[kind])
    assert _read(_received(wire, parameter, value), parameter, kind) == _as_texts(value)


# The examples of OpenAPI 3.1.1, "Style Examples", which are those of RFC 6570.
BLUE, COLORS, RGB = "blue", ["blue", "black", "brown"], {"R": 100, "G": 200, "B": 150}
EXAMPLES = [
    ("path", "matrix", False, "", ";color"),
    ("path", "matrix", False, BLUE, ";color=blue"),
    ("path", "matrix", False, COLORS, ";color=blue,black,brown"),
    ("path", "matrix", False, RGB, ";color=R,100,G,200,B,150"),
    ("path", "matrix", True, COLORS, ";color=blue;color=black;color=brown"),
    ("path", "matrix", True, RGB, ";R=100;G=200;B=150"),
    ("path", "label", False, BLUE, ".blue"),
    ("path", "label", False, COLORS, ".blue,black,brown"),
    ("path", "label", False, RGB, ".R,100,G,200,B,150"),
    ("path", "label", True, COLORS, ".blue.black.brown"),
    ("path", "label", True, RGB, ".R=100.G=200.B=150"),
    ("path", "simple", False, BLUE, "blue"),
    ("path", "simple", False, COLORS, "blue,black,brown"),
    ("path", "simple", False, RGB, "R,100,G,200,B,150"),
    ("path", "simple", True, COLORS, "blue,black,brown"),
    ("path", "simple", True, RGB, "R=100,G=200,B=150"),
    ("query", "form", False, "", "color="),
    ("query", "form", False, BLUE, "color=blue"),
    ("query", "form", False, COLORS, "color=blue,black,brown"),
    ("query", "form", False, RGB, "color=R,100,G,200,B,150"),
    ("query", "form", True, COLORS, "color=blue&color=black&color=brown"),
    ("query", "form", True, RGB, "R=100&G=200&B=150"),
    ("query", "spaceDelimited", False, COLORS, "color=blue%20black%20brown"),
    ("query", "spaceDelimited", False, RGB, "color=R%20100%20G%20200%20B%20150"),
    ("query", "pipeDelimited", False, COLORS, "color=blue%7Cblack%7Cbrown"),
    ("query", "pipeDelimited", False, RGB, "color=R%7C100%7CG%7C200%7CB%7C150"),
    ("query", "tabDelimited", False, COLORS, "color=blue%09black%09brown"),
    ("query", "deepObject", True, RGB, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
]


@pytest.mark.parametrize(("where", "style", "explode", "value", "written"), EXAMPLES)
def test_the_examples_of_the_standard_are_written_as_it_writes_them(
    wire: Wire, where: str, style: str, explode: bool, value: Any, written: str
) -> None:
    received = _received(wire, _parameter(where, style, explode), value)
    expected = f"/api/v1/pets/{written}/end" if where == "path" else f"/api/v1/pets?{written}"
    assert received.target == expected


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (3.0, "3"),
        (2.50, "2.5"),
        (-0.1, "-0.1"),
        (10**30, "1" + "0" * 30),
        (False, "false"),
        (True, "true"),
        ("007", "007"),
        ("1e3", "1e3"),
        ([1.0, None, True], "1,true"),
        ([{"a": 1}, [2]], "%7B%22a%22%3A1%7D,%5B2%5D"),
    ],
)
def test_numbers_have_no_exponent_and_nested_values_are_json(wire: Wire, value: Any, written: str) -> None:
    assert _received(wire, _parameter("query", "form", False), value).query == f"color={written}"


@pytest.mark.parametrize("style", PAIRED)
@pytest.mark.parametrize("explode", [False, True])
@pytest.mark.parametrize("value", [None, [], {}, [None], {"a": None}])
def test_what_is_null_or_empty_is_left_out_of_a_query(
    wire: Wire, style: str, explode: bool, value: Any
) -> None:
    assert _received(wire, _parameter("query", style, explode), value).target == "/api/v1/pets"


@pytest.mark.parametrize("value", [None, [], {}])
def test_what_is_null_or_empty_sends_no_header_and_no_cookie(wire: Wire, value: Any) -> None:
    assert "X-Color" not in _received(wire, _parameter("header", "simple", False), value).headers
    assert "Cookie" not in _received(wire, _parameter("cookie", "form", False), value).headers


def test_a_deep_object_goes_on_in_brackets(wire: Wire) -> None:
    value = {"price": {"gte": 5, "lt": 9.5}, "tags": ["a b", {"x": True}]}
    query = _received(wire, _parameter("query", "deepObject", True), value).query
    assert (
        unquote(query) == "color[price][gte]=5&color[price][lt]=9.5&color[tags][0]=a b&color[tags][1][x]=true"
    )


def test_reserved_characters_stay_where_they_are_allowed_and_harmless(wire: Wire) -> None:
    parameter = _parameter("query", "form", False, allow_reserved=True)
    query = _received(wire, parameter, "a/b:c?d,e&f#g%26h+i;j=k").query
    assert query == "color=a/b:c?d,e%26f%23g%2526h%2Bi%3Bj=k"
    # A comma in an item is no separator, allowed or not.
    assert _received(wire, parameter, ["a,b", "c/d"]).query == "color=a%2Cb,c/d"
    cookie = _parameter("cookie", "form", False, allow_reserved=True)
    assert _received(wire, cookie, "a,b").headers["Cookie"] == "color=a%2Cb"


@pytest.mark.parametrize("where", ["path", "query", "header", "cookie"])
def test_a_parameter_with_content_is_one_json_document(wire: Wire, where: str) -> None:
    parameter = _parameter(where, "simple", False, media_type="application/json")
    received = _received(wire, parameter, {"é/": [1, None]})
    raw = {
        "path": received.path.removeprefix("/api/v1/pets/").removesuffix("/end"),
        "query": received.query.removeprefix("color="),
        "header": received.headers["X-Color"],
        "cookie": (received.headers["Cookie"] or "").removeprefix("color="),
    }[where]
    assert unquote(raw) == ('{"\\u00e9/":[1,null]}' if where == "header" else '{"é/":[1,null]}')


@pytest.mark.parametrize(
    ("where", "style", "explode", "value", "why"),
    [
        ("query", "pipeDelimited", False, ["a|b"], "separates"),
        ("query", "spaceDelimited", False, {"a b": 1}, "separates"),
        ("query", "tabDelimited", False, ["a\tb"], "separates"),
        ("query", "deepObject", True, {"a][b": 1}, "separate names"),
        ("query", "deepObject", True, {"": 1}, "separate names"),
        ("path", "label", True, ["1.5", "2"], "separates"),
        ("header", "simple", False, ["a,b"], "separates"),
        ("header", "simple", True, {"a=b": "c"}, "ends a name"),
        ("header", "simple", False, " a", "space"),
        ("header", "simple", False, "é", "ASCII"),
        ("header", "simple", False, ["a", "b\r\nX-Evil: 1"], "ASCII"),
        ("query", "form", True, "\ud800", "surrogate"),
        ("query", "form", True, {"\ud800": 1}, "surrogate"),
        ("path", "simple", False, ["\ud800"], "surrogate"),
        ("query", "form", True, float("nan"), "finite"),
        ("query", "form", True, [float("inf")], "finite"),
        ("query", "form", True, [10**5000], "digits"),
    ],
)
def test_what_would_arrive_as_something_else_is_refused_by_name(
    where: str, style: str, explode: bool, value: Any, why: str
) -> None:
    path = "/pets/{color}" if where == "path" else "/pets"
    with pytest.raises(InvalidArguments, match=f"wanted: .*{why}"):
        build_request(
            an_operation(_parameter(where, style, explode), path=path), {"wanted": value}, "https://api.test"
        )


def test_what_is_nested_too_deeply_is_refused_by_name() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    for style in ("form", "deepObject"):
        with pytest.raises(InvalidArguments, match=r"wanted: .*nested"):
            build_request(
                an_operation(_parameter("query", style, True)), {"wanted": value}, "https://api.test"
            )


texts = st.text(max_size=20)
anything = st.one_of(
    texts,
    st.lists(texts, min_size=1, max_size=4),
    st.dictionaries(texts.filter(lambda name: name != ""), texts, min_size=1, max_size=4),
)


@given(where_style_explode=st.sampled_from(ALL), value=anything)
def test_whatever_the_value_it_arrives_as_it_is_or_is_refused(
    wire: Wire, where_style_explode: tuple[str, str, bool], value: Any
) -> None:
    parameter = _parameter(*where_style_explode)
    kind = {list: "array", dict: "object"}.get(type(value), "text")
    try:
        received = _received(wire, parameter, value)
    except InvalidArguments as error:
        assert parameter.where in {"path", "header"} or "Delimited" in parameter.style or "[" in str(error)
        return
    assert _read(received, parameter, kind) == value
