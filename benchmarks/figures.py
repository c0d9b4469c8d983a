"""The figures that scripts measure, for `run.py`: names stay the same, so that runs can be compared."""

import os
from pathlib import Path

import orjson

# The file that figures are appended to, one JSON object each; unset where a script runs by itself.
FILE = "SMART_SUPPORT_FIGURES"


def record(name: str, value: float, unit: str, aim: float | None = None) -> None:
    """Record one figure of this run.

    Args:
        name: of what is measured, and how: `turn /ws`. The script's name comes before it.
        unit: `ratio`, `ms`, `s`, `MB`, `per second`...
        aim: what it should be at most, or at least where the unit is `per second` or `speedup`.
    """
    if path := os.environ.get(FILE):
        line = orjson.dumps({"name": name, "value": round(float(value), 4), "unit": unit, "aim": aim})
        with Path(path).open("ab") as file:
            file.write(line + b"\n")
