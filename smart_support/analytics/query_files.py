"""Loads the SQL files in `queries/`, and the definitions of figures in their comments."""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"
# Figures with a definition. Each is a file, or a part of one (see `_PART_OF`).
FIGURES = (
    *("outcomes", "reopened", "escalations", "effort", "approvals", "leads", "approval_tools", "by_policy"),
    *("agents", "callers", "tools", "tool_errors", "latency", "models", "saved", "series"),
)
# Figures that are computed together with another one.
_PART_OF = {
    **dict.fromkeys(("effort", "reopened"), "outcomes"),
    **dict.fromkeys(("leads", "approval_tools"), "approvals"),
    **dict.fromkeys(("escalations", "by_policy", "callers", "tools", "tool_errors"), "values"),
    **dict.fromkeys(("models", "saved", "series"), "values"),
}
_WITH_FILTERS = ("scope", "counts", "rows", "judged", "turn_day", "request_day")


@cache
def load_query(name: str, *, filtered: bool = False) -> str:
    """The text of `queries/<name>.sql`. A line `-- include NAME` is replaced by the text of that file.

    Args:
        filtered: include `<file>_filtered` where there is one: only conversations that match `$agent`,
            `$tool` and `$channel`.
    """
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")

    def included(line: re.Match[str]) -> str:
        other = f"{line[1]}_filtered" if filtered and line[1] in _WITH_FILTERS else line[1]
        return load_query(other, filtered=filtered).rstrip() + line[2]

    return re.sub(r"^-- include (\w+)(,?)$", included, text, flags=re.M)


def figure_definition(figure: str) -> str:
    """The definition of a figure: the comment at the start of its file, or the part `[figure]` of it."""
    file = _PART_OF.get(figure, figure)
    text = (FOLDER / f"{file}.sql").read_text(encoding="utf-8")
    lines = re.match(r"(?:-- .*\n)+", text)
    assert lines, figure
    words = " ".join(line.removeprefix("-- ") for line in lines[0].splitlines())
    first, *others = re.split(r"\s*\[(\w+)\] ", words)
    return {file: first, **dict(zip(others[::2], others[1::2], strict=True))}[figure]
