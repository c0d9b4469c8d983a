"""The form of the audit record: what its documentation promises, and what an attacker can't do to it.

The attacker of these tests may write the state database, and has this code. What is kept elsewhere (a noted
head) is out of reach.
"""

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_support import audit, clock
from smart_support.approvals.approval import Request
from smart_support.approvals.claims import Claims
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.disabled_callers import DisabledCallers
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.audit_consistency import NOT_RECORDED
from smart_support.conversation.erasure import blank
from smart_support.errors import ToolRefused
from smart_support.storage.state.base import Connection, StateDatabase
from smart_support.storage.state.sqlite import SqliteConnection, SqliteStateDatabase
from tests.support.examples import examples
from tests.support.planned_calls import planned, request

WORDS = "my-private-words-4711"
TABLES = ("audit", "approvals", "action_ledger")


def _request(number: int, **fields: Any) -> Request:
    usual = {
        "thread_id": f"thread-{number}",
        "interrupt_id": f"interrupt-{number}",
        "tool_call_id": f"call-{number}",
        "tool": "cancel_order",
        "args": {"order_id": str(number), "note": WORDS},
        "agent": "order_actions",
        "summary": f"Cancel order {number}: {WORDS}",
        "customer_id": f"C-{number}",
        "tool_version": "1",
        "asked_by": "site",
        "effect": [{"subject": WORDS, "field": "status", "before": "open", "after": "cancelled"}],
        "facts": {"amount_cents": number},
    }
    return request(**(usual | fields))


async def _live(state: StateDatabase) -> None:
    """A day of a support desk: one of each thing that is recorded of approvals."""
    queue, ledger = ApprovalQueue(state, 3600), Ledger(state)
    desk = Claims(state, queue)

    async def decided(number: int, decision: str = "approve", **fields: Any) -> Any:
        approval = await queue.request(_request(number, **fields))
        edit = planned(args={"order_id": "9"}, summary=f"Edited {WORDS}", customer_id="C-9")
        made = DecisionInput(decision, decided_by="dana", via="console", reason=f"Because {WORDS}")
        return await queue.decide(approval.approval_id, made, edit if decision == "edit" else None)

    async def run(approval: Any, error: Exception | None = None) -> None:
        async def tool(_: str) -> dict[str, str]:
            if error:
                raise error
            return {"message": WORDS}

        call = {"thread_id": approval.thread_id, "tool_call_id": approval.call.tool_call_id}
        await ledger.execute(
            tool=approval.call.tool, digest=approval.digest, idempotent=False, run=tool, **call
        )

    await queue.request(_request(1))
    await decided(2, "reject")
    await run(await decided(3))
    await run(await decided(4, "edit"))
    await run(await decided(5), ToolRefused("no"))
    await run(await decided(6), ConnectionError("gone"))
    refused = await decided(7)
    await ledger.refuse(refused.thread_id, refused.call.tool_call_id, "it has changed")
    granted = _request(8, need="run", because="Small ones are ours to give.")
    await run(await queue.grant(granted.call, granted.thread_id))
    await queue.forbid(_request(9, need="never").call, "thread-9")
    first = await decided(10, need="two_leads")
    claimed = await desk.claim(first.approval_id, by="kim", via="console")
    await desk.note(claimed.approval_id, f"They called: {WORDS}", by="kim", via="console")
    await run(
        await queue.decide(first.approval_id, DecisionInput("approve", decided_by="kim", via="console"))
    )
    await decided(11, need="two_leads")
    expiring = ApprovalQueue(state, 0)
    await expiring.request(_request(12))
    await expiring.expire_due()
    await decided(13)
    freezes, disabled = Freezes(state), DisabledCallers(state)
    for scope in ("all", "tool:refund_order"):
        await freezes.freeze(scope, "a pricing error", by="dana", via="rest")
    await freezes.lift("all", by="ann", via="rest")
    await freezes.freeze("all", "once more", by="dana", via="rest")
    for name in ("claude", "cursor"):
        await disabled.disable(name, "a stolen key", by="dana", via="console")
    await disabled.enable("cursor", by="kim", via="console")
    trail = audit.AuditTrail(state)
    await trail.record("logged_in", by="dana", via="login", address="192.0.2.1")


