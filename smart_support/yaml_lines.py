"""Finds the line of a problem in a YAML file, for messages to whoever wrote it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def explain(path: Path, root: yaml.Node | None, place: Sequence[int | str], problem: str) -> str:
    """A message with file, line and place: `agents.yaml:7: agents.0.name: ...`."""
    where = ".".join(str(part) for part in place)
    return f"{path}:{line_of(root, place)}: {where or 'the file'}: {problem}"


def line_of(node: yaml.Node | None, place: Sequence[int | str]) -> int:
    """The line (from 1) of the deepest part of `place` that the file has."""
    for part in place:
        inner = _child(node, part)
        if inner is None:
            break
        node = inner
    return int(node.start_mark.line) + 1 if node else 1


def _child(node: Any, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part]  # type: ignore[no-any-return]
    if isinstance(node, yaml.MappingNode):
        children: Mapping[str, yaml.Node] = {key.value: value for key, value in node.value}
        return children.get(str(part))
    return None
