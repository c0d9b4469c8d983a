"""A server that answers with too much costs its own call, and neither memory nor anybody else's time."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded, remove_live_imports
from tests.support.mcp_servers.hostile import HostileMcp, hostile_mcp

MEGABYTES = 100
SECONDS = 3
ENDLESS_LINE = "import sys\nwhile True: sys.stdout.write('x' * 1_000_000)"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    declared = orjson.dumps({"line": [sys.executable, "-c", ENDLESS_LINE]}).decode()
    folder = tmp_path_factory.mktemp("hostile") / "var"
    settings = {"ALLOWED_HOSTS": "127.0.0.1", "MCP_SERVERS": declared, "TOOL_TIMEOUT_SECONDS": SECONDS}
    with AppProcess(folder, **settings) as running:
        yield running


@pytest.fixture
def server(app: AppProcess) -> Iterator[HostileMcp]:
    with hostile_mcp() as running:
        yield running
    remove_live_imports(app)


def _peak_megabytes(app: AppProcess) -> float:
    """The most memory that the app has ever had at once (VmHWM of proc(5))."""
    lines = Path(f"/proc/{app.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _loaded(app: AppProcess, source: str) -> dict[str, Any]:
    job_id = app.post("/openapi/import", {"mcp": source}).json()["data"]["job_id"]
    job = loaded(lambda: app.get(f"/openapi/jobs/{job_id}"))
    return job


def _live(app: AppProcess, server: HostileMcp) -> str:
    job = _loaded(app, server.url)
    path = f"/openapi/jobs/{job['job_id']}"
    ticked = httpx.patch(f"{app.url}/api/v1{path}/operations/list_texts", json={"access": "read"}, timeout=30)
    assert ticked.status_code == 200, ticked.text
    assert app.post(f"{path}/approve", {}).status_code == 200
    return path


@pytest.mark.parametrize("attack", [one for one in HostileMcp.ATTACKS if one != "endless"])
def test_a_list_of_tools_that_is_too_much_is_refused(
    app: AppProcess, server: HostileMcp, attack: str
) -> None:
    before = _peak_megabytes(app)
    server.attacked, server.attack = "tools/list", attack
    job = _loaded(app, server.url)
    assert job["status"] == "failed", job
    words = ("too large", "can't be read", "can't be reached")
    assert any(text in job["error"] for text in words), job["error"]
    assert _peak_megabytes(app) - before < MEGABYTES


@pytest.mark.parametrize("method", ["server/discover", "initialize", "tools/call"])
def test_a_bomb_at_any_step_of_a_call_is_refused(
    app: AppProcess, server: HostileMcp, thread_id: str, method: str
) -> None:
    path = _live(app, server)
    before = _peak_megabytes(app)
    # The server has been seen to be an older one, so that the step before is not taken again.
    server.attacked, server.attack = "initialize" if method == "server/discover" else method, "gzip"
    asked = app.post("/chat", {"thread_id": thread_id, "message": "Add text 'x'"}).json()["data"]["approval"]
    app.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
    app.post("/chat", {"thread_id": thread_id, "message": "thanks"})
    execution = app.get(f"/approvals/{asked['approval_id']}")["execution"]
    # What was never sent did nothing; of what was sent and not understood nobody knows.
    assert execution == ("outcome_unknown" if method == "tools/call" else "failed")
    tried = app.post(f"{path}/try/list_texts", {})
    assert tried.status_code == 502, tried.text
    assert server.url not in str(app.get(f"/replay/{thread_id}"))
    assert _peak_megabytes(app) - before < MEGABYTES


def test_an_answer_without_an_end_is_given_up_in_time(app: AppProcess, server: HostileMcp) -> None:
    path = _live(app, server)
    server.attacked, server.attack = "tools/call", "endless"
    began = time.monotonic()
    tried = app.post(f"{path}/try/list_texts", {})
    assert (tried.status_code, "did not respond within" in tried.text) == (502, True), tried.text
    assert time.monotonic() - began < SECONDS + 10


def test_others_are_served_while_a_server_floods(app: AppProcess, server: HostileMcp) -> None:
    path = _live(app, server)
    server.attacked, server.attack = "tools/call", "notes"
    with ThreadPoolExecutor(1) as threads:
        tried = threads.submit(app.post, f"{path}/try/list_texts", {})
        longest = 0.0
        while not tried.done():
            began = time.monotonic()
            assert httpx.get(f"{app.url}/api/v1/health", timeout=30).status_code == 200
            longest = max(longest, time.monotonic() - began)
    assert tried.result().status_code == 502
    assert longest < 2


def test_a_line_without_an_end_is_refused(app: AppProcess) -> None:
    before = _peak_megabytes(app)
    job = _loaded(app, "line")
    assert (job["status"], "too large" in job["error"]) == ("failed", True), job
    assert _peak_megabytes(app) - before < MEGABYTES


@pytest.mark.parametrize("attack", ["gzip", "br", "plain", "error"])
def test_a_model_that_answers_with_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    with hostile_mcp() as server:
        server.attacked, server.attack = "model", attack
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with AppProcess(tmp_path / "var", MODEL="openai:some", MODEL_TIMEOUT_SECONDS=20) as app:
            before = _peak_megabytes(app)
            failed = app.post("/chat", {"thread_id": "t", "message": "Hello"}).json()
            assert "model_error" in str(failed), failed
            assert _peak_megabytes(app) - before < MEGABYTES
            assert server.url not in str(failed)
