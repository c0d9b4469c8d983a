"""Tools that go out of use: what is stored is live, and who decided on one learns what became of it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from smart_support import clock
from tests.support import stores
from tests.support.harness import AppProcess, Client, of_type, spoken
from tests.support.import_jobs import loaded, remove_live_imports
from tests.support.shop_api import ShopApi, description, shop_api

AGENTS = """
company: Ticket Company
fallback: desk
agents:
  - {name: desk, title: Desk, description: Answers the rest., tools: [escalate_to_human, delete_ticket]}
policy:
  - {tool: delete_ticket, when: ticket_id > 100, then: never, because: Old tickets are kept.}
  - {tool: delete_all_tickets, then: never}
  - {tool: "create_*", when: priority > 3, then: two_leads}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("removed")
    path = folder / "agents.yaml"
    path.write_text(AGENTS)
    with AppProcess(folder / "var", ALLOWED_HOSTS="127.0.0.1", AGENTS_FILE=path) as started:
        yield started


@pytest.fixture
def app(running: AppProcess) -> Iterator[AppProcess]:
    """The app of all these tests, with no import in use before and after each."""
    yield running
    remove_live_imports(running)


@pytest.fixture
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        yield running


def _imported(app: AppProcess, api: ShopApi) -> dict[str, Any]:
    job_id = app.post("/openapi/import", {"url": f"{api.url}/openapi.json"}).json()["data"]["job_id"]
    job = loaded(lambda: app.get(f"/openapi/jobs/{job_id}"))
    assert job["status"] == "review", job
    secret = {"scheme": "key", "values": {"value": "secret-4714"}}
    httpx.put(f"{app.url}/api/v1/openapi/jobs/{job['job_id']}/credentials", json=secret, timeout=30)
    return job


def _approve(app: AppProcess, job: dict[str, Any]) -> httpx.Response:
    return app.post(f"/openapi/jobs/{job['job_id']}/approve", {})


def _change(app: AppProcess, job: dict[str, Any], key: str, **wanted: Any) -> None:
    path = f"{app.url}/api/v1/openapi/jobs/{job['job_id']}/operations/{key}"
    answer = httpx.patch(path, json=wanted, timeout=30)
    assert answer.status_code == 200, answer.text


def _names(app: AppProcess) -> set[str]:
    return {tool["name"] for tool in app.get("/tools")}


def _warnings(app: AppProcess) -> list[str]:
    answer = httpx.get(f"{app.url}/api/v1/tools", timeout=30).json()
    warnings: list[str] = answer["meta"]["warnings"]
    return warnings


def _take_out_of_use(app: AppProcess, api: ShopApi, first: dict[str, Any], how: str) -> httpx.Response:
    """Have `delete_ticket` be no write any more."""
    if how == "removed":
        return app.post(f"/openapi/jobs/{first['job_id']}/remove", {})
    again = _imported(app, api)
    if how == "switched off":
        _change(app, again, "delete_ticket", enabled=False)
    elif how == "renamed":
        _change(app, again, "delete_ticket", tool_name="erase_ticket")
    return _approve(app, again)


def test_a_rule_and_a_list_may_name_tools_that_do_not_exist_yet(app: AppProcess, api: ShopApi) -> None:
    about = [text.partition(": ")[2].partition(" ")[0] for text in _warnings(app)]
    assert about == ["agent", "policy", "policy", "policy"]
    assert "agents_file" in app.log()
    job = _imported(app, api)
    _change(app, job, "delete_all_tickets", enabled=True)
    assert app.get(f"/openapi/jobs/{job['job_id']}")["warnings"] == []
    _change(app, job, "delete_ticket", enabled=False)
    told = app.get(f"/openapi/jobs/{job['job_id']}")["warnings"]
    assert ["delete_ticket" in text for text in told] == [True, True]
    _change(app, job, "delete_ticket", enabled=True)
    assert _approve(app, job).json()["data"]["warnings"] == []
    assert _warnings(app) == []
    agents = {agent["name"]: agent["tools"] for agent in app.get("/agents")}
    assert "delete_ticket" in agents["desk"]
    rules = {tool["name"]: tool["rules"] for tool in app.get("/tools")}
    assert rules["delete_ticket"][0]["then"] == "never"


