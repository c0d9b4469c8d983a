"""Browser logins: tokens that are kept in the state database."""

import asyncio
import contextlib
import secrets
from urllib.parse import quote, unquote

from smart_support import clock
from smart_support.identity.users import Accounts, User, digest_of
from smart_support.storage.state.base import StateDatabase

LOGIN_SECONDS = 12 * 3600
# How soon `wait_until_ended` notices a login that expired or that another process ended.
RECHECK_SECONDS = 30.0


class Logins:
    """Issues and checks login tokens. Only their hashes are stored.

    A token is valid for twelve hours, and only until the user's password changes.
    """

    def __init__(self, state: StateDatabase, accounts: Accounts) -> None:
        self._state = state
        self._accounts = accounts
        # By the hash of the token: the events that `end` sets.
        self._ended: dict[str, set[asyncio.Event]] = {}

    async def create(self, user: User) -> str:
        """A new token for a user who has given the right password."""
        token, now = f"{secrets.token_urlsafe(32)}.{quote(user.name, safe='')}", clock.now().timestamp()
        await self._state.execute("DELETE FROM logins WHERE expires_at <= :now", {"now": now})
        await self._state.execute(
            "INSERT INTO logins (token_hash, name, expires_at) VALUES (:hash, :name, :until)",
            {"hash": self._hash(token), "name": user.name, "until": now + LOGIN_SECONDS},
        )
        return token

    async def user_name(self, token: str) -> str | None:
        """The name of the user of a token; None if the token is not valid."""
        rows = await self._state.read(
            "SELECT name FROM logins WHERE token_hash = :hash AND expires_at > :now",
            {"hash": self._hash(token), "now": clock.now().timestamp()},
        )
        return str(rows[0]["name"]) if rows else None

    async def end(self, token: str) -> None:
        """Make a token invalid, and end the waiting of `wait_until_ended`."""
        token_hash = self._hash(token)
        await self._state.execute("DELETE FROM logins WHERE token_hash = :hash", {"hash": token_hash})
        for ended in self._ended.get(token_hash, ()):
            ended.set()

    async def wait_until_ended(self, token: str) -> None:
        """Return once a token is not valid: at once after `end`, otherwise within `RECHECK_SECONDS`."""
        token_hash, ended = self._hash(token), asyncio.Event()
        self._ended.setdefault(token_hash, set()).add(ended)
        try:
            while await self.user_name(token):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RECHECK_SECONDS):
                        await ended.wait()
        finally:
            self._ended[token_hash].discard(ended)
            if not self._ended[token_hash]:
                del self._ended[token_hash]

    def _hash(self, token: str) -> str:
        # With the password's hash in it, so that a new password makes the token invalid.
        name = unquote(token.partition(".")[2])
        return digest_of(f"{token}:{self._accounts.credential(name)}")
