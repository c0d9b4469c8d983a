"""Policies as an operator writes them and people meet them: rules in an agents file, at the real doors."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smart_support import Settings, clock, create_app
from tests.support.harness import Client, LocalApp, of_type, run_python, spoken
from tests.support.stores import database_url, named, state_of

RULES = """
policy:
  - {tool: generate_coupon, when: percent <= 5, then: run, because: Small coupons are ours to give.}
  - {tool: refund_order, when: amount_cents > 10000, then: two_leads, because: Large refunds need two.}
  - {tool: "*", when: account == 'frozen', then: never, because: The account is frozen., escalate: true}
"""


@pytest.fixture
def agents_file(tmp_path: Path) -> Callable[[str], Path]:
    """The bundled shop with other rules, as an operator's own file."""

    def write(rules: str, **replaced: str) -> Path:
        text = Settings().agents_path.read_text()
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "agents.yaml"
        path.write_text(text + rules)
        return path

    return write


@pytest.fixture
def app_with(agents_file: Callable[..., Path], data_dir: Path) -> Callable[..., LocalApp]:
    return lambda rules, **replaced: LocalApp(
        create_app(
            Settings(
                data_dir=data_dir,
                database_url=database_url(data_dir),
                agents_file=agents_file(rules, **replaced),
            )
        )
    )


def _ask(app: LocalApp, message: str, thread_id: str = "t") -> dict[str, Any]:
    answer = app.request("POST", "/chat", json={"thread_id": thread_id, "message": message})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _only(app: LocalApp, **params: str) -> dict[str, Any]:
    found = app.request("GET", "/approvals", params=params).json()["data"]
    assert len(found) == 1
    return found[0]


def test_what_a_rule_lets_run_runs_at_once_and_is_on_record(app_with: Callable[..., LocalApp]) -> None:
    with app_with(RULES) as app:
        told = _ask(app, "Make me a coupon of 5%")
        assert told["status"] == "complete"
        assert told["tool_calls"][0]["status"] == "ok"
        approval = _only(app)
        assert (approval["status"], approval["execution"]) == ("approved", "done")
        assert (approval["decided_by"], approval["decided_via"]) == ("policy", "policy")
        assert approval["reason"] == "Small coupons are ours to give."
        result = of_type(app.request("GET", "/replay/t").json()["data"], "tool_result")[0]
        assert result["policy"] == "Small coupons are ours to give."
        assert _ask(app, "Make me a coupon of 6%", "other")["status"] == "awaiting_approval"


def test_a_large_one_needs_two_different_people(app_with: Callable[..., LocalApp]) -> None:
    with app_with(RULES) as app:
        waiting = _ask(app, "Refund order 1044")["approval"]
        assert (waiting["need"], waiting["because"]) == ("two_leads", "Large refunds need two.")
        path = f"/approvals/{waiting['approval_id']}/decision"
        first = app.request("POST", path, json={"decision": "approve"}).json()["data"]
        assert (first["status"], [vote["by"] for vote in first["votes"]]) == ("pending", ["local user"])
        again = app.request("POST", path, json={"decision": "approve"})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "already_decided")
        edit = app.request("POST", path, json={"decision": "edit", "args": waiting["args"]})
        assert edit.status_code == 422
        assert _only(app, status="pending")["approval_id"] == waiting["approval_id"]


def test_what_is_forbidden_is_never_asked_and_a_human_is_told(app_with: Callable[..., LocalApp]) -> None:
    with app_with(RULES) as app:
        told = _ask(app, "Cancel order 1048")
        assert (told["status"], told["tool_calls"][0]["status"]) == ("complete", "rejected")
        assert "frozen" in told["reply"]
        assert told["escalation"]["reason"].startswith("order_actions wanted to: Cancel order 1048")
        assert app.request("GET", "/approvals").json()["data"] == []
        recorded = app.request("GET", "/escalations", params={"open": "true"}).json()["data"]
        assert [one["status"] for one in recorded] == ["no_webhook"]


def test_an_edit_can_not_reach_what_another_rule_guards(app_with: Callable[..., LocalApp]) -> None:
    with app_with(RULES) as app:
        waiting = _ask(app, "Refund £25 of order 1044")["approval"]
        path = f"/approvals/{waiting['approval_id']}/decision"
        more = {"decision": "edit", "args": waiting["args"] | {"amount_cents": 20_000}}
        refused = app.request("POST", path, json=more)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
        assert "needs two leads" in refused.json()["error"]["message"]
        less = {"decision": "edit", "args": waiting["args"] | {"amount_cents": 2_000}}
        assert app.request("POST", path, json=less).json()["data"]["status"] == "edited"


