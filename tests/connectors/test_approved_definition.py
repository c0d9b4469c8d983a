"""What was approved is what runs: of a tool that changed while a card waited, the card shows the change."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from smart_support import Settings, clock, create_app
from tests.support.harness import ROOT, LocalApp
from tests.support.import_jobs import loaded
from tests.support.shop_api import ShopApi, description, shop_api

SERVER = str(ROOT / "tests/support/mcp_servers/plain.py")
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
ADD = {"name": "add_note", "description": "Add a note.", "inputSchema": TEXT}
KEY = {"key": {"type": "apiKey", "in": "query", "name": "desk_key"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the MCP server finds its list of tools."""
    return tmp_path_factory.mktemp("plain")


@pytest.fixture(scope="module")
def app(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    servers = {"plain": [sys.executable, "-S", "-E", SERVER, str(folder)]}
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("approved") / "var", mcp_servers=servers, allowed_hosts="127.0.0.1"
    )
    with LocalApp(create_app(settings)) as running:
        yield running


@pytest.fixture
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_imports_left(app: LocalApp) -> Iterator[None]:
    yield
    for job in _get(app, "/openapi/jobs"):
        if job["status"] in ("live", "review"):
            _post(app, f"/openapi/jobs/{job['job_id']}/remove")


def _get(app: LocalApp, path: str) -> Any:
    answer = app.request("GET", path).json()
    assert answer["success"], answer
    return answer["data"]


def _post(app: LocalApp, path: str, body: dict[str, Any] | None = None, *, method: str = "POST") -> Any:
    answer = app.request(method, path, json=body or {}).json()
    assert answer["success"], answer
    return answer["data"]


def _review(app: LocalApp, given: dict[str, Any]) -> dict[str, Any]:
    job_id = _post(app, "/openapi/import", given)["job_id"]
    job = loaded(lambda: _get(app, f"/openapi/jobs/{job_id}"))
    assert job["status"] == "review", job
    return job


def _live(app: LocalApp, given: dict[str, Any]) -> dict[str, Any]:
    job = _review(app, given)
    _post(app, f"/openapi/jobs/{job['job_id']}/approve")
    return job


def _enter_key(app: LocalApp, job: dict[str, Any]) -> None:
    key = {"scheme": "key", "values": {"value": "desk-secret-4712"}}
    _post(app, f"/openapi/jobs/{job['job_id']}/credentials", key, method="PUT")


def _listed(folder: Path, *tools: dict[str, Any]) -> None:
    (folder / "tools.json").write_text(json.dumps(tools))


def _calls(folder: Path, name: str) -> int:
    calls = folder / "calls"
    return calls.read_text().split().count(name) if calls.exists() else 0


def _reply_to(app: LocalApp, message: str) -> dict[str, Any]:
    said = _post(app, "/chat", {"thread_id": clock.new_id(), "message": message})
    assert said["status"] == "awaiting_approval", said
    return _get(app, f"/approvals/{said['approval']['approval_id']}")


def _approve(app: LocalApp, approval: dict[str, Any]) -> dict[str, Any]:
    """Approve it; returns the approval that waits afterwards, or the same one when its turn has ended."""
    _post(app, f"/approvals/{approval['approval_id']}/decision", {"decision": "approve"})
    _post(app, "/chat", {"thread_id": approval["thread_id"], "message": "thanks"})
    waiting = [
        one for one in _get(app, "/approvals?status=pending") if one["thread_id"] == approval["thread_id"]
    ]
    return waiting[0] if waiting else _get(app, f"/approvals/{approval['approval_id']}")


def _changed(approval: dict[str, Any]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(line["field"], line["subject"]): (line["before"], line["after"]) for line in approval["changed"]}


def _spec(api: ShopApi, **more: Any) -> dict[str, Any]:
    return {"spec": orjson.dumps(description(api.url, **more)).decode()}


def test_a_card_names_the_host_and_the_method(app: LocalApp, api: ShopApi) -> None:
    _live(app, _spec(api))
    card = _reply_to(app, "Delete ticket 12")
    assert card["target"] == {"method": "DELETE", "url": f"{api.url}/tickets/{{ticket_id}}"}


