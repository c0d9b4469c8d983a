"""Logs people in with the identity provider, and out again.

A login is bound to the browser that began it: the state, which comes back with the code, counts once and only
together with the cookie of that browser.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from smart_support import clock
from smart_support.audit import AuditTrail
from smart_support.identity.known_logins import network
from smart_support.identity.logins import Logins, ProviderLogin
from smart_support.identity.single_sign_on import people
from smart_support.identity.single_sign_on.errors import (
    AttemptUnknown,
    NoRole,
    SignInRefused,
    TooManyAttempts,
)
from smart_support.identity.single_sign_on.provider import Answer, IdentityProvider
from smart_support.identity.single_sign_on.roles import groups_in, is_left_out, parse_roles, role_of
from smart_support.identity.users import Accounts, User, digest_of
from smart_support.observability.log import get_logger
from smart_support.outbound.address_policy import Resolve
from smart_support.settings import Settings
from smart_support.storage.state.base import StateDatabase

log = get_logger()
CALLBACK = "/login/callback"
# How long somebody may take to log in at the provider.
ATTEMPT_SECONDS = 600
# Of one network, in which many people may begin their day at the same time.
PER_NETWORK = RateLimitItemPerMinute(120, namespace="single-sign-on")
_UNKNOWN = "This login has expired, was used before, or was begun in another browser. Log in again."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who has logged in: the token for the browser's cookie, and where they wanted to go."""

    user: User
    token: str
    next_path: str


