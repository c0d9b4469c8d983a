"""Freezes: people stop all writes, or those of an agent, a tool or a caller, and let them go on later.

While a freeze is in effect, no write of its scope begins. An approved call is parked, and begins when the
freeze is lifted. The time of pending approvals stands still.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from smart_support import audit, clock
from smart_support.approvals.approval import whole_text
from smart_support.approvals.freeze_scope import checked_scope, in_scope_sql, is_frozen_sql
from smart_support.audit_consistency import recorded
from smart_support.errors import InvalidRequest, NotFound
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import Connection, Row, StateDatabase

log = get_logger()
MAX_REASON_CHARS = 500
# How long a change by a command, or by another process, may take to be noticed by those who only show it.
SECONDS_BETWEEN_CHECKS = 1.0
IN_EFFECT = f"""
    SELECT scope, reason, frozen_by, frozen_at,
        (SELECT count(*) FROM approvals WHERE paused_at IS NOT NULL AND {in_scope_sql()}) AS paused,
        (SELECT count(*) FROM approvals WHERE parked = 1 AND execution = 'not_started'
            AND {in_scope_sql()}) AS parked
    FROM freezes WHERE lifted_at IS NULL ORDER BY frozen_at, scope
"""
_FREEZE = """
    INSERT INTO freezes (freeze_id, scope, reason, frozen_by, frozen_via, frozen_at)
    VALUES (:freeze_id, :scope, :reason, :by, :via, :now) RETURNING *
"""
_PAUSE = f"""
    UPDATE approvals SET paused_at = :now
    WHERE status = 'pending' AND paused_at IS NULL AND expires_at > :now AND {is_frozen_sql()}
"""
_LIFT = """
    UPDATE freezes SET lifted_by = :by, lifted_at = :now WHERE scope = :scope AND lifted_at IS NULL
    RETURNING *
"""
_PAUSED_NO_MORE = f"""
    SELECT approval_id, expires_at, paused_at FROM approvals
    WHERE paused_at IS NOT NULL AND NOT {is_frozen_sql()} ORDER BY approval_id
