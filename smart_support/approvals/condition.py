"""The language of `when:` in a policy: comparisons of names and values, evaluated as data.

It is a subset of Python's own expressions, parsed by `ast`: names (dotted for what lies inside an object),
numbers, texts, lists, comparisons, `in`, `and`, `or`, `not`. Nothing can be called.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

MAX_CHARS = 1000
_UNKNOWN = object()
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
}
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_WORDS = {"true": True, "false": False, "null": None}


class Condition:
    """One `when:`.

    Attributes:
        text: as it was written.
        names: the facts it uses; of a dotted name the first part.
    """

    def __init__(self, text: str) -> None:
        """
        Raises:
            ValueError: it is no valid condition.
        """
        if len(text) > MAX_CHARS:
            raise ValueError(f"{len(text)} characters; a condition has at most {MAX_CHARS}")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
            _check(self._tree)
        except (SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"{text!r} is not a condition; write one like: amount_cents <= 2000") from None
        self.text = text.strip()
        names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        self.names = frozenset(names - set(_WORDS))

    def holds(self, facts: Mapping[str, Any]) -> bool | None:
        """Whether the condition is true; None where that is unknown (Kleene's three-valued logic).

        A missing or null name is unknown, and so is a comparison of values that can't be compared.
        """
        return _truth(self._tree, facts)

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


def _check(node: ast.expr) -> None:
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _check(part)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check(node.operand)
    elif isinstance(node, ast.Compare):
        for comparison in node.ops:
            if type(comparison) not in _COMPARE:
                raise ValueError("'is' is not understood here; compare with == or !=")
        for part in (node.left, *node.comparators):
            _check_value(part)
    else:
        _check_value(node)


def _check_value(node: ast.expr) -> None:
    if isinstance(node, ast.Name):
        return
    if isinstance(node, ast.Attribute):
        _check_value(node.value)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for part in node.elts:
            _check_value(part)
    elif _constant(node) is _UNKNOWN:
        raise ValueError(
            f"{ast.unparse(node)[:60]!r} is not understood; use names, numbers, texts, lists, comparisons, "
            "in, and, or, not"
        )


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, bool, type(None))):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant(node.operand)
        return -value if isinstance(value, (int, float)) and not isinstance(value, bool) else _UNKNOWN
    return _UNKNOWN


def _truth(node: ast.expr, facts: Mapping[str, Any]) -> bool | None:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, facts) for part in node.values]
        decisive = isinstance(node.op, ast.Or)
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(node.operand, facts)
        return None if inner is None else not inner
    if isinstance(node, ast.Compare):
        return _all_hold(node, facts)
    value = _value(node, facts)
    return value if isinstance(value, bool) else None


def _all_hold(node: ast.Compare, facts: Mapping[str, Any]) -> bool | None:
    """`1 <= percent <= 10` is two comparisons, both of which must hold."""
    values = [_value(part, facts) for part in (node.left, *node.comparators)]
    results = [_holds(op, *pair) for op, pair in zip(node.ops, pairwise(values), strict=True)]
    if False in results:
        return False
    return None if None in results else True


def _holds(op: ast.cmpop, left: Any, right: Any) -> bool | None:
    if left is _UNKNOWN or right is _UNKNOWN:
        return None
    if isinstance(op, _ORDER) and not _comparable(left, right):
        return None
    if isinstance(op, (ast.In, ast.NotIn)) and not _contains(left, right):
        return None
    if isinstance(op, (ast.Eq, ast.NotEq)) and not _same_kind(left, right):
        return None
    return bool(_COMPARE[type(op)](left, right))


def _value(node: ast.expr, facts: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        if node.id in _WORDS:
            return _WORDS[node.id]
        return _known(facts.get(node.id))
    if isinstance(node, ast.Attribute):
        outer = _value(node.value, facts)
        return _known(outer.get(node.attr)) if isinstance(outer, Mapping) else _UNKNOWN
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(part, facts) for part in node.elts]
        return _UNKNOWN if _UNKNOWN in values else values
    return _constant(node)


def _known(value: Any) -> Any:
    return _UNKNOWN if value is None else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _comparable(left: Any, right: Any) -> bool:
    return (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def _same_kind(left: Any, right: Any) -> bool:
    return (_is_number(left) and _is_number(right)) or type(left) is type(right)


def _contains(value: Any, among: Any) -> bool:
    if isinstance(among, str):
        return isinstance(value, str)
    return isinstance(among, list) and any(_same_kind(value, item) for item in among)
