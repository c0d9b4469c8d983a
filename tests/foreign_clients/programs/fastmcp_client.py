"""The client of FastMCP."""

import asyncio
import sys

from fastmcp import Client


async def main(url: str, approved: str, rejected: str, late: str) -> None:
    async with Client(url) as client:
        print("listed", "cancel_order" in {tool.name for tool in await client.list_tools()})
        answer = await client.call_tool("get_order_status", {"order_id": approved})
        print("read", answer.structured_content["status"])
        for name, order in (("approved", approved), ("rejected", rejected)):
            answer = await client.call_tool("cancel_order", {"order_id": order}, raise_on_error=False)
            print(name, "error" if answer.is_error else answer.structured_content["status"])
        try:
            await client.call_tool("cancel_order", {"order_id": late}, timeout=1)
        except Exception:
            print("cut off", True, flush=True)
        answer = await client.call_tool("cancel_order", {"order_id": late})
        print("joined", answer.meta["smart-support/joined"], answer.structured_content["status"])


asyncio.run(main(*sys.argv[1:]))
