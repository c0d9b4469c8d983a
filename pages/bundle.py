"""All scripts of the console as one file, and all its stylesheets as another, for two requests of a browser.

The scripts stay modules: the one file holds a function for each, in the order of their imports. A source map
leads the browser's tools, and the places of errors in them, back to the files as they are written.
"""

import functools
import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

FOLDER = "bundle"
# The forms of `import` and `export` that the scripts use; a file with another one is refused.
_IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"(\.[^"]+)";', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.MULTILINE)
# Lines that are comments: they are a fifth of the whole, also when compressed.
_COMMENT = re.compile(r"^[ \t]*//.*$|^[ \t]*/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*$", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True)
class Bundle:
    """One file made of many.

    Attributes:
        name: with a hash of its content, so that browsers may keep it for ever.
        content: UTF-8. `compressed`: the same, by gzip.
    """

    name: str
    media_type: str
    content: bytes
    compressed: bytes

    @property
    def path(self) -> str:
        """Where the console finds it, below its static files."""
        return f"{FOLDER}/{self.name}"

    def response(self, path: str, scope: Scope) -> Response:
        """The answer to a request for it by this path, which is another one before or after an upgrade."""
        lifetime = "max-age=31536000, immutable" if path == self.path else "no-cache"
        headers = {
            "ETag": f'"{self.name}"',
            "Cache-Control": f"private, {lifetime}",
            "Vary": "Accept-Encoding",
        }
        request = Headers(scope=scope)
        if request.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.get("accept-encoding", ""):
            return Response(self.content, headers=headers, media_type=self.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, headers=headers, media_type=self.media_type)


@dataclass(frozen=True)
class Bundles:
    """What the console's page loads."""

    script: Bundle
    source_map: Bundle
    style: Bundle

    def find(self, path: str) -> Bundle | None:
        """The one that a path names, whatever hash it has; None where it names none."""
        folder, _, name = path.partition("/")
        named = {one.name.partition(".")[2]: one for one in (self.script, self.source_map, self.style)}
        return named.get(name.partition(".")[2]) if folder == FOLDER else None


@functools.cache
def bundle_all(folder: Path) -> Bundles:
    """The bundles of all files below a folder, made once: they change with the program only."""
    return Bundles(*bundle_scripts(folder), bundle_styles(folder))


def bundle_styles(folder: Path) -> Bundle:
    """All stylesheets below `folder` as one, `base.css` first; they may use files of `folder` itself."""
    files = sorted(folder.rglob("*.css"), key=lambda file: (file.name != "base.css", file))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return _bundle("css", "text/css", text.encode())


def bundle_scripts(folder: Path) -> tuple[Bundle, Bundle]:
    """All scripts below `folder` as one module, and its source map.

    Raises:
        ValueError: a script imports or exports in a way that is not known here, or scripts import each other.
    """
    sources = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*.js"))
    }
    names = _in_order({name: _imports(name, source) for name, source in sources.items()})
    modules = [_module(name, sources[name], names) for name in names]
    script = "\n".join(modules)
    source_map = {
        "version": 3,
        "sources": [f"../{name}" for name in names],
        "names": [],
        "mappings": _mappings(module.count("\n") + 1 for module in modules),
    }
    mapped = _bundle("js.map", "application/json", orjson.dumps(source_map))
    link = f"\n//# sourceMappingURL={mapped.name}\n"
    return _bundle("js", "text/javascript", (script + link).encode()), mapped


def _bundle(ending: str, media_type: str, content: bytes) -> Bundle:
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Bundle(f"{digest}.{ending}", media_type, content, gzip.compress(content, 9, mtime=0))


def _imports(name: str, source: str) -> list[str]:
    """The scripts that a script imports."""
    return [_place_of(name, at) for _, at in _IMPORT.findall(source)]


def _place_of(name: str, at: str) -> str:
    """The file that a script names in an import."""
    return normpath(PurePosixPath(name).parent / at)


def _in_order(imports: Mapping[str, Sequence[str]]) -> list[str]:
    """Scripts in the order in which a browser runs them, were each of them a module of its own."""
    done: list[str] = []

    def visit(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ValueError(f"these scripts import each other: {', '.join(importers)}")
        if name not in done:
            for one in imports[name]:
                visit(one, (*importers, name))
            done.append(name)

    for name in imports:
        visit(name, ())
    return done


def _module(name: str, source: str, names: list[str]) -> str:
    """A script as a function that returns what it exports, without comments; each line stays on its line."""

    def imported(match: re.Match[str]) -> str:
        taken, at = match.groups()
        lines = "\n" * match.group(0).count("\n")
        if taken is None:
            return lines
        place = names.index(_place_of(name, at))
        taken = re.sub(r"(\w+)\s+as\s+(\w+)", r"\1: \2", " ".join(taken.split()))
        return f"const {{ {taken} }} = module{place};{lines}"

    source = _COMMENT.sub(lambda comment: "\n" * comment.group(0).count("\n"), source)
    exported = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub(imported, source)).rstrip("\n")
    if unknown := _LEFT_OVER.search(body):
        raise ValueError(f"{name}: this form can't be bundled: {unknown.group(0)}")
    return f"const module{names.index(name)} = (() => {{{body}\nreturn {{ {exported} }};\n}})();"


def _mappings(line_counts: Iterable[int]) -> str:
    """Source map of files that follow each other, line by line (ECMA-426, "mappings").

    Each line has one entry: its column, and how much the file, the line and the column of the source differ
    from the entry before.
    """
    lines = []
    last = (0, 0)
    for place, count in enumerate(line_counts):
        for number in range(count):
            lines.append("A" + _vlq(place - last[0]) + _vlq(number - last[1]) + "A")
            last = (place, number)
    return ";".join(lines)


def _vlq(number: int) -> str:
    """A number in base 64, five bits a digit, its sign in the lowest bit."""
    left = abs(number) << 1 | (number < 0)
    digits = ""
    while True:
        left, digit = left >> 5, left & 31
        digits += _DIGITS[digit | (32 if left else 0)]
        if not left:
            return digits