"""


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze in effect.

    Attributes:
        scope: `all`, `agent:NAME`, `tool:NAME` or `caller:NAME`.
        by, since: who froze, and when.
        paused: the number of pending approvals in its scope; their time stands still.
        parked: the number of approved calls in its scope that wait for its end.
    """

    scope: str
    reason: str
    by: str
    since: str
    paused: int = 0
    parked: int = 0

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class Freezes:
    """Freezes and lifts, for all processes on one state database."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state
        self._known: frozenset[tuple[str, str]] = frozenset()
        self._callbacks: set[Callable[[list[Freeze]], None]] = set()

    async def freeze(self, scope: str, reason: str, *, by: str, via: str) -> Freeze:
        """Freeze a scope. Once this returns, no write of it begins, on any process.

        A scope that is frozen already stays as it is; the audit trail records that it was asked for again.

        Raises:
            InvalidRequest: the scope or the reason can't be taken.
        """
        scope, reason = checked_scope(scope), checked_reason(reason)
        row = await self._state.transact(lambda connection: freeze(connection, scope, reason, by=by, via=via))
        log.warning("frozen", scope=scope, by=by, via=via)
        await self.refresh()
        return next((one for one in await self.in_effect() if one.scope == scope), _freeze(row))

    async def lift(self, scope: str, *, by: str, via: str) -> Freeze:
        """Lift a freeze, and return it. What no other freeze holds goes on.

        Raises:
            InvalidRequest: that is no scope.
            NotFound: it is not frozen.
        """
        scope = checked_scope(scope)
        row = await self._state.transact(lambda connection: lift(connection, scope, by=by, via=via))
        log.warning("freeze_lifted", scope=scope, by=by, via=via)
        await self.refresh()
        return _freeze(row)

    async def in_effect(self) -> list[Freeze]:
        """The freezes in effect, the oldest first."""
        return [_freeze(row) for row in await self._state.read(IN_EFFECT)]

    async def refresh(self) -> bool:
        """Notify the subscribers if other freezes are in effect than before; returns whether there are."""
        freezes = await self.in_effect()
        now = frozenset((one.scope, one.since) for one in freezes)
        if now == self._known:
            return False
        self._known = now
        for callback in tuple(self._callbacks):
            callback(freezes)
        return True

    async def refresh_forever(self) -> None:
        """Notice what commands and other processes freeze and lift."""
        while True:
            try:
                await self.refresh()
            except Exception as error:
                log.error("freezes_not_read", error=repr(error))
            await asyncio.sleep(SECONDS_BETWEEN_CHECKS)

    def subscribe(self, callback: Callable[[list[Freeze]], None]) -> Callable[[], None]:
        """Call `callback` with the freezes in effect when they change; returns a function that ends this."""
        self._callbacks.add(callback)
        return lambda: self._callbacks.discard(callback)


def freeze(connection: Connection, scope: str, reason: str, *, by: str, via: str, **detail: Any) -> Row:
    """Freeze a scope in the caller's transaction, and stop the time of its pending approvals.

    Args:
        detail: further facts for the audit trail.

    Returns:
        The row of the freeze in effect, which may be an earlier one.
    """
    now = clock.rfc3339(clock.now())
    detail |= {"scope": scope, "reason": reason}
    frozen = connection.execute(
        "SELECT * FROM freezes WHERE scope = :scope AND lifted_at IS NULL", {"scope": scope}
    )
    if frozen:
        audit.append(connection, "frozen_again", actor=by, via=via, detail=detail)
        return frozen[0]
    row = {"freeze_id": clock.new_id(), "scope": scope, "reason": reason, "by": by, "via": via, "now": now}
    frozen = connection.execute(_FREEZE, row)
    connection.execute(_PAUSE, {"now": now})
    audit.append(connection, "frozen", actor=by, via=via, fields=_fields(frozen[0]), detail=detail)
    return frozen[0]


def lift(connection: Connection, scope: str, *, by: str, via: str, **detail: Any) -> Row:
    """Lift a freeze in the caller's transaction. Approvals in no other frozen scope get their time back.

    Args:
        detail: further facts for the audit trail.

    Raises:
        NotFound: the scope is not frozen.
    """
    now = clock.now()
    lifted = connection.execute(_LIFT, {"scope": scope, "by": by, "now": clock.rfc3339(now)})
    if not lifted:
        raise NotFound(f"scope {scope[:100]!r}: it is not frozen; see GET /api/v1/freeze")
    detail |= {"scope": scope}
    audit.append(connection, "freeze_lifted", actor=by, via=via, fields=_fields(lifted[0]), detail=detail)
    for paused in connection.execute(_PAUSED_NO_MORE):
        expires_at = clock.parse(paused["expires_at"]) + (now - clock.parse(paused["paused_at"]))
        rows = connection.execute(
            """UPDATE approvals SET expires_at = :expires_at, paused_at = NULL WHERE approval_id = :id
               RETURNING *""",
            {"id": paused["approval_id"], "expires_at": clock.rfc3339(expires_at)},
        )
        moved = recorded("approval", rows[0], ("expires_at",))
        audit.append(
            connection,
            "expiry_moved",
            actor=by,
            via=via,
            thread_id=rows[0]["thread_id"],
            approval_id=rows[0]["approval_id"],
            digest=rows[0]["digest"],
            fields=moved["fields"],
            detail=moved["detail"] | {"scope": scope, "paused_at": paused["paused_at"]},
        )
    return lifted[0]


def _fields(row: Row) -> dict[str, Any]:
    """The row of a freeze as the audit trail keeps it; the reason stands in the detail."""
    return {"freeze": {name: value for name, value in row.items() if name != "reason"}}


def checked_reason(reason: Any) -> str:
    """The reason of a freeze, without the white space around it.

    Raises:
        InvalidRequest: there is none, or it is too long.
    """
    text = whole_text("reason", reason, MAX_REASON_CHARS).strip() if isinstance(reason, str) else ""
    if not text:
        raise InvalidRequest("reason: say why, so that colleagues know; not only white space")
    return text


def _freeze(row: Row) -> Freeze:
    counts = {name: int(row.get(name, 0)) for name in ("paused", "parked")}
    return Freeze(row["scope"], row["reason"], row["frozen_by"], row["frozen_at"], **counts)
