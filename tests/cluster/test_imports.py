"""Imported tools of a system of two processes: what one takes out of use, the other can't call."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx

from smart_support import clock
from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded
from tests.support.shop_api import shop_api

Machine = Callable[..., AppProcess]
AGENTS = """
company: Ticket Company
fallback: desk
agents:
  - {name: desk, title: Desk, description: Answers the rest.}
policy:
  - {tool: delete_ticket, when: ticket_id > 100, then: never}
"""


def _live(app: AppProcess, url: str) -> str:
    job_id = app.post("/openapi/import", {"url": f"{url}/openapi.json"}).json()["data"]["job_id"]
    path = f"/openapi/jobs/{job_id}"
    loaded(lambda: app.get(path))
    secret = {"scheme": "key", "values": {"value": "secret-4716"}}
    httpx.put(f"{app.url}/api/v1{path}/credentials", json=secret, timeout=30)
    assert app.post(f"{path}/approve", {}).status_code == 200
    return path


def test_what_one_process_removes_the_other_does_not_call(machine: Machine, tmp_path: Path) -> None:
    agents = tmp_path / "agents.yaml"
    agents.write_text(AGENTS)
    settings = {"ALLOWED_HOSTS": "127.0.0.1", "AGENTS_FILE": agents}
    here, there = machine(**settings), machine(**settings)
    with shop_api() as api:
        path = _live(here, api.url)
        deadline = time.monotonic() + 60
        while "delete_ticket" not in str(there.get("/tools")):
            assert time.monotonic() < deadline, "the other process was not told"
            time.sleep(0.02)  # the news come by the database
        threads = [clock.new_id() for _ in range(2)]
        asked = [
            there.post("/chat", {"thread_id": thread, "message": "Delete ticket 12"}).json()["data"][
                "approval"
            ]
            for thread in threads
        ]
        assert here.post(f"{path}/remove", {}).status_code == 200
        # The other may not have heard of it yet: it looks before it calls.
        for card, thread in zip(asked, threads, strict=True):
            there.post(f"/approvals/{card['approval_id']}/decision", {"decision": "approve"})
            there.post("/chat", {"thread_id": thread, "message": "thanks"})
            approval = here.get(f"/approvals/{card['approval_id']}")
            assert approval["execution"] == "failed", approval
            assert approval["execution_reason"]
        there.post("/chat", {"thread_id": clock.new_id(), "message": "List tickets"})
        assert not api.calls("DELETE", "/tickets/12")
        assert not api.calls("GET", "/tickets")
        for app in (here, there):
            assert "delete_ticket" not in {tool["name"] for tool in app.get("/tools")}
            app.stop()
            app.start()
            assert "delete_ticket" not in {tool["name"] for tool in app.get("/tools")}
