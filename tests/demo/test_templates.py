"""The bundled templates as an operator starts them: read, write, approval, and the company's own voice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from smart_support import Settings, clock, create_app
from smart_support.agents.team import load_team
from smart_support.settings import TEMPLATES
from tests.support.harness import AppProcess, Client, LocalApp, spoken


@pytest.fixture(scope="module")
def saas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("saas") / "var", TEMPLATE="saas") as app:
        yield app


@pytest.fixture(scope="module")
def fintech(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("fintech") / "var", TEMPLATE="fintech") as app:
        yield app


def _ask(app: AppProcess, message: str, thread_id: str | None = None) -> dict[str, Any]:
    answer = app.post("/chat", {"thread_id": thread_id or clock.new_id(), "message": message})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def _decided(app: AppProcess, message: str, **answer: Any) -> tuple[dict[str, Any], str]:
    """The approval that a message led to, as it stood before the answer, and what was said after it."""
    thread_id = clock.new_id()
    async with await Client.connect(app.ws_url) as client:
        assert (await client.turn(thread_id, message))[-1]["type"] == "interrupt"
        [approval] = app.pending(thread_id)
        await client.send(type="interrupt_response", thread_id=thread_id, **answer)
        return approval, spoken(await client.until("message_complete", thread_id=thread_id))


def _rows(app: AppProcess, file: str, sql: str) -> list[Any]:
    with closing(sqlite3.connect(app.data_dir / file)) as database:
        return database.execute(sql).fetchall()


def test_the_software_company_speaks_casually(saas: AppProcess) -> None:
    assert _ask(saas, "hi")["reply"].startswith("Hey there! Loomwork support here.")
    assert _ask(saas, "Which plan is ACCT-1001 on?")["reply"].startswith("Sure thing! Harbour & Finch")
    handed_over = _ask(saas, "Can I talk to a human?")
    assert handed_over["reply"].startswith("You got it - I'm pulling in a teammate.")
    assert _ask(saas, "thanks")["reply"] == "Anytime! Anything else?"


def test_the_bank_speaks_formally(fintech: AppProcess) -> None:
    assert _ask(fintech, "hello")["reply"].startswith("Good day, and welcome to Northgate Bank.")
    balance = _ask(fintech, "What is the balance of CU-1005?")["reply"]
    assert balance.startswith("Certainly. Balances of Sabine Koller")
    handed_over = _ask(fintech, "I wish to speak to a human")["reply"]
    assert handed_over.startswith("I have referred your case to an adviser of the bank")
    assert handed_over.endswith("PINs with anyone.")


async def test_an_upgrade_waits_and_is_done_once(saas: AppProcess) -> None:
    sql = "SELECT plan, monthly_cents FROM subscriptions WHERE subscription_id = 'SUB-1001'"
    invoices = "SELECT count(*) FROM invoices WHERE subscription_id = 'SUB-1001' AND status = 'open'"
    assert _ask(saas, "Upgrade SUB-1001 to the business plan")["status"] == "awaiting_approval"
    assert _rows(saas, "saas.sqlite", sql) == [("team", 15_200)]
    card, said = await _decided(saas, "Upgrade acct-1001 to the business plan", approved=True)
    assert card["summary"] == "Upgrade acct-1001 to the business plan"
    assert {"field": "plan", "before": "team", "after": "business"}.items() <= card["effect"][0].items()
    assert card["customer_id"] == "ACCT-1001"
    assert said.startswith("Sure thing! Subscription SUB-1001 is now on the business plan")
    assert _rows(saas, "saas.sqlite", sql) == [("business", 31_200)]
    assert _rows(saas, "saas.sqlite", invoices) == [(1,)]


async def test_a_few_days_of_a_trial_need_nobody_and_a_week_does(saas: AppProcess) -> None:
    assert _ask(saas, "Extend my trial SUB-1003 by 2 days")["status"] == "complete"
    refusal = {"approved": False, "reason": "Two days were enough."}
    _, said = await _decided(saas, "Extend my trial SUB-1003 by 7 days", **refusal)
    assert said.startswith("Ah, no luck: a teammate said no to this (extend trial)")
    added = "SELECT trial_days_added FROM subscriptions WHERE subscription_id = 'SUB-1003'"
    assert _rows(saas, "saas.sqlite", added) == [(2,)]


def test_a_suspended_account_is_handed_over(saas: AppProcess) -> None:
    told = _ask(saas, "Cancel subscription SUB-1006", "suspended")
    assert told["status"] == "complete"
    assert "This account is suspended" in told["reply"]
    assert "I'm pulling in a teammate" in told["reply"]
    sql = "SELECT status FROM subscriptions WHERE subscription_id = 'SUB-1006'"
    assert _rows(saas, "saas.sqlite", sql) == [("active",)]


async def test_a_transfer_waits_and_is_done_once(fintech: AppProcess) -> None:
    sql = "SELECT kind, balance_cents FROM accounts WHERE customer_id = 'CU-1001' ORDER BY kind"
    before = dict(_rows(fintech, "fintech.sqlite", sql))
    message = "Transfer 250.00 from checking to savings of CU-1001"
    assert _ask(fintech, message)["status"] == "awaiting_approval"
    assert dict(_rows(fintech, "fintech.sqlite", sql)) == before
    card, said = await _decided(fintech, message, approved=True)
    assert (card["need"], card["customer_id"]) == ("ask", "CU-1001")
    assert said == "Certainly. €250.00 was transferred from checking to savings of CU-1001."
    assert dict(_rows(fintech, "fintech.sqlite", sql)) == {
        "checking": before["checking"] - 25_000,
        "savings": before["savings"] + 25_000,
    }


async def test_a_stolen_card_is_blocked_after_a_yes(fintech: AppProcess) -> None:
    card, said = await _decided(fintech, "Block card 4242, it was stolen", approved=True)
    assert card["args"] == {"card_number": "4242", "reason": "it was stolen"}
    assert "is blocked" in said
    assert _rows(fintech, "fintech.sqlite", "SELECT status FROM cards WHERE last4 = '4242'") == [("blocked",)]


@pytest.mark.parametrize(
    ("message", "because"),
    [
        ("Transfer 1,000.01 from checking to savings of CU-1005", "above 1,000.00"),
        ("Transfer 20 EUR to payee PAY-4002", "less than two days ago"),
    ],
)
def test_what_is_large_or_new_needs_two_people(fintech: AppProcess, message: str, because: str) -> None:
    card = _ask(fintech, message)["approval"]
    assert card["need"] == "two_leads"
    assert because in card["because"]


def test_a_frozen_accounts_money_stays_and_a_human_hears_of_it(fintech: AppProcess) -> None:
    told = _ask(fintech, "Transfer 20.00 from checking to savings of CU-1006", "frozen")
    assert told["status"] == "complete"
    assert _rows(fintech, "fintech.sqlite", "SELECT 1 FROM transfers WHERE customer_id = 'CU-1006'") == []
    assert "An adviser must review it first" in told["reply"]
    assert "I have referred your case to an adviser" in told["reply"]
    assert any(row["thread_id"] == "frozen" for row in fintech.get("/escalations"))


@pytest.mark.parametrize("template", ["saas", "fintech"])
def test_the_console_opens_with_the_company_and_its_own_examples(
    template: str, request: pytest.FixtureRequest
) -> None:
    app: AppProcess = request.getfixturevalue(template)
    team = load_team(Settings(template=template).agents_path)  # type: ignore[arg-type]
    config = httpx.get(f"{app.url}/config", timeout=30).text
    assert team.company.replace("&", "&amp;") in config
    assert team.agents[0].examples[0] in config


def test_every_template_has_tools_and_prompts_to_try() -> None:
    names = sorted(file.stem for file in TEMPLATES.glob("*.yaml"))
    assert names == ["e-commerce", "fintech", "saas"]
    voices = [load_team(TEMPLATES / f"{name}.yaml").personality for name in names]
    for field in ("tone", "greeting", "escalation_message"):
        assert len({getattr(voice, field) for voice in voices}) == len(names)


def test_an_own_agents_file_has_the_tools_of_the_template_named(tmp_path: Path, data_dir: Path) -> None:
    own = tmp_path / "agents.yaml"
    own.write_text(
        "company: Mine\nfallback: desk\nagents:\n"
        "  - {name: desk, title: Desk, description: Answers everything., tools: [get_balance]}\n"
    )
    settings = {"data_dir": data_dir, "agents_file": own}
    with LocalApp(create_app(Settings(**settings, template="fintech"))) as app:
        answer = app.request("POST", "/chat", json={"message": "What is the balance of CU-1001?"})
        assert "Balances of Eleanor Whitby" in answer.json()["data"]["reply"]
    with LocalApp(create_app(Settings(**settings))) as app:
        (warning,) = app.request("GET", "/tools").json()["meta"]["warnings"]
        assert "agent 'desk' is given 'get_balance', which is not a tool now" in warning
        assert app.request("GET", "/agents").json()["data"][0]["tools"] == []
