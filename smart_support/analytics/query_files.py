"""The SQL files of `queries/` by name, and what they say of themselves. Nothing is run here."""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"
# Figures that a reader may ask the meaning of; the rest are parts of these.
FIGURES = (
    *("outcomes", "reopened", "escalations", "effort", "approvals", "leads", "approval_tools", "by_policy"),
    *("agents", "tools", "tool_errors", "latency", "models", "saved", "series"),
)
# Figures that are found on the way to another, at the cost of one.
_TOGETHER = {
    **dict.fromkeys(("effort", "reopened"), "outcomes"),
    **dict.fromkeys(("leads", "approval_tools"), "approvals"),
}


@cache
def statement(name: str, *, filtered: bool = False) -> str:
    """The text of `queries/<name>.sql`. A line `-- include NAME` stands for the text of another.

    Args:
        filtered: take `scope_filtered` where `scope` is included: only conversations that fit `$agent`,
            `$tool` and `$channel`.
    """
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")

    def included(found: re.Match[str]) -> str:
        other = "scope_filtered" if filtered and found[1] == "scope" else found[1]
        return statement(other, filtered=filtered).rstrip() + found[2]

    return re.sub(r"^-- include (\w+)(,?)$", included, text, flags=re.M)


def definition(figure: str) -> str:
    """What a figure counts, in words: the comment its file begins with, or a part `[figure]` of one."""
    file = _TOGETHER.get(figure, figure)
    text = (FOLDER / f"{file}.sql").read_text(encoding="utf-8")
    lines = re.match(r"(?:-- .*\n)+", text)
    assert lines, figure
    words = " ".join(line.removeprefix("-- ") for line in lines[0].splitlines())
    first, *others = re.split(r"\s*\[(\w+)\] ", words)
    return {file: first, **dict(zip(others[::2], others[1::2], strict=True))}[figure]
