"""Descriptions are read as they were meant, and foreign or hostile bytes get one line on what they are."""

import json
import re
import resource

import orjson
import pytest
import ryaml
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_support.connectors.openapi.document import reader
from smart_support.connectors.openapi.document.reader import InvalidSpec, load
from tests.support.cpu_cost import cost
from tests.support.examples import examples

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "brackets": "[" * 200_000,
    "brackets in YAML": "openapi: 3.0.0\nx: " + "[" * 200_000,
    "braces": "openapi: 3.0.0\nx: " + "{a: " * 50_000,
    "closed brackets": "[" * 100_000 + "]" * 100_000,
    "alias bomb": BOMB,
    "repeated alias": f"a: &a [{'1,' * 1000}1]\nc:\n" + "  - *a\n" * 30_000,
    "alias of itself": "openapi: 3.0.0\na: &a [*a]\n",
    "steps": "".join(" " * depth + "a:\n" for depth in range(3000)),
    "dashes": "- " * 100_000,
    "keys of keys": "? " * 100_000,
    "deep JSON": '{"openapi": "3.0.0", "a": ' + "[" * 900 + "]" * 900 + "}",
    "many values": '{"openapi": "3.0.0", "a": [' + "{}," * 3_000_000 + "0]}",
}


def _fault(raw: bytes | str) -> str:
    with pytest.raises(InvalidSpec) as caught:
        load(raw)
    assert "\n" not in caught.value.message
    assert (caught.value.code, caught.value.status) == ("invalid_spec", 422)
    return caught.value.message


def test_json_and_yaml_read_alike() -> None:
    assert load('{"openapi": "3.0.0", "paths": {}}') == load(b"openapi: 3.0.0\npaths: {}\n")


def test_json_with_a_comment_or_a_comma_too_many_is_read_as_yaml() -> None:
    assert load('{"openapi": "3.0.0", # new\n "a": 1,}') == {"openapi": "3.0.0", "a": 1}


def test_keys_become_text_and_dates_stay_text() -> None:
    document = load("swagger: '2.0'\n200: {true: a, null: b}\nday: 2020-01-01\nbad: 2020-13-45\n1.5: c\n")
    assert document == {
        "swagger": "2.0",
        "200": {"true": "a", "null": "b"},
        "day": "2020-01-01",
        "bad": "2020-13-45",
        "1.5": "c",
    }


def test_integers_beyond_64_bits_become_floats_and_no_others() -> None:
    text = (
        "openapi: 3.0.0\na: 18446744073709551616\nb: [-9223372036854775809, 18446744073709551615]\nc: '{0}'\n"
    )
    document = load(text.format("1" * 30))
    assert document["a"] == 2.0**64
    assert document["b"] == [-(2.0**63), 2**64 - 1]
    assert isinstance(document["b"][1], int)
    assert document["c"] == "1" * 30
    assert load('{"openapi": "3.0.0", "a": 18446744073709551616}')["a"] == 2.0**64


def test_merge_keys_are_carried_out() -> None:
    document = load(
        "openapi: 3.0.0\na: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\nc: {<<: [{z: 3}, *a]}\nd: {<<: text}\n"
    )
    assert document["b"] == {"x": 1, "y": 2}
    assert document["c"] == {"x": 1, "y": 1, "z": 3}
    assert document["d"] == {"<<": "text"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    assert load("openapi: 3.0.0\ntitle: Bücher".encode(encoding))["title"] == "Bücher"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"# nothing\n", "only a comment"),
        ("<!DOCTYPE html><html>", "web page; enter the URL of the JSON or YAML"),
        ("\n<html lang=en>", "web page"),
        ("<?xml version='1.0'?><wsdl>", "XML"),
        ("[1]", "a list"),
        ("- a\n", "a list"),
        ("just words", "only text or a number ('just words')"),
        ("asyncapi: 2.0.0\ninfo: {}", "its top-level keys are: `asyncapi`, `info`"),
        ("{}", "keys are: none"),
        ("swagger: 1.2", "`swagger: 1.2` is not a supported version"),
        ("openapi: 4.0.0", "`openapi: 4.0.0` is not a supported version"),
        ("openapi: 2.0", "`openapi: 2.0` is not a supported version"),
        ("openapi: [3]", "is not a supported version"),
        (b"openapi: 3.0.0\na: \xff", "not valid utf-8 at line 2 column 4"),
        ('openapi: "\ud800"', "incomplete character"),
        ('{"openapi":\n "3.0.0",, }', "at line 2 column 10"),
        ('openapi: 3.0.0\na: "x\n', "line 3 column 1"),
        ("openapi: 3.0.0\na: 1\nb: 2\n'a': 2\n", 'duplicate entry with key "a", at line 4 column 1'),
        ("openapi: 3.0.0\na:\n  b: 1\n  b: 2\n", 'duplicate entry with key "b" at line 3 column 3'),
        ("openapi: 3.0.0\npaths:\n\t/a: {}", "at line 3 column 1"),
        ("openapi: 3.0.0\nü: \0", "control characters are not allowed at line 2 column 4"),
        ("openapi: 3.0.0\n? [a]\n: 1\n", "a key is an object or array"),
        ("openapi: 3.0.0\n---\na: 1\n", "more than one document is not supported, at line 2 column 1"),
        ("openapi: 3.0.0\na: 0xffffffffffffffffffff\n", "integer"),
    ],
)
def test_what_is_no_description_is_told_apart(raw: bytes | str, said: str) -> None:
    assert said in _fault(raw)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            '{"openapi": "3.0.0",\n "openapi": "3.1.0"}',
            "`openapi` twice at the top level, again at line 2 column 2;",
        ),
        (
            '{"openapi": "3.0.0", "paths": {"/a": {"get": [{}, {"x": {}, "x": 1}]}}}',
            "`x` twice in `/paths/~1a/get/1`, again at line 1 column 61;",
        ),
        (r'{"openapi": "3.0.0", "ab": 1, "\u0061b": 2}', "the key `ab` twice"),
        (r'{"openapi": "3.0.0", "d": "\u003a", "d": "\u003A"}', "the key `d` twice"),
        ("openapi: 3.0.0\nx:\n  200: {}\n  '200': {}\n", "the key `200` twice in `/x`; parsers"),
        ('{"openapi": "3.0.0", # new\n "a": 1, "a": 2}', "not valid JSON"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_place(raw: str, said: str) -> None:
    assert said in _fault(raw)


_JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(':"\\\\{}[], u03aA', max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a:"\\\\', max_size=3), inner, max_size=3)
    ),
)


