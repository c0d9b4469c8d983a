"""Two processes of one system: what is said to one is seen at the other, and one carries on for the other."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.harness import AppProcess, Client, of_type, spoken
from tests.support.passwords import hash_password

Pair = tuple[AppProcess, AppProcess]
PASSWORD, KEY = "correct horse", "key-of-dana"


@pytest.fixture(scope="module")
def guarded_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two processes of one system with three leads and a key, and three messages a minute."""
    folder = tmp_path_factory.mktemp("guarded-pair")
    users = folder / "users.yaml"
    password_hash = hash_password(PASSWORD)
    users.write_text(
        "".join(
            f"- {{name: {name}, role: lead, password_hash: '{password_hash}'}}\n"
            for name in ("dana", "lee", "kim")
        )
    )
    settings = {"USERS_FILE": users, "API_KEYS": f"program:lead:{KEY}", "RATE_LIMIT": "3/60s"}
    with AppProcess(folder / "var", **settings) as here, AppProcess(folder / "var", **settings) as there:
        yield here, there


def _numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_a_conversation_at_one_is_listed_at_the_other(pair: Pair, thread_id: str) -> None:
    here, there = pair
    async with await Client.connect(there.ws_url) as lead:
        await lead.send(type="watch_conversations")
        await lead.send(type="ping")
        await lead.until("pong")
        here.post("/chat", {"thread_id": thread_id, "message": "Where is order 1043?"})
        listed: set[str] = set()
        while thread_id not in listed:
            change = (await lead.until("conversations"))[-1]
            listed |= {item["thread_id"] for item in change["items"]}
        assert change["counts"]["active"] >= 1


async def test_a_decision_at_one_is_seen_at_the_other(pair: Pair, thread_id: str) -> None:
    here, there = pair
    async with await Client.connect(here.ws_url) as customer, await Client.connect(there.ws_url) as lead:
        await lead.send(type="watch_approvals")
        await lead.until("escalations")
        approved = here.get("/analytics", range="24h")["approvals"]["approved"]
        asked = await customer.turn(thread_id, "Cancel order 1042")
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
        steps = app.get(f"/replay/{thread_id}")
        assert [step["type"] for step in steps if step["type"] == "decision"] == ["decision"]
        assert app.get("/analytics", range="24h")["approvals"]["approved"] == approved + 1


async def test_each_token_of_a_turn_is_heard_at_the_other(pair: Pair, thread_id: str) -> None:
    here, there = pair
    async with await Client.connect(here.ws_url) as customer, await Client.connect(there.ws_url) as guest:
        await guest.send(type="resume", thread_id=thread_id)
        before = await customer.turn(thread_id, "Where is my order 1044?")
        # What was said before anybody knew that the other listens, comes as a whole.
        assert spoken(await guest.until("message_complete")) == spoken(before)
        events = await customer.turn(thread_id, "Where is my order 1043?")
        heard = await guest.until("message_complete")
    assert _numbers(heard) == _numbers(events)
    assert [event["type"] for event in heard] == [event["type"] for event in events]
    assert spoken(heard) == spoken(events)


async def test_one_turn_at_a_time_whichever_process_is_asked(pair: Pair, thread_id: str) -> None:
    here, there = pair
    async with await Client.connect(here.ws_url) as one, await Client.connect(there.ws_url) as other:
        for round_ in range(5):
            # Both listen to all that happens on the thread, and so hear two turns each.
            text = f"Where is my order {1043 + round_ % 3}?"
            await asyncio.gather(
                *(c.send(type="message", thread_id=thread_id, content=text) for c in (one, other))
            )
            for client in (one, other):
                ends = 0
                while ends < 2 * (round_ + 1):
                    await client.until("message_complete")
                    ends = len(of_type(client.seen, "message_complete"))
    steps = here.get(f"/replay/{thread_id}", limit=200)
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


