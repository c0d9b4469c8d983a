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
from typing import Any

import orjson
from ryaml import InvalidYamlError, loads  # type: ignore[attr-defined]  # its stubs hide them

_MEGABYTE = 1_000_000
# Integers that no 64 bits hold, as values: the parser refuses them, and JSON readers round them anyway.
_LONG_INTEGER = re.compile(r"(?m)((?:^|[:,\[-])[ ]+|\[)([-+]?\d{19,})(?=[ ]*(?:$|[,\]}]|[ ]#))")


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
        raise _Wrong(_plainly(str(error))) from None
    except ValueError:  # what the parser says of a key that Python can't hash
        raise _Wrong("an object or array stands where a key should be") from None


def _plainly(fault: str) -> str:
    fault = fault.replace("recursion limit exceeded", "it is nested too deeply or an alias holds itself")
    fault = fault.replace("repetition limit exceeded", "its aliases repeat too much")
    return fault.replace("deserializing from YAML containing more", "more")


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
