"""A read of an MCP server runs only as it was reviewed: once its server changes it, it is out of use."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smart_support.connectors import mcp_client
from smart_support.connectors.review.import_store import ImportJob
from smart_support.errors import ToolRefused
from smart_support.tools.registry import Call
from tests.support.harness import ROOT
from tests.support.import_service import Reviews, reviews

SERVER = str(ROOT / "tests/support/mcp_servers/plain.py")
LOOK = {
    "name": "look",
    "description": "Look.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
}
ANNOUNCE = {"name": "announce", "description": "Say something.", "inputSchema": {"type": "object"}}
CHANGED = [
    {"description": "Look, and tell everybody."},
    {"inputSchema": {"type": "object", "properties": {"where": {"type": "string"}}}},
    {"annotations": {"readOnlyHint": False}},
]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Reviews]:
    command = [sys.executable, "-S", "-E", SERVER, str(tmp_path)]
    async with reviews(tmp_path, commands={"plain": command}) as running:
        yield running


def _listed(folder: Path, *tools: dict[str, Any]) -> None:
    (folder / "tools.json").write_text(json.dumps(tools))


def _calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split()


async def _live(desk: Reviews, *reads: str) -> ImportJob:
    job = await desk.imported(mcp="plain")
    await desk.service.edit(job.job_id, reads, {"access": "read", "confirm": True}, by="dana")
    return await desk.service.approve(job.job_id, by="dana")


@pytest.mark.parametrize("change", CHANGED, ids=lambda change: next(iter(change)))
async def test_a_changed_read_is_out_of_use_until_it_is_reviewed(
    desk: Reviews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(mcp_client, "RECENT_SECONDS", 0)
    _listed(tmp_path, LOOK)
    job = await _live(desk, "look")
    await desk.call("look")
    _listed(tmp_path, LOOK | change)
    running = desk.tools["look"]
    with pytest.raises(ToolRefused, match="Look is not available: it was changed"):
        await running.run({}, Call("thread", "call"))
    assert _calls(tmp_path) == ["look"]
    assert desk.tools == {}
    assert [one.message for one in desk.active.unusable] == [
        "Plain: look is disabled: its server has changed it; import it again to review it"
    ]
    # As another process has it, also after the server took its change back.
    _listed(tmp_path, LOOK)
    with pytest.raises(ToolRefused, match="disabled a moment ago"):
        await running.run({}, Call("thread", "call"))
    rows = await desk.state.read("SELECT actor, detail FROM audit WHERE kind = 'tools_changed'")
    assert [(row["actor"], job.job_id in row["detail"]) for row in rows] == [("system", True)]
    _listed(tmp_path, LOOK | change)
    again = await desk.imported(mcp="plain")
    ((reviewed, _),) = await desk.service.operations(again.job_id)
    assert (reviewed.change, reviewed.access) == ("changed", "write"), "it is confirmed again"
    await desk.service.edit(again.job_id, ["look"], {"access": "read", "confirm": True}, by="dana")
    await desk.service.approve(again.job_id, by="dana")
    await desk.call("look")


async def test_what_a_server_announces_counts_at_once(desk: Reviews, tmp_path: Path) -> None:
    _listed(tmp_path, LOOK, ANNOUNCE)
    await _live(desk, "look", "announce")
    await desk.call("look")
    _listed(tmp_path, LOOK | CHANGED[0], ANNOUNCE)
    await desk.call("announce")
    with pytest.raises(ToolRefused, match="it was changed"):
        await desk.call("look")
    assert _calls(tmp_path) == ["look", "announce"]
    assert {*desk.tools} == {"announce"}


async def test_a_read_that_its_server_no_longer_has_does_not_run(
    desk: Reviews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_client, "RECENT_SECONDS", 0)
    _listed(tmp_path, LOOK)
    await _live(desk, "look")
    _listed(tmp_path)
    with pytest.raises(ToolRefused, match="Look is no longer offered"):
        await desk.call("look")
    _listed(tmp_path, LOOK)
    await desk.call("look")


async def test_a_trial_runs_only_what_was_listed_for_the_review(
    desk: Reviews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_client, "RECENT_SECONDS", 0)
    _listed(tmp_path, LOOK)
    job = await desk.imported(mcp="plain")
    read = {"access": "read", "confirm": True, "needs_approval": True}
    await desk.service.edit(job.job_id, ["look"], read, by="dana")
    _listed(tmp_path, LOOK | CHANGED[0])
    with pytest.raises(ToolRefused, match="it was changed"):
        await desk.service.try_out(job.job_id, "look", {})
    assert not (tmp_path / "calls").exists()
