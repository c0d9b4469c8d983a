"""The action ledger: runs an approved write at most once.

The intent is stored before the call and the result after it. A call runs only if there is an approved, unused
decision for exactly this call.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from smart_support import audit, clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.ceilings import give_places_back
from smart_support.approvals.disabled_callers import check_enabled
from smart_support.approvals.freeze_scope import check_not_frozen
from smart_support.audit_consistency import recorded
from smart_support.errors import Forbidden, SmartSupportError
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import Connection, StateDatabase, on_thread

log = get_logger()
_KEYS = uuid.UUID("5f0c3a52-6d0b-4f0e-9a3e-9d1f7c1b2a64")

EntryStatus = Literal["begun", "done", "failed", "outcome_unknown"]
UNKNOWN = "It is not known whether this was carried out; a colleague checks before anything is tried again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The intent of one write, and its result.

    Attributes:
        result: the tool's result where the status is `done`, otherwise a sentence.
        fresh: the call that returned this entry has begun it.
    """

    approval_id: str
    tool: str
    tool_call_id: str
    idempotency_key: str
    status: EntryStatus
    result: Any = None
    fresh: bool = False


def what_to_check(tool: str, entry: Entry) -> str:
    """The text of the escalation for a write of unknown outcome."""
    return (
        f"The outcome of {tool} is unknown: it was begun and no answer came back. Look in the system it "
        f"acts on whether it took effect (approval {entry.approval_id}, idempotency key "
        f"{entry.idempotency_key}) before anyone tries again."
    )


