"""Messages in Slack, by an incoming webhook or by a bot."""

from collections.abc import Iterable
from typing import Any

import orjson

from smart_support.notifications.messages import Message
from smart_support.notifications.sending import DeliveryFailed, Outgoing, post
from smart_support.notifications.targets import SlackSpec
from smart_support.outbound.address_policy import host_and_port
from smart_support.outbound.client import GuardedClient

# Limits of Slack's blocks.
_MAX_HEADER, _MAX_TEXT, _MAX_FIELDS, _MAX_BLOCK_ID = 150, 3000, 10, 255
# The message to update is gone, or may not be changed any more.
_FINAL_ERRORS = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "msg_too_long", "invalid_blocks"}
)


class SlackSender:
    """Sends to one channel. A bot's messages are updated when their approval is decided."""

    concurrency = 1
    is_for_people = True

    def __init__(self, spec: SlackSpec, secret: str) -> None:
        """`secret`: the address of an incoming webhook, or a bot's token."""
        self._channel = spec.channel
        self._secret = secret
        self._api = spec.api_url.rstrip("/")
        self._client = GuardedClient([host_and_port(self._api if self._channel else secret)])

    async def send(self, outgoing: Outgoing) -> str | None:
        """See `Sender`. What names a message is `channel:timestamp`."""
        content = content_of(outgoing)
        if self._channel is None:
            await post(self._client, self._secret, orjson.dumps(content), {})
            return None
        if not outgoing.updates:
            answer = await self._call("chat.postMessage", content | {"channel": self._channel})
            return f"{answer.get('channel', self._channel)}:{answer.get('ts', '')}"
        for reference in outgoing.updates:
            channel, _, timestamp = reference.partition(":")
            await self._call("chat.update", content | {"channel": channel, "ts": timestamp})
        return None

    async def close(self) -> None:
        """See `Sender`."""
        await self._client.aclose()

    async def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._secret}"}
        answer = await post(self._client, f"{self._api}/{method}", orjson.dumps(body), headers)
        try:
            result = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            result = None
        if not isinstance(result, dict):
            raise DeliveryFailed("Slack's answer can't be read.")
        if not result.get("ok"):
            code = str(result.get("error", "unknown"))[:100]
            raise DeliveryFailed(f"Slack refused it: {code}", is_final=code in _FINAL_ERRORS)
        return result


def content_of(outgoing: Outgoing) -> dict[str, Any]:
    """A message's text and blocks. Texts are `plain_text`, in which Slack sees no mentions or links."""
    message = outgoing.message()
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": outgoing.id[:_MAX_BLOCK_ID],
            "text": _text(message.title, _MAX_HEADER),
        }
    ]
    fields = [_text(f"{name}\n{value}", 2000) for name, value in message.lines]
    blocks += [
        {"type": "section", "fields": fields[start : start + _MAX_FIELDS]}
        for start in range(0, min(len(fields), 4 * _MAX_FIELDS), _MAX_FIELDS)
    ]
    for text in _link_texts(message):
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}})
    if message.note:
        blocks.append({"type": "section", "text": _text(message.note, _MAX_TEXT)})
    return {
        # For notifications on a screen, and where blocks can't be shown.
        "text": escaped(message.title),
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str) -> str:
    """Text without Slack's control characters, so that it can hold no link and no mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link_texts(message: Message) -> Iterable[str]:
    """The links, as many in one text as fit."""
    links = [f"<{address}|{escaped(text)}>" for text, address in message.links]
    if len(links) > 1:
        links = [f"• {link}" for link in links]
    part = ""
    for link in links:
        if part and len(part) + len(link) + 1 > _MAX_TEXT:
            yield part
            part = ""
        part = f"{part}\n{link}" if part else link
    if part:
        yield part


def _text(text: str, limit: int) -> dict[str, Any]:
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return {"type": "plain_text", "text": short, "emoji": False}
