"""A program of its own: YAML on stdin, JSON on stdout, or one line that says what is wrong. See load.py.

It runs apart because the time and memory a YAML text takes can't be told from its size: 400 kB of open braces
keep the parser busy for two minutes, and aliases repeat a hundredfold. Here that ends with this process.
Keys become text, dates stay text, merge keys (`<<`) are carried out.
"""

import contextlib
import re
import resource
import signal
import sys
from itertools import islice
from typing import Any

import orjson
from ryaml import InvalidYamlError, loads  # type: ignore[attr-defined]  # its stubs hide them

_MEGABYTE = 1_000_000
# Integers that no 64 bits hold, as values: the parser refuses them, and JSON readers round them anyway.
_LONG_INTEGER = re.compile(r"(?m)((?:^|[:,\[-])[ ]+|\[)([-+]?\d{19,})(?=[ ]*(?:$|[,\]}]|[ ]#))")


# Deeper than the parser goes, which takes minutes to find out. Prose holds brackets too, but not between
# that many lines none of which begins with a key.
_MAX_OPEN = 256
_BRACKET = re.compile(r"[\[{\]}]")
_BRACKET_OR_KEY = re.compile(r"(?m)^[ \t]*[^\s\[\]{}#:]+:(?=\s)|[\[{\]}]")
_POSITION = re.compile(r"at position (\d+)")
_KEY_TWICE = re.compile(r'duplicate entry with key "(.*)"$')


class _Wrong(Exception):
    """The text can't be had as JSON; the message says why."""


def main() -> int:
    """Convert stdin. The one argument is the most bytes that may come out."""
    raw = sys.stdin.buffer.read()
    _restrain(len(raw))
    try:
        written = _as_json(raw.decode(), int(sys.argv[1]))
    except (_Wrong, MemoryError) as error:
        sys.stdout.write(str(error) or "it takes too much memory to read")
        return 1
    sys.stdout.buffer.write(written)
    return 0


def _restrain(size: int) -> None:
    """Let the kernel end this process when it takes more than ten times what real documents of a size do."""
    megabytes = size / _MEGABYTE
    memory = int((256 + 20 * megabytes) * _MEGABYTE)
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # where a stricter limit or no such limit exists
            resource.setrlimit(kind, (limit, limit))
    # CPU time, not the clock's: a busy machine must not make a good document a bad one.
    signal.setitimer(signal.ITIMER_PROF, 0.7 + 0.2 * megabytes)


def _as_json(source: str, most: int) -> bytes:
    _check_depth(source)
    document = _parsed(source)
    if "<<" in source:
        document = _with_merges(document)
    try:
        written = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise _Wrong(str(error)) from None
    if len(written) > most:
        raise _Wrong(f"with its aliases written out it is larger than {most:,} bytes")
    return written


def _check_depth(source: str) -> None:
    if _too_deep(_BRACKET, source) and (found := _too_deep(_BRACKET_OR_KEY, source)):
        place = _at(source, found.start())
        raise _Wrong(f"brackets and braces are nested more than {_MAX_OPEN} deep {place}")


def _too_deep(tokens: re.Pattern[str], source: str) -> re.Match[str] | None:
    depth = 0
    for found in tokens.finditer(source):
        if found[0] in "[{":
            depth += 1
            if depth > _MAX_OPEN:
                return found
        else:
            depth = max(depth - 1, 0) if found[0] in "]}" else 0
    return None


def _at(source: str, place: int) -> str:
    return f"at line {source.count(chr(10), 0, place) + 1} column {place - source.rfind(chr(10), 0, place)}"


def _parsed(source: str) -> Any:
    try:
        return _loaded(source)
    except _Wrong as error:
        if "invalid type: integer" not in str(error):
            raise
    return _loaded(_LONG_INTEGER.sub(_as_float, source))


def _loaded(source: str) -> Any:
    try:
        return loads(source)
    except InvalidYamlError as error:
        raise _Wrong(_plainly(str(error), source)) from None
    except ValueError:  # what the parser says of a key that Python can't hash
        raise _Wrong("an object or array stands where a key should be") from None


def _plainly(fault: str, source: str) -> str:
    """The parser's words, and where it is: of some faults it tells no place."""
    fault = fault.replace("recursion limit exceeded", "it is nested too deeply or an alias holds itself")
    fault = fault.replace("repetition limit exceeded", "its aliases repeat too much")
    fault = fault.replace("deserializing from YAML containing more", "more")
    if at := _POSITION.search(fault):
        # The parser counts bytes.
        place = len(source.encode()[: int(at[1])].decode(errors="ignore"))
        return _POSITION.sub(_at(source, place), fault)
    if " at line " in fault:
        return fault
    found = _culprit(fault, source)
    return f"{fault}, {_at(source, found.start())}" if found else fault


def _culprit(fault: str, source: str) -> re.Match[str] | None:
    if twice := _KEY_TWICE.fullmatch(fault):  # only of keys at the top is no place told
        places = re.finditer(rf"(?m)^[\"']?{re.escape(twice[1])}[\"']?[ ]*:", source)
        return next(islice(places, 1, None), None)
    if "aliases" in fault:
        return re.search(r"(?<=[\s\[{,])\*[^\s\[\]{},]", source)
    return re.search(r"(?m)(?<!\A)^---(?=\s)", source) if "more than one document" in fault else None


def _as_float(match: re.Match[str]) -> str:
    fits = -(2**63) <= int(match[2]) < 2**64 if len(match[2]) < 30 else False
    return match[0] if fits else f"{match[1]}{match[2]}.0"


def _with_merges(node: Any) -> Any:
    """The node with its merge keys carried out (yaml.org/type/merge): what an object says itself wins."""
    if isinstance(node, list):
        return [_with_merges(item) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: _with_merges(value) for key, value in node.items()}
    sources = own.get("<<")
    sources = sources if isinstance(sources, list) else [sources]
    if not all(isinstance(source, dict) for source in sources):
        return own
    del own["<<"]
    for source in sources:
        own = source | own
    return own


if __name__ == "__main__":
    sys.exit(main())
