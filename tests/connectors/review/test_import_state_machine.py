"""Whatever is done to imports in whatever order: agents can call what is listed, and nothing else."""

import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from smart_support import Settings, clock, create_app
from tests.support.examples import examples
from tests.support.harness import LocalApp, ScriptedModel
from tests.support.import_jobs import loaded
from tests.support.shop_api import shop_api

AGENTS = """
company: Ticket Company
fallback: desk
agents:
  - {name: desk, title: Desk, description: Answers the rest., tools: [delete_ticket, get_order_status]}
policy:
  - {tool: delete_ticket, when: ticket_id > 900, then: never}
  - {tool: erase_ticket, then: never}
  - {tool: look_at_ticket, then: run}
  - {tool: "*_ticket", when: ticket_id > 800, then: two_leads}
  - {tool: "purge_*", when: nothing_has_this > 1, then: never}
"""
READ, WRITE = "list_tickets", "delete_ticket"
KEYS = st.sampled_from([READ, WRITE])
NAMES = st.sampled_from(["list_tickets", "delete_ticket", "erase_ticket", "look_at_ticket", "cancel_order"])


def _script(messages: list[BaseMessage], tools: list[dict[str, Any]]) -> AIMessage:
    """Do what the customer writes: `AGENT TOOL ARGUMENTS`."""
    text = next(str(one.text) for one in reversed(messages) if isinstance(one, HumanMessage))
    agent, tool, args = text.split(" ", 2)
    call = {"id": f"call_{clock.new_id()}", "type": "tool_call"}
    if any(one["function"]["name"] == "route" for one in tools):
        route = {"targets": [{"agent": agent, "request": text}], "reason": "It says so."}
        return AIMessage("", tool_calls=[{**call, "name": "route", "args": route}])
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("That is what came of it.")
    return AIMessage("", tool_calls=[{**call, "name": tool, "args": json.loads(args)}])


