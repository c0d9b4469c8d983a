"""A data folder with many pending approvals, made without a conversation for each."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from smart_support.approvals.queue import ApprovalQueue
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.planned_calls import request

TTL_SECONDS = 3600


def seed_approvals(data_dir: Path, count: int) -> list[str]:
    """Put refunds of 1.00, 2.00 and so on up to `count` pounds on record; the ids. No app may be running."""
    # In a thread of its own: Playwright has an event loop in the tests' one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_seed_file, data_dir, count).result()


def _seed_file(data_dir: Path, count: int) -> list[str]:
    data_dir.mkdir(parents=True, exist_ok=True)
    state = SqliteStateDatabase(data_dir / "state.sqlite")
    try:
        return asyncio.run(_seed(ApprovalQueue(state, TTL_SECONDS), count))
    finally:
        state.close()


async def _seed(queue: ApprovalQueue, count: int) -> list[str]:
    ids = []
    for number in range(1, count + 1):
        args = {"order_id": str(20_000 + number), "amount_cents": number * 100}
        approval = await queue.request(
            request(
                thread_id=f"seeded-{number}",
                tool="refund_order",
                args=args,
                facts=args | {"currency": "GBP"},
                summary=f"Refund £{number}.00 for order {20_000 + number}",
                risk=("low", "medium", "high")[number % 3],
                customer_id=f"C-{number % 40}",
            )
        )
        ids.append(approval.approval_id)
    return ids
