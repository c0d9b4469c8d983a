"""Bodies arrive as they were given: JSON, forms, multipart with files, text and bytes."""

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import FormParser, parse_options_header

from smart_support.connectors.openapi.document.operation import Body
from smart_support.connectors.openapi.request.request import build_request
from smart_support.errors import InvalidArguments, InvalidRequest
from tests.support.wire import Received, Wire, an_operation

JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
NAMES = {"a": "a", "body_b": "b", "file": "file"}
FILE = {"type": "string", "contentEncoding": "base64"}
PNG = b"\x89PNG\r\n--boundary\r\n\x00\xff"


def _called(wire: Wire, args: dict[str, Any], media_type: str = JSON, **more: Any) -> Received:
    body = Body(media_type=media_type, **({"properties": NAMES} | more))
    return wire.call(an_operation(body=body), args)


def _type(received: Received) -> str | None:
    return received.headers["Content-Type"]


@pytest.mark.parametrize("media_type", [JSON, "application/vnd.x+json", "application/json; charset=utf-8"])
def test_a_null_stays_a_null_in_json_and_what_is_absent_stays_absent(wire: Wire, media_type: str) -> None:
    received = _called(wire, {"body_b": None, "other": 1}, media_type)
    assert (received.content, _type(received)) == (b'{"b":null}', media_type)


def test_any_type_is_sent_as_json_where_any_is_taken(wire: Wire) -> None:
    assert _type(_called(wire, {"a": 1}, "*/*")) == JSON


@pytest.mark.parametrize("media_type", [JSON, FORM, MULTIPART])
def test_without_arguments_an_optional_body_is_not_sent_and_a_required_one_is_empty(
    wire: Wire, media_type: str
) -> None:
    received = _called(wire, {}, media_type)
    assert (received.content, _type(received)) == (b"", None)
    required = _called(wire, {}, media_type, required=True)
    assert _type(required) is not None
    if media_type == JSON:
        assert required.content == b"{}"


@pytest.mark.parametrize("value", [None, False, 0, "", [], [1, None], {"a": None}, 2**64, 10**40, 1e22])
def test_a_body_that_is_one_argument_arrives_whole(wire: Wire, value: Any) -> None:
    received = _called(wire, {"body": value}, properties={}, argument="body", required=True)
    assert json.loads(received.content) == value
    assert _called(wire, {}, properties={}, argument="body").content == b""


def test_an_optional_body_needs_its_required_properties_only_when_it_is_sent(wire: Wire) -> None:
    schema = {"required": ["b"]}
    assert _called(wire, {}, schema=schema).content == b""
    with pytest.raises(InvalidArguments, match="missing required arguments: body_b"):
        _called(wire, {"a": 1}, schema=schema)


def test_a_required_body_that_is_one_argument_is_asked_for(wire: Wire) -> None:
    for media_type, args in ((JSON, {}), ("text/plain", {}), ("text/plain", {"body": None})):
        with pytest.raises(InvalidArguments, match="missing required arguments: body"):
            _called(wire, args, media_type, properties={}, argument="body", required=True)


def test_a_form_has_objects_as_json_arrays_under_one_name_and_no_nulls(wire: Wire) -> None:
    received = _called(wire, {"a": {"x": [1, None]}, "body_b": [True, "ü &+", {"y": 1}], "file": None}, FORM)
    assert _type(received) == FORM
    assert parse_qsl(received.content.decode()) == [
        ("a", '{"x":[1,null]}'),
        ("b", "true"),
        ("b", "ü &+"),
        ("b", '{"y":1}'),
    ]


@pytest.mark.parametrize(
    ("encoding", "read"),
    [
        ({"style": "deepObject"}, [("a[x]", "1"), ("a[y][0]", "2")]),
        ({"style": "form"}, [("x", "1"), ("y", "[2]")]),
        ({"explode": False}, [("a", "x,1,y,[2]")]),
        ({"contentType": "application/json"}, [("a", '{"x":1,"y":[2]}')]),
    ],
)
def test_a_forms_properties_are_written_as_their_encoding_says(
    wire: Wire, encoding: dict[str, Any], read: list[tuple[str, str]]
) -> None:
    received = _called(wire, {"a": {"x": 1, "y": [2]}}, FORM, encodings={"a": encoding})
    assert parse_qsl(received.content.decode()) == read


def test_a_member_can_not_pass_for_another_field_of_a_form(wire: Wire) -> None:
    with pytest.raises(InvalidArguments, match="a: its member b has the name of another"):
        _called(wire, {"a": {"b": 1}}, FORM, encodings={"a": {"style": "form"}})