def _erase(state: StateDatabase, *threads: str) -> None:
    told = {"kind": audit.ERASED, "actor": "ann", "via": "rest"}
    state.transact_now(lambda connection: blank(connection, threads, told))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state database with that day in it, two of its conversations erased."""
    path = tmp_path_factory.mktemp("recorded") / "state.sqlite"
    state = SqliteStateDatabase(path)
    asyncio.run(_live(state))
    _erase(state, "thread-4", "thread-10")
    state.close()
    return path


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    shutil.copy(recorded, tmp_path / "state.sqlite")
    return tmp_path


def _verify(folder: Path, *options: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMART_SUPPORT_DATA_DIR", str(folder))
        return audit.main(["verify", *options])


def _change(folder: Path, sql: str, *params: Any) -> int:
    with closing(sqlite3.connect(folder / "state.sqlite")) as database, database:
        return database.execute(sql, params).rowcount


def _rows(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT rowid AS place, * FROM {table} ORDER BY 1")]


def _as_attacker(folder: Path, work: Callable[[Connection], Any]) -> None:
    with closing(sqlite3.connect(folder / "state.sqlite")) as database, database:
        work(SqliteConnection(database))


def _head(folder: Path) -> str:
    last = _rows(folder / "state.sqlite", "audit")[-1]
    return f"{last['number']}:{last['hash']}"


def _rehash(connection: Connection) -> None:
    """Make a whole new chain over what the rows say now, as whoever has this code can."""
    previous = audit.GENESIS
    for row in connection.execute("SELECT * FROM audit ORDER BY number"):
        if row["salt"]:
            row["detail_hash"] = audit.detail_hash(row["salt"], row["detail"])
        row["hash"] = previous = audit.chained(previous, row)
        change = "UPDATE audit SET hash = :hash, detail_hash = :detail_hash WHERE number = :number"
        connection.execute(change, {name: row[name] for name in ("hash", "detail_hash", "number")})


# --- What is promised ---


def independent(rows: Sequence[dict[str, Any]]) -> str | None:  # noqa: PLR0912 (one rule after the other)
    """Written from docs/audit.md alone: what is wrong with these rows, or None."""

    def canonical(row: dict[str, Any], *names: str) -> bytes:
        return rfc8785.dumps({name: row[name] for name in names})

    plain = ("number", "at", "kind", "actor", "via", "thread_id", "approval_id", "event_id", "digest")
    erasers = [(row, json.loads(row["detail"])) for row in rows if row["kind"] in ("erased", "retired")]
    erased: dict[int, int] = {}
    old_hash: dict[int, str] = {}
    for row, detail in erasers:
        for number in detail.get("blanked", []):
            erased[int(number)] = row["number"]
            if row["form"] == 1 and isinstance(detail["blanked"], dict):
                old_hash[int(number)] = detail["blanked"][number]
    previous, seal, old = "0" * 64, hashlib.sha256(), 0
    for place, row in enumerate(rows, start=1):
        is_erased = erased.get(row["number"], 0) > row["number"] and row["detail"] == "{}"
        if row["number"] != place:
            return f"{place}: the number"
        names = (*plain, "detail") if row["form"] == 1 else ("form", *plain, "fields", "detail_hash")
        own = hashlib.sha256(previous.encode() + canonical(row, *names)).hexdigest()
        if row["form"] == 1:
            if old != place - 1:
                return f"{place}: an old row after a new one"
            old, _ = place, seal.update(canonical(row, *plain) + b"\n")
            if own != row["hash"] and not (is_erased and old_hash.get(place, own) == own):
                return f"{place}: the hash"
        else:
            salted = hashlib.sha256(f"{row['salt']}{row['detail']}".encode()).hexdigest()
            if own != row["hash"] or not (row["salt"] is None if is_erased else salted == row["detail_hash"]):
                return f"{place}: the hash"
            sealing = {"rows": old, "sha256": seal.hexdigest()}
            if old == place - 1 > 0 and (row["kind"], json.loads(row["fields"])) != ("sealed", sealing):
                return f"{place}: the seal"
        previous = row["hash"]
    for row in rows:
        others = [one for one in rows if one["thread_id"] == row["thread_id"] and one["number"] in erased]
        until = max((erased[one["number"]] for one in others), default=0)
        if row["thread_id"] and row["number"] < until and row["detail"] != "{}":
            return f"{row['number']}: half of a thread is erased"
    return None


@pytest.mark.slow
def test_a_verifier_written_from_the_documentation_agrees(folder: Path) -> None:
    rows = _rows(folder / "state.sqlite", "audit")
    assert independent(rows) is None
    assert _verify(folder) == 0
    for place in range(len(rows)):
        for name, value in (("actor", "mallory"), ("detail", '{"a":1}'), ("form", 1), ("fields", "{}")):
            if rows[place][name] != value:
                changed = [*rows[:place], rows[place] | {name: value}, *rows[place + 1 :]]
                assert independent(changed)
                assert audit.first_broken(changed, audit.blanked(changed))


def test_an_erased_detail_can_not_be_guessed_from_what_is_left(tmp_path: Path) -> None:
    state = SqliteStateDatabase(tmp_path / "state.sqlite")
    state.transact_now(
        lambda c: audit.append(c, "noted", actor="a", via="b", thread_id="t", detail={"yes": True})
    )
    before = state.execute_now("SELECT salt, detail, detail_hash FROM audit")[0]
    assert audit.detail_hash(before["salt"], '{"yes":true}') == before["detail_hash"]
    _erase(state, "t")
    row = state.execute_now("SELECT * FROM audit WHERE number = 1")[0]
    state.close()
    assert (row["detail"], row["salt"], row["detail_hash"]) == ("{}", None, before["detail_hash"])
    everything = (tmp_path / "state.sqlite").read_bytes()
    assert before["salt"].encode() not in everything
    for guess in ('{"yes":true}', '{"yes":false}'):
        assert hashlib.sha256(guess.encode()).hexdigest() != row["detail_hash"]


def test_erasing_leaves_who_decided_what_and_nobodys_words(folder: Path) -> None:
    approvals = _rows(folder / "state.sqlite", "approvals")
    kept = next(row for row in approvals if row["thread_id"] == "thread-10")
    assert (kept["status"], kept["decided_by"], kept["execution"]) == ("approved", "dana and kim", "done")
    votes = json.loads(kept["votes"])
    assert [(vote["by"], vote["reason"]) for vote in votes] == [("dana", None)]
    told = [row for row in _rows(folder / "state.sqlite", "audit") if row["thread_id"] == "thread-10"]
    fields = {row["kind"]: json.loads(row["fields"]) for row in told}
    assert fields["decided"]["approval"]["status"] == "approved"
    assert fields["execution_ended"]["ledger"]["status"] == "done"
    assert WORDS not in json.dumps([kept, told])
    everything = "".join(row["fields"] for row in _rows(folder / "state.sqlite", "audit"))
    assert WORDS not in everything
    # The account may go; the name stays.
    assert {row["actor"] for row in told} >= {"dana", "dana and kim", "kim"}


# --- What an attacker tries ---


def test_a_changed_row_is_not_excused_by_an_erased_row_that_lists_it(folder: Path) -> None:
    head = _head(folder)

    def attack(connection: Connection) -> None:
        connection.execute("UPDATE audit SET actor = 'mallory', detail = '{}', salt = NULL WHERE number = 3")
        row = connection.execute("SELECT * FROM audit WHERE number = 3")[0]
        previous = connection.execute("SELECT hash FROM audit WHERE number = 2")[0]["hash"]
        for listed in ([3], {"3": audit.chained(previous, row)}):
            audit.append(connection, "erased", actor="ann", via="rest", detail={"blanked": listed})

    _as_attacker(folder, attack)
    assert _verify(folder, "--head", head) == 1
    assert _verify(folder) == 1


def test_an_erased_row_of_the_old_form_after_the_new_one_fails(folder: Path) -> None:
    def attack(connection: Connection) -> None:
        last = connection.execute("SELECT * FROM audit ORDER BY number DESC LIMIT 1")[0]
        row = last | {"number": last["number"] + 1, "kind": "erased", "form": 1, "detail": '{"blanked":{}}'}
        row |= {"fields": None, "salt": None, "detail_hash": None}
        row["hash"] = audit.chained(last["hash"], row)
        names = ", ".join(row)
        connection.execute(f"INSERT INTO audit ({names}) VALUES ({', '.join(f':{n}' for n in row)})", row)

    _as_attacker(folder, attack)
    assert _verify(folder) == 1


@pytest.mark.parametrize("detail", ['{"stored":{}}', "{}"])
def test_a_detail_taken_out_without_its_conversation_being_erased_shows(folder: Path, detail: str) -> None:
    """One row is listed as erased, the others of its thread are not."""

    def attack(connection: Connection) -> None:
        rows = "approval_id = (SELECT approval_id FROM approvals WHERE thread_id = 'thread-2')"
        number = connection.execute(f"SELECT MAX(number) AS n FROM audit WHERE {rows}")[0]["n"]
        connection.execute(
            "UPDATE audit SET detail = :detail, salt = NULL WHERE number = :number",
            {"detail": detail, "number": number},
        )
        connection.execute("UPDATE approvals SET reason = NULL WHERE thread_id = 'thread-2'")
        audit.append(connection, "erased", actor="ann", via="rest", detail={"blanked": [number]})

    _as_attacker(folder, attack)
    assert _verify(folder) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE approvals SET status = 'approved' WHERE thread_id = 'thread-1'",
        "UPDATE approvals SET decided_by = 'kim' WHERE thread_id = 'thread-2'",
        "UPDATE approvals SET args = '{\"order_id\":\"3\"}' WHERE thread_id = 'thread-13'",
        "UPDATE approvals SET status = 'rejected' WHERE thread_id = 'thread-10'",
        "UPDATE approvals SET expires_at = '2099-01-01T00:00:00.000Z' WHERE thread_id = 'thread-1'",
        "UPDATE approvals SET votes = REPLACE(votes, 'dana', 'kim') WHERE thread_id = 'thread-11'",
        "UPDATE action_ledger SET status = 'failed' WHERE thread_id = 'thread-3'",
        "UPDATE action_ledger SET result = 'null' WHERE thread_id = 'thread-3'",
        "UPDATE action_ledger SET result = '\"back\"' WHERE thread_id = 'thread-4'",
        "DELETE FROM action_ledger WHERE thread_id = 'thread-3'",
        "DELETE FROM approvals WHERE thread_id = 'thread-2'",
        "UPDATE approvals SET args = '{\"back\":1}' WHERE thread_id = 'thread-4'",
        """INSERT INTO action_ledger SELECT thread_id, tool_call_id, approval_id, action, digest, 'k', '', '',
           'done', 'null' FROM approvals WHERE thread_id = 'thread-13'""",
        """INSERT INTO action_ledger SELECT 't', 'c', NULL, action, digest, 'k', '', '', 'done', 'null'
           FROM approvals LIMIT 1""",
        "UPDATE freezes SET lifted_by = 'ann', lifted_at = frozen_at WHERE scope = 'tool:refund_order'",
        "UPDATE freezes SET frozen_at = '2020' WHERE scope = 'all' AND lifted_at IS NULL",
        "UPDATE freezes SET reason = 'nothing' WHERE scope = 'tool:refund_order'",
        "UPDATE freezes SET scope = 'tool:other' WHERE scope = 'tool:refund_order'",
        "DELETE FROM freezes WHERE lifted_at IS NULL AND scope = 'all'",
        """INSERT INTO freezes SELECT 'z', 'tool:x', reason, frozen_by, frozen_via, frozen_at, NULL, NULL
           FROM freezes LIMIT 1""",
        "DELETE FROM disabled_callers",
        "UPDATE disabled_callers SET disabled_by = 'kim'",
        "INSERT INTO disabled_callers SELECT 'cursor', reason, 'dana', 'rest', '' FROM disabled_callers",
    ],
)
def test_data_that_is_not_what_the_record_says_shows(
    folder: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verify(folder) == 0
    assert _change(folder, change) == 1
    assert _verify(folder) == 1
    told = capsys.readouterr().out
    assert any(subject in told for subject in ("approval", "freeze", "caller"))
    assert WORDS not in told


def test_a_record_that_is_not_what_the_data_says_shows(folder: Path) -> None:
    """The other way round: the chain is made anew, and fits in itself."""

    def attack(connection: Connection) -> None:
        connection.execute("UPDATE audit SET fields = REPLACE(fields, 'rejected', 'approved')")
        _rehash(connection)

    _as_attacker(folder, attack)
    assert independent(_rows(folder / "state.sqlite", "audit")) is None
    assert _verify(folder) == 1


def test_both_changed_and_the_chain_made_anew_shows_against_a_noted_head(folder: Path) -> None:
    head = _head(folder)

    def attack(connection: Connection) -> None:
        connection.execute("UPDATE audit SET fields = REPLACE(fields, 'dana', 'kim')")
        for name in ("actor", "detail"):
            connection.execute(f"UPDATE audit SET {name} = REPLACE({name}, 'dana', 'kim')")
        for name in ("decided_by", "votes"):
            connection.execute(f"UPDATE approvals SET {name} = REPLACE({name}, 'dana', 'kim')")
        connection.execute("UPDATE freezes SET frozen_by = 'kim'")
        connection.execute("UPDATE disabled_callers SET disabled_by = 'kim'")
        _rehash(connection)

    _as_attacker(folder, attack)
    assert _verify(folder) == 0  # nothing in the database can show it
    assert _verify(folder, "--head", head) == 1


def test_rows_cut_off_with_the_data_they_tell_of_show_against_a_noted_head(folder: Path) -> None:
    head = _head(folder)
    number = _rows(folder / "state.sqlite", "audit")[-1]["number"]
    _change(folder, "DELETE FROM audit WHERE number >= ?", number)
    assert _verify(folder, "--head", head) == 1


def test_an_old_database_put_back_shows_against_a_noted_head(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.sqlite"
    shutil.copy(folder / "state.sqlite", old)
    state = SqliteStateDatabase(folder / "state.sqlite")
    state.transact_now(lambda c: audit.append(c, "logged_in", actor="kim", via="login"))
    state.close()
    head = _head(folder)
    assert _verify(folder, "--head", head) == 0
    shutil.copy(old, folder / "state.sqlite")
    assert (_verify(folder), _verify(folder, "--head", head)) == (0, 1)


def test_rows_swapped_or_put_in_show(folder: Path) -> None:
    rows = _rows(folder / "state.sqlite", "audit")
    for first in range(len(rows) - 1):
        swapped = [*rows]
        swapped[first], swapped[first + 1] = (
            rows[first + 1] | {"number": rows[first]["number"]},
            rows[first] | {"number": rows[first + 1]["number"]},
        )
        assert audit.first_broken(swapped, audit.blanked(swapped)) == first + 1
        more = [row | {"number": row["number"] + (place > first)} for place, row in enumerate(rows)]
        put_in = [*more[: first + 1], rows[first] | {"number": first + 2}, *more[first + 1 :]]
        assert audit.first_broken(put_in, audit.blanked(put_in)) == first + 2


# What may change in one cell without being found, and why.
EXEMPT = {
    # docs/audit.md: whether the conversation has gone on; a claim keeps nobody from deciding.
    **{("approvals", name): True for name in NOT_RECORDED},
}


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.sampled_from(TABLES),
    place=st.integers(0, 10_000),
    column=st.integers(0, 100),
    value=st.one_of(
        st.none(), st.integers(-5, 60), st.text(max_size=8), st.binary(max_size=4), st.just("{}"), st.just(())
    ),
    other=st.integers(0, 10_000),
)
def test_any_change_of_any_cell_is_found(
    recorded: Path,
    tmp_path_factory: pytest.TempPathFactory,
    table: str,
    place: int,
    column: int,
    value: Any,
    other: int,
) -> None:
    rows = _rows(recorded, table)
    row = rows[place % len(rows)]
    names = [name for name in row if name != "place"]
    name = names[column % len(names)]
    wanted = rows[other % len(rows)][name] if value == () else value
    folder = tmp_path_factory.mktemp("cell")
    shutil.copy(recorded, folder / "state.sqlite")
    try:
        _change(folder, f"UPDATE {table} SET {name} = ? WHERE rowid = ?", wanted, row["place"])
    except sqlite3.Error:
        return  # the schema keeps it out
    now = [one for one in _rows(folder / "state.sqlite", table) if one not in rows]
    is_changed = bool(now) and any(
        (type(now[0][one]), now[0][one]) != (type(row[one]), row[one]) for one in names
    )
    expected = 1 if is_changed and (table, name) not in EXEMPT else 0
    assert _verify(folder) == expected, (table, name, row[name], wanted)
    shutil.rmtree(folder)


# --- Old databases ---


def _old_row(number: int, previous: str, **values: Any) -> dict[str, Any]:
    """A row as the version before this one wrote it."""
    row = {
        "number": number,
        "at": clock.rfc3339(clock.now()),
        "kind": "noted",
        "actor": "dana",
        "via": "rest",
        "thread_id": f"t-{number}",
        "approval_id": None,
        "event_id": clock.new_id(),
        "digest": None,
        "detail": rfc8785.dumps({"text": WORDS}).decode(),
    }
    row |= values
    row["hash"] = hashlib.sha256(previous.encode() + rfc8785.dumps(row)).hexdigest()
    return row


def _old_rows() -> list[dict[str, Any]]:
    """Six rows; the second was erased, which the sixth says."""
    rows: list[dict[str, Any]] = []
    for number in range(1, 6):
        rows.append(_old_row(number, rows[-1]["hash"] if rows else "0" * 64))
    bare = {name: value for name, value in rows[1].items() if name != "hash"} | {"detail": "{}"}
    without = hashlib.sha256(rows[0]["hash"].encode() + rfc8785.dumps(bare)).hexdigest()
    rows[1]["detail"] = "{}"
    noted = {"kind": "erased", "thread_id": None, "detail": json.dumps({"blanked": {"2": without}})}
    rows.append(_old_row(6, rows[-1]["hash"], **noted))
    return rows


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of the version before this one, as it left it."""
    from smart_support.storage.state import base

    before = tmp_path / "migrations" / "state"
    before.mkdir(parents=True)
    for path in sorted((base.MIGRATIONS / "state").glob("*.sql")):
        if path.name < "0009":
            shutil.copy(path, before)
    monkeypatch.setattr(base, "MIGRATIONS", tmp_path / "migrations")
    folder = tmp_path / "var"
    state = SqliteStateDatabase(folder / "state.sqlite")

    def write(connection: Connection, rows: Iterable[dict[str, Any]] = _old_rows()) -> None:
        for row in rows:
            names = ", ".join(row)
            connection.execute(f"INSERT INTO audit ({names}) VALUES ({', '.join(f':{n}' for n in row)})", row)

    state.transact_now(write)
    state.close()
    monkeypatch.undo()
    return folder


