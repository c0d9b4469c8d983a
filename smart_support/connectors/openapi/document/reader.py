"""Reads the bytes of an API description into one object, or raises an error that says what they are instead.

JSON is read here, YAML and large JSON in a separate process (yaml_process.py).
"""

import codecs
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from smart_support.connectors.openapi.document.nodes import label, pointer
from smart_support.errors import SmartSupportError

__all__ = ["InvalidSpec", "check_unique_keys", "format_of", "load"]

MAX_BYTES = 20_000_000

# Twice the number in the largest real documents. An empty container takes about 200 bytes of memory.
_MAX_VALUES = 3_000_000
_MAX_DEPTH = 250
# Reading a piece of JSON stops the whole app: this much takes about 10 ms.
PIECE_BYTES = 500_000
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_KEYS_AND_BRACKETS = re.compile(rb'("(?:[^"\\]|\\.)*")\s*(:)?|[\[\]{},]')
_ALIAS = re.compile(rb"(?<=[\s\[{,])\*[^\s\[\]{},]")
_YAML_PROCESS = Path(__file__).with_name("yaml_process.py")
# The process limits its own CPU time to much less; this is for a machine under load.
_YAML_SECONDS = 60
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


class InvalidSpec(SmartSupportError):
    """A description can't be read. The message is one line with the problem and, if known, its position."""

    code = "invalid_spec"
    status = 422


