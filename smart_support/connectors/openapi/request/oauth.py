"""Access tokens by OAuth2 client credentials (RFC 6749, 4.4). How a request carries one: credentials.py."""

import asyncio
import base64
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import orjson

from smart_support import clock
from smart_support.connectors.openapi.request.credentials import Credential
from smart_support.errors import SmartSupportError, ToolFailed
from smart_support.observability.log import get_logger

__all__ = ["Answer", "Send", "TokenSource"]

log = get_logger()

_EARLY_SECONDS = 30
_UNTOLD_SECONDS = 300  # how long a token is used whose server does not say (RFC 6749, 5.1, leaves it open)
_MAX_SECONDS = 86_400
_TIMEOUT_SECONDS = 15.0
_MAX_BYTES = 100_000
_TOKEN = re.compile(r"[!-~]+")  # RFC 6749, A.12, without spaces: it goes into a header
# RFC 6749, 5.2
_KNOWN_ERRORS = {"invalid_request", "invalid_client", "invalid_grant", "invalid_scope"}
_KNOWN_ERRORS |= {"unauthorized_client", "unsupported_grant_type"}


class Answer(Protocol):
    """What a token server answered."""

    @property
    def status(self) -> int: ...
    @property
    def content(self) -> bytes: ...


class Send(Protocol):
    """Sends one request, as `net.GuardedClient.request` does."""

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes,
        timeout_seconds: float,
        max_bytes: int,
    ) -> Answer: ...


# Two APIs may each name a scheme `oauth2`, and an admin may enter a new secret: the name alone is no key.
_Key = tuple[str, str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    until: datetime


class TokenSource:
    """Fetches access tokens and keeps each until 30 seconds before it ends, in memory only."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: dict[_Key, _Held] = {}
        # Each protects its key's token: those who come during a fetch wait for it and fetch nothing.
        self._fetching: defaultdict[_Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._in_body: set[_Key] = set()

    async def token(self, credential: Credential) -> str:
        """An access token that is good for at least 30 seconds where its server gives that much.

        Raises:
            ToolFailed: none was given. Nothing was asked of the API itself, so this is never in doubt.
        """
        return await self._current(credential, rejected=None)

    async def renewed(self, credential: Credential, rejected: str) -> str:
        """A token in the place of one that the API answered with 401; fetched once for all who had that one.

        Raises:
            ToolFailed: as of `token`.
        """
        return await self._current(credential, rejected)

    async def _current(self, credential: Credential, rejected: str | None) -> str:
        key = _key(credential)
        async with self._fetching[key]:
            held = self._held.get(key)
            if held and held.token != rejected and clock.now() < held.until:
                return held.token
            self._held.pop(key, None)
            self._held[key] = held = await self._fetched(credential, key)
            return held.token

    async def _fetched(self, credential: Credential, key: _Key) -> _Held:
        asked_at = clock.now()
        name = credential.scheme.name
        answer = await self._asked(credential, in_body=key in self._in_body)
        if key not in self._in_body and answer.status != 200 and _refuses_client(answer):
            # RFC 6749, 2.3.1: a server must know Basic, and many know only the body.
            answer = await self._asked(credential, in_body=True)
            if answer.status == 200:
                self._in_body.add(key)
        said = _object(answer.content)
        if answer.status != 200:
            raise _refusal(name, answer.status, said)
        token = said.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ToolFailed(f"The login of this API ({name}) answered without a usable access token.")
        if str(said.get("token_type", "Bearer")).lower() != "bearer":
            raise ToolFailed(f"The login of this API ({name}) gives tokens that are not bearer tokens.")
        return _Held(token, asked_at + timedelta(seconds=_lifetime(said.get("expires_in")) - _EARLY_SECONDS))

    async def _asked(self, credential: Credential, *, in_body: bool) -> Answer:
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
            )
        except (SmartSupportError, TimeoutError) as error:
            # Not passed on as it is: a caller would have to think that the API itself may have acted.
            log.info("token_not_fetched", scheme=scheme.name, error=repr(error))
            raise ToolFailed(
                f"The login of this API ({scheme.name}) can't be reached; try again later."
            ) from None


def _key(credential: Credential) -> _Key:
    scheme, values = credential.scheme, credential.values
    return scheme.token_url, values["client_id"], values["client_secret"], scheme.scopes


def _refuses_client(answer: Answer) -> bool:
    error = str(_object(answer.content).get("error", "invalid_client"))
    return answer.status in {400, 401} and error in {"invalid_client", "invalid_request"}


def _refusal(name: str, status: int, said: Mapping[str, Any]) -> ToolFailed:
    # Only words of the standard: a server's own sentence may repeat what it was sent.
    error = str(said.get("error"))
    why = f"{status}, {error}" if error in _KNOWN_ERRORS else str(status)
    log.info("token_refused", scheme=name, status=status)
    if status >= 500 or status == 429:
        return ToolFailed(f"The login of this API ({name}) does not work just now ({why}); try again later.")
    return ToolFailed(
        f"The login of this API ({name}) refused the credentials ({why}); "
        "an admin can correct them in the API tab."
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _lifetime(expires_in: Any) -> float:
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError):
        return _UNTOLD_SECONDS
    return min(seconds, _MAX_SECONDS) if seconds > 0 else 0.0