def test_a_changed_path_and_host_are_asked_again_and_shown(app: LocalApp, api: ShopApi) -> None:
    _live(app, _spec(api))
    first = _reply_to(app, "Delete ticket 12")
    paths = description(api.url)["paths"]
    paths["/v2/tickets/{ticket_id}"] = paths.pop("/tickets/{ticket_id}")
    job = _review(app, {"spec": description(api.url) | {"paths": paths}})
    (one,) = [
        item
        for item in _get(app, f"/openapi/jobs/{job['job_id']}/operations")
        if item["change"] == "changed" and item["method"] == "DELETE"
    ]
    assert [(line["field"], line["before"], line["after"]) for line in one["changes"]] == [
        ("path", "/tickets/{ticket_id}", "/v2/tickets/{ticket_id}")
    ]
    _post(app, f"/openapi/jobs/{job['job_id']}/approve")
    second = _approve(app, first)
    assert second["approval_id"] != first["approval_id"]
    assert _changed(second) == {("path", ""): ("/tickets/{ticket_id}", "/v2/tickets/{ticket_id}")}
    with shop_api() as other:
        _post(app, f"/openapi/jobs/{job['job_id']}/place", {"base_url": other.url}, method="PUT")
        third = _approve(app, second)
        assert _changed(third) == {("server", ""): (api.url, other.url)}
        assert third["target"]["url"].startswith(f"{other.url}/")
        assert not api.calls("DELETE", "/v2/tickets/12")
        assert not other.calls("DELETE", "/v2/tickets/12")
        _enter_key(app, job)
        done = _approve(app, third)
        assert done["approval_id"] == third["approval_id"]
        assert len(other.calls("DELETE", "/v2/tickets/12")) == 1


def test_a_changed_mcp_tool_is_asked_for_again_before_it_runs(app: LocalApp, folder: Path) -> None:
    _listed(folder, ADD)
    _live(app, {"mcp": "plain"})
    first = _reply_to(app, "Add note 'call back'")
    assert first["target"] == {"method": "MCP", "url": "plain/add_note"}
    before = _calls(folder, "add_note")
    words = "Add a note.\n\nThe note is published."
    text = {
        "type": "object",
        "properties": {"text": {"type": "string", "maxLength": 99}},
        "required": ["text"],
    }
    _listed(folder, ADD | {"description": words, "inputSchema": text})
    second = _approve(app, first)
    assert second["approval_id"] != first["approval_id"]
    assert _calls(folder, "add_note") == before
    changed = _changed(second)
    assert changed["description", ""] == ("Add a note.", words)
    assert changed["argument", "text"] == ("string, required", "string, required, maxLength 99")
    done = _approve(app, second)
    assert (done["execution"], _calls(folder, "add_note")) == ("done", before + 1)
    again = _review(app, {"mcp": "plain"})
    (tool,) = _get(app, f"/openapi/jobs/{again['job_id']}/operations")
    assert (tool["change"], {line["field"] for line in tool["changes"]}) == (
        "changed",
        {"description", "argument"},
    )


def test_a_vanished_mcp_tool_does_not_run(app: LocalApp, folder: Path) -> None:
    _listed(folder, ADD)
    _live(app, {"mcp": "plain"})
    first = _reply_to(app, "Add note 'call back'")
    before = _calls(folder, "add_note")
    _listed(folder)
    done = _approve(app, first)
    assert (done["execution"], _calls(folder, "add_note")) == ("failed", before)
    assert "no longer offered" in str(_get(app, f"/replay/{first['thread_id']}"))


def test_the_process_of_a_removed_import_ends(app: LocalApp, folder: Path) -> None:
    _listed(folder, ADD)
    starts = folder / "starts"
    _live(app, {"mcp": "plain"})
    _review(app, {"mcp": "plain"})
    begun = len(starts.read_text().split())
    for job in _get(app, "/openapi/jobs"):
        if job["status"] in ("live", "review"):
            _post(app, f"/openapi/jobs/{job['job_id']}/remove")
    _review(app, {"mcp": "plain"})
    assert len(starts.read_text().split()) == begun + 1


def test_changed_words_and_security_are_changes_and_a_moved_key_is_a_finding(
    app: LocalApp, api: ShopApi
) -> None:
    _live(app, _spec(api))
    spec = description(api.url)
    spec["components"] = {"securitySchemes": KEY}
    spec["paths"]["/tickets"]["get"]["summary"] = "List open tickets"
    job = _review(app, {"spec": spec})
    warned = [one["message"] for one in job["findings"] if "securitySchemes" in one["place"]]
    assert warned == [
        "`key` was a key in the header `X-Desk-Key` before; now it is a key in the query parameter "
        "`desk_key`, where logs of servers and proxies show it"
    ]
    reviewed = {one["key"]: one for one in _get(app, f"/openapi/jobs/{job['job_id']}/operations")}
    assert {one["change"] for one in reviewed.values()} == {"changed"}
    lines = {line["field"]: (line["before"], line["after"]) for line in reviewed["list_tickets"]["changes"]}
    assert lines == {
        "summary": ("List tickets", "List open tickets"),
        "credentials": ("key (key, in the header X-Desk-Key)", "key (key, in the query desk_key)"),
    }
    assert reviewed["list_tickets"]["description"] == "List open tickets", (
        "words that nobody edited are the new ones"
    )
