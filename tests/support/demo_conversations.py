"""Conversations with the embedded model as the application has them, without its server and stores."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from smart_support.agents.graph import function_schema
from smart_support.agents.prompts import agent_prompt, route_tool, router_prompt
from smart_support.agents.team import AgentSpec, Team, load_team, with_tools
from smart_support.agents.tool_messages import refused, tool_message, with_all_results
from smart_support.clock import new_id
from smart_support.conversation.side_thread import STILL_DECIDING
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.model.chat_model import DemoChatModel
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.demo.toolset import DemoToolset
from smart_support.errors import ToolRefused
from smart_support.gate.call_result import CallResult
from smart_support.settings import ROOT, TEMPLATES
from smart_support.tools.handoff import ESCALATE, handoff_tool
from smart_support.tools.registry import Access, Args, Call, Registry, Tool, tools_of
from smart_support.tools.withdrawal import WITHDRAW, withdrawal_tool

TOOLSETS: dict[str, type[DemoToolset]] = {
    "e-commerce": CommerceTools,
    "saas": SaasTools,
    "fintech": FintechTools,
}
MAX_STEPS = 20
# Tools of an imported API, as the shop's agents get them: some sound like the shop's own.
_IMPORTED: tuple[tuple[str, str, str, Access, dict[str, str], tuple[str, ...]], ...] = (
    ("tickets", "list_tickets", "List tickets", Access.READ, {}, ()),
    (
        "tickets",
        "create_ticket",
        "Create a ticket",
        Access.WRITE,
        {"subject": "string", "priority": "integer"},
        (),
    ),
    ("tickets", "get_ticket", "Show a ticket", Access.READ, {"ticket_id": "integer"}, ("ticket_id",)),
    ("tickets", "delete_ticket", "Delete a ticket", Access.WRITE, {"ticket_id": "integer"}, ("ticket_id",)),
    ("tickets", "search_tickets", "Search tickets", Access.WRITE, {"text": "string"}, ()),
    (
        "purchases",
        "get_purchase_by_id",
        "Find purchase order by ID",
        Access.READ,
        {"order_id": "integer"},
        ("order_id",),
    ),
    (
        "purchases",
        "delete_purchase",
        "Delete purchase order by ID",
        Access.WRITE,
        {"order_id": "integer"},
        ("order_id",),
    ),
    (
        "stores",
        "get_opening_hours",
        "When a store is open",
        Access.READ,
        {"store_id": "integer"},
        ("store_id",),
    ),
    (
        "members",
        "get_points",
        "The loyalty points of a member",
        Access.READ,
        {"member_id": "string"},
        ("member_id",),
    ),
    (
        "members",
        "add_points",
        "Add loyalty points to a member",
        Access.WRITE,
        {"member_id": "string", "points": "integer"},
        ("member_id", "points"),
    ),
)


async def _escalate(thread_id: str, reason: str, about: str | None = None, kind: Any = None) -> bool:
    return False


async def _withdraw(thread_id: str, interrupt_id: str, reason: str | None) -> bool:
    return True


async def _done(args: Args, call: Call) -> dict[str, str]:
    return {"message": "Done."}


def imported_tools() -> list[tuple[str, Tool]]:
    """The agents and tools of an imported API."""
    return [
        (
            agent,
            Tool(
                name=name,
                description=f"{words} (Ticket Desk)",
                schema={
                    "type": "object",
                    "properties": {part: {"type": type_} for part, type_ in properties.items()},
                    "required": list(required),
                    "additionalProperties": False,
                },
                access=access,
                run=_done,
            ),
        )
        for agent, name, words, access, properties, required in _IMPORTED
    ]


class Business:
    """The agents and tools of a template, with imported tools beside its own."""

    def __init__(self, template: str, store: DemoStore, imported: list[tuple[str, Tool]]) -> None:
        own: Team = load_team(TEMPLATES / f"{template}.yaml")
        words = own.personality.escalation_message
        tools = tools_of(TOOLSETS[template](store))
        self.registry = Registry([*tools, handoff_tool(_escalate, words), *(tool for _, tool in imported)])
        self.team = with_tools(own, [(agent, "Ticket Desk", tool) for agent, tool in imported], self.registry)
        self.writes = {tool.name for tool in self.registry if tool.access is Access.WRITE}


@contextmanager
def business(template: str, folder: Path, imported: list[tuple[str, Tool]] = []) -> Iterator[Business]:  # noqa: B006
    """A business with a store of its own."""
    name = TOOLSETS[template].business
    store = DemoStore(folder / f"{new_id()}.sqlite", ROOT / "data" / name, name)
    try:
        yield Business(template, store, imported)
    finally:
        store.close()


class Conversation:
    """One conversation. A write that is proposed waits for ever, unless the customer withdraws it."""

    def __init__(self, business: Business) -> None:
        self._business = business
        self._model = DemoChatModel()
        self._history: list[AnyMessage] = []
        self._waiting: dict[str, Any] | None = None
        self._said: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self.was_withdrawn = False

    def say(self, text: str) -> dict[str, Any]:
        """The answer, in the shape that `POST /chat` has."""
        self._said, self._calls = [], []
        self.was_withdrawn = False
        message = HumanMessage(text, id=new_id())
        if self._waiting:
            self._answer([*with_all_results(self._history, STILL_DECIDING), message], read_only=True)
        if self.was_withdrawn or not self._waiting:
            self._history.append(message)
            self._answer(self._history, read_only=False)
        escalated = next((call["args"] for call in self._calls if call["tool"] == ESCALATE), None)
        reply = "\n\n".join(self._said)
        if self._waiting:
            reply = f"A colleague decides. {reply}"
        return {"reply": reply, "tool_calls": self._calls, "escalation": escalated}

    def _answer(self, history: list[AnyMessage], *, read_only: bool) -> None:
        team = self._business.team
        tools = [route_tool(team, self._business.registry)]
        answer = self._model.bind_tools(tools).invoke([SystemMessage(router_prompt(team)), *history])
        routing = answer.tool_calls[0]["args"]
        if routing.get("question") and not read_only:
            self._said.append("\n- ".join([routing["question"], *routing["options"]]))
            history.append(AIMessage(self._said[-1]))
        for target in routing["targets"]:
            spec = team.agent(target["agent"])
            assert spec
            if not self._agent_answers(spec, target["request"], history, read_only=read_only):
                return

    def _agent_answers(
        self, spec: AgentSpec, request: str, history: list[AnyMessage], *, read_only: bool
    ) -> bool:
        """Whether the next agent may go on."""
        known = [tool for name in spec.tools if (tool := self._business.registry.get(name))]
        known += [withdrawal_tool(_withdraw)] if read_only else []
        prompt = SystemMessage(agent_prompt(self._business.team, spec, request))
        for _ in range(MAX_STEPS):
            answer = self._model.bind_tools([function_schema(tool) for tool in known]).invoke(
                [prompt, *history]
            )
            answer.name = spec.name
            history.append(answer)
            if not answer.tool_calls:
                self._said.append(str(answer.text))
                return True
            call = dict(answer.tool_calls[0])
            self._calls.append({"tool": call["name"], "args": call["args"]})
            tool = next(one for one in known if one.name == call["name"])
            if tool.name == WITHDRAW:
                self._withdraw()
                return False
            if tool.access is Access.WRITE and not read_only:
                self._waiting = call | {"agent": spec.name}
                return False
            history.append(_result(tool, call, spec.name))
        raise AssertionError("the model goes on for ever")

    def _withdraw(self) -> None:
        assert self._waiting
        answer = {"outcome": "withdrawn", "decided_by": "customer"}
        self._history.append(refused(self._waiting, answer, self._waiting["agent"], []))
        self._waiting, self.was_withdrawn = None, True


def _result(tool: Tool, call: dict[str, Any], agent: str) -> ToolMessage:
    status, text = "ok", ""
    if tool.access is Access.WRITE:
        status, text = "skipped", "It can't be asked for while a colleague is deciding."
    else:
        tool.check(call["args"])
        try:
            text = str(asyncio.run(_run(tool, call["args"])))
        except ToolRefused as error:
            status, text = "error", error.message
    return tool_message(
        CallResult(tool_call_id=call["id"], tool=tool.name, agent=agent, status=status, text=text)  # type: ignore[arg-type]
    )


async def _run(tool: Tool, args: Args) -> str:
    return orjson.dumps(await tool.run(tool.exact(args), Call("t", "c", new_id()))).decode()
