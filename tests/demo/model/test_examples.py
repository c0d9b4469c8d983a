"""What the bundled agents files offer to try works with the demo model, as do other ways to say it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from smart_support.agents.prompts import agent_prompt, route_tool, router_prompt
from smart_support.agents.team import Team, check_policy, load_team, warnings_of
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.model.chat_model import DemoChatModel
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.demo.toolset import DemoToolset
from smart_support.settings import ROOT, TEMPLATES
from smart_support.tools.handoff import handoff_tool
from smart_support.tools.registry import Registry, tools_of

TOOLSETS: dict[str, type[DemoToolset]] = {
    "e-commerce": CommerceTools,
    "saas": SaasTools,
    "fintech": FintechTools,
}
Desks = dict[str, tuple[Team, Registry]]


async def _nobody(thread_id: str, reason: str, about: str | None = None) -> bool:
    return False


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    folder: Path = tmp_path_factory.mktemp("desks")
    found: Desks = {}
    stores = []
    for name, toolset in TOOLSETS.items():
        business = toolset.business
        stores.append(DemoStore(folder / f"{business}.sqlite", ROOT / "data" / business, business))
        registry = Registry([*tools_of(toolset(stores[-1])), handoff_tool(_nobody, "Somebody comes.")])
        found[name] = load_team(TEMPLATES / f"{name}.yaml"), registry
    yield found
    for store in stores:
        store.close()


def _calls(desk: tuple[Team, Registry], said: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The first call of each agent that a message is routed to: agent, tool, arguments."""
    (team, registry), model = desk, DemoChatModel()
    bound = model.bind_tools([route_tool(team, registry)])
    routed = bound.invoke([SystemMessage(router_prompt(team)), HumanMessage(said)]).tool_calls[0]["args"]
    found = []
    for target in routed["targets"]:
        spec = team.agent(target["agent"])
        assert spec
        tools = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
            }
            for name in spec.tools
            if (tool := registry.get(name))
        ]
        prompt = SystemMessage(agent_prompt(team, spec, target["request"]))
        answer = model.bind_tools(tools).invoke([prompt, HumanMessage(said)])
        found += [(spec.name, call["name"], call["args"]) for call in answer.tool_calls[:1]]
    return found


@pytest.mark.parametrize("template", TOOLSETS)
def test_every_example_is_done_by_the_agent_it_stands_at(desks: Desks, template: str) -> None:
    team, registry = desks[template]
    assert warnings_of(team, registry) == []
    check_policy(team, registry)
    for spec in team.agents:
        assert spec.examples
        for example in spec.examples:
            calls = {agent: (tool, args) for agent, tool, args in _calls(desks[template], example)}
            assert spec.name in calls, example
            name, args = calls[spec.name]
            tool = registry.get(name)
            assert tool
            tool.check(args)


@pytest.mark.parametrize(
    ("template", "said", "tool", "args"),
    [
        ("saas", "Status of subscription SUB-1003", "get_subscription", {"subscription_id": "SUB-1003"}),
        ("saas", "how much is the business plan?", "list_plans", {}),
        (
            "saas",
            "find the account of billing@oak-street-dental.example",
            "find_account",
            {"email": "billing@oak-street-dental.example"},
        ),
        ("saas", "show me my bills for SUB-1001", "list_invoices", {"subscription_id": "SUB-1001"}),
        (
            "saas",
            "please upgrade acct-1001 from team to business",
            "upgrade_plan",
            {"subscription_id": "acct-1001", "new_plan": "business"},
        ),
        (
            "saas",
            "give me 3 more trial days on SUB-1003",
            "extend_trial",
            {"subscription_id": "SUB-1003", "days": 3},
        ),
        (
            "saas",
            "cancel my subscription ACCT-1002 because the project ended",
            "cancel_subscription",
            {"subscription_id": "ACCT-1002", "reason": "the project ended"},
        ),
        ("fintech", "how much money does CU-1001 have?", "get_balance", {"customer_id": "CU-1001"}),
        (
            "fintech",
            "Show me the savings transactions for CU-1003",
            "list_transactions",
            {"customer_id": "CU-1003", "account": "savings"},
        ),
        ("fintech", "which payees has CU-1001 saved?", "list_payees", {"customer_id": "CU-1001"}),
        ("fintech", "Which cards does CU-1001 have?", "list_cards", {"customer_id": "CU-1001"}),
        ("fintech", "my card 7310 is lost, please lock it", "block_card", {"card_number": "7310"}),
        (
            "fintech",
            "I don't recognise TX-50005 and dispute it because I never stayed there",
            "dispute_transaction",
            {"transaction_id": "TX-50005", "reason": "I never stayed there"},
        ),
        (
            "fintech",
            "move 1,250.00 EUR from my savings to my checking account, I'm CU-1001",
            "transfer_between_accounts",
            {
                "customer_id": "CU-1001",
                "from_account": "savings",
                "to_account": "checking",
                "amount_cents": 125_000,
            },
        ),
        (
            "fintech",
            "send €1,500 to PAY-4002 from savings",
            "transfer_to_payee",
            {"payee_id": "PAY-4002", "amount_cents": 150_000, "from_account": "savings"},
        ),
    ],
)
def test_other_words_lead_to_the_same(
    desks: Desks, template: str, said: str, tool: str, args: dict[str, Any]
) -> None:
    assert [(name, given) for _, name, given in _calls(desks[template], said)] == [(tool, args)]
