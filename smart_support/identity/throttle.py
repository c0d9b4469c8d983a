"""Limits how often somebody may try to log in, without letting a stranger lock a user out.

The limits follow OWASP's "Slow Down Online Guessing Attacks with Device Cookies": a device with which the
user has logged in before has a limit of its own, which nobody else can use up.
"""

import asyncio
from enum import Enum

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from smart_support.identity.known_logins import KnownLogins, network
from smart_support.identity.users import digest_of

# From here on a wrong password is answered with "too many attempts"; a right one still logs in.
WARNED_AFTER = RateLimitItemPerMinute(5, namespace="login-warned")
# Passwords that are checked at all. Of one network, with any name; an office may share one.
PER_NETWORK = RateLimitItemPerMinute(30, namespace="login-network")
# Of one network with one name. The second is the one that a patient guesser meets.
PER_NAME_AND_NETWORK = (
    RateLimitItemPerMinute(15, namespace="login-pair"),
    RateLimitItemPerHour(40, namespace="login-pair"),
)
# With one name, of all networks from which that user has not logged in before.
PER_NAME = RateLimitItemPerHour(100, namespace="login-name")
PER_DEVICE = RateLimitItemPerMinute(10, namespace="login-device")


class Verdict(Enum):
    """What to do with an attempt.

    `CHECK`: check the password. `WARN`: check it, and answer a wrong one as `REFUSE` is answered. `REFUSE`:
    don't check it.
    """

    CHECK = "check"
    WARN = "warn"
    REFUSE = "refuse"


class LoginThrottle:
    """Counts login attempts. Names that do not exist are counted in the same way as those that do."""

    def __init__(self, rates: Storage, known: KnownLogins) -> None:
        """`rates`: counts the attempts. `known`: from where users have logged in before."""
        self._limiter = MovingWindowRateLimiter(rates)
        self._known = known

    async def judge(self, name: str, address: str, device: str | None) -> Verdict:
        """Count an attempt.

        Args:
            name: as it was typed.
            address: the client's address.
            device: the token of the device's cookie, if it sent one.
        """
        is_device_known, is_network_known = await self._known.is_known(name, device, address)
        name_digest = digest_of(name)
        if device and is_device_known and await self._hit(PER_DEVICE, name_digest, digest_of(device)):
            return Verdict.CHECK
        return await self._judge_stranger(name_digest, network(address), is_network_known)

    async def reset(self, name: str, address: str, device: str | None) -> None:
        """Forget the attempts with a name from one place, after a successful login.

        The network's attempts stay counted, so that one known password does not allow guessing others.
        """
        name_digest = digest_of(name)
        await self._clear(WARNED_AFTER, name_digest)
        for limit in PER_NAME_AND_NETWORK:
            await self._clear(limit, name_digest, network(address))
        if device:
            await self._clear(PER_DEVICE, name_digest, digest_of(device))

    async def _judge_stranger(self, name_digest: str, where: str, is_network_known: bool) -> Verdict:
        is_warned = not await self._hit(WARNED_AFTER, name_digest)
        # In this order, so that one network can't use up what all strangers share.
        is_allowed = await self._hit(PER_NETWORK, where)
        for limit in PER_NAME_AND_NETWORK:
            is_allowed = is_allowed and await self._hit(limit, name_digest, where)
        if is_allowed and not is_network_known:
            is_allowed = await self._hit(PER_NAME, name_digest)
        return Verdict.REFUSE if not is_allowed else Verdict.WARN if is_warned else Verdict.CHECK

    async def _hit(self, limit: RateLimitItem, *keys: str) -> bool:
        return await asyncio.to_thread(self._limiter.hit, limit, *keys)

    async def _clear(self, limit: RateLimitItem, *keys: str) -> None:
        await asyncio.to_thread(self._limiter.clear, limit, *keys)
