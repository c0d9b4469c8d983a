"""An answer is JSON, text in its charset, or a file."""

from typing import Any

import orjson
import pytest

from smart_support.connectors.response_decoding import BinaryAnswer, decoded

PNG = b"\x89PNG\r\n\x00\xff"


@pytest.mark.parametrize(
    ("content", "content_type", "value"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'{"a": 1}', "", {"a": 1}),
        (b'{"a": 1}', "application/octet-stream", {"a": 1}),
        ("Größe".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Größe"),
        ('{"a": "ü"}'.encode("utf-16"), 'application/json; charset="utf-16"', {"a": "ü"}),
        ("Größe".encode(), "text/plain; charset=no-such", "Größe"),
        ("Größe".encode(), "text/plain; charset=base64", "Größe"),
        (b"<svg/>", "image/svg+xml", "<svg/>"),
        (b"a,b\xff", "text/csv", "a,b\ufffd"),
        (b"", "image/png", ""),
        (b"", "", ""),
    ],
)
def test_json_and_text_are_read_in_their_charset(content: bytes, content_type: str, value: Any) -> None:
    assert decoded(content, content_type) == value


@pytest.mark.parametrize(
    "content_type", ["image/png", "application/pdf", "application/octet-stream", "", "application/json"]
)
def test_a_binary_answer_is_described_and_keeps_its_bytes(content_type: str) -> None:
    answer = decoded(PNG, content_type)
    assert isinstance(answer, BinaryAnswer)
    assert answer.content == PNG
    assert orjson.loads(orjson.dumps(dict(answer)))["bytes"] == len(PNG)
