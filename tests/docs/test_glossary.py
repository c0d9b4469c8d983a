"""Identifiers use the words of the glossary in docs/architecture.md, and none of those it rules out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = frozenset(
    re.findall(
        r"\w+",
        """door doors course courses aside asides telling told untold unasked asked wanted found spoken ear
        ears turnstile moment moments gathering watch watches desk guard guards signs wording literals
        declared behind plain who numbers""",
    )
)
# Names of stored columns and of fields on a wire, and the standard name of HTTP's 404.
WIRE_NAMES = frozenset({"asked_by", "spoken_by", "NotFound"})
# Fields of REST answers, which only their schema may name.
SCHEMAS = ROOT / "smart_support" / "api" / "schemas.py"
ANSWER_FIELDS = frozenset({"found"})
PYTHON = sorted(
    path for folder in ("smart_support", "pages", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
JAVASCRIPT = sorted((ROOT / "pages" / "static").rglob("*.js"))
# Comments and quoted text, which are no identifiers; a template's `${...}` is code and stays.
_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
_DEFINED = re.compile(
    r"\b(?:const|let|var|function|class)\s+([A-Za-z_$][\w$]*)"
    r"|([A-Za-z_$][\w$]*)\s*(?==>)"
    r"|(?<=[({,\s])([A-Za-z_$][\w$]*)\s*(?=[,})])"
)


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _is_forbidden(name: str) -> bool:
    return name not in WIRE_NAMES and not FORBIDDEN.isdisjoint(_words(name))


def _defined_in_python(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.ExceptHandler(name=str(name)):
                yield name


def _defined_in_javascript(text: str) -> Iterator[str]:
    for match in _DEFINED.finditer(_NOT_CODE.sub(" ", text)):
        yield next(name for name in match.groups() if name)


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_identifiers(path: Path) -> None:
    names = {path.stem, *_defined_in_python(path.read_text(encoding="utf-8"))}
    names -= ANSWER_FIELDS if path == SCHEMAS else set()
    assert sorted(filter(_is_forbidden, names)) == []


@pytest.mark.parametrize("path", JAVASCRIPT, ids=lambda path: str(path.relative_to(ROOT)))
def test_javascript_identifiers(path: Path) -> None:
    names = {path.stem, *_defined_in_javascript(path.read_text(encoding="utf-8"))}
    assert sorted(filter(_is_forbidden, names)) == []


def test_the_check_sees_every_kind_of_name() -> None:
    python = (
        "def told(asked, *found): spoken = 1\nclass Desk: wanted: int\n"
        "for door in x: self.ear = [who for who in x]\n"
        "import a as guard\ntry: ...\nexcept E as plain: ...\nmatch x:\n  case [moment]: ..."
    )
    assert {_words(name)[0] for name in _defined_in_python(python) if _is_forbidden(name)} == {
        *(
            "told",
            "asked",
            "found",
            "spoken",
            "desk",
            "wanted",
            "door",
            "ear",
            "who",
            "guard",
            "plain",
            "moment",
        )
    }
    script = (
        "const told = (asked, { found }) => 1; function doorOpen() {} // let plain\n"
        "let x = 'const desk'; who => 1;"
    )
    assert sorted(filter(_is_forbidden, _defined_in_javascript(script))) == [
        *("asked", "doorOpen", "found", "told", "who")
    ]
