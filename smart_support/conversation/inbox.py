"""The inbox: conversations by what they need of a person, the latest activity first, and their changes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import orjson

from smart_support import clock
from smart_support.analytics.cursor import Cursor
from smart_support.analytics.metrics import Metrics
from smart_support.analytics.series import as_rfc3339
from smart_support.analytics.time_range import naive
from smart_support.approvals.approval import Approval
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.reader import ApprovalFilter
from smart_support.concurrency import end_tasks
from smart_support.conversation.limits import checked_thread_id
from smart_support.conversation.sessions import OWNED_AT_MOST, SessionManager, preview
from smart_support.conversation.takeovers import Note
from smart_support.errors import NotFound
from smart_support.escalations.escalations import Escalations
from smart_support.events import Message, from_payload
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.identity.users import Role, User
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore
from smart_support.storage.state.base import Row, StateDatabase, in_clause

log = get_logger()
InboxFilter = Literal["all", "waiting", "escalated", "active", "mine", "ended"]
# Changes that come together are announced together.
SECONDS_BETWEEN_CHANGES = 0.25
EARLIER_CONVERSATIONS = 10
CUSTOMER_NOTES = 50
_BACKFILLED_AT_ONCE = 500
_WAITING = "SELECT thread_id FROM approvals WHERE status = 'pending'"
_ESCALATED = "SELECT thread_id FROM escalations WHERE handled_by IS NULL"
_TAKEN = "SELECT thread_id FROM sessions WHERE taken_by IS NOT NULL"
_RECENT = "SELECT thread_id FROM sessions WHERE last_active_at > :since"
# One set of ids for each filter, each from an index; `ended` is what is in none of them.
_MEMBERS: Mapping[str, str] = {
    "all": f"{_RECENT} UNION {_TAKEN} UNION {_WAITING} UNION {_ESCALATED}",
    "waiting": _WAITING,
    "escalated": _ESCALATED,
    "active": f"{_RECENT} EXCEPT {_TAKEN} EXCEPT {_WAITING} EXCEPT {_ESCALATED}",
    "mine": "SELECT thread_id FROM sessions WHERE taken_by = :me",
}
_COLUMNS = """thread_id, customer_id, owner, created_at, last_active_at, opening, last_role, last_by,
    last_text, last_said_at, last_seq, customer_seq, customer_said_at, seen_seq, taken_by, taken_at,
    turn_id, bound_customer, bound_name, bound_email"""


@dataclass(frozen=True, slots=True)
class InboxChange:
    """Conversations that have changed.

    Attributes:
        items: as they are now, as `Inbox.page` gives them. `gone`: those that were erased.
        counts: of all conversations, without `mine`; `taken`: how many each person has.
    """

    items: list[dict[str, Any]]
    gone: list[str]
    counts: dict[str, int]
    taken: dict[str, int]

    def for_user(self, user: User) -> dict[str, Any] | None:
        """The part that a user may see; None where there is nothing for them.

        Operators are sent their own conversations, without counts; those of verified customers need a token.
        """
        if user.role >= Role.LEAD:
            counts = self.counts | {"mine": self.taken.get(user.name, 0)}
            return {"items": self.items, "gone": self.gone, "counts": counts}
        own = [
            one
            for one in self.items
            if one["owner"] == user.name and not (one["customer"] or {}).get("verified")
        ]
        return {"items": own, "gone": [], "counts": None} if own else None


class Inbox:
    """Lists conversations by what they need, from the indexes of the state database."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        sessions: SessionManager,
        approvals: ApprovalQueue,
        escalations: Escalations,
        metrics: Metrics,
        event_log: EventStore,
        session_ttl_seconds: float,
    ) -> None:
        self._state = state
        self._sessions = sessions
        self._approvals = approvals
        self._escalations = escalations
        self._metrics = metrics
        self._log = event_log
        self._ttl = timedelta(seconds=session_ttl_seconds)
        self._subscribers: set[Callable[[InboxChange], None]] = set()
        self._unsubscribers: tuple[Callable[[], None], ...] = ()
        self._changed: set[str] = set()
        self._announcing: asyncio.Task[None] | None = None

    # The list

    async def page(
        self,
        user: User,
        filter_: InboxFilter = "all",
        *,
        q: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of conversations, the latest activity first, and the cursor of the next page or None.

        Args:
            user: an operator is given their own conversations only.
            filter_: `all` is every conversation that is not over, with `q` also those that are.
            q: a text in a message, the customer's id or the thread's id. The order is then that of
                `GET /conversations`: the newest conversation first.

        Raises:
            InvalidRequest: the cursor is not valid.
        """
        if q:
            return await self._search(user, filter_, q, limit, cursor)
        where, given = self._condition(user, filter_)
        if after := Cursor.decode(cursor):
            where += " AND (last_active_at, thread_id) < (:at, :after)"
            given |= {"at": as_rfc3339(after.started_at), "after": after.thread_id}
        rows = await self._state.read(
            f"""SELECT {_COLUMNS} FROM sessions WHERE {where}
                ORDER BY last_active_at DESC, thread_id DESC LIMIT :limit""",
            given | {"limit": limit + 1},
        )
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = Cursor(naive(clock.parse(last["last_active_at"])), last["thread_id"]).encode()
        return await self._items(rows[:limit]), following

    async def counts(self, user: User) -> dict[str, int]:
        """How many conversations of `user` each filter but `ended` has."""
        names = [name for name in _MEMBERS if name != "mine" or user.role >= Role.LEAD]
        parts: list[str] = []
        given: dict[str, Any] = {}
        for name in names:
            where, params = self._condition(user, name)
            parts.append(f'(SELECT count(*) FROM sessions WHERE {where}) AS "{name}"')
            given |= params
        (row,) = await self._state.read(f"SELECT {', '.join(parts)}", given)
        return {name: int(count) for name, count in row.items()}

    async def item(self, thread_id: str) -> dict[str, Any]:
        """One conversation as `page` gives it.

        Raises:
            NotFound: there is no such conversation.
        """
        items = await self._items_of([checked_thread_id(thread_id)])
        if not items:
            raise NotFound("This conversation doesn't exist or was deleted.")
        return items[0]

    async def seen(self, thread_id: str, seq: int) -> None:
        """Note that a person has seen a conversation up to a number.

        Raises:
            NotFound: there is no such conversation.
        """
        await self.item(thread_id)
        await self._sessions.mark_seen(thread_id, seq)

    # What is known of a conversation's customer

    async def open_approvals(self, thread_id: str, customer_id: str | None) -> list[Approval]:
        """The pending approvals of a conversation and of its customer's others, the oldest first."""
        own = [one for one in await self._approvals.of_thread(thread_id) if one.status == "pending"]
        others: list[Approval] = []
        if customer_id:
            selected = ApprovalFilter(status="pending", customer_id=customer_id, sort="oldest")
            others, _ = await self._approvals.find(selected)
        by_id = {one.approval_id: one for one in (*own, *others)}
        return [by_id[one] for one in sorted(by_id)]

    async def earlier(self, thread_id: str, customer_id: str | None) -> list[dict[str, Any]]:
        """The latest other conversations of a customer."""
        if not customer_id:
            return []
        rows = await self._state.read(
            f"""SELECT {_COLUMNS} FROM sessions
                WHERE customer_id = :customer AND thread_id <> :id AND last_role IS NOT NULL
                ORDER BY last_active_at DESC LIMIT :most""",
            {"customer": customer_id, "id": thread_id, "most": EARLIER_CONVERSATIONS},
        )
        return await self._items(rows)

    async def customer_notes(self, thread_id: str, customer_id: str | None) -> list[Note]:
        """The newest notes about a conversation and about its customer's others, the oldest first."""
        rows = await self._state.read(
            """SELECT * FROM conversation_notes WHERE thread_id = :id OR thread_id IN (
                   SELECT thread_id FROM sessions WHERE customer_id = :customer)
               ORDER BY noted_at DESC, note_id DESC LIMIT :most""",
            {"id": thread_id, "customer": customer_id or "", "most": CUSTOMER_NOTES},
        )
        return [Note(**row) for row in reversed(rows)]

    # Changes

    def subscribe(self, callback: Callable[[InboxChange], None]) -> Callable[[], None]:
        """Call `callback` with conversations that change. Returns a function that ends it."""
        self._subscribers.add(callback)
        if not self._unsubscribers:
            self._unsubscribers = (
                self._sessions.subscribe(self.changed),
                self._approvals.subscribe(lambda approval: self.changed(approval.thread_id)),
                self._escalations.subscribe(lambda record: self.changed(record.thread_id)),
            )
        return lambda: self._unsubscribe(callback)

    def changed(self, *thread_ids: str) -> None:
        """Announce soon that conversations have changed."""
        self._changed.update(thread_ids)
        if self._announcing is None:
            self._announcing = asyncio.get_running_loop().create_task(self._announce())

    async def close(self) -> None:
        """Stop to announce."""
        if self._announcing:
            await end_tasks(self._announcing)

    def _unsubscribe(self, callback: Callable[[InboxChange], None]) -> None:
        self._subscribers.discard(callback)
        if not self._subscribers:
            for stop in self._unsubscribers:
                stop()
            self._unsubscribers = ()

    async def _announce(self) -> None:
        try:
            while self._changed and self._subscribers:
                thread_ids, self._changed = self._changed, set()
                items = await self._items_of(sorted(thread_ids))
                gone = sorted(thread_ids - {item["thread_id"] for item in items})
                change = InboxChange(items, gone, await self._all_counts(), await self._taken())
                for callback in tuple(self._subscribers):
                    callback(change)
                await asyncio.sleep(SECONDS_BETWEEN_CHANGES)
            self._changed.clear()
        except Exception as error:
            log.error("inbox_not_announced", error=repr(error))
        finally:
            self._announcing = None

    async def _all_counts(self) -> dict[str, int]:
        counts = await self.counts(User("", Role.LEAD))
        return {name: count for name, count in counts.items() if name != "mine"}

    async def _taken(self) -> dict[str, int]:
        sql = "SELECT taken_by, count(*) AS number FROM sessions WHERE taken_by IS NOT NULL GROUP BY taken_by"
        return {row["taken_by"]: int(row["number"]) for row in await self._state.read(sql)}

    # Conversations from before their last message was kept

    async def backfill(self) -> None:
        """Fill in, from the event log, what was said last in conversations that do not have it."""
        rows = await self._state.read(
            """SELECT thread_id FROM sessions WHERE last_said_at IS NULL AND last_seq > 0 AND caller IS NULL
               ORDER BY last_active_at DESC"""
        )
        for start in range(0, len(rows), _BACKFILLED_AT_ONCE):
            await self._backfill([row["thread_id"] for row in rows[start : start + _BACKFILLED_AT_ONCE]])

    async def _backfill(self, thread_ids: Sequence[str]) -> None:
        rows = await self._log.query(
            """SELECT thread_id, max(happened_at) AS said_at, arg_max(payload, seq) AS last,
                   arg_min(payload, seq) FILTER (role = 'customer') AS first
               FROM events WHERE type = 'message' AND thread_id IN (SELECT unnest($ids::VARCHAR[]))
               GROUP BY thread_id""",
            {"ids": list(thread_ids)},
        )
        for row in rows:
            last, first = _message(row["last"]), _message(row["first"])
            await self._state.execute(
                """UPDATE sessions SET opening = COALESCE(opening, :opening), last_role = :role,
                       last_by = :by, last_text = :text, last_said_at = :said_at
                   WHERE thread_id = :id AND last_said_at IS NULL""",
                {
                    "id": row["thread_id"],
                    "opening": preview(first.content) if first else None,
                    "role": last.role if last else None,
                    "by": (last.by or last.agent) if last else None,
                    "text": preview(last.content) if last else None,
                    "said_at": as_rfc3339(row["said_at"]),
                },
            )

    # Rows

    def _condition(self, user: User, filter_: str) -> tuple[str, dict[str, Any]]:
        """The WHERE of a filter for a user, and its parameters."""
        given: dict[str, Any] = {}
        if filter_ == "ended":
            others = f"{_TAKEN} UNION {_WAITING} UNION {_ESCALATED}"
            where = f"last_active_at <= :since AND thread_id NOT IN ({others})"
        else:
            where = f"thread_id IN ({_MEMBERS[filter_]})"
        # A thread of an API client's calls, in which nobody has said anything, is no conversation.
        where += " AND last_role IS NOT NULL"
        if ":since" in where:
            given["since"] = clock.rfc3339(clock.now() - self._ttl)
        if ":me" in where:
            given["me"] = user.name
        if user.role < Role.LEAD:
            where += " AND owner = :owner AND bound_customer IS NULL"
            given["owner"] = user.name
        # The threads of API clients hold no conversations.
        return f"{where} AND caller IS NULL", given

    async def _search(
        self, user: User, filter_: InboxFilter, q: str, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        only = None
        if filter_ != "all":
            where, given = self._condition(user, filter_)
            rows = await self._state.read(
                f"SELECT thread_id FROM sessions WHERE {where} ORDER BY last_active_at DESC LIMIT :most",
                given | {"most": OWNED_AT_MOST},
            )
            only = [row["thread_id"] for row in rows]
        elif user.role < Role.LEAD:
            only = await self._sessions.owned(user)
        listed, following = await self._metrics.conversations(q=q, only=only, limit=limit, cursor=cursor)
        return await self._items_of([one["thread_id"] for one in listed]), following

    async def _items_of(self, thread_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The conversations with these ids, in their order, without those that do not exist."""
        among, given = in_clause("thread", thread_ids)
        rows = await self._state.read(f"SELECT {_COLUMNS} FROM sessions WHERE thread_id IN {among}", given)
        by_id = {row["thread_id"]: row for row in rows}
        return await self._items([by_id[one] for one in thread_ids if one in by_id])

    async def _items(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        thread_ids = [row["thread_id"] for row in rows]
        pending = await self._pending(thread_ids)
        escalated = await self._open_escalations(thread_ids)
        notes = await self._note_counts(thread_ids)
        over = clock.rfc3339(clock.now() - self._ttl)
        return [
            _item(row, pending.get(row["thread_id"]), escalated.get(row["thread_id"]), over)
            | {"notes": notes.get(row["thread_id"], 0)}
            for row in rows
        ]

    async def _pending(self, thread_ids: Iterable[str]) -> dict[str, Row]:
        among, given = in_clause("thread", thread_ids)
        rows = await self._state.read(
            f"""SELECT thread_id, count(*) AS number, min(requested_at) AS requested_at FROM approvals
                WHERE status = 'pending' AND thread_id IN {among} GROUP BY thread_id""",
            given,
        )
        return {row["thread_id"]: row for row in rows}

    async def _note_counts(self, thread_ids: Iterable[str]) -> dict[str, int]:
        among, given = in_clause("thread", thread_ids)
        rows = await self._state.read(
            f"""SELECT thread_id, count(*) AS number FROM conversation_notes
                WHERE thread_id IN {among} GROUP BY thread_id""",
            given,
        )
        return {row["thread_id"]: int(row["number"]) for row in rows}

    async def _open_escalations(self, thread_ids: Iterable[str]) -> dict[str, Row]:
        """The newest open escalation of each conversation."""
        among, given = in_clause("thread", thread_ids)
        rows = await self._state.read(
            f"""SELECT thread_id, escalation_id, reason, kind, requested_at FROM escalations
                WHERE handled_by IS NULL AND thread_id IN {among} ORDER BY requested_at""",
            given,
        )
        return {row["thread_id"]: row for row in rows}


def _item(row: Row, pending: Row | None, escalation: Row | None, over: str) -> dict[str, Any]:
    """One conversation on the wire; `over`: conversations without activity since then have ended."""
    status, since = "ended", None
    if escalation:
        status, since = "escalated", escalation["requested_at"]
    elif pending:
        status, since = "waiting", pending["requested_at"]
    elif row["taken_by"]:
        status, since = "taken", row["customer_said_at"]
    elif row["last_active_at"] > over:
        status, since = "active", row["customer_said_at"]
    last = {name: row[f"last_{name}"] for name in ("role", "by", "text")} | {"at": row["last_said_at"]}
    return {
        "thread_id": row["thread_id"],
        "customer_id": row["bound_customer"] or row["customer_id"],
        "customer": _customer(row),
        "owner": row["owner"],
        "opening": row["opening"],
        "started_at": row["created_at"],
        "last_at": row["last_active_at"],
        "last": last if row["last_role"] else None,
        "last_seq": row["last_seq"],
        "status": status,
        "since": since,
        "pending": int(pending["number"]) if pending else 0,
        "escalation": {name: escalation[name] for name in ("escalation_id", "reason", "kind", "requested_at")}
        if escalation
        else None,
        "taken_by": row["taken_by"],
        "taken_at": row["taken_at"],
        "unread": (row["customer_seq"] or 0) > (row["seen_seq"] or 0),
        "is_running": row["turn_id"] is not None,
    }


def _customer(row: Row) -> dict[str, Any] | None:
    """Who the customer is: as a website has vouched, else as the tools' calls say."""
    if row["bound_customer"]:
        return VerifiedCustomer(row["bound_customer"], row["bound_name"], row["bound_email"]).wire()
    return {"id": row["customer_id"], "verified": False} if row["customer_id"] else None


def _message(payload: str | None) -> Message | None:
    event = from_payload("message", orjson.loads(payload)) if payload else None
    return event if isinstance(event, Message) else None
