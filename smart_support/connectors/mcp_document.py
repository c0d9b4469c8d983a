"""Turns the tool list of an MCP server into a `Document`, for the same review as an API."""

from collections.abc import Mapping
from typing import Any

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.document.tool_names import tool_names
from smart_support.connectors.openapi.schema.tool_schema import self_contained

__all__ = ["MCP_SCHEMES", "TOKEN", "mcp_document"]

TOKEN = "token"
MCP_SCHEMES = {TOKEN: SecurityScheme(name=TOKEN, kind="bearer", description="If the server requires one.")}


def mcp_document(listing: Mapping[str, Any]) -> Document:
    """The result of `McpClient.list_tools` as a document.

    Each tool becomes a POST, because nothing proves that it only reads: the server's own hints about its
    tools are untrusted.
    """
    server = listing["mcp"]
    names = tool_names({_key(tool): tool["name"] for tool in listing["tools"]})
    return Document(
        title=server["title"],
        version=server["version"],
        format="mcp",
        schemes=MCP_SCHEMES,
        operations=tuple(_operation(tool, names[_key(tool)], server["title"]) for tool in listing["tools"]),
    )


def _key(tool: Mapping[str, Any]) -> str:
    return f"POST /{tool['name']}"


def _operation(tool: Mapping[str, Any], tool_name: str, server: str) -> Operation:
    schema, findings = self_contained(tool["schema"], References(dict(tool["schema"])))
    return Operation(
        key=_key(tool),
        method="POST",
        path=f"/{tool['name']}",
        tool_name=tool_name,
        operation_id=tool["name"],
        tags=(server,),
        summary=tool["description"].partition("\n")[0][:200],
        description=tool["description"][:4000],
        schema={"type": "object", "properties": {}} | schema,
        findings=findings,
    )
