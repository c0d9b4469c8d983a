"""Every door by every role and by nobody: routes, functions of the console, frames of the socket.

The doors are counted from the app. One that is new fails here until the table says whom it is for.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import websockets

from smart_support import Settings, create_app
from smart_support.api.routes import METHODS
from smart_support.identity.users import Role
from tests.support import interfaces
from tests.support.harness import Client, LocalApp

KEYS = {"op": "operator-key-1", "op2": "operator-key-2", "dana": "lead-key-1", "root": "admin-key-1"}
AGENT_KEY = "agent-key-1"
ROLES = {"op": Role.OPERATOR, "op2": Role.OPERATOR, "dana": Role.LEAD, "root": Role.ADMIN}
OPEN, AGENT, OPERATOR, LEAD, ADMIN = -1, Role.AGENT, Role.OPERATOR, Role.LEAD, Role.ADMIN
# What a path is filled with; the thread is op's.
FILLED = {"thread_id": "op-s-own", "customer_id": "nobody", "key": "x", "path": "nothing/here"}


class Door(NamedTuple):
    """Whom a route is for, and what to send; `own`: of operators, only for the thread's own."""

    role: int
    body: Any = None
    own: bool = False


_DECISION = {"decision": "reject"}
REST = {
    "GET /openapi.json": Door(OPERATOR),
    "GET /health": Door(OPEN),
    "POST /chat": Door(OPERATOR, {"thread_id": FILLED["thread_id"], "message": "hi"}, own=True),
    "GET /conversations": Door(OPERATOR),
    "GET /inbox": Door(OPERATOR),
    "GET /inbox/{thread_id}": Door(OPERATOR, own=True),
    "POST /inbox/{thread_id}/seen": Door(LEAD, {"seq": 1}),
    "GET /inbox/{thread_id}/customer": Door(LEAD),
    "GET /inbox/{thread_id}/customer/card": Door(LEAD),
    "POST /conversations/{thread_id}/takeover": Door(LEAD),
    "POST /conversations/{thread_id}/release": Door(LEAD),
    "POST /conversations/{thread_id}/messages": Door(LEAD, {"content": "hi"}),
    "GET /conversations/{thread_id}/notes": Door(LEAD),
    "POST /conversations/{thread_id}/notes": Door(LEAD, {"content": "hi"}),
    "GET /replay/{thread_id}": Door(OPERATOR, own=True),
    "GET /replay/{thread_id}/outline": Door(OPERATOR, own=True),
    "GET /replay/{thread_id}/all": Door(OPERATOR, own=True),
    "GET /replay/{thread_id}/test": Door(OPERATOR, own=True),
    "POST /replay/{thread_id}/what-if": Door(LEAD, {"approval_id": "x", "decision": "reject"}),
    "GET /approvals": Door(LEAD),
    "POST /approvals/batch": Door(LEAD, {"approval_ids": ["x"], "decision": "reject"}),
    "GET /approvals/{approval_id}": Door(LEAD),
    "GET /approvals/{approval_id}/history": Door(LEAD),
    "GET /approvals/{approval_id}/context": Door(LEAD),
    "POST /approvals/{approval_id}/decision": Door(LEAD, _DECISION),
    "POST /approvals/{approval_id}/preview": Door(LEAD, {"args": {}}),
    "POST /approvals/{approval_id}/claim": Door(LEAD),
    "DELETE /approvals/{approval_id}/claim": Door(LEAD),
    "POST /approvals/{approval_id}/notes": Door(LEAD, {"text": "a note"}),
    "POST /freeze": Door(LEAD, {"scope": "tool:nothing", "reason": "why"}),
    "GET /freeze": Door(OPERATOR),
    "DELETE /freeze/{scope:path}": Door(ADMIN),
    "GET /escalations": Door(LEAD),
    "POST /escalations/{escalation_id}/resend": Door(LEAD),
    "POST /escalations/{escalation_id}/handled": Door(LEAD),
    "GET /notifications": Door(LEAD),
    "POST /notifications/resend": Door(LEAD),
    "POST /notifications/{notification_id}/resend": Door(LEAD),
    "GET /analytics": Door(LEAD),
    "GET /analytics/definitions": Door(LEAD),
    "GET /analytics/export": Door(LEAD),
    "POST /analytics/sql": Door(ADMIN, {"sql": "SELECT 1"}),
    "GET /me": Door(OPERATOR),
    "GET /agents": Door(OPERATOR),
    "GET /tools": Door(OPERATOR),
    "POST /openapi/import": Door(ADMIN, {}),
    "GET /openapi/jobs": Door(ADMIN),
    "GET /openapi/jobs/{job_id}": Door(ADMIN),
    "GET /openapi/jobs/{job_id}/operations": Door(ADMIN),
    "PATCH /openapi/jobs/{job_id}/operations": Door(ADMIN, {"keys": ["x"], "changes": {}}),
    "PATCH /openapi/jobs/{job_id}/operations/{key:path}": Door(ADMIN, {}),
    "POST /openapi/jobs/{job_id}/words": Door(ADMIN),
    "PUT /openapi/jobs/{job_id}/place": Door(ADMIN, {}),
    "PUT /openapi/jobs/{job_id}/hosts": Door(ADMIN, {}),
    "PUT /openapi/jobs/{job_id}/credentials": Door(ADMIN, {"scheme": "x", "values": {}}),
    "POST /openapi/jobs/{job_id}/try/{key:path}": Door(ADMIN, {}),
    "POST /openapi/jobs/{job_id}/approve": Door(ADMIN),
    "POST /openapi/jobs/{job_id}/remove": Door(ADMIN),
    "POST /actions": Door(AGENT, {"tool": "none", "args": {}}),
    "GET /actions/{action_id}": Door(AGENT),
    "GET /callers": Door(LEAD),
    "POST /callers/{name}/disable": Door(LEAD, {"reason": "why"}),
    "POST /callers/{name}/enable": Door(LEAD),
    "DELETE /customers/{customer_id}": Door(ADMIN),
    "GET /demo-history": Door(LEAD),
    "DELETE /demo-history": Door(ADMIN),
    "GET /erasure": Door(ADMIN),
    "GET /metrics": Door(LEAD),
    "POST /backup": Door(ADMIN),
    **{f"{method} /{{path:path}}": Door(OPERATOR) for method in METHODS if method != "HEAD"},
}
# Of Gradio's own routes, those that the console and `gradio_client` need. All else it brings is shut.
GRADIO = {
    *("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json"),
    *("/pwa_icon", "/pwa_icon/{size}", "/svelte/{path:path}", "/static/{path:path}", "/assets/{path:path}"),
    *(
        f"/gradio_api/{name}"
        for name in (
            *("info", "openapi.json", "app_id", "startup-events", "theme.css", "user", "login_check"),
            *("queue/join", "queue/data", "queue/status", "cancel", "heartbeat/{session_hash}"),
            *("call/{api_name}", "call/v2/{api_name}"),
            *("call/{api_name}/{event_id}", "call/v2/{api_name}/{event_id}"),
        )
    ),
}
# What Gradio's panel of its API asks for, and is not there.
ABSENT = (("GET", "/monitoring/summary"), ("GET", "/gradio_api/mcp/schema"))
# The console's functions, by name: whom they are for, and what they take.
FUNCTIONS = {
    "follow": Door(OPERATOR, ["op-s-own"], own=True),
    "chat": Door(OPERATOR, ["hi", "op-s-own", ""], own=True),
    "pending_approvals": Door(LEAD, []),
    "decide": Door(LEAD, ["x", "reject", "", None]),
    "conversations": Door(OPERATOR, ["", "", "", "", "", "", 50, ""]),
    "replay": Door(OPERATOR, ["op-s-own", 0, 200], own=True),
    "analytics": Door(LEAD, ["7d", "", ""]),
}
FRAMES = {
    "message": Door(OPERATOR, {"content": "hi"}, own=True),
    "interrupt_response": Door(LEAD, {"approved": False}),
    "resume": Door(OPERATOR, {}, own=True),
    "ping": Door(OPERATOR, {}),
    "leave": Door(OPERATOR, {}),
    "watch_approvals": Door(LEAD, {}),
    "watch_conversations": Door(OPERATOR, {}),
    "watch_freezes": Door(OPERATOR, {}),
}

