"""A change of imported tools is whole: a failure changes nothing, and no turn under way escapes it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph

from smart_support import Settings, clock, create_app
from smart_support.agents import assembly
from smart_support.connectors.review.import_store import ImportStore
from smart_support.errors import StorageFailed
from tests.support.harness import LocalApp, ScriptedModel
from tests.support.import_jobs import loaded
from tests.support.shop_api import ShopApi, shop_api

AGENTS = """
company: Ticket Company
fallback: tickets
agents:
  - {name: tickets, title: Tickets, description: Answers everything.}
policy:
  - {tool: delete_ticket, then: run}
"""


class Held:
    """A model that deletes a ticket, and says so first; it says it when it is `let_go`."""

    def __init__(self) -> None:
        self.speaking, self.let_go = threading.Event(), threading.Event()
        self.let_go.set()

    def script(self, messages: list[BaseMessage], _: list[dict[str, Any]]) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("Done")
        call = {"id": f"call_{clock.new_id()}", "name": "delete_ticket", "args": {"ticket_id": 12}}
        return AIMessage("Moment", tool_calls=[{**call, "type": "tool_call"}])

    async def before_word(self, word: str) -> None:
        if word == "Moment":
            self.speaking.set()
            await asyncio.to_thread(self.let_go.wait, 30)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def app(tmp_path: Path, held: Held) -> Iterator[LocalApp]:
    (tmp_path / "agents.yaml").write_text(AGENTS)
    own = Settings(data_dir=tmp_path / "var", agents_file=tmp_path / "agents.yaml", allowed_hosts="127.0.0.1")
    model = ScriptedModel(script=held.script, before_word=held.before_word)
    with LocalApp(create_app(own, chat_model=model)) as running:
        yield running


@pytest.fixture
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        yield running


def _review(app: LocalApp, api: ShopApi) -> str:
    given = {"url": f"{api.url}/openapi.json"}
    job = app.request("POST", "/openapi/import", json=given).json()["data"]
    path = f"/openapi/jobs/{job['job_id']}"
    loaded(lambda: app.request("GET", path).json()["data"])
    secret = {"scheme": "key", "values": {"value": "secret-4717"}}
    app.request("PUT", f"{path}/credentials", json=secret)
    return path


def _state(app: LocalApp, path: str) -> tuple[str, bool]:
    tools = app.request("GET", "/tools").json()["data"]
    status = app.request("GET", path).json()["data"]["status"]
    return status, "delete_ticket" in {tool["name"] for tool in tools}


def _say(app: LocalApp) -> dict[str, Any]:
    body = {"thread_id": clock.new_id(), "message": "Delete ticket 12"}
    said: dict[str, Any] = app.request("POST", "/chat", json=body).json()["data"]
    return said


Breaker = Callable[[pytest.MonkeyPatch], None]


def _break_assembling(patch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("no graph today")

    patch.setattr(assembly, "build_graph", broken)


def _break_storing(patch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise StorageFailed("no storage today")

    for name in ("go_live", "remove"):
        patch.setattr(ImportStore, name, broken)


@pytest.mark.parametrize("breaks", [_break_assembling, _break_storing])
def test_what_fails_on_the_way_changes_nothing(app: LocalApp, api: ShopApi, breaks: Breaker) -> None:
    path = _review(app, api)
    with pytest.MonkeyPatch.context() as patch:
        breaks(patch)
        assert app.request("POST", f"{path}/approve").status_code >= 500
    assert _state(app, path) == ("review", False)
    assert _say(app)["tool_calls"][0]["status"] == "error"
    assert app.request("POST", f"{path}/approve").status_code == 200
    assert _state(app, path) == ("live", True)
    with pytest.MonkeyPatch.context() as patch:
        breaks(patch)
        assert app.request("POST", f"{path}/remove").status_code >= 500
    assert _state(app, path) == ("live", True)
    assert _say(app)["tool_calls"][0]["status"] == "ok"
    assert len(api.calls("DELETE", "/tickets/12")) == 1
    assert app.request("POST", f"{path}/remove").status_code == 200
    assert _state(app, path) == ("removed", False)


def test_a_graph_of_ones_own_has_nothing_to_import(tmp_path: Path) -> None:
    graph = StateGraph(MessagesState).add_node("say", lambda _: {"messages": [AIMessage("Hello")]})
    graph.add_edge(START, "say")
    with LocalApp(create_app(Settings(data_dir=tmp_path / "var"), graph=graph.compile())) as app:
        for method, path in (("GET", "/jobs"), ("POST", "/import"), ("POST", "/jobs/1/approve")):
            answer = app.request(method, f"/openapi{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict"), answer.text


def test_a_turn_under_way_does_not_call_what_is_gone(app: LocalApp, api: ShopApi, held: Held) -> None:
    path = _review(app, api)
    app.request("POST", f"{path}/approve")
    held.let_go.clear()
    held.speaking.clear()
    with ThreadPoolExecutor(1) as thread:
        saying = thread.submit(_say, app)
        try:
            assert held.speaking.wait(60)
            assert app.request("POST", f"{path}/remove").status_code == 200
        finally:
            held.let_go.set()
        said = saying.result(30)
    assert said["tool_calls"][0]["status"] == "error", json.dumps(said)
    assert not api.calls("DELETE", "/tickets/12")
