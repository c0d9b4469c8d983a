"""The embedded model through its public face: it routes, fills in, asks back and reports, by rules alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from smart_support.agents.prompts import agent_prompt, route_tool, router_prompt
from smart_support.agents.team import Team, load_team
from smart_support.demo.model.chat_model import DemoChatModel
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.settings import ROOT, Settings
from smart_support.tools.handoff import handoff_tool
from smart_support.tools.registry import Registry, Tool, tools_of


def _function(name: str, description: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def _of(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
    }


class _Desk:
    """The demo shop's agents and tools, as the graph shows them to a model."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.team: Team = load_team(Settings().agents_path)
        self.model = DemoChatModel()

    def route(self, *said: str | BaseMessage) -> dict[str, Any]:
        messages = [HumanMessage(one) if isinstance(one, str) else one for one in said]
        bound = self.model.bind_tools([route_tool(self.team, self.registry)])
        answer = bound.invoke([SystemMessage(router_prompt(self.team)), *messages])
        assert [call["name"] for call in answer.tool_calls] == ["route"]
        args: dict[str, Any] = answer.tool_calls[0]["args"]
        return args

    def agents(self, *said: str | BaseMessage) -> list[str]:
        return [target["agent"] for target in self.route(*said)["targets"]]

    def act(self, agent: str, request: str, *history: BaseMessage) -> AIMessage:
        spec = self.team.agent(agent)
        assert spec
        tools = [_of(tool) for name in spec.tools if (tool := self.registry.get(name))]
        prompt = SystemMessage(agent_prompt(self.team, spec, request))
        answer: AIMessage = self.model.bind_tools(tools).invoke(
            [prompt, *(history or [HumanMessage(request)])]
        )
        return answer

    def call(self, agent: str, request: str, *history: BaseMessage) -> tuple[str, dict[str, Any]]:
        answer = self.act(agent, request, *history)
        assert len(answer.tool_calls) == 1, answer
        return answer.tool_calls[0]["name"], answer.tool_calls[0]["args"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Desk]:
    path: Path = tmp_path_factory.mktemp("desk") / "shop.sqlite"
    store = DemoStore(path, ROOT / "data" / "shop")

    async def escalate(
        thread_id: str, reason: str, about: str | None = None, kind: str | None = None
    ) -> bool:
        return False

    yield _Desk(
        Registry([*tools_of(CommerceTools(store)), handoff_tool(escalate, "A colleague takes over.")])
    )
    store.close()


@pytest.mark.parametrize(
    ("said", "agents"),
    [
        ("Where is my order 1043?", ["order_lookup"]),
        ("What is the status of order 1042?", ["order_lookup"]),
        ("track #1043", ["order_lookup"]),
        ("has 1043 shipped yet?", ["order_lookup"]),
        ("when will 1043 arrive", ["order_lookup"]),
        ("Has my parcel 1043 been delivered?", ["order_lookup"]),
        ("Which orders has maya.chen@example.com placed?", ["order_lookup"]),
        ("Please cancel order 1042", ["order_actions"]),
        ("call off order #1042 please", ["order_actions"]),
        ("I want my money back for 1044", ["order_actions"]),
        ("refund 25 EUR of 1044 because it broke", ["order_actions"]),
        ("Refund £25 of order 1044, it arrived scratched", ["order_actions"]),
        ("change the address of 1042 to 5 Rue Crébillon, 44000 Nantes, France", ["order_actions"]),
        ("Cancel order 1042 because I ordered it twice and don't need it", ["order_actions"]),
        ("10% off order 1046", ["discount"]),
        ("give me a 20 percent coupon valid for 60 days", ["discount"]),
        ("I'd like a voucher over 10% for maya.chen@example.com", ["discount"]),
        ("I want to talk to a human", ["fallback"]),
        ("can I speak with a manager please", ["fallback"]),
        ("this is a complaint, get me a person", ["fallback"]),
        ("hello", ["fallback"]),
        ("thanks a lot!", ["fallback"]),
        ("what is the weather", ["fallback"]),
        ("bonjour, où est ma commande?", ["fallback"]),
        ("Cancel 1042 and give me 10% off the next one", ["order_actions", "discount"]),
        ("Cancel 1042. Also I want 15% off my next order", ["order_actions", "discount"]),
        ("cancel order 1042, refund 1044 and where is 1043?", ["order_actions", "order_lookup"]),
        ("cancel 1042 and 1045", ["order_actions"]),
        (
            "I want to cancel order #1042 and also change the address of order 1005 to 5 Rue X, 69001 Lyon",
            ["order_actions"],
        ),
        (
            "where is 1043? and please cancel 1042, then make me a 5% coupon",
            ["order_lookup", "order_actions", "discount"],
        ),
    ],
)
def test_a_message_goes_to_the_agents_it_is_for(desk: _Desk, said: str, agents: list[str]) -> None:
    assert desk.agents(said) == agents


