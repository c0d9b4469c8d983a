"""Tool calls of API clients over REST: the statuses, joining, decisions, limits, and who may see what."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import orjson
import pytest
import yaml
from websockets.sync.client import connect

from smart_support import Settings, create_app
from smart_support.identity.users import hash_password
from tests.support.harness import ROOT, LocalApp, demo_orders

KEYS = {
    "claude": "claude-key-1",
    "cursor": "cursor-key-1",
    "eager": "eager-key-12",
    "lead": "lead-key-123",
    "lee/key": "lee-key-1234",
    "root": "root-key-123",
}
TOKEN_KEY = "a secret of the website that is long enough"
CALLERS = [
    {
        "name": "claude",
        "tools": ["get_order_status", "cancel_order", "refund_order", "generate_coupon"],
        "owner": "lee",
    },
    {
        "name": "cursor",
        "tools": ["get_order_status", "cancel_order"],
        "writes_per_hour": 1,
        "calls_per_minute": 5,
        "thread_prefix": "cursor-",
    },
    {"name": "eager", "tools": ["get_order_status", "cancel_order"], "max_pending": 2},
]
POLICY = [
    {"tool": "refund_order", "when": "amount_cents > 100000", "then": "never", "because": "Too much."},
    {"tool": "generate_coupon", "then": "run", "because": "Harmless."},
]

READ_EVENTS = ["tool_call", "tool_result", "message_complete"]


class Api:
    """The app and a client for each key."""

    def __init__(self, app: LocalApp) -> None:
        self.url = f"{app.url}/api/v1"
        self.http = httpx.Client(timeout=30)
        self.orders = demo_orders("processing")

    def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-API-Key": KEYS[who]} | options.pop("headers", {})
        return self.http.request(method, f"{self.url}{path}", headers=headers, **options)

    def call(self, who: str, tool: str, args: Any, **more: Any) -> httpx.Response:
        return self.ask(who, "POST", "/actions", json={"tool": tool, "args": args, **more})

    def cancel(self, order_id: str, **more: Any) -> Any:
        answer = self.call("claude", "cancel_order", {"order_id": order_id}, **more)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]

    def decide(self, action: Any, decision: str, who: str = "lead", **more: Any) -> httpx.Response:
        path = f"/approvals/{action['approval_id']}/decision"
        return self.ask(who, "POST", path, json={"decision": decision, **more})

    def settled(self, action: Any) -> Any:
        path = f"/actions/{action['action_id']}?wait=20"
        return self.ask("claude", "GET", path).json()["data"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("actions")
    agents, users = folder / "agents.yaml", folder / "users.yaml"
    content = yaml.safe_load((ROOT / "data/templates/e-commerce.yaml").read_text())
    agents.write_text(yaml.safe_dump(content | {"callers": CALLERS, "policy": POLICY}))
    users.write_text(yaml.safe_dump([{"name": "lee", "role": "lead", "password_hash": hash_password("x")}]))
    roles = {
        "claude": "agent",
        "cursor": "agent",
        "eager": "agent",
        "lead": "lead",
        "lee/key": "lead",
        "root": "admin",
    }
    keys = ",".join(f"{name}:{roles[name]}:{key}" for name, key in KEYS.items())
    settings = Settings(
        data_dir=folder / "var",
        api_keys=keys,
        users_file=users,
        agents_file=agents,
        customer_token_key=TOKEN_KEY,
    )
    with LocalApp(create_app(settings)) as running:
        yield Api(running)


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_read_is_answered_at_once(api: Api) -> None:
    answer = api.call("claude", "get_order_status", {"order_id": "1042"})
    action = answer.json()["data"]
    assert (answer.status_code, action["status"], action["approval_id"]) == (200, "done", None)
    assert action["result"]["order_id"] == "1042"
    assert api.ask("claude", "GET", f"/actions/{action['action_id']}").json()["data"] == action
    replay = api.ask("lead", "GET", f"/replay/{action['thread_id']}").json()["data"]
    assert [(one["seq"], one["type"]) for one in replay] == list(enumerate(READ_EVENTS, 1))
    # The thread is the caller's, and its numbers go on.
    again = {"order_id": "1043"}
    second = api.call("claude", "get_order_status", again, thread_id=action["thread_id"]).json()["data"]
    assert second["status"] == "done"
    replay = api.ask("lead", "GET", f"/replay/{action['thread_id']}").json()["data"]
    assert [(one["seq"], one["type"]) for one in replay] == list(enumerate(READ_EVENTS * 2, 1))
    stolen = api.call("cursor", "get_order_status", again, thread_id=action["thread_id"])
    assert _code(stolen) == (404, "not_found")


def test_a_read_that_takes_long_is_on_record_meanwhile(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smart_support.actions.service.PLANNING_SECONDS", 0)
    action = api.call("claude", "get_order_status", {"order_id": "1042"}).json()["data"]
    assert action["status"] in ("running", "done")
    done = api.settled(action)
    assert (done["status"], done["result"]["order_id"]) == ("done", "1042")
    replay = api.ask("lead", "GET", f"/replay/{action['thread_id']}").json()["data"]
    assert [(one["seq"], one["type"]) for one in replay] == list(enumerate(READ_EVENTS, 1))


def test_a_write_waits_runs_once_approved_and_is_on_record(api: Api) -> None:
    order = next(api.orders)
    action = api.cancel(order, reason="She asked for it.")
    assert (action["status"], action["joined"], action["result"]) == ("pending", False, None)
    approval = api.ask("lead", "GET", f"/approvals/{action['approval_id']}").json()["data"]
    caller = approval["caller"]
    assert (caller["name"], caller["reason"]) == ("claude", "She asked for it.")
    assert caller["client_name"].startswith("python-httpx")
    assert api.decide(action, "approve").status_code == 200
    done = api.settled(action)
    assert (done["status"], done["result"]["status"]) == ("done", "cancelled")
    replay = api.ask("lead", "GET", f"/replay/{action['thread_id']}").json()["data"]
    types = [step["type"] for step in replay]
    assert types == ["tool_call", "interrupt", "decision", "tool_result", "message_complete"]
    assert [step["seq"] for step in replay] == [1, 2, 3, 4, 5]
    history = api.ask("lead", "GET", f"/approvals/{action['approval_id']}/history").json()["data"]
    assert [one["kind"] for one in history] == ["requested", "decided", "execution_begun", "execution_ended"]
    assert history[0]["actor"] == "caller:claude"


def test_a_repeated_write_joins_until_it_is_refused(api: Api) -> None:
    order = next(api.orders)
    first = api.cancel(order)
    again = api.cancel(order)
    assert (again["action_id"], again["joined"]) == (first["action_id"], True)
    api.decide(first, "reject", reason="Not this one.")
    refused = api.settled(first)
    assert refused["status"] == "rejected"
    assert "rejected by lead" in refused["message"]
    assert "Not this one." in refused["message"]
    anew = api.cancel(order)
    assert anew["action_id"] != first["action_id"]
    assert not anew["possible_duplicate"]
    api.decide(anew, "approve")
    assert api.settled(anew)["status"] == "done"
    joined = api.call("claude", "cancel_order", {"order_id": order})
    assert (joined.status_code, joined.json()["data"]["joined"]) == (200, True)


def test_a_key_joins_its_call_and_no_other(api: Api) -> None:
    order = next(api.orders)
    first = api.cancel(order, idempotency_key="one")
    assert api.cancel(order, idempotency_key="one")["action_id"] == first["action_id"]
    assert api.cancel(order)["action_id"] == first["action_id"]
    other = {"order_id": next(api.orders)}
    assert _code(api.call("claude", "cancel_order", other, idempotency_key="one")) == (
        409,
        "idempotency_conflict",
    )
    twin = api.cancel(order, idempotency_key="two")
    assert twin["action_id"] != first["action_id"]
    assert twin["possible_duplicate"]
    approval = api.ask("lead", "GET", f"/approvals/{twin['approval_id']}").json()["data"]
    assert "may be a repetition" in approval["because"]


def test_a_rule_runs_a_write_but_not_its_possible_repetition(api: Api) -> None:
    args = {"percent": 5}
    ran = api.call("claude", "generate_coupon", args)
    assert (ran.status_code, ran.json()["data"]["status"]) == (200, "done"), ran.text
    twin = api.call("claude", "generate_coupon", args, idempotency_key="again")
    assert (twin.status_code, twin.json()["data"]["status"]) == (202, "pending")


def test_what_the_policy_forbids_is_403_and_nobody_is_asked(api: Api) -> None:
    args = {"order_id": "1044", "amount_cents": 200_000, "reason": "because"}
    refused = api.call("claude", "refund_order", args)
    assert _code(refused) == (403, "forbidden"), refused.text
    action = api.ask("claude", "GET", f"/actions/{refused.json()['error']['action_id']}").json()["data"]
    assert (action["status"], action["approval_id"]) == ("rejected", None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tool": "get_order_status", "args": {"order": "1042"}}, (422, "invalid_arguments")),
        ({"tool": "get_order_status", "args": []}, (422, "invalid_request")),
        ({"tool": "cancel_order", "args": {"order_id": "1" * 30_000}}, (422, "invalid_arguments")),
        ({"tool": "cancel_order", "args": {"order_id": "1" * 2_000_000}}, (413, "too_large")),
        ({"tool": "apply_discount", "args": {}}, (404, "not_found")),
        ({"tool": "no_such_tool", "args": {}}, (404, "not_found")),
        ({"tool": "get_order_status", "args": {"order_id": "1042"}, "thread_id": "a b"}, (422, None)),
        ({"tool": "cancel_order", "args": {"order_id": "1"}, "idempotency_key": " "}, (422, None)),
        (
            {"tool": "get_order_status", "args": {"order_id": "1042"}, "customer_token": "x"},
            (401, "invalid_customer_token"),
        ),
    ],
)
def test_a_call_that_does_not_fit_is_refused(api: Api, body: Any, expected: tuple[int, str | None]) -> None:
    status, code = _code(api.ask("claude", "POST", "/actions", json=body))
    assert (status, code if expected[1] else None) == expected


def test_what_a_caller_was_not_given_does_not_exist_for_it(api: Api) -> None:
    action = api.cancel(next(api.orders), thread_id="of-claude")
    path = f"/actions/{action['action_id']}"
    for who in ("cursor", "lead"):
        assert _code(api.ask(who, "GET", path)) == (404, "not_found")
        assert api.ask(who, "GET", path, headers={"Accept": "text/event-stream"}).status_code == 404
    read = {"order_id": "1042"}
    for thread in ("of-claude", "without-the-prefix"):
        assert api.call("cursor", "get_order_status", read, thread_id=thread).status_code == 404
    assert _code(api.call("lead", "get_order_status", read)) == (404, "not_found")
    for path, body in (
        ("/chat", {"thread_id": "of-claude", "message": "Hello?"}),
        ("/conversations/of-claude/takeover", {}),
        ("/conversations/of-claude/release", {}),
        ("/conversations/of-claude/messages", {"content": "Hello."}),
        ("/conversations/of-claude/notes", {"content": "A note."}),
    ):
        answer = api.ask("lead", "POST", path, json=body)
        assert _code(answer) == (404, "not_found"), answer.text
        assert "actions of the API client" in answer.json()["error"]["message"]
    said = api.ask("lead", "POST", "/chat", json={"thread_id": "a-chat", "message": "Where is order 1042?"})
    assert said.status_code == 200
    assert api.call("claude", "get_order_status", read, thread_id="a-chat").status_code == 404


def test_several_actions_wait_on_one_thread(api: Api) -> None:
    two = [api.cancel(next(api.orders), thread_id="of-claude-2") for _ in range(2)]
    api.decide(two[1], "approve")
    assert api.settled(two[1])["status"] == "done"
    assert api.ask("claude", "GET", f"/actions/{two[0]['action_id']}").json()["data"]["status"] == "pending"
    api.decide(two[0], "approve")
    assert api.settled(two[0])["status"] == "done"


def test_an_edit_runs_with_the_edited_arguments(api: Api) -> None:
    first, second = next(api.orders), next(api.orders)
    action = api.cancel(first)
    assert api.decide(action, "edit", args={"order_id": second}).status_code == 200
    done = api.settled(action)
    assert (done["status"], done["args"], done["result"]["order_id"]) == (
        "done",
        {"order_id": second},
        second,
    )
    assert "changed the arguments" in done["message"]


def test_an_approved_call_waits_for_the_end_of_a_freeze_and_a_rule_s_is_rejected(api: Api) -> None:
    action = api.cancel(next(api.orders))
    frozen = {"scope": "caller:claude", "reason": "Look first."}
    assert api.ask("lead", "POST", "/freeze", json=frozen).status_code in (200, 201)
    assert api.decide(action, "approve").status_code == 200
    path = f"/actions/{action['action_id']}"
    with api.http.stream(
        "GET", f"{api.url}{path}", headers={"X-API-Key": KEYS["claude"], "Accept": "text/event-stream"}
    ) as stream:
        next(line for line in stream.iter_lines() if line == "event: message_complete")
    waits = api.ask("claude", "GET", path).json()["data"]
    assert (waits["status"], "frozen" in waits["message"]) == ("pending", True)
    ran = api.call("claude", "generate_coupon", {"percent": 6}).json()["data"]
    assert (ran["status"], "frozen" in ran["message"]) == ("rejected", True)
    assert api.ask("root", "DELETE", "/freeze/caller:claude").status_code == 200
    assert api.settled(action)["status"] == "done"


def test_an_action_has_the_expiry_of_its_approval_also_after_a_freeze(api: Api) -> None:
    action = api.cancel(next(api.orders))
    api.ask("lead", "POST", "/freeze", json={"scope": "caller:claude", "reason": "Look first."})
    api.ask("root", "DELETE", "/freeze/caller:claude")
    approval = api.ask("lead", "GET", f"/approvals/{action['approval_id']}").json()["data"]
    now = api.ask("claude", "GET", f"/actions/{action['action_id']}").json()["data"]
    joined = api.call("claude", "cancel_order", action["args"]).json()["data"]
    assert approval["expires_at"] > action["expires_at"]
    assert {now["expires_at"], joined["expires_at"]} == {approval["expires_at"]}


def test_a_verified_customer_s_thread_keeps_to_their_own_things(api: Api) -> None:
    until = int(time.time()) + 600
    maya, other = (jwt.encode({"sub": one, "exp": until}, TOKEN_KEY) for one in ("C-2001", "C-2002"))
    read = {"order_id": "1042"}
    own = api.call("claude", "get_order_status", read, thread_id="bound", customer_token=maya)
    assert (own.status_code, own.json()["data"]["status"]) == (200, "done"), own.text
    for token in (None, other):
        refused = api.call("claude", "get_order_status", read, thread_id="bound", customer_token=token)
        assert _code(refused) == (403, "customer_mismatch")
    foreign = api.call("claude", "get_order_status", read, customer_token=other).json()["data"]
    assert (foreign["status"], foreign["result"]) == ("failed", None)
    alone = api.call("claude", "get_order_status", read, customer_token=maya).json()["data"]
    assert alone["status"] == "done"
    refused = api.call("claude", "get_order_status", read, thread_id=alone["thread_id"])
    assert _code(refused) == (403, "customer_mismatch")


def test_the_owner_of_a_caller_can_t_approve_its_calls(api: Api) -> None:
    action = api.cancel(next(api.orders))
    assert _code(api.decide(action, "approve", who="lee/key")) == (403, "forbidden")
    assert api.decide(action, "reject", who="lee/key").status_code == 200


def test_a_caller_has_limits(api: Api) -> None:
    first = api.call("cursor", "cancel_order", {"order_id": next(api.orders)})
    assert first.json()["data"]["thread_id"].startswith("cursor-")
    over = api.call("cursor", "cancel_order", {"order_id": next(api.orders)}).json()["data"]
    assert (over["status"], over["approval_id"]) == ("rejected", None)
    answers = [api.call("cursor", "get_order_status", {"order_id": "1042"}) for _ in range(5)]
    assert _code(answers[-1]) == (429, "rate_limited")
    assert "Retry-After" in answers[-1].headers


def test_a_caller_has_no_more_pending_calls_than_it_may(api: Api) -> None:
    def cancel(order_id: str) -> httpx.Response:
        return api.call("eager", "cancel_order", {"order_id": order_id})

    order_id = next(api.orders)
    first, second = cancel(order_id).json()["data"], cancel(next(api.orders)).json()["data"]
    refused = cancel(next(api.orders))
    assert _code(refused) == (429, "rate_limited")
    assert "Retry-After" in refused.headers
    assert cancel(order_id).json()["data"]["action_id"] == first["action_id"]
    assert api.call("eager", "get_order_status", {"order_id": "1042"}).status_code == 200
    api.decide(second, "reject")
    assert api.ask("eager", "GET", f"/actions/{second['action_id']}?wait=20").json()["data"]["settled_at"]
    assert cancel(next(api.orders)).status_code == 202


def test_a_disabled_caller_gets_nothing_and_leads_see_what_each_did(api: Api) -> None:
    def status() -> Any:
        return next(
            one for one in api.ask("lead", "GET", "/callers").json()["data"] if one["name"] == "claude"
        )

    before = status()
    action = api.cancel(next(api.orders))
    assert before["credential"] == "key"
    assert {"name": "refund_order", "access": "write"} in before["tools"]
    assert (before["owner"], before["max_pending"], before["disabled"]) == ("lee", 200, None)
    assert status()["pending"] == before["pending"] + 1
    assert status()["calls"] == before["calls"] + 1
    assert status()["last_used_at"] == action["requested_at"]
    answer = api.ask("lead", "POST", "/callers/claude/disable", json={"reason": "a stolen key"})
    assert answer.json()["data"]["disabled"]["reason"] == "a stolen key"
    read = {"tool": "get_order_status", "args": {"order_id": "1042"}}
    path = f"/actions/{action['action_id']}"
    events = {"Accept": "text/event-stream"}
    for refused in (
        api.ask("claude", "POST", "/actions", json=read),
        api.ask("claude", "GET", path),
        api.ask("claude", "GET", path, headers=events),
    ):
        assert _code(refused) == (403, "caller_disabled")
    assert _code(api.decide(action, "approve"))[1] == "decision_not_allowed"
    api.ask("lead", "POST", "/callers/claude/enable")
    assert status()["disabled"] is None
    assert api.decide(action, "reject").status_code == 200
    assert api.settled(action)["status"] == "rejected"
    assert status()["rejected"] == before["rejected"] + 1
    assert _code(api.ask("lead", "POST", "/callers/nobody/enable")) == (404, "not_found")
    assert _code(api.ask("claude", "GET", "/callers")) == (403, "forbidden")


def test_the_events_of_an_action_come_as_they_happen(api: Api) -> None:
    action = api.cancel(next(api.orders), thread_id="with-events")
    other = api.cancel(next(api.orders), thread_id="with-events")
    headers = {"X-API-Key": KEYS["claude"], "Accept": "text/event-stream"}
    types = []
    with api.http.stream("GET", f"{api.url}/actions/{action['action_id']}", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                types.append(orjson.loads(line[6:])["type"])
                if types == ["tool_call", "interrupt"]:
                    api.decide(other, "reject")
                    api.decide(action, "approve")
    assert types == ["tool_call", "interrupt", "decision", "tool_result", "message_complete"]
    late = api.ask("claude", "GET", f"/actions/{action['action_id']}", headers=headers)
    assert [line[7:] for line in late.text.splitlines() if line.startswith("event: ")] == types


def test_actions_are_counted_for_their_caller_and_not_as_conversations(api: Api) -> None:
    before = api.ask("lead", "GET", "/analytics?range=24h").json()["data"]
    action = api.cancel(next(api.orders))
    api.call("claude", "get_order_status", {"order_id": "1042"})
    api.decide(action, "reject")
    api.settled(action)
    after = api.ask("lead", "GET", "/analytics?range=24h").json()["data"]
    assert after["conversations"] == before["conversations"]
    assert after["latency_ms"] == before["latency_ms"]
    assert "claude" not in {one["agent"] for one in after["agents"]}

    def of_claude(figures: Any) -> Any:
        return next(
            (one for one in figures["callers"] if one["caller"] == "claude"), {"calls": 0, "approvals": 0}
        )

    assert of_claude(after)["calls"] == of_claude(before)["calls"] + 2
    assert of_claude(after)["approvals"] == of_claude(before)["approvals"] + 1
    assert after["approvals"]["requested"] == before["approvals"]["requested"] + 1
    assert after["approvals"]["rejected"] == before["approvals"]["rejected"] + 1
    listed = api.ask("lead", "GET", "/conversations?limit=100").json()["data"]
    assert action["thread_id"] not in {one["thread_id"] for one in listed}
    inbox = api.ask("lead", "GET", "/inbox?limit=100").json()["data"]
    assert action["thread_id"] not in {one["thread_id"] for one in inbox}
    refused = api.ask("claude", "GET", "/analytics")
    assert refused.status_code == 403


def test_erasing_a_customer_reaches_their_actions(api: Api) -> None:
    read = api.call("claude", "get_order_status", {"order_id": "1046"}, thread_id="to-erase").json()["data"]
    replay = api.ask("root", "GET", "/replay/to-erase").json()["data"]
    assert replay
    listed = json.loads((ROOT / "data/shop/orders.json").read_text())
    customer = next(one["customer_id"] for one in listed if one["order_id"] == "1046")
    assert api.ask("root", "DELETE", f"/customers/{customer}").status_code == 200
    assert api.ask("claude", "GET", f"/actions/{read['action_id']}").status_code == 404
    assert api.ask("root", "GET", "/replay/to-erase").status_code == 404


def test_a_wait_ends_as_soon_as_the_action_is_settled_and_not_later_than_a_minute(api: Api) -> None:
    action = api.cancel(next(api.orders))
    path = f"/actions/{action['action_id']}"
    assert api.ask("claude", "GET", f"{path}?wait=0.05").json()["data"]["status"] == "pending"
    assert api.ask("claude", "GET", f"{path}?wait=61").status_code == 422


def test_a_socket_gets_the_highest_amounts_of_more_than_it_is_sent(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smart_support.api.websocket.MAX_PENDING", 2)
    for amount in (1100, 1300, 1200):
        api.call("claude", "refund_order", {"order_id": "1044", "amount_cents": amount, "reason": "x"})
    highest = api.ask("lead", "GET", "/approvals?status=pending&sort=amount&limit=2").json()["data"]
    address = api.url.replace("http", "ws").replace("/api/v1", f"/ws?token={KEYS['lead']}")
    with connect(address) as socket:
        socket.send(json.dumps({"type": "watch_approvals", "sort": "amount"}))
        frame = json.loads(socket.recv())
        pending = [one for one in frame["items"] if one["status"] == "pending"]
        assert frame["more"]
        assert [one["amount"] for one in pending] == [one["amount"] for one in highest]
        assert json.loads(socket.recv())["type"] == "escalations"
        socket.send(json.dumps({"type": "watch_approvals", "sort": "beauty"}))
        assert json.loads(socket.recv())["code"] == "invalid_request"
