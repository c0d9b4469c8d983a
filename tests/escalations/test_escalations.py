"""Escalations against a real webhook: signed, recorded before they are sent, told once, resent by hand."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from smart_support import Settings, clock
from smart_support.escalations import escalations as escalations_module
from smart_support.escalations.escalations import GROUPING_PERIOD, EscalationRecord, Escalations
from smart_support.escalations.webhook import MAX_ATTEMPTS
from smart_support.settings import ROOT
from smart_support.storage.coordination.local import LocalLocks
from smart_support.storage.state.base import StateDatabase
from tests.support.stores import state_of
from tests.support.webhook import Webhook

LEFT_BEHIND = """
    INSERT INTO escalations (escalation_id, thread_id, reason, status, requested_at)
    VALUES ('e', 't', 'help', 'sending', '2026-11-01T00:00:00.000000Z')
"""
pytestmark = pytest.mark.usefixtures("without_waits")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as hook:
        yield hook


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    database = state_of(tmp_path)
    yield database
    database.close()


def _escalations(state: StateDatabase, url: str = "") -> Escalations:
    settings = Settings(escalation_webhook_url=url, escalation_webhook_secret="s3cret")
    return Escalations(state, settings, LocalLocks())


async def test_it_is_signed_over_time_and_body(state: StateDatabase, webhook: Webhook) -> None:
    assert await _escalations(state, webhook.url).escalate("t", "A person, please")
    headers, body = webhook.got[0]
    signed = headers["X-Smart-Support-Timestamp"].encode() + b"." + body
    expected = "sha256=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert headers["X-Smart-Support-Signature"] == expected
    assert orjson.loads(body)["reason"] == "A person, please"


async def test_the_page_tells_receivers_how_to_check_it(state: StateDatabase, webhook: Webhook) -> None:
    page = (ROOT / "docs" / "approvals.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)[0], shown)
    await _escalations(state, webhook.url).escalate("t", "A person, please")
    headers, body = webhook.got[0]
    assert shown["is_ours"]("s3cret", headers, body)
    assert not shown["is_ours"]("another", headers, body)
    assert not shown["is_ours"]("s3cret", headers, body + b" ")
    late = headers | {"X-Smart-Support-Timestamp": "1700000000"}
    assert not shown["is_ours"]("s3cret", late, body)


async def test_a_failing_webhook_is_tried_again_then_kept_as_a_dead_letter_and_resent(
    state: StateDatabase, webhook: Webhook
) -> None:
    escalations = _escalations(state, webhook.url)
    told: list[EscalationRecord] = []
    escalations.subscribe(told.append)
    webhook.answers = [500] * MAX_ATTEMPTS
    assert not await escalations.escalate("t", "help")
    dead = (await escalations.list())[0]
    assert (dead.status, dead.attempts, dead.error) == ("failed", MAX_ATTEMPTS, "The webhook answered 500.")
    sent = await escalations.resend(dead.escalation_id)
    assert (sent.status, sent.attempts, sent.error) == ("delivered", MAX_ATTEMPTS + 1, None)
    ids = {orjson.loads(body)["id"] for _, body in webhook.got}
    assert ids == {dead.escalation_id}
    assert [one.status for one in told] == ["failed", "delivered"]


async def test_the_second_try_may_succeed(state: StateDatabase, webhook: Webhook) -> None:
    webhook.answers = [503]
    assert await _escalations(state, webhook.url).escalate("t", "help")
    assert len(webhook.got) == 2


async def test_the_same_thing_is_told_once(state: StateDatabase, webhook: Webhook) -> None:
    escalations = _escalations(state, webhook.url)
    assert [await escalations.escalate("t", "unknown", "approval-1") for _ in range(2)] == [True, True]
    assert len(webhook.got) == 1
    assert len(await escalations.list()) == 1


async def test_nobody_waits_for_a_webhook_that_is_silent(
    state: StateDatabase, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escalations_module, "PATIENCE_SECONDS", 0.05)
    escalations = _escalations(state, webhook.url)
    told: asyncio.Queue[EscalationRecord] = asyncio.Queue()
    escalations.subscribe(told.put_nowait)
    webhook.goes_on.clear()
    asked = [await escalations.escalate("t", "help", "about") for _ in range(2)]
    assert asked == [False, False]
    assert [(await told.get()).status for _ in range(2)] == ["sending"] * 2
    webhook.goes_on.set()
    assert (await asyncio.wait_for(told.get(), 10)).status == "delivered"
    assert len(webhook.got) == 1
    assert await escalations.escalate("t", "help", "about")


async def test_what_is_being_sent_at_the_end_is_sent_at_the_next_start(
    state: StateDatabase, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escalations_module, "PATIENCE_SECONDS", 0.05)
    escalations = _escalations(state, webhook.url)
    webhook.goes_on.clear()
    await escalations.escalate("t", "help")
    await escalations.close()
    webhook.goes_on.set()
    await _escalations(state, webhook.url).resend_interrupted()
    assert [one.status for one in await escalations.list()] == ["delivered"]


async def test_what_a_crash_cut_off_is_sent_at_the_next_start(state: StateDatabase, webhook: Webhook) -> None:
    await state.execute(LEFT_BEHIND)
    await _escalations(state, webhook.url).resend_interrupted()
    assert (await _escalations(state).list())[0].status == "delivered"


async def test_what_another_process_leaves_behind_is_sent_while_this_one_runs(
    state: StateDatabase, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escalations_module, "CHECK_SECONDS", 0.01)
    escalations = _escalations(state, webhook.url)
    told: asyncio.Queue[EscalationRecord] = asyncio.Queue()
    escalations.subscribe(told.put_nowait)
    looking = asyncio.create_task(escalations.resend_interrupted_forever())
    await state.execute(LEFT_BEHIND)
    assert (await asyncio.wait_for(told.get(), 10)).status == "delivered"
    looking.cancel()


async def test_without_a_webhook_the_console_still_has_it_until_somebody_has_seen_to_it(
    state: StateDatabase,
) -> None:
    escalations = _escalations(state)
    assert not await escalations.escalate("t", "help")
    open_ones = await escalations.list(open_only=True)
    assert [one.status for one in open_ones] == ["no_webhook"]
    assert (await escalations.handled(open_ones[0].escalation_id, "dana")).handled_by == "dana"
    assert (await escalations.handled(open_ones[0].escalation_id, "kim")).handled_by == "dana"
    assert await escalations.list(open_only=True) == []


async def test_one_conversation_has_one_open_escalation_of_a_kind_that_counts_the_others(
    state: StateDatabase, webhook: Webhook
) -> None:
    escalations = _escalations(state, webhook.url)
    told: list[EscalationRecord] = []
    escalations.subscribe(told.append)
    for number in range(92):
        assert await escalations.escalate("t", f"reason {number}", f"about {number}", "policy")
    (only,) = await escalations.list(open_only=True)
    assert (only.times, only.kind, only.reason) == (92, "policy", "reason 0")
    assert only.last_at
    assert only.last_at > only.requested_at
    assert len(webhook.got) == 1
    assert [one.times for one in told] == [*range(1, 93)]
    # Another kind, another conversation, and one after somebody has seen to it, are others.
    await escalations.escalate("t", "a person", "p", "asked")
    await escalations.escalate("u", "reason", "q", "policy")
    await escalations.handled(only.escalation_id, "dana")
    await escalations.escalate("t", "again", "r", "policy")
    assert len(await escalations.list(open_only=True)) == 3
    assert len(webhook.got) == 4


async def test_an_open_escalation_that_nobody_sees_to_is_sent_anew_after_a_while(
    state: StateDatabase, webhook: Webhook
) -> None:
    escalations = _escalations(state, webhook.url)
    await escalations.escalate("t", "first", "1", "asked")
    clock.advance(GROUPING_PERIOD.total_seconds() - 5)
    await escalations.escalate("t", "second", "2", "asked")
    assert len(webhook.got) == 1
    clock.advance(10)
    await escalations.escalate("t", "third", "3", "asked")
    assert [orjson.loads(body)["reason"] for _, body in webhook.got] == ["first", "third"]


@pytest.mark.parametrize("kind", ["unknown_outcome", None])
async def test_each_unknown_outcome_stands_by_itself(
    state: StateDatabase, webhook: Webhook, kind: Any
) -> None:
    escalations = _escalations(state, webhook.url)
    for number in range(5):
        await escalations.escalate("t", f"call {number}", f"approval {number}", kind)
    assert [one.times for one in await escalations.list(open_only=True)] == [1] * 5
    assert len(webhook.got) == 5


async def test_many_at_once_are_one(state: StateDatabase) -> None:
    escalations = [_escalations(state) for _ in range(3)]
    await asyncio.gather(
        *(escalations[n % 3].escalate("t", "help", f"about {n}", "asked") for n in range(30))
    )
    assert [one.times for one in await escalations[0].list()] == [30]