def load(raw: bytes | str, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read an OpenAPI 3 or Swagger 2.0 document in JSON or YAML. Keys are strings, dates stay strings.

    Integers above 64 bits become floats. Blocks, for YAML up to several seconds: call it in a thread.

    Args:
        max_bytes: the size limit, also of a YAML document with expanded aliases.

    Raises:
        InvalidSpec: it is not such a document.
    """
    content = _utf8(raw, max_bytes)
    start = content.lstrip()[:1000].lower()
    if not start:
        raise InvalidSpec("The document is empty; enter an OpenAPI or Swagger document.")
    if start.startswith(b"<"):
        raise InvalidSpec(_markup_message(start))
    document = _read(content, max_bytes)
    if not isinstance(document, dict):
        raise InvalidSpec(
            f"The document is {_kind(document)}, not an object with the key `openapi` or `swagger`."
        )
    format_of(document)
    return document


def check_unique_keys(content: bytes, encoded: bytes, *, is_source: bool = True) -> None:
    """Check that no object in a JSON text has a duplicate key: parsers differ in which value they use.

    Args:
        encoded: the parsed content, encoded as JSON again.
        is_source: the text is what its author wrote, so line numbers are useful.

    Raises:
        InvalidSpec: there is a duplicate key.
    """
    if not _may_have_duplicates(content, encoded) or not (duplicate := _first_duplicate(content)):
        return
    key, place, start = duplicate
    where = f"in `{place}`" if place else "at the top level"
    where += f", again {_at(content, start)}" if is_source else ""
    message = f"The document has the key `{key[:60]}` twice {where}"
    raise InvalidSpec(" ".join(message.split()) + "; parsers differ in which they use: remove one.")


def format_of(document: dict[str, Any]) -> str:
    """`openapi-3.1` (also for 3.2, which only adds to it), `openapi-3.0` or `swagger-2.0`.

    Raises:
        InvalidSpec: the version is missing or not supported.
    """
    key = next((key for key in ("openapi", "swagger") if key in document), None)
    if key is None:
        keys = ", ".join(f"`{key[:40]}`" for key in list(document)[:5]) or "none"
        raise InvalidSpec(
            f"The document has no `openapi` or `swagger` version; its top-level keys are: {keys}."
        )
    version = label(document[key])
    if key == "swagger" and version in {"2.0", "2"}:
        return "swagger-2.0"
    if key == "openapi" and version.split(".")[0] == "3":
        return "openapi-3.0" if version.split(".")[1:2] in ([], ["0"]) else "openapi-3.1"
    raise InvalidSpec(
        f"`{key}: {str(document[key])[:40]}` is not a supported version; convert it to OpenAPI 3."
    )


def _utf8(raw: bytes | str, max_bytes: int) -> bytes:
    if len(raw) > max_bytes:
        raise InvalidSpec(f"The document is larger than {max_bytes:,} bytes; remove what you don't need.")
    try:
        content = raw.encode() if isinstance(raw, str) else raw
        encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
        decoded = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidSpec(
            f"The document is not valid {error.encoding} {_at(error.object, error.start)}; save it as UTF-8."
        ) from None
    except UnicodeEncodeError as error:
        raise InvalidSpec(
            f"The document contains an incomplete character ({error.reason}); save it as UTF-8."
        ) from None
    return content if encoding == "utf-8" else decoded.encode()


def _at(content: bytes, place: int) -> str:
    before = content[:place]
    return f"at line {before.count(10) + 1} column {place - before.rfind(10)}"


def _too_deep_at(content: bytes) -> str:
    """The first position in a JSON text that is nested too deeply."""
    depth = 0
    for token in _BRACKETS.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > _MAX_DEPTH:
            return _at(content, token.start())
    return ""


def _markup_message(start: bytes) -> str:
    if b"<html" in start or b"<!doctype html" in start:
        return "This is a web page; enter the URL of the JSON or YAML document itself."
    return "This is XML; enter an OpenAPI or Swagger document in JSON or YAML."


def _kind(document: Any) -> str:
    if isinstance(document, list):
        return "a list"
    return "only a comment" if document is None else f"only text or a number ({str(document)[:40]!r})"


def _may_have_duplicates(content: bytes, encoded: bytes) -> bool:
    """A quick check by the number of colons, which parsing reduces for each duplicate key."""
    colons = content.count(b":") + content.count(rb"\u003a") + content.count(rb"\u003A")
    return colons != encoded.count(b":")


def _first_duplicate(content: bytes) -> tuple[str, str, int] | None:
    """The first duplicate key, the JSON Pointer of its object, and its position."""
    steps: list[str | int] = []
    keys: list[set[str]] = []
    for token in _KEYS_AND_BRACKETS.finditer(content):
        mark = token[0]
        if mark in (b"{", b"["):
            steps.append("" if mark == b"{" else 0)
            keys.append(set())
        elif mark in (b"}", b"]"):
            steps.pop()
            keys.pop()
        elif mark == b"," and isinstance(index := steps[-1], int):
            steps[-1] = index + 1
        elif token[2]:
            key: str = orjson.loads(token[1])
            if key in keys[-1]:
                return key, pointer("", *steps[:-1]), token.start()
            keys[-1].add(key)
            steps[-1] = key
    return None


def _read(content: bytes, max_bytes: int) -> Any:
    if content.lstrip()[:1] not in b"{[":
        return _joined(_yaml_to_json(content, max_bytes))
    if len(content) > PIECE_BYTES and (pieces := _large_json(content, max_bytes)):
        return _joined(pieces)
    try:
        return _json(content)
    except orjson.JSONDecodeError as error:
        fault = InvalidSpec(
            f"The document is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}."
        )
        if "depth limit" in error.msg:
            raise fault from None
    try:
        # JSON with comments or trailing commas may be valid YAML.
        return _joined(_yaml_to_json(content, max_bytes))
    except InvalidSpec:
        raise fault from None


def _joined(pieces: bytes) -> Any:
    """The document from the output of the process: one JSON text, or pieces, one a line."""
    first, *others = pieces.splitlines()
    if not others:
        return _json(first, is_source=False)
    _check_number_of_values(pieces)
    document: dict[str, Any] = orjson.loads(first)[1]
    for piece in others:
        steps, value = orjson.loads(piece)
        owner = document
        for step in steps[:-1]:
            owner = owner[step]
        owner[steps[-1]] = value
    return document


def _check_number_of_values(content: bytes) -> None:
    if sum(content.count(mark) for mark in (b",", b":", b"[", b"{")) > _MAX_VALUES:
        raise InvalidSpec(
            f"The document contains more than {_MAX_VALUES:,} values; remove what you don't need."
        )


def _json(content: bytes, *, is_source: bool = True) -> Any:
    """
    Raises:
        orjson.JSONDecodeError: it is not JSON.
        InvalidSpec: it takes too much memory, or has duplicate keys.
    """
    _check_number_of_values(content)
    document = orjson.loads(content)
    try:
        encoded = orjson.dumps(document)
    except (
        orjson.JSONEncodeError
    ):  # orjson decodes deeper nesting than it encodes, and the document is stored as JSON
        raise InvalidSpec(
            f"The document is nested more than {_MAX_DEPTH} levels deep {_too_deep_at(content)}."
        ) from None
    check_unique_keys(content, encoded, is_source=is_source)
    return document


def _yaml_to_json(content: bytes, max_bytes: int) -> bytes:
    """Converts YAML to JSON."""
    process = _converted("yaml", content, max_bytes)
    if process.returncode == 1 and process.stdout:
        fault = " ".join(process.stdout.decode(errors="replace").split())[:300]
        raise InvalidSpec(f"The document is not valid YAML: {fault}.")
    if process.returncode != 0:
        alias = _ALIAS.search(content)
        raise InvalidSpec(
            "The document takes too much time or memory to read: its brackets, braces or aliases are nested "
            "too deeply or repeated too often"
            + (f"; its first alias is {_at(content, alias.start())}." if alias else ".")
        )
    return process.stdout


def _large_json(content: bytes, max_bytes: int) -> bytes | None:
    """A large JSON text in pieces; None if it has an error or duplicate keys, which are found later."""
    _check_number_of_values(content)
    process = _converted("json", content, max_bytes)
    return process.stdout if process.returncode == 0 else None


def _converted(kind: str, content: bytes, max_bytes: int) -> "subprocess.CompletedProcess[bytes]":
    # Isolated mode, so that no file beside the program shadows a module of the standard library.
    command = [sys.executable, "-I", str(_YAML_PROCESS), kind, str(max_bytes), str(PIECE_BYTES)]
    try:
        return subprocess.run(command, input=content, capture_output=True, timeout=_YAML_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InvalidSpec("The document could not be read in time; try again later.") from None
