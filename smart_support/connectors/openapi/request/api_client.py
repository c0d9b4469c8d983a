"""Calls an operation of an API: builds the request, adds credentials, sends it and decodes the response.

Errors mean the same for all APIs: the API refused the call (the customer may see the reason), it could not be
reached (a retry may help), or it failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import orjson

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.request.credentials import (
    add_credentials,
    select_credentials,
)
from smart_support.connectors.openapi.request.oauth import TokenSource
from smart_support.connectors.openapi.request.request import HttpRequest, build_request
from smart_support.connectors.response_decoding import decoded
from smart_support.connectors.review.base_urls import origin_of
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

MAX_RESPONSE_BYTES = 2_000_000
_MAX_REASON_CHARS = 300
# What a customer is told in place of a host's name.
OTHER_SITE = "another site"
_MAX_REDIRECTS = 3
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_RETRYABLE = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Api:
    """An API that can be called.

    Attributes:
        name: its title, for error messages.
        base: the base URL of the API, or of the operation that is called.
        schemes: those whose credentials may be sent to `base`, with absolute token URLs.
        key: its unique name; credentials are stored under the key and the `origin`.
        review: as in `Vault.credentials`.
        redirect_origins: where redirects of a read may lead beside the origin of `base`.
    """

    name: str
    base: str
    schemes: dict[str, SecurityScheme]
    key: str
    origin: str
    review: str = ""
    redirect_origins: frozenset[str] = frozenset()


class ApiClient:
    """Calls operations of imported APIs."""

    def __init__(self, client: GuardedClient, vault: Vault, timeout_seconds: float) -> None:
        """`timeout_seconds`: the time limit of one request with its redirects and bodies."""
        self._client = client
        self._vault = vault
        self._timeout = timeout_seconds
        self._tokens = TokenSource(client.request)

    async def call(
        self, api: Api, operation: Operation, args: Mapping[str, Any], idempotency_key: str | None
    ) -> Any:
        """The API's response: parsed JSON if it is JSON, else text, or a `BinaryAnswer`.

        Args:
            idempotency_key: sent as `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

        Raises:
            InvalidArguments: an argument can't be sent.
            ToolRefused: the API refused the call (a 4xx response).
            ToolNotReached: the connection failed; nothing was sent.
            ToolUnavailable, TimeoutError: the API is unavailable (429, 5xx), or the outcome is unknown.
            ToolFailed: the credentials are missing or not accepted, the address is not allowed, or the API
                redirected a write to another address, or a read to a host that is not allowed, where it was
                not sent.
            ResponseTooLarge: the response is larger than `MAX_RESPONSE_BYTES`.
        """
        request = build_request(operation, args, api.base)
        if idempotency_key:
            request = _with_header(request, "Idempotency-Key", idempotency_key)
        stored = await self._vault.credentials(api.key, api.schemes, api.origin, review=api.review)
        credentials = select_credentials(operation.security, stored)
        oauth = next((one for one in credentials if one.scheme.kind == "oauth2"), None)
        token = await self._tokens.token(oauth) if oauth else None
        response = await self._send(api, add_credentials(request, credentials, token))
        if response.status == 401 and oauth and token:
            # A token can be revoked early. The API did nothing with this one, so the call is sent again.
            token = await self._tokens.renew(oauth, token)
            response = await self._send(api, add_credentials(request, credentials, token))
        return _decode(api, request, response)

    async def _send(self, api: Api, request: HttpRequest) -> Fetched:
        """Send a request. A write follows a 307 or 308 to the same origin if its key makes that harmless."""
        for _ in range(_MAX_REDIRECTS):
            response = await self._send_once(api, request)
            to_same_origin = _same_origin_location(request, response)
            if response.status not in (307, 308) or not to_same_origin or request.method in _SAFE_METHODS:
                break
            if "Idempotency-Key" not in request.headers:
                break
            request = replace(request, url=to_same_origin)
        return response

    async def _send_once(self, api: Api, request: HttpRequest) -> Fetched:
        try:
            return await self._client.request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.content,
                timeout_seconds=self._timeout,
                max_bytes=MAX_RESPONSE_BYTES,
                max_redirects=_MAX_REDIRECTS if request.method in _SAFE_METHODS else 0,
                redirect_origins=api.redirect_origins,
            )
        except SmartSupportError as error:
            # The client's message names hosts, which a customer must not see; they go only to the log.
            log.warning("api_call_failed", api=api.name, operation=request.method, cause=error.message)
            raise _translate(api, error) from None


def _with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    return replace(request, headers={**request.headers, name: value})


def _translate(api: Api, error: SmartSupportError) -> SmartSupportError:
    if isinstance(error, OutboundRefused):
        return ToolFailed(f"{api.name} is at an address that is not allowed; nothing was sent.")
    if isinstance(error, ResponseTooLarge):
        return ResponseTooLarge(f"{api.name} sent a response that is too large; request less at once.")
    if isinstance(error, ToolUnavailable):
        return type(error)(f"{api.name} can't be reached; try again later.")
    if isinstance(error, ToolFailed):
        # The API responded, so a write may have had its effect.
        return ToolUnavailable(f"{api.name} sent a response that can't be read.")
    return error


def _decode(api: Api, request: HttpRequest, response: Fetched) -> Any:
    status = response.status
    content = decoded(response.content, response.headers.get("content-type", ""))
    if 200 <= status < 300:
        return content if content not in ("", None) else {"message": "Done.", "status": status}
    if status in (401, 403):
        raise ToolUnauthorized(
            f"{api.name} is not available at the moment, so nothing was done.",
            detail=f"{api.name} did not accept our credentials ({status}); an admin can change them in the "
            "API tab.",
        )
    if status in _RETRYABLE or status >= 500:
        raise ToolUnavailable(f"{api.name} is unavailable ({status}); try again later.")
    if status >= 400:
        raise ToolRefused(f"{api.name} refused the request ({status}): {_reason(content)}")
    return _redirected(api, replace(request, url=response.url), response)


def _redirected(api: Api, request: HttpRequest, response: Fetched) -> dict[str, Any]:
    """What a redirect that was not followed means (RFC 9110, 15.4).

    Raises:
        ToolFailed: the call was not carried out, but has to be sent to another address.
        ToolUnavailable: it may have been.
    """
    status, location = response.status, _shown_location(request, response)
    led_to = (
        f"The redirect led to {_origin_of_location(request, response)}." if location == OTHER_SITE else ""
    )
    if request.method in _SAFE_METHODS:
        where = f"to {location}, which was not followed" if location else "without an address"
        message = f"{api.name} redirected this call ({status}) {where}; there is no result."
        todo = "An admin can enter the final address as the base URL in the API tab."
        raise ToolFailed(message, detail=f"{message} {led_to} {todo}" if led_to else "")
    if status == 303:
        message = f"Done. {api.name} answered {status} and refers to {location or 'another page'}."
        return {"message": message, "status": status}
    where = f"to {location}" if location else "without an address"
    what = f"{api.name} redirected this call ({status}) {where}, and it was not sent there"
    if status == 302 and location.startswith("/") and location != urlsplit(request.url).path:
        # Many sites answer so to a form that they have processed.
        raise ToolUnavailable(f"{what}; check there whether it was carried out.")
    message = f"{what}; nothing was done. An admin can enter the final address in the API tab."
    raise ToolFailed(message, detail=f"{message} {led_to}" if led_to else "")


def _same_origin_location(request: HttpRequest, response: Fetched) -> str:
    """Where a redirect leads, if that is the same origin; else an empty string."""
    location = response.headers.get("location", "")
    try:
        target, own = urlsplit(urljoin(request.url, location)), urlsplit(request.url)
    except ValueError:
        return ""
    is_same = location and (target.scheme, target.netloc.lower()) == (own.scheme, own.netloc.lower())
    return urlunsplit(target._replace(fragment="")) if is_same else ""


def _shown_location(request: HttpRequest, response: Fetched) -> str:
    """The path of a redirect's target, or its host if that is another one; without its query."""
    if not response.headers.get("location"):
        return ""
    if same := _same_origin_location(request, response):
        return urlsplit(same).path[:200] or "/"
    return OTHER_SITE


def _origin_of_location(request: HttpRequest, response: Fetched) -> str:
    try:
        return origin_of(urljoin(request.url, response.headers["location"]))[:200] or "no web address"
    except ValueError:
        return "no web address"


def _reason(content: Any) -> str:
    """The reason in an error response, from a field of RFC 9457 or another common name."""
    if isinstance(content, dict):
        for name in ("detail", "message", "error_description", "title", "error", "errors"):
            if content.get(name):
                return _reason(content[name])
    text = content if isinstance(content, str) else orjson.dumps(content).decode()
    return " ".join(text.split())[:_MAX_REASON_CHARS] or "no reason given"
