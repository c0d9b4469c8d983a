"""The actions in the state database: each requested once, joined by repetitions, and settled once."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any

import orjson

from smart_support import clock
from smart_support.actions.action import Action
from smart_support.approvals.disabled_callers import check_enabled
from smart_support.errors import CustomerMismatch, IdempotencyConflict, NotFound, TooManyPending
from smart_support.gate.caller import MAX_PENDING
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.storage.state.base import Connection, Row, StateDatabase, on_thread
from smart_support.tools.registry import Access

KEY_HOLDS = timedelta(hours=24)
JOINS_AFTER_DONE = timedelta(minutes=10)
_JSON = frozenset({"args", "client", "planned", "result"})
_COLUMNS = tuple(item.name for item in fields(Action) if item.name != "joined")
_INSERT = f"""
    INSERT INTO actions ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
"""
# The expiry of an approval moves while there is a freeze.
_SELECT = """
    SELECT actions.*, (
        SELECT expires_at FROM approvals WHERE approvals.approval_id = actions.approval_id
    ) AS expires_now FROM actions
"""
_WITH_KEY = f"""
    {_SELECT} WHERE caller = :caller AND idempotency_key = :key AND requested_at > :since
        AND access = 'write'
    ORDER BY requested_at DESC LIMIT 1
"""
_JOINABLE = f"""
    {_SELECT} WHERE call_digest = :digest AND access = 'write' AND (
        status IN ('pending', 'running', 'outcome_unknown') OR (status = 'done' AND settled_at > :since))
    ORDER BY requested_at DESC LIMIT 1
"""
_EARLIER = """
    SELECT action_id FROM actions WHERE call_digest = :digest AND access = 'write'
        AND status IN ('pending', 'running', 'done', 'outcome_unknown') AND requested_at > :since
    ORDER BY requested_at DESC LIMIT 1
"""
_UNSETTLED = """
    SELECT count(*) AS number FROM actions
    WHERE caller = :caller AND status IN ('pending', 'running') AND access = 'write'
"""
_CLAIM_THREAD = """
    INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at, owner, caller)
    VALUES (:thread_id, :now, :now, :now, :caller, :caller) ON CONFLICT (thread_id) DO NOTHING
"""
_RECORD_THREAD = """
    INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at, owner, caller, turn_channel,
        turn_started_at, last_seq, reserved_seq, customer_id)
    VALUES (:thread_id, :requested_at, :settled_at, :requested_at, :caller, :caller, :channel,
        :requested_at, :last_seq, :last_seq, :customer_id)
    ON CONFLICT (thread_id) DO UPDATE SET last_active_at = :settled_at, turn_channel = :channel,
        turn_started_at = :requested_at, last_seq = :last_seq, reserved_seq = :last_seq,
        customer_id = :customer_id
"""
_INSERT_SETTLED = f"""
    {_INSERT} ON CONFLICT (action_id) DO UPDATE SET status = :status, result = :result, message = :message,
        settled_at = :settled_at
"""
_BIND_CUSTOMER = """
    UPDATE sessions SET bound_customer = :id, bound_name = COALESCE(:name, bound_name),
        bound_email = COALESCE(:email, bound_email)
    WHERE thread_id = :thread_id AND (bound_customer IS NULL OR bound_customer = :id) RETURNING thread_id
