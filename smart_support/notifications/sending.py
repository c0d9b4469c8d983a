"""What every way to send a notification has in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol

from smart_support import clock
from smart_support.errors import (
    InvalidRequest,
    OutboundRefused,
    ResponseTooLarge,
    SmartSupportError,
)
from smart_support.notifications.messages import Message, Notice, digest_of, message_of
from smart_support.outbound.client import Fetched, GuardedClient

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 100_000
# A receiver may ask for more patience than this; the notification is then tried before.
MAX_RETRY_AFTER_SECONDS = 6 * 3600.0


class DeliveryFailed(Exception):
    """An attempt failed.

    Attributes:
        retry_after: how many seconds the receiver asks to wait, for everything that is sent to it.
        is_final: another attempt would fail the same way.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, is_final: bool = False) -> None:
        super().__init__(reason)
        self.retry_after, self.is_final = retry_after, is_final


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to one recipient.

    Attributes:
        id: the same in each attempt.
        notices: what it tells; more than one in a digest.
        details: whether arguments and words of customers may be in it.
        updates: the messages to update in place of sending a new one.
        console: the address of the console.
    """

    id: str
    recipient: str
    notices: Sequence[Notice]
    details: bool
    console: str
    updates: Sequence[str] = ()

    def message(self) -> Message:
        """The text for people."""
        if len(self.notices) > 1:
            return digest_of(self.notices, self.console)
        return message_of(self.notices[0], details=self.details)


class Sender(Protocol):
    """Sends messages to one target.

    Attributes:
        concurrency: how many messages may be sent at the same time.
        is_for_people: whether a burst becomes a digest.
    """

    concurrency: int
    is_for_people: bool

    async def send(self, outgoing: Outgoing) -> str | None:
        """Send a message, and return what names it if it can be updated later.

        Raises:
            DeliveryFailed: it was not accepted.
        """

    async def close(self) -> None:
        """Close its connections."""


async def post(client: GuardedClient, url: str, body: bytes, headers: dict[str, str]) -> Fetched:
    """POST a JSON body; a redirect is not followed.

    Raises:
        DeliveryFailed: there is no answer, or one that is not 2xx.
    """
    try:
        answer = await client.request(
            "POST",
            url,
            content=body,
            headers={"Content-Type": "application/json; charset=utf-8"} | headers,
            timeout_seconds=TIMEOUT_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
            max_redirects=0,
        )
    except TimeoutError:
        raise DeliveryFailed(f"No answer within {TIMEOUT_SECONDS:g} s.") from None
    except ResponseTooLarge:
        raise DeliveryFailed("The answer is too large.") from None
    except SmartSupportError as error:
        is_final = isinstance(error, InvalidRequest | OutboundRefused)
        raise DeliveryFailed(error.message, is_final=is_final) from None
    if 200 <= answer.status < 300:
        return answer
    if 300 <= answer.status < 400:
        raise DeliveryFailed(f"Answered {answer.status}: a redirect, which is not followed.")
    retry_after = retry_after_seconds(answer.headers.get("retry-after", ""))
    # 410 Gone: the receiver wants no more (Standard Webhooks).
    raise DeliveryFailed(f"Answered {answer.status}.", retry_after=retry_after, is_final=answer.status == 410)


def retry_after_seconds(text: str) -> float | None:
    """The seconds of a `Retry-After` (RFC 9110, 10.2.3): a number or a date; None where it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - clock.now()).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
