"""Reads approvals: filters and pages as SQL, rows as `Approval`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import orjson

from smart_support.approvals.amount import Amount, amount_of
from smart_support.approvals.approval import STATUSES, Approval
from smart_support.errors import InvalidRequest, NotFound
from smart_support.gate.planned_call import EDITED_FIELDS, PlannedCall
from smart_support.storage.state.base import Connection, Frequent, Row

Sort = Literal["newest", "oldest", "risk", "expiry", "amount", "decided"]
# Orders of what is pending.
SORTS: tuple[Sort, ...] = tuple(one for one in get_args(Sort) if one != "decided")
_CURSOR = re.compile(r"(?:(?P<currency>[A-Z]{3})?(?P<rank>-?\d{0,18})\.)?(?P<approval_id>[^.]*)")
_WORDS = " || ' ' || ".join(
    f"COALESCE({name}, '')"
    for name in ("summary", "action", "args", "thread_id", "agent", "customer_id", "reason")
)
_EXACT = ("status", "agent", "action", "risk", "customer_id", "thread_id")
_RANK = "CASE risk WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END"
_ORDERS = {
    "newest": ("approval_id DESC", "approval_id < :after_id"),
    "oldest": ("approval_id", "approval_id > :after_id"),
    "expiry": (
        "expires_at, approval_id",
        """(expires_at, approval_id) >
           ((SELECT expires_at FROM approvals WHERE approval_id = :after_id), :after_id)""",
    ),
    "decided": (
        "decided_at DESC, approval_id DESC",
        """(decided_at, approval_id) <
           ((SELECT decided_at FROM approvals WHERE approval_id = :after_id), :after_id)""",
    ),
    "risk": (f"{_RANK}, approval_id", f"({_RANK}, approval_id) > (:after_rank, :after_id)"),
}
_ONE = Frequent("SELECT * FROM approvals WHERE approval_id = :id")
# Behind all codes.
_NO_CURRENCY = "~"
_RISKS = ("high", "medium", "low")
# The index has every three characters of the words.
INDEXED_CHARS = 3
# The number of the cursor's approval, or of the one before it.
_NUMBER = """(SELECT number FROM approval_words WHERE approval_id <= :after_id
              ORDER BY approval_id DESC LIMIT 1)"""
_JSON_COLUMNS = (
    *("args", "requested_args", "votes", "allowed", "effect", "changed", "facts", "args_schema"),
    *("target", "client", "approvers", "verified_customer"),
)
_CALL_COLUMNS = (
    *("args", "agent", "summary", "risk", "tool_version", "need", "because", "facts", "customer_id"),
    *("effect", "changed", "target", "caller", "approvers", "expires_after", "on_expiry"),
)
_NOT_OWN = frozenset({*_CALL_COLUMNS, "action", "tool_call_id", "resumed", "parked"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter:
    """Which approvals, in which order.

    Attributes:
        sort: `decided` is the latest decision first, without what is pending or was never for a person.
        q: text to search for in summary, arguments, customer, thread and reason; case does not matter.
        sort: `amount` has one currency after the other, the highest of each first, and those without an
            amount last. It reads all that the filter lets through, as no index has amounts.
        cursor: the end of the page before, as `find` returned it.
        limit: the size of a page.
    """

    status: str | None = None
    agent: str | None = None
    action: str | None = None
    risk: str | None = None
    customer_id: str | None = None
    thread_id: str | None = None
    q: str | None = None
    sort: Sort = "newest"
    cursor: str | None = None
    limit: int = 100


def page_query(selected: ApprovalFilter) -> tuple[str, dict[str, Any]]:
    """The SELECT of one page, with one row more where another page follows, and its parameters.

    Raises:
        InvalidRequest: the status or the cursor is not valid.
    """
    if selected.status is not None and selected.status not in STATUSES:
        raise InvalidRequest(f"status {selected.status!r} is not one of {', '.join(STATUSES)}")
    order, after = _ORDERS[selected.sort]
    values = {name: getattr(selected, name) for name in _EXACT} | {"q": _pattern(selected.q)}
    values |= _after(selected.cursor)
    conditions = {name: f"{name} = :{name}" for name in _EXACT} | {
        "q": f"LOWER({_WORDS}) LIKE :q ESCAPE '\\'",
        "after_id": after,
    }
    # Only the conditions that are given: no index helps with `:status IS NULL OR status = :status`.
    where = [sql for name, sql in conditions.items() if values[name] is not None]
    if selected.sort == "decided":
        where.append("decided_at IS NOT NULL AND need <> 'run'")
    sql = f"SELECT * FROM approvals WHERE {' AND '.join(where) or 'TRUE'} ORDER BY {order} LIMIT :limit"
    params = {name: value for name, value in values.items() if value is not None}
    return sql, params | {"limit": selected.limit + 1}


def page_queries(selected: ApprovalFilter, *, has_word_index: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """The SELECTs that together give a page, in order, until there are enough rows.

    Raises:
        InvalidRequest: the status or the cursor is not valid.
    """
    sql, params = page_query(selected)
    words = str(params.get("q", ""))[1:-1] and str(selected.q).strip().lower()
    # Few approvals are pending: comparing them is faster. The index has its rows in the order of requests.
    is_compared = selected.status == "pending" or selected.sort in ("expiry", "decided")
    if not has_word_index or len(words) < INDEXED_CHARS or "\x00" in words or is_compared:
        yield sql, params
    elif selected.sort == "risk":
        # The index gives rows by time only.
        after_rank = int(params.get("after_rank", 0))
        for rank, risk in enumerate(_RISKS[after_rank:], after_rank):
            if selected.risk in (None, risk):
                cursor = selected.cursor if rank == after_rank else None
                yield _indexed_query(replace(selected, risk=risk, cursor=cursor, sort="oldest"), words)
    else:
        yield _indexed_query(selected, words)


def _indexed_query(selected: ApprovalFilter, words: str) -> tuple[str, dict[str, Any]]:
    """As `page_query`, with the words found by their index, which gives its rows in the order of requests."""
    _, params = page_query(selected)
    compare, order = ("<", "DESC") if selected.sort == "newest" else (">", "ASC")
    conditions = [f"approvals.{name} = :{name}" for name in _EXACT if name in params]
    if "after_id" in params:
        conditions.append(f"approval_search.rowid {compare} {_NUMBER}")
    sql = f"""
        SELECT approvals.* FROM approval_search
            CROSS JOIN approval_words ON approval_words.number = approval_search.rowid
            CROSS JOIN approvals ON approvals.approval_id = approval_words.approval_id
        WHERE {" AND ".join(["approval_search MATCH :phrase", *conditions])}
        ORDER BY approval_search.rowid {order} LIMIT :limit"""
    return sql, params | {"phrase": '"' + words.replace('"', '""') + '"'}


def amounts_query(selected: ApprovalFilter) -> tuple[str, dict[str, Any]]:
    """The SELECT of what `page_by_amount` needs of all that the filter lets through, and its parameters."""
    sql, params = page_query(replace(selected, sort="oldest", cursor=None))
    sql = sql.replace("SELECT *", "SELECT approval_id, args, facts, effect", 1)
    return sql, params | {"limit": 2**31 - 1}


def page_by_amount(rows: Sequence[Row], selected: ApprovalFilter) -> tuple[list[str], str | None]:
    """The ids of a page in the order of their amounts, and the cursor of the next page.

    Args:
        rows: of `amounts_query`.
    """
    order = sorted((_order_of(_amount(row)), str(row["approval_id"])) for row in rows)
    if selected.cursor is not None:
        minor, currency, approval_id = _parsed(selected.cursor)
        place = (_order_of(None if minor is None else Amount(minor, currency)), approval_id)
        order = [one for one in order if one > place]
    page = [approval_id for _, approval_id in order[: selected.limit]]
    if len(order) <= selected.limit:
        return page, None
    (is_missing, currency, minus), last_id = order[selected.limit - 1]
    amount = "" if is_missing else f"{currency.removesuffix(_NO_CURRENCY)}{-minus}"
    return page, f"{amount}.{last_id}"


def _amount(row: Row) -> Amount | None:
    return amount_of(*(orjson.loads(row[name] or "null") for name in ("args", "facts", "effect")))


def _order_of(amount: Amount | None) -> tuple[bool, str, int]:
    return (False, amount.currency or _NO_CURRENCY, -amount.minor) if amount else (True, _NO_CURRENCY, 0)


def page_of(rows: Sequence[Row], limit: int) -> tuple[list[Approval], str | None]:
    """The approvals of a `page_query`, and the cursor of the next page; None where this is the last."""
    page = [approval_of(row) for row in rows[:limit]]
    return page, _cursor(page[-1]) if len(rows) > limit else None


def load(connection: Connection, approval_id: str) -> Approval:
    """An approval, inside a transaction; nobody else changes it until that ends.

    Raises:
        NotFound: there is none.
    """
    return approval_of(load_row(connection, approval_id))


def load_row(connection: Connection, approval_id: str) -> Row:
    """The row of an approval, inside a transaction; nobody else changes it until that ends.

    Raises:
        NotFound: there is none.
    """
    return only_row(connection.lock_rows(_ONE, {"id": approval_id}), approval_id)


def only_row(rows: Sequence[Row], approval_id: str) -> Row:
    """The one row of a SELECT by id.

    Raises:
        NotFound: there is none.
    """
    if not rows:
        raise NotFound(f"approval {approval_id[:64]!r}: there is none; see GET /api/v1/approvals")
    return rows[0]


def approval_of(row: Row) -> Approval:
    """The approval of a row."""
    values = row | {name: orjson.loads(row[name]) if row[name] else None for name in _JSON_COLUMNS}
    values["approvers"] = values["approvers"] or []
    call = PlannedCall(
        tool=values["action"],
        tool_call_id=values["tool_call_id"] or "",
        **{name: values[name] for name in _CALL_COLUMNS},
    )
    return Approval(
        call=call,
        resumed=bool(values["resumed"]),
        parked=bool(values["parked"]),
        **{name: value for name, value in values.items() if name not in _NOT_OWN},
    )


def with_decision(approval: Approval, written: Row) -> Approval:
    """An approval with the columns that its decision wrote; without a claim, and no longer paused."""
    values = written | {name: orjson.loads(written[name] or "null") for name in ("args", "effect", "facts")}
    own = {name: value for name, value in values.items() if name not in _NOT_OWN}
    call = replace(approval.call, **{name: values[name] for name in EDITED_FIELDS})
    return replace(approval, call=call, claimed_by=None, claimed_until=None, paused_at=None, **own)


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
    rank, _, approval_id = _parsed(cursor)
    return {"after_id": approval_id, "after_rank": min(max(rank or 0, 0), 2)}


def _parsed(cursor: str) -> tuple[int | None, str | None, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidRequest(f"cursor {cursor[:80]!r}: give the next_cursor of the page before")
    rank = match["rank"]
    number = int(rank) if rank not in (None, "", "-") else None
    return number, match["currency"], match["approval_id"]
