"""One call of an API: the request with its credentials, sent by the guarded client, its answer understood.

What an answer means follows one rule for all APIs: the API said no (the customer can be told), it could
not be reached (worth another try where that is safe), or it broke.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

import orjson

from smart_support.connectors.answers import json_or_text
from smart_support.connectors.openapi.document.operation import Operation, SecurityScheme
from smart_support.connectors.openapi.request.credentials import Credential, apply, choose
from smart_support.connectors.openapi.request.oauth import TokenSource
from smart_support.connectors.openapi.request.request import Prepared, prepare
from smart_support.connectors.review.vault import Vault
from smart_support.errors import (
    OutboundRefused,
    ResponseTooLarge,
    SmartSupportError,
    ToolFailed,
    ToolRefused,
    ToolUnauthorized,
    ToolUnavailable,
)
from smart_support.observability.log import get_logger
from smart_support.outbound.client import Fetched, GuardedClient

log = get_logger()

MAX_ANSWER_BYTES = 2_000_000
_SAID_CHARS = 300
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Api:
    """An API that can be called.

    Attributes:
        name: what people call it.
        base: where its paths begin, or those of the operation that is called.
        key: what it is called among the imported ones; its credentials are kept under it, for its `home`.
    """

    name: str
    base: str
    schemes: dict[str, SecurityScheme]
    key: str
    home: str


class Caller:
    """Calls operations."""

    def __init__(self, client: GuardedClient, vault: Vault, timeout_seconds: float) -> None:
        """`timeout_seconds`: what one request may take, redirects and bodies included."""
        self._client = client
        self._vault = vault
        self._timeout = timeout_seconds
        self._tokens = TokenSource(client.request)

    async def call(
        self, api: Api, operation: Operation, args: Mapping[str, Any], idempotency_key: str | None
    ) -> Any:
        """What the API answered: JSON where it is JSON, else text.

        Args:
            idempotency_key: sent as `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

        Raises:
            InvalidArguments: an argument can't be sent.
            ToolRefused: the API said no to this call (a 4xx answer).
            ToolNotReached: it can't be connected to; nothing was sent.
            ToolUnavailable, TimeoutError: it can't do it just now (429, 5xx), or what it did can't be told.
            ToolFailed: it does not know who we are, a credential is missing, or it leads where none may go.
            ResponseTooLarge: its answer is over `MAX_ANSWER_BYTES`.
        """
        prepared = prepare(operation, args, api.base)
        if idempotency_key:
            prepared = _with_header(prepared, "Idempotency-Key", idempotency_key)
        credentials = choose(operation.security, await self._vault.of(api.key, api.schemes, api.home))
        login = next((_at(api, one) for one in credentials if one.scheme.kind == "oauth2"), None)
        token = await self._tokens.token(login) if login else None
        answer = await self._send(api, apply(prepared, credentials, token))
        if answer.status == 401 and login and token:
            # A token can be called back before its time; the API has done nothing with this one.
            token = await self._tokens.renewed(login, token)
            answer = await self._send(api, apply(prepared, credentials, token))
        return _understood(api, answer)

    async def _send(self, api: Api, prepared: Prepared) -> Fetched:
        try:
            return await self._client.request(
                prepared.method,
                prepared.url,
                headers=prepared.headers,
                content=prepared.content,
                timeout_seconds=self._timeout,
                max_bytes=MAX_ANSWER_BYTES,
                max_redirects=3 if prepared.method == "GET" else 0,
            )
        except SmartSupportError as error:
            # The client names hosts, which are nothing for a customer; they stay in the log.
            log.warning("api_call_failed", api=api.name, operation=prepared.method, cause=error.message)
            raise _named(api, error) from None


def _at(api: Api, login: Credential) -> Credential:
    """Its token's address in full: a description may give it from its server on."""
    where = urljoin(f"{api.base}/", login.scheme.token_url)
    return replace(login, scheme=replace(login.scheme, token_url=where))


def _with_header(prepared: Prepared, name: str, value: str) -> Prepared:
    return replace(prepared, headers={**prepared.headers, name: value})


def _named(api: Api, error: SmartSupportError) -> SmartSupportError:
    if isinstance(error, OutboundRefused):
        return ToolFailed(f"{api.name} leads to an address that may not be reached; nothing was sent there.")
    if isinstance(error, ResponseTooLarge):
        return ResponseTooLarge(f"{api.name} answered with more than can be read; ask for less at once.")
    if isinstance(error, ToolUnavailable):
        return type(error)(f"{api.name} can't be reached just now; please try again later.")
    if isinstance(error, ToolFailed):
        # It did answer, so a write may well have had its effect.
        return ToolUnavailable(f"{api.name} answered in a way that can't be understood.")
    return error


def _understood(api: Api, answer: Fetched) -> Any:
    status, said = answer.status, json_or_text(answer.content)
    if 200 <= status < 300:
        return said if said not in ("", None) else {"message": "Done.", "status": status}
    if status in (401, 403):
        raise ToolUnauthorized(
            f"{api.name} did not accept our credentials ({status}); an admin can look at them in the API tab."
        )
    if status in _LATER or status >= 500:
        raise ToolUnavailable(f"{api.name} can't do this just now ({status}); please try again later.")
    if status >= 400:
        raise ToolRefused(f"{api.name} said no ({status}): {_short(said)}")
    # After a 302 or 303 (RFC 9110, 15.4) the call may well have had its effect.
    raise ToolUnavailable(f"{api.name} sent this call on to another address ({status}).")


def _short(said: Any) -> str:
    """What an API gives as its reason, wherever it puts it (RFC 9457 and common habits)."""
    if isinstance(said, dict):
        for name in ("detail", "message", "error_description", "title", "error", "errors"):
            if said.get(name):
                return _short(said[name])
    text = said if isinstance(said, str) else orjson.dumps(said).decode()
    return " ".join(text.split())[:_SAID_CHARS] or "it gave no reason"
