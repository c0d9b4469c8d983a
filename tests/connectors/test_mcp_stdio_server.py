"""A configured MCP server has one process: kept, restarted when it has ended, and closed at the end."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from smart_support.connectors import mcp_client, mcp_stdio_server
from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.mcp_result import reason_of
from smart_support.errors import ResponseTooLarge, ToolFailed, ToolRefused, ToolUnavailable
from tests.support.harness import ROOT

SERVER = str(ROOT / "tests/support/mcp_servers/plain.py")
SECONDS = 20.0


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[McpClient]:
    command = [sys.executable, "-S", "-E", SERVER, str(tmp_path)]
    client = McpClient({"plain": command}, frozenset(), timeout_seconds=SECONDS)
    yield client
    await client.close()


async def _call(client: McpClient, name: str = "echo", **args: Any) -> Any:
    return await client.call_tool("plain", name, args, title="Plain", token=None, key=None)


def _starts(folder: Path) -> int:
    return len((folder / "starts").read_text().split())


async def test_one_process_serves_all_requests(client: McpClient, tmp_path: Path) -> None:
    await client.list_tools("plain")
    pids = [(await _call(client))["pid"] for _ in range(5)]
    assert (len(set(pids)), _starts(tmp_path), client.processes) == (1, 1, 1)


async def test_tools_are_listed_again_when_they_may_have_changed(
    client: McpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = [await client.recent_tools("plain")]

    async def list_again() -> bool:
        lists.append(await client.recent_tools("plain"))
        return lists[-1] is not lists[-2]

    await _call(client)
    assert not await list_again()
    await _call(client, "announce")
    assert await list_again(), "the server said so"
    assert not await list_again()
    with pytest.raises(ToolUnavailable):
        await _call(client, "die")
    assert await list_again(), "another process may have other tools"
    monkeypatch.setattr(mcp_client, "RECENT_SECONDS", 0)
    assert await list_again(), "it is too long ago"


async def test_calls_at_the_same_time_share_a_list(client: McpClient) -> None:
    first, second = await asyncio.gather(*(client.recent_tools("plain") for _ in range(2)))
    assert first is second


async def test_calls_run_side_by_side(client: McpClient, tmp_path: Path) -> None:
    """The server answers the first call only once it has the second."""
    assert await asyncio.gather(_call(client, "meet"), _call(client, "meet")) == ["met", "met"]
    assert _starts(tmp_path) == 1


async def test_a_process_that_has_ended_is_started_again(client: McpClient, tmp_path: Path) -> None:
    first = await _call(client)
    with pytest.raises(ToolUnavailable):
        await _call(client, "die")
    assert (await _call(client))["pid"] != first["pid"]
    assert _starts(tmp_path) == 2


async def test_a_process_that_keeps_ending_is_not_started_for_ever(client: McpClient, tmp_path: Path) -> None:
    for _ in range(mcp_stdio_server.MAX_ENDS):
        with pytest.raises(ToolUnavailable):
            await _call(client, "die")
    with pytest.raises(ToolFailed, match="nothing was done"):
        await _call(client)
    assert _starts(tmp_path) == mcp_stdio_server.MAX_ENDS


async def test_a_process_that_says_nothing_is_replaced(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-E", SERVER, str(tmp_path)]
    client = McpClient({"plain": command}, frozenset(), timeout_seconds=0.5)
    try:
        await client.list_tools("plain")
        with pytest.raises(ToolUnavailable, match="did not respond"):
            await _call(client, "keep_silent")
        await client.list_tools("plain")
        assert _starts(tmp_path) == 2
    finally:
        await client.close()


async def test_the_limit_counts_each_request_anew(client: McpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_client, "MAX_SESSION_BYTES", 100_000)
    text = "x" * 30_000
    for _ in range(5):
        assert (await _call(client, text=text))["text"] == text
    with pytest.raises(ResponseTooLarge):
        await _call(client, "flood")
    assert (await _call(client, text="again"))["text"] == "again"


async def test_processes_end_with_the_import_and_with_the_app(client: McpClient, tmp_path: Path) -> None:
    await _call(client)
    client.keep_only({"plain"})
    await _call(client)
    assert _starts(tmp_path) == 1
    client.keep_only(set())
    await _call(client)
    assert _starts(tmp_path) == 2
    await client.close()
    assert client.processes == 0


async def test_a_server_that_is_in_use_ends_after_its_answer(client: McpClient) -> None:
    first = asyncio.create_task(_call(client, "meet"))
    await client.list_tools("plain")
    second = asyncio.create_task(_call(client, "meet"))
    await asyncio.sleep(0)  # the second call has its session now
    client.keep_only(set())
    assert await asyncio.gather(first, second) == ["met", "met"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a shipped order can't be cancelled", "a shipped order can't be cancelled"),
        (
            "Error: the ticket is closed since 12:30 on 1/2/2026",
            "the ticket is closed since 12:30 on 1/2/2026",
        ),
        ("can't open /srv/desk/secret.db", "can't open …"),
        ("no answer from http://10.0.0.7:8080/internal", "no answer from …"),
        ("db.internal.example:5432 refused", "… refused"),
        ('Traceback (most recent call last):\n  File "/srv/x.py", line 3\nKeyError: 4', "failed on its side"),
        ("sqlite3.OperationalError: no such table", "failed on its side"),
        ("", "gave no reason"),
    ],
)
async def test_the_error_text_of_a_server_hides_what_is_not_for_a_customer(text: str, told: str) -> None:
    assert told in reason_of(text)
    for secret in ("/srv", "10.0.0.7", "internal", "sqlite3"):
        assert secret not in reason_of(text)


async def test_standard_error_goes_to_the_log_and_not_to_the_terminal(
    client: McpClient, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as logged:
        with pytest.raises(ToolRefused, match="failed on its side"):
            await _call(client, "break", text="\x1b[2JKeyError: 'secret place'")
        # It comes by another way than answers, and may be read after them.
        async with asyncio.timeout(30):
            while not (wrote := {one["server"] for one in logged if one["event"] == "mcp_server_wrote"}):
                await client.list_tools("plain")
    assert "secret place" not in capfd.readouterr().err
    assert wrote == {"plain"}