def test_a_form_that_is_one_argument_takes_an_object(wire: Wire) -> None:
    whole = {"properties": {}, "argument": "body"}
    received = _called(wire, {"body": {"a": "1", "b": [2, 3]}}, FORM, **whole)
    assert parse_qsl(received.content.decode()) == [("a", "1"), ("b", "2"), ("b", "3")]
    with pytest.raises(InvalidArguments, match="body: the API requires a form; pass an object"):
        _called(wire, {"body": "a=1"}, FORM, **whole)


def _parts(received: Received) -> list[tuple[str, str | None, str | None, bytes]]:
    """Name, file name, type and content of each part, as python-multipart reads them (but for the type)."""
    kind, options = parse_options_header(_type(received))
    assert kind == MULTIPART.encode()
    read: list[tuple[str, str | None, bytes]] = []
    parser = FormParser(
        MULTIPART,
        lambda field: read.append((field.field_name.decode(), None, field.value or b"")),
        lambda file: read.append((file.field_name.decode(), file.file_name.decode(), _content(file))),
        boundary=options[b"boundary"],
    )
    parser.write(received.content)
    parser.finalize()
    heads = [part.partition(b"\r\n\r\n")[0] for part in received.content.split(b"--" + options[b"boundary"])]
    types = [_content_type(head) for head in heads[1:-1]]
    return [
        (name, filename, kind, content) for (name, filename, content), kind in zip(read, types, strict=True)
    ]


def _content(file: Any) -> bytes:
    file.file_object.seek(0)
    content = file.file_object.read()
    assert isinstance(content, bytes)
    return content


def _content_type(head: bytes) -> str | None:
    lines = [line for line in head.decode().split("\r\n") if line.startswith("Content-Type: ")]
    return lines[0].removeprefix("Content-Type: ") if lines else None


def test_multipart_carries_files_as_bytes_objects_as_json_and_texts_as_they_are(wire: Wire) -> None:
    encoded = base64.b64encode(PNG).decode()
    received = _called(
        wire,
        {"a": {"x": None}, "body_b": ["é", None, 2], "file": [encoded, encoded]},
        MULTIPART,
        schema={"properties": {"file": {"type": "array", "items": FILE}}},
        encodings={"file": {"contentType": "image/png, image/jpeg"}},
    )
    assert _parts(received) == [
        ("a", None, "application/json", b'{"x":null}'),
        ("b", None, None, "é".encode()),
        ("b", None, None, b"2"),
        ("file", "file.png", "image/png", PNG),
        ("file", "file.png", "image/png", PNG),
    ]


@pytest.mark.parametrize(
    "schema",
    [
        FILE,
        {"type": "string", "format": "binary"},
        {"anyOf": [FILE, {"type": "null"}]},
        {"$ref": "#/$defs/Picture"},
    ],
)
def test_a_file_is_recognised_however_its_schema_says_so(wire: Wire, schema: dict[str, Any]) -> None:
    whole = {"properties": {"file": schema}, "$defs": {"Picture": FILE}}
    received = _called(wire, {"file": base64.b64encode(PNG).decode()}, MULTIPART, schema=whole)
    assert _parts(received) == [("file", "file.png", "image/png", PNG)]


def test_a_schema_that_refers_to_itself_ends(wire: Wire) -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/T"}}, "$defs": {"T": {"items": {"$ref": "#/$defs/T"}}}}
    assert _parts(_called(wire, {"a": "x"}, MULTIPART, schema=schema)) == [("a", None, None, b"x")]


def test_a_parts_type_is_the_encodings_where_it_is_one(wire: Wire) -> None:
    encodings = {
        "a": {"contentType": "application/json"},
        "b": {"contentType": "text/csv\r\nX-Evil: 1"},
        "file": {"contentType": "image/*"},
    }
    schema = {"properties": {"file": FILE}}
    received = _called(
        wire, {"a": [1, "x"], "body_b": "y", "file": ""}, MULTIPART, encodings=encodings, schema=schema
    )
    assert _parts(received) == [
        ("a", None, "application/json", b'[1,"x"]'),
        ("b", None, None, b"y"),
        ("file", "file.bin", "application/octet-stream", b""),
    ]


@given(name=st.text(min_size=1, max_size=20), values=st.lists(st.text(max_size=40), max_size=4))
def test_no_text_adds_a_part_or_a_parts_header(wire: Wire, name: str, values: list[str]) -> None:
    received = _called(wire, {"body": {name: values}}, MULTIPART, properties={}, argument="body")
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    read = _parts(received)
    assert [content for *_, content in read] == [value.encode() for value in values]
    assert all(head[1:3] == (None, None) for head in read)
    if "\\" not in name:  # which python-multipart takes for an escape
        assert {head[0] for head in read} <= {escaped}


