"""An escalation is sent by one process at a time, and where that one ends, by another."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import orjson
import psutil
import pytest

from smart_support import Settings
from smart_support.escalations.escalations import Escalations
from smart_support.storage.stores import open_stores
from tests.support.harness import AppProcess
from tests.support.stores import database_url
from tests.support.webhook import Webhook
from tests.support.workers import is_cut_off

Machine = Callable[..., AppProcess]
SECONDS = 30


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as hook:
        yield hook


def _sent_by(app: AppProcess, webhook: Webhook) -> bool:
    """Whether the next post comes from this process; waits for it, and asks before anybody hangs up."""
    port = webhook.senders.get(timeout=SECONDS)
    ends = psutil.Process(app.process.pid).net_connections("tcp")
    return any(end.laddr.port == port for end in ends)


@contextlib.asynccontextmanager
async def _being_sent(app: AppProcess, webhook: Webhook) -> AsyncIterator[str]:
    """The id of an escalation that a process is sending, and goes on sending for as long as it is frozen."""
    webhook.goes_on.clear()
    asked = asyncio.create_task(asyncio.to_thread(app.post, "/chat", {"message": "I want a human"}))
    assert await asyncio.to_thread(_sent_by, app, webhook)
    os.kill(app.process.pid, signal.SIGSTOP)
    try:
        yield str(orjson.loads(webhook.got[0][1])["id"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(app.process.pid, signal.SIGCONT)
        webhook.goes_on.set()
        (ended,) = await asyncio.gather(asked, return_exceptions=True)
        # It ends with the process.
        assert not isinstance(ended, BaseException) or is_cut_off(ended), repr(ended)


async def test_a_starting_process_leaves_it_to_its_sender_and_takes_it_up_when_that_is_killed(
    machine: Machine, webhook: Webhook
) -> None:
    here = machine(ESCALATION_WEBHOOK_URL=webhook.url)
    async with _being_sent(here, webhook) as escalation_id:
        there = machine(ESCALATION_WEBHOOK_URL=webhook.url)
        # What it found at its start it has begun by now.
        await asyncio.to_thread(there.post, "/chat", {"message": "Where is my order 1043?"})
        assert webhook.senders.empty()
        here.kill()
        assert await asyncio.to_thread(_sent_by, there, webhook)
        webhook.goes_on.set()
        sent = await asyncio.to_thread(there.post, f"/escalations/{escalation_id}/resend", None)
        assert sent.json()["data"]["status"] == "delivered"
    assert len(webhook.got) == 2
    assert len({body for _, body in webhook.got}) == 1


async def test_who_waits_for_another_to_send_it_does_not_send_it_again(
    webhook: Webhook, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path, database_url=database_url(tmp_path), escalation_webhook_url=webhook.url
    )
    async with open_stores(settings) as one, open_stores(settings) as other:
        here, there = (Escalations(stores.state, settings, stores.locks) for stores in (one, other))
        webhook.goes_on.clear()
        sending = asyncio.create_task(here.escalate("t", "help", "about"))
        await asyncio.to_thread(webhook.senders.get, timeout=SECONDS)
        waiting = asyncio.create_task(there.escalate("t", "help", "about"))
        await there.resend_interrupted()
        assert not sending.done()
        webhook.goes_on.set()
        assert await asyncio.gather(sending, waiting) == [True, True]
    assert len(webhook.got) == 1
