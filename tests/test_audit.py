"""`python -m smart_support.audit`, run as an operator runs it."""

import os
import sqlite3
import subprocess
from pathlib import Path

import orjson
import pytest

from smart_support import audit
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.harness import run_python
from tests.support.planned_calls import request


def _run(data_dir: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SMART_SUPPORT_DATA_DIR": str(data_dir)}
    return run_python("-m", "smart_support.audit", *command, environment=environment)


async def _record(data_dir: Path, rows: int) -> None:
    state = SqliteStateDatabase(data_dir / "state.sqlite")
    for number in range(rows):
        await state.transact(
            lambda c, n=number: audit.append(c, "decided", actor="dana", via="rest", detail={"n": n})
        )
    state.close()


async def test_a_whole_record_verifies_and_is_exported(data_dir: Path) -> None:
    await _record(data_dir, 5)
    checked = _run(data_dir, "verify")
    assert checked.returncode == 0
    assert checked.stdout.startswith("5 rows, each follows from the one before it\n")
    exported = [orjson.loads(line) for line in _run(data_dir, "export").stdout.splitlines()]
    assert [row["detail"].get("n") for row in exported] == [0, 1, 2, 3, 4, None]
    last = exported[-1]
    assert (last["kind"], last["actor"], last["via"]) == ("audit_exported", "command line", "command")
    assert _run(data_dir, "verify").stdout.startswith("6 rows")


async def test_the_first_changed_row_is_named(data_dir: Path) -> None:
    await _record(data_dir, 5)
    with sqlite3.connect(data_dir / "state.sqlite") as database:
        database.execute("UPDATE audit SET actor = 'mallory' WHERE number = 3")
    database.close()
    checked = _run(data_dir, "verify")
    assert checked.returncode == 1
    assert checked.stdout.startswith("row 3 ")


async def test_rows_cut_off_the_end_are_missed_by_who_kept_the_head(data_dir: Path) -> None:
    await _record(data_dir, 5)
    head = _run(data_dir, "verify").stdout.split()[-1]
    assert head.startswith("5:")
    await _record(data_dir, 2)
    assert _run(data_dir, "verify", "--head", head).returncode == 0
    with sqlite3.connect(data_dir / "state.sqlite") as database:
        database.execute("DELETE FROM audit WHERE number > 4")
    database.close()
    assert _run(data_dir, "verify").returncode == 0
    cut_off = _run(data_dir, "verify", "--head", head)
    assert (cut_off.returncode, cut_off.stdout[:5]) == (1, "row 5")
    assert _run(data_dir, "verify", "--head", "5").returncode == 2


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
async def test_rows_cut_off_the_end_are_missed_by_the_facts_they_tell_of(data_dir: Path, kept: int) -> None:
    state = SqliteStateDatabase(data_dir / "state.sqlite")
    queue, ledger = ApprovalQueue(state, 60), Ledger(state)
    call = {"thread_id": "t", "tool_call_id": "c"}
    wanted = request(interrupt_id="i", tool="cancel", args={}, agent="a", summary="Cancel", **call)
    asked = await queue.request(wanted)
    await queue.decide(asked.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))

    async def run(_: str) -> str:
        return "done"

    await ledger.execute(tool="cancel", digest=asked.digest, idempotent=False, run=run, **call)
    state.close()
    assert _verified(data_dir) == 0
    with sqlite3.connect(data_dir / "state.sqlite") as database:
        database.execute("DELETE FROM audit WHERE number > ?", (kept,))
    database.close()
    assert _verified(data_dir) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET detail = x'00ff' WHERE number = 3",
        "UPDATE audit SET detail = 'not json', kind = 'erased' WHERE number = 3",
        "UPDATE audit SET actor = NULL WHERE number = 3",
        "UPDATE audit SET hash = 1.5 WHERE number = 3",
        "UPDATE audit SET number = 30 WHERE number = 3",
        "DELETE FROM audit WHERE number = 3",
    ],
)
async def test_whatever_was_done_to_a_row_it_is_named_and_the_rest_exported(
    data_dir: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await _record(data_dir, 5)
    with sqlite3.connect(data_dir / "state.sqlite") as database:
        database.execute("PRAGMA ignore_check_constraints=ON")
        try:
            database.execute(change)
        except sqlite3.IntegrityError:  # what the schema keeps out can't be done
            return
    database.close()
    assert _verified(data_dir) == 1
    assert capsys.readouterr().out.startswith(("row 3 ", "row 4 "))
    assert _verified(data_dir, "export") == 0


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\0" + b"\0" * 4000])
def test_a_file_that_is_no_record_is_said_to_be_none(
    data_dir: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir.mkdir()
    (data_dir / "state.sqlite").write_bytes(content)
    assert [_verified(data_dir), _verified(data_dir, "export")] == [2, 2]
    assert "can't be read as a state database" in capsys.readouterr().err


def _verified(data_dir: Path, command: str = "verify") -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMART_SUPPORT_DATA_DIR", str(data_dir))
        return audit.main([command])


def test_where_there_is_none_it_says_so(data_dir: Path) -> None:
    checked = _run(data_dir, "verify")
    assert checked.returncode == 2
    assert "SMART_SUPPORT_DATA_DIR" in checked.stderr
