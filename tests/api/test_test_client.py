"""Under Starlette's own `TestClient` sockets come and go at any time, and the app raises nothing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from smart_support import Settings, clock, create_app

ROUNDS = 15
COUPON = "generate a coupon with 10% off"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("test-client") / "var", rate_limit="1000/1s")
    with TestClient(create_app(settings)) as client:
        yield client


def _until(socket: WebSocketTestSession, *types: str) -> dict[str, Any]:
    while (event := socket.receive_json())["type"] not in types:
        pass
    return event


def _say(socket: WebSocketTestSession, thread_id: str, content: str) -> None:
    socket.send_json({"type": "message", "thread_id": thread_id, "content": content})


def test_a_whole_conversation(client: TestClient) -> None:
    for _ in range(ROUNDS):
        thread_id = clock.new_id()
        with client.websocket_connect("/ws") as socket:
            _say(socket, thread_id, COUPON)
            assert _until(socket, "interrupt", "error")["type"] == "interrupt"
            socket.send_json({"type": "interrupt_response", "thread_id": thread_id, "approved": True})
            assert _until(socket, "message_complete", "error")["type"] == "message_complete"


def test_a_turn_goes_on_though_its_socket_is_gone(client: TestClient) -> None:
    for _ in range(ROUNDS):
        thread_id = clock.new_id()
        with client.websocket_connect("/ws") as socket:
            _say(socket, thread_id, "Where is my order 1043?")
            socket.receive_json()
        with client.websocket_connect("/ws") as socket:
            socket.send_json({"type": "resume", "thread_id": thread_id})
            assert _until(socket, "message_complete", "error")["type"] == "message_complete"


def test_two_sockets_on_one_thread(client: TestClient) -> None:
    for _ in range(ROUNDS):
        thread_id = clock.new_id()
        with client.websocket_connect("/ws") as one, client.websocket_connect("/ws") as two:
            two.send_json({"type": "resume", "thread_id": thread_id})
            _say(one, thread_id, "hello")
            assert _until(one, "message_complete", "error") == _until(two, "message_complete", "error")


@pytest.mark.parametrize("login", [False, True])
def test_a_socket_that_closes_while_its_handler_is_busy(
    client: TestClient, login: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    if login:
        monkeypatch.setattr("smart_support.api.middleware.authentication.authenticate", _logged_in)
        monkeypatch.setattr(type(services.accounts), "is_login_required", True)
        monkeypatch.setattr(services.logins, "wait_until_ended", lambda token: asyncio.Event().wait())
    busy: list[bool] = []

    async def never(*_: Any, **__: Any) -> str:
        busy.append(True)
        try:
            await asyncio.Event().wait()
        finally:
            # As what still has to give something back.
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await asyncio.sleep(0)
            busy.pop()
        return ""

    monkeypatch.setattr(services.turns, "submit", never)
    for _ in range(ROUNDS):
        with client.websocket_connect("/ws") as socket:
            socket.send_json({"type": "resume", "thread_id": clock.new_id()})
            _say(socket, clock.new_id(), "hello")
        assert (busy, services.sockets) == ([], set())
    assert not services.broadcast.subscribed_threads


async def _logged_in(services: Any, scope: Any) -> Any:
    from smart_support.identity.users import ANYONE

    return ANYONE, "token"


def test_a_socket_that_closes_at_once(client: TestClient) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    for _ in range(ROUNDS):
        with client.websocket_connect("/ws"):
            pass
        with client.websocket_connect("/ws") as socket:
            socket.send_json({"type": "watch_approvals"})
            socket.send_json({"type": "ping"})
    assert services.sockets == set()


def test_it_ends_with_the_login(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    monkeypatch.setattr("smart_support.api.middleware.authentication.authenticate", _logged_in)
    monkeypatch.setattr(type(services.accounts), "is_login_required", True)

    async def over(token: str) -> None:
        """It is over at once."""

    monkeypatch.setattr(services.logins, "wait_until_ended", over)
    with pytest.raises(WebSocketDisconnect) as ended, client.websocket_connect("/ws") as socket:
        socket.receive_json()
    assert ended.value.code == 1008


def test_what_breaks_in_the_app_comes_out_as_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    monkeypatch.setattr("smart_support.api.middleware.authentication.authenticate", _logged_in)
    monkeypatch.setattr(type(services.accounts), "is_login_required", True)
    monkeypatch.setattr(services.logins, "wait_until_ended", lambda token: asyncio.Event().wait())

    def broken(*_: Any) -> None:
        raise LookupError("broken")

    monkeypatch.setattr("smart_support.api.websocket.Connection", broken)
    with pytest.raises(LookupError, match="broken"), client.websocket_connect("/ws"):
        pass
