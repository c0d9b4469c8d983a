"""MCP servers are listed whole, and one that says nothing holds nobody up."""

import sys

import pytest

from smart_support.connectors import mcp_client
from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.mcp_document import mcp_document
from smart_support.connectors.review.classify import classify
from smart_support.errors import ToolFailed, ToolRefused, ToolUnavailable
from tests.support.harness import ROOT
from tests.support.mcp_servers.paged import PAGES

PAGED = [sys.executable, str(ROOT / "tests/support/mcp_servers/paged.py")]
OLD = str(ROOT / "tests/support/mcp_servers/old.py")
SILENT = [sys.executable, "-c", "import sys; sys.stdin.read()"]


async def test_tools_are_listed_to_the_last_page() -> None:
    listed = await McpClient({"paged": PAGED}, frozenset()).list_tools("paged")
    document = mcp_document(listed)
    assert document.title == "Paged"
    assert {classify(one).agent for one in document.operations} == {"paged"}, "one server, one agent"
    assert [one.tool_name for one in document.operations] == [f"look_{number}" for number in range(PAGES)]


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_client, "LIST_SECONDS", 0.5)
    with pytest.raises(ToolUnavailable, match=r"did not respond within 0\.5 s"):
        await McpClient({"silent": SILENT}, frozenset()).list_tools("silent")


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_server_of_an_older_revision_is_listed_and_called(revision: str) -> None:
    servers = McpClient({"old": [sys.executable, "-S", OLD, revision]}, frozenset())
    assert [tool["name"] for tool in (await servers.list_tools("old"))["tools"]] == ["echo"]
    called = await servers.call_tool("old", "echo", {"text": "é"}, title="Old", token=None, key="k-1")
    # It knows no probe for a newer revision, so after the first session it is sent none.
    assert called == {"revision": revision, "key": "k-1", "text": "é", "probes": 0}


async def test_what_an_old_server_refuses_was_not_done() -> None:
    servers = McpClient({"old": [sys.executable, "-S", OLD, "2025-06-18"]}, frozenset())
    with pytest.raises(ToolRefused, match="Unknown tool"):
        await servers.call_tool("old", "nothing", {}, title="Old", token=None, key=None)


async def test_a_server_that_does_not_start_was_not_called() -> None:
    servers = McpClient(
        {"gone": [sys.executable, "-c", "raise SystemExit(3)"], "no": ["/nowhere"]}, frozenset()
    )
    for name in ("gone", "no"):
        with pytest.raises(ToolFailed, match="nothing was done"):
            await servers.call_tool(name, "echo", {}, title="Gone", token=None, key=None)


async def test_an_answer_counts_however_the_session_ends() -> None:
    """The server says what it did and then hangs, so that it has to be killed."""
    servers = McpClient({"old": [sys.executable, "-S", OLD, "2025-06-18", "hang"]}, frozenset())
    called = await servers.call_tool("old", "echo", {"text": "x"}, title="Old", token=None, key=None)
    assert called["text"] == "x"


async def test_an_answer_nested_beyond_what_can_be_stored_is_kept_as_text() -> None:
    servers = McpClient({"old": [sys.executable, "-S", OLD, "2025-06-18"]}, frozenset())
    text = "[" * 600 + "]" * 600
    assert (
        await servers.call_tool("old", "echo", {"text": text, "raw": True}, title="Old", token=None, key=None)
        == text
    )
