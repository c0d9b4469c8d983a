"""`python -m smart_support freeze` on the data of an app, running or not."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from smart_support.__main__ import main
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.queue import ApprovalQueue
from tests.support.planned_calls import request
from tests.support.stores import named, of_files, state_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder that the command's settings name; its database exists."""
    folder = tmp_path / "var"
    folder.mkdir()
    state_of(folder).close()
    for name, value in named(folder).items():
        monkeypatch.setenv(name, value)
    return folder


async def test_it_freezes_lists_and_lifts_beside_an_open_app(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = state_of(folder)
    await ApprovalQueue(state, 60).request(request())
    freezes = Freezes(state)
    assert main(["freeze", "--reason", "a pricing error"]) == 0
    (freeze,) = await freezes.in_effect()
    assert (freeze.scope, freeze.by, freeze.reason, freeze.paused) == (
        "all",
        "command line",
        "a pricing error",
        1,
    )
    assert await freezes.refresh()
    assert main(["freeze", "tool:refund_order", "--reason", "why"]) == 0
    capsys.readouterr()
    assert main(["freeze", "list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["all", "tool:refund_order"]
    assert "1 approvals paused" in shown[0]
    assert main(["freeze", "lift", "tool:refund_order"]) == 0
    assert main(["freeze", "lift"]) == 0
    assert await freezes.in_effect() == []
    rows = await state.read("SELECT via, detail FROM audit WHERE kind = 'frozen'")
    assert all(row["via"] == "command" and "os_user" in row["detail"] for row in rows)
    state.close()
    assert main(["freeze", "list"]) == 0
    assert "Nothing is frozen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["everything", "--reason", "why"], "give all, agent:NAME"),
        (["all"], "--reason"),
        (["all", "--reason", " "], "reason"),
        (["lift", "tool:x"], "tool:x is not frozen"),
        (["all", "tool:x", "--reason", "why"], "one scope"),
    ],
)
def test_a_mistake_is_said_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["freeze", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert main(["freeze", "list"]) == 0
    assert "Nothing" in capsys.readouterr().out


@of_files
def test_it_makes_no_data_where_there_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder)
    assert main(["freeze", "--reason", "why"]) == 2
    assert "SMART_SUPPORT_DATA_DIR" in capsys.readouterr().err
    assert not folder.exists()


@of_files
def test_it_leaves_the_data_of_an_older_release_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = sqlite3.connect(folder / "state.sqlite")
    database.execute("DROP TABLE freezes")
    database.close()
    assert main(["freeze", "--reason", "why"]) == 2
    assert "migrate" in capsys.readouterr().err
