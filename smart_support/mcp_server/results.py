"""Tools and actions as MCP describes and answers them."""

from typing import Any

from mcp.types import CallToolResult, TextContent, ToolAnnotations
from mcp.types import Tool as McpTool

from smart_support.actions.action import STATUSES, Action
from smart_support.errors import SmartSupportError
from smart_support.gate.call_result import as_text
from smart_support.observability.log import get_logger
from smart_support.tools.registry import Access, Tool, title_of

log = get_logger()
GET_ACTION = "get_action"
# The property that holds a result which is no object.
RESULT = "result"
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ACTION = {
    "type": "object",
    "properties": {
        "action_id": {"type": "string"},
        "thread_id": {"type": "string"},
        "tool": {"type": "string"},
        "args": {"type": "object"},
        "status": {"type": "string", "enum": list(STATUSES)},
        "joined": {"type": "boolean"},
        "possible_duplicate": {"type": "boolean"},
        "approval_id": _TEXT_OR_NULL,
        "result": {},
        "message": _TEXT_OR_NULL,
        "requested_at": {"type": "string"},
        "expires_at": _TEXT_OR_NULL,
        "settled_at": _TEXT_OR_NULL,
    },
    "required": ["action_id", "tool", "args", "status", "joined"],
}


def described(tool: Tool) -> McpTool:
    """A tool of the registry; its hints follow from its access."""
    is_read = tool.access is Access.READ
    return McpTool(
        name=tool.name,
        title=title_of(tool.name),
        description=tool.description,
        input_schema={"type": "object", **tool.schema},
        output_schema=_output_schema(tool),
        annotations=ToolAnnotations(
            title=title_of(tool.name),
            read_only_hint=is_read,
            destructive_hint=None if is_read else True,
            idempotent_hint=None if is_read else tool.idempotent,
        ),
    )


def _output_schema(tool: Tool) -> dict[str, Any] | None:
    """The schema of the structured content of a call: the tool's result, or the action.

    The action comes where the call waits, still runs, or has a result that is not as described.
    """
    if tool.output_schema is None:
        return None
    own = tool.output_schema
    if own.get("type") != "object":
        own = {"type": "object", "properties": {RESULT: own}, "required": [RESULT]}
    return {"type": "object", "anyOf": [own, _ACTION]}


def get_action_tool(most_seconds: float) -> McpTool:
    """The tool that returns an action of the client's own."""
    return McpTool(
        name=GET_ACTION,
        title="Get action",
        description=(
            "Get an action that you have requested: whether it still waits for a colleague's approval, and "
            "what came of it. With wait_seconds, answers as soon as it is settled."
        ),
        input_schema={
            "type": "object",
            "properties": {
                "action_id": {"type": "string", "description": "As the call of the tool answered it."},
                "wait_seconds": {
                    "type": "number",
                    "description": f"Longer than {most_seconds:g} seconds is the same as {most_seconds:g}.",
                    "minimum": 0,
                    "default": 0,
                },
            },
            "required": ["action_id"],
            "additionalProperties": False,
        },
        output_schema=_ACTION,
        annotations=ToolAnnotations(title="Get action", read_only_hint=True),
    )


def answer_of(action: Action, tool: Tool | None) -> CallToolResult:
    """The answer to the call of a tool: its result, the action that waits, or why it failed.

    A result that is not what the tool's output schema says comes inside of the action, which the schema
    allows: a client that validates would otherwise take a call that has run for one that has failed.
    """
    meta = {
        "smart-support/action_id": action.action_id,
        "smart-support/status": action.status,
        "smart-support/joined": action.joined,
    }
    if action.status != "done":
        text = action.message or f"{title_of(action.tool)} is still running."
        if not action.is_settled:
            text += f" Its action_id is {action.action_id}."
        return CallToolResult(
            content=[TextContent(type="text", text=text)],
            structured_content=action.wire(),
            is_error=action.is_settled,
            _meta=meta,
        )
    # Before revision 2026-07-28 structured content has to be an object.
    structured = action.result if isinstance(action.result, dict) else {RESULT: action.result}
    if tool is None or not tool.has_described_result(action.result):
        log.info("result_not_as_described", tool=action.tool, action_id=action.action_id)
        structured = action.wire()
    text = f"{action.message} " if action.message else ""
    return CallToolResult(
        content=[TextContent(type="text", text=text + as_text(action.result))],
        structured_content=structured,
        _meta=meta,
    )


def action_answer(action: Action) -> CallToolResult:
    """The answer of `get_action`."""
    wire = action.wire()
    return CallToolResult(
        content=[TextContent(type="text", text=as_text(wire))], structured_content=wire, is_error=False
    )


def refusal(error: SmartSupportError) -> CallToolResult:
    """The answer to a call that was not accepted."""
    said: dict[str, Any] = {"error": {"code": error.code, "message": error.message, **error.fields}}
    return CallToolResult(
        content=[TextContent(type="text", text=error.message)], structured_content=said, is_error=True
    )
