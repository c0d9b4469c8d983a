"""Backups of an app under load, put back elsewhere after a SIGKILL: nothing is lost, nothing runs twice."""

import asyncio
import io
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from smart_support.__main__ import main
from smart_support.storage.answer_files import AnswerFiles
from smart_support.storage.backup import digests
from smart_support.storage.events.duckdb_file import DuckDBFile
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.harness import FORKING, AppProcess, free_port, run_python
from tests.support.health import wait_until_healthy
from tests.support.kills.app import serve
from tests.support.stores import of_files
from tests.support.workers import end_workers, is_cut_off

pytestmark = of_files

WORKERS = 4


class _App:
    """The app of `tests.support.kills.app`: its data in `folder/var`, the effects of its tools beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=60)
        folder.mkdir(exist_ok=True)
        self.process = FORKING.Process(target=serve, args=(self.port, str(folder), 7), daemon=True)

    async def __aenter__(self) -> "_App":
        self.process.start()
        if await wait_until_healthy(self.process, f"http://127.0.0.1:{self.port}/api/v1", ready=True):
            return self
        raise RuntimeError(f"the app ended with {self.process.exitcode}")

    async def __aexit__(self, *_: object) -> None:
        os.kill(self.process.pid or 0, signal.SIGKILL)
        self.process.join()
        await self.http.aclose()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m smart_support ...`, as an operator runs it beside this app."""
        own = {"SMART_SUPPORT_DATA_DIR": str(self.folder / "var"), "SMART_SUPPORT_PORT": str(self.port)}
        return run_python("-m", "smart_support", *arguments, environment=os.environ | own)

    async def say(self, thread_id: str, message: str) -> dict[str, Any]:
        """One turn."""
        answer = await self.http.post("/chat", json={"thread_id": thread_id, "message": message})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()["data"]
        return told

    async def decide(self, approval_id: str, decision: str) -> None:
        """Decide, durably."""
        answer = await self.http.post(f"/approvals/{approval_id}/decision", json={"decision": decision})
        assert answer.status_code == 200, answer.text

    async def settled(self, approval_id: str) -> dict[str, Any]:
        """An approval, once it is known what came of its action."""
        async with asyncio.timeout(60):
            while True:
                found: dict[str, Any] = (await self.http.get(f"/approvals/{approval_id}")).json()["data"]
                if found["execution"] != "not_started":
                    return found

    async def steps(self, thread_id: str) -> list[dict[str, Any]]:
        """What is on record of a conversation."""
        found: list[dict[str, Any]] = (await self.http.get(f"/replay/{thread_id}")).json()["data"]
        return found

    def effects(self) -> Counter[str]:
        """How often each item was struck or marked, in the world outside."""
        strikes = self.folder / "strikes"
        struck = strikes.read_text().split() if strikes.exists() else []
        return Counter([*struck, *(path.read_text() for path in (self.folder / "marks").glob("*"))])


class _Decided(dict[str, tuple[str, float]]):
    """What was decided, by approval: the decision, and when the app had said that it is durable."""

    def __init__(self) -> None:
        self._more = asyncio.Condition()

    async def note(self, approval_id: str, decision: str) -> None:
        """One more."""
        async with self._more:
            self[approval_id] = (decision, time.monotonic())
            self._more.notify_all()

    async def reached(self, count: int) -> None:
        """Return once there are so many."""
        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(lambda: len(self) >= count)


async def _traffic(app: _App, numbers: Any, decided: _Decided) -> None:
    """Customers who ask and a lead who mostly approves; keeps each decision and the time of its answer."""
    while True:
        number = next(numbers)
        item = f"{'strike' if number % 2 else 'mark'} IT-{number:06}"
        told = await app.say(f"thread-{number}", f"please {item}")
        if number % 5:
            decision = "reject" if number % 7 == 0 else "approve"
            await app.decide(told["approval"]["approval_id"], decision)
            await decided.note(told["approval"]["approval_id"], decision)


def _check_consistent(folder: Path) -> tuple[int, int]:
    """No event is ahead of the state, none that the state counts on is missing; the running turns in it."""
    with closing(sqlite3.connect(folder / "state.sqlite")) as state:
        state.row_factory = sqlite3.Row
        sessions = {row["thread_id"]: row for row in state.execute("SELECT * FROM sessions")}
        audited = {row["event_id"] for row in state.execute("SELECT event_id FROM audit")}
        resumed = [row[0] for row in state.execute("SELECT event_id FROM approvals WHERE resumed")]
        state.execute("PRAGMA integrity_check")
    with duckdb.connect(str(folder / "events.duckdb")) as log:
        found = "SELECT thread_id, max(seq) FROM events GROUP BY thread_id"
        last = dict(log.execute(found).fetchall())
        told = {str(row[0]) for row in log.execute("SELECT event_id FROM events").fetchall()}
    for thread_id, session in sessions.items():
        if session["turn_id"] is None:
            assert last[thread_id] == session["last_seq"], thread_id
        else:
            assert last.get(thread_id, 0) <= session["reserved_seq"], thread_id
    assert set(last) <= set(sessions)
    assert set(resumed) <= told
    assert set(resumed) <= audited
    with closing(sqlite3.connect(folder / "checkpoints.sqlite")) as checkpoints:
        threads = {row[0] for row in checkpoints.execute("SELECT DISTINCT thread_id FROM checkpoints")}
        assert threads <= set(sessions)
        assert checkpoints.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return len(sessions), sum(session["turn_id"] is not None for session in sessions.values())


