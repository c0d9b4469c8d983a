"""The callers as leads see them: what each may do, what it has done, and whether its key is disabled."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from smart_support import clock
from smart_support.actions.callers import Callers
from smart_support.agents.team import Team
from smart_support.approvals.disabled_callers import DisabledCaller, DisabledCallers
from smart_support.errors import NotFound
from smart_support.identity.account_names import LOCAL_USER
from smart_support.identity.users import Accounts, Role
from smart_support.storage.state.base import Row, StateDatabase
from smart_support.tools.registry import Access, Registry

COUNTED_DAYS = 30
Credential = Literal["key", "user", "none"]
_ACTIONS = """
    SELECT caller, count(*) FILTER (WHERE requested_at > :since) AS calls, max(requested_at) AS last_used_at
    FROM actions GROUP BY caller
"""
_APPROVALS = """
    SELECT caller,
        count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE need = 'run' AND status = 'approved') AS auto_approved,
        count(*) FILTER (WHERE need <> 'run' AND status IN ('approved', 'edited')) AS approved,
        count(*) FILTER (WHERE need <> 'run' AND status = 'rejected') AS rejected,
        count(*) FILTER (WHERE status = 'expired') AS expired
    FROM approvals WHERE caller IS NOT NULL AND (requested_at > :since OR status = 'pending')
    GROUP BY caller
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTool:
    """A tool that a caller was given. `access`: null where there is no tool of that name now."""

    name: str
    access: Access | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerStatus:
    """One caller.

    Attributes:
        credential: how it logs in: with an API `key`, as a `user`, or not at all (`none`).
        owner: the user who can't approve its calls.
        approvers: the group that decides its calls; null where any lead may.
        thread_prefix: what the ids of its threads begin with.
        writes_per_hour, calls_per_minute, max_pending: its limits; null for none.
        pending: its approvals that are pending now.
        last_used_at: when it last requested a call that is on record.
        calls: requested in the last `COUNTED_DAYS` days and still on record, without those that joined.
        approved, rejected, expired: what became of its approvals of these days. `auto_approved`: what the
            policy let run.
        disabled: by whom, since when and why its key is disabled; null where it is not.
    """

    name: str
    credential: Credential
    owner: str | None
    approvers: str | None
    thread_prefix: str
    tools: tuple[CallerTool, ...]
    writes_per_hour: int | None
    calls_per_minute: int | None
    max_pending: int
    pending: int = 0
    last_used_at: str | None = None
    calls: int = 0
    auto_approved: int = 0
    approved: int = 0
    rejected: int = 0
    expired: int = 0
    disabled: DisabledCaller | None = None

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class CallerOverview:
    """Lists callers, and disables and enables them."""

    def __init__(
        self,
        *,
        team: Team,
        accounts: Accounts,
        callers: Callers,
        registry: Registry,
        disabled: DisabledCallers,
        state: StateDatabase,
    ) -> None:
        self._team = team
        self._accounts = accounts
        self._callers = callers
        self._registry = registry
        self._disabled = disabled
        self._state = state

    async def all(self) -> list[CallerStatus]:
        """Every caller of the agents file, every agent key, and who is disabled, by name."""
        disabled = await self._disabled.all()
        since = {"since": clock.rfc3339(clock.now() - timedelta(days=COUNTED_DAYS))}
        actions = _by_caller(await self._state.read(_ACTIONS, since))
        approvals = _by_caller(await self._state.read(_APPROVALS, since))
        return [
            self._status(name, disabled.get(name), actions.get(name, {}) | approvals.get(name, {}))
            for name in sorted({*self._names(), *disabled})
        ]

    async def disable(self, name: str, reason: str, *, by: str, via: str) -> CallerStatus:
        """Disable a caller's key at once, on every process, and return the caller.

        Its pending approvals stay. They can be rejected and expire as usual, and can't be approved.

        Raises:
            NotFound: there is no such caller.
            InvalidRequest: there is no reason.
        """
        await self._named(name)
        await self._disabled.disable(name, reason, by=by, via=via)
        return await self._named(name)

    async def enable(self, name: str, *, by: str, via: str) -> CallerStatus:
        """Enable a caller's key again, and return the caller.

        Raises:
            NotFound: there is no such caller.
        """
        await self._named(name)
        await self._disabled.enable(name, by=by, via=via)
        return await self._named(name)

    async def _named(self, name: str) -> CallerStatus:
        for one in await self.all():
            if one.name == name:
                return one
        raise NotFound(f"caller {name[:100]!r}: there is none; see GET /api/v1/callers")

    def _names(self) -> set[str]:
        keys = {user.name for user in self._accounts.users if user.role is Role.AGENT}
        local = set() if self._accounts.is_login_required else {LOCAL_USER}
        return {spec.name for spec in self._team.callers} | keys | local

    def _status(self, name: str, disabled: DisabledCaller | None, counts: Row) -> CallerStatus:
        caller = self._callers.named(name)
        return CallerStatus(
            name=name,
            credential=self._credential(name),
            owner=caller.owner,
            approvers=caller.approvers,
            thread_prefix=caller.thread_prefix,
            tools=tuple(self._tool(tool) for tool in sorted(caller.tools)),
            writes_per_hour=caller.limits.writes_per_hour,
            calls_per_minute=caller.limits.calls_per_minute,
            max_pending=caller.limits.max_pending,
            disabled=disabled,
            **counts,
        )

    def _tool(self, name: str) -> CallerTool:
        tool = self._registry.get(name)
        return CallerTool(name=name, access=tool.access if tool else None)

    def _credential(self, name: str) -> Credential:
        user = next((user for user in self._accounts.users if user.name == name), None)
        if user is None:
            return "none"
        return "user" if user.is_person else "key"


def _by_caller(rows: Iterable[Row]) -> dict[str, Row]:
    return {row.pop("caller"): row for row in map(dict, rows)}
