"""Transactions on Postgres: what they lock, in which order, and how many messages they send."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.audit import AuditTrail, append, first_broken
from smart_support.errors import AlreadyDecided, Frozen
from smart_support.storage.state.base import Frequent, Row, StateDatabase
from smart_support.storage.state.postgres import (
    AUDIT_LOCK,
    NAMED_LOCKS,
    STATE_LOCK,
    PostgresStateDatabase,
    ServerConnection,
)
from tests.support.planned_calls import request
from tests.support.stores import state_of

SECONDS = 30
STATE_SHARED = f"SELECT pg_advisory_xact_lock_shared({STATE_LOCK})"
STATE_ALONE = f"SELECT pg_advisory_xact_lock({STATE_LOCK})"
NAMED = f"SELECT pg_advisory_xact_lock({NAMED_LOCKS},"
AUDIT = f"SELECT pg_advisory_xact_lock({AUDIT_LOCK})"
APPROVE = DecisionInput("approve", decided_by="dana", via="rest")
Messages = list[list[str]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateDatabase]:
    """One database for all tests; each has approvals of its own."""
    database = state_of(tmp_path_factory.mktemp("state"))
    for _ in range(2):  # with the first row, and once it has read that row's form
        database.transact_now(lambda connection: append(connection, "warmed", actor="dana", via="rest"))
    yield database
    database.close()


@pytest.fixture(scope="module")
def queue(state: StateDatabase) -> ApprovalQueue:
    return ApprovalQueue(state, ttl_seconds=600)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Messages:
    """The statements of each message to the server; those that it has planned before as they were written."""
    sent: Messages = []
    written: dict[bytes, str] = {}
    write, send = ServerConnection.statement, ServerConnection.send

    def recorded(connection: ServerConnection, sql: str, params: Any = None) -> bytes:
        text = write(connection, sql, params)
        written[text] = sql
        return text

    def sent_now(connection: ServerConnection, message: bytes) -> list[Any]:
        if not message.startswith(b"PREPARE"):
            parts = message.split(b";\n")
            sent.append([" ".join(written.get(part, part.decode()).split()) for part in parts])
        return send(connection, message)

    monkeypatch.setattr(ServerConnection, "statement", recorded)
    monkeypatch.setattr(ServerConnection, "send", sent_now)
    return sent


async def _approved(queue: ApprovalQueue, **fields: Any) -> Approval:
    return await queue.decide((await queue.request(request(**fields))).approval_id, APPROVE)


async def _execute(ledger: Ledger, approval: Approval) -> None:
    async def run(_key: str) -> str:
        return "done"

    call = approval.call
    await ledger.execute(
        thread_id=approval.thread_id,
        tool_call_id=call.tool_call_id,
        tool=call.tool,
        digest=approval.digest,
        idempotent=False,
        run=run,
    )


def _check_order(transaction: Messages) -> None:
    """The state first, then names; the audit trail with the last statements before the commit."""
    statements = [one for message in transaction for one in message]
    assert statements[:2] == ["BEGIN", STATE_SHARED]
    locks = [one for one in statements if "pg_advisory" in one]
    assert all(one.startswith(NAMED) for one in locks[1:-1])
    assert locks[-1] == AUDIT
    assert [one.split(" (")[0] for one in transaction[-1][-3:]] == [AUDIT, "INSERT INTO audit", "COMMIT"]


async def test_a_decision_takes_two_messages_and_locks_the_audit_trail_last(
    queue: ApprovalQueue, messages: Messages
) -> None:
    approval = await queue.request(request(thread_id="order"))
    messages.clear()
    await queue.decide(approval.approval_id, APPROVE)
    assert [len(message) for message in messages] == [4, 4]
    assert messages[0][3].startswith("SELECT * FROM approvals")
    assert messages[0][3].endswith("FOR UPDATE")
    assert messages[1][0].startswith("UPDATE approvals")
    _check_order(messages)


async def test_each_step_of_a_write_locks_the_audit_trail_last(
    queue: ApprovalQueue, state: StateDatabase, messages: Messages
) -> None:
    await _execute(Ledger(state), await _approved(queue, thread_id="steps"))
    begins = [number for number, message in enumerate(messages) if message[0] == "BEGIN"]
    transactions = [messages[a:b] for a, b in zip(begins, [*begins[1:], None], strict=True)]
    assert len(transactions) == 4  # requested, decided, begun, ended
    for transaction in transactions:
        _check_order(transaction)


async def test_a_single_statement_is_one_message(state: StateDatabase, messages: Messages) -> None:
    await state.read("SELECT 1 AS one")
    assert messages == [["SELECT 1 AS one"]]


async def test_a_planned_statement_outlives_a_column_that_is_added(
    state: StateDatabase,
) -> None:
    await state.execute("CREATE TABLE growing AS SELECT 1 AS one")
    sql = Frequent("SELECT * FROM growing")

    async def read() -> Row:
        return (await state.transact(lambda connection: connection.execute(sql), on=()))[0]

    assert await read() == {"one": 1}
    await state.execute("ALTER TABLE growing ADD COLUMN two INTEGER")
    # On each connection of the pool.
    assert [await read() for _ in range(12)] == [{"one": 1, "two": None}] * 12


async def test_a_refused_statement_says_why_and_leaves_the_connection_usable(state: StateDatabase) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable, match="nowhere"):
        await state.transact(lambda connection: connection.execute("SELECT * FROM nowhere"), on=())
    assert await state.transact(lambda connection: connection.execute("SELECT 1 AS one"), on=()) == [
        {"one": 1}
    ]


@pytest.mark.parametrize("form", [str, Frequent])
async def test_values_are_quoted_into_statements(state: StateDatabase, form: type[str]) -> None:
    quoted = "it's \\ \x00 ␀ -- ; é 💶"
    values = {"text": quoted, "none": None, "less": -5, "part": -0.5, "yes": True}
    sql = form("SELECT :text AS text, :none AS none, 1 - :less AS less, :part AS part, :yes AS yes")
    (row,) = await state.transact(lambda connection: connection.execute(sql, values), on=())
    assert row["text"] == quoted.replace("\x00", "␀")
    assert row["none"] is None
    assert [float(row[name]) for name in ("less", "part", "yes")] == [6, -0.5, 1]


async def test_only_those_on_the_same_thing_wait_for_each_other(state: StateDatabase) -> None:
    inside, may_end = threading.Event(), threading.Event()

    def hold(_connection: object) -> None:
        inside.set()
        may_end.wait(SECONDS)

    def hold_locked(connection: Any) -> None:
        connection.execute("SELECT 1")  # the locks are taken with the first statement
        hold(connection)

    def look(connection: Any) -> Any:
        return connection.execute("SELECT 1 AS one")

    holding = asyncio.create_task(state.transact(hold_locked, on=["approval A"]))
    await asyncio.to_thread(inside.wait, SECONDS)
    async with asyncio.timeout(SECONDS):
        assert await state.transact(look, on=["approval B"]) == [{"one": 1}]
        await AuditTrail(state).record("tried", by="dana", via="rest")
        same = asyncio.create_task(state.transact(look, on=["approval B", "approval A"]))
        await _until_waiting(state, 1)
        alone = asyncio.create_task(state.transact(look))
        await _until_waiting(state, 2)
        assert not same.done()
        assert not alone.done()
        may_end.set()
        assert await same == await alone == [{"one": 1}]
        await holding


async def _until_waiting(state: StateDatabase, number: int) -> None:
    sql = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    sql += " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    while (await state.read(sql))[0]["n"] < number:  # noqa: ASYNC110  (only the server knows)
        await asyncio.sleep(0.005)


async def test_two_processes_that_decide_at_once_have_one_winner_and_one_trail(
    queue: ApprovalQueue, state: StateDatabase
) -> None:
    assert isinstance(state, PostgresStateDatabase)
    other_state = PostgresStateDatabase(state.pool.conninfo)
    other = ApprovalQueue(other_state, 600)
    waiting = [await queue.request(request(thread_id=f"race-{number}")) for number in range(10)]
    won: list[str] = []

    async def decide(at: ApprovalQueue, approval: Approval) -> None:
        with contextlib.suppress(AlreadyDecided):
            won.append((await at.decide(approval.approval_id, APPROVE)).approval_id)

    await asyncio.gather(*(decide(at, one) for one in waiting for at in (queue, other, queue, other)))
    assert sorted(won) == sorted(one.approval_id for one in waiting)
    rows = await state.read("SELECT * FROM audit ORDER BY number")
    assert first_broken(rows) is None
    other_state.close()


async def test_nothing_begins_once_a_freeze_is_in_effect(queue: ApprovalQueue, state: StateDatabase) -> None:
    """Writes begin at once with a freeze: each is on record before the freeze, or does not begin."""
    approvals = [await _approved(queue, thread_id=f"cold-{number}") for number in range(8)]
    ledger, freezes = Ledger(state), Freezes(state)

    async def execute(approval: Approval) -> None:
        with contextlib.suppress(Frozen):
            await _execute(ledger, approval)

    await asyncio.gather(
        *(execute(one) for one in approvals[:4]),
        freezes.freeze("all", "trial", by="dana", via="rest"),
        *(execute(one) for one in approvals[4:]),
    )
    rows = await state.read("SELECT number, kind FROM audit ORDER BY number DESC")
    frozen = next(row["number"] for row in rows if row["kind"] == "frozen")
    assert not [row for row in rows if row["kind"] == "execution_begun" and row["number"] > frozen]
    await freezes.lift("all", by="dana", via="rest")


async def test_connections_that_the_server_has_ended_are_replaced(
    state: StateDatabase,
) -> None:
    assert isinstance(state, PostgresStateDatabase)
    await asyncio.gather(*(state.read("SELECT pg_sleep(0.01)") for _ in range(6)))
    with psycopg.connect(state.pool.conninfo, autocommit=True) as admin:
        admin.execute(
            """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
    async with asyncio.timeout(SECONDS / 2):  # the pool would wait longer for each of them
        assert await state.read("SELECT 1 AS one") == [{"one": 1}]
