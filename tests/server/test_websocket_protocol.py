"""Sockets whose messages do not end, are too large or come in tiny pieces, and clients that take no data."""

import contextlib
import select
import socket
import struct
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from tests.server.served import HANDSHAKE, Served, answer_on, rest_of, served
from tests.support.harness import AppProcess

LIMIT = 262_144


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served() as one:
        yield one


def _frame(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return bytes(Frame(opcode, data, fin).serialize(mask=True))


def _opened(app: Served) -> socket.socket:
    client = app.connect(HANDSHAKE)
    assert b"101 " in answer_on(client)
    return client


def _close_code(client: socket.socket) -> int:
    """The code of the close frame, which is the last thing that is sent."""
    received = rest_of(client)
    at = received.rindex(b"\x88")
    return int(struct.unpack_from("!H", received, at + 2)[0])


def test_up_to_the_limit_a_message_is_answered_and_beyond_it_the_socket_is_closed(server: AppProcess) -> None:
    with connect(server.ws_url, proxy=None) as client:
        client.send("x" * LIMIT)
        assert '"too_large"' in client.recv(timeout=60)
        client.send("x" * (LIMIT + 1))
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(timeout=60)
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1009


def test_a_client_that_sends_far_too_much_sees_why_it_is_closed(app: Served) -> None:
    client = _opened(app)
    with contextlib.suppress(OSError):
        client.sendall(_frame(b"x" * 5_000_000))
    assert _close_code(client) == 1009


def test_the_limit_counts_all_fragments(app: Served) -> None:
    client = _opened(app)
    client.sendall(_frame(b"x" * 200_000, fin=False))
    client.sendall(_frame(b"x" * 100_000, Opcode.CONT, fin=False))
    assert _close_code(client) == 1009


def test_a_larger_frame_limit_raises_it() -> None:
    with served(max_frame_bytes=400_000) as app, connect(app.ws_url, proxy=None) as client:
        client.send("x" * 400_000)
        assert client.recv(timeout=60) == "400000"


def test_a_message_in_tiny_pieces_is_one_message(app: Served) -> None:
    client = _opened(app)
    pieces = [
        _frame(b"", fin=False),
        *[_frame(b"x", Opcode.CONT, fin=False), _frame(b"", Opcode.CONT, fin=False)] * 3000,
    ]
    client.sendall(b"".join(pieces) + _frame(b"", Opcode.CONT))
    assert answer_on(client).endswith(b"3000")


def test_messages_that_are_sent_in_one_go_come_each_in_its_frame_and_in_order(app: Served) -> None:
    with connect(app.ws_url, proxy=None) as client:
        client.send("several")
        assert [client.recv(timeout=60) for _ in range(3)] == ["one", "two", "7"]


def test_compressed_messages_are_not_accepted(app: Served) -> None:
    with connect(app.ws_url, proxy=None, compression="deflate") as offering:
        assert offering.protocol.extensions == []
    client = _opened(app)
    compressed = bytearray(_frame(b"x" * 100))
    compressed[0] |= 0x40  # RSV1
    client.sendall(compressed)
    assert _close_code(client) == 1002


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(_frame(b"x" * 1000)[:500], id="half a frame"),
        pytest.param(_frame(b"x", fin=False), id="a fragment"),
        pytest.param(_frame(b"", fin=False), id="an empty fragment"),
        pytest.param(_frame(b"x", fin=False) + _frame(b"", Opcode.PING) * 50, id="a fragment, then pings"),
    ],
)
def test_a_message_without_an_end_closes_its_socket(app: Served, begun: bytes) -> None:
    client = _opened(app)
    client.sendall(begun)
    assert _close_code(client) == 1008


def test_empty_fragments_do_not_keep_a_message_open(app: Served) -> None:
    client = _opened(app)
    client.sendall(_frame(b"x", fin=False))
    with contextlib.suppress(OSError):
        while True:
            client.sendall(_frame(b"", Opcode.CONT, fin=False) * 10)
            client.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                if client.recv(100, socket.MSG_PEEK):
                    break
    client.settimeout(20)
    assert _close_code(client) == 1008


def test_a_quiet_socket_stays_open(app: Served) -> None:
    quiet, unfinished = _opened(app), _opened(app)
    for client in (unfinished, _opened(app)):
        client.sendall(_frame(b"x", fin=False))
        assert _close_code(client) == 1008  # this takes as long as the limit
    quiet.sendall(_frame(b"hello"))
    assert answer_on(quiet).endswith(b"5")


def test_unfinished_messages_of_all_sockets_together_are_limited() -> None:
    with served(client_timeout_seconds=60) as app:
        app.limits.max_unfinished_bytes = 1_000_000
        clients = [_opened(app) for _ in range(5)]
        for client in clients:
            client.sendall(_frame(b"x" * 240_000, fin=False))
        (closed,), _, _ = select.select(clients, [], [], 20)
        assert _close_code(closed) == 1013
        assert app.limits.unfinished_bytes < 1_000_000
        clients.remove(closed)
        for client in clients:
            client.sendall(_frame(b"", Opcode.CONT))
            assert answer_on(client).endswith(b"240000")
        assert app.limits.unfinished_bytes == 0


@pytest.mark.slow
def test_a_client_that_takes_no_data_is_not_read_and_then_disconnected(app: Served) -> None:
    client = _opened(app)
    client.settimeout(0.2)
    pings, sent = _frame(b"x" * 100, Opcode.PING) * 1000, 0
    with contextlib.suppress(TimeoutError):
        while sent < 200_000_000:
            sent += client.send(pings)
    assert sent < 50_000_000
    client.settimeout(20)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.sendall(pings * 1000)
