"""Migrations: each once, in order, what there was is kept, and copied before it is touched."""

import shutil
import sqlite3
from pathlib import Path

import duckdb
import pytest

from smart_support import clock
from smart_support.__main__ import main
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.errors import DecisionNotAllowed
from smart_support.storage.events import duckdb_file
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.state import base
from smart_support.storage.state.sqlite import SqliteStateDatabase

MIGRATIONS = base.MIGRATIONS


@pytest.fixture
def first_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As the first release had it: one migration for each database."""
    for kind in ("state", "events"):
        folder = tmp_path / "migrations" / kind
        folder.mkdir(parents=True)
        shutil.copy(sorted((MIGRATIONS / kind).glob("*.sql"))[0], folder)
    monkeypatch.setattr(base, "MIGRATIONS", tmp_path / "migrations")
    monkeypatch.setattr(duckdb_file, "MIGRATIONS", tmp_path / "migrations")
    return monkeypatch


def test_the_state_is_copied_before_each_migration_and_kept(
    tmp_path: Path, first_only: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.sqlite"
    old = SqliteStateDatabase(path)
    old.execute_now(
        "INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at) "
        "VALUES ('t', '', '', '')"
    )
    old.close()
    assert not list(tmp_path.glob("*.before-*"))
    first_only.undo()
    for _ in range(2):
        new = SqliteStateDatabase(path)
        assert new.execute_now("SELECT thread_id FROM sessions") == [{"thread_id": "t"}]
        new.close()
    later = [one.stem for one in sorted((MIGRATIONS / "state").glob("*.sql"))[1:]]
    assert sorted(one.name for one in tmp_path.glob("*.before-*")) == [
        f"state.sqlite.before-{name}" for name in later
    ]
    with sqlite3.connect(tmp_path / f"state.sqlite.before-{later[-1]}") as copy:
        assert copy.execute("SELECT count(*) FROM applied_migrations").fetchone() == (len(later),)
        assert copy.execute("SELECT thread_id FROM sessions").fetchall() == [("t",)]
    copy.close()


async def test_an_approval_of_before_may_be_decided_as_it_could_be_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "migrations" / "state").mkdir(parents=True)
    for each in sorted((MIGRATIONS / "state").glob("*.sql")):
        if each.name < "0007":
            shutil.copy(each, tmp_path / "migrations" / "state")
    with monkeypatch.context() as before:
        before.setattr(base, "MIGRATIONS", tmp_path / "migrations")
        old = SqliteStateDatabase(tmp_path / "state.sqlite")
        values = {"id": "a1", "now": clock.rfc3339(clock.now()), "later": "2099-01-01T00:00:00.000000Z"}
        old.execute_now(
            """INSERT INTO approvals (approval_id, thread_id, interrupt_id, part, agent, action, args,
                   requested_args, digest, summary, risk, status, requested_at, expires_at)
               VALUES (:id, 't', 'i', 0, 'orders', 'cancel', '{}', '{}', 'd', 's', 'low', 'pending', :now,
                   :later)
            """,
            values,
        )
        old.close()
    queue = ApprovalQueue(SqliteStateDatabase(tmp_path / "state.sqlite"), ttl_seconds=60)
    assert (await queue.get("a1")).allowed == ["approve", "edit", "reject"]
    with pytest.raises(DecisionNotAllowed):
        await queue.decide("a1", DecisionInput("respond", decided_by="kim", via="rest", reason="by hand"))
    assert (await queue.get("a1")).status == "pending"
    assert (
        await queue.decide("a1", DecisionInput("approve", decided_by="kim", via="rest"))
    ).status == "approved"


def _first_event_file(path: Path) -> None:
    """An event file as the first release made it. Later ones have tables that the app of today needs."""
    with duckdb.connect(str(path)) as raw:
        raw.execute((MIGRATIONS / "events" / "0001_event_log.sql").read_text())
        raw.execute("CREATE TABLE applied_migrations (name VARCHAR PRIMARY KEY)")
        raw.execute("INSERT INTO applied_migrations VALUES ('0001_event_log.sql')")


def test_the_event_log_is_copied_before_each_migration_and_kept(
    tmp_path: Path, first_only: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.duckdb"
    _first_event_file(path)
    with duckdb.connect(str(path)) as raw:
        raw.execute(
            "INSERT INTO events (event_id, thread_id, first_seq, seq, happened_at, type, payload) "
            "VALUES (uuid(), 't', 1, 1, now()::TIMESTAMP, 'message', '{}')"
        )
    first_only.undo()
    EmbeddedEventStore(path).close()
    copies = sorted(tmp_path.glob("*.before-*"))
    assert [one.name for one in copies] == [
        "events.duckdb.before-0002_figures",
        "events.duckdb.before-0003_callers",
        "events.duckdb.before-0004_summaries",
        "events.duckdb.before-0005_days",
        "events.duckdb.before-0005_search",
    ]
    for each in (path, *copies):
        with duckdb.connect(str(each)) as raw:
            assert raw.execute("SELECT thread_id FROM events").fetchall() == [("t",)]
    with duckdb.connect(str(path)) as raw:
        assert raw.execute("SELECT kind FROM events").fetchall() == [(None,)]
        assert raw.execute("SELECT events FROM summarized").fetchall() == [(0,)]


def test_the_command_tells_what_is_due_and_applies_it(
    tmp_path: Path, first_only: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def migrate(*arguments: str) -> tuple[int, list[str]]:
        code = main(["migrate", *arguments])
        return code, capsys.readouterr().out.splitlines()

    first_only.setenv("SMART_SUPPORT_DATA_DIR", str(tmp_path))
    assert "no databases yet" in migrate("--check")[1][0]
    SqliteStateDatabase(tmp_path / "state.sqlite").close()
    _first_event_file(tmp_path / "events.duckdb")
    first_only.undo()
    first_only.setenv("SMART_SUPPORT_DATA_DIR", str(tmp_path))
    later = [
        f"{kind}.{ending}: {one.stem}"
        for kind, ending in (("state", "sqlite"), ("events", "duckdb"))
        for one in sorted((MIGRATIONS / kind).glob("*.sql"))[1:]
    ]
    assert len(later) > 2
    assert migrate("--check") == (3, [f"{one} is pending" for one in later])
    assert not list(tmp_path.glob("*.before-*"))
    assert migrate() == (0, [f"{one} applied" for one in later])
    assert migrate("--check") == (0, ["Every database is up to date."])
    assert len(list(tmp_path.glob("*.before-*"))) == len(later)