def test_text_and_bytes_are_sent_as_what_they_are(wire: Wire) -> None:
    whole = {"properties": {}, "argument": "body"}
    text = _called(wire, {"body": "é\r\n"}, "text/plain", **whole)
    assert (text.content, _type(text)) == ("é\r\n".encode(), "text/plain; charset=utf-8")
    number = _called(wire, {"body": 1e21}, "text/plain", **whole)
    assert number.content == b"1" + b"0" * 21
    nothing = _called(wire, {"body": None}, "text/plain", **whole)
    assert (nothing.content, _type(nothing)) == (b"", None)
    encoded = base64.b64encode(PNG).decode()
    for media_type, schema in (("application/octet-stream", {}), ("image/png", {}), ("x/y", FILE)):
        received = _called(wire, {"body": encoded}, media_type, schema=schema, **whole)
        assert (received.content, _type(received)) == (PNG, media_type)


@pytest.mark.parametrize(
    ("media_type", "value", "why"),
    [
        ("application/octet-stream", "not base64!", "not base64"),
        ("application/octet-stream", "YQ", "padding"),
        ("application/octet-stream", 7, "not base64"),
        ("application/xml", {"a": 1}, "requires application/xml; pass it as text"),
        ("text/plain", "\ud800", "surrogate"),
        (JSON, {"a": ["\ud800"]}, "surrogate"),
        (JSON, [float("nan")], "finite"),
        (JSON, [10**5000], "digits"),
        (MULTIPART, {"\ud800": 1}, "surrogate"),
    ],
)
def test_a_body_that_can_not_be_written_is_refused_by_name(media_type: str, value: Any, why: str) -> None:
    body = Body(media_type=media_type, argument="body")
    with pytest.raises(InvalidArguments, match=rf"^body.*: .*{why}"):
        build_request(an_operation(body=body), {"body": value}, "https://api.test")


def test_properties_that_no_media_type_holds_are_the_descriptions_fault(wire: Wire) -> None:
    with pytest.raises(InvalidRequest, match="application/xml body can't have properties"):
        _called(wire, {"a": 1}, "application/xml")


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(args=st.fixed_dictionaries({}, optional={"a": nested, "body_b": nested}))
def test_whatever_json_is_given_the_server_reads_exactly_that(wire: Wire, args: dict[str, Any]) -> None:
    received = _called(wire, args, required=True)
    assert json.loads(received.content) == {NAMES[argument]: value for argument, value in args.items()}


def test_a_parts_array_is_joined_as_its_style_says_and_an_object_is_one_part_a_member(wire: Wire) -> None:
    encodings = {"a": {"style": "form", "explode": False}, "b": {"style": "deepObject", "explode": True}}
    encodings["file"] = {"style": "pipeDelimited", "explode": False}
    args = {"a": ["x", "y z"], "body_b": {"k": {"m": "é"}}, "file": [1, 2]}
    received = _called(wire, args, MULTIPART, encodings=encodings)
    expected = [("a", b"x,y z"), ("b[k][m]", "é".encode()), ("file", b"1|2")]
    assert [(name, content) for name, _, _, content in _parts(received)] == expected
    with pytest.raises(InvalidArguments, match="contains ','"):
        _called(wire, {"a": ["x,y"]}, MULTIPART, encodings=encodings)


def test_of_several_types_of_a_file_the_one_of_its_bytes_is_sent(wire: Wire) -> None:
    encodings = {"file": {"contentType": "image/jpeg, image/png"}}
    schema = {"properties": {"file": FILE}}
    args = {"file": base64.b64encode(PNG).decode()}
    received = _called(wire, args, MULTIPART, encodings=encodings, schema=schema)
    assert _parts(received) == [("file", "file.png", "image/png", PNG)]


def test_base64_that_the_api_itself_takes_is_sent_as_it_is(wire: Wire) -> None:
    schema = {"properties": {"file": {"type": "string", "contentEncoding": "base64", "format": "byte"}}}
    assert _parts(_called(wire, {"file": "QUJD"}, MULTIPART, schema=schema)) == [
        ("file", None, None, b"QUJD")
    ]


def test_reserved_characters_of_a_form_stay_where_it_allows_them(wire: Wire) -> None:
    received = _called(wire, {"a": "/x?y=1&z"}, FORM, encodings={"a": {"allowReserved": True}})
    assert received.content == b"a=/x?y=1%26z"


def test_a_list_is_sent_as_one_document_a_line(wire: Wire) -> None:
    received = _called(
        wire, {"body": [{"a": 1}, {"a": "ü"}]}, "application/x-ndjson", properties={}, argument="body"
    )
    assert received.content == '{"a":1}\n{"a":"ü"}\n'.encode()
