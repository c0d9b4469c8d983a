"""Tests go through what is public: a private name may change without notice."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.harness import ROOT

PRIVATE = re.compile(r"_[A-Za-z]\w*")
# Calls whose string arguments are names of attributes.
BY_NAME = {"setattr", "getattr", "delattr", "hasattr", "attrgetter", "patch", "object"}


def _private_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every private name of something else that a file reaches for, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                continue
            case ast.Attribute(value=ast.Name(id="os"), attr="_exit"):
                continue  # public, in spite of its name
            case ast.Attribute(attr=name) if PRIVATE.fullmatch(name):
                yield node.lineno, name
            case ast.ImportFrom(names=names):
                yield from ((node.lineno, one.name) for one in names if PRIVATE.fullmatch(one.name))
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called in BY_NAME:
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        parts = argument.value.split(".")
                        yield from ((node.lineno, part) for part in parts if PRIVATE.fullmatch(part))
            case ast.Tuple(elts=[ast.Name(), ast.Constant(value=str(name))]) if PRIVATE.fullmatch(name):
                yield node.lineno, name  # a class and the name of its method, for `setattr` elsewhere


@pytest.mark.slow
def test_no_test_reaches_for_a_private_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in _private_names(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "log._file.run(work)",
        "from smart_support.events import _TYPES",
        "monkeypatch.setattr(log, '_file', None)",
        "monkeypatch.setattr('smart_support.analytics.ad_hoc_sql._PROGRAM', 1)",
        "PLACES = {'ended': (Ledger, '_finish')}",
    ],
)
def test_each_way_to_a_private_name_is_found(line: str) -> None:
    assert [*_private_names(ast.parse(line))]


@pytest.mark.parametrize("line", ["self._left = 0", "super()._astream()", "Path.__init__", "row['_meta']"])
def test_what_is_ones_own_is_no_private_name_of_another(line: str) -> None:
    assert not [*_private_names(ast.parse(line))]