@pytest.mark.parametrize("said", ["1042", "do something about my order 1042", "help me with my order"])
def test_what_is_unclear_is_asked_back_with_options(desk: _Desk, said: str) -> None:
    args = desk.route(said)
    assert args["targets"] == []
    assert args["question"].endswith("?")
    assert 2 <= len(args["options"]) <= 5
    # Each option is a request that is not unclear any more.
    for option in args["options"]:
        assert desk.agents(said, AIMessage(args["question"]), option)


@pytest.mark.parametrize(
    ("before", "said", "agent", "call"),
    [
        (
            "What is the status of order 1043?",
            "And where is it now?",
            "order_lookup",
            ("get_tracking_info", {"order_id": "1043"}),
        ),
        (
            "What is the status of order 1042?",
            "cancel it",
            "order_actions",
            ("cancel_order", {"order_id": "1042"}),
        ),
        (
            "Where is 1043?",
            "and that one's status?",
            "order_lookup",
            ("get_order_status", {"order_id": "1043"}),
        ),
        (
            "refund order 1044",
            "and give me 10% off the next one",
            "discount",
            ("generate_coupon", {"percent": 10}),
        ),
    ],
)
def test_it_and_that_one_are_found_in_the_conversation(
    desk: _Desk, before: str, said: str, agent: str, call: tuple[str, dict[str, Any]]
) -> None:
    history = [HumanMessage(before), AIMessage("There it is.", name="order_lookup"), HumanMessage(said)]
    target = desk.route(*history)["targets"][0]
    assert target["agent"] == agent
    assert desk.call(agent, target["request"], *history) == call


def test_an_answer_to_a_question_goes_to_who_asked(desk: _Desk) -> None:
    asked = desk.act("order_actions", "Cancel my order")
    assert asked.tool_calls == []
    assert str(asked.text).endswith("number.")
    history = [
        HumanMessage("Cancel my order"),
        AIMessage(asked.content, name="order_actions"),
        HumanMessage("1042"),
    ]
    target = desk.route(*history)["targets"][0]
    assert target["agent"] == "order_actions"
    assert desk.call("order_actions", target["request"], *history) == ("cancel_order", {"order_id": "1042"})


def test_an_option_is_chosen_by_its_place(desk: _Desk) -> None:
    args = desk.route("1042")
    question = "\n".join([args["question"], *(f"- {option}" for option in args["options"])])
    assert (
        desk.route("1042", AIMessage(question), "the second")["targets"][0]["request"] == args["options"][1]
    )