"""


class ActionStore:
    """Actions by id."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def add_or_join(
        self, action: Action, customer: VerifiedCustomer | None = None, *, max_pending: int = MAX_PENDING
    ) -> Action:
        """Put a new action on record, or return the one that it joins; durable when this returns.

        Only writes join. With a key, a write joins the action of the same caller and key for `KEY_HOLDS`.
        Without one, it joins an equal action that is not settled, whose outcome is unknown, or that was done
        within `JOINS_AFTER_DONE`. The thread of a new action becomes the caller's.

        Args:
            customer: whom a website vouches for; the thread is bound to them.
            max_pending: how many writes of the caller may wait or run at once.

        Raises:
            CallerDisabled: the caller's key is disabled.
            TooManyPending: the caller has as many writes that wait as it may have.
            CustomerMismatch: the thread is bound to another customer.
            IdempotencyConflict: the key was used for another call.
            NotFound: the thread is somebody else's.
        """
        # What could be the same action, the thread that it claims, and what the caller has pending.
        on = [on_thread(action.thread_id), f"call {action.call_digest}", f"caller {action.caller}"]
        return await self._state.transact(lambda c: _add_or_join(c, action, customer, max_pending), on=on)

    async def add_running(
        self, action: Action, customer: VerifiedCustomer | None, reserved_seq: int
    ) -> Action:
        """Put a read on record that runs already, unless it is settled by now; durable when this returns.

        Args:
            reserved_seq: its events have numbers up to this one.
        """

        def work(connection: Connection) -> Action:
            given = {"action_id": action.action_id, "thread_id": action.thread_id, "seq": reserved_seq}
            if rows := connection.execute("SELECT * FROM actions WHERE action_id = :action_id", given):
                return _action(rows[0])
            added = _add_or_join(connection, action, customer, MAX_PENDING)
            connection.execute(
                "UPDATE sessions SET last_seq = :seq, reserved_seq = :seq WHERE thread_id = :thread_id", given
            )
            return added

        return await self._state.transact(work, on=[on_thread(action.thread_id)])

    async def add_settled(
        self,
        action: Action,
        last_seq: int,
        customer_id: str | None,
        customer: VerifiedCustomer | None = None,
    ) -> None:
        """Put an action on record that is settled already, and its thread; durable when this returns.

        Args:
            last_seq: the number of the thread's last event.
            customer_id: whom the thread is about, where known.
            customer: whom a website vouches for; the thread is bound to them.

        Raises:
            CallerDisabled: the caller's key was disabled meanwhile.
        """

        def work(connection: Connection) -> None:
            check_enabled(connection, action.caller)
            values = _as_columns({name: getattr(action, name) for name in _COLUMNS})
            thread = {"last_seq": last_seq, "customer_id": customer_id}
            connection.execute(_RECORD_THREAD, {**values, **thread})
            if customer:
                connection.execute(_BIND_CUSTOMER, {"thread_id": action.thread_id, **asdict(customer)})
            connection.execute(_INSERT_SETTLED, values)

        # Nothing joins a read, and it counts for no limit. Keys are disabled while nothing else runs.
        await self._state.transact(work, on=[on_thread(action.thread_id)])

    async def get(self, action_id: str, caller: str | None = None) -> Action:
        """The action of that id.

        Raises:
            NotFound: there is none, or it is not of that caller.
        """
        rows = await self._state.read(f"{_SELECT} WHERE action_id = :id", {"id": action_id})
        if not rows or caller not in (None, rows[0]["caller"]):
            raise NotFound(f"action {action_id[:64]!r}: there is none")
        return _action(rows[0])

    async def callers_of(self, thread_id: str) -> dict[str, dict[str, Any]]:
        """By action of a thread, the caller's `name` with what it said of itself and of its request."""
        rows = await self._state.read(
            "SELECT action_id, caller, client FROM actions WHERE thread_id = :thread_id",
            {"thread_id": thread_id},
        )
        return {row["action_id"]: {"name": row["caller"], **orjson.loads(row["client"])} for row in rows}

    async def of_thread(self, thread_id: str) -> list[Action]:
        """The actions of a thread, the oldest first."""
        rows = await self._state.read(
            "SELECT * FROM actions WHERE thread_id = :id ORDER BY requested_at, action_id", {"id": thread_id}
        )
        return [_action(row) for row in rows]

    async def running(self) -> list[Action]:
        """The actions that are neither settled nor wait for a decision. At start-up: what a crash cut off."""
        rows = await self._state.read(
            "SELECT * FROM actions WHERE status = 'running' ORDER BY requested_at, action_id"
        )
        return [_action(row) for row in rows]

    async def update(self, action: Action, **changes: Any) -> Action:
        """Change columns of an action that is not settled yet; durable when this returns.

        Returns:
            The action as it is now; a settled one is left as it is.
        """
        names = ", ".join(f"{name} = :{name}" for name in changes)
        rows = await self._state.execute(
            f"""UPDATE actions SET {names} WHERE action_id = :action_id AND status IN ('pending', 'running')
                RETURNING *""",
            {"action_id": action.action_id, **_as_columns(changes)},
        )
        return _action(rows[0]) if rows else await self.get(action.action_id)


