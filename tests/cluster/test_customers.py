"""A conversation that one process binds to a verified customer is bound in the other at once."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
import yaml

from tests.support.harness import ROOT, AppProcess, Client

Pair = tuple[AppProcess, AppProcess]
TOKEN_KEY = "a secret of the website that is long enough"
SHOP, CLAUDE = "key-of-the-shop", "key-of-claude"


@pytest.fixture(scope="module")
def guarded_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two processes of one system, with a key of a website and one of an agent."""
    folder = tmp_path_factory.mktemp("customers")
    agents = folder / "agents.yaml"
    content = yaml.safe_load((ROOT / "data/templates/e-commerce.yaml").read_text())
    callers = [{"name": "claude", "tools": ["get_order_status", "cancel_order"]}]
    agents.write_text(yaml.safe_dump(content | {"callers": callers}))
    settings = {
        "AGENTS_FILE": agents,
        "API_KEYS": f"shop:operator:{SHOP},claude:agent:{CLAUDE}",
        "CUSTOMER_TOKEN_KEY": TOKEN_KEY,
    }
    with AppProcess(folder / "var", **settings) as here, AppProcess(folder / "var", **settings) as there:
        yield here, there


def _token(customer_id: str) -> str:
    return jwt.encode({"sub": customer_id, "exp": int(time.time()) + 600}, TOKEN_KEY)


def _says(app: AppProcess, thread_id: str, message: str, customer_id: str | None = None) -> Any:
    body = {"thread_id": thread_id, "message": message}
    if customer_id:
        body["customer_token"] = _token(customer_id)
    url, headers = f"{app.url}/api/v1/chat", {"X-API-Key": SHOP}
    return httpx.post(url, json=body, headers=headers, timeout=60).json()


def _calls(app: AppProcess, thread_id: str, tool: str, order_id: str, customer_id: str) -> Any:
    body = {"thread_id": thread_id, "tool": tool, "args": {"order_id": order_id}}
    body["customer_token"] = _token(customer_id)
    url, headers = f"{app.url}/api/v1/actions", {"X-API-Key": CLAUDE}
    return httpx.post(url, json=body, headers=headers, timeout=60).json()


def test_nobody_else_uses_it_at_the_other(guarded_pair: Pair, thread_id: str) -> None:
    here, there = guarded_pair
    assert _says(here, thread_id, "Where is my order 1042?", "C-2001")["success"]
    for customer_id in (None, "C-2002"):
        assert _says(there, thread_id, "Hello", customer_id)["error"]["code"] == "customer_mismatch"
    assert _says(there, thread_id, "Where is my order 1042?", "C-2001")["success"]
    foreign = _says(there, thread_id, "Where is my order 1043?", "C-2001")["data"]
    assert "not among the customer's own things" in foreign["reply"]


@pytest.mark.parametrize("tool", ["get_order_status", "cancel_order"])
def test_a_client_s_call_at_the_other_reaches_no_one_else_s_things(
    guarded_pair: Pair, thread_id: str, tool: str
) -> None:
    here, there = guarded_pair
    assert _calls(here, thread_id, "get_order_status", "1042", "C-2001")["data"]["status"] == "done"
    for order_id in ("1043", "no such order", "1042' OR 'a' = 'a"):
        action = _calls(there, thread_id, tool, order_id, "C-2001")["data"]
        assert (action["status"], action["approval_id"]) == ("failed", None)
        assert "not among the customer's own things" in action["message"]
    assert _calls(there, thread_id, tool, "1042", "C-2002")["error"]["code"] == "customer_mismatch"


async def test_two_at_once_bind_it_to_one_customer(guarded_pair: Pair, thread_id: str) -> None:
    customers = [f"C-{2001 + place % 2}" for place in range(6)]
    answers = await asyncio.gather(
        *(
            asyncio.to_thread(_says, guarded_pair[place % 2], thread_id, "Hello", customer_id)
            for place, customer_id in enumerate(customers)
        )
    )
    outcomes = {(who, one["success"]) for who, one in zip(customers, answers, strict=True)}
    assert len(outcomes) == 2, answers
    assert {is_taken for _, is_taken in outcomes} == {True, False}


async def test_who_follows_it_at_the_other_without_a_token_sees_no_more(
    guarded_pair: Pair, thread_id: str
) -> None:
    here, there = guarded_pair
    assert (await asyncio.to_thread(_says, here, thread_id, "Hello"))["success"]
    async with await Client.connect(f"{there.ws_url}?token={SHOP}") as follower:
        await follower.send(type="resume", thread_id=thread_id)
        await follower.until("message_complete", thread_id=thread_id)
        seen = len(follower.seen)
        await asyncio.to_thread(_says, here, thread_id, "Where is my order 1042?", "C-2001")
        refused = (await follower.until("error", thread_id=thread_id))[-1]
        await follower.send(type="ping")
        await follower.until("pong")
    assert refused["code"] == "customer_mismatch"
    assert [one["type"] for one in follower.seen[seen:]] == ["error", "pong"]
