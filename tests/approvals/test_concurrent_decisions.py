"""Many clients decide many approvals at once, over REST and socket: each approval has one outcome."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from smart_support import audit
from tests.support.harness import AppProcess, Client
from tests.support.stores import state_of

SOCKETS = 10
Waiting = dict[str, Any]


async def _ask(app: AppProcess, customers: int) -> list[Waiting]:
    """Customers ask for a coupon; each gets an approval that waits."""
    async with httpx.AsyncClient(timeout=60) as client:

        async def one(number: int) -> Waiting:
            body = {"thread_id": f"many-{number}", "message": "Give me a coupon with 10% off"}
            answer = await client.post(f"{app.url}/api/v1/chat", json=body)
            approval: Waiting = answer.json()["data"]["approval"]
            return approval

        return [
            approval
            for start in range(0, customers, 20)
            for approval in await asyncio.gather(*(one(number) for number in range(start, start + 20)))
        ]


async def _over_rest(app: AppProcess, mine: list[Waiting], won: Counter[str]) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        for approval in mine:
            url = f"{app.url}/api/v1/approvals/{approval['approval_id']}/decision"
            word = random.choice(["approve", "reject"])
            answer = await client.post(url, json={"decision": word})
            assert answer.status_code in (200, 409), answer.text
            if answer.status_code == 200:
                won[approval["approval_id"]] += 1
                assert answer.json()["data"]["status"] == {"approve": "approved", "reject": "rejected"}[word]
            else:
                assert "already" in answer.json()["error"]["message"]


async def _over_socket(app: AppProcess, mine: list[Waiting]) -> int:
    """Decide over `/ws`; how often it was told that someone else was first."""
    refused = 0
    async with await Client.connect(app.ws_url) as client:
        for approval in mine:
            ids = {"thread_id": approval["thread_id"], "interrupt_id": approval["interrupt_id"]}
            await client.send(type="interrupt_response", approved=random.random() < 0.5, **ids)
            told = (await client.until("error", "decision", thread_id=approval["thread_id"]))[-1]
            if told["type"] == "error":
                assert told["code"] == "already_decided"
                refused += 1
    return refused


async def _race(data_dir: Path, *, clients: int, approvals: int, each: int) -> None:
    with AppProcess(data_dir) as app:
        waiting = await _ask(app, approvals)
        won: Counter[str] = Counter()
        shares = [random.sample(waiting, each) for _ in range(clients - 1)] + [waiting]
        rest = [_over_rest(app, mine, won) for mine in shares[:-SOCKETS]]
        sockets = [_over_socket(app, mine) for mine in shares[-SOCKETS:]]
        await asyncio.gather(*rest, *sockets)
        decided = [app.get(f"/approvals/{approval['approval_id']}") for approval in waiting]
    assert Counter(one["status"] == "pending" for one in decided) == {False: approvals}
    assert max(won.values()) == 1
    state = state_of(data_dir)
    rows = await state.execute("SELECT * FROM audit ORDER BY number")
    ran = await state.execute("SELECT tool_call_id FROM action_ledger")
    state.close()
    assert Counter(row["kind"] for row in rows)["decided"] == approvals
    assert audit.first_broken(rows) is None
    approved = [one for one in decided if one["status"] == "approved"]
    assert len(ran) == len(approved)


async def test_every_approval_has_one_outcome_and_everyone_else_is_told(data_dir: Path) -> None:
    await _race(data_dir, clients=25, approvals=40, each=10)


@pytest.mark.nightly
async def test_every_client_tries_every_approval(data_dir: Path) -> None:
    await _race(data_dir, clients=50, approvals=200, each=200)
