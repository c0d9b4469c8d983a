"""Where descriptions come from: an address, what was handed in, an MCP server. What they mean: parse.py."""

import asyncio
from typing import Any

from smart_support.connectors.mcp import McpServers
from smart_support.connectors.openapi.document.reader import load
from smart_support.errors import ToolFailed
from smart_support.outbound.client import GuardedClient

__all__ = ["Sources"]

DOWNLOAD_SECONDS = 60.0


class Sources:
    """Reads descriptions, each as one object."""

    def __init__(self, client: GuardedClient, mcp: McpServers, max_bytes: int) -> None:
        """`max_bytes`: of a description."""
        self._client, self._mcp, self._max_bytes = client, mcp, max_bytes

    async def downloaded(self, url: str) -> bytes:
        """The bytes at an address.

        Raises:
            SmartSupportError, TimeoutError: there are none to be had.
        """
        fetched = await self._client.request(
            "GET",
            url,
            headers={"Accept": "application/json, application/yaml, text/yaml, */*"},
            timeout_seconds=DOWNLOAD_SECONDS,
            max_bytes=self._max_bytes,
        )
        if fetched.status != 200:
            raise ToolFailed(
                f"The address answered {fetched.status}; give the one of the description itself."
            )
        return fetched.content

    async def read(self, raw: bytes | str) -> dict[str, Any]:
        """The description in these bytes.

        Raises:
            InvalidSpec: there is none.
        """
        return await asyncio.to_thread(load, raw, max_bytes=self._max_bytes)

    def check(self, server: str) -> None:
        """See that an MCP server can be asked.

        Raises:
            InvalidRequest: it is neither an address nor one that an operator has declared.
        """
        self._mcp.check(server)

    async def listed(self, server: str, token: str | None) -> dict[str, Any]:
        """What an MCP server offers.

        Raises:
            ToolUnavailable: it can't be asked.
        """
        return await self._mcp.listed(server, token)
