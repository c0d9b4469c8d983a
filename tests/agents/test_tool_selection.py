"""Of very many tools a model sees those that fit; the rest are found by words, and stay once used."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from smart_support import Settings, create_app
from smart_support.agents.tool_selection import FIND, SHOWN, ranked, shortlist
from smart_support.tools.registry import Access, Call, Tool
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type

THINGS = ["invoice", "parcel", "voucher", "contract", "meter", "ticket", "device", "booking", "room", "seat"]
DOES = ["list", "show", "rename", "archive"]


async def _run(args: Any, call: Call) -> Any:
    return {"message": "ok"}


def _tools() -> list[Tool]:
    return [
        Tool(f"{verb}_{thing}", f"{verb.capitalize()} a {thing}", {"type": "object"}, Access.READ, _run)
        for thing in THINGS
        for verb in DOES
    ]


def test_few_tools_are_all_shown() -> None:
    assert shortlist(_tools()[:SHOWN], "anything", []) == _tools()[:SHOWN]


@pytest.mark.parametrize("thing", THINGS)
def test_those_that_fit_the_words_come_first(thing: str) -> None:
    names = [tool.name for tool in shortlist(_tools(), f"Please rename my {thing}s", [])]
    assert len(names) == SHOWN
    assert names[0] == f"rename_{thing}"
    assert {f"{verb}_{thing}" for verb in DOES} <= set(names)


def test_what_was_just_used_stays_in_view() -> None:
    used = AIMessage("", tool_calls=[{"name": "archive_seat", "args": {}, "id": "1"}])
    names = [tool.name for tool in shortlist(_tools(), "show the meter", [used])]
    assert "archive_seat" in names
    assert "show_meter" in names


def test_words_that_fit_nothing_still_give_a_full_list() -> None:
    assert len(shortlist(_tools(), "¿qué?", [])) == SHOWN
    assert len(ranked(_tools(), "")) == len(_tools())


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("取消订单1042", "cancel_zh"),
        ("订单在哪里", "track_zh"),
        ("إلغاء الطلب من فضلك", "cancel_ar"),
        ("أين طلبي", "track_ar"),
        ("annuler ma reservation", "cancel_fr"),
        ("ANNULER LA RE\u0301SERVATION", "cancel_fr"),
        ("stornierung der bestellung", "cancel_de"),
        ("Bestellungen stornieren", "cancel_de"),
        ("où se trouve le colis", "track_fr"),
    ],
)
def test_words_of_any_language_are_matched_with_or_without_accents(words: str, name: str) -> None:
    descriptions = {
        "cancel_zh": "取消一个订单",
        "track_zh": "查询订单在哪里",
        "cancel_ar": "إلغاء طلب",
        "track_ar": "أين الطلب الآن",
        "cancel_fr": "Annuler une réservation",
        "track_fr": "Où se trouve un colis",
        "cancel_de": "Eine Bestellung stornieren",
        "track_de": "Wo ein Paket ist",
    }
    tools = [
        *_tools(),
        *(Tool(one, text, {"type": "object"}, Access.READ, _run) for one, text in descriptions.items()),
    ]
    assert ranked(tools, words)[0].name == name


class _Finds:
    """A model that asks for a tool it was not shown, then calls it."""

    def __init__(self) -> None:
        self.shown: list[list[str]] = []

    def __call__(self, messages: list[Any], tools: list[Any]) -> AIMessage:
        names = [tool["function"]["name"] for tool in tools]
        if names == ["route"]:
            target = {"agent": "order_lookup", "request": "help me"}
            return AIMessage("", tool_calls=[_call("route", targets=[target], reason="r")])
        self.shown.append(names)
        results = [message for message in messages if isinstance(message, ToolMessage)]
        if not results:
            return AIMessage("", tool_calls=[_call(FIND, words="rename a seat")])
        if len(results) == 1:
            return AIMessage("", tool_calls=[_call("rename_seat")])
        return AIMessage("Done.")


def _call(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": f"call-{name}"}


@pytest.fixture
async def app(data_dir: Path) -> AsyncIterator[tuple[LocalApp, _Finds]]:
    model = _Finds()
    made = create_app(Settings(data_dir=data_dir), chat_model=ScriptedModel(script=model))
    services = made.state.services
    own = services.demo_tools
    services.demo_tools = lambda shop: [*own(shop), *_tools()]
    team = services.own_team
    lookup = team.agents[0].model_copy(
        update={"tools": (*team.agents[0].tools, *(tool.name for tool in _tools()))}
    )
    services.own_team = type(team)(
        team.company, team.personality, (lookup, *team.agents[1:]), team.fallback, team.source
    )
    with LocalApp(made) as running:
        yield running, model


async def test_what_is_not_shown_can_be_found_and_called(app: tuple[LocalApp, _Finds]) -> None:
    running, model = app
    async with await Client.connect(running.ws_url) as client:
        events = await client.turn("t", HumanMessage("help me").text)
    found, renamed = of_type(events, "tool_result")
    assert (found["tool"], found["status"]) == (FIND, "ok")
    assert (renamed["tool"], renamed["status"]) == ("rename_seat", "ok")
    assert all(len(names) == SHOWN + 1 for names in model.shown)
    assert "rename_seat" not in model.shown[0]
    assert "rename_seat" in model.shown[1]
