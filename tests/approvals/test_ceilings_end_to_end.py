"""One message makes no more writes without asking than a rule's ceiling allows, whatever the model wants."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from smart_support import Settings, create_app
from tests.support.harness import LocalApp, ScriptedModel
from tests.support.stores import database_url

WANTED = 74
RULE = "{tool: refund_order, when: 0 < amount_cents <= 2000, then: run%s}"


def _greedy(messages: list[Any], tools: list[dict[str, Any]]) -> AIMessage:
    """A model that refunds as often as it can, a few calls at a time, and never has enough."""
    if [tool["function"]["name"] for tool in tools] == ["route"]:
        targets = [{"agent": "order_actions", "request": "refunds"}]
        return AIMessage("", tool_calls=[{"name": "route", "args": {"targets": targets}, "id": "r"}])
    last = max(place for place, one in enumerate(messages) if isinstance(one, HumanMessage))
    made = sum(len(one.tool_calls) for one in messages[last:] if isinstance(one, AIMessage))
    if made >= WANTED:
        return AIMessage("That is all.")
    calls = [
        {"name": "refund_order", "args": {"order_id": "1044", "amount_cents": 20}, "id": f"{last}-{made + n}"}
        for n in range(4)
    ]
    return AIMessage("", tool_calls=calls)


@pytest.fixture
def app_with(tmp_path: Path, data_dir: Path) -> Callable[[str], LocalApp]:
    def app(ceiling: str) -> LocalApp:
        path = tmp_path / "agents.yaml"
        path.write_text(Settings().agents_path.read_text() + f"\npolicy: [{RULE % ceiling}]\n")
        settings = Settings(
            data_dir=data_dir, database_url=database_url(data_dir), agents_file=path, rate_limit="1000/1s"
        )
        return LocalApp(create_app(settings, chat_model=ScriptedModel(script=_greedy)))

    return app


def _say(app: LocalApp, thread_id: str) -> dict[str, Any]:
    answer = app.request("POST", "/chat", json={"thread_id": thread_id, "message": "Give me money"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _by_policy(app: LocalApp) -> list[dict[str, Any]]:
    found = app.request("GET", "/approvals", params={"limit": 100}).json()["data"]
    return [one for one in found if one["decided_by"] == "policy"]


def _refunds(app: LocalApp) -> list[int]:
    dump = app.app.state.services.demo.dump()
    return [row["amount_cents"] for row in dump["refunds"]]


def test_one_message_makes_three_unapproved_refunds_and_then_asks(
    app_with: Callable[[str], LocalApp],
) -> None:
    with app_with("") as app:
        before = len(_refunds(app))
        told = _say(app, "t")
        assert told["status"] == "awaiting_approval"
        assert (told["approval"]["need"], told["approval"]["because"]) == (
            "ask",
            "More than 3 in this conversation.",
        )
        assert len(_refunds(app)) - before == 3
        # Approving one approves that one. The next is asked again.
        path = f"/approvals/{told['approval']['approval_id']}/decision"
        assert app.request("POST", path, json={"decision": "approve"}).status_code == 200
        while not (waiting := app.request("GET", "/approvals", params={"status": "pending"}).json()["data"]):
            app.request("GET", "/health")
        assert waiting[0]["because"] == "More than 3 in this conversation."
        assert len(_refunds(app)) - before == 4
        assert len(_by_policy(app)) == 3
    with app_with("") as app:  # a restart gives nothing back
        path = f"/approvals/{waiting[0]['approval_id']}/decision"
        app.request("POST", path, json={"decision": "reject", "reason": "no"})
        assert _say(app, "t")["status"] == "awaiting_approval"
        assert len(_by_policy(app)) == 3


def test_a_day_has_one_sum_for_all_conversations(app_with: Callable[[str], LocalApp]) -> None:
    with app_with(", max_per_day: {field: amount_cents, limit: 100}") as app:
        before = len(_refunds(app))
        first, second = _say(app, "one"), _say(app, "two")
        assert first["approval"]["because"] == "More than 100 of amount_cents in 24 hours."
        assert second["approval"]["because"] == "More than 100 of amount_cents in 24 hours."
        assert len(_refunds(app)) - before == _refunds(app).count(20) == 5


def test_tools_show_the_ceilings(app_with: Callable[[str], LocalApp]) -> None:
    ceiling = ", max_per_conversation: 5, max_per_day: {field: amount_cents, limit: 100}"
    with app_with(ceiling) as app:
        tools = {tool["name"]: tool for tool in app.request("GET", "/tools").json()["data"]}
        (rule,) = tools["refund_order"]["rules"]
        assert rule["max_per_conversation"] == 5
        assert rule["max_per_day"] == {"field": "amount_cents", "limit": 100}
