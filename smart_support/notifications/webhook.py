"""Signed POST requests as in Standard Webhooks (https://www.standardwebhooks.com, version 1)."""

import base64
import hashlib
import hmac

from smart_support import clock
from smart_support.notifications.messages import webhook_body
from smart_support.notifications.sending import Outgoing, post
from smart_support.notifications.targets import SECRET_PREFIX, WebhookSpec
from smart_support.outbound.address_policy import host_and_port
from smart_support.outbound.client import GuardedClient


class WebhookSender:
    """Sends each notification by itself: a program takes as many as there are."""

    concurrency = 4
    is_for_people = False

    def __init__(self, spec: WebhookSpec, secrets: str) -> None:
        """`secrets`: one, or more separated by spaces while they are exchanged; each makes a signature."""
        self._url = spec.url
        self._keys = [base64.b64decode(one.removeprefix(SECRET_PREFIX)) for one in secrets.split()]
        # The operator's own setting, so the one host that may be outside the public internet.
        self._client = GuardedClient([host_and_port(spec.url)])

    async def send(self, outgoing: Outgoing) -> None:
        """See `Sender`."""
        body = webhook_body(outgoing.notices[0], details=outgoing.details)
        timestamp = str(int(clock.now().timestamp()))
        headers = {
            "webhook-id": outgoing.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signature(key, outgoing.id, timestamp, body) for key in self._keys),
        }
        await post(self._client, self._url, body, headers)

    async def close(self) -> None:
        """See `Sender`."""
        await self._client.aclose()


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 in base64 over `id.timestamp.body`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
