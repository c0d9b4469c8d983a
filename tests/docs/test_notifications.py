"""The examples of docs/notifications.md, run as they stand."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from smart_support.notifications.delivery import MAX_AT_ONCE, MAX_ATTEMPTS, MAX_PER_MINUTE
from smart_support.notifications.targets import EVENTS, EmailSpec, SlackSpec, WebhookSpec, load_targets
from tests.support.harness import ROOT
from tests.support.notifications import SECRET, System, receiver, system, webhook  # noqa: F401
from tests.support.webhook import Webhook

PAGE = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S))


def test_the_file_of_the_page_is_one(tmp_path: Path) -> None:
    file = tmp_path / "notify.yaml"
    file.write_text(BLOCKS["yaml"])
    secrets = {"BACKOFFICE_SECRET": SECRET, "SMTP_PASSWORD": "p4ssword", "SLACK_BOT_TOKEN": "xoxb-1"}
    assert [target.spec.type for target in load_targets(file, secrets)] == ["webhook", "email", "slack"]


async def test_the_page_tells_receivers_how_to_verify(
    system: Callable[..., Awaitable[System]],  # noqa: F811
    receiver: Webhook,  # noqa: F811
) -> None:
    there = await system(webhook(receiver.url))
    await there.request()
    await there.deliver()
    headers, body = receiver.got[0]
    shown: dict[str, Any] = {}
    exec(BLOCKS["python"], shown)
    event = shown["received"](headers, body, SECRET)
    example = json.loads(BLOCKS["json"])
    assert (list(event), list(event["data"])) == (list(example), list(example["data"]))
    with pytest.raises(WebhookVerificationError):
        shown["received"](headers, body + b" ", SECRET)


def test_every_event_and_key_is_explained() -> None:
    for event in EVENTS:
        assert f"| `{event}` |" in PAGE
    explained = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`[^|]*) \|", PAGE, re.M))))
    for spec in (WebhookSpec, EmailSpec, SlackSpec):
        keys = {field.alias or name for name, field in spec.model_fields.items()}
        assert keys <= explained


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_ATTEMPTS} attempts" in PAGE
    assert f"more than {MAX_AT_ONCE} messages at once" in PAGE
    assert f"at most {MAX_PER_MINUTE} messages a minute" in PAGE