class SingleSignOn:
    """Logins with the identity provider of the settings.

    Attributes:
        provider: the identity provider.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        accounts: Accounts,
        state: StateDatabase,
        logins: Logins,
        trail: AuditTrail,
        rates: Storage,
        resolve: Resolve | None = None,
    ) -> None:
        """`rates`: counts the logins that are begun. `resolve`: as of `GuardedClient`.

        Raises:
            ConfigError: `OIDC_ROLES` or `OIDC_ISSUER` can't be used.
        """
        self.provider = IdentityProvider(settings, settings.link_base + CALLBACK, resolve=resolve)
        self._roles = parse_roles(settings.oidc_roles)
        self._settings, self._accounts, self._state = settings, accounts, state
        self._logins, self._trail = logins, trail
        self._limiter = MovingWindowRateLimiter(rates)

    async def prepare(self) -> None:
        """Ask the provider for its metadata ahead of the first login. Failing is only logged."""
        try:
            await self.provider.metadata()
        except SignInRefused as error:
            log.warning("single_sign_on_not_ready", reason=error.detail or error.message)

    async def begin(self, browser: str, next_path: str, address: str, *, prompt: str = "") -> str:
        """Begin a login. Returns where the browser goes.

        Args:
            browser: a secret in a cookie of the browser.
            next_path: the page to go on to; see `return_path`.
            address: the client's address.
            prompt: as of `IdentityProvider.authorization_address`.

        Raises:
            SignInRefused: the provider does not answer, or too many logins are begun from this network.
        """
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        if not await asyncio.to_thread(self._limiter.hit, PER_NETWORK, network(address)):
            raise TooManyAttempts("Too many attempts. Wait a minute, then try again.")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        to = await self.provider.authorization_address(
            state=state, nonce=nonce, challenge=create_s256_code_challenge(verifier), prompt=prompt
        )
        now = clock.now().timestamp()
        await self._state.execute(
            "DELETE FROM single_sign_on_attempts WHERE expires_at <= :now", {"now": now}
        )
        await self._state.execute(
            """
            INSERT INTO single_sign_on_attempts
                (state_hash, browser_hash, nonce, verifier, next_path, expires_at)
            VALUES (:state, :browser, :nonce, :verifier, :next_path, :until)
            """,
            {
                "state": digest_of(state),
                "browser": digest_of(browser),
                "nonce": nonce,
                "verifier": verifier,
                "next_path": next_path,
                "until": now + ATTEMPT_SECONDS,
            },
        )
        return to

    async def finish(
        self, query: Mapping[str, str], browser: str | None, address: str, current: str | None = None
    ) -> SignedIn:
        """End a login with what the provider sent the browser back with.

        Args:
            query: the parameters of the callback.
            browser: the secret in the browser's cookie; None without one.
            current: the token with which the browser is logged in; it stays if it is the same person's, so
                that pages that are open stay logged in.

        Raises:
            AttemptUnknown: this browser did not begin it, or it was used before.
            NoRole: the person may not use this system.
            SignInRefused: the provider refuses, or what it says is not valid.
        """
        attempt = await self._take_attempt(query.get("state", ""), browser)
        if error := query.get("error"):
            raise SignInRefused(
                "The login was cancelled."
                if error == "access_denied"
                else "The identity provider refused this login. Log in again, or ask your administrator.",
                detail=f"{error[:100]}: {query.get('error_description', '')[:300]}",
            )
        if not (code := query.get("code")):
            raise SignInRefused(_UNKNOWN, detail="the provider sent no code")
        answer = await self.provider.exchange(code, attempt["verifier"], attempt["nonce"], query.get("iss"))
        user = await self._admit(answer, address)
        session = answer.claims.get("sid")
        login = ProviderLogin(
            issuer=answer.claims["iss"],
            subject=answer.claims["sub"],
            provider_session=session if isinstance(session, str) else None,
            id_token=answer.id_token,
        )
        seconds = self._settings.oidc_login_seconds
        if current and await self._logins.renew(current, seconds, login):
            token = current
        else:
            token = await self._logins.create(user, seconds, login)
        log.info("logged_in", name=user.name)
        return SignedIn(user, token, attempt["next_path"])

    async def logout_address(self, login: ProviderLogin) -> str | None:
        """Where the browser logs out of the provider too; None if the provider does not offer that."""
        return await self.provider.logout_address(login.id_token, f"{self._settings.link_base}/login")

    async def end_by_provider(self, logout_token: str) -> None:
        """End the logins that the provider ended: of one of its sessions, or all of a person.

        Raises:
            SignInRefused: the token is not valid.
        """
        claims = await self.provider.logged_out(logout_token)
        for name in await self._logins.end_at_provider(claims["iss"], claims.get("sub"), claims.get("sid")):
            await self._trail.record("logged_out", by=name, via="identity_provider")

    async def _admit(self, answer: Answer, address: str) -> User:
        """Store what the provider says of a person, and return the user; raises `NoRole`."""
        claims, claim = dict(answer.claims), self._settings.oidc_role_claim
        groups = groups_in(claims, claim)
        if not groups:
            said = await self.provider.user_info(answer.access_token, claims["sub"])
            groups = groups_in(said, claim)
            claims = said | claims
        profile = people.profile_of(claims, role_of(groups, self._roles), groups)
        person = await people.record_login(self._state, profile, {"address": address})
        self._accounts.remember([person])
        user = self._accounts.named(person.name)
        if user is None:
            await self._logins.end_at_provider(person.issuer, person.subject, None)
            too_many = "the provider left the groups out, because there are too many; " * is_left_out(
                claims, claim
            )
            raise NoRole(
                "You are logged in at the identity provider, but you have no role in Smart Support.",
                name=profile.display_name,
                groups=groups,
                detail=f"{too_many}no group in the claim {claim!r} has a role: {groups[:20]}",
            )
        return user

    async def _take_attempt(self, state: str, browser: str | None) -> Mapping[str, Any]:
        """The login with that state, which this browser began and nobody has ended yet."""
        rows = await self._state.execute(
            """
            DELETE FROM single_sign_on_attempts
            WHERE state_hash = :state AND browser_hash = :browser AND expires_at > :now
            RETURNING nonce, verifier, next_path
            """,
            {
                "state": digest_of(state),
                "browser": digest_of(browser or ""),
                "now": clock.now().timestamp(),
            },
        )
        if not rows or not browser:
            raise AttemptUnknown(_UNKNOWN, detail="no login of this browser has this state")
        return rows[0]
