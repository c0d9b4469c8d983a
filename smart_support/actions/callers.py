"""Who may request actions, and with which tools."""

from smart_support.agents.team import Team
from smart_support.gate.caller import Caller, CallerLimits
from smart_support.identity.account_names import LOCAL_USER
from smart_support.identity.users import Accounts, User
from smart_support.tools.registry import Registry, Tool


class Callers:
    """The callers of the agents file. Without logins, the local user has all tools."""

    def __init__(self, team: Team, accounts: Accounts, registry: Registry) -> None:
        """`registry`: all tools; its tools change with imports."""
        self._team = team
        self._accounts = accounts
        self._registry = registry

    def of(self, user: User) -> Caller:
        """The caller that a user or key is; without tools where the agents file does not list it."""
        return self.named(user.name)

    def named(self, name: str) -> Caller:
        """The caller of that name, as the agents file has it now."""
        if name == LOCAL_USER and not self._accounts.is_login_required:
            return Caller(name, frozenset(tool.name for tool in self._registry), is_client=True)
        spec = self._team.caller(name)
        if spec is None:
            return Caller(name, is_client=True)
        return Caller(
            name,
            frozenset(spec.tools),
            limits=CallerLimits(spec.writes_per_hour, spec.calls_per_minute, spec.max_pending),
            is_client=True,
            approvers=spec.approvers,
            owner=spec.owner,
            thread_prefix=spec.thread_prefix,
        )

    def tool(self, name: str) -> Tool | None:
        """The tool of that name, whoever may call it."""
        return self._registry.get(name)

    def tools(self, caller: Caller) -> list[Tool]:
        """The tools that a caller has now, by name."""
        known = (self._registry.get(name) for name in sorted(caller.tools))
        return [tool for tool in known if tool is not None]
