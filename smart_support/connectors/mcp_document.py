"""Turns the tool list of an MCP server into a `Document`, for the same review as an API."""

from collections.abc import Mapping
from typing import Any

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.findings import Finding, Findings
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.document.tool_names import tool_names
from smart_support.connectors.openapi.schema.tool_schema import self_contained
from smart_support.tools.result_schema import shape_of

__all__ = ["MCP_SCHEMES", "TOKEN", "mcp_document"]

TOKEN = "token"
MAX_DESCRIPTION = 4000
MCP_SCHEMES = {TOKEN: SecurityScheme(name=TOKEN, kind="bearer", description="If the server requires one.")}


def mcp_document(listing: Mapping[str, Any]) -> Document:
    """The result of `McpClient.list_tools` as a document.

    Each tool becomes a POST, because nothing proves that it only reads: the server's own hints about its
    tools are untrusted.
    """
    server = listing["mcp"]
    findings = Findings()
    tools: dict[str, Mapping[str, Any]] = {}
    for tool in listing["tools"]:
        if (key := _key(tool)) in tools:
            message = f"two tools are named `{tool['name'][:60]}`; the second is left out"
            findings.report("error", "/tools", message)
        tools.setdefault(key, tool)
    if left_out := listing.get("left_out"):
        listed = ", ".join(f"`{name[:60]}`" for name in left_out)
        findings.report(
            "error",
            "/tools",
            f"only {len(listing['tools']):,} tools of the server can be called, not {listed} and later ones",
        )
    names = tool_names({key: tool["name"] for key, tool in tools.items()})
    return Document(
        title=server["title"],
        version=server["version"],
        format="mcp",
        schemes=MCP_SCHEMES,
        operations=tuple(_operation(tool, names[key], server["title"]) for key, tool in tools.items()),
        findings=findings.all(),
    )


def _key(tool: Mapping[str, Any]) -> str:
    return f"POST /{tool['name']}"


def _operation(tool: Mapping[str, Any], tool_name: str, server: str) -> Operation:
    schema, findings = self_contained(tool["schema"], References(dict(tool["schema"])))
    description = tool["description"].strip()
    if len(description) > MAX_DESCRIPTION:
        message = (
            f"the description has {len(description):,} characters; the first {MAX_DESCRIPTION:,} are kept"
        )
        findings = (*findings, Finding(severity="warning", place=f"/tools/{tool['name']}", message=message))
    return Operation(
        key=_key(tool),
        method="POST",
        path=f"/{tool['name']}",
        tool_name=tool_name,
        operation_id=tool["name"],
        tags=(server,),
        summary=description.partition("\n")[0][:200],
        description=description[:MAX_DESCRIPTION],
        schema={"type": "object", "properties": {}} | schema,
        findings=findings,
        hints=tool.get("hints"),
        result_schema=shape_of(tool.get("output_schema")),
    )