def test_an_old_database_verifies_before_it_is_opened_and_after(old: Path) -> None:
    assert _verify(old) == 0
    head = _head(old)
    state = SqliteStateDatabase(old / "state.sqlite")
    assert _verify(old, "--head", head) == 0
    state.transact_now(lambda c: audit.append(c, "logged_in", actor="dana", via="login"))
    rows = state.execute_now("SELECT * FROM audit ORDER BY number")
    assert [row["kind"] for row in rows[6:]] == ["sealed", "logged_in"]
    assert json.loads(rows[6]["fields"])["rows"] == 6
    assert independent(rows) is None
    assert _verify(old, "--head", head) == 0
    _erase(state, "t-3", "t-2")
    state.close()
    rows = _rows(old / "state.sqlite", "audit")
    assert (rows[2]["detail"], json.loads(rows[-1]["detail"])["blanked"]) == ("{}", [3])
    assert independent(rows) is None
    assert _verify(old, "--head", head) == 0


@pytest.mark.parametrize("number", [1, 2, 3, 6])
@pytest.mark.parametrize("excuse", [[], {}])
def test_an_old_row_can_not_be_changed_after_the_seal(old: Path, number: int, excuse: Any) -> None:
    state = SqliteStateDatabase(old / "state.sqlite")
    state.transact_now(lambda c: audit.append(c, "logged_in", actor="dana", via="login"))
    _erase(state, "t-3")
    state.close()
    head = _head(old)

    def attack(connection: Connection) -> None:
        connection.execute(
            "UPDATE audit SET actor = 'mallory', detail = '{}' WHERE number = :number", {"number": number}
        )
        row = connection.execute("SELECT * FROM audit WHERE number = :number", {"number": number})[0]
        before = connection.execute("SELECT hash FROM audit WHERE number = :n", {"n": number - 1})
        noted = audit.chained(before[0]["hash"] if before else audit.GENESIS, row)
        listed = [number] if excuse == [] else {str(number): noted}
        audit.append(connection, "erased", actor="ann", via="rest", detail={"blanked": listed})

    _as_attacker(old, attack)
    assert _verify(old) == 1
    assert _verify(old, "--head", head) == 1


def test_a_seal_that_is_left_out_shows(old: Path) -> None:
    state = SqliteStateDatabase(old / "state.sqlite")
    state.transact_now(lambda c: audit.append(c, "logged_in", actor="dana", via="login"))
    state.close()

    def attack(connection: Connection) -> None:
        connection.execute("DELETE FROM audit WHERE kind = 'sealed'")
        connection.execute("UPDATE audit SET number = 7 WHERE number = 8")
        _rehash(connection)

    _as_attacker(old, attack)
    assert _verify(old) == 1
