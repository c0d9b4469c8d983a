"""Two processes of one system: what is said to one is seen at the other, and one carries on for the other."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from smart_support.identity.users import hash_password
from tests.support.harness import AppProcess, Client, of_type, spoken

Machine = Callable[..., AppProcess]


def _numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_a_decision_at_one_is_seen_at_the_other(machine: Machine) -> None:
    here, there = machine(), machine()
    async with await Client.connect(here.ws_url) as customer, await Client.connect(there.ws_url) as lead:
        await lead.send(type="watch_approvals")
        await lead.until("escalations")
        asked = await customer.turn("t", "Cancel order 1042")
        card = (await lead.until("approval"))[-1]["approval"]
        assert card["approval_id"] == asked[-1]["approval_id"]
        answer = there.post(f"/approvals/{card['approval_id']}/decision", {"decision": "approve"})
        assert answer.status_code == 200, answer.text
        told = await customer.until("message_complete")
        assert of_type(told, "decision")[0]["outcome"] == "approved"
        assert of_type(told, "tool_result")[0]["status"] == "ok"
        assert _numbers(told) == list(range(asked[-1]["seq"] + 1, asked[-1]["seq"] + 1 + len(told)))
        assert "cancelled" in spoken(told)
        again = here.post(f"/approvals/{card['approval_id']}/decision", {"decision": "reject"})
        assert again.status_code == 409
        assert again.json()["error"]["code"] == "already_decided"
    for app in (here, there):
        steps = app.get("/replay/t")
        assert [step["type"] for step in steps if step["type"] == "decision"] == ["decision"]
        assert app.get("/analytics", range="24h")["approvals"]["approved"] == 1


async def test_each_token_of_a_turn_is_heard_at_the_other(machine: Machine) -> None:
    here, there = machine(), machine()
    async with await Client.connect(here.ws_url) as customer, await Client.connect(there.ws_url) as guest:
        await guest.send(type="resume", thread_id="t")
        before = await customer.turn("t", "Where is my order 1044?")
        # What was said before anybody knew that the other listens, comes as a whole.
        assert spoken(await guest.until("message_complete")) == spoken(before)
        events = await customer.turn("t", "Where is my order 1043?")
        heard = await guest.until("message_complete")
    assert _numbers(heard) == _numbers(events)
    assert [event["type"] for event in heard] == [event["type"] for event in events]
    assert spoken(heard) == spoken(events)


async def test_one_turn_at_a_time_whichever_process_is_asked(machine: Machine) -> None:
    here, there = machine(), machine()
    async with await Client.connect(here.ws_url) as one, await Client.connect(there.ws_url) as other:
        for round_ in range(5):
            # Both listen to all that happens on the thread, and so hear two turns each.
            text = f"Where is my order {1043 + round_ % 3}?"
            await asyncio.gather(*(c.send(type="message", thread_id="t", content=text) for c in (one, other)))
            for client in (one, other):
                ends = 0
                while ends < 2 * (round_ + 1):
                    await client.until("message_complete")
                    ends = len(of_type(client.seen, "message_complete"))
    steps = here.get("/replay/t", limit=200)
    turns = [step["type"] for step in steps if step["type"] == "message_complete"]
    assert len(turns) == 10
    # No turn's steps stand among another's.
    said = [
        (step["type"], step.get("role")) for step in steps if step["type"] in ("message", "message_complete")
    ]
    for place in range(0, len(said), 3):
        assert said[place : place + 3] == [
            ("message", "customer"),
            ("message", "agent"),
            ("message_complete", None),
        ]
    assert len({event["seq"] for event in one.seen}) == len(one.seen)


def test_limits_hold_over_all_processes(machine: Machine) -> None:
    here, there = machine(RATE_LIMIT="3/60s"), machine(RATE_LIMIT="3/60s")
    answers = [
        app.post("/chat", {"thread_id": "t", "message": "hello"}).status_code for app in (here, there, here)
    ]
    refused = there.post("/chat", {"thread_id": "t", "message": "hello"})
    assert answers == [200, 200, 200]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")


def test_a_login_holds_at_both(machine: Machine, tmp_path: Path) -> None:
    users = tmp_path / "users.yaml"
    users.write_text(f"- {{name: dana, role: lead, password_hash: '{hash_password('correct horse')}'}}\n")
    here, there = machine(USERS_FILE=users), machine(USERS_FILE=users)
    with httpx.Client(follow_redirects=False) as browser:
        form = {"name": "dana", "password": "correct horse"}
        browser.post(f"{here.url}/login", data=form, headers={"Origin": here.url})
        answer = browser.get(f"{there.url}/api/v1/approvals")
        assert answer.status_code == 200, answer.text


def test_who_is_erased_at_one_is_gone_at_the_other(machine: Machine) -> None:
    here, there = machine(), machine()
    here.post("/chat", {"thread_id": "t", "message": "Where is my order 1043?"})
    customer = there.get("/conversations")[0]["customer_id"]
    answer = httpx.delete(f"{there.url}/api/v1/customers/{customer}", timeout=60)
    assert answer.status_code == 200, answer.text
    assert here.get("/conversations") == []
    assert here.get("/analytics", range="all")["conversations"] == 0
    gone = httpx.get(f"{here.url}/api/v1/replay/t")
    assert gone.status_code == 404


async def test_guesses_at_both_count_together(machine: Machine, tmp_path: Path) -> None:
    users = tmp_path / "users.yaml"
    users.write_text(f"- {{name: lee, role: lead, password_hash: '{hash_password('correct horse')}'}}\n")
    apps = [machine(USERS_FILE=users), machine(USERS_FILE=users)]
    wrong, statuses = {"name": "lee", "password": "?"}, []
    async with httpx.AsyncClient() as client:
        for number in range(7):
            answer = await client.post(f"{apps[number % 2].url}/login", data=wrong)
            statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429] * 2
