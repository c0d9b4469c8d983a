"""The escalation webhook: signed POST requests to the address that the operator has set."""

import hashlib
import hmac

from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from smart_support import clock
from smart_support.errors import SmartSupportError, ToolUnavailable
from smart_support.observability.log import get_logger
from smart_support.outbound.address_policy import host_and_port
from smart_support.outbound.client import GuardedClient

log = get_logger()
TIMEOUT_SECONDS = 3.0
MAX_ATTEMPTS = 3
WAIT = wait_exponential_jitter(multiplier=0.2, max=2)


class Webhook:
    """Sends messages with retries."""

    def __init__(self, url: str, secret: str) -> None:
        """`secret`: the key of the signature."""
        self._url = url
        self._secret = secret
        # The operator's own setting, so the one host that may be outside the public internet.
        self._client = GuardedClient([host_and_port(url)])
        if not secret:
            log.warning("webhook_not_signed", why="SMART_SUPPORT_ESCALATION_WEBHOOK_SECRET is empty")

    async def send(self, body: bytes) -> tuple[int, str | None]:
        """Send a JSON body.

        Returns:
            The number of attempts, and why the last one failed (without the address) or None.
        """
        attempts = 0
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(MAX_ATTEMPTS),
                wait=WAIT,
                retry=retry_if_exception_type((SmartSupportError, TimeoutError)),
            ):
                attempts += 1
                with attempt:
                    await self._post(body)
        except RetryError as failed:
            cause = failed.last_attempt.exception()
            log.error("webhook_failed", error=repr(cause))
            return attempts, _reason(cause)
        return attempts, None

    async def _post(self, body: bytes) -> None:
        timestamp = str(int(clock.now().timestamp()))
        answer = await self._client.request(
            "POST",
            self._url,
            content=body,
            headers={
                "Content-Type": "application/json",
                "X-Smart-Support-Timestamp": timestamp,
                "X-Smart-Support-Signature": signature(self._secret, timestamp, body),
            },
            timeout_seconds=TIMEOUT_SECONDS,
            max_redirects=0,
        )
        if not 200 <= answer.status < 300:
            raise ToolUnavailable(f"The webhook answered {answer.status}.")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 (RFC 2104), in hexadecimal, over `timestamp.body`."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _reason(cause: BaseException | None) -> str:
    if isinstance(cause, TimeoutError):
        return f"The webhook did not answer within {TIMEOUT_SECONDS:g} s."
    return cause.message if isinstance(cause, ToolUnavailable) else "The webhook could not be used."
