"""A toolset's methods as tools: their schema, arguments and card, and what is said where they break."""

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.approvals.digest import digest
from smart_support.errors import ConfigError, InvalidArguments, ToolFailed, ToolRefused
from smart_support.tools.registry import (
    Access,
    Args,
    Call,
    Change,
    Registry,
    Tool,
    Toolset,
    read,
    tools_of,
    write,
)

CALL = Call("thread", "call", "key")


class Lamps(Toolset):
    """Lamps that can be looked at and dimmed."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    @read
    def look(self, lamp: str) -> dict[str, Any]:
        """How bright a lamp is.

        Args:
            lamp: Its name.
        """
        if lamp == "broken":
            raise OSError("/var/lib/lamps.sqlite: SELECT level FROM lamps")
        return {"lamp": lamp}

    @write(risk="high", version="2", idempotent=True, summary="Dim {lamp} to {percent}%")
    def dim(self, lamp: str, call: Call, percent: int | None = None) -> dict[str, Any]:
        """Dim a lamp.

        Args:
            lamp: Its name.
            percent: How bright it stays; left out for off.
        """
        if lamp == "welded":
            raise ToolRefused("That lamp can't be dimmed.")
        return {"percent": percent, "key": call.idempotency_key}

    def helper(self) -> None:
        """Not a tool: it is not marked."""

    def preview(self, method: str, args: Args) -> list[Change]:
        if args["lamp"] == "broken":
            raise OSError("/var/lib/lamps.sqlite: SELECT level FROM lamps")
        return [Change(args["lamp"], "level", "100", str(args.get("percent")))]

    def state_of(self, args: Args) -> dict[str, Any] | None:
        raise OSError("/var/lib/lamps.sqlite")

    def customer_of(self, args: Args) -> str | None:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")


@pytest.fixture(scope="module")
def tools() -> Any:
    with ThreadPoolExecutor(1) as executor:
        yield {tool.name: tool for tool in tools_of(Lamps(executor))}


def test_only_marked_methods_are_tools_and_say_what_they_are(tools: dict[str, Tool]) -> None:
    assert set(tools) == {"look", "dim"}
    assert (tools["look"].access, tools["look"].preview, tools["look"].state) == (Access.READ, None, None)
    dim = tools["dim"]
    assert (dim.access, dim.risk, dim.version, dim.idempotent) == (Access.WRITE, "high", "2", True)
    assert dim.description == "Dim a lamp."


def test_an_optional_argument_may_be_left_out_but_is_of_one_plain_type(tools: dict[str, Tool]) -> None:
    schema = tools["dim"].schema
    assert schema["required"] == ["lamp"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"lamp", "percent"}
    percent = schema["properties"]["percent"]
    assert percent["type"] == "integer"
    assert percent["description"] == "How bright it stays; left out for off."
    assert not {"anyOf", "default"} & set(percent)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, "lamp"),
        ({"lamp": 7}, "lamp"),
        ({"lamp": "a", "percent": 1.5}, "percent"),
        ({"lamp": "a", "percent": True}, "percent"),
        ({"lamp": "a", "percent": None}, "percent"),
        ({"lamp": "a", "call": {}}, "call"),
        ({"lamp": "a", "colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_is_named(tools: dict[str, Tool], args: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArguments, match=named):
        tools["dim"].check(args)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_float_is_the_same_call_as_its_integer(number: int) -> None:
    deep = {"type": "object", "properties": {"n": {"type": "integer"}, "x": {"type": "number"}}}
    many = {"type": "array", "items": deep}
    schema = {"type": "object", "properties": {**deep["properties"], "deep": deep, "many": many}}
    tool = Tool("t", "T.", schema, Access.READ, lambda args, call: NotImplemented)
    sent = {
        "n": float(number),
        "x": 2.0,
        "deep": {"n": float(number)},
        "many": [{"n": float(number), "x": 0.5}],
    }
    tool.check(sent)
    exact = tool.exact(sent)
    assert exact == sent
    assert [type(part["n"]) for part in (exact, exact["deep"], exact["many"][0])] == [int] * 3
    assert (type(exact["x"]), type(exact["many"][0]["x"])) == (float, float)

    def approved(args: dict[str, Any]) -> str:
        return digest(tool="t", version="1", args=args, thread_id="t", customer_id=None)

    assert approved(exact) == approved(sent)


async def test_a_tool_gets_its_call_beside_its_arguments(tools: dict[str, Tool]) -> None:
    assert await tools["dim"].run({"lamp": "a"}, CALL) == {"percent": None, "key": "key"}
    assert await tools["look"].run({"lamp": "a"}, CALL) == {"lamp": "a"}


async def test_what_a_rule_refuses_is_said_as_it_is(tools: dict[str, Tool]) -> None:
    with pytest.raises(ToolRefused, match=r"^That lamp can't be dimmed\.$"):
        await tools["dim"].run({"lamp": "welded"}, CALL)


async def test_what_breaks_tells_no_path_and_no_sql(tools: dict[str, Tool]) -> None:
    look, dim, args = tools["look"], tools["dim"], {"lamp": "broken"}
    assert dim.preview
    assert dim.state
    assert dim.customer
    for work in (look.run(args, CALL), dim.preview(args), dim.state(args), dim.customer(args)):
        with pytest.raises(ToolFailed) as failed:
            await work
        assert failed.value.message.endswith("failed and changed nothing; try again later.")


def test_a_card_has_a_sentence_whatever_is_left_out(tools: dict[str, Tool]) -> None:
    assert tools["dim"].summary({"lamp": "a", "percent": 5}) == "Dim a to 5%"
    assert tools["dim"].summary({"lamp": "a"}) == "Dim a to not given%"
    assert tools["look"].summary({"lamp": "a"}) == "Look: lamp a"


def test_a_name_is_taken_once(tools: dict[str, Tool]) -> None:
    registry = Registry(tools.values())
    assert "dim" in registry
    assert registry.get("dim") is tools["dim"]
    assert registry.get("brighten") is None
    assert {tool.name for tool in registry} == {"look", "dim"}
    with pytest.raises(ConfigError, match="'dim' is defined twice"):
        registry.add(tools["dim"])


@pytest.mark.parametrize("name", ["Book", "nonUsefulTool", "look-up", "look_up"])
def test_a_tool_in_python_may_have_any_name_that_providers_accept(name: str) -> None:
    async def run(args: Any, call: Any) -> None:
        return None

    schema = {"type": "object"}
    assert Tool(name=name, description="D.", schema=schema, access=Access.READ, run=run).name == name