def _add_or_join(
    connection: Connection, action: Action, customer: VerifiedCustomer | None, max_pending: int
) -> Action:
    check_enabled(connection, action.caller)
    now = clock.parse(action.requested_at)
    earlier = None
    if action.access is Access.WRITE:
        if joined := _joined(connection, action):
            return replace(_action(joined), joined=True)
        since = clock.rfc3339(now - KEY_HOLDS)
        rows = connection.execute(_EARLIER, {"digest": action.call_digest, "since": since})
        earlier = rows[0]["action_id"] if rows else None
        waiting = connection.execute(_UNSETTLED, {"caller": action.caller})
        if waiting[0]["number"] >= max_pending:
            raise TooManyPending(action.caller, max_pending)
    _claim_thread(connection, action, customer)
    action = replace(action, duplicate_of=earlier)
    connection.execute(_INSERT, _as_columns({name: getattr(action, name) for name in _COLUMNS}))
    return action


def _joined(connection: Connection, action: Action) -> Row | None:
    """The action that a write joins."""
    now = clock.parse(action.requested_at)
    if action.idempotency_key is None:
        since = clock.rfc3339(now - JOINS_AFTER_DONE)
        rows = connection.execute(_JOINABLE, {"digest": action.call_digest, "since": since})
        return rows[0] if rows else None
    since = clock.rfc3339(now - KEY_HOLDS)
    key = {"caller": action.caller, "key": action.idempotency_key, "since": since}
    rows = connection.execute(_WITH_KEY, key)
    if rows and rows[0]["call_digest"] != action.call_digest:
        raise IdempotencyConflict(
            f"idempotency_key {action.idempotency_key[:80]!r} was used for another call of "
            f"{rows[0]['tool']}; nothing was done. Use a new key for each call"
        )
    return rows[0] if rows else None


def _claim_thread(connection: Connection, action: Action, customer: VerifiedCustomer | None) -> None:
    place = {"thread_id": action.thread_id, "caller": action.caller, "now": action.requested_at}
    connection.execute(_CLAIM_THREAD, place)
    rows = connection.execute("SELECT caller FROM sessions WHERE thread_id = :thread_id", place)
    if rows[0]["caller"] != action.caller:
        raise NotFound(f"thread {action.thread_id}: there is no such thread of yours; use another thread_id")
    if customer and not connection.execute(_BIND_CUSTOMER, {**place, **asdict(customer)}):
        raise CustomerMismatch(action.thread_id, is_missing=False)


def _as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {
        name: orjson.dumps(value).decode() if name in _JSON and value is not None else value
        for name, value in values.items()
    }
    if "access" in columns:
        columns["access"] = str(columns["access"])
    if "is_forbidden" in columns:
        columns["is_forbidden"] = int(columns["is_forbidden"])
    return columns


def _action(row: Row) -> Action:
    values = {
        name: orjson.loads(row[name]) if name in _JSON and row[name] is not None else row[name]
        for name in _COLUMNS
    }
    values |= {"access": Access(row["access"]), "is_forbidden": bool(row["is_forbidden"])}
    if expires_now := row.get("expires_now"):
        values["expires_at"] = expires_now
    return Action(**values)
