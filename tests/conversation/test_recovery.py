"""What a start finds of a crash is finished a few at a time, and never in the way of who comes now."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smart_support import Settings, clock, create_app, services
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.limits import RECOVERIES_AT_ONCE
from smart_support.conversation.sessions import SessionManager
from smart_support.conversation.turn import Turn
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.errors import StorageFailed
from smart_support.services import Services
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.journal import Batch, Journal
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.harness import Client, LocalApp, spoken

BY_LEAD = {"decided_by": "dana", "via": "rest"}
THREADS = 4 * RECOVERIES_AT_ONCE


async def test_many_turns_that_a_crash_cut_off_are_finished_a_few_at_a_time(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = SqliteStateDatabase(data_dir / "state.sqlite")
    for number in range(THREADS):
        await state.execute(
            """INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at, turn_id)
               VALUES (:id, :now, :now, :now, :id)""",
            {"id": f"cut-off-{number}", "now": clock.rfc3339(clock.now())},
        )
    state.close()
    running, most, finished = 0, 0, 0
    goes_on = threading.Event()
    # Not the loop's own threads: turns use those.
    threads = ThreadPoolExecutor(THREADS)

    async def finish(self: Turn) -> None:
        nonlocal running, most, finished
        running, most = running + 1, max(most, running + 1)
        await asyncio.get_running_loop().run_in_executor(threads, goes_on.wait, 30)
        running, finished = running - 1, finished + 1

    monkeypatch.setattr(Turn, "finish", finish)
    with LocalApp(create_app(Settings(data_dir=data_dir))) as app:
        async with await Client.connect(app.ws_url) as client:
            assert "1043" in spoken(await client.turn("now", "Where is my order 1043?"))
        assert (running, finished) == (RECOVERIES_AT_ONCE, 0)
        goes_on.set()
    threads.shutdown()
    assert (most, finished) == (RECOVERIES_AT_ONCE, THREADS)


async def test_a_turn_that_lost_its_store_is_finished_without_a_start(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SECONDS_AFTER_LOST_STORE", 0.0)
    end_turn, failures = SessionManager.end_turn, [StorageFailed("disk full"), StorageFailed("disk full")]

    async def end_when_there_is_room(self: SessionManager, *given: Any, **named: Any) -> None:
        if failures:
            raise failures.pop()
        await end_turn(self, *given, **named)

    monkeypatch.setattr(SessionManager, "end_turn", end_when_there_is_room)
    with LocalApp(create_app(Settings(data_dir=data_dir))) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="message", thread_id="t", content="Where is my order 1043?")
            told = (await client.until("error"))[-1]
            assert told["code"] == "storage_error"
            assert "seq" not in told, "it has no place in the record"
            database = SqliteStateDatabase(data_dir / "state.sqlite")
            async with asyncio.timeout(30):
                while (await database.read("SELECT turn_id FROM sessions"))[0]["turn_id"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # nothing tells of it
            database.close()
            assert not failures
            await client.send(type="resume", thread_id="t", after=0)
            await client.until("message_complete")
            assert spoken(await client.turn("t", "Where is my order 1043?"))
    await _check_for_gaps(data_dir)


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "goes on at once"])
async def test_the_record_has_no_gap_where_the_disk_failed_in_the_middle_of_a_turn(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], waits: bool
) -> None:
    """One commit fails, and the next ones would succeed: nothing is recorded behind what is missing."""
    add, failures = Journal.add, [sqlite3.OperationalError("disk I/O error")]

    def fail_once(self: Journal, batch: Batch) -> None:
        if failures and any(record.event.type == "tool_call" for record in batch.records):
            raise failures.pop()
        add(self, batch)

    monkeypatch.setattr(Journal, "add", fail_once)
    with LocalApp(create_app(Settings(data_dir=data_dir))) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="message", thread_id="t", content="Where is my order 1043?")
            assert (await client.until("error"))[-1]["code"] == "storage_error"
            if waits:
                await client.send(type="resume", thread_id="t", after=0)
                await client.until("message_complete", "error")
            assert spoken(await client.turn("t", "Where is my order 1043?"))
    assert not failures
    await _check_for_gaps(data_dir)
    assert "never retrieved" not in capsys.readouterr().err


async def _check_for_gaps(data_dir: Path) -> None:
    """Check that each number of the conversation is one of an event's."""
    log = EmbeddedEventStore(data_dir / "events.duckdb")
    records = await log.read("t")
    log.close()
    assert [record.first_seq for record in records] == [1, *(record.seq + 1 for record in records[:-1])]


async def test_a_decision_before_the_turn_that_asked_had_ended_is_carried_out(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice: after the interrupt is on record, before its turn has ended; and after the decision."""

    async def killed(*_: object) -> None:
        """Change nothing."""

    with monkeypatch.context() as patched, LocalApp(create_app(Settings(data_dir=data_dir))) as app:
        patched.setattr(SessionManager, "end_turn", killed)
        answer = app.request("POST", "/chat", json={"message": "Cancel order 1042"}).json()["data"]
        approval_id = answer["approval"]["approval_id"]
        patched.setattr(TurnRunner, "start", lambda *_, **__: "never started")
        decision = app.request("POST", f"/approvals/{approval_id}/decision", json={"decision": "approve"})
        assert decision.json()["data"]["execution"] == "not_started"
    with LocalApp(create_app(Settings(data_dir=data_dir))) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="resume", thread_id=answer["thread_id"])
            await client.until("message_complete")
        decided = app.request("GET", f"/approvals/{approval_id}").json()["data"]
    assert decided["execution"] == "done"


async def test_a_decision_while_the_turn_that_asks_is_recovered_is_no_failure(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once the approval is on the queue; a lead decides it before recovery has told of it."""
    request, give_up = ApprovalQueue.request, Ledger.give_up

    async def killed(*args: Any) -> None:
        await request(*args)
        raise asyncio.CancelledError

    async def decided_first(*args: Any) -> None:
        (approval,) = await services.approvals.of_thread("t")
        if approval.status == "pending":
            await services.turns.decide(approval.approval_id, DecisionInput("approve", **BY_LEAD))
        await give_up(*args)

    services = Services(Settings(data_dir=data_dir))
    await services.open()
    with monkeypatch.context() as patched:
        patched.setattr(ApprovalQueue, "request", killed)
        async for _ in services.turns.submit_and_follow("t", "Cancel order 1042", channel="rest"):
            pass
    await services.close()
    monkeypatch.setattr(Ledger, "give_up", decided_first)
    services = Services(Settings(data_dir=data_dir))
    await services.open()
    events = [one.event async for one in services.turns.follow("t")]
    (approval,) = await services.approvals.of_thread("t")
    await services.close()
    assert [one.type for one in events if one.ends_turn] == ["interrupt", "message_complete"]
    assert approval.execution == "done"
