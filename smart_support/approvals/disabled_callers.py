"""Callers whose keys people have disabled, and the check that no call of theirs begins.

The check runs in the transaction that stores a request or the intent of a write, and no such transaction runs
beside one that disables: once a caller is disabled, nothing of it begins, on any process.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from smart_support import audit, clock
from smart_support.approvals.approval import whole_text
from smart_support.errors import CallerDisabled, InvalidRequest
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import Connection, Row, StateDatabase

log = get_logger()
MAX_REASON_CHARS = 500
RECENT_SECONDS = 1.0
_OF_NAME = "SELECT * FROM disabled_callers WHERE name = :name"
_DISABLE = """
    INSERT INTO disabled_callers (name, reason, disabled_by, disabled_via, disabled_at)
    VALUES (:name, :reason, :by, :via, :now) RETURNING *
"""


@dataclass(frozen=True, slots=True)
class DisabledCaller:
    """A caller whose key is disabled: by whom, since when, and why."""

    name: str
    reason: str
    by: str
    since: str

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class DisabledCallers:
    """Disables and enables callers, for all processes on one state database."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state
        # The disabled callers as they were read last, and until when that is recent.
        self._recent: frozenset[str] = frozenset()
        self._recent_until = 0.0

    async def disable(self, name: str, reason: Any, *, by: str, via: str) -> DisabledCaller:
        """Disable a caller. Once this returns, no call of it is taken and none begins, on any process.

        A caller that is disabled already stays as it is.

        Raises:
            InvalidRequest: there is no reason, or it is too long.
        """
        text = whole_text("reason", reason, MAX_REASON_CHARS).strip() if isinstance(reason, str) else ""
        if not text:
            raise InvalidRequest("reason: say why, so that colleagues know; not only white space")

        def work(connection: Connection) -> Row:
            if known := connection.execute(_OF_NAME, {"name": name}):
                return known[0]
            now = clock.rfc3339(clock.now())
            row = {"name": name, "reason": text, "by": by, "via": via, "now": now}
            disabled = connection.execute(_DISABLE, row)[0]
            kept = {name: value for name, value in disabled.items() if name != "reason"}
            fields, detail = {"disabled_caller": kept}, {"name": row["name"], "reason": text}
            audit.append(connection, "caller_disabled", actor=by, via=via, fields=fields, detail=detail)
            return disabled

        row = await self._state.transact(work)
        self._recent_until = 0.0
        log.warning("caller_disabled", caller=name, by=by, via=via)
        return _disabled(row)

    async def enable(self, name: str, *, by: str, via: str) -> None:
        """Enable a caller again; one that is enabled stays as it is."""

        def work(connection: Connection) -> None:
            deleted = connection.execute(
                "DELETE FROM disabled_callers WHERE name = :name RETURNING name", {"name": name}
            )
            if deleted:
                audit.append(connection, "caller_enabled", actor=by, via=via, detail={"name": name})

        await self._state.transact(work)
        log.warning("caller_enabled", caller=name, by=by, via=via)

    async def all(self) -> dict[str, DisabledCaller]:
        """The disabled callers by name."""
        rows = await self._state.read("SELECT * FROM disabled_callers ORDER BY name")
        return {row["name"]: _disabled(row) for row in rows}

    async def check_recent(self, name: str) -> None:
        """As `check`, but another process may have disabled the caller `RECENT_SECONDS` ago at most.

        For reads: the transaction that puts them on record checks it again before they are answered.
        """
        if time.monotonic() >= self._recent_until:
            self._recent = frozenset(await self.all())
            self._recent_until = time.monotonic() + RECENT_SECONDS
        if name in self._recent:
            await self.check(name)

    async def check(self, name: str) -> None:
        """Check that a caller is enabled.

        Raises:
            CallerDisabled: it is not.
        """
        if await self._state.read(_OF_NAME, {"name": name}):
            raise CallerDisabled(name)


def check_enabled(connection: Connection, name: str | None) -> None:
    """Check, in the caller's transaction, that an API client is enabled; None stands for an agent of ours.

    Raises:
        CallerDisabled: it is not.
    """
    if name is not None and connection.execute(_OF_NAME, {"name": name}):
        raise CallerDisabled(name)


def _disabled(row: Row) -> DisabledCaller:
    return DisabledCaller(row["name"], row["reason"], row["disabled_by"], row["disabled_at"])
