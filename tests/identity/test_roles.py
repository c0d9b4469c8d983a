"""Who may do what, at every door alike: REST, socket, Gradio, `gradio_client` and the browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets
from gradio_client import Client as GradioClient

from tests.support.guarded import KEYS, PASSWORD
from tests.support.harness import AppProcess, Client, demo_orders, run_python


@pytest.fixture
def app(guarded: AppProcess) -> AppProcess:
    return guarded


def _as(app: AppProcess, who: str | None, method: str, path: str, **options: object) -> httpx.Response:
    headers = {"X-API-Key": KEYS[who]} if who else {}
    return httpx.request(method, f"{app.url}{path}", headers=headers, timeout=30, **options)  # type: ignore[arg-type]


def _asked(app: AppProcess, who: str, thread_id: str, message: str) -> dict:
    body = {"thread_id": thread_id, "message": message}
    return _as(app, who, "POST", "/api/v1/chat", json=body).json()["data"]["approval"]


def test_a_conversation_is_its_operators_own(app: AppProcess) -> None:
    assert (
        _as(app, "op", "POST", "/api/v1/chat", json={"thread_id": "own", "message": "hi"}).status_code == 200
    )
    for method, path in (("POST", "/api/v1/chat"), ("GET", "/api/v1/replay/own")):
        body = {"thread_id": "own", "message": "hi"}
        assert _as(app, "op2", method, path, json=body).status_code == 403
    assert _as(app, "op", "GET", "/api/v1/replay/own").status_code == 200
    assert _as(app, "dana", "GET", "/api/v1/replay/own").status_code == 200


def test_the_key_decides_who_decided_and_nobody_decides_their_own(app: AppProcess) -> None:
    asked = _asked(app, "dana", "self", "Cancel order 1042")
    path = f"/api/v1/approvals/{asked['approval_id']}/decision"
    own = _as(app, "dana", "POST", path, json={"decision": "approve", "decided_by": "kim"})
    assert (own.status_code, own.json()["error"]["code"]) == (403, "forbidden")
    assert "Another lead" in own.json()["error"]["message"]
    decided = _as(app, "kim", "POST", path, json={"decision": "reject"}).json()["data"]
    assert (decided["asked_by"], decided["decided_by"]) == ("dana", "kim")


async def test_nobody_comes_to_decide_their_own_because_somebody_else_spoke_in_between(
    app: AppProcess,
) -> None:
    order = next(demo_orders("processing"))
    _asked(app, "dana", "chain", f"Cancel order {order} and give me 10% off the next one")
    async with await Client.connect(f"{app.ws_url}?token={KEYS['kim']}") as kim:
        await kim.turn("chain", "Where is order 1043?")
        await kim.send(type="interrupt_response", thread_id="chain", approved=True)
        second = (await kim.until("interrupt", "message_complete"))[-1]
    assert second["type"] == "interrupt"
    path = f"/api/v1/approvals/{second['approval_id']}/decision"
    assert _as(app, "dana", "POST", path, json={"decision": "approve"}).status_code == 403
    decided = _as(app, "kim", "POST", path, json={"decision": "approve"}).json()["data"]
    assert (decided["status"], decided["asked_by"]) == ("approved", "dana")


def test_two_leads_are_two_people_who_log_in(app: AppProcess) -> None:
    asked = _asked(app, "op", "two", "Give me 10% off order 1046")
    path = f"/api/v1/approvals/{asked['approval_id']}/decision"
    for key in ("dana", "kim", "root"):
        refused = _as(app, key, "POST", path, json={"decision": "approve"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
        assert "the API key" in refused.json()["error"]["message"]
    with _logged_in(app, "lee") as lee, _logged_in(app, "mia") as mia:
        first = lee.post(path, json={"decision": "approve"}).json()["data"]
        assert (first["status"], [vote["by"] for vote in first["votes"]]) == ("pending", ["lee"])
        assert lee.post(path, json={"decision": "approve"}).status_code == 409
        assert _as(app, "dana", "POST", path, json={"decision": "approve"}).status_code == 403
        second = mia.post(path, json={"decision": "approve"}).json()["data"]
    assert (second["status"], second["decided_by"]) == ("approved", "lee and mia")


@contextmanager
def _logged_in(app: AppProcess, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, headers={"Origin": app.url}, timeout=30) as browser:
        assert browser.post("/login", data={"name": name, "password": PASSWORD}).status_code == 200
        yield browser


async def test_a_socket_asks_who_you_are(app: AppProcess) -> None:
    async with await Client.connect(app.ws_url) as nobody:
        assert (await nobody.next())["code"] == "unauthorized"
        with pytest.raises(websockets.ConnectionClosed):
            await nobody.next()
    async with await Client.connect(f"{app.ws_url}?token={KEYS['op']}") as operator:
        await operator.send(type="watch_approvals")
        assert (await operator.next())["code"] == "forbidden"
        asked = (await operator.turn("ws-op", "Cancel order 1042"))[-1]
        assert asked["type"] == "interrupt"
        await operator.send(type="interrupt_response", thread_id="ws-op", approved=True)
        assert (await operator.next())["code"] == "forbidden"
        async with await Client.connect(f"{app.ws_url}?token={KEYS['op2']}") as other:
            await other.send(type="resume", thread_id="ws-op")
            assert (await other.next())["code"] == "forbidden"
        async with await Client.connect(f"{app.ws_url}?token={KEYS['kim']}") as lead:
            await lead.send(type="interrupt_response", thread_id="ws-op", approved=False)
            events = await operator.until("message_complete")
            assert events[0]["decided_by"] == "kim"


def test_gradio_s_functions_ask_the_same(app: AppProcess) -> None:
    operator = GradioClient(app.url, headers={"X-API-Key": KEYS["op"]}, verbose=False)
    said = operator.predict("Cancel order 1042", "gradio-op", api_name="/chat")
    assert said["status"] == "awaiting_approval"
    with pytest.raises(Exception, match="forbidden"):
        operator.predict(said["approval"]["approval_id"], "approve", api_name="/decide")
    lead = GradioClient(app.url, headers={"X-API-Key": KEYS["kim"]}, verbose=False)
    decided = lead.predict(said["approval"]["approval_id"], "reject", api_name="/decide")
    assert decided["approval"]["decided_by"] == "kim"


def test_a_stream_is_its_first_user_s(app: AppProcess) -> None:
    path = "/gradio_api/queue/data?session_hash=of-op-alone"
    with httpx.stream("GET", f"{app.url}{path}", headers={"X-API-Key": KEYS["op"]}) as own:
        assert own.status_code != 403
    body = {"session_hash": "of-op-alone", "fn_index": 0, "event_id": "x", "data": []}
    for method, other in (
        ("GET", path),
        ("GET", "/gradio_api/heartbeat/of-op-alone"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/cancel"),
    ):
        assert _as(app, "kim", method, other, json=body).status_code == 403, other


def test_users_and_keys_are_made_by_a_command(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    command = ("-m", "smart_support", "users")
    password = "a long password\n"
    added = run_python(*command, "add", "dana", "--role", "lead", "--file", str(path), text=password)
    assert added.returncode == 0, added.stderr
    assert "a long password" not in path.read_text()
    made = run_python(*command, "key", "site", "--role", "operator")
    assert made.returncode == 0, made.stderr
    for what, taken in (("add", "Dana"), ("add", "loсal user"), ("key", "Policy"), ("key", "agent:shop")):
        file = ["--file", str(path)] if what == "add" else []
        refused = run_python(*command, what, taken, "--role", "lead", *file, text=password)
        assert (refused.returncode, refused.stdout) == (2, ""), taken
        assert repr(taken) in refused.stderr
    key, entry = (line.split(": ", 1)[1] for line in made.stdout.splitlines())
    with AppProcess(tmp_path / "var", USERS_FILE=path, API_KEYS=entry, HOST="0.0.0.0") as app:
        answer = httpx.get(f"{app.url}/api/v1/me", headers={"X-API-Key": key}, timeout=60)
        assert answer.json()["data"] == {"name": "site", "role": "operator", "login": True}
        browser = httpx.Client(base_url=app.url, timeout=60)
        assert browser.post("/login", data={"name": "dana", "password": "a long password"}).status_code == 200
        assert browser.get("/api/v1/me").json()["data"]["role"] == "lead"
        assert key not in app.log()
        app.stop()
        path.write_text(path.read_text().replace("dana", "lee"))
        app.start()
        assert browser.get("/api/v1/me").status_code == 401
