"""The identity provider: its metadata and keys, and the exchange of a code for tokens.

All requests go through the guarded transport. The issuer's own host and port may be internal, because the
operator named them; every other address in the provider's metadata has to be public, or in `ALLOWED_HOSTS`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
import orjson

from smart_support.errors import ConfigError, SmartSupportError
from smart_support.identity.single_sign_on import tokens
from smart_support.identity.single_sign_on.errors import ProviderUnavailable, SignInRefused
from smart_support.observability.log import get_logger
from smart_support.outbound.address_policy import Resolve, normalize_host, parse_allowed_hosts
from smart_support.outbound.client import GuardedTransport, ReadLimit
from smart_support.settings import Settings

log = get_logger()
# For one request to the provider, name resolution included.
TIMEOUT_SECONDS = 8.0
MAX_BYTES = 1_000_000
# How long metadata and keys are used, and how soon after a failure or an unknown key they are fetched again.
KEEP_SECONDS = 3600.0
RETRY_SECONDS = 10.0
_DISCOVERY = "/.well-known/openid-configuration"
_REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL = ("userinfo_endpoint", "end_session_endpoint")
_UNAVAILABLE = "The identity provider does not answer. Try again in a minute."
_UNUSABLE = "The identity provider's answer can't be used. Ask your administrator."


class IdentityProvider:
    """The provider of `SMART_SUPPORT_OIDC_ISSUER`.

    Attributes:
        problem: why the last request for its metadata or keys failed, for people; empty after a success.
    """

    def __init__(self, settings: Settings, redirect_uri: str, *, resolve: Resolve | None = None) -> None:
        """`redirect_uri`: where the provider sends browsers back to. `resolve`: as of `GuardedClient`.

        Raises:
            ConfigError: the issuer has no TLS and is not on this machine or in `ALLOWED_HOSTS`.
        """
        self.problem = ""
        self._settings, self._redirect_uri, self._resolve = settings, redirect_uri, resolve
        self._configured = settings.oidc_issuer
        url = urlsplit(self._configured)
        self._allows_http = url.scheme == "http"
        allowed = parse_allowed_hosts(settings.allowed_hosts)
        host = normalize_host(url.hostname or "")
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        port = url.port or (80 if self._allows_http else 443)
        is_near = host in ("localhost", "127.0.0.1", "[::1]") or not allowed.isdisjoint(
            {host, f"{host}:{port}"}
        )
        if self._allows_http and not is_near:
            raise ConfigError(
                f"SMART_SUPPORT_OIDC_ISSUER={self._configured}: without TLS anybody in the network could log "
                f"in; use https://, or add {host}:{port} to SMART_SUPPORT_ALLOWED_HOSTS"
            )
        self._allowed = allowed | {f"{host}:{port}"}
        self._metadata: dict[str, Any] | None = None
        self._keys: list[dict[str, Any]] = []
        self._metadata_at = self._keys_at = self._failed_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def metadata(self) -> Mapping[str, Any]:
        """The provider's metadata (OpenID Connect Discovery 1.0), fetched at most once an hour.

        Raises:
            ProviderUnavailable: it can't be had, and none was fetched before.
        """
        async with self._fetching:
            if time.monotonic() - self._metadata_at > KEEP_SECONDS:
                await self._refresh_metadata()
            assert self._metadata is not None
            return self._metadata

    async def authorization_address(self, *, state: str, nonce: str, challenge: str, prompt: str = "") -> str:
        """Where a browser begins to log in.

        Args:
            challenge: of PKCE (RFC 7636), by SHA-256.
            prompt: what the provider must ask, such as `select_account`; empty: what it wants to.
        """
        metadata = await self.metadata()
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._scope(metadata),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"prompt": prompt} if prompt else {})
        return _with_query(metadata["authorization_endpoint"], query)

    async def logout_address(self, id_token: str | None, return_to: str) -> str | None:
        """Where a browser logs out of the provider (RP-Initiated Logout 1.0); None: not offered."""
        with contextlib.suppress(ProviderUnavailable):
            if endpoint := (await self.metadata()).get("end_session_endpoint"):
                query = {"client_id": self._settings.oidc_client_id, "post_logout_redirect_uri": return_to}
                return _with_query(endpoint, query | ({"id_token_hint": id_token} if id_token else {}))
        return None

    async def exchange(self, code: str, verifier: str, nonce: str, issuer: str | None) -> "Answer":
        """Exchange a code for an ID token, and verify it.

        Args:
            issuer: `iss` of the redirect (RFC 9207), if there was one.

        Raises:
            SignInRefused: the provider refuses the code, or its token is not valid for this login.
            ProviderUnavailable: it does not answer.
        """
        metadata = await self.metadata()
        is_named = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or is_named) and issuer != metadata["issuer"]:
            raise SignInRefused(
                "This login came back from another identity provider.", detail=f"iss {issuer!r}"
            )
        answer = await self._token(metadata, code, verifier)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str):
            raise SignInRefused(_UNUSABLE, detail="the token endpoint answered without an id_token")
        claims, header = await self._verified(id_token)
        access_token = access_token if isinstance(access_token, str) else ""
        tokens.check_id_token(
            claims,
            header,
            issuer=metadata["issuer"],
            client_id=self._settings.oidc_client_id,
            nonce=nonce,
            access_token=access_token,
        )
        return Answer(claims, id_token, access_token)

    async def user_info(self, access_token: str, subject: str) -> dict[str, Any]:
        """The claims of the userinfo endpoint; empty if they can't be had, or are about somebody else."""
        endpoint = (await self.metadata()).get("userinfo_endpoint")
        if not endpoint or not access_token:
            return {}
        try:
            claims = await self._get(endpoint, {"Authorization": f"Bearer {access_token}"})
        except SignInRefused as error:
            # What the ID token says is enough for many providers; some refuse this request (ADFS).
            log.warning("single_sign_on_userinfo_failed", reason=error.detail or error.message)
            return {}
        return claims if claims.get("sub") == subject else {}

    async def logged_out(self, logout_token: str) -> Mapping[str, Any]:
        """The claims of a valid logout token, which the provider sends (Back-Channel Logout 1.0).

        Raises:
            SignInRefused: it is not valid.
        """
        metadata = await self.metadata()
        claims, _ = await self._verified(logout_token)
        tokens.check_logout_token(claims, issuer=metadata["issuer"], client_id=self._settings.oidc_client_id)
        return claims

    async def _verified(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        algorithms = tokens.accepted_algorithms(await self.metadata())
        try:
            return tokens.verified_claims(token, await self._known_keys(), algorithms)
        except tokens.UnknownKey:
            try:
                return tokens.verified_claims(token, await self._known_keys(is_stale=True), algorithms)
            except tokens.UnknownKey as error:
                raise SignInRefused(_UNUSABLE, detail=f"the provider has no key {error}") from None

    async def _known_keys(self, *, is_stale: bool = False) -> list[dict[str, Any]]:
        """The provider's keys. `is_stale`: fetch them again, unless that was done a moment ago."""
        metadata = await self.metadata()
        async with self._fetching:
            age = time.monotonic() - self._keys_at
            if age > KEEP_SECONDS or (is_stale and age > RETRY_SECONDS):
                keys = (await self._fetch(metadata["jwks_uri"])).get("keys")
                self._keys = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
                self._keys_at = time.monotonic()
            return self._keys

    async def _refresh_metadata(self) -> None:
        if time.monotonic() - self._failed_at < RETRY_SECONDS:
            if self._metadata is None:
                raise ProviderUnavailable(self.problem)
            return
        try:
            self._metadata = self._checked(await self._fetch(self._configured.rstrip("/") + _DISCOVERY))
            self._metadata_at = time.monotonic()
        except ProviderUnavailable:
            # What was fetched before stays in use.
            if self._metadata is None:
                raise

    async def _fetch(self, address: str) -> dict[str, Any]:
        """As `_get`, and notes for the login page whether the provider answers."""
        try:
            answer = await self._get(address)
        except SignInRefused as error:
            self._failed_at, self.problem = time.monotonic(), error.message
            log.warning("single_sign_on_unavailable", address=address, reason=error.detail)
            raise
        self.problem = ""
        return answer

    def _checked(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata, if it is this issuer's and each address in it can be used."""
        wrong = ""
        if str(metadata.get("issuer")).rstrip("/") != self._configured.rstrip("/"):
            wrong = (
                f"its issuer is {metadata.get('issuer')!r}, not {self._configured!r}; set OIDC_ISSUER to it"
            )
        for name in (*_REQUIRED, *_OPTIONAL):
            if name in metadata or name in _REQUIRED:
                wrong = wrong or self._problem_of(name, metadata.get(name))
        if not tokens.accepted_algorithms(metadata):
            wrong = wrong or "it offers no algorithm with public keys"
        if wrong:
            self._failed_at, self.problem = time.monotonic(), _UNUSABLE
            log.error("single_sign_on_unusable", reason=wrong)
            raise ProviderUnavailable(_UNUSABLE, detail=wrong)
        return metadata

    def _problem_of(self, name: str, address: Any) -> str:
        try:
            url = urlsplit(address if isinstance(address, str) else "")
            is_usable = bool(url.hostname) and not url.username and not url.fragment and url.port != 0
        except ValueError:
            is_usable = False
        schemes = ("https", "http") if self._allows_http else ("https",)
        return "" if is_usable and url.scheme in schemes else f"its {name} can't be used: {address!r}"

    def _scope(self, metadata: Mapping[str, Any]) -> str:
        if self._settings.oidc_scopes:
            scopes = self._settings.oidc_scopes.replace(",", " ").split()
            return " ".join(dict.fromkeys(["openid", *scopes]))
        supported = metadata.get("scopes_supported")
        # Only where it is offered: other providers refuse the whole login.
        extra = ["groups"] if isinstance(supported, list) and "groups" in supported else []
        return " ".join(["openid", "profile", "email", *extra])

    async def _token(self, metadata: Mapping[str, Any], code: str, verifier: str) -> dict[str, Any]:
        from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError

        client_id, secret = self._settings.oidc_client_id, self._settings.oidc_client_secret
        method = _client_authentication(metadata, secret)
        if method == "client_secret_basic":
            # RFC 6749, 2.3.1, asks for this encoding; Authlib leaves it to the caller.
            client_id, secret = quote(client_id, safe=""), quote(secret, safe="")
        try:
            async with self._limited(), self._transport() as transport:
                client = AsyncOAuth2Client(
                    client_id,
                    secret or None,
                    token_endpoint_auth_method=method,
                    redirect_uri=self._redirect_uri,
                    transport=transport,
                    trust_env=False,
                )
                answer: dict[str, Any] = await client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
        except OAuthError as error:
            raise SignInRefused(
                "The identity provider refused this login. Log in again.", detail=f"token endpoint: {error}"
            ) from None
        except (httpx2.HTTPError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProviderUnavailable(_UNUSABLE, detail=f"token endpoint: {error!r}") from None
        return answer

    async def _get(self, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        async with self._limited(), self._transport() as transport:
            client = httpx2.AsyncClient(transport=transport, trust_env=False)
            try:
                answer = await client.get(address, headers={"Accept": "application/json", **(headers or {})})
                content = orjson.loads(answer.content) if answer.status_code == 200 else None
            except (httpx2.HTTPError, ValueError) as error:
                raise ProviderUnavailable(_UNUSABLE, detail=f"{address}: {error!r}") from None
        if not isinstance(content, dict):
            raise ProviderUnavailable(
                _UNAVAILABLE, detail=f"{address}: answered {answer.status_code} or no JSON object"
            )
        return content

    @contextlib.asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        """End a request in time, and translate its errors."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                yield
        except TimeoutError:
            raise ProviderUnavailable(_UNAVAILABLE, detail="no answer in time") from None
        except SignInRefused:
            raise
        except SmartSupportError as error:
            raise ProviderUnavailable(_UNAVAILABLE, detail=error.message) from None

    @contextlib.asynccontextmanager
    async def _transport(self) -> AsyncIterator[GuardedTransport]:
        transport = GuardedTransport(
            self._allowed, ReadLimit(MAX_BYTES), on_failure=lambda _: None, resolve=self._resolve
        )
        try:
            yield transport
        finally:
            await transport.aclose()


class Answer:
    """What the provider says of a person.

    Attributes:
        claims: of the verified ID token.
        id_token: the token itself, which the provider wants to see again at the logout.
    """

    def __init__(self, claims: Mapping[str, Any], id_token: str, access_token: str) -> None:
        self.claims, self.id_token, self.access_token = claims, id_token, access_token


def _client_authentication(metadata: Mapping[str, Any], secret: str) -> str:
    """How the client shows its secret: in the body where the provider takes that, else in a header."""
    listed = metadata.get("token_endpoint_auth_methods_supported")
    if not secret:
        return "none"
    if isinstance(listed, list) and "client_secret_post" in listed:
        return "client_secret_post"
    return "client_secret_basic"


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
