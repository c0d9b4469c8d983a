"""Messages in Slack, in the shapes of its API; its own library checks the blocks."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from slack_sdk.models.blocks import Block

from smart_support.notifications.slack import escaped
from smart_support.notifications.targets import SlackSpec, Target
from tests.support.notifications import System, slack
from tests.support.webhook import Webhook

Make = Callable[..., Awaitable[System]]
# As chat.postMessage answers.
POSTED = b'{"ok": true, "channel": "C0CHANNEL", "ts": "1503435956.000247", "message": {"type": "message"}}'
EVIL = "<!channel> <@U1> <https://evil.example|Approve> *bold* & `code`"


@pytest.fixture
def api(receiver: Webhook) -> Webhook:
    receiver.usual, receiver.body = 200, POSTED
    return receiver


def _sent(api: Webhook) -> list[dict[str, Any]]:
    return [orjson.loads(body) for _, body in api.got]


async def test_a_bot_posts_and_updates_its_message_when_that_is_decided(system: Make, api: Webhook) -> None:
    there = await system(slack(api.url, "approval.requested", "approval.expiring"))
    approval = await there.request()
    await there.deliver()
    await there.decide(approval)
    rows = await there.deliver()
    assert [row.status for row in rows] == ["delivered"] * 2
    posted, updated = _sent(api)
    assert api.paths == ["/hook/chat.postMessage", "/hook/chat.update"]
    assert api.got[0][0]["Authorization"] == "Bearer xoxb-secret"
    assert posted["channel"] == "C01"
    assert (updated["channel"], updated["ts"]) == ("C0CHANNEL", "1503435956.000247")
    assert updated["text"] == "Approved: Cancel order"
    assert "Review and decide" not in orjson.dumps(updated["blocks"]).decode()


async def test_it_updates_though_it_was_rejected_for_an_erasure(system: Make, api: Webhook) -> None:
    there = await system(slack(api.url, details=True))
    approval = await there.request(summary="Cancel the order of Kim")
    await there.deliver()
    await there.decide(approval, "reject")
    await there.notifications.outbox.record()
    await there.state.execute("UPDATE approvals SET summary = '(erased)', args = '{}', customer_id = NULL")
    await there.deliver()
    posted, updated = (orjson.dumps(one).decode() for one in _sent(api))
    assert "Kim" in posted
    assert "Kim" not in updated


async def test_an_incoming_webhook_gets_new_messages(system: Make, api: Webhook) -> None:
    api.body = b"ok"
    spec = SlackSpec(
        name="slack",
        type="slack",
        webhook_env="SLACK",
        events=("approval.requested", "approval.decided"),
    )
    there = await system(Target(spec, api.url))
    approval = await there.request()
    await there.deliver()
    await there.decide(approval)
    rows = await there.deliver()
    assert [row.status for row in rows] == ["delivered"] * 2
    assert [one["text"] for one in _sent(api)] == ["Approval needed: Cancel order", "Approved: Cancel order"]


async def test_no_text_from_outside_is_a_mention_or_a_link(system: Make, api: Webhook) -> None:
    there = await system(slack(api.url, details=True))
    await there.request(tool=EVIL, summary=EVIL, args={EVIL: EVIL}, agent=EVIL)
    await there.deliver()
    (posted,) = _sent(api)
    assert "<" not in posted["text"]
    assert (posted["parse"], posted["link_names"], posted["unfurl_links"]) == ("none", False, False)
    for block in posted["blocks"]:
        for text in [block["text"]] if "text" in block else block["fields"]:
            # Slack interprets nothing in plain text.
            is_ours = text["type"] == "mrkdwn" and text["text"].startswith("<https://support.example.com/")
            assert text["type"] == "plain_text" or is_ours, text


async def test_the_blocks_are_within_slacks_limits(system: Make, api: Webhook) -> None:
    there = await system(slack(api.url, details=True))
    long = "x" * 5000
    await there.request(tool=long, summary=long, args={f"{long}{n}": long for n in range(60)})
    await there.deliver()
    await there.burst(30)
    await there.deliver()
    alone, digest = _sent(api)
    for message in (alone, digest):
        blocks = Block.parse_all(message["blocks"])
        assert len(blocks) == len(message["blocks"]) <= 50
        for block in blocks:
            block.validate_json()
    assert digest["text"] == "30 approvals need a decision"
    texts = [block["text"]["text"] for block in digest["blocks"]]
    assert sum(text.count("/decide/") for text in texts) == 20
    assert texts[-1] == "And 10 more."


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b'{"ok": false, "error": "not_in_channel"}', "waiting", "Slack refused it: not_in_channel"),
        (b'{"ok": false, "error": "invalid_blocks"}', "failed", "Slack refused it: invalid_blocks"),
        (b"<html>", "waiting", "Slack's answer can't be read."),
        (b"[]", "waiting", "Slack's answer can't be read."),
    ],
)
async def test_an_answer_that_is_not_ok_is_a_failure(
    system: Make, api: Webhook, answer: bytes, status: str, error: str
) -> None:
    api.body = answer
    there = await system(slack(api.url))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.error) == (status, error)
    assert "xoxb" not in str(row)


def test_escaping_is_slacks() -> None:
    assert escaped("<!channel> & <b>") == "&lt;!channel&gt; &amp; &lt;b&gt;"
