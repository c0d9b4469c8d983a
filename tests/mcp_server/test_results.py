"""Answers to calls, held against the output schema that clients are told."""

from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from smart_support.actions.action import Action, Status
from smart_support.mcp_server.results import answer_of, described
from smart_support.tools.registry import Access, Args, Call, Tool

ROW = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}
ROWS = {"type": "array", "items": ROW}


def _tool(output_schema: Any) -> Tool:
    async def run(args: Args, call: Call) -> Any:
        return None

    schema: dict[str, Any] = {"type": "object", "properties": {}}
    kept: dict[str, Any] = {"schema": schema, "access": Access.WRITE, "run": run}
    return Tool(name="list_rows", description="Rows.", output_schema=output_schema, **kept)


def _action(status: Status, result: Any = None) -> Action:
    return Action(
        action_id="a",
        caller="claude",
        thread_id="t",
        channel="mcp",
        tool="list_rows",
        access=Access.WRITE,
        args={},
        call_digest="d",
        client={},
        status=status,
        result=result,
        requested_at="2026-01-01T00:00:00.000000Z",
    )


@pytest.mark.parametrize("schema", [ROW, ROWS, None])
@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("result", [{"sku": "x"}, [{"sku": "x"}], {"sku": 1}, [1], "text", None, {}])
def test_every_answer_fits_what_clients_are_told(schema: Any, status: Status, result: Any) -> None:
    tool = _tool(schema)
    answer = answer_of(_action(status, result), tool)
    told = described(tool).output_schema
    assert (told is None) is (schema is None)
    if told is not None:
        assert told["type"] == "object"
        assert Draft202012Validator(told).is_valid(answer.structured_content)


@pytest.mark.parametrize(
    ("schema", "result", "structured"),
    [
        (ROW, {"sku": "x"}, {"sku": "x"}),
        (ROWS, [{"sku": "x"}], {"result": [{"sku": "x"}]}),
        (None, {"sku": 1}, {"sku": 1}),
        (None, "text", {"result": "text"}),
    ],
)
def test_a_result_as_described_is_the_structured_content(schema: Any, result: Any, structured: Any) -> None:
    assert answer_of(_action("done", result), _tool(schema)).structured_content == structured


@pytest.mark.parametrize("tool", [_tool(ROW), None])
def test_a_result_that_is_not_as_described_comes_inside_of_the_action(tool: Tool | None) -> None:
    """Also where the tool is gone, as a client may still know its schema."""
    answer = answer_of(_action("done", {"sku": 1}), tool)
    assert (answer.is_error, answer.structured_content["status"]) == (False, "done")
    assert answer.structured_content["result"] == {"sku": 1}
    assert '"sku": 1' in answer.content[0].text or '"sku":1' in answer.content[0].text