@pytest.mark.parametrize(
    ("agent", "request_", "call"),
    [
        ("order_lookup", "Where is my order 1043?", ("get_tracking_info", {"order_id": "1043"})),
        (
            "order_lookup",
            "orders of maya.chen@example.com",
            ("find_orders", {"email": "maya.chen@example.com"}),
        ),
        ("order_actions", "cancel #1042", ("cancel_order", {"order_id": "1042"})),
        (
            "order_actions",
            "Cancel order 1042 because I ordered it twice",
            ("cancel_order", {"order_id": "1042", "reason": "I ordered it twice"}),
        ),
        (
            "order_actions",
            "refund 25 EUR of 1044",
            ("refund_order", {"order_id": "1044", "amount_cents": 2500}),
        ),
        (
            "order_actions",
            "refund €25.50 of 1044",
            ("refund_order", {"order_id": "1044", "amount_cents": 2550}),
        ),
        (
            "order_actions",
            "ship order 1042 to 12 Main Street, Dublin D07 XF82, Ireland instead",
            (
                "update_shipping_address",
                {"order_id": "1042", "new_address": "12 Main Street, Dublin D07 XF82, Ireland"},
            ),
        ),
        ("discount", "10% off order 1046", ("apply_discount", {"order_id": "1046", "percent": 10})),
        ("discount", "discount of 150% on 1046", ("apply_discount", {"order_id": "1046", "percent": 150})),
        ("discount", "give me 10% off the next one", ("generate_coupon", {"percent": 10})),
        (
            "discount",
            "a 20 percent coupon valid for 60 days",
            ("generate_coupon", {"percent": 20, "valid_days": 60}),
        ),
    ],
)
def test_arguments_come_from_the_words(
    desk: _Desk, agent: str, request_: str, call: tuple[str, dict[str, Any]]
) -> None:
    assert desk.call(agent, request_) == call


UNSEEN = [
    _function(
        "list_invoices",
        "List a customer's invoices.",
        {"customer_email": {"type": "string"}},
        "customer_email",
    ),
    _function(
        "void_invoice", "Void an invoice that is not paid.", {"invoice_id": {"type": "string"}}, "invoice_id"
    ),
    _function(
        "change_plan",
        "Move a subscription to another plan.",
        {"subscription_id": {"type": "integer"}, "plan": {"enum": ["starter", "team", "enterprise"]}},
        "subscription_id",
        "plan",
    ),
    _function(
        "createCreditNote",
        "Create a credit note.",
        {"invoiceNumber": {"type": "string"}, "amount": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "invoiceNumber",
    ),
    _function(
        "schedule_call", "Schedule a call on a date.", {"date": {"type": "string", "format": "date"}}, "date"
    ),
]


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("show me the invoices of ann@example.com", ("list_invoices", {"customer_email": "ann@example.com"})),
        ("please void invoice INV-2041", ("void_invoice", {"invoice_id": "INV-2041"})),
        (
            "switch subscription 7781 to the team plan",
            ("change_plan", {"subscription_id": 7781, "plan": "team"}),
        ),
        ("create a credit note over $40 for invoice INV-7", ("createCreditNote", {"amount": 40})),
        ("schedule a call for 2026-12-01", ("schedule_call", {"date": "2026-12-01"})),
    ],
)
def test_tools_it_has_never_seen_are_driven_by_their_schemas(
    said: str, call: tuple[str, dict[str, Any]]
) -> None:
    answer = DemoChatModel().bind_tools(UNSEEN).invoke([HumanMessage(said)])
    assert answer.tool_calls, answer
    assert answer.tool_calls[0]["name"] == call[0]
    assert answer.tool_calls[0]["args"].items() >= call[1].items()


MOVES = [
    _function(
        "move_money",
        "Move money between two pots.",
        {
            "customer_id": {"type": "string", "description": "The customer's number, for example CU-1001."},
            "from_pot": {"enum": ["daily", "holiday"]},
            "to_pot": {"enum": ["daily", "holiday"]},
            "amount_cents": {"type": "integer"},
        },
        *("customer_id", "from_pot", "to_pot", "amount_cents"),
    )
]


@pytest.mark.parametrize(
    ("said", "source", "target", "cents"),
    [
        ("Move 250.00 from daily to holiday of CU-1001", "daily", "holiday", 25_000),
        ("move €1,250.00 to my holiday pot from the daily one, cu-1001", "daily", "holiday", 125_000),
        ("for CU-1001 move 1,250 EUR from holiday to daily", "holiday", "daily", 125_000),
        ("move 12,50 EUR from holiday to daily for CU-1001, not TX-77", "holiday", "daily", 1_250),
    ],
)
def test_direction_amount_and_whose_it_is_are_told_apart(
    said: str, source: str, target: str, cents: int
) -> None:
    answer = DemoChatModel().bind_tools(MOVES).invoke([HumanMessage(said)])
    assert len(answer.tool_calls) == 1, answer
    args = answer.tool_calls[0]["args"]
    assert args["customer_id"].upper() == "CU-1001"
    assert (args["from_pot"], args["to_pot"], args["amount_cents"]) == (source, target, cents)


