"""Telling a human that one is needed: a signed POST to the operator's webhook, if there is one."""

import hashlib
import hmac

import httpx
import orjson
from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from smart_support import clock
from smart_support.log import get_logger
from smart_support.settings import Settings

log = get_logger()
TIMEOUT_SECONDS = 3.0
ATTEMPTS = 3


class Escalations:
    """Sends escalations to `ESCALATION_WEBHOOK_URL`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.escalation_webhook_url
        self._secret = settings.escalation_webhook_secret

    async def escalate(self, thread_id: str, reason: str) -> bool:
        """Ask for a human on a thread.

        Returns:
            Whether the webhook took it (a 2xx answer within three tries); False where none is set.
        """
        log.info("escalation", thread_id=thread_id, webhook=bool(self._url))
        if not self._url:
            return False
        body = orjson.dumps(
            {"id": clock.new_id(), "type": "escalation", "thread_id": thread_id, "reason": reason}
        )
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_exponential_jitter(multiplier=0.2, max=2),
                retry=retry_if_exception_type(httpx.HTTPError),
            ):
                with attempt:
                    await self._post(body)
        except RetryError as error:
            log.error(
                "escalation_not_delivered", thread_id=thread_id, error=repr(error.last_attempt.exception())
            )
            return False
        return True

    async def _post(self, body: bytes) -> None:
        timestamp = str(int(clock.now().timestamp()))
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = await client.post(
                self._url,
                content=body,
                headers={
                    "Content-Type": "application/json",
                    "X-Smart-Support-Timestamp": timestamp,
                    "X-Smart-Support-Signature": signature(self._secret, timestamp, body),
                },
            )
        answer.raise_for_status()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 (RFC 2104), in hexadecimal, over `timestamp.body`."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
