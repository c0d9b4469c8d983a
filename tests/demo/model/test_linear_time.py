"""The embedded model takes linear time for any message of the permitted size."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage

from smart_support.agents.graph import function_schema
from smart_support.agents.prompts import agent_prompt, route_tool, router_prompt
from smart_support.agents.team import load_team
from smart_support.demo.model import language
from smart_support.demo.model.chat_model import answer
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.settings import ROOT, Settings
from smart_support.text import clean_text
from smart_support.tools.handoff import handoff_tool
from smart_support.tools.registry import Registry, tools_of
from tests.support.cpu_cost import cost
from tests.support.examples import examples
from tests.test_text import any_text

CHARS = 9_900
# Equal letters cost 400 before; what is linear costs less than a tenth of this.
MOST = 50
UNITS = [
    *(
        "a",
        "A",
        "1",
        "-",
        " ",
        "\n",
        "\t",
        "'",
        '"',
        "@",
        ".",
        ",",
        "é",
        "中",
        "😀",
        "\u0301",
        "\u3000",
        "٣",
        "_",
    ),
    *(
        "a ",
        "a1",
        "A-1 ",
        "1,",
        "1.",
        "a@",
        "a.a@",
        "([{",
        "((",
        "))",
        "order, ",
        "1042, ",
        "because ",
        ", it ",
    ),
    *(
        "to ",
        "to 1 ",
        "is A",
        "and then ",
        "pay a ",
        "% ",
        "1 eur ",
        "$1",
        "1 day ",
        "trial ",
        "cancel order 1042, ",
    ),
]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Has the model route a text, then act on it; gives the CPU seconds that took."""
    folder: Path = tmp_path_factory.mktemp("shop")
    store = DemoStore(folder / "shop.sqlite", ROOT / "data" / "shop")

    async def escalate(*_: Any) -> bool:
        return False

    registry = Registry([*tools_of(CommerceTools(store)), handoff_tool(escalate, "A colleague takes over.")])
    team = load_team(Settings().agents_path)
    route, tools = [route_tool(team, registry)], [function_schema(tool) for tool in registry]

    def both(text: str) -> None:
        answer([SystemMessage(router_prompt(team)), HumanMessage(text)], route)
        answer([SystemMessage(agent_prompt(team, team.agents[1], text)), HumanMessage(text)], tools)

    def cost_of(text: str) -> float:
        language.terms.cache_clear()
        language.identifiers.cache_clear()
        return cost(lambda: both(text))

    yield cost_of
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_a_long_message_takes_no_time(ask: Any, unit: str) -> None:
    assert ask((unit * CHARS)[:CHARS]) < MOST
    assert ask((unit * CHARS)[:CHARS] + "!") < MOST


# Text is cleaned where it enters the system.
valid_text = any_text.map(clean_text)


@settings(max_examples=examples(25))
@given(valid_text.filter(bool), valid_text)
def test_whatever_is_repeated_takes_no_time(ask: Any, unit: str, end: str) -> None:
    assert ask((unit * CHARS)[:CHARS] + end) < MOST


@given(st.text(st.sampled_from("ab1 \n.,@"), max_size=60))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    if not any(len(gap) > 2 for gap in text.replace("\n", " ").split("a")):
        assert language.shortened(text) == text
