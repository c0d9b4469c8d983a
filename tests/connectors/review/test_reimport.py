"""What an import never does without its reviewer: go elsewhere, take a place, pass on a credential."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from smart_support import clock
from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded, remove_live_imports
from tests.support.shop_api import ShopApi, description, shop_api
from tests.support.workers import is_cut_off

SECRET = "desk-secret-4712"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("again") / "var", ALLOWED_HOSTS="127.0.0.1") as running:
        yield running


@pytest.fixture
def apis(app: AppProcess) -> Iterator[tuple[ShopApi, ShopApi]]:
    """Two of them, both called `Ticket Desk`; what was in use of them is taken out of use afterwards."""
    with shop_api() as one, shop_api() as other:
        yield one, other
    remove_live_imports(app)


def _imported(app: AppProcess, given: dict[str, Any]) -> dict[str, Any]:
    job_id = app.post("/openapi/import", given).json()["data"]["job_id"]
    job = loaded(lambda: app.get(f"/openapi/jobs/{job_id}"))
    assert job["status"] == "review", job
    return app.get(f"/openapi/jobs/{job['job_id']}")


def _put(app: AppProcess, job: dict[str, Any], what: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.put(f"{app.url}/api/v1/openapi/jobs/{job['job_id']}/{what}", json=body, timeout=30)


def _approve(app: AppProcess, job: dict[str, Any], *, secret: bool = True) -> httpx.Response:
    if secret:
        _put(app, job, "credentials", {"scheme": "key", "values": {"value": SECRET}})
    return app.post(f"/openapi/jobs/{job['job_id']}/approve", {})


def _changes(app: AppProcess, job: dict[str, Any]) -> set[str]:
    return {one["change"] for one in app.get(f"/openapi/jobs/{job['job_id']}/operations")}


def _say(app: AppProcess, message: str) -> dict[str, Any]:
    answer = app.post("/chat", {"thread_id": clock.new_id(), "message": message})
    said: dict[str, Any] = answer.json()["data"]
    return said


def test_two_services_of_one_title_stand_beside_each_other_and_share_no_credentials(
    app: AppProcess, apis: tuple[ShopApi, ShopApi]
) -> None:
    one, other = apis
    first = _imported(app, {"url": f"{one.url}/openapi.json"})
    _approve(app, first)
    second = _imported(app, {"url": f"{other.url}/openapi.json"})
    assert _changes(app, second) == {"new"}
    assert second["credentials"] == []
    assert _approve(app, second, secret=False).status_code == 200
    names = [tool["name"] for tool in app.get("/tools")]
    assert {"list_tickets", f"{second['api']}_list_tickets"} <= set(names)
    tries = [app.post(f"/openapi/jobs/{job['job_id']}/try/list_tickets", {}) for job in (first, second)]
    assert [answer.status_code for answer in tries] == [200, 502]
    assert one.calls("GET", "/tickets")[0]["x-desk-key"] == SECRET
    assert not other.seen


def test_a_server_that_has_moved_is_reported_and_followed_only_after_approval(
    app: AppProcess, apis: tuple[ShopApi, ShopApi]
) -> None:
    one, other = apis
    source = {"url": f"{one.url}/openapi.json"}
    _approve(app, _imported(app, source))
    one.server_url = other.url
    moved = _imported(app, source)
    assert (moved["base_url"], moved["credentials"], _changes(app, moved)) == (one.url, ["key"], {"same"})
    assert f"names {other.url}; calls go to {one.url}" in moved["findings"][0]["message"]
    assert _approve(app, moved, secret=False).status_code == 200
    _say(app, "List tickets")
    assert len(one.calls("GET", "/tickets")) == 1
    followed = _put(app, moved, "place", {"base_url": ""}).json()["data"]
    assert (followed["base_url"], followed["credentials"]) == (None, [])
    assert _say(app, "List tickets")["tool_calls"][0]["status"] == "error"
    assert not other.seen, "what was entered for one host went to another"


def test_a_review_that_was_overtaken_can_not_be_approved(
    app: AppProcess, apis: tuple[ShopApi, ShopApi]
) -> None:
    source = {"url": f"{apis[0].url}/openapi.json"}
    slow, fast = _imported(app, source), _imported(app, source)
    assert _approve(app, fast).status_code == 200
    refused = _approve(app, slow)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "review_outdated")
    assert "import it again" in refused.json()["error"]["message"]
    assert app.get(f"/openapi/jobs/{fast['job_id']}")["status"] == "live"


def test_an_operation_with_a_server_of_its_own_is_called_there(
    app: AppProcess, apis: tuple[ShopApi, ShopApi]
) -> None:
    one, other = apis
    paths = description(one.url)["paths"]
    paths["/tickets/{ticket_id}"]["servers"] = [{"url": other.url}]
    paths["/tickets"]["get"]["servers"] = [{"url": "/api"}]
    one.more = paths
    job = _imported(app, {"url": f"{one.url}/openapi.json"})
    told = [found for found in job["findings"] if "has its own server" in found["message"]]
    assert {other.url in found["message"] for found in told} == {True}
    assert [(host["origin"], host["is_allowed"]) for host in job["hosts"]] == [
        (one.url, True),
        (other.url, False),
    ]
    _approve(app, job)
    assert "get_ticket is disabled: its host" in app.get(f"/openapi/jobs/{job['job_id']}")["warnings"][0]
    allowed = {"origin": other.url, "allowed": True}
    answer = httpx.put(f"{app.url}/api/v1/openapi/jobs/{job['job_id']}/hosts", json=allowed, timeout=30)
    assert answer.json()["data"]["hosts"][1]["is_allowed"]
    _say(app, "Show ticket 3")
    _say(app, "List tickets")
    assert [seen[1] for seen in other.seen] == ["/tickets/3"]
    assert [seen[1] for seen in one.seen] == ["/api/tickets"]


def test_a_declared_idempotency_key_is_ours_to_send_and_makes_a_retry_safe(
    app: AppProcess, apis: tuple[ShopApi, ShopApi]
) -> None:
    api, _ = apis
    api.more = {"/tickets": description(api.url)["paths"]["/tickets"]}
    key = {"name": "idempotency-key", "in": "header", "required": True, "schema": {"type": "string"}}
    api.more["/tickets"]["post"]["parameters"] = [key]
    api.answers["POST", "/tickets"] = [503, 200]
    job = _imported(app, {"url": f"{api.url}/openapi.json"})
    create = {one["key"]: one for one in app.get(f"/openapi/jobs/{job['job_id']}/operations")}[
        "create_ticket"
    ]
    assert create["idempotent"]
    assert set(create["schema"]["properties"]) == {"subject", "priority"}
    _approve(app, job)
    asked = _say(app, "Create a ticket with subject Leak")["approval"]
    app.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
    app.post("/chat", {"thread_id": asked["thread_id"], "message": "thanks"})
    sent = [headers["idempotency-key"] for headers in api.calls("POST", "/tickets")]
    assert len(sent) == 2
    assert len(set(sent)) == 1


@pytest.mark.parametrize("how", ["changed", "gone", "removed"])
def test_a_call_from_before_a_change_of_its_tool_does_not_run_after_it(
    app: AppProcess, apis: tuple[ShopApi, ShopApi], how: str
) -> None:
    api, _ = apis
    first = _imported(app, {"url": f"{api.url}/openapi.json"})
    _approve(app, first)
    asked = _say(app, "Delete ticket 12")["approval"]
    path = dict(description(api.url)["paths"]["/tickets/{ticket_id}"])
    if how == "removed":
        app.post(f"/openapi/jobs/{first['job_id']}/remove", {})
    else:
        forced = {"name": "force", "in": "query", "schema": {"type": "boolean"}}
        changed = {"delete": {**path["delete"], "parameters": [forced]}} if how == "changed" else {}
        path.pop("delete")
        api.more = {"/tickets/{ticket_id}": path | changed}
        _approve(app, _imported(app, {"url": f"{api.url}/openapi.json"}))
    app.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
    app.post("/chat", {"thread_id": asked["thread_id"], "message": "thanks"})
    assert not api.calls("DELETE", "/tickets/12")
    assert app.get(f"/approvals/{asked['approval_id']}")["execution"] in ("failed", "not_started")


def test_of_approvals_at_once_no_two_give_one_name_to_their_tools(
    app: AppProcess, apis: tuple[ShopApi, ShopApi]
) -> None:
    jobs = []
    for number in range(6):
        spec = description(f"https://desk{number}.example") | {"info": {"title": f"Desk {number}"}}
        jobs.append(_imported(app, {"spec": spec}))
    with ThreadPoolExecutor(6) as threads:
        answers = [*threads.map(lambda job: _approve(app, job, secret=False).status_code, jobs)]
    assert sorted(answers) == [200, 422, 422, 422, 422, 422]
    tools = [tool["name"] for tool in app.get("/tools")]
    assert tools.count("list_tickets") == 1


def test_a_kill_in_the_middle_of_an_approval_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    with AppProcess(tmp_path / "var", ALLOWED_HOSTS="127.0.0.1") as app, shop_api() as api:
        for delay in (0.001, 0.01):
            job = _imported(app, {"url": f"{api.url}/openapi.json"})
            with ThreadPoolExecutor(1) as thread:
                approving = thread.submit(_approve_unless_killed, app, job)
                time.sleep(delay)  # The kill comes at any moment, not at a known one.
                app.kill()
                approving.result()
            app.start()
            status = app.get(f"/openapi/jobs/{job['job_id']}")["status"]
            names = {tool["name"] for tool in app.get("/tools")}
            assert status in ("review", "live")
            assert ("list_tickets" in names) == any(
                one["status"] == "live" for one in app.get("/openapi/jobs")
            )
            if status == "review":
                assert _approve(app, job).status_code == 200
        assert "list_tickets" in {tool["name"] for tool in app.get("/tools")}


def _approve_unless_killed(app: AppProcess, job: dict[str, Any]) -> None:
    try:
        answer = app.post(f"/openapi/jobs/{job['job_id']}/approve", {})
    except httpx.TransportError as error:
        assert is_cut_off(error), repr(error)
    else:
        assert answer.status_code == 200, answer.text
