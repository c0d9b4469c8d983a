"""`python -m smart_support.audit`, run as an operator runs it."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson

from smart_support import audit
from smart_support.storage.embedded import EmbeddedDatabase
from tests.harness import ROOT


def _run(data_dir: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "smart_support.audit", command],
        cwd=ROOT,
        env=os.environ | {"SMART_SUPPORT_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


async def _record(data_dir: Path, rows: int) -> None:
    state = EmbeddedDatabase(data_dir / "state.sqlite")
    for number in range(rows):
        await state.transact(
            lambda c, n=number: audit.append(c, "decided", actor="dana", via="rest", detail={"n": n})
        )
    state.close()


async def test_a_whole_record_verifies_and_is_exported(data_dir: Path) -> None:
    await _record(data_dir, 5)
    checked = _run(data_dir, "verify")
    assert (checked.returncode, checked.stdout) == (0, "5 rows, each follows from the one before it\n")
    exported = [orjson.loads(line) for line in _run(data_dir, "export").stdout.splitlines()]
    assert [row["detail"]["n"] for row in exported] == [0, 1, 2, 3, 4]


async def test_the_first_changed_row_is_named(data_dir: Path) -> None:
    await _record(data_dir, 5)
    with sqlite3.connect(data_dir / "state.sqlite") as database:
        database.execute("UPDATE audit SET actor = 'mallory' WHERE number = 3")
    database.close()
    checked = _run(data_dir, "verify")
    assert checked.returncode == 1
    assert checked.stdout.startswith("row 3 ")


def test_where_there_is_none_it_says_so(data_dir: Path) -> None:
    checked = _run(data_dir, "verify")
    assert checked.returncode == 2
    assert "SMART_SUPPORT_DATA_DIR" in checked.stderr
