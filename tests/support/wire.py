"""A loopback server that remembers what it was sent, and the product's own client to send it with."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from smart_support.connectors.openapi.document.operation import Body, Operation, Parameter
from smart_support.connectors.openapi.request.request import HttpRequest, build_request
from smart_support.outbound.client import GuardedClient


@dataclass(frozen=True)
class Received:
    """A request as its server read it; `path` and `query` are still percent-encoded."""

    method: str
    target: str
    headers: Message
    content: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


class Wire:
    """Sends requests to a real server and gives back what arrived there."""

    def __init__(self, runner: asyncio.Runner, server: ThreadingHTTPServer, received: list[Received]) -> None:
        self.base = f"http://127.0.0.1:{server.server_port}/api/v1"
        self._runner, self._received = runner, received
        self._client = GuardedClient({"127.0.0.1"})

    def send(self, prepared: HttpRequest) -> Received:
        self._received.clear()
        answer = self._runner.run(
            self._client.request(
                prepared.method, prepared.url, headers=prepared.headers, content=prepared.content
            )
        )
        assert answer.status == 200, answer
        (received,) = self._received
        return received

    def call(self, operation: Operation, args: dict[str, Any]) -> Received:
        return self.send(build_request(operation, args, self.base))

    def close(self) -> None:
        self._runner.run(self._client.aclose())


@contextmanager
def opened() -> Iterator[Wire]:
    received: list[Received] = []

    class Remembering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else each answer waits for the client's delayed acknowledgement.
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(200_000)
            if not self.raw_requestline or not self.parse_request():
                return
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.append(Received(self.command, self.requestline.split(" ")[1], self.headers, content))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Remembering)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with asyncio.Runner() as runner:
            wire = Wire(runner, server, received)
            yield wire
            wire.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def an_operation(*parameters: Parameter, path: str = "/pets", body: Body | None = None) -> Operation:
    """An operation with these parameters, and nothing else of note."""
    method = "POST" if body else "GET"
    return Operation(
        key=f"{method} {path}", method=method, path=path, tool_name="pets", parameters=parameters, body=body
    )