_client = httpx.Client(timeout=30)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    keys = ",".join(f"{name}:{ROLES[name].name}:{key}" for name, key in KEYS.items())
    keys += f",bot:agent:{AGENT_KEY}"
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("doors") / "var", api_keys=keys, rate_limit="1000/1s"
    )
    with LocalApp(create_app(settings)) as running:
        said = _ask(running, "op", "POST", "/api/v1/chat", REST["POST /chat"].body)
        assert said.status_code == 200, said.text
        yield running


def _ask(app: LocalApp, who: str | None, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"X-API-Key": KEYS.get(who, who)} if who else {}
    return _client.request(method, f"{app.url}{path}", headers=headers, json=body)


def _filled(path: str) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: FILLED.get(found[1], "x"), path)


def _may(who: str, door: Door) -> bool:
    return ROLES[who] >= door.role and not (door.own and who == "op2")


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_every_route_is_in_the_table(app: LocalApp) -> None:
    prefix = "/api/v1"
    ours = {
        f"{method} {path.removeprefix(prefix)}"
        for method, path in interfaces.routes(app.app)
        if path.startswith(prefix)
    }
    assert ours == set(REST)
    others = {path for method, path in interfaces.routes(app.app) if not path.startswith(prefix)}
    gradio = {path for _, path in interfaces.routes_of_gradio()}
    open_to_all = {"/login/sso", "/login/callback", "/login/back-channel-logout"}
    assert others - gradio == {"/ws", "/console", "/mcp", "/decide/{token}"} | open_to_all