class Ledger:
    """At most one execution for each (thread, tool call)."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def execute(
        self,
        *,
        thread_id: str,
        tool_call_id: str,
        tool: str,
        digest: str,
        idempotent: bool,
        run: Callable[[str], Awaitable[Any]],
    ) -> Entry:
        """Run an approved write once, or return the entry of its earlier run.

        Args:
            digest: computed from the call that is about to run; it must be the approved one. An interrupted
                call whose digest has changed is never repeated.
            idempotent: whether a call that a crash interrupted may be repeated with the same key.
            run: awaited with the idempotency key, after the intent is durable.

        Raises:
            Forbidden: there is no approved, unused decision for exactly this call. Nothing ran.
            Frozen: its scope is frozen. Nothing ran, and the decision stays unused.
        """
        begun = await self._state.transact(
            lambda c: self._begin(c, thread_id, tool_call_id, tool, digest), on=[on_thread(thread_id)]
        )
        if begun is None:
            raise Forbidden(f"{tool}: there is no approved decision for exactly this call; it was not run")
        entry, fresh, same = begun
        if entry.status != "begun":
            return entry
        if not fresh and not (idempotent and same):
            log.error("outcome_unknown", tool=tool, approval_id=entry.approval_id)
            return await self.finish(thread_id, tool_call_id, "outcome_unknown", UNKNOWN)
        status, result, why = await self._attempt(run, entry.idempotency_key, tool)
        if status == "failed" and not fresh:
            # This attempt had no effect; the interrupted one may have had.
            log.error("outcome_unknown", tool=tool, approval_id=entry.approval_id)
            status, result, why = "outcome_unknown", UNKNOWN, ""
        return await self.finish(thread_id, tool_call_id, status, result, why)

    async def begin_together(self, approvals: Sequence[Approval]) -> list[Entry]:
        """Store the intents of several approved calls, all or none: one resume runs them all.

        Returns:
            Their entries. Those that are not `fresh` were begun before and must not be run again.

        Raises:
            Forbidden: one of them has no approved, unused decision. Nothing was begun.
            Frozen: one of them is frozen. Nothing was begun, and the decisions stay unused.
        """

        def work(connection: Connection) -> list[Entry]:
            entries = []
            for one in approvals:
                call = one.call
                begun = self._begin(connection, one.thread_id, call.tool_call_id, call.tool, one.digest)
                if begun is None:
                    raise Forbidden(f"{call.tool}: there is no approved decision for this call")
                entry, fresh, _ = begun
                entries.append(replace(entry, fresh=fresh))
            return entries

        threads = [on_thread(one.thread_id) for one in approvals]
        return await self._state.transact(work, on=threads) if approvals else []

    async def finish_together(
        self, thread_id: str, entries: Sequence[Entry], status: EntryStatus, result: Any = None
    ) -> None:
        """Store the result of calls that were begun together; a call that has a result keeps it."""

        def work(connection: Connection) -> None:
            for entry in entries:
                _finish(connection, thread_id, entry.tool_call_id, status, result)

        if entries:
            await self._state.transact(work, on=[on_thread(thread_id)])

    async def begun(self, thread_id: str) -> list[Entry]:
        """The calls of a thread that have no result: they run now, or a crash interrupted them."""
        rows = await self._state.read(
            "SELECT * FROM action_ledger WHERE thread_id = :id AND status = 'begun'", {"id": thread_id}
        )
        return [_entry(row) for row in rows]

    async def has(self, thread_id: str, tool_call_id: str) -> bool:
        """Whether a call was begun, whatever its result."""
        rows = await self._state.read(
            "SELECT 1 FROM action_ledger WHERE thread_id = :thread_id AND tool_call_id = :tool_call_id",
            {"thread_id": thread_id, "tool_call_id": tool_call_id},
        )
        return bool(rows)

    async def refuse(self, thread_id: str, tool_call_id: str, why: str) -> str | None:
        """Use up the approval of a call that was not begun, so that it never runs; `why` is recorded.

        Returns:
            The approval's id; None where there is no unused approval.
        """
        on = [on_thread(thread_id)]
        return await self._state.transact(lambda c: _refuse(c, thread_id, tool_call_id, why), on=on)

    async def give_up(self, thread_id: str, notify: Callable[[str, Entry], Awaitable[None]]) -> None:
        """Mark the interrupted calls of a thread as of unknown outcome.

        Args:
            notify: awaited with each call's tool and entry before the call is marked. After a crash in
                between it is called again for the same entry.
        """
        for entry in await self.begun(thread_id):
            await notify(entry.tool, entry)
            await self.finish(thread_id, entry.tool_call_id, "outcome_unknown", UNKNOWN)

    async def _attempt(
        self, run: Callable[[str], Awaitable[Any]], key: str, tool: str
    ) -> tuple[EntryStatus, Any, str]:
        """The status, the result, and for operators why it failed where the result does not say it."""
        try:
            return "done", await run(key), ""
        except Exception as error:
            if isinstance(error, SmartSupportError) and error.nothing_done:
                return "failed", error.message, error.detail
            # The call has left this process without an answer: it may have had its effect.
            log.error("write_broke", tool=tool, error=repr(error))
            return "outcome_unknown", UNKNOWN, ""

    def _begin(
        self, connection: Connection, thread_id: str, tool_call_id: str, tool: str, digest: str
    ) -> tuple[Entry, bool, bool] | None:
        """The entry, whether it is new, and whether it is for exactly this call.

        None where there is no approved decision for exactly this call. Raises `Frozen` instead of beginning a
        call that is frozen, and `CallerDisabled` for one of a disabled caller; one that was begun may end.
        """
        key = {"thread_id": thread_id, "tool_call_id": tool_call_id}
        rows = connection.execute(
            "SELECT * FROM action_ledger WHERE thread_id = :thread_id AND tool_call_id = :tool_call_id", key
        )
        if rows:
            entry, same = _entry(rows[0]), rows[0]["digest"] == digest
            return (entry, False, same) if same or entry.status == "begun" else None
        approved = connection.execute(
            """SELECT approval_id, digest, agent, caller FROM approvals WHERE thread_id = :thread_id
               AND tool_call_id = :tool_call_id AND action = :tool AND status IN ('approved', 'edited')
               AND execution = 'not_started'""",
            key | {"tool": tool},
        )
        if not approved or approved[0]["digest"] != digest:
            log.error("write_without_approval", tool=tool, **key)
            return None
        check_enabled(connection, approved[0]["caller"])
        check_not_frozen(connection, agent=approved[0]["agent"], tool=tool, caller=approved[0]["caller"])
        row = key | {
            "approval_id": approved[0]["approval_id"],
            "tool": tool,
            "digest": digest,
            "idempotency_key": _key_of(approved[0]["approval_id"]),
            "now": clock.rfc3339(clock.now()),
        }
        inserted = connection.execute(
            """INSERT INTO action_ledger
                   (thread_id, tool_call_id, approval_id, tool, digest, idempotency_key, intent_at, status)
               VALUES
                   (:thread_id, :tool_call_id, :approval_id, :tool, :digest, :idempotency_key, :now,
                    'begun')
               RETURNING *""",
            row,
        )
        begun = recorded("ledger", inserted[0])
        detail = {"idempotency_key": row["idempotency_key"]} | begun["detail"]
        _audit(connection, "execution_begun", row, detail, begun["fields"])
        return _entry(row | {"status": "begun", "result": None}), True, True

    async def finish(
        self, thread_id: str, tool_call_id: str, status: EntryStatus, result: Any, why: str = ""
    ) -> Entry:
        """Record the result of a begun call; `why` goes to the approval's record instead of the result."""

        def work(connection: Connection) -> Entry:
            entry = _finish(connection, thread_id, tool_call_id, status, result, why)
            assert entry is not None, "only a call that was begun is finished"
            return entry

        return await self._state.transact(work, on=[on_thread(thread_id)])