def test_limits_hold_over_all_processes(guarded_pair: Pair, thread_id: str) -> None:
    here, there = guarded_pair
    answers = [
        httpx.post(
            f"{app.url}/api/v1/chat",
            json={"thread_id": thread_id, "message": "hello"},
            headers={"X-API-Key": KEY},
            timeout=60,
        )
        for app in (here, there, here, there)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "rate_limited"


def test_a_login_holds_at_both(guarded_pair: Pair) -> None:
    here, there = guarded_pair
    with httpx.Client(follow_redirects=False, timeout=60) as browser:
        form = {"name": "dana", "password": PASSWORD}
        browser.post(f"{here.url}/login", data=form, headers={"Origin": here.url})
        answer = browser.get(f"{there.url}/api/v1/approvals")
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def _lead(app: AppProcess, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is logged in at one process."""
    async with httpx.AsyncClient(base_url=app.url, headers={"Origin": app.url}, timeout=60) as client:
        await client.post("/login", data={"name": name, "password": PASSWORD})
        yield client


async def test_of_two_leads_at_once_one_gets_the_conversation_and_the_other_is_told_who(
    guarded_pair: Pair, thread_id: str
) -> None:
    here, there = guarded_pair
    path = f"/api/v1/conversations/{thread_id}"
    async with _lead(here, "dana") as dana, _lead(there, "kim") as kim:
        message = {"thread_id": thread_id, "message": "I want to talk to a human"}
        (await dana.post("/api/v1/chat", json=message)).raise_for_status()
        winners = []
        for _ in range(10):
            leads = {"dana": dana, "kim": kim}
            answers = await asyncio.gather(*(lead.post(f"{path}/takeover") for lead in leads.values()))
            statuses = dict(zip(leads, (answer.status_code for answer in answers), strict=True))
            assert sorted(statuses.values()) == [200, 409]
            winner, loser = sorted(statuses, key=lambda name: statuses[name])
            refused = answers[[*leads].index(loser)].json()["error"]
            assert (refused["code"], winner in refused["message"]) == ("taken_over", True)
            said = await leads[loser].post(f"{path}/messages", json={"content": "Mine!"})
            assert said.json()["error"]["code"] == "taken_over"
            for lead in leads.values():
                item = (await lead.get(f"/api/v1/inbox/{thread_id}")).json()["data"]
                assert (item["taken_by"], item["escalation"]) == (winner, None)
            (await leads[winner].post(f"{path}/messages", json={"content": winner})).raise_for_status()
            (await leads[loser].post(f"{path}/release")).raise_for_status()
            winners.append(winner)
        steps = (await kim.get(f"/api/v1/replay/{thread_id}", params={"limit": 200})).json()["data"]
        taken = [one["by"] for one in steps if one["type"] == "takeover" and one["state"] == "taken"]
        spoke = [one["by"] for one in steps if one.get("role") == "colleague"]
        assert (taken, spoke) == (winners, winners)


def test_who_is_erased_at_one_is_gone_at_the_other(pair: Pair, thread_id: str) -> None:
    here, there = pair
    here.post("/chat", {"thread_id": thread_id, "message": "Where is my order 1043?"})
    customer = next(c["customer_id"] for c in there.get("/conversations") if c["thread_id"] == thread_id)
    assert customer
    answer = httpx.delete(f"{there.url}/api/v1/customers/{customer}", timeout=60)
    assert answer.status_code == 200, answer.text
    assert thread_id not in [c["thread_id"] for c in here.get("/conversations")]
    assert here.get("/conversations", q=customer) == []
    gone = httpx.get(f"{here.url}/api/v1/replay/{thread_id}", timeout=60)
    assert gone.status_code == 404


async def test_guesses_at_both_count_together(guarded_pair: Pair) -> None:
    wrong, statuses = {"name": "lee", "password": "?"}, []
    async with httpx.AsyncClient(timeout=60) as client:
        for number in range(7):
            answer = await client.post(f"{guarded_pair[number % 2].url}/login", data=wrong)
            statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429] * 2


async def test_a_freeze_at_one_holds_at_the_other_until_it_is_lifted(pair: Pair, thread_id: str) -> None:
    here, there = pair
    async with await Client.connect(here.ws_url) as customer, await Client.connect(there.ws_url) as window:
        await window.send(type="watch_freezes")
        assert (await window.until("freezes"))[-1]["items"] == []
        requested = await customer.turn(thread_id, "Refund £25 of order 1044, it arrived scratched")
        answer = here.post("/freeze", {"scope": "tool:refund_order", "reason": "a test"})
        assert answer.json()["data"]["paused"] == 1
        (freeze,) = (await window.until("freezes"))[-1]["items"]
        assert (freeze["scope"], freeze["by"]) == ("tool:refund_order", "local user")
        decision = f"/approvals/{requested[-1]['approval_id']}/decision"
        assert there.post(decision, {"decision": "approve"}).status_code == 200
        parked = await customer.until("message_complete")
        assert (of_type(parked, "tool_result"), "frozen" in spoken(parked)) == ([], True)
        async with httpx.AsyncClient(base_url=there.url, timeout=60) as client:
            (await client.delete("/api/v1/freeze/tool:refund_order")).raise_for_status()
        ran = await customer.until("message_complete")
        assert of_type(ran, "tool_result")[0]["status"] == "ok"