@pytest.mark.parametrize("route", REST)
def test_a_route_is_for_its_role(app: LocalApp, route: str) -> None:
    method, path = route.split(" ")
    door, filled = REST[route], f"/api/v1{_filled(path)}"
    nobody = _ask(app, None, method, filled, door.body)
    if door.role == OPEN:
        assert nobody.status_code == 200
    else:
        assert _code(nobody) == (401, "unauthorized")
        assert _code(_ask(app, "wrong", method, filled, door.body)) == (401, "unauthorized")
    for who in KEYS:
        answer = _ask(app, who, method, filled, door.body)
        if _may(who, door):
            assert answer.status_code not in (401, 403), (who, answer.text)
            assert answer.status_code < 500, (who, answer.text)
        else:
            assert _code(answer) == (403, "forbidden"), who


@pytest.mark.parametrize("sent_as", ["X-API-Key", "Authorization"])
def test_an_agent_s_key_reaches_what_is_for_agents_alone(app: LocalApp, sent_as: str) -> None:
    value = AGENT_KEY if sent_as == "X-API-Key" else f"Bearer {AGENT_KEY}"
    for route, door in REST.items():
        method, path = route.split(" ")
        url = f"{app.url}/api/v1{_filled(path)}"
        answer = _client.request(method, url, headers={sent_as: value}, json=door.body)
        if door.role <= AGENT:
            assert answer.status_code not in (401, 403), (route, answer.text)
        else:
            assert _code(answer) == (403, "forbidden"), route
    for path in ("/", "/login", "/console/base.css", "/gradio_api/info", "/api/v1/actions-of-others"):
        assert _code(_client.get(f"{app.url}{path}", headers={sent_as: value})) == (403, "forbidden"), path