def _finish(
    connection: Connection,
    thread_id: str,
    tool_call_id: str,
    status: EntryStatus,
    result: Any,
    detail: str = "",
) -> Entry | None:
    """Record the result of a begun call; None where it has one already."""
    rows = connection.execute(
        """UPDATE action_ledger SET status = :status, result = :result, result_at = :now
           WHERE thread_id = :thread_id AND tool_call_id = :tool_call_id AND status = 'begun'
           RETURNING *""",
        {
            "thread_id": thread_id,
            "tool_call_id": tool_call_id,
            "status": status,
            "result": _json(result),
            "now": clock.rfc3339(clock.now()),
        },
    )
    if not rows:
        return None
    why = None if status == "done" else (detail or str(result))[:500]
    approvals = connection.execute(
        """UPDATE approvals SET execution = :status, execution_reason = :why
           WHERE approval_id = :approval_id RETURNING effect""",
        {"status": status, "why": why, "approval_id": rows[0]["approval_id"]},
    )
    effect = orjson.loads(approvals[0]["effect"] or "null") if approvals else None
    came_of_it = {"status": status, "effect": effect, "result": rows[0]["result"]}
    ended = recorded("ledger", rows[0], ("status", "result", "result_at"))
    fields = ended["fields"] | {"approval": {"execution": status}}
    ended["detail"]["stored"]["approval"] = {"execution_reason": why}
    _audit(connection, "execution_ended", rows[0], came_of_it | ended["detail"], fields)
    return _entry(rows[0])


def _key_of(approval_id: str) -> str:
    """The idempotency key of the one execution that an approval allows.

    It is derived from the approval, so that it is the same in a restored backup that has the approval but not
    its execution: a system that honours keys does nothing twice.
    """
    return str(uuid.uuid5(_KEYS, approval_id))


def _refuse(connection: Connection, thread_id: str, tool_call_id: str, why: str) -> str | None:
    rows = connection.execute(
        """UPDATE approvals SET execution = 'failed', execution_reason = :why WHERE thread_id = :thread_id
           AND tool_call_id = :tool_call_id AND execution = 'not_started'
           AND NOT EXISTS (SELECT 1 FROM action_ledger begun WHERE begun.thread_id = approvals.thread_id
               AND begun.tool_call_id = approvals.tool_call_id)
           RETURNING thread_id, approval_id, digest, action AS tool""",
        {"thread_id": thread_id, "tool_call_id": tool_call_id, "why": why},
    )
    for row in rows:
        give_places_back(connection, thread_id, tool_call_id)
        stored = {"approval": {"execution_reason": why}}
        fields = {"approval": {"execution": "failed"}}
        _audit(connection, "execution_refused", row, {"why": why, "stored": stored}, fields)
    return str(rows[0]["approval_id"]) if rows else None


def _json(result: Any) -> str:
    """The result as JSON text, whatever a tool returned: it has run, so storing its result must not fail."""
    try:
        return orjson.dumps(result, default=str).decode()
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(repr(result)).decode()


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        approval_id=row["approval_id"],
        tool=row["tool"],
        tool_call_id=row["tool_call_id"],
        idempotency_key=row["idempotency_key"],
        status=row["status"],
        result=orjson.loads(row["result"]) if row["result"] else None,
    )


def _audit(
    connection: Connection, kind: str, row: dict[str, Any], detail: dict[str, Any], fields: dict[str, Any]
) -> None:
    audit.append(
        connection,
        kind,
        actor="system",
        via="ledger",
        thread_id=row["thread_id"],
        approval_id=row["approval_id"],
        digest=row["digest"],
        fields=fields,
        detail={"tool": row["tool"], **detail},
    )
