"""The official SDK, version 1."""

import asyncio
import sys
from datetime import timedelta

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client


async def main(url: str, approved: str, rejected: str, late: str) -> None:
    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        print("listed", "cancel_order" in {tool.name for tool in (await session.list_tools()).tools})
        answer = await session.call_tool("get_order_status", {"order_id": approved})
        print("read", answer.structuredContent["status"])
        for name, order in (("approved", approved), ("rejected", rejected)):
            answer = await session.call_tool("cancel_order", {"order_id": order})
            print(name, "error" if answer.isError else answer.structuredContent["status"])
        try:
            await session.call_tool(
                "cancel_order", {"order_id": late}, read_timeout_seconds=timedelta(seconds=1)
            )
        except McpError:
            print("cut off", True, flush=True)
        answer = await session.call_tool("cancel_order", {"order_id": late})
        print("joined", answer.meta["smart-support/joined"], answer.structuredContent["status"])


asyncio.run(main(*sys.argv[1:]))
