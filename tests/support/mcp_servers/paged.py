"""An MCP server on stdio that tells of its tools one page at a time."""

import asyncio
from typing import Any

from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import ListToolsResult, PaginatedRequestParams, Tool

PAGES = 4


async def _page(_: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
    number = int((params and params.cursor) or 0)
    tool = Tool(name=f"look_{number}", description="Look.", input_schema={"type": "object"})
    return ListToolsResult(tools=[tool], next_cursor=str(number + 1) if number + 1 < PAGES else None)


server = Server("Paged", on_list_tools=_page)


async def _serve() -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(_serve())
