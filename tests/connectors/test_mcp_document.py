"""MCP servers are listed whole, and one that says nothing holds nobody up."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from smart_support.connectors import mcp_client
from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.mcp_document import mcp_document
from smart_support.connectors.operation_definition import comparable, definition_of
from smart_support.connectors.review.classify import classify
from smart_support.errors import ToolFailed, ToolRefused, ToolUnauthorized, ToolUnavailable
from tests.support.harness import ROOT
from tests.support.mcp_servers.event_stream import event_stream_server
from tests.support.mcp_servers.paged import PAGES

PAGED = [sys.executable, str(ROOT / "tests/support/mcp_servers/paged.py")]
OLD = str(ROOT / "tests/support/mcp_servers/old.py")
PLAIN = str(ROOT / "tests/support/mcp_servers/plain.py")
SILENT = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@asynccontextmanager
async def _servers(**commands: list[str]) -> AsyncIterator[McpClient]:
    """A client of these configured servers, whose processes end with it."""
    client = McpClient(commands, frozenset())
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.slow
async def test_tools_are_listed_to_the_last_page() -> None:
    async with _servers(paged=PAGED) as servers:
        listed = await servers.list_tools("paged")
    document = mcp_document(listed)
    assert document.title == "Paged"
    assert {classify(one).agent for one in document.operations} == {"paged"}, "one server, one agent"
    assert [one.tool_name for one in document.operations] == [f"look_{number}" for number in range(PAGES)]


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_client, "LIST_SECONDS", 0.5)
    async with _servers(silent=SILENT) as servers:
        with pytest.raises(ToolUnavailable, match=r"did not respond within 0\.5 s"):
            await servers.list_tools("silent")


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_server_of_an_older_revision_is_listed_and_called(revision: str) -> None:
    async with _servers(old=[sys.executable, "-S", OLD, revision]) as servers:
        assert [tool["name"] for tool in (await servers.list_tools("old"))["tools"]] == ["echo"]
        called = await servers.call_tool("old", "echo", {"text": "é"}, title="Old", token=None, key="k-1")
    # It knows no probe for a newer revision; its one session sends one.
    assert called == {"revision": revision, "key": "k-1", "text": "é", "probes": 1}


async def test_what_an_old_server_refuses_was_not_done() -> None:
    async with _servers(old=[sys.executable, "-S", OLD, "2025-06-18"]) as servers:
        with pytest.raises(ToolRefused, match="Unknown tool"):
            await servers.call_tool("old", "nothing", {}, title="Old", token=None, key=None)


async def test_a_server_that_does_not_start_was_not_called() -> None:
    async with _servers(gone=[sys.executable, "-c", "raise SystemExit(3)"], no=["/nowhere"]) as servers:
        for name in ("gone", "no"):
            with pytest.raises(ToolFailed, match="nothing was done"):
                await servers.call_tool(name, "echo", {}, title="Gone", token=None, key=None)


@pytest.mark.slow
async def test_an_answer_counts_however_the_session_ends() -> None:
    """The server says what it did and then hangs, so that it has to be killed."""
    async with _servers(old=[sys.executable, "-S", OLD, "2025-06-18", "hang"]) as servers:
        called = await servers.call_tool("old", "echo", {"text": "x"}, title="Old", token=None, key=None)
    assert called["text"] == "x"


async def test_an_answer_nested_beyond_what_can_be_stored_is_kept_as_text() -> None:
    text = "[" * 600 + "]" * 600
    args = {"text": text, "raw": True}
    async with _servers(old=[sys.executable, "-S", OLD, "2025-06-18"]) as servers:
        assert await servers.call_tool("old", "echo", args, title="Old", token=None, key=None) == text


async def test_a_server_of_the_first_revision_answers_over_an_event_stream() -> None:
    with event_stream_server("key-4713") as server:
        servers = McpClient({}, frozenset({"127.0.0.1"}))
        with pytest.raises(ToolUnauthorized):
            await servers.list_tools(server.url)
        listed = await servers.list_tools(server.url, "key-4713")
        assert [tool["name"] for tool in listed["tools"]] == ["echo"]
        posts = server.requests.count("POST /sse")
        called = await servers.call_tool(server.url, "echo", {}, title="Old", token="key-4713", key=None)
        assert called == "said"
        # Its transport is known by then, so the newer one is not tried again.
        assert server.requests.count("POST /sse") == posts


def test_tools_that_can_not_be_called_are_named() -> None:
    tool = {"name": "look", "description": "Look.", "schema": {"type": "object"}}
    listing = {"mcp": {"title": "Many", "version": "1"}, "tools": [tool, tool], "left_out": ["far", "away"]}
    document = mcp_document(listing)
    assert len(document.operations) == 1
    told = " ".join(finding.message for finding in document.findings)
    assert "two tools are named `look`" in told
    assert "`far`, `away`" in told


async def test_five_hundred_tools_are_all_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string", "description": "The id."}}}
    tools = [{"name": f"look_{number}", "inputSchema": schema} for number in range(600)]
    (tmp_path / "tools.json").write_text(json.dumps(tools))
    async with _servers(plain=[sys.executable, "-S", PLAIN, str(tmp_path)]) as servers:
        listed = await servers.list_tools("plain")
        assert (len(listed["tools"]), "left_out" in listed) == (600, False)
        monkeypatch.setattr(mcp_client, "MAX_TOOLS", 500)
        listed = await servers.list_tools("plain")
    assert (len(listed["tools"]), listed["left_out"][:2]) == (500, ["look_500", "look_501"])


def test_the_whole_description_of_a_tool_is_kept() -> None:
    words = "Transfer money.\n\nOnly where the customer has agreed in writing."
    tool = {"name": "transfer", "description": words, "schema": {"type": "object"}}
    document = mcp_document({"mcp": {"title": "Bank", "version": "1"}, "tools": [tool]})
    assert document.operations[0].description == words
    long = mcp_document(
        {"mcp": {"title": "Bank", "version": "1"}, "tools": [tool | {"description": "x" * 9000}]}
    )
    assert "9,000 characters" in long.operations[0].findings[0].message


def test_the_hints_of_a_server_are_part_of_a_tool_from_when_they_were_stored() -> None:
    tool = {"name": "look", "description": "Look.", "schema": {"type": "object"}}
    stored = [tool, *(tool | {"hints": {"readOnlyHint": value}} for value in (True, False))]
    unknown, reading, writing = (
        mcp_document({"mcp": {"title": "T", "version": "1"}, "tools": [one]}).operations[0] for one in stored
    )
    assert comparable(writing, unknown) == unknown
    assert comparable(writing, reading) == writing
    assert definition_of(reading, {}, "T")["hints"] == "readOnlyHint true"
    assert definition_of(reading, {}, "T") != definition_of(writing, {}, "T")
