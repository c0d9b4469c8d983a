"""Puts refused logins on record, without letting whoever guesses fill it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smart_support import clock
from smart_support.audit import AuditTrail
from smart_support.identity.account_names import ANONYMOUS
from smart_support.identity.users import Accounts

_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class _Burst:
    failures: int
    last_at: datetime


class FailedLogins:
    """Counts refused logins for each account; those with any other name are counted together.

    The 1st, 2nd, 4th, 8th... in a row is recorded with the count, so that a thousand guesses are ten rows. A
    name that is no account's is not recorded: people type passwords into the wrong field.
    """

    def __init__(self, trail: AuditTrail, accounts: Accounts) -> None:
        self._trail = trail
        self._accounts = accounts
        self._bursts: dict[str | None, _Burst] = {}

    async def add(self, name: str, address: str, *, throttled: bool = False) -> None:
        """Count one that was refused, and record it where its number is a power of two."""
        account = name if self._accounts.asked_for and self._accounts.named(name) else None
        now, burst = clock.now(), self._bursts.get(account)
        if burst is None or now - burst.last_at > _FORGOTTEN_AFTER:
            burst = self._bursts[account] = _Burst(0, now)
        burst.failures, burst.last_at = burst.failures + 1, now
        if burst.failures & (burst.failures - 1) == 0:
            detail = {"account": account, "address": address, "throttled": throttled}
            await self._trail.record(
                "login_refused", by=ANONYMOUS, via="login", failures=burst.failures, **detail
            )

    def forget(self, name: str) -> None:
        """Somebody has logged in with that name: what comes after is another burst."""
        self._bursts.pop(name, None)
