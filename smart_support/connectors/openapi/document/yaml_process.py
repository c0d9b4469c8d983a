"""A program that converts YAML, or large JSON, on stdin to JSON on stdout, or prints one line with an error.

It is a separate process because the time and memory for a YAML text can't be estimated from its size: 400 kB
of open braces keep the parser busy for two minutes, and aliases multiply the content. The process limits
both. Keys become strings, dates stay strings, merge keys (`<<`) are applied.

A large document is printed in pieces, one a line: `[["paths", "/pets"], {...}]` is the value at these keys.
The app reads them one by one: reading the whole at once would stop everything else for its time.
"""

import contextlib
import gc
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
from ryaml import InvalidYamlError, loads  # type: ignore[attr-defined]  # missing in its stubs

_MAX_STEPS = 3  # `components`, `schemas` and a name
_MEGABYTE = 1_000_000
# Values that are integers above 64 bits: the parser rejects them, and JSON parsers round them anyway.
_LONG_INTEGER = re.compile(r"(?m)((?:^|[:,\[-])[ ]+|\[)([-+]?\d{19,})(?=[ ]*(?:$|[,\]}]|[ ]#))")


# The parser rejects deeper nesting, but only after minutes. Brackets in prose don't count: between them there
# are lines that start with a key.
_MAX_OPEN = 256
_BRACKET = re.compile(r"[\[{\]}]")
_BRACKET_OR_KEY = re.compile(r"(?m)^[ \t]*[^\s\[\]{}#:]+:(?=\s)|[\[{\]}]")
_POSITION = re.compile(r"at position (\d+)")
_KEY_TWICE = re.compile(r'duplicate entry with key "(.*)"$')


class _NotSimple(Exception):
    """A JSON text has an error, or may have duplicate keys."""


class _ConversionError(Exception):
    """The text can't be converted to JSON."""


def main() -> int:
    """Convert stdin.

    The arguments are the format (`yaml` or `json`), the size limit of the output, and the size of a piece, in
    bytes. For JSON with an error or duplicate keys the exit code is 2 and nothing is printed.
    """
    kind, max_bytes, piece_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    raw = sys.stdin.buffer.read()
    _limit_resources(len(raw))
    try:
        document, output = _read_json(raw) if kind == "json" else _read_yaml(raw.decode(), max_bytes)
        sys.stdout.buffer.write(_in_pieces(document, output, piece_bytes))
    except _NotSimple:
        return 2
    except (_ConversionError, MemoryError) as error:
        sys.stdout.write(str(error) or "it takes too much memory to read")
        return 1
    return 0


def _limit_resources(size: int) -> None:
    """Let the kernel end this process if it takes ten times as much as real documents of that size."""
    megabytes = size / _MEGABYTE
    memory = int((256 + 20 * megabytes) * _MEGABYTE)
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(
            ValueError, OSError
        ):  # a stricter limit is set, or the system has no such limit
            resource.setrlimit(kind, (limit, limit))
    # CPU time, not wall-clock time, so that a busy machine does not reject a valid document.
    signal.setitimer(signal.ITIMER_PROF, 0.7 + 0.2 * megabytes)


def _read_yaml(source: str, max_bytes: int) -> tuple[Any, bytes]:
    """The document, and as JSON."""
    _check_depth(source)
    document = _parse(source)
    if "<<" in source:
        document = _merged(document)
    try:
        output = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise _ConversionError(str(error)) from None
    if len(output) > max_bytes:
        raise _ConversionError(f"with expanded aliases it is larger than {max_bytes:,} bytes")
    return document, output


def _read_json(raw: bytes) -> tuple[Any, bytes]:
    """The document, and as JSON again."""
    try:
        document = orjson.loads(raw)
        output = orjson.dumps(document)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        raise _NotSimple from None
    # As in reader.py: each duplicate key leaves one colon less.
    colons = raw.count(b":") + raw.count(rb"\u003a") + raw.count(rb"\u003A")
    if colons != output.count(b":"):
        raise _NotSimple
    return document, output


def _in_pieces(document: Any, output: bytes, piece_bytes: int) -> bytes:
    """The document as JSON: on one line, or in pieces if it is large."""
    if not isinstance(document, dict) or len(output) <= piece_bytes:
        return output
    try:
        return b"\n".join(_pieces([], document, piece_bytes))
    except TypeError:
        # A key is not a string, so there may be duplicate keys, which the app finds.
        return output


