"""Reads YAML files, and finds the line of a problem in one, for messages to whoever wrote it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from smart_support.errors import ConfigError


def read_yaml(path: Path, setting: str, hint: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML file, which know their lines, and its content.

    Args:
        setting: the variable that names the file.
        hint: a sentence on where the file is explained.

    Raises:
        ConfigError: the file can't be read, or is not YAML.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        try:
            root = loader.get_single_node()
            return root, loader.construct_document(root) if root else None
        finally:
            loader.dispose()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}; check {setting}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: is not YAML: {error}\n{hint}") from None


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