async def test_an_agent_s_key_opens_no_socket_and_runs_no_function(app: LocalApp) -> None:
    async with await Client.connect(f"{app.ws_url}?token={AGENT_KEY}") as refused:
        assert (await refused.next())["code"] == "forbidden"
    for name, door in FUNCTIONS.items():
        index = _functions(app)[name]
        told = await interfaces.called(app.url, {"X-API-Key": AGENT_KEY}, "of-bot", index, door.body)
        assert told == [{"msg": "refused", "status": 403}]


def test_an_operator_learns_of_no_other_s_conversation(app: LocalApp) -> None:
    told = [_ask(app, "op2", "GET", f"/api/v1/replay/{thread}") for thread in ("op-s-own", "is-not-there")]
    assert [_code(one) for one in told] == [(403, "forbidden")] * 2
    listed = {who: _ask(app, who, "GET", "/api/v1/conversations").json()["data"] for who in KEYS}
    assert [one["thread_id"] for one in listed["op"]] == ["op-s-own"]
    assert listed["op2"] == []
    assert listed["dana"] == listed["op"]
    found = _ask(app, "op2", "GET", "/api/v1/conversations?q=op-s-own&status=active").json()
    assert found["data"] == []


def test_nobody_comes_to_gradio_s_own_routes_and_no_more_are_open_than_needed(app: LocalApp) -> None:
    found = interfaces.routes_of_gradio()
    assert {path for _, path in found} >= GRADIO
    assert len(found) > 70
    for method, path in found:
        if path in ("/login", "/logout"):
            continue  # our own come first
        filled = _filled(path)
        assert _ask(app, None, method, filled, {}).status_code == 401, (method, path)
        if (method, path) in ABSENT:
            assert _ask(app, "root", method, filled, {}).status_code == 304
        elif path.rstrip("/") not in GRADIO and path != "/":
            assert _code(_ask(app, "root", method, filled, {})) == (403, "forbidden"), (method, path)


def test_no_route_of_gradio_takes_a_session_or_a_call_of_another_user(app: LocalApp) -> None:
    made = _ask(app, "op", "POST", "/gradio_api/call/chat", {"data": ["hi", ""]}).json()["event_id"]
    join = {"data": ["op-s-own"], "fn_index": _functions(app)["follow"], "session_hash": "session-of-op"}
    assert _ask(app, "op", "POST", "/gradio_api/queue/join", join).status_code == 200
    ids = {"session_hash": "session-of-op", "event_id": made}
    found = set(interfaces.named_inputs(interfaces.whole_gradio_app(), *ids))
    assert len(found) > 15
    for method, path, place, name in found:
        filled = re.sub(r"{(\w+)(:\w+)?}", lambda part: ids.get(part[1], "chat"), path)
        filled += f"?{name}={ids[name]}" if place == "query" else ""
        for body in ({name: ids[name]}, join | {"event_id": made}):
            refused = _ask(app, "op2", method, filled, body if method == "POST" else None)
            # In the body of a call, Gradio's own `event_id` is not passed on.
            ignored = place == "body" and name == "event_id" and "session_hash" not in body
            expected = (403, 400, 404, 422) if ignored else (403,)
            assert refused.status_code in expected, (method, path, place, name, refused.text)
    own = _ask(app, "op", "GET", f"/gradio_api/call/chat/{made}")
    assert "event: complete" in own.text
    assert _code(_ask(app, "op", "GET", "/gradio_api/call/chat/is-not-there")) == (404, "not_found")


def test_what_is_beside_the_routes_is_not_open(app: LocalApp) -> None:
    for method, path in (
        *(("POST", "/gradio_api/call/decide"), ("GET", "/gradio_api/file=/etc/passwd")),
        *(("GET", "/gradio_api/mcp/"), ("GET", "/gradio_api/mcp/sse"), ("POST", "/gradio_api/mcp/http")),
        *(
            ("GET", "/console/approvals/approvals.js"),
            ("GET", "/login/"),
            ("OPTIONS", "/config"),
            ("PUT", "/nothing"),
        ),
    ):
        assert _ask(app, None, method, path, {}).status_code == 401, (method, path)


