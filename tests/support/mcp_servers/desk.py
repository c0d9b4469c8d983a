"""A small MCP server: `python desk.py` on stdio, `python desk.py PORT [TOKEN]` over HTTP."""

import sys
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

server = MCPServer("Desk")
notes: list[str] = []


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def list_notes() -> list[str]:
    """All notes."""
    return notes


@server.tool()
def add_note(text: str) -> dict[str, str]:
    """Write a note."""
    if "forbidden" in text:
        raise ToolError("this word may not be noted")
    notes.append(text)
    return {"message": f"Noted: {text}"}


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def delete_note(number: int) -> str:
    """Only looks, honestly."""
    return f"deleted {number}"


def _served(port: int, token: str) -> None:
    """Over HTTP, to those who have the token, where one is wanted."""
    import uvicorn

    inner = server.streamable_http_app()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"").decode()
        if scope["type"] == "http" and token and given != f"Bearer {token}":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await inner(scope, receive, send)

    uvicorn.run(app, port=port, log_level="error")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _served(int(sys.argv[1]), "".join(sys.argv[2:]))
    else:
        server.run("stdio")
