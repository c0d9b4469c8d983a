"""The bytes of an API's description become one object, or an error that says what they are instead.

JSON is read here, YAML by yaml_child.py in a process of its own. What the object means: parse.py.
"""

import codecs
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from smart_support.connectors.openapi.document.nodes import label
from smart_support.connectors.openapi.document.repeated import may_repeat, repeated
from smart_support.errors import SmartSupportError

__all__ = ["InvalidSpec", "check_keys", "format_of", "load"]

MAX_BYTES = 20_000_000

# Twice what the largest real documents hold; a container takes some 200 bytes of memory however short it is.
_MAX_VALUES = 3_000_000
_MAX_DEPTH = 250
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_ALIAS = re.compile(rb"(?<=[\s\[{,])\*[^\s\[\]{},]")
_CHILD = Path(__file__).with_name("yaml_child.py")
_CHILD_SECONDS = 60  # it ends itself long before, by CPU time; this is for a machine that gives it none
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


class InvalidSpec(SmartSupportError):
    """A description that can't be read at all. One line: what is wrong, and where as far as that is known."""

    code = "invalid_spec"
    status = 422


def load(raw: bytes | str, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read an OpenAPI 3 or Swagger 2.0 document, JSON or YAML; all keys are text, dates stay text.

    Integers beyond 64 bits become floats. It blocks, for YAML up to some seconds: call it in a thread.

    Args:
        max_bytes: the most that is read, and the most a YAML document may be with its aliases written out.

    Raises:
        InvalidSpec: it is no such document.
    """
    content = _utf8(raw, max_bytes)
    start = content.lstrip()[:1000].lower()
    if not start:
        raise InvalidSpec("The document is empty; give an OpenAPI or Swagger document.")
    if start.startswith(b"<"):
        raise InvalidSpec(_of_markup(start))
    document = _read(content, max_bytes)
    if not isinstance(document, dict):
        raise InvalidSpec(
            f"The document is {_kind(document)}, not an object with `openapi` or `swagger` in it."
        )
    format_of(document)
    return document


def check_keys(content: bytes, written: bytes, *, is_source: bool = True) -> None:
    """See that no object of a JSON text has a key twice: of the two, another reader might take the other.

    Args:
        written: what was read of it, written as JSON again.
        is_source: the text is as its author wrote it, so that they find a line of it.

    Raises:
        InvalidSpec: one has.
    """
    if not may_repeat(content, written) or not (found := repeated(content)):
        return
    where = f"in `{found.within}`" if found.within else "at its top"
    where += f", again {_at(content, found.start)}" if is_source else ""
    fault = f"The document has the key `{found.key[:60]}` twice {where}"
    raise InvalidSpec(" ".join(fault.split()) + "; readers differ in which they take: leave one out.")


def format_of(document: dict[str, Any]) -> str:
    """`openapi-3.1` (3.2 only adds to it), `openapi-3.0` or `swagger-2.0`.

    Raises:
        InvalidSpec: the document says neither, or another version.
    """
    key = next((key for key in ("openapi", "swagger") if key in document), None)
    if key is None:
        keys = ", ".join(f"`{key[:40]}`" for key in list(document)[:5]) or "nothing"
        raise InvalidSpec(f"The document has no `openapi` or `swagger` version; at its top it has {keys}.")
    version = label(document[key])
    if key == "swagger" and version in {"2.0", "2"}:
        return "swagger-2.0"
    if key == "openapi" and version.split(".")[0] == "3":
        return "openapi-3.0" if version.split(".")[1:2] in ([], ["0"]) else "openapi-3.1"
    raise InvalidSpec(
        f"`{key}: {str(document[key])[:40]}` is no version that can be read; convert it to OpenAPI 3."
    )


def _utf8(raw: bytes | str, max_bytes: int) -> bytes:
    if len(raw) > max_bytes:
        raise InvalidSpec(f"The document is larger than {max_bytes:,} bytes; cut it down to what you need.")
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
            f"The document holds half a character ({error.reason}); save it as UTF-8."
        ) from None
    return content if encoding == "utf-8" else decoded.encode()


def _at(content: bytes, place: int) -> str:
    before = content[:place]
    return f"at line {before.count(10) + 1} column {place - before.rfind(10)}"


def _deepest(content: bytes) -> str:
    """Where a JSON text first is too deep."""
    depth = 0
    for found in _TOKENS.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        if depth > _MAX_DEPTH:
            return _at(content, found.start())
    return ""


def _of_markup(start: bytes) -> str:
    if b"<html" in start or b"<!doctype html" in start:
        return "This is a web page; give the address of the JSON or YAML document itself."
    return "This is XML; give an OpenAPI or Swagger document in JSON or YAML."


def _kind(document: Any) -> str:
    if isinstance(document, list):
        return "a list"
    return "only a comment" if document is None else f"only text or a number ({str(document)[:40]!r})"


def _read(content: bytes, max_bytes: int) -> Any:
    if content.lstrip()[:1] not in b"{[":
        return _json(_converted(content, max_bytes), is_source=False)
    try:
        return _json(content)
    except orjson.JSONDecodeError as error:
        fault = InvalidSpec(
            f"The document is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}."
        )
        if "depth limit" in error.msg:
            raise fault from None
    try:
        # With comments or a comma too many it is still YAML.
        return _json(_converted(content, max_bytes), is_source=False)
    except InvalidSpec:
        raise fault from None


def _json(content: bytes, *, is_source: bool = True) -> Any:
    """
    Raises:
        orjson.JSONDecodeError: it is not JSON.
        InvalidSpec: it would take too much memory, or is not clear.
    """
    if sum(content.count(mark) for mark in (b",", b":", b"[", b"{")) > _MAX_VALUES:
        raise InvalidSpec(
            f"The document holds more than {_MAX_VALUES:,} values; cut it down to what you need."
        )
    document = orjson.loads(content)
    try:
        written = orjson.dumps(document)
    except orjson.JSONEncodeError:  # the reader goes deeper than the writer, and it will be stored as JSON
        raise InvalidSpec(
            f"The document is nested over {_MAX_DEPTH} levels deep {_deepest(content)}; that is no API's."
        ) from None
    check_keys(content, written, is_source=is_source)
    return document


def _converted(content: bytes, max_bytes: int) -> bytes:
    """YAML as JSON."""
    # Isolated: no module beside the child's file may stand in for one of the standard library.
    command = [sys.executable, "-I", str(_CHILD), str(max_bytes)]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=_CHILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise InvalidSpec("The document could not be read in time; try again later.") from None
    if done.returncode == 1 and done.stdout:
        fault = " ".join(done.stdout.decode(errors="replace").split())[:300]
        raise InvalidSpec(f"The document is not valid YAML: {fault}.")
    if done.returncode != 0:
        alias = _ALIAS.search(content)
        raise InvalidSpec(
            "The document takes too much time or memory to read: its brackets, braces or aliases are nested "
            "or repeated far beyond what an API's description needs"
            + (f"; its first alias is {_at(content, alias.start())}." if alias else ".")
        )
    return done.stdout