def _ledger(folder: Path) -> dict[str, str]:
    """Which items the ledger of a backup knows of, and what became of each."""
    with closing(sqlite3.connect(folder / "state.sqlite")) as state:
        rows = state.execute(
            """SELECT json_extract(args, '$.item_id'), l.status
               FROM action_ledger l JOIN approvals USING (approval_id)"""
        )
        return dict(rows.fetchall())


@pytest.mark.parametrize("backups", [4, pytest.param(60, marks=pytest.mark.nightly)])
async def test_a_backup_in_the_middle_of_traffic_is_whole_and_a_start_from_it_recovers(
    tmp_path: Path, backups: int
) -> None:
    decided = _Decided()
    taken, running = tmp_path / "taken", 0
    async with _App(tmp_path / "first") as app:
        numbers = itertools.count(1)
        workers = [asyncio.create_task(_traffic(app, numbers, decided)) for _ in range(WORKERS)]
        try:
            await decided.reached(12)
            for _ in range(backups):
                answer = await app.http.post("/backup")
                assert answer.status_code == 201, answer.text
                threads, in_turn = await asyncio.to_thread(
                    _check_consistent, Path(answer.json()["data"]["folder"])
                )
                running += in_turn
                assert threads >= 12
            done = next(one for one, (decision, _) in decided.items() if decision == "approve")
            thread_id = (await app.settled(done))["thread_id"]
            late = (await app.say("late", "please mark IT-888888"))["approval"]["approval_id"]
            before, began = await app.steps(thread_id), time.monotonic()
            told = await asyncio.to_thread(app.command, "backup", str(taken))
            assert told.returncode == 0, told.stderr
            await app.decide(late, "approve")
            assert (await app.settled(late))["execution"] == "done"
            await decided.reached(len(decided) + 4)
        finally:
            # Who fails before the kill was not cut off by it.
            await end_workers(worker for worker in workers if worker.done())
    await end_workers(workers, is_cut_off)
    assert running > 0, "no turn ran at any of the moments: nothing was shown"

    ledger, world = _ledger(taken), app.effects()
    again = _App(tmp_path / "second")
    for effect in ("strikes", "marks"):
        source = app.folder / effect
        (shutil.copytree if source.is_dir() else shutil.copy)(source, again.folder / effect)
    told = await asyncio.to_thread(again.command, "restore", str(taken))
    assert told.returncode == 0, told.stderr
    assert "each follows from the one before it" in told.stdout
    assert "approvals are pending" in told.stderr
    async with again:
        for approval_id, (decision, at) in decided.items():
            if at < began:
                found = await again.settled(approval_id)
                assert found["status"] == {"approve": "approved", "reject": "rejected"}[decision]
        waiting = (await again.http.get("/approvals", params={"status": "pending", "limit": 100})).json()[
            "data"
        ]
        fresh = [one for one in waiting if not world[one["args"]["item_id"]]]
        for approval in fresh:
            await again.decide(approval["approval_id"], "approve")
            assert (await again.settled(approval["approval_id"]))["execution"] == "done"
        # Carried out after the backup was taken: the world knows the key, and does it no second time.
        await again.decide(late, "approve")
        assert (await again.settled(late))["execution"] == "done"
        effects = again.effects()
        assert effects["IT-888888"] == 1
        assert {item: effects[item] for item in ledger} == {item: max(world[item], 1) for item in ledger}
        assert all(effects[one["args"]["item_id"]] == 1 for one in fresh)
        assert await again.steps(thread_id) == before
        more = await again.say(thread_id, "please mark IT-999999")
        assert more["status"] == "awaiting_approval"
        steps = await again.steps(thread_id)
        assert [step["seq"] for step in steps] == sorted({step["seq"] for step in steps})
        page = await again.http.get(f"http://127.0.0.1:{again.port}/", headers={"accept": "text/html"})
        assert (page.status_code, "Smart Support" in page.text) == (200, True)
    print(f"{len(decided)} decisions, {len(ledger)} in the ledger, {len(fresh)} decided after the restore")
    assert fresh
    assert len(ledger) >= 10


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The commands without the seconds that a process takes to start: the exit code and the output."""

    def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
        for name, value in {"SMART_SUPPORT_DATA_DIR": str(folder), **environment}.items():
            monkeypatch.setenv(name, value)
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


async def test_a_stopped_app_is_backed_up_and_nothing_is_overwritten_without_force(
    tmp_path: Path, run: Any
) -> None:
    var, taken = tmp_path / "app" / "var", tmp_path / "taken"
    async with _App(tmp_path / "app") as app:
        approval_id = (await app.say("t", "please mark IT-000001"))["approval"]["approval_id"]
        nowhere = f"http://127.0.0.1:{free_port()}"
        code, told = await asyncio.to_thread(run, var, "backup", str(tmp_path / "x"), "--url", nowhere)
        assert (code, "--url" in told) == (2, True)
    kept = AnswerFiles(var).store("t", b"\x89PNG", "image/png")
    (var / kept).with_suffix(".partial").write_bytes(b"half")
    assert run(var, "backup", str(taken))[0] == 0
    assert _check_consistent(taken) == (1, 0)
    for arguments, words in (
        (("backup", str(taken)), "choose another one"),
        (("restore", str(tmp_path / "nothing")), "is no backup"),
        (("restore", str(taken)), "--force"),
    ):
        code, told = run(var, *arguments)
        assert (code, words in told) == (2, True), told
    (var / "secret.key").write_bytes(b"another")
    code, told = run(var, "restore", str(taken), "--force")
    assert code == 0, told
    assert (var / "secret.key").read_bytes() == (taken / "secret.key").read_bytes()
    assert [path.read_bytes() for path in var.glob("replaced-*/secret.key")] == [b"another"]
    assert [path.read_bytes() for path in (var / kept).parent.iterdir()] == [b"\x89PNG"]
    async with _App(tmp_path / "app") as app:
        code, told = await asyncio.to_thread(run, var, "restore", str(taken), "--force")
        assert (code, "stop the other process" in told) == (2, True)
        await app.decide(approval_id, "approve")
        assert (await app.settled(approval_id))["execution"] == "done"
    with (taken / "checkpoints.sqlite").open("r+b") as file:
        file.write(b"spoiled")
    code, told = run(tmp_path / "elsewhere", "restore", str(taken))
    assert (code, "checkpoints.sqlite" in told) == (2, True)
    assert not list((tmp_path / "elsewhere").glob("*.sqlite"))


def test_only_answer_files_come_out_of_a_backups_archive(tmp_path: Path, run: Any) -> None:
    var, taken = tmp_path / "var", tmp_path / "taken"
    kept = AnswerFiles(var).store("t", b"\x89PNG", "image/png")
    SqliteStateDatabase(var / "state.sqlite").close()
    DuckDBFile(var / "events.duckdb").close()
    assert run(var, "backup", str(taken))[0] == 0
    folder = Path(kept).parent
    with tarfile.open(taken / "files.tar", "a") as archive:
        for name in ("../outside", "state.sqlite", f"{folder}/../../../outside", f"{folder}/a.png"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo(f"{folder}/{'0' * 16}.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    manifest = json.loads((taken / "manifest.json").read_text())
    manifest["files"] |= digests(taken, ["files.tar"])
    (taken / "manifest.json").write_text(json.dumps(manifest))
    code, told = run(restored := tmp_path / "restored", "restore", str(taken))
    assert code == 0, told
    assert [path.relative_to(restored) for path in (restored / "files").rglob("*.*")] == [Path(kept)]
    assert not [*tmp_path.rglob("outside")]
    assert (restored / "state.sqlite").stat().st_size


async def test_a_running_app_takes_a_backup_for_admins_only(data_dir: Path, run: Any) -> None:
    keys = "desk:operator:an-operators-key,ops:admin:an-admins-key"
    app = await asyncio.to_thread(AppProcess(data_dir, API_KEYS=keys).start)
    target = data_dir.parent / "taken"
    own = {"SMART_SUPPORT_PORT": str(app.port), "SMART_SUPPORT_API_KEYS": keys}
    try:
        for key in ("", "an-operators-key", "nobodys-key"):
            code, told = await asyncio.to_thread(
                run, data_dir, "backup", str(target), SMART_SUPPORT_KEY=key, **own
            )
            assert (code, "users key backup --role admin" in told) == (2, True)
            assert not target.exists()
        admin = {"SMART_SUPPORT_KEY": "an-admins-key"}
        assert (await asyncio.to_thread(run, data_dir, "backup", str(target), **own, **admin))[0] == 0
        assert (target / "secret.key").stat().st_mode & 0o777 == 0o600
    finally:
        await asyncio.to_thread(app.stop)


def test_the_audit_is_a_command_among_the_others(tmp_path: Path, run: Any) -> None:
    SqliteStateDatabase(tmp_path / "state.sqlite").close()
    code, told = run(tmp_path, "audit", "verify")
    assert (code, told.splitlines()[0]) == (0, "0 rows, each follows from the one before it")
