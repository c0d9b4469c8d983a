"""The SQL files of `queries/` by name. A line `-- include NAME` stands for the text of another."""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"


@cache
def statement(name: str) -> str:
    """The text of `queries/<name>.sql`, its includes filled in."""
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(
        r"^-- include (\w+)(,?)$", lambda found: statement(found[1]).rstrip() + found[2], text, flags=re.M
    )