@pytest.mark.parametrize("how", ["removed", "switched off", "renamed"])
def test_taking_a_tool_out_of_use_that_a_rule_names_is_done_whole(
    app: AppProcess, api: ShopApi, how: str
) -> None:
    first = _imported(app, api)
    assert _approve(app, first).status_code == 200
    answer = _take_out_of_use(app, api, first, how)
    assert answer.status_code == 200, answer.text
    assert any("'delete_ticket' is not a write" in text for text in answer.json()["data"]["warnings"])
    assert "delete_ticket" not in _names(app)
    assert all("delete_ticket" not in agent["tools"] for agent in app.get("/agents"))
    app.post("/chat", {"thread_id": clock.new_id(), "message": "Delete ticket 12"})
    assert not api.calls("DELETE", "/tickets/12")
    app.stop()
    app.start()
    assert "delete_ticket" not in _names(app)
    # When the tool comes back, so does its rule.
    assert _approve(app, _again(app, api)).status_code == 200
    said = app.post("/chat", {"thread_id": clock.new_id(), "message": "Delete ticket 112"}).json()["data"]
    assert "Old tickets are kept" in said["reply"]
    assert not api.calls("DELETE", "/tickets/112")


def _again(app: AppProcess, api: ShopApi) -> dict[str, Any]:
    job = _imported(app, api)
    _change(app, job, "delete_ticket", enabled=True, tool_name="delete_ticket")
    return job


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["removed", "switched off", "renamed"])
async def test_an_approval_of_a_removed_tool_is_refused_and_reaches_nothing(
    app: AppProcess, api: ShopApi, thread_id: str, how: str, restarted: bool
) -> None:
    first = _imported(app, api)
    _approve(app, first)
    async with await Client.connect(app.ws_url) as customer:
        asked = (await customer.turn(thread_id, "Delete ticket 12"))[-1]
        assert asked["type"] == "interrupt"
    await asyncio.to_thread(_take_out_of_use, app, api, first, how)
    if restarted:
        app.stop()
        app.start()
    async with await Client.connect(app.ws_url) as customer:
        await customer.send(type="resume", thread_id=thread_id, after=asked["seq"])
        answer = app.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
        assert answer.status_code == 200, answer.text
        events = await customer.until("message_complete", "error")
        assert events[-1]["type"] == "message_complete", events
        (told,) = of_type(events, "tool_result")
        assert (told["status"], "no longer available" in told["content"]) == ("error", True)
        assert "was not carried out" in spoken(events)
        # The agent of its API may have gone with it; the conversation goes on with another.
        after = await customer.turn(thread_id, "Hello")
        assert after[-1]["type"] == "message_complete"
    approval = app.get(f"/approvals/{asked['approval_id']}")
    assert (approval["status"], approval["execution"]) == ("approved", "failed")
    assert "no longer available" in approval["execution_reason"]
    history = app.get(f"/approvals/{asked['approval_id']}/history")
    assert [row["detail"]["why"] for row in history if row["kind"] == "execution_refused"]
    assert "no longer available" in str(app.get(f"/replay/{thread_id}"))
    assert not api.calls("DELETE", "/tickets/12")


def test_an_approved_write_that_has_become_a_read_does_not_run_past_the_ledger(
    app: AppProcess, api: ShopApi, thread_id: str
) -> None:
    first = _imported(app, api)
    _change(app, first, "list_tickets", needs_approval=True)
    _approve(app, first)
    said = app.post("/chat", {"thread_id": thread_id, "message": "List tickets"}).json()
    asked = said["data"]["approval"]
    assert asked["action"] == "list_tickets", said
    again = _imported(app, api)
    _change(app, again, "list_tickets", access="read", needs_approval=False)
    assert _approve(app, again).status_code == 200
    app.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
    app.post("/chat", {"thread_id": thread_id, "message": "thanks"})
    assert not api.calls("GET", "/tickets")
    assert app.get(f"/approvals/{asked['approval_id']}")["execution"] == "failed"