def _pieces(steps: list[str], value: dict[str, Any], piece_bytes: int) -> Iterator[bytes]:
    yield orjson.dumps([steps, {}])
    for key, part in value.items():
        if not isinstance(key, str):
            raise TypeError
        if not steps and isinstance(part, dict):
            # `paths` and `components` are most of the document: they are not encoded only to be measured.
            yield from _pieces([key], part, piece_bytes)
            continue
        encoded = orjson.dumps([[*steps, key], part])
        if len(encoded) > piece_bytes and isinstance(part, dict) and len(steps) < _MAX_STEPS:
            yield from _pieces([*steps, key], part, piece_bytes)
        else:
            yield encoded


def _check_depth(source: str) -> None:
    if _too_deep(_BRACKET, source) and (bracket := _too_deep(_BRACKET_OR_KEY, source)):
        place = _at(source, bracket.start())
        raise _ConversionError(f"brackets and braces are nested more than {_MAX_OPEN} deep {place}")


def _too_deep(tokens: re.Pattern[str], source: str) -> re.Match[str] | None:
    depth = 0
    for token in tokens.finditer(source):
        if token[0] in "[{":
            depth += 1
            if depth > _MAX_OPEN:
                return token
        else:
            depth = max(depth - 1, 0) if token[0] in "]}" else 0
    return None


def _at(source: str, place: int) -> str:
    return f"at line {source.count(chr(10), 0, place) + 1} column {place - source.rfind(chr(10), 0, place)}"


def _parse(source: str) -> Any:
    try:
        return _load(source)
    except _ConversionError as error:
        if "invalid type: integer" not in str(error):
            raise
    return _load(_LONG_INTEGER.sub(_as_float, source))


def _load(source: str) -> Any:
    try:
        return loads(source)
    except InvalidYamlError as error:
        raise _ConversionError(_message(str(error), source)) from None
    except ValueError:  # the parser's error for a key that Python can't hash
        raise _ConversionError("a key is an object or array") from None


def _message(fault: str, source: str) -> str:
    """The parser's error message, with the position, which some messages lack."""
    fault = fault.replace("recursion limit exceeded", "it is nested too deeply or an alias contains itself")
    fault = fault.replace("repetition limit exceeded", "its aliases repeat too much")
    fault = fault.replace("deserializing from YAML containing more", "more")
    if at := _POSITION.search(fault):
        # The position is in bytes.
        place = len(source.encode()[: int(at[1])].decode(errors="ignore"))
        return _POSITION.sub(_at(source, place), fault)
    if " at line " in fault:
        return fault
    match = _locate(fault, source)
    return f"{fault}, {_at(source, match.start())}" if match else fault


def _locate(fault: str, source: str) -> re.Match[str] | None:
    if twice := _KEY_TWICE.fullmatch(fault):  # the position is missing only for top-level keys
        places = re.finditer(rf"(?m)^[\"']?{re.escape(twice[1])}[\"']?[ ]*:", source)
        return next(islice(places, 1, None), None)
    if "aliases" in fault:
        return re.search(r"(?<=[\s\[{,])\*[^\s\[\]{},]", source)
    return re.search(r"(?m)(?<!\A)^---(?=\s)", source) if "more than one document" in fault else None


def _as_float(match: re.Match[str]) -> str:
    fits = -(2**63) <= int(match[2]) < 2**64 if len(match[2]) < 30 else False
    return match[0] if fits else f"{match[1]}{match[2]}.0"


def _merged(node: Any) -> Any:
    """The node with merge keys applied (yaml.org/type/merge); an object's own keys take precedence."""
    if isinstance(node, list):
        return [_merged(item) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: _merged(value) for key, value in node.items()}
    sources = own.get("<<")
    sources = sources if isinstance(sources, list) else [sources]
    if not all(isinstance(source, dict) for source in sources):
        return own
    del own["<<"]
    for source in sources:
        own = source | own
    return own


if __name__ == "__main__":
    # It makes many objects that all stay until its end: looking for garbage, and freeing them, takes time.
    gc.disable()
    code = main()
    sys.stdout.flush()
    os._exit(code)
