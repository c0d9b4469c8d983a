"""An MCP server of revision 2024-11-05: requests come by POST, and their answers as events of a GET."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

TOOL = {"name": "echo", "description": "Say it again.", "inputSchema": {"type": "object"}}


class EventStreamServer:
    """The server; it wants `token`, if it has one."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        # Of each request: method and path.
        self.requests: list[str] = []
        # For the last GET; None ends it.
        self.messages: queue.Queue[bytes | None] = queue.Queue()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not self._is_allowed():
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                server.messages = messages = queue.Queue()
                self._event("endpoint", b"/messages?sessionId=1")
                while (message := messages.get()) is not None:
                    self._event("message", message)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not self._is_allowed():
                    return
                if not self.path.startswith("/messages"):
                    self._end(405)
                    return
                request = orjson.loads(raw)
                self._end(202)
                if "id" in request:
                    server.messages.put(_answer(request))
                if request["method"] == "tools/call":
                    server.messages.put(None)

            def log_message(self, *_: Any) -> None:
                pass

            def _is_allowed(self) -> bool:
                server.requests.append(f"{self.command} {self.path}")
                is_allowed = not server.token or self.headers.get("Authorization") == f"Bearer {server.token}"
                if not is_allowed:
                    self._end(401)
                return is_allowed

            def _end(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _event(self, kind: str, data: bytes) -> None:
                self.wfile.write(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/sse"

    def run(self) -> None:
        """Serve until stopped."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End it."""
        self.messages.put(None)
        self._server.shutdown()
        self._server.server_close()


def _answer(request: dict[str, Any]) -> bytes:
    about = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}
    results: dict[str, Any] = {
        "initialize": about | {"serverInfo": {"name": "Streamed", "version": "1"}},
        "tools/list": {"tools": [TOOL]},
        "tools/call": {"content": [{"type": "text", "text": "said"}]},
    }
    return orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": results[request["method"]]})


@contextmanager
def event_stream_server(token: str = "") -> Iterator[EventStreamServer]:
    """The server, running."""
    server = EventStreamServer(token)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
