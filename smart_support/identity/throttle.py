"""Limits how often somebody may try to log in."""

import asyncio

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

PER_NAME = RateLimitItemPerMinute(5)
# Higher, because a whole office may share one address.
PER_ADDRESS = RateLimitItemPerMinute(30)


class LoginThrottle:
    """Allows a number of login attempts a minute with each name and from each address."""

    def __init__(self, rates: Storage) -> None:
        """`rates`: counts the attempts."""
        self._limiter = MovingWindowRateLimiter(rates)

    async def allow(self, name: str, address: str) -> bool:
        """Count an attempt. Returns whether it is within the limits."""
        return await asyncio.to_thread(self._hit, name, address)

    async def reset(self, name: str) -> None:
        """Forget the attempts with a name, after a successful login."""
        await asyncio.to_thread(self._limiter.clear, PER_NAME, "login-name", name)

    def _hit(self, name: str, address: str) -> bool:
        is_name_allowed = self._limiter.hit(PER_NAME, "login-name", name)
        is_address_allowed = self._limiter.hit(PER_ADDRESS, "login-address", address)
        return bool(is_name_allowed and is_address_allowed)