def test_an_approval_does_not_run_at_another_service_of_the_same_description(
    app: AppProcess, api: ShopApi, thread_id: str
) -> None:
    first = _imported(app, api)
    _approve(app, first)
    said = app.post("/chat", {"thread_id": thread_id, "message": "Delete ticket 12"}).json()["data"]
    app.post(f"/openapi/jobs/{first['job_id']}/remove", {})
    with shop_api() as other:
        assert _approve(app, _imported(app, other)).status_code == 200
        answer = app.post(f"/approvals/{said['approval']['approval_id']}/decision", {"decision": "approve"})
        assert answer.status_code == 200
        deadline = time.monotonic() + 60
        while not (again := app.pending(thread_id)) and time.monotonic() < deadline:
            time.sleep(0.05)  # the resumed turn ends in a new card, which has no event over REST
        assert again[0]["approval_id"] != said["approval"]["approval_id"]
        assert not other.calls("DELETE", "/tickets/12")
    assert not api.calls("DELETE", "/tickets/12")


def test_a_tool_that_its_rule_can_not_be_judged_for_is_not_brought_in(app: AppProcess, api: ShopApi) -> None:
    """A `never` rule would say nothing of it any more."""
    first = _imported(app, api)
    _approve(app, first)
    paths = description(api.url)["paths"]
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
    delete = paths["/tickets/{ticket_id}"]["delete"]
    api.more = {
        "/tickets/{ticket_id}": {"get": paths["/tickets/{ticket_id}"]["get"], "parameters": [number]},
        "/tickets/{number}": {"parameters": [number], "delete": delete},
    }
    again = _imported(app, api)
    told = app.get(f"/openapi/jobs/{again['job_id']}")["warnings"][0]
    assert "asks for ticket_id, which delete_ticket does not have" in told
    refused = _approve(app, again)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    assert app.get(f"/openapi/jobs/{first['job_id']}")["status"] == "live"
    assert app.get(f"/openapi/jobs/{again['job_id']}")["status"] == "review"
    assert "delete_ticket" in _names(app)


@pytest.mark.parametrize("agent", ["messages", "steps", "route", "call"])
def test_an_agent_may_be_called_like_a_part_of_the_graph(app: AppProcess, api: ShopApi, agent: str) -> None:
    job = _imported(app, api)
    for key in ("list_tickets", "delete_ticket"):
        _change(app, job, key, agent=agent)
    assert _approve(app, job).status_code == 200
    assert f"{agent}_api" in {one["name"] for one in app.get("/agents")}
    app.stop()
    app.start()
    assert "list_tickets" in _names(app)


@pytest.mark.parametrize("broken", ["document", "proposal", "name"])
def test_a_stored_import_never_keeps_the_app_from_starting(
    app: AppProcess, api: ShopApi, broken: str
) -> None:
    job = _imported(app, api)
    _approve(app, job)
    app.stop()
    statements = {
        "document": "UPDATE import_jobs SET document = '{\"openapi\": 7}'",
        "proposal": "UPDATE operations SET proposal = '{' WHERE key = 'delete_ticket'",
        # As where an upgrade brings a tool of the business with that name.
        "name": "UPDATE operations SET tool_name = 'cancel_order' WHERE key = 'delete_ticket'",
    }
    with closing(stores.state_of(app.data_dir)) as state:
        asyncio.run(state.execute(statements[broken]))
    app.start()
    names = _names(app)
    assert "delete_ticket" not in names
    assert ("list_tickets" in names) == (broken != "document")
    words = {"document": "its tools are disabled", "name": "'cancel_order' is taken"}
    if broken in words:
        assert any(words[broken] in text for text in _warnings(app))
    removed = app.post(f"/openapi/jobs/{job['job_id']}/remove", {})
    assert removed.status_code == 200, removed.text
    assert "list_tickets" not in _names(app)
