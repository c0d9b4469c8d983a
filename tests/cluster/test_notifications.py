"""Notifications are sent by one process at a time, and where that one ends, by another."""

import asyncio
from pathlib import Path

from smart_support import Settings
from smart_support.approvals.queue import ApprovalQueue
from smart_support.concurrency import in_background
from smart_support.escalations.escalations import Escalations
from smart_support.notifications.decide_links import DecideLinks
from smart_support.notifications.delivery import Notifications
from smart_support.storage.stores import Stores, open_stores
from tests.support.notifications import BASE, webhook
from tests.support.planned_calls import request
from tests.support.stores import database_url
from tests.support.webhook import Webhook

SECONDS = 30


def _notifications(stores: Stores, settings: Settings, url: str) -> Notifications:
    return Notifications(
        state=stores.state,
        targets=[webhook(url)],
        approvals=ApprovalQueue(stores.state, 1800),
        escalations=Escalations(stores.state, settings, stores.locks),
        links=DecideLinks(b"key", BASE),
        console=BASE,
        locks=stores.locks,
        count=lambda kind, outcome: None,
    )


def _ids(receiver: Webhook) -> set[str]:
    return {headers["webhook-id"] for headers, _ in receiver.got}


async def test_one_process_sends_and_another_takes_over(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=database_url(tmp_path))
    with Webhook() as receiver:
        async with open_stores(settings) as one, open_stores(settings) as other:
            here, there = (_notifications(stores, settings, receiver.url) for stores in (one, other))
            queue = ApprovalQueue(one.state, 1800)
            await here.outbox.begin()
            async with in_background(there.send_forever()):
                async with in_background(here.send_forever()):
                    for _ in range(3):
                        await queue.request(request())
                        await asyncio.to_thread(receiver.senders.get, timeout=SECONDS)
                    # Both look at the same rows; only one has sent them.
                    assert len(_ids(receiver)) == 3
                    assert len(receiver.got) == 3
                await queue.request(request())
                # The third comes again, under its id, if the end came before it was on record as sent.
                while len(_ids(receiver)) < 4:
                    await asyncio.to_thread(receiver.senders.get, timeout=SECONDS)
            assert len(receiver.got) <= 5
            await here.close()
            await there.close()
