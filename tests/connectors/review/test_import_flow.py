"""From the address of a description to an agent that acts on it: import, review, approve, chat, and again."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from smart_support import clock
from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded
from tests.support.shop_api import ShopApi, description, shop_api

SECRET = "desk-secret-4711"
_thread = ""


@pytest.fixture
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(
        tmp_path_factory.mktemp("import") / "var", ALLOWED_HOSTS="127.0.0.1", TOOL_TIMEOUT_SECONDS=1
    ) as app:
        yield app


@pytest.fixture
def app(running: AppProcess) -> Iterator[AppProcess]:
    """The app of all these tests, without an API in use before and after each."""
    global _thread
    _thread = clock.new_id()
    yield running
    for job in _request(running, "GET", "/jobs").json()["data"]:
        if job["status"] == "live":
            _request(running, "POST", f"/jobs/{job['job_id']}/remove")


def _request(app: AppProcess, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"{app.url}/api/v1/openapi{path}", timeout=30, **options)


def _done(app: AppProcess, answer: httpx.Response) -> dict[str, Any]:
    """The job once it has been loaded."""
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["data"]["job_id"]
    return loaded(lambda: _request(app, "GET", f"/jobs/{job_id}").json()["data"])


def _imported(app: AppProcess, url: str) -> dict[str, Any]:
    job = _done(app, _request(app, "POST", "/import", json={"url": f"{url}/openapi.json"}))
    assert job["status"] == "review", job
    return job


def _operations(app: AppProcess, job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = _request(app, "GET", f"/jobs/{job['job_id']}/operations").json()["data"]
    return {one["key"]: one for one in listed}


def _approve(app: AppProcess, job: dict[str, Any]) -> dict[str, Any]:
    secret = {"scheme": "key", "values": {"value": SECRET}}
    kept = _request(app, "PUT", f"/jobs/{job['job_id']}/credentials", json=secret)
    assert kept.json()["data"] == {"credentials": ["key"]}
    answer = _request(app, "POST", f"/jobs/{job['job_id']}/approve")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _say(app: AppProcess, message: str) -> dict[str, Any]:
    answer = app.post("/chat", {"thread_id": _thread, "message": message})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_what_is_found_is_judged_and_shown(app: AppProcess, api: ShopApi) -> None:
    job = _imported(app, api.url)
    found = _operations(app, job)
    assert {key: one["access"] for key, one in found.items()} == {
        "list_tickets": "read",
        "create_ticket": "write",
        "delete_all_tickets": "write",
        "get_ticket": "read",
        "delete_ticket": "write",
        "search_tickets": "write",
    }
    assert all(one["needs_approval"] == (one["access"] == "write") for one in found.values())
    assert {one["agent"] for one in found.values()} == {"tickets"}
    assert not found["delete_all_tickets"]["enabled"]
    assert found["search_tickets"]["read_proposed"]
    assert found["delete_ticket"]["risk"] == "high"
    assert all(one["reasons"] and one["tokens"] > 0 for one in found.values())
    assert job["servers"] == [{"url": api.url, "variables": {}}]
    assert app.get("/tools")[0]["name"] == "apply_discount"
    assert not any(tool["name"] == "list_tickets" for tool in app.get("/tools"))


def test_an_approved_api_is_used_at_once_gated_and_after_a_restart(app: AppProcess, api: ShopApi) -> None:
    _approve(app, _imported(app, api.url))
    tools = {tool["name"]: tool for tool in app.get("/tools")}
    assert tools["delete_ticket"]["access"] == "write"
    assert "delete_all_tickets" not in tools
    looked = _say(app, "Show ticket 12")
    assert looked["tool_calls"][0]["tool"] == "get_ticket"
    assert looked["tool_calls"][0]["status"] == "ok"
    assert api.calls("GET", "/tickets/12")[0]["x-desk-key"] == SECRET
    asked = _say(app, "Delete ticket 12")
    assert asked["status"] == "awaiting_approval"
    assert asked["approval"]["args"] == {"ticket_id": 12}
    assert asked["approval"]["summary"] == "Delete a ticket (Ticket Desk): ticket id 12"
    assert "DELETE" not in asked["reply"]
    assert not api.calls("DELETE", "/tickets/12")
    app.stop()
    app.start()
    path = f"/approvals/{asked['approval']['approval_id']}/decision"
    assert app.post(path, {"decision": "approve"}).json()["data"]["status"] == "approved"
    assert _say(app, "List tickets")["tool_calls"][0]["status"] == "ok"
    deleted = api.calls("DELETE", "/tickets/12")
    assert len(deleted) == 1
    assert deleted[0]["idempotency-key"]
    whole = "".join(str(part) for part in (app.log(), app.get(f"/replay/{_thread}"), app.get("/approvals")))
    assert SECRET not in whole
    kept = [path.read_bytes() for path in app.data_dir.iterdir() if path.is_file()]
    assert not any(SECRET.encode() in content for content in kept)


def test_only_a_proposed_read_becomes_one_and_a_write_keeps_its_gate(app: AppProcess, api: ShopApi) -> None:
    job = _imported(app, api.url)
    path = f"/jobs/{job['job_id']}/operations"
    ticked = _request(app, "PATCH", f"{path}/search_tickets", json={"access": "read"})
    assert (ticked.json()["data"]["access"], ticked.json()["data"]["needs_approval"]) == ("read", False)
    for key, change in (
        ("create_ticket", {"access": "read"}),
        ("delete_ticket", {"access": "read"}),
        ("delete_ticket", {"needs_approval": False}),
        ("delete_ticket", {"tool_name": "Not a name"}),
        ("delete_ticket", {"no_such": 1}),
    ):
        refused = _request(app, "PATCH", f"{path}/{key}", json=change)
        assert refused.status_code == 422, refused.text
    assert _request(app, "PATCH", f"{path}/nothing", json={"enabled": True}).status_code == 404
    careful = _request(app, "PATCH", f"{path}/get_ticket", json={"needs_approval": True})
    assert careful.json()["data"]["needs_approval"] is True
    by_path = _request(app, "PATCH", f"{path}/POST /tickets", json={"agent": "helpdesk"})
    assert by_path.json()["data"]["agent"] == "helpdesk"
    _approve(app, job)
    assert _say(app, "Show ticket 3")["status"] == "awaiting_approval"
    assert {agent["name"] for agent in app.get("/agents")} >= {"tickets", "helpdesk"}


def test_several_are_changed_together_or_not_at_all(app: AppProcess, api: ShopApi) -> None:
    job = _imported(app, api.url)
    path = f"/jobs/{job['job_id']}/operations"
    body = {"keys": ["list_tickets", "delete_ticket"], "changes": {"access": "read"}}
    assert _request(app, "PATCH", path, json=body).status_code == 422
    body["changes"] = {"enabled": False}
    assert _request(app, "PATCH", path, json=body).json()["data"] == {"changed": 2}
    off = {key for key, one in _operations(app, job).items() if not one["enabled"]}
    assert off == {"list_tickets", "delete_ticket", "delete_all_tickets"}


def test_a_reimport_shows_the_difference_and_keeps_what_was_decided(app: AppProcess, api: ShopApi) -> None:
    first = _imported(app, api.url)
    path = f"/jobs/{first['job_id']}/operations"
    _request(app, "PATCH", f"{path}/search_tickets", json={"access": "read"})
    _request(app, "PATCH", f"{path}/get_ticket", json={"agent": "helpdesk", "tool_name": "show_ticket"})
    _approve(app, first)
    note = {"post": {"operationId": "addNote", "summary": "Add a note", "tags": ["tickets"]}}
    search = description(api.url)["paths"]["/tickets/search"]
    search["post"]["parameters"] = [{"name": "all", "in": "query", "schema": {"type": "boolean"}}]
    api.more = {
        "/notes": note,
        "/tickets/search": search,
        "/tickets": {"get": {"operationId": "listTickets"}},
    }
    second = _imported(app, api.url)
    found = _operations(app, second)
    assert {key: one["change"] for key, one in found.items()} == {
        "list_tickets": "changed",
        "get_ticket": "same",
        "delete_ticket": "same",
        "search_tickets": "changed",
        "add_note": "new",
        "create_ticket": "gone",
        "delete_all_tickets": "gone",
    }
    assert [(line["field"], line["before"]) for line in found["list_tickets"]["changes"]] == [
        ("summary", "List tickets")
    ]
    assert [line["subject"] for line in found["search_tickets"]["changes"]] == ["all"]
    assert (found["get_ticket"]["agent"], found["get_ticket"]["tool_name"]) == ("helpdesk", "show_ticket")
    assert found["search_tickets"]["access"] == "write"
    assert any(tool["name"] == "create_ticket" for tool in app.get("/tools"))
    _approve(app, second)
    names = {tool["name"] for tool in app.get("/tools")}
    assert {"add_note", "show_ticket"} <= names
    assert "create_ticket" not in names
    assert _request(app, "GET", f"/jobs/{first['job_id']}").json()["data"]["status"] == "replaced"


def test_reads_can_be_tried_and_writes_never(app: AppProcess, api: ShopApi) -> None:
    job = _imported(app, api.url)
    secret = {"scheme": "key", "values": {"value": SECRET}}
    _request(app, "PUT", f"/jobs/{job['job_id']}/credentials", json=secret)
    tried = _request(app, "POST", f"/jobs/{job['job_id']}/try/get_ticket", json={"args": {"ticket_id": 5}})
    assert tried.json()["data"]["result"]["message"] == "GET /tickets/5 is done."
    wrong = _request(app, "POST", f"/jobs/{job['job_id']}/try/get_ticket", json={"args": {"ticket_id": "x"}})
    assert wrong.status_code == 422
    refused = _request(
        app, "POST", f"/jobs/{job['job_id']}/try/delete_ticket", json={"args": {"ticket_id": 5}}
    )
    assert refused.status_code == 422
    assert [seen[:2] for seen in api.seen] == [("GET", "/tickets/5")]


@pytest.mark.parametrize(
    ("status", "told", "execution"),
    [
        (409, "refused the request (409): no, 409", "failed"),
        (401, "is not available at the moment", "failed"),
        (503, "is not known", "outcome_unknown"),
    ],
)
def test_what_the_api_answers_is_understood(
    app: AppProcess, api: ShopApi, status: int, told: str, execution: str
) -> None:
    _approve(app, _imported(app, api.url))
    api.answers[("POST", "/tickets")] = [status]
    asked = _say(app, "Create a ticket with subject Leak")
    assert asked["status"] == "awaiting_approval", asked
    path = f"/approvals/{asked['approval']['approval_id']}"
    app.post(f"{path}/decision", {"decision": "approve"})
    _say(app, "thanks")
    assert app.get(path)["execution"] == execution
    spoken = " ".join(str(step.get("content")) for step in app.get(f"/replay/{_thread}"))
    assert told in spoken
    assert len(api.calls("POST", "/tickets")) == 1


@pytest.mark.parametrize(
    ("fails", "told", "tries"),
    [
        (429, "Ticket Desk is unavailable (429)", 3),
        (500, "Ticket Desk is unavailable (500)", 3),
        ("silent", "took too long", 3),
        ("dropped", "Ticket Desk can't be reached", 3),
        ("huge", "Ticket Desk sent a response that is too large", 1),
        ("away", "Ticket Desk redirected this call (302) to another site", 1),
    ],
)
def test_a_failing_api_gives_a_sensible_sentence(
    app: AppProcess, api: ShopApi, fails: int | str, told: str, tries: int
) -> None:
    _approve(app, _imported(app, api.url))
    api.answers[("GET", "/tickets/7")] = [fails]
    answer = _say(app, "Show ticket 7")
    assert (answer["status"], answer["tool_calls"][0]["status"]) == ("complete", "error")
    assert told in answer["reply"]
    assert not any(secret in answer["reply"] for secret in ("127.0.0.1", "169.254", "Error", SECRET))
    assert len(api.calls("GET", "/tickets/7")) == tries
    assert _say(app, "Show ticket 8")["tool_calls"][0]["status"] == "ok"


@pytest.mark.parametrize("fails", [500, "silent", "dropped", "huge"])
def test_a_write_that_may_have_had_its_effect_is_never_sent_twice(
    app: AppProcess, api: ShopApi, fails: int | str
) -> None:
    _approve(app, _imported(app, api.url))
    api.answers[("POST", "/tickets")] = [fails]
    asked = _say(app, "Create a ticket with subject Leak")
    path = f"/approvals/{asked['approval']['approval_id']}"
    app.post(f"{path}/decision", {"decision": "approve"})
    _say(app, "thanks")
    assert app.get(path)["execution"] == "outcome_unknown"
    steps = app.get(f"/replay/{_thread}")
    assert any(step["type"] == "escalation" for step in steps)
    assert "not known" in next(step["content"] for step in steps if step["type"] == "tool_result")
    assert len(api.calls("POST", "/tickets")) == 1


def test_a_write_that_was_redirected_elsewhere_says_so(app: AppProcess, api: ShopApi) -> None:
    _approve(app, _imported(app, api.url))
    api.answers[("POST", "/tickets")] = ["away"]
    asked = _say(app, "Create a ticket with subject Leak")
    path = f"/approvals/{asked['approval']['approval_id']}"
    app.post(f"{path}/decision", {"decision": "approve"})
    _say(app, "thanks")
    assert app.get(path)["execution"] == "failed"
    result = next(step for step in app.get(f"/replay/{_thread}") if step["type"] == "tool_result")
    assert "redirected this call (302) to another site" in result["content"]


@pytest.mark.parametrize(("items", "end"), [(1_000, "]}"), (9_000, "the rest was not kept.)")])
def test_a_large_result_is_whole_in_replay_or_says_what_is_not(
    app: AppProcess, api: ShopApi, items: int, end: str
) -> None:
    _approve(app, _imported(app, api.url))
    found = {"tickets": [{"id": number, "subject": "A leak"} for number in range(items)]}
    api.says["GET", "/tickets"] = [found]
    assert _say(app, "List tickets")["tool_calls"][0]["status"] == "ok"
    result = next(step for step in app.get(f"/replay/{_thread}") if step["type"] == "tool_result")
    assert result["content"].endswith(end)
    assert '"id":999,' in result["content"]


def test_an_idempotent_write_and_a_read_are_tried_again(app: AppProcess, api: ShopApi) -> None:
    _approve(app, _imported(app, api.url))
    api.answers[("GET", "/tickets")] = [503, 200]
    api.answers[("DELETE", "/tickets/9")] = [503, 503, 200]
    assert _say(app, "List tickets")["tool_calls"][0]["status"] == "ok"
    asked = _say(app, "Delete ticket 9")
    app.post(f"/approvals/{asked['approval']['approval_id']}/decision", {"decision": "approve"})
    _say(app, "thanks")
    keys = {headers["idempotency-key"] for headers in api.calls("DELETE", "/tickets/9")}
    assert (len(api.calls("DELETE", "/tickets/9")), len(keys)) == (3, 1)
    assert len(api.calls("GET", "/tickets")) == 2


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"spec": description("https://desk.example/v1")}},
        {"json": description("https://desk.example/v1")},
        {
            "files": {
                "file": (
                    "desk.json",
                    httpx.Response(200, json=description("https://desk.example/v1")).content,
                )
            }
        },
        {
            "content": "openapi: 3.0.0\ninfo: {title: Ticket Desk, version: '1'}\npaths: {/a: {get: {}}}",
            "headers": {"Content-Type": "application/yaml"},
        },
        {
            "content": httpx.Response(200, json=description("https://desk.example/v1")).text.encode("utf-16"),
            "headers": {"Content-Type": "application/json"},
        },
    ],
)
def test_a_description_comes_as_text_object_or_file(app: AppProcess, how: dict[str, Any]) -> None:
    job = _done(app, _request(app, "POST", "/import", **how))
    assert (job["status"], job["title"]) == ("review", "Ticket Desk")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"json": {"spec": "<!doctype html><html></html>"}}, "web page"),
        ({"json": {"spec": "[" * 200_000}}, ""),
        ({"json": {"spec": ""}}, "empty"),
        (
            {"content": '{"openapi": "3.0.0",\n "paths": {}, "paths": {}}'},
            "`paths` twice at the top level, again at line 2",
        ),
        ({"json": {"url": "http://10.1.2.3/openapi.json"}}, "SMART_SUPPORT_ALLOWED_HOSTS"),
        ({"json": {"url": "http://127.0.0.1:1/openapi.json"}}, "127.0.0.1"),
        ({"json": {"url": "file:///etc/passwd"}}, "http"),
    ],
)
def test_what_is_no_description_fails_in_one_line(app: AppProcess, how: dict[str, Any], told: str) -> None:
    job = _done(app, _request(app, "POST", "/import", **how))
    assert job["status"] == "failed"
    assert told in job["error"]
    assert "\n" not in job["error"]
    assert app.get("/tools")
    refused = _request(app, "POST", f"/jobs/{job['job_id']}/approve")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert job["error"] in refused.json()["error"]["message"]


def test_bad_requests_say_what_to_give(app: AppProcess) -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    for body in (
        {"spec": {"openapi": "3.0.0", "x": deep}},
        {},
        {"url": ""},
        {"url": 3},
        {"spec": 3},
        {"url": "http://a", "spec": "b"},
    ):
        answer = _request(app, "POST", "/import", json=body)
        assert answer.status_code == 422, body
    twice = '{"spec": {"openapi": "3.0.0", "paths": {"/a": {"get": {}, "get": {}}}}}'
    refused = _request(app, "POST", "/import", content=twice, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert "`get` twice in `/spec/paths/~1a`" in refused.json()["error"]["message"]
    assert _request(app, "GET", "/jobs/nothing").status_code == 404
    assert _request(app, "POST", "/jobs/nothing/approve").status_code == 404


def test_without_a_server_the_reviewer_must_enter_the_base_url(app: AppProcess, api: ShopApi) -> None:
    spec = description("")
    del spec["servers"]
    job = _done(app, _request(app, "POST", "/import", json={"spec": spec}))
    refused = _request(app, "POST", f"/jobs/{job['job_id']}/approve")
    assert refused.status_code == 422
    assert "base URL" in refused.json()["error"]["message"]
    assert (
        _request(app, "PUT", f"/jobs/{job['job_id']}/place", json={"base_url": "nowhere"}).status_code == 422
    )
    placed = _request(app, "PUT", f"/jobs/{job['job_id']}/place", json={"base_url": api.url})
    assert placed.json()["data"]["base_url"] == api.url
    _approve(app, job)
    assert _say(app, "List tickets")["tool_calls"][0]["status"] == "ok"


def test_an_api_taken_out_of_use_is_gone_at_once(app: AppProcess, api: ShopApi) -> None:
    job = _approve(app, _imported(app, api.url))
    assert _request(app, "POST", f"/jobs/{job['job_id']}/remove").json()["data"]["status"] == "removed"
    assert not any(tool["name"] == "list_tickets" for tool in app.get("/tools"))
