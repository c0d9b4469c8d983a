"""Tools of MCP servers, over stdio and HTTP: the same review, the same access rules, the same gate."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.support.harness import ROOT, AppProcess, free_port
from tests.support.import_jobs import loaded, remove_live_imports

TOKEN = "mcp-token-4713"
SERVER = [sys.executable, str(ROOT / "tests" / "support" / "mcp_servers" / "desk.py")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    port = free_port()
    with subprocess.Popen(
        [*SERVER, str(port), TOKEN], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        url, deadline = f"http://127.0.0.1:{port}/mcp", time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(url, timeout=60)
                break
            except httpx.HTTPError:
                time.sleep(0.05)  # the port is simply not there yet
        yield url
        process.terminate()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    declared = orjson.dumps({"desk": SERVER}).decode()
    folder = tmp_path_factory.mktemp("mcp") / "var"
    with AppProcess(folder, ALLOWED_HOSTS="127.0.0.1", MCP_SERVERS=declared) as app:
        yield app


@pytest.fixture
def app(running: AppProcess) -> Iterator[AppProcess]:
    """The app of all these tests, with no server's tools in use before and after each."""
    yield running
    remove_live_imports(running)


def _loaded(app: AppProcess, source: str, **more: str) -> dict[str, Any]:
    job_id = app.post("/openapi/import", {"mcp": source, **more}).json()["data"]["job_id"]
    job = loaded(lambda: app.get(f"/openapi/jobs/{job_id}"))
    return job


@pytest.mark.parametrize("how", ["stdio", "http"])
def test_an_mcp_server_is_reviewed_approved_and_gated(
    app: AppProcess, address: str, how: str, thread_id: str
) -> None:
    if how == "http":
        refused = _loaded(app, address)
        assert (refused["status"], "requires a token" in refused["error"]) == ("failed", True)
    job = _loaded(app, "desk") if how == "stdio" else _loaded(app, address, token=TOKEN)
    assert (job["status"], job["title"]) == ("review", "Desk")
    path = f"/openapi/jobs/{job['job_id']}"
    found = {one["key"]: one for one in app.get(f"{path}/operations")}
    assert {key: (one["access"], one["read_proposed"]) for key, one in found.items()} == {
        "list_notes": ("write", True),
        "add_note": ("write", False),
        "delete_note": ("write", False),
    }
    wrong = httpx.patch(f"{app.url}/api/v1{path}/operations/delete_note", json={"access": "read"}, timeout=60)
    assert wrong.status_code == 422
    ticked = httpx.patch(f"{app.url}/api/v1{path}/operations/list_notes", json={"access": "read"}, timeout=60)
    assert ticked.json()["data"]["needs_approval"] is False
    assert app.post(f"{path}/approve", {}).status_code == 200
    asked = app.post("/chat", {"thread_id": thread_id, "message": "Add note 'call back'"}).json()["data"]
    assert asked["status"] == "awaiting_approval", asked
    app.post(f"/approvals/{asked['approval']['approval_id']}/decision", {"decision": "approve"})
    listed = app.post("/chat", {"thread_id": thread_id, "message": "List notes"}).json()["data"]
    assert listed["tool_calls"][0]["status"] == "ok", listed
    done = app.get(f"/approvals/{asked['approval']['approval_id']}")
    assert done["execution"] == "done"
    again = _loaded(app, "desk" if how == "stdio" else address)
    assert {one["change"] for one in app.get(f"/openapi/jobs/{again['job_id']}/operations")} == {"same"}
    assert TOKEN not in app.log()
    kept = [file.read_bytes() for file in app.data_dir.rglob("*") if file.is_file()]
    assert not any(TOKEN.encode() in content for content in kept)


def test_a_refusal_of_a_tool_is_passed_on(app: AppProcess, thread_id: str) -> None:
    job = _loaded(app, "desk")
    app.post(f"/openapi/jobs/{job['job_id']}/approve", {})
    asked = app.post("/chat", {"thread_id": thread_id, "message": "Add note 'forbidden'"}).json()["data"][
        "approval"
    ]
    app.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
    app.post("/chat", {"thread_id": thread_id, "message": "thanks"})
    assert app.get(f"/approvals/{asked['approval_id']}")["execution"] == "failed"
    assert "may not be noted" in str(app.get(f"/replay/{thread_id}"))


def test_only_declared_commands_and_allowed_addresses_are_called(app: AppProcess) -> None:
    refused = app.post("/openapi/import", {"mcp": "rm -rf /"})
    assert refused.status_code == 422
    assert "SMART_SUPPORT_MCP_SERVERS (configured: desk)" in refused.json()["error"]["message"]
    private = _loaded(app, "http://10.0.0.1:9/mcp")
    assert private["status"] == "failed"
    assert "SMART_SUPPORT_ALLOWED_HOSTS" in private["error"]