def test_every_function_of_the_console_is_in_the_table(app: LocalApp) -> None:
    known = _functions(app)
    assert set(known) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_a_function_asks_itself_who_calls(app: LocalApp, name: str) -> None:
    door, index = FUNCTIONS[name], _functions(app)[name]
    nobody = await interfaces.called(app.url, {}, f"{name}-of-nobody", index, door.body)
    assert nobody == [{"msg": "refused", "status": 401}]
    for who, key in KEYS.items():
        told = await interfaces.called(app.url, {"X-API-Key": key}, f"{name}-of-{who}", index, door.body)
        if _may(who, door):
            assert "forbidden" not in str(told[-1]), (who, told[-1])
            assert told[-1]["success"] or name == "decide", (who, told[-1])
        elif name == "follow":
            assert "hi" not in str(told), who
        else:
            assert re.search("forbidden|this is for the role lead", str(told[-1])), (who, told[-1])


def _functions(app: LocalApp) -> dict[str, int]:
    """The console's functions by name; what runs in the browser alone has none."""
    listed = interfaces.gradio_app(app.app).get_blocks().fns
    return {function.api_name: index for index, function in listed.items() if function.fn}


async def test_a_frame_is_for_its_role(app: LocalApp) -> None:
    async with await Client.connect(app.ws_url) as nobody:
        assert (await nobody.next())["code"] == "unauthorized"
    for who, key in KEYS.items():
        shown = {"X-API-Key": key} if who == "root" else {}
        address = app.ws_url if shown else f"{app.ws_url}?token={key}"
        connection = await websockets.connect(address, additional_headers=shown, max_queue=None, proxy=None)
        async with Client(connection) as client:
            await client.send(type="what is there?")
            known = (await client.next())["message"].partition("send one of ")[2].rstrip(".").split(", ")
            assert known == list(FRAMES)
            for type_, door in FRAMES.items():
                await client.send(type=type_, thread_id="op-s-own", **door.body)
                if type_ != "ping":
                    await client.send(type="ping")
                codes = {event.get("code") for event in await client.until("pong")}
                assert ("forbidden" in codes) is not _may(who, door), (who, type_)


async def test_a_thread_that_becomes_another_s_is_heard_by_nobody_who_came_before(app: LocalApp) -> None:
    early = await Client.connect(f"{app.ws_url}?token={KEYS['op2']}")
    owner = await Client.connect(f"{app.ws_url}?token={KEYS['op']}")
    async with early, owner:
        await early.send(type="resume", thread_id="to-come")
        await early.send(type="ping")
        await early.until("pong")
        await owner.turn("to-come", "Where is my order 1042?")
        told = await early.next()
        assert (told["type"], told["code"]) == ("error", "forbidden")
        await owner.turn("to-come", "And order 1043?")
        await early.send(type="ping")
        assert (await early.next())["type"] == "pong"


async def test_of_two_who_begin_a_thread_at_once_one_has_it(app: LocalApp) -> None:
    both = [await Client.connect(f"{app.ws_url}?token={KEYS[who]}") for who in ("op", "op2")]
    async with both[0], both[1]:
        for number in range(20):
            for client in both:
                await client.send(type="message", thread_id=f"both-{number}", content="hello")
            ends = [
                (await client.until("message_complete", "error", thread_id=f"both-{number}"))
                for client in both
            ]
            assert sorted(events[-1]["type"] for events in ends) == ["error", "message_complete"]
            lost = next(events for events in ends if events[-1]["type"] == "error")
            assert [event["code"] for event in lost] == ["forbidden"]