class ImportMachine(RuleBasedStateMachine):
    """An app with one API beside it, and what should be in use: key -> name of the tool."""

    @initialize()
    def begin(self) -> None:
        self.stack = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp())
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "agents.yaml").write_text(AGENTS)
        self.api = self.stack.enter_context(shop_api())
        self.live: dict[str, str] = {}
        self.live_job = ""
        self.review: dict[str, tuple[bool, str]] = {}
        self.job = ""
        self.tickets = 0
        self.pending: list[tuple[str, int, str, str]] = []
        self._start()

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.app.__exit__()
            self.stack.close()

    def _start(self) -> None:
        own = Settings(
            data_dir=self.folder / "var",
            agents_file=self.folder / "agents.yaml",
            allowed_hosts="127.0.0.1",
            rate_limit="1000/1s",
        )
        self.app = LocalApp(create_app(own, chat_model=ScriptedModel(script=_script)))
        self.app.__enter__()

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self.app.request(method, path, **options)
        assert answer.status_code < 500, answer.text
        return answer

    def _data(self, path: str) -> Any:
        answer = self._ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    @rule()
    def import_again(self) -> None:
        begun = self._ask("POST", "/openapi/import", json={"url": f"{self.api.url}/openapi.json"})
        job_id = begun.json()["data"]["job_id"]
        job = loaded(lambda: self._data(f"/openapi/jobs/{job_id}"))
        assert job["status"] == "review", job
        self.job = job["job_id"]
        for one in self._data(f"/openapi/jobs/{self.job}/operations"):
            if one["key"] in (READ, WRITE):
                self.review[one["key"]] = (one["enabled"], one["tool_name"])
            elif one["enabled"]:
                path = f"/openapi/jobs/{self.job}/operations/{one['key']}"
                assert self._ask("PATCH", path, json={"enabled": False}).status_code == 200
        secret = {"scheme": "key", "values": {"value": "secret-4715"}}
        assert self._ask("PUT", f"/openapi/jobs/{self.job}/credentials", json=secret).status_code == 200

    @precondition(lambda self: self.job)
    @rule(key=KEYS, enabled=st.booleans(), name=st.none() | NAMES)
    def change(self, key: str, enabled: bool, name: str | None) -> None:
        wanted: dict[str, Any] = {"enabled": enabled} | ({"tool_name": name} if name else {})
        answer = self._ask("PATCH", f"/openapi/jobs/{self.job}/operations/{key}", json=wanted)
        if answer.status_code == 200:
            self.review[key] = (enabled, name or self.review[key][1])

    @precondition(lambda self: self.job)
    @rule()
    def approve(self) -> None:
        answer = self._ask("POST", f"/openapi/jobs/{self.job}/approve")
        if answer.status_code == 200:
            self.live = {key: name for key, (enabled, name) in self.review.items() if enabled}
            self.live_job, self.job = self.job, ""
        else:
            assert answer.json()["error"]["message"]

    @precondition(lambda self: self.live_job)
    @rule()
    def remove(self) -> None:
        assert self._ask("POST", f"/openapi/jobs/{self.live_job}/remove").status_code == 200
        self.live, self.live_job = {}, ""

    @rule()
    def restart(self) -> None:
        self.app.__exit__()
        self._start()

    @rule(name=NAMES.filter(lambda name: name != "cancel_order"))
    def call_a_write(self, name: str) -> None:
        self.tickets += 1
        said = self._said(name, {"ticket_id": self.tickets})
        is_live = self.live.get(WRITE) == name
        if said["status"] == "awaiting_approval":
            assert is_live
            approval = said["approval"]
            self.pending.append((approval["approval_id"], self.tickets, name, said["thread_id"]))
        ran = is_live and name == "look_at_ticket"
        assert bool(self.api.calls("DELETE", f"/tickets/{self.tickets}")) == ran

    @rule(name=NAMES.filter(lambda name: name != "cancel_order"))
    def call_a_read(self, name: str) -> None:
        before = len(self.api.calls("GET", "/tickets"))
        self._said(name, {})
        assert len(self.api.calls("GET", "/tickets")) - before == (self.live.get(READ) == name)

    def _said(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        agents = self._data("/agents")
        agent = next((one["name"] for one in agents if name in one["tools"]), "tickets")
        message = {"thread_id": clock.new_id(), "message": f"{agent} {name} {json.dumps(args)}"}
        answer = self._ask("POST", "/chat", json=message)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()["data"]
        return said

    @precondition(lambda self: self.pending)
    @rule()
    def decide(self) -> None:
        approval_id, ticket, name, thread_id = self.pending.pop()
        answer = self._ask("POST", f"/approvals/{approval_id}/decision", json={"decision": "approve"})
        assert answer.status_code == 200, answer.text
        deadline = time.monotonic() + 60
        while (one := self._data(f"/approvals/{approval_id}"))["execution"] == "not_started":
            assert time.monotonic() < deadline, "nobody said what became of it"
            time.sleep(0.02)  # the resumed turn has no event over REST
        ran = self.live.get(WRITE) == name
        assert one["execution"] == ("done" if ran else "failed")
        assert bool(one["execution_reason"]) != ran
        assert bool(self.api.calls("DELETE", f"/tickets/{ticket}")) == ran
        steps = self._data(f"/replay/{thread_id}")
        # Under that name there may be another tool by now, which is asked for anew.
        assert ran or any(step["type"] in ("tool_result", "interrupt") for step in steps[-6:])

    @invariant()
    def what_is_listed_can_be_called(self) -> None:
        if not hasattr(self, "app"):
            return
        imported = {READ, WRITE, "erase_ticket", "look_at_ticket"}
        assert {tool["name"] for tool in self._data("/tools")} & imported == set(self.live.values())
        given = {name for agent in self._data("/agents") for name in agent["tools"]}
        assert given & imported == set(self.live.values())


ImportMachine.TestCase.settings = settings(
    max_examples=examples(6),
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestImportMachine = ImportMachine.TestCase
