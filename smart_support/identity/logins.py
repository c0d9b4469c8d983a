"""Browser logins: tokens that are kept in the state database."""

import asyncio
import contextlib
import secrets
from dataclasses import asdict, dataclass
from urllib.parse import quote, unquote

from smart_support import clock
from smart_support.identity.single_sign_on.people import person_of
from smart_support.identity.users import Accounts, User, digest_of
from smart_support.storage.state.base import StateDatabase

LOGIN_SECONDS = 12 * 3600
# How soon `wait_until_ended` notices a login that expired or that another process ended.
RECHECK_SECONDS = 30.0

_INSERT = """
    INSERT INTO logins (token_hash, name, expires_at, issuer, subject, provider_session, id_token)
    VALUES (:hash, :name, :until, :issuer, :subject, :provider_session, :id_token)
"""
_RENEW = """
    UPDATE logins SET expires_at = :until, provider_session = :provider_session, id_token = :id_token
    WHERE token_hash = :hash AND issuer = :issuer AND subject = :subject AND expires_at > :now
    RETURNING name
"""
_SELECT = """
    SELECT logins.name AS login_name, logins.issuer AS login_issuer, person.*
    FROM logins LEFT JOIN single_sign_on_people AS person
        ON person.issuer = logins.issuer AND person.subject = logins.subject
    WHERE token_hash = :hash AND expires_at > :now
"""


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """Whose login it is at the identity provider, and what ends it there.

    Attributes:
        provider_session: the provider's own session (`sid`), if it names it.
        id_token: the hint that the provider wants at the logout.
    """

    issuer: str | None = None
    subject: str | None = None
    provider_session: str | None = None
    id_token: str | None = None


class Logins:
    """Issues and checks login tokens. Only their hashes are stored.

    A token is valid for twelve hours, and only until the user's password changes. One of a login with the
    identity provider is valid as long as the caller says, and only while the person has a role.
    """

    def __init__(self, state: StateDatabase, accounts: Accounts) -> None:
        self._state = state
        self._accounts = accounts
        # By the hash of the token: the events that `end` sets.
        self._ended: dict[str, set[asyncio.Event]] = {}

    async def create(
        self, user: User, seconds: float = LOGIN_SECONDS, provider: ProviderLogin | None = None
    ) -> str:
        """A new token for a user who has logged in.

        Args:
            seconds: how long it is valid.
            provider: of a login with the identity provider.
        """
        token, now = f"{secrets.token_urlsafe(32)}.{quote(user.name, safe='')}", clock.now().timestamp()
        await self._state.execute("DELETE FROM logins WHERE expires_at <= :now", {"now": now})
        row = {"hash": self._hash(token), "name": user.name, "until": now + seconds}
        await self._state.execute(_INSERT, row | asdict(provider or ProviderLogin()))
        return token

    async def renew(self, token: str, seconds: float, provider: ProviderLogin) -> bool:
        """Make a token valid for longer, if it is of a login of the same person with the provider."""
        now = clock.now().timestamp()
        row = {"hash": self._hash(token), "until": now + seconds, "now": now, **asdict(provider)}
        return bool(await self._state.execute(_RENEW, row))

    async def user_name(self, token: str) -> str | None:
        """The name of the user of a token; None if the token is not valid."""
        rows = await self._state.read(_SELECT, {"hash": self._hash(token), "now": clock.now().timestamp()})
        if not rows:
            return None
        name = str(rows[0]["login_name"])
        if rows[0]["login_issuer"] is not None:
            # As stored now: another process may have noted another role.
            self._accounts.remember([person_of(rows[0])])
        return name if self._accounts.named(name) else None

    async def provider_login(self, token: str) -> ProviderLogin | None:
        """What a login with the identity provider was made with; None for one with a password."""
        rows = await self._state.read(
            "SELECT issuer, subject, provider_session, id_token FROM logins WHERE token_hash = :hash",
            {"hash": self._hash(token)},
        )
        return ProviderLogin(**rows[0]) if rows and rows[0]["issuer"] is not None else None

    async def end_at_provider(self, issuer: str, subject: str | None, session: str | None) -> list[str]:
        """End the logins of a person, or those of one session at the provider. Returns the names."""
        ended = await self._state.execute(
            """
            DELETE FROM logins
            WHERE issuer = :issuer AND (CAST(:session AS TEXT) IS NULL OR provider_session = :session)
                AND (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
            RETURNING token_hash, name
            """,
            {"issuer": issuer, "subject": subject, "session": session},
        )
        for row in ended:
            self._announce(row["token_hash"])
        return sorted({row["name"] for row in ended})

    async def end(self, token: str) -> None:
        """Make a token invalid, and end the waiting of `wait_until_ended`."""
        token_hash = self._hash(token)
        await self._state.execute("DELETE FROM logins WHERE token_hash = :hash", {"hash": token_hash})
        self._announce(token_hash)

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

    def _announce(self, token_hash: str) -> None:
        for ended in self._ended.get(token_hash, ()):
            ended.set()

    def _hash(self, token: str) -> str:
        # With the password's hash in it, so that a new password makes the token invalid.
        name = unquote(token.partition(".")[2])
        return digest_of(f"{token}:{self._accounts.credential(name)}")
