"""Finding approvals: filters, words, and an order to work in. Nothing is changed here."""

import builtins
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from smart_support.approvals.approval import STATUSES, Approval
from smart_support.errors import InvalidRequest, NotFound
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import Connection, Row, StateDatabase

Sort = Literal["newest", "oldest", "risk"]
_WORDS = " || ' ' || ".join(
    f"COALESCE({name}, '')"
    for name in ("summary", "action", "args", "thread_id", "agent", "customer_id", "reason")
)
_EXACT = ("status", "agent", "action", "risk", "customer_id")
_RANK = "CASE risk WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END"
_ORDERS = {
    "newest": ("approval_id DESC", "approval_id < :after_id"),
    "oldest": ("approval_id", "approval_id > :after_id"),
    "risk": (f"{_RANK}, approval_id", f"({_RANK}, approval_id) > (:after_rank, :after_id)"),
}
_JSON_COLUMNS = ("args", "requested_args", "votes", "allowed", "effect", "changed", "facts", "args_schema")
_CALL_COLUMNS = (
    *("args", "agent", "summary", "risk", "tool_version", "need", "because", "facts", "customer_id"),
    *("effect", "changed"),
)
_NOT_OWN = frozenset({*_CALL_COLUMNS, "action", "tool_call_id", "resumed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which approvals, in which order.

    Attributes:
        q: words in its summary, arguments, customer, thread or reason; upper and lower case alike.
        cursor: where the page before ended, as `find` gave it.
    """

    status: str | None = None
    agent: str | None = None
    action: str | None = None
    risk: str | None = None
    customer_id: str | None = None
    q: str | None = None
    sort: Sort = "newest"
    cursor: str | None = None
    limit: int = 100


class Found:
    """Reads approvals."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def get(self, approval_id: str) -> Approval:
        """The approval of that id.

        Raises:
            NotFound: there is none.
        """
        return await self._state.transact(lambda c: load(c, approval_id))

    async def find(self, wanted: Wanted) -> tuple[builtins.list[Approval], str | None]:
        """One page, and the cursor of the next; None where it was the last.

        Raises:
            InvalidRequest: a status or cursor is none.
        """
        if wanted.status is not None and wanted.status not in STATUSES:
            raise InvalidRequest(f"status {wanted.status!r} is not one of {', '.join(STATUSES)}")
        order, after = _ORDERS[wanted.sort]
        given = {name: getattr(wanted, name) for name in _EXACT} | {"q": _pattern(wanted.q)}
        given |= _after(wanted.cursor)
        conditions = {name: f"{name} = :{name}" for name in _EXACT} | {
            "q": f"LOWER({_WORDS}) LIKE :q ESCAPE '\\'",
            "after_id": after,
        }
        # Only what is asked for: no index helps with `:status IS NULL OR status = :status`.
        where = [sql for name, sql in conditions.items() if given[name] is not None]
        rows = await self._state.execute(
            f"""SELECT * FROM approvals WHERE {" AND ".join(where) or "TRUE"}
                ORDER BY {order} LIMIT :limit""",
            {name: value for name, value in given.items() if value is not None} | {"limit": wanted.limit + 1},
        )
        found = [approval_of(row) for row in rows]
        more = len(found) > wanted.limit
        return found[: wanted.limit], _cursor(found[wanted.limit - 1]) if more else None

    async def list(self, status: str | None = None, *, limit: int = 100) -> builtins.list[Approval]:
        """Approvals of one status, or of all, the newest first."""
        found, _ = await self.find(Wanted(status=status, limit=limit))
        return found

    async def recently_decided(self, limit: int) -> builtins.list[Approval]:
        """What a human decided, or what expired, the latest first; not what the policy let run by itself."""
        rows = await self._state.execute(
            """SELECT * FROM approvals WHERE status <> 'pending' AND need <> 'run'
               ORDER BY decided_at DESC LIMIT :limit""",
            {"limit": limit},
        )
        return [approval_of(row) for row in rows]

    async def of_thread(self, thread_id: str) -> builtins.list[Approval]:
        """Every approval of one thread, the oldest first."""
        rows = await self._state.execute(
            "SELECT * FROM approvals WHERE thread_id = :thread_id ORDER BY approval_id",
            {"thread_id": thread_id},
        )
        return [approval_of(row) for row in rows]

    async def not_resumed(self) -> builtins.list[Approval]:
        """Decided or expired, but the conversation has not taken it up: what a crash left behind."""
        rows = await self._state.execute(
            "SELECT * FROM approvals WHERE status <> 'pending' AND resumed = 0 ORDER BY approval_id"
        )
        return [approval_of(row) for row in rows]

    async def history(self, approval_id: str) -> builtins.list[dict[str, Any]]:
        """What the audit record says of one approval, the oldest first.

        Raises:
            NotFound: there is no such approval.
        """
        await self.get(approval_id)
        rows = await self._state.execute(
            "SELECT at, kind, actor, via, digest, detail FROM audit WHERE approval_id = :id ORDER BY number",
            {"id": approval_id},
        )
        # The values as they are stored are for `audit verify`; whoever looks has the approval beside this.
        shown = [{**orjson.loads(row["detail"])} for row in rows]
        for detail in shown:
            detail.pop("stored", None)
        return [row | {"detail": detail} for row, detail in zip(rows, shown, strict=True)]


def load(connection: Connection, approval_id: str) -> Approval:
    """The approval of that id, inside a transaction.

    Raises:
        NotFound: there is none.
    """
    return approval_of(load_row(connection, approval_id))


def load_row(connection: Connection, approval_id: str) -> Row:
    """The same as it is stored.

    Raises:
        NotFound: there is none.
    """
    rows = connection.execute("SELECT * FROM approvals WHERE approval_id = :id", {"id": approval_id})
    if not rows:
        raise NotFound(f"approval {approval_id[:64]!r}: there is none; see GET /api/v1/approvals")
    return rows[0]


def approval_of(row: Row) -> Approval:
    """The approval of a row."""
    values = row | {name: orjson.loads(row[name]) if row[name] else None for name in _JSON_COLUMNS}
    call = PlannedCall(
        tool=values["action"],
        tool_call_id=values["tool_call_id"] or "",
        **{name: values[name] for name in _CALL_COLUMNS},
    )
    return Approval(
        call=call,
        resumed=bool(values["resumed"]),
        **{name: value for name, value in values.items() if name not in _NOT_OWN},
    )


def _pattern(words: str | None) -> str | None:
    if not words or not words.strip():
        return None
    escaped = words.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _cursor(last: Approval) -> str:
    rank = {"high": 0, "medium": 1}.get(last.call.risk, 2)
    return f"{rank}.{last.approval_id}"


def _after(cursor: str | None) -> dict[str, Any]:
    if cursor is None:
        return {"after_id": None, "after_rank": None}
    rank, _, approval_id = cursor.rpartition(".")
    if rank not in ("", "0", "1", "2"):
        raise InvalidRequest(f"cursor {cursor[:80]!r}: give the next_cursor of the page before")
    return {"after_id": approval_id, "after_rank": int(rank or 0)}
