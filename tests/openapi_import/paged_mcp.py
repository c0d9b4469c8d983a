"""An MCP server on stdio that tells of its tools one page at a time."""

import asyncio

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import ListToolsRequest, ListToolsResult, Tool

PAGES = 4
server: Server = Server("Paged")


@server.list_tools()  # type: ignore[no-untyped-call, untyped-decorator]
async def _page(request: ListToolsRequest) -> ListToolsResult:
    number = int((request.params and request.params.cursor) or 0)
    tool = Tool(name=f"look_{number}", description="Look.", inputSchema={"type": "object"})
    return ListToolsResult(tools=[tool], nextCursor=str(number + 1) if number + 1 < PAGES else None)


async def _serve() -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(_serve())