def test_a_reason_ends_where_the_next_wish_begins(desk: _Desk) -> None:
    said = "Cancel order 1042 because I ordered it twice and don't need it and refund 25 EUR of 1044"
    request = desk.route(said)["targets"][0]["request"]
    args = desk.call("order_actions", request)[1]
    assert args == {"order_id": "1042", "reason": "I ordered it twice and don't need it"}


def test_a_direction_that_is_not_said_is_asked_for() -> None:
    answer = DemoChatModel().bind_tools(MOVES).invoke([HumanMessage("Move 20 EUR to holiday for CU-1001")])
    assert answer.tool_calls == []
    assert answer.text == "From which pot: daily, holiday?"


@pytest.mark.parametrize(
    ("tone", "thanks", "rejected"),
    [
        ("friendly and brief", "You're welcome.", "I'm sorry, a colleague rejected"),
        ("formal, never casual", "It was a pleasure", "I regret to inform you"),
        ("informal", "Anytime!", "Ah, no luck"),
        ("like a sea captain", "You're welcome.", "I'm sorry, a colleague rejected"),
    ],
)
def test_the_tone_chooses_the_phrases(tone: str, thanks: str, rejected: str) -> None:
    system, model = SystemMessage(f"Tone: {tone}"), DemoChatModel().bind_tools(UNSEEN)
    assert str(model.invoke([system, HumanMessage("thanks")]).text).startswith(thanks)
    call = {"name": "void_invoice", "args": {"invoice_id": "INV-1"}, "id": "c"}
    asked = [HumanMessage("void invoice INV-1"), AIMessage("", tool_calls=[call])]
    said = str(model.invoke([system, *asked, _result("void_invoice", "no", status="rejected")]).text)
    assert said.startswith(rejected)
    assert "nothing was changed" in said


def _result(name: str, content: Any, **artifact: Any) -> ToolMessage:
    text = content if isinstance(content, str) else json.dumps(content)
    return ToolMessage(text, tool_call_id="c", name=name, artifact={"status": "ok"} | artifact)


def _after(desk: _Desk, result: ToolMessage) -> str:
    call = {"name": result.name, "args": {"order_id": "1042"}, "id": "c"}
    history = [HumanMessage("cancel 1042"), AIMessage("", tool_calls=[call], name="order_actions"), result]
    answer = desk.act("order_actions", "cancel 1042", *history)
    assert answer.tool_calls == []
    return str(answer.text)


def test_it_says_what_a_result_says(desk: _Desk) -> None:
    assert (
        _after(desk, _result("cancel_order", {"message": "Order 1042 is cancelled."}))
        == "Order 1042 is cancelled."
    )
    said = _after(desk, _result("get_invoice", {"invoice_id": "INV-1", "total": 12, "lines": [1, 2]}))
    assert "invoice id INV-1" in said
    assert "{" not in said


def test_it_passes_a_refusal_on_and_claims_nothing(desk: _Desk) -> None:
    assert _after(desk, _result("cancel_order", "It is shipped.", status="error")) == "It is shipped."
    said = _after(
        desk,
        _result(
            "cancel_order", "rejected", status="rejected", reason="being packed", skipped=["generate_coupon"]
        ),
    )
    assert "being packed" in said
    assert "nothing was changed" in said
    assert "generate_coupon" in said
    assert "is cancelled" not in said
    assert "expired" in _after(desk, _result("cancel_order", "late", status="expired"))


def test_each_wish_has_its_own_id(desk: _Desk) -> None:
    said = "I want to cancel order #1042 and also change the address of order 1005 to 5 Rue X, 69001 Lyon"
    request = desk.route(said)["targets"][0]["request"]
    assert desk.call("order_actions", request) == ("cancel_order", {"order_id": "1042"})
    second = request.split(" and ", 1)[1]
    assert desk.call("order_actions", second)[1] == {"order_id": "1005", "new_address": "5 Rue X, 69001 Lyon"}


