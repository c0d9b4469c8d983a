"""HTTP clients that send slowly or not at all: they are refused, and the others are served."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.server.served import HANDSHAKE, Served, answer_on, rest_of, served

GET = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served() as one:
        yield one


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n", id="head"),
        pytest.param(b"G", id="one byte"),
        pytest.param(b"\r\n", id="an empty line"),
        pytest.param(HANDSHAKE[:-2], id="handshake"),
        pytest.param(POST % 10, id="no body"),
        pytest.param(POST % 10 + b"12345", id="half a body"),
        pytest.param(CHUNKED + b"5\r\n12", id="half a chunk"),
    ],
)
def test_a_request_without_an_end_is_refused(app: Served, begun: bytes) -> None:
    answer = rest_of(app.connect(begun))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer


def test_a_connection_without_a_request_is_closed(app: Served) -> None:
    assert rest_of(app.connect()) == b""


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nX-A: ", POST % 1000], ids=["head", "body"])
def test_single_bytes_do_not_keep_a_connection(app: Served, begun: bytes) -> None:
    client = app.connect(begun)
    client.settimeout(0.02)
    answer = b""
    while not answer:
        with contextlib.suppress(TimeoutError):
            answer = client.recv(1000)
        with contextlib.suppress(OSError):
            client.send(b"a")
    assert b"408" in answer


def test_the_next_request_on_a_connection_has_the_same_limit(app: Served) -> None:
    client = app.connect(GET)
    assert b"200 OK" in answer_on(client)
    client.sendall(b"\r\n\r\nGET / HT")
    assert rest_of(client).startswith(b"HTTP/1.1 408 ")


def test_the_app_sees_the_end_of_a_body_that_does_not_end(app: Served) -> None:
    before = app.disconnects
    rest_of(app.connect(POST % 10 + b"12345"))
    while app.disconnects == before:
        time.sleep(0.01)  # what is awaited is a state of the server


def test_a_body_that_goes_on_may_take_longer_than_the_limit(app: Served) -> None:
    client = app.connect(POST % 6000)
    for _ in range(6):
        time.sleep(0.1)  # the upload has to take longer than the limit
        client.sendall(b"x" * 1000)
    assert answer_on(client).endswith(b"6000")


def test_a_client_that_waits_for_its_answer_is_not_disturbed(app: Served) -> None:
    waiting = app.connect(GET.replace(b"/now", b"/wait"))
    rest_of(app.connect(b"G"))  # this takes as long as the limit
    rest_of(app.connect(b"G"))
    app.release()
    assert b"200 OK" in answer_on(waiting)


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX-A: ", id="a header"),
        pytest.param(CHUNKED + b"1\r\nx\r\n0\r\nX-A: ", id="a trailer"),
        pytest.param(CHUNKED + b"1;", id="a chunk extension"),
    ],
)
def test_an_endless_head_is_refused(app: Served, begun: bytes) -> None:
    client = app.connect(begun)
    with contextlib.suppress(OSError):
        for _ in range(100):
            client.sendall(b"a" * 10_000)
    assert rest_of(client).startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_a_client_that_takes_no_data_is_disconnected(app: Served) -> None:
    client = app.connect(GET.replace(b"/now", b"/large"))
    assert client.recv(1)
    while app.server.server_state.connections:
        time.sleep(0.01)  # what is awaited is a state of the server
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(1 << 20):
            received += len(chunk)
    assert received < 20_000_000


def test_an_idle_connection_gives_its_place_to_a_new_one() -> None:
    with served(max_connections=4, client_timeout_seconds=60) as app:
        half_open = [app.connect(b"GET / HT") for _ in range(20)]
        clients = [app.connect(GET) for _ in range(20)]
        assert all(b"200 OK" in answer_on(one) for one in clients[-4:])
        assert all(rest_of(one) == b"" for one in half_open)
        assert len(app.server.server_state.connections) <= 5


def test_over_the_limit_only_health_is_served() -> None:
    with served(max_connections=3, client_timeout_seconds=60) as app:
        busy = [app.connect(GET.replace(b"/now", b"/wait")) for _ in range(2)]
        busy.append(app.connect(HANDSHAKE))
        assert b"101 " in answer_on(busy[-1])
        refused = rest_of(app.connect(GET))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"overloaded"' in refused
        assert b"retry-after: " in refused.lower()
        assert rest_of(app.connect(HANDSHAKE)).startswith(b"HTTP/1.1 503 ")
        assert b"200 OK" in answer_on(app.connect(GET.replace(b"/now", b"/api/v1/health")))
        waiting = app.connect()
        while waiting.getsockname() not in {one.client for one in app.server.server_state.connections}:
            time.sleep(0.01)  # what is awaited is a state of the server
        busy.pop().close()
        assert _served_at_last(app, waiting)
        app.release()
        assert all(b"200 OK" in answer_on(one) for one in busy)


def _served_at_last(app: Served, client: socket.socket) -> bool:
    """Whether a connection over the limit is served once there is a place for it."""
    while len(app.server.server_state.connections) > 3:
        time.sleep(0.01)  # what is awaited is a state of the server
    client.sendall(GET)
    return b"200 OK" in answer_on(client)