async def test_a_policy_that_became_stricter_holds_for_what_was_approved_before(
    app_with: Callable[..., LocalApp],
) -> None:
    with app_with("") as app:
        before = _ask(app, "Cancel order 1042")["approval"]
    with app_with("policy: [{tool: cancel_order, then: never, because: Not in this season.}]") as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            events = await client.until("message_complete")
        assert of_type(events, "tool_result")[0]["status"] == "rejected"
        assert "Not in this season." in spoken(events)
        kept = app.request("GET", f"/approvals/{before['approval_id']}").json()["data"]
        assert (kept["status"], kept["execution"]) == ("approved", "failed")


def test_an_agent_makes_only_so_many_writes_an_hour(app_with: Callable[..., LocalApp]) -> None:
    limited = {
        "tools: [apply_discount, generate_coupon]": "tools: [apply_discount, generate_coupon]\n"
        "    writes_per_hour: 2"
    }
    with app_with("", **limited) as app:
        for thread_id in ("one", "two"):
            assert _ask(app, "Make me a coupon of 5%", thread_id)["status"] == "awaiting_approval"
        told = _ask(app, "Make me a coupon of 5%", "three")
        assert told["tool_calls"][0]["status"] == "rejected"
        assert "2 writes of this hour" in told["escalation"]["reason"]
        assert _ask(app, "Cancel order 1042", "four")["status"] == "awaiting_approval"
        clock.advance(3601)
        assert _ask(app, "Make me a coupon of 5%", "five")["status"] == "awaiting_approval"


def test_tools_show_their_rules(app_with: Callable[..., LocalApp]) -> None:
    with app_with(RULES) as app:
        tools = {tool["name"]: tool for tool in app.request("GET", "/tools").json()["data"]}
        first = {
            **{"when": "percent <= 5", "then": "run", "because": "Small coupons are ours to give."},
            "max_per_conversation": 3,
        }
        assert tools["generate_coupon"]["rules"][0] == first
        assert len(tools["cancel_order"]["rules"]) == 1
        assert tools["get_order_status"]["rules"] == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{tool: get_order_status, then: ask}", "'get_order_status' is not a write"),
        ("{tool: refund_order, when: amount > 5, then: run}", "asks for amount"),
        ("{tool: refund_order, when: amount_cents >, then: run}", "is not a condition"),
    ],
)
def test_a_wrong_rule_keeps_the_app_from_starting(
    agents_file: Callable[..., Path], tmp_path: Path, rule: str, told: str
) -> None:
    path = agents_file(f"policy:\n  - {rule}\n")
    environment = {"SMART_SUPPORT_AGENTS_FILE": str(path), "SMART_SUPPORT_DATA_DIR": str(tmp_path / "var")}
    ended = run_python("app.py", environment=os.environ | environment)
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_dry_run_tells_what_a_changed_policy_would_have_done(
    app_with: Callable[..., LocalApp], agents_file: Callable[..., Path], data_dir: Path
) -> None:
    with app_with(RULES) as app:
        _ask(app, "Make me a coupon of 4%", "one")
        asked = _ask(app, "Refund £25 of order 1044", "two")["approval"]
        app.request("POST", f"/approvals/{asked['approval_id']}/decision", json={"decision": "reject"})
        _ask(app, "Cancel order 1048", "three")
    before = _audited(data_dir)
    changed = agents_file("policy: [{tool: refund_order, when: amount_cents <= 5000, then: run}]")
    environment = named(data_dir)
    command = ["-m", "smart_support.approvals.policy", "--since", "30d", "--agents", str(changed)]
    ended = run_python(*command, environment=os.environ | environment)
    assert ended.returncode == 1, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "3 writes since 30d; 3 would have been treated differently."
    assert any(
        "generate_coupon percent=4" in line and "runs without asking -> asks" in line for line in lines
    )
    assert any(
        "refund_order" in line and "asks -> runs without asking  (rejected by" in line for line in lines
    )
    assert any("cancel_order" in line and "is not allowed -> asks" in line for line in lines)
    assert lines[-1].startswith("1 that nobody approved")
    same = run_python(*command[:-1], str(agents_file(RULES)), environment=os.environ | environment)
    assert (same.returncode, same.stdout) == (
        0,
        "3 writes since 30d; 0 would have been treated differently.\n",
    )
    assert before == _audited(data_dir)


def _audited(data_dir: Path) -> int:
    state = state_of(data_dir)
    try:
        return int(state.execute_now("SELECT COUNT(*) AS rows FROM audit")[0]["rows"])
    finally:
        state.close()
