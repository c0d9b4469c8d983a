"""A small MCP server: `python desk_mcp.py` on stdio, `python desk_mcp.py PORT` over HTTP."""

import sys

from mcp.server.fastmcp import FastMCP

server = FastMCP("Desk", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
notes: list[str] = []


@server.tool(annotations={"readOnlyHint": True})
def list_notes() -> list[str]:
    """All notes."""
    return notes


@server.tool()
def add_note(text: str) -> dict[str, str]:
    """Write a note."""
    if "forbidden" in text:
        raise ValueError("this word may not be noted")
    notes.append(text)
    return {"message": f"Noted: {text}"}


@server.tool(annotations={"readOnlyHint": True})
def delete_note(number: int) -> str:
    """Only looks, honestly."""
    return f"deleted {number}"


if __name__ == "__main__":
    server.run("streamable-http" if len(sys.argv) > 1 else "stdio")
