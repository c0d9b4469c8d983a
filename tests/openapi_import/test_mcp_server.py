"""MCP servers are listed whole, and one that says nothing holds nobody up."""

import sys
from pathlib import Path

import pytest

from smart_support.errors import ToolUnavailable
from smart_support.openapi_import import mcp_server
from smart_support.openapi_import.classify import classify
from smart_support.openapi_import.mcp_server import McpServers, mcp_document
from tests.openapi_import.paged_mcp import PAGES

PAGED = [sys.executable, str(Path(__file__).with_name("paged_mcp.py"))]
SILENT = [sys.executable, "-c", "import sys; sys.stdin.read()"]


async def test_tools_are_listed_to_the_last_page() -> None:
    listed = await McpServers({"paged": PAGED}, frozenset()).listed("paged")
    document = mcp_document(listed)
    assert document.title == "Paged"
    assert {classify(one).agent for one in document.operations} == {"paged"}, "one server, one agent"
    assert [one.tool_name for one in document.operations] == [f"look_{number}" for number in range(PAGES)]


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_server, "LIST_SECONDS", 0.5)
    with pytest.raises(ToolUnavailable, match=r"did not answer within 0\.5 s"):
        await McpServers({"silent": SILENT}, frozenset()).listed("silent")
