"""Audits failed logins, without letting somebody who guesses passwords fill the audit trail."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smart_support import clock
from smart_support.audit import AuditTrail
from smart_support.identity.account_names import ANONYMOUS
from smart_support.identity.users import Accounts

_RESET_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class _Burst:
    failures: int
    last_at: datetime


class FailedLogins:
    """Counts failed logins for each account, and together for all names without an account.

    The 1st, 2nd, 4th, 8th... failure in a row is recorded with the count: a thousand guesses make ten rows. A
    name without an account is not recorded, because people type passwords into the wrong field.
    """

    def __init__(self, trail: AuditTrail, accounts: Accounts) -> None:
        self._trail = trail
        self._accounts = accounts
        self._bursts: dict[str | None, _Burst] = {}

    async def add(self, name: str, address: str, *, throttled: bool = False) -> None:
        """Count a failure, and record it if the count is a power of two."""
        account = name if self._accounts.is_login_required and self._accounts.named(name) else None
        now, burst = clock.now(), self._bursts.get(account)
        if burst is None or now - burst.last_at > _RESET_AFTER:
            burst = self._bursts[account] = _Burst(0, now)
        burst.failures, burst.last_at = burst.failures + 1, now
        if burst.failures & (burst.failures - 1) == 0:
            detail = {"account": account, "address": address, "throttled": throttled}
            await self._trail.record(
                "login_refused", by=ANONYMOUS, via="login", failures=burst.failures, **detail
            )

    def forget(self, name: str) -> None:
        """Begin a new count after a successful login."""
        self._bursts.pop(name, None)
