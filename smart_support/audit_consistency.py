"""Compares the approvals and the ledger with what the audit trail recorded of them.

Every step on an approval records the columns that it wrote: `fields` of its row holds those that stay when a
conversation is erased, `stored` in its detail those that are emptied then. Put together in order, the rows of
an approval say what its row in either table has to be.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
import rfc8785

from smart_support.storage.state.base import Row, in_clause
from smart_support.storage.state.read_only import Read

# What erasing a conversation leaves in the columns that hold what people wrote, or an agent made of it.
ERASED_APPROVAL: dict[str, Any] = {
    "customer_id": None,
    "args": "{}",
    "requested_args": "{}",
    "summary": "(erased)",
    "effect": None,
    "changed": None,
    "facts": None,
    "reason": None,
    "execution_reason": None,
    "client": None,
    "verified_customer": None,
}
ERASED_LEDGER: dict[str, Any] = {"result": None}
_ERASED = {"approval": ERASED_APPROVAL, "ledger": ERASED_LEDGER}
# Not compared. `resumed` and `parked` say only whether the conversation has gone on; a claim keeps nobody
# from deciding; `paused_at` follows from the freezes, and where it moves `expires_at`, that is recorded.
NOT_RECORDED = frozenset({"resumed", "parked", "claimed_by", "claimed_until", "paused_at"})
DECISION = (
    *("status", "execution", "args", "digest", "summary", "customer_id", "effect", "facts"),
    *("decided_at", "decided_by", "decided_via", "reason", "event_id"),
)
_AT_ONCE = 500


def recorded(table: str, row: Mapping[str, Any], columns: Iterable[str] | None = None) -> dict[str, Any]:
    """The values of one row of a table, as arguments for `audit.append`.

    Args:
        table: `approval` or `ledger`.
        columns: those that were written; all where they are not given.

    Returns:
        `fields`, and `detail` with the entry `stored`: add what else belongs into the detail to that.
    """
    names = [name for name in (columns or row) if name not in NOT_RECORDED]
    kept = {name: row[name] for name in names if name not in _ERASED[table]}
    stored = {name: row[name] for name in names if name in _ERASED[table]}
    if "votes" in kept:
        stored["votes"], kept["votes"] = kept["votes"], without_reasons(kept["votes"])
    return {"fields": {table: kept}, "detail": {"stored": {table: stored}}}


def without_reasons(votes: str) -> str:
    """The votes on an approval without what the voters wrote; JSON text, as it is stored."""
    return orjson.dumps([{**vote, "reason": None} for vote in orjson.loads(votes)]).decode()


def differences(read: Read, blanked: Collection[int]) -> Iterator[str]:
    """A line for each difference between the audit trail and the approvals or the ledger.

    Args:
        blanked: the numbers of the audit rows with an erased detail.
    """
    approvals = read("SELECT * FROM approvals ORDER BY approval_id", {})
    while some := {row["approval_id"]: row for row in islice(approvals, _AT_ONCE)}:
        among, params = in_clause("id", some)
        rows: dict[str, list[Row]] = {approval_id: [] for approval_id in some}
        for row in read(f"SELECT * FROM audit WHERE approval_id IN {among} ORDER BY number", params):
            rows[row["approval_id"]].append(row)
        entries: dict[str, list[Row]] = {approval_id: [] for approval_id in some}
        for row in read(f"SELECT * FROM action_ledger WHERE approval_id IN {among}", params):
            entries[row["approval_id"]].append(row)
        for approval_id, approval in some.items():
            for difference in _compared(approval, entries[approval_id], rows[approval_id], blanked):
                yield f"approval {approval_id}: {difference}"
    for sql, difference in _WITHOUT_APPROVAL:
        for row in read(sql, {}):
            yield f"approval {row['approval_id']}: {difference}"
    # A database of an earlier version that nobody has opened since lacks these tables.
    applied = {row["name"] for row in read("SELECT name FROM applied_migrations", {})}
    for migration, compare in _COMPARED.items():
        if migration in applied:
            yield from compare(read)


def _freeze_differences(read: Read) -> Iterator[str]:
    """A line for each difference between the freezes and the record of them.

    Rows of earlier versions have no `fields`: they say the scope, the reason, who froze, and who lifted.
    """
    expected: list[dict[str, Any]] = []
    for row in read("SELECT * FROM audit WHERE kind IN ('frozen', 'freeze_lifted') ORDER BY number", {}):
        detail, fields = orjson.loads(row["detail"]), orjson.loads(row.get("fields") or "{}")
        scope, stored = detail["scope"], fields.get("freeze", {})
        if row["kind"] == "frozen":
            frozen = {"scope": scope, "reason": detail["reason"], "lifted_by": None, "lifted_at": None}
            expected.append(frozen | {"frozen_by": row["actor"], "frozen_via": row["via"]} | stored)
            continue
        current = next((one for one in reversed(expected) if one["scope"] == scope), None)
        if current is None or current["lifted_by"] is not None:
            yield f"freeze {scope!r:.100}: that it was lifted is on record, and not that it was frozen"
            continue
        current.pop("lifted_at")
        current |= {"lifted_by": row["actor"]} | stored
    # In the order in which they were frozen, as the record has them.
    rows = list(read("SELECT * FROM freezes ORDER BY freeze_id", {}))
    for row, said in zip(rows, expected, strict=False):
        names = [name for name, value in said.items() if row.get(name) != value]
        if names:
            yield f"freeze {said['scope']!r:.100}: its {' and '.join(names)} is not what is on record"
    for said in expected[len(rows) :]:
        yield f"freeze {said['scope']!r:.100}: it is on record, and is not among the freezes"
    for row in rows[len(expected) :]:
        yield f"freeze {row['scope']!r:.100}: that it was frozen is not on record"


def _disabled_caller_differences(read: Read) -> Iterator[str]:
    """A line for each difference between the disabled callers and the record of them."""
    expected: dict[str, dict[str, Any]] = {}
    sql = "SELECT * FROM audit WHERE kind IN ('caller_disabled', 'caller_enabled') ORDER BY number"
    for row in read(sql, {}):
        detail = orjson.loads(row["detail"])
        expected.pop(detail["name"], None)
        if row["kind"] == "caller_disabled":
            stored = orjson.loads(row["fields"])["disabled_caller"]
            expected[detail["name"]] = stored | {"reason": detail["reason"]}
    rows = {row["name"]: dict(row) for row in read("SELECT * FROM disabled_callers ORDER BY name", {})}
    for name in sorted({*rows, *expected}):
        if rows.get(name) != expected.get(name):
            yield f"caller {name!r:.100}: whether it is disabled is not what is on record"


_COMPARED = {
    "0017_freezes.sql": _freeze_differences,
    "0019_disabled_callers.sql": _disabled_caller_differences,
}
_WITHOUT_APPROVAL = (
    (
        """SELECT DISTINCT approval_id FROM audit WHERE approval_id IS NOT NULL AND NOT EXISTS
           (SELECT 1 FROM approvals WHERE approvals.approval_id = audit.approval_id)""",
        "it is on record, and is not among the approvals",
    ),
    (
        """SELECT approval_id FROM action_ledger WHERE approval_id IS NULL OR NOT EXISTS
           (SELECT 1 FROM approvals WHERE approvals.approval_id = action_ledger.approval_id)""",
        "the ledger has it, and it is not among the approvals",
    ),
)


def _compared(approval: Row, entries: list[Row], rows: list[Row], blanked: Collection[int]) -> Iterator[str]:
    expected = _expected(rows, blanked)
    if not any(row["kind"] == "requested" for row in rows):
        yield "nobody is on record as having asked for it"
        return
    yield from _unlike(approval, expected["approval"], "its")
    begun = bool(expected["ledger"])
    if len(entries) > begun:
        yield f"that {entries[0]['tool']} was begun is not on record"
    elif begun and not entries:
        yield "it was begun, and the ledger does not say so"
    elif begun:
        yield from _unlike(entries[0], expected["ledger"], "the ledger's")


def _expected(rows: Iterable[Row], blanked: Collection[int]) -> dict[str, dict[str, Any]]:
    """What the rows of one approval make of its row in each table, as far as they say."""
    expected: dict[str, dict[str, Any]] = {"approval": {}, "ledger": {}}
    for row in rows:
        detail, is_blank = orjson.loads(row["detail"]), row["number"] in blanked
        if row.get("form", 1) == 1:
            said = [_of_first_form(row, detail, is_blank)]
        else:
            said = [orjson.loads(row["fields"]), detail.get("stored", {})]
        for table, values in (item for tables in said for item in tables.items()):
            expected[table] |= values
        if is_blank:
            expected = {table: values and values | _ERASED[table] for table, values in expected.items()}
    return expected


def _of_first_form(row: Row, detail: Mapping[str, Any], is_blank: bool) -> dict[str, dict[str, Any]]:
    """What a row of the first form says of the tables: less, and not always as it was stored."""
    kind, same = row["kind"], {"digest": row["digest"]}
    values: dict[str, Any] = {name: _Json(detail[name]) for name in ("args", "effect") if name in detail}
    if kind == "requested":
        values |= {name: detail[name] for name in ("action", "need", "asked_by") if name in detail}
        values |= {"thread_id": row["thread_id"], "agent": row["actor"].removeprefix("agent:"), **same}
        return {"approval": values | {"status": "pending", "execution": None, "decided_by": None}}
    if kind == "decided":
        values |= {"decided_by": row["actor"], "decided_via": row["via"], "event_id": row["event_id"], **same}
        outcome, runs = detail.get("outcome"), detail.get("outcome") in ("approved", "edited")
        values |= {"status": outcome, "execution": "not_started" if runs else None}
        values |= {"reason": detail["reason"]} if detail.get("reason") is not None else {}
        return {"approval": values | ({"status": _ANY, "execution": _ANY} if is_blank else {})}
    if kind == "execution_begun":
        begun = {name: detail[name] for name in ("tool", "idempotency_key") if name in detail}
        return {"ledger": begun | {"thread_id": row["thread_id"], "status": "begun", "result": None, **same}}
    if kind == "execution_ended":
        ended = _ANY if is_blank else detail["status"]
        return {"approval": {"execution": ended}, "ledger": {"status": ended, "result": detail.get("result")}}
    return {"approval": {"execution": "failed"}} if kind == "execution_refused" else {}


def _unlike(row: Row, expected: Mapping[str, Any], whose: str) -> Iterator[str]:
    for name, value in expected.items():
        if value is _ANY:
            continue
        kept = row.get(name)
        if isinstance(value, _Json):
            is_same = _canonical(kept) == rfc8785.dumps(value.value)
        else:
            is_same = (type(kept), kept) == (type(value), value)
        if not is_same:
            # What people wrote is not printed.
            hidden = name in (*ERASED_APPROVAL, *ERASED_LEDGER, "votes")
            yield f"{whose} {name}{'' if hidden else f' {kept!r:.100}'} is not what is on record"


@dataclass(frozen=True, slots=True)
class _Json:
    """A value of which the record has the meaning, not the text."""

    value: Any


_ANY = object()


def _canonical(text: Any) -> bytes | None:
    try:
        return bytes(rfc8785.dumps(orjson.loads(text) if text is not None else None))
    except (TypeError, ValueError, rfc8785.CanonicalizationError):
        return None