def test_an_address_ends_where_the_next_wish_begins(desk: _Desk) -> None:
    said = "change the address of 1042 to 5 Rue X, 69001 Lyon and give me 10% off the next order"
    targets = desk.route(said)["targets"]
    assert [target["agent"] for target in targets] == ["order_actions", "discount"]
    args = desk.call("order_actions", targets[0]["request"])[1]
    assert args == {"order_id": "1042", "new_address": "5 Rue X, 69001 Lyon"}


def test_a_wish_for_two_is_two_calls_one_after_the_other(desk: _Desk) -> None:
    history: list[BaseMessage] = [HumanMessage("cancel 1042 and 1045")]
    asked = []
    for _ in range(2):
        answer = desk.act("order_actions", "cancel 1042 and 1045", *history)
        asked.append(answer.tool_calls[0]["args"]["order_id"])
        done = ToolMessage(
            '{"message": "done"}', tool_call_id=answer.tool_calls[0]["id"], name="cancel_order"
        )
        history += [AIMessage("", tool_calls=answer.tool_calls, name="order_actions"), done]
    assert asked == ["1042", "1045"]
    assert desk.act("order_actions", "cancel 1042 and 1045", *history).tool_calls == []


async def test_streaming_says_the_same_in_pieces(desk: _Desk) -> None:
    messages = [SystemMessage("Greeting: Hello there, how can I help you today?"), HumanMessage("hello")]
    whole = await desk.model.ainvoke(messages)
    chunks = [chunk async for chunk in desk.model.astream(messages)]
    assert "".join(str(chunk.content) for chunk in chunks) == whole.content
    assert len([chunk for chunk in chunks if chunk.content]) > 4
    assert whole.usage_metadata
    assert whole.usage_metadata["output_tokens"] > 0


texts = st.text(max_size=300) | st.sampled_from(
    [
        "cancel " * 50,
        "\x00\u202e1042",
        "10% " * 30,
        "to " * 60,
        "because",
        '"quoted',
        "€",
        "1042 and 1043, 1044; 1045",
    ]
)
schemas = st.recursive(
    st.sampled_from(
        [{}, {"type": "string"}, {"type": "integer"}, {"enum": ["a", 1, None]}, {"$ref": "#/$defs/x"}]
    ),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.text(max_size=5), inner, max_size=2)}
        )
    ),
    max_leaves=4,
)
names = st.sampled_from(
    ["order_id", "email", "percent", "amount_cents", "reason", "x", "new_address", "when", "ids"]
)


@given(
    st.lists(texts, min_size=1, max_size=4),
    st.lists(st.dictionaries(names, schemas, max_size=3), max_size=3),
)
def test_whatever_is_said_and_bound_it_calls_only_what_is_bound(
    said: list[str], bound: list[dict[str, Any]]
) -> None:
    tools = [
        _function(f"cancel_thing_{n}", "Cancels.", properties, *properties)
        for n, properties in enumerate(bound)
    ]
    answer = DemoChatModel().bind_tools(tools).invoke([HumanMessage(text) for text in said])
    again = DemoChatModel().bind_tools(tools).invoke([HumanMessage(text) for text in said])
    assert answer.content == again.content
    assert answer.tool_calls == again.tool_calls
    for call in answer.tool_calls:
        assert call["name"] in {tool["function"]["name"] for tool in tools}
        json.dumps(call["args"])
    assert answer.tool_calls or str(answer.text)


@given(st.lists(texts, min_size=1, max_size=3))
def test_whatever_is_said_is_routed_somewhere(said: list[str]) -> None:
    team = load_team(Settings().agents_path)
    bound = DemoChatModel().bind_tools([route_tool(team, Registry())])
    args = bound.invoke([HumanMessage(text) for text in said]).tool_calls[0]["args"]
    assert bool(args["targets"]) != bool(args.get("question"))
    assert all(target["agent"] in {spec.name for spec in team.agents} for target in args["targets"])
