"""Delivery against real receivers: at least once with one id, and nobody delays another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook as Verifier

from smart_support import clock
from smart_support.approvals.freezes import Freezes
from smart_support.notifications import delivery, sending
from smart_support.notifications.delivery import MAX_ATTEMPTS, wait_seconds
from smart_support.notifications.sending import retry_after_seconds
from tests.support.notifications import SECRET, System, email, slack, webhook
from tests.support.webhook import Webhook

Make = Callable[..., Awaitable[System]]
ALL = ("approval.requested", "approval.expiring", "approval.decided", "escalation.opened", "frozen")


def _bodies(receiver: Webhook) -> list[dict[str, Any]]:
    return [orjson.loads(body) for _, body in receiver.got]


async def test_the_receivers_own_library_accepts_the_signature(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url))
    approval = await there.request()
    await there.deliver()
    headers, body = receiver.got[0]
    told = Verifier(SECRET).verify(body, headers)
    assert told["type"] == "approval.requested"
    assert told["data"]["approval_id"] == approval.approval_id
    assert told["timestamp"] == approval.requested_at
    with pytest.raises(Exception, match="signature"):
        Verifier(SECRET).verify(body + b" ", headers)


async def test_while_secrets_are_exchanged_both_verify(system: Make, receiver: Webhook) -> None:
    other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    there = await system(webhook(receiver.url, secret=f"{SECRET} {other}"))
    await there.request()
    await there.deliver()
    headers, body = receiver.got[0]
    assert Verifier(SECRET).verify(body, headers) == Verifier(other).verify(body, headers)


async def test_arguments_and_words_are_sent_only_with_details(system: Make, receiver: Webhook) -> None:
    words = "Cancel order SECRET-WORDS"
    there = await system(
        webhook(receiver.url, *ALL, name="without"), webhook(receiver.url, *ALL, name="with", details=True)
    )
    fields = {"args": {"note": "SECRET-WORDS"}, "summary": words, "customer_id": "SECRET-WORDS"}
    approval = await there.request(**fields)
    await there.decide(approval)
    await there.escalations.escalate("t", "SECRET-WORDS")
    await there.deliver()
    secret = [b"SECRET-WORDS" in body for _, body in receiver.got]
    assert len(secret) == 6
    assert sum(secret) == 3


async def test_each_event_has_its_notification(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url, *ALL))
    kept, decided = await there.request(), await there.request()
    await there.decide(decided, "reject")
    await there.escalations.escalate("t", "A person, please", kind="asked")
    await Freezes(there.state).freeze("tool:cancel_order", "Too many", by="dana", via="rest")
    await Freezes(there.state).lift("tool:cancel_order", by="dana", via="rest")
    await there.deliver()
    clock.advance(1700)
    rows = await there.deliver()
    told = _bodies(receiver)
    assert sorted(one["type"] for one in told) == sorted([*ALL, "approval.requested"])
    by_type = {one["type"]: one["data"] for one in told}
    assert by_type["approval.expiring"]["approval_id"] == kept.approval_id
    assert (
        by_type["approval.decided"] | {"status": "rejected", "decided_by": "dana"}
        == (by_type["approval.decided"])
    )
    assert by_type["frozen"]["scope"] == "tool:cancel_order"
    assert by_type["escalation.opened"]["kind"] == "asked"
    assert {row.status for row in rows} == {"delivered"}
    assert await there.deliver() == rows


async def test_what_a_rule_runs_and_what_is_erased_is_told_to_nobody(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url, *ALL))
    await there.approvals.grant(_run_call(), "t")
    erased = await there.request()
    await there.state.execute(
        "UPDATE approvals SET summary = '(erased)' WHERE approval_id = :id", {"id": erased.approval_id}
    )
    assert await there.deliver() == []


def _run_call() -> Any:
    from tests.support.planned_calls import planned

    return planned(need="run")


async def test_a_failure_is_tried_again_later_with_the_same_id(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url))
    receiver.answers = [500]
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.attempts, row.error) == ("waiting", 1, "Answered 500.")
    await there.deliver()
    assert len(receiver.got) == 1
    clock.advance(10)
    (row,) = await there.deliver()
    assert (row.status, row.attempts, row.error) == ("delivered", 2, None)
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {row.notification_id}


async def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_sent_again(
    system: Make, receiver: Webhook
) -> None:
    there = await system(webhook(receiver.url))
    receiver.usual = 500
    await there.request()
    for _ in range(MAX_ATTEMPTS):
        (row,) = await there.deliver()
        clock.advance(5000)
    assert (row.status, row.attempts) == ("failed", MAX_ATTEMPTS)
    await there.deliver()
    assert len(receiver.got) == MAX_ATTEMPTS
    receiver.usual = 204
    assert (await there.notifications.resend(row.notification_id)).status == "waiting"
    (row,) = await there.deliver()
    assert (row.status, row.attempts) == ("delivered", 1)
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {row.notification_id}
    assert await there.notifications.resend_all() == 0


def test_waits_grow_and_differ() -> None:
    waits = [wait_seconds(attempts) for attempts in range(1, MAX_ATTEMPTS)]
    assert waits[0] < 10
    assert max(waits) <= 1.2 * 3600
    assert sum(waits) > 6 * 3600
    assert len({wait_seconds(1) for _ in range(10)}) > 1


async def test_a_receiver_that_asks_for_patience_gets_it(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url))
    receiver.answers, receiver.headers = [429], {"Retry-After": "3000"}
    await there.request()
    (row,) = await there.deliver()
    assert row.error == "Answered 429."
    await there.request()
    clock.advance(2000)
    rows = await there.deliver()
    # Nothing else is sent to it meanwhile, either.
    assert ([one.status for one in rows], len(receiver.got)) == (["waiting"] * 2, 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("", None), ("soon", None), ("-5", None), ("9" * 30, 21600), ("1e3", None)],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    from email.utils import format_datetime

    seconds = retry_after_seconds(format_datetime(clock.now(), usegmt=False))
    assert seconds is not None
    assert seconds <= 1


async def test_a_redirect_is_not_followed_to_an_internal_address(system: Make, receiver: Webhook) -> None:
    with Webhook() as internal:
        there = await system(webhook(receiver.url))
        receiver.answers, receiver.headers = [301, 302, 303, 307, 308], {"Location": internal.url}
        await there.burst(5)
        rows = await there.deliver()
        assert internal.got == []
    assert {row.status for row in rows} == {"waiting"}
    assert {row.error for row in rows} == {
        f"Answered {status}: a redirect, which is not followed." for status in (301, 302, 303, 307, 308)
    }


async def test_a_receiver_that_is_gone_gets_no_further_attempt(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url))
    receiver.answers = [410]
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.error) == ("failed", "Answered 410.")


async def test_a_receiver_that_hangs_delays_nobody_else(
    system: Make, receiver: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Webhook() as hanging:
        hanging.goes_on.clear()
        there = await system(webhook(hanging.url, name="hanging"), webhook(receiver.url))
        for _ in range(5):
            await there.request()
        await there.notifications.send_due()
        for _ in range(5):
            await asyncio.to_thread(receiver.senders.get, timeout=10)
        rows = await there.notifications.outbox.newest()
        assert {row.status for row in rows if row.target == "hanging"} == {"waiting"}
        hanging.goes_on.set()
        await there.notifications.idle()


async def test_a_receiver_that_hangs_is_given_up(
    system: Make, receiver: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.05)
    receiver.goes_on.clear()
    there = await system(webhook(receiver.url))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.error) == ("waiting", "No answer within 0.05 s.")


async def test_what_was_recorded_is_sent_after_a_new_start(system: Make, receiver: Webhook) -> None:
    target = webhook(receiver.url)
    there = await system(target)
    await there.request()  # the process ends before anything is recorded
    there.restarted(target)
    await there.notifications.outbox.record()  # and again before anything is sent
    there.restarted(target)
    (row,) = await there.deliver()
    assert (row.status, len(receiver.got)) == ("delivered", 1)


async def test_a_target_that_is_no_longer_in_the_file_gets_nothing(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url))
    await there.request()
    await there.notifications.outbox.record()
    there.restarted(webhook(receiver.url, name="other"))
    (row,) = await there.deliver()
    assert (row.status, receiver.got) == ("failed", [])
    assert "hook" in str(row.error)


async def test_targets_that_come_later_are_told_nothing_of_before(system: Make, receiver: Webhook) -> None:
    there = await system()
    await there.request()
    await there.escalations.escalate("t", "help")
    await there.restarted(webhook(receiver.url, *ALL)).outbox.begin()
    assert await there.deliver() == []
    await there.request()
    (row,) = await there.deliver()
    assert row.event == "approval.requested"


async def test_a_burst_becomes_a_digest_with_one_id(system: Make, receiver: Webhook) -> None:
    receiver.usual, receiver.body = 200, b'{"ok": true, "channel": "C01", "ts": "1.2"}'
    there = await system(slack(receiver.url))
    await there.burst(500)
    receiver.answers = [500]
    rows = await there.deliver()
    assert (len(rows), {row.status for row in rows}) == (100, {"waiting"})
    (first,) = {row.digest for row in rows}
    clock.advance(10)
    await there.notifications.send_due()
    await there.notifications.idle()
    rows = await there.notifications.outbox.newest(limit=1000)
    assert {row.status for row in rows} == {"delivered"}
    ids = [orjson.loads(body)["blocks"][0]["block_id"] for _, body in receiver.got]
    assert ids.count(first) == 2
    assert len(ids) <= 4


async def test_many_messages_within_a_minute_wait_for_a_digest(
    system: Make, receiver: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_PER_MINUTE", 2)
    receiver.usual, receiver.body = 200, b'{"ok": true, "channel": "C01", "ts": "1.2"}'
    there = await system(slack(receiver.url))
    for _ in range(4):
        await there.request()
        rows = await there.deliver()
    assert [row.status for row in rows] == ["delivered"] * 2 + ["waiting"] * 2
    assert len(receiver.got) == 2


async def test_people_are_not_told_to_decide_what_is_decided(system: Make, receiver: Webhook) -> None:
    there = await system(webhook(receiver.url), email(1), slack(receiver.url))
    await there.decide(await there.request())
    rows = await there.deliver()
    assert {(row.target, row.status) for row in rows} == {
        ("hook", "delivered"),
        ("mail", "skipped"),
        ("slack", "skipped"),
    }
    assert ("email", "skipped") in there.counted