@given(_JSON, st.booleans(), st.sampled_from([None, 2]))
def test_any_text_without_such_a_key_is_read(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps({"openapi": "3.0.0", "x": value}, ensure_ascii=ascii_only, indent=indent)
    assert load(text)["x"] == value


@given(_JSON, _JSON, st.booleans())
def test_whatever_stands_twice_is_found(one: object, other: object, escaped: bool) -> None:
    again = r"\u0078" if escaped else "x"
    said = _fault(
        f'{{"openapi": "3.0.0", "y": [{{"x": {json.dumps(one)}, "{again}": {json.dumps(other)}}}]}}'
    )
    assert "the key `x` twice in `/y/0`" in said


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_a_large_document_is_read_in_pieces_and_is_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {
        "openapi": "3.0.0",
        "paths": {f"/{n}": {"get": {"tags": ["x" * n]}} for n in range(40)},
        "components": {"schemas": {"A": {"properties": {"p": {"enum": [*range(99)]}}}, "B": {}}},
        "x-long": [*range(200)],
    }
    read = []
    loads = orjson.loads
    monkeypatch.setattr(reader, "PIECE_BYTES", 100)
    monkeypatch.setattr(reader.orjson, "loads", lambda raw: read.append(len(raw)) or loads(raw))
    text = json.dumps(document) if kind == "json" else ryaml.dumps(document)

    assert json.dumps(load(text)) == json.dumps(document)
    assert len(read) > 40
    assert max(read) < 1_000


@pytest.mark.parametrize("place", ["", "  "])
def test_a_key_that_is_a_number_becomes_text_in_a_large_document_too(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PIECE_BYTES", 10)
    text = f"openapi: 3.0.0\nresponses:\n  200: {{}}\n{place}404: {{a: b}}\n"

    document = load(text)

    assert "200" in document["responses"]
    assert (document["responses"] if place else document)["404"] == {"a": "b"}


@pytest.mark.slow
def test_a_large_document_with_a_duplicate_key_or_an_error_is_still_refused_with_its_place() -> None:
    filler = '"x": [' + '"y", ' * 200_000 + '"y"], '
    assert "`x` twice at the top level" in _fault('{"openapi": "3.0.0", ' + filler + '"x": 1}')
    assert "not valid JSON" in _fault('{"openapi": "3.0.0", ' + filler + ":")


def test_brackets_in_prose_are_no_depth() -> None:
    prose = "".join(f"  k{line}: see [{line}\n" for line in range(300))
    assert len(load(f"openapi: 3.0.0\nx:\n{prose}")["x"]) == 300


@pytest.mark.parametrize("version", ["3.0", "3", "3.0.4", "3.1.1", "3.2.0"])
def test_every_version_of_openapi_3_is_taken(version: str) -> None:
    assert load(f"openapi: {version}")


def test_a_document_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidSpec, match="larger than 20 bytes"):
        load("openapi: 3.0.0\na: 1234", max_bytes=20)
    with pytest.raises(InvalidSpec, match="expanded aliases it is larger than 200"):
        load(f"openapi: 3.0.0\na: &a {'x' * 50}\nb: [*a, *a, *a, *a]", max_bytes=200)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_costs_little_time_and_memory(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faults: list[str] = []
    assert cost(lambda: faults.append(_fault(HOSTILE[name]))) < 60
    assert re.search(r"at line \d+ column \d+", faults[0]) or name == "many values"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@settings(max_examples=examples(100), deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: '{"openapi":' + text)))
def test_any_bytes_are_read_or_refused_in_one_line(raw: bytes | str) -> None:
    try:
        load(raw)
    except InvalidSpec as error:
        assert "\n" not in error.message
