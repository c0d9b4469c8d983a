"""Fetches access tokens with OAuth2 client credentials (RFC 6749, 4.4)."""

import asyncio
import base64
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import orjson

from smart_support import clock
from smart_support.connectors.openapi.request.credentials import UNAVAILABLE, Credential
from smart_support.errors import SmartSupportError, ToolFailed
from smart_support.observability.log import get_logger

__all__ = ["Response", "Send", "TokenSource"]

log = get_logger()

_EARLY_SECONDS = 30
_DEFAULT_SECONDS = 300  # the lifetime of a token without `expires_in`, which is optional (RFC 6749, 5.1)
_MAX_SECONDS = 86_400
_TIMEOUT_SECONDS = 15.0
_MAX_BYTES = 100_000
_TOKEN = re.compile(r"[!-~]+")  # RFC 6749, A.12, without spaces, because it is sent in a header
# RFC 6749, 5.2
_KNOWN_ERRORS = {"invalid_request", "invalid_client", "invalid_grant", "invalid_scope"}
_KNOWN_ERRORS |= {"unauthorized_client", "unsupported_grant_type"}


class Response(Protocol):
    """The response of a token endpoint."""

    @property
    def status(self) -> int: ...
    @property
    def content(self) -> bytes: ...


class Send(Protocol):
    """Sends one request, as `GuardedClient.request` does."""

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes,
        timeout_seconds: float,
        max_bytes: int,
        redirect_origins: Collection[str],
    ) -> Response: ...


# Not the scheme's name: two APIs may both have a scheme `oauth2`, and an admin may enter a new secret.
_Key = tuple[str, str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _CachedToken:
    token: str = field(repr=False)
    until: datetime


class TokenSource:
    """Fetches access tokens and caches each, in memory, until 30 seconds before it expires."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._cache: dict[_Key, _CachedToken] = {}
        # Each protects one cached token, so that concurrent calls share one fetch.
        self._fetching: defaultdict[_Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Servers that accept client credentials only in the body.
        self._in_body: set[_Key] = set()

    async def token(self, credential: Credential) -> str:
        """A valid access token.

        Raises:
            ToolFailed: the token endpoint issued none. The API itself was not called.
        """
        return await self._current(credential, rejected=None)

    async def renew(self, credential: Credential, rejected: str) -> str:
        """A new token after the API rejected one with 401; concurrent calls share one fetch.

        Raises:
            ToolFailed: as in `token`.
        """
        return await self._current(credential, rejected)

    async def _current(self, credential: Credential, rejected: str | None) -> str:
        key = _key(credential)
        async with self._fetching[key]:
            cached = self._cache.get(key)
            if cached and cached.token != rejected and clock.now() < cached.until:
                return cached.token
            self._cache.pop(key, None)
            self._cache[key] = cached = await self._fetch(credential, key)
            return cached.token

    async def _fetch(self, credential: Credential, key: _Key) -> _CachedToken:
        requested_at = clock.now()
        name = credential.scheme.name
        response = await self._request(credential, in_body=key in self._in_body)
        if key not in self._in_body and response.status != 200 and _refuses_client(response):
            # RFC 6749, 2.3.1: a server must support Basic, but many support only the body.
            response = await self._request(credential, in_body=True)
            if response.status == 200:
                self._in_body.add(key)
        body = _object(response.content)
        if response.status != 200:
            raise _refusal(name, response.status, body)
        token = body.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ToolFailed(
                UNAVAILABLE, detail=f"The token endpoint of this API ({name}) sent no valid access token."
            )
        if str(body.get("token_type", "Bearer")).lower() != "bearer":
            raise ToolFailed(
                UNAVAILABLE,
                detail=f"The token endpoint of this API ({name}) sent a token that is not a bearer token.",
            )
        return _CachedToken(
            token, requested_at + timedelta(seconds=_lifetime(body.get("expires_in")) - _EARLY_SECONDS)
        )

    async def _request(self, credential: Credential, *, in_body: bool) -> Response:
        scheme, values = credential.scheme, credential.values
        form = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if scheme.scopes:
            form["scope"] = " ".join(scheme.scopes)
        if in_body:
            form |= {"client_id": values["client_id"], "client_secret": values["client_secret"]}
        else:
            pair = f"{quote_plus(values['client_id'])}:{quote_plus(values['client_secret'])}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            return await self._send(
                "POST",
                scheme.token_url,
                headers=headers,
                content=urlencode(form).encode(),
                timeout_seconds=_TIMEOUT_SECONDS,
                max_bytes=_MAX_BYTES,
                # A token comes only from the host that a reviewer has allowed.
                redirect_origins=(),
            )
        except (SmartSupportError, TimeoutError) as error:
            # Not re-raised: the caller would assume that the API itself may have executed the call.
            log.info("token_not_fetched", scheme=scheme.name, error=repr(error))
            raise ToolFailed(
                UNAVAILABLE,
                detail=f"The token endpoint of this API ({scheme.name}) can't be reached; try again later.",
            ) from None


def _key(credential: Credential) -> _Key:
    scheme, values = credential.scheme, credential.values
    return scheme.token_url, values["client_id"], values["client_secret"], scheme.scopes


def _refuses_client(response: Response) -> bool:
    error = str(_object(response.content).get("error", "invalid_client"))
    return response.status in {400, 401} and error in {"invalid_client", "invalid_request"}


def _refusal(name: str, status: int, body: Mapping[str, Any]) -> ToolFailed:
    # Only error codes of the standard: a server's own message may repeat the secret.
    error = str(body.get("error"))
    why = f"{status}, {error}" if error in _KNOWN_ERRORS else str(status)
    log.info("token_refused", scheme=name, status=status)
    if 300 <= status < 400:
        detail = (
            f"The token endpoint of this API ({name}) redirects to another site ({status}), which was not "
            "followed; the description needs the final address."
        )
        return ToolFailed(UNAVAILABLE, detail=detail)
    if status >= 500 or status == 429:
        detail = f"The token endpoint of this API ({name}) is unavailable ({why}); try again later."
        return ToolFailed(UNAVAILABLE, detail=detail)
    return ToolFailed(
        UNAVAILABLE,
        detail=f"The token endpoint of this API ({name}) refused the credentials ({why}); an admin can "
        "correct them in the API tab.",
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _lifetime(expires_in: Any) -> float:
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError):
        return _DEFAULT_SECONDS
    return min(seconds, _MAX_SECONDS) if seconds > 0 else 0.0
