"""A server that can answer with far more than anybody can read: MCP over HTTP (2025-11-25), or a model."""

import contextlib
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

BLOCK = b"0" * 10_000_000
GIGABYTES = 1.5
TOOL = {"description": "Keep a text.", "inputSchema": {"type": "object", "properties": {"text": {}}}}


def _packed(window: int) -> bytes:
    """Some 1.5 MB that unpack to 1.5 GB of one JSON string."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    head = packer.compress(b'{"jsonrpc":"2.0","id":1,"result":{"tools":"') + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block depends on nothing before it, so it can be repeated.
    return head + (packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)) * int(GIGABYTES * 100)


class HostileMcp:
    """The server; it answers `attacked` (a method) by `attack`, one of `ATTACKS`, and all else well."""

    ATTACKS = (
        "gzip",
        "deflate",
        "br",
        "zstd",
        "plain",
        "events",
        "notes",
        "endless",
        "error",
        "redirect",
        "nested",
        "values",
    )

    def __init__(self) -> None:
        self.attacked, self.attack = "", ""
        self.called: list[str] = []
        self.closing = threading.Event()
        self.bodies = {"gzip": _packed(zlib.MAX_WBITS | 16), "deflate": _packed(zlib.MAX_WBITS)}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = orjson.loads(raw)
                method = request.get("method", "model")
                server.called.append(method)
                if method == server.attacked:
                    with contextlib.suppress(OSError):  # the client hangs up, as it should
                        self._attack(request)
                    self.close_connection = True
                elif "id" not in request:
                    self._send(202, b"")
                else:
                    self._send(200, _answer(request))

            def do_GET(self) -> None:
                self._send(405, b"")

            do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

            def _send(self, status: int, body: bytes, **headers: str) -> None:
                self._start(status, length=str(len(body)), **headers)
                self.wfile.write(body)

            def _start(
                self, status: int, *, kind: str = "application/json", length: str = "", packing: str = ""
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if packing:
                    self.send_header("Content-Encoding", packing)
                if length:
                    self.send_header("Content-Length", length)
                else:
                    self.send_header("Connection", "close")
                self.end_headers()

            def _attack(self, request: dict[str, Any]) -> None:
                attack = server.attack
                if attack in server.bodies:
                    self._send(200, server.bodies[attack], packing=attack)
                elif attack in ("br", "zstd"):
                    self._send(200, b"whatever", packing=attack)
                elif attack == "plain":
                    self._start(200)
                    self._pour(BLOCK)
                elif attack == "error":
                    self._start(500)
                    self._pour(BLOCK)
                elif attack == "redirect":
                    self.send_response(307)
                    self.send_header("Location", "/elsewhere")
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self._pour(BLOCK)
                elif attack == "nested":
                    deep = b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 2_000_000
                    self._send(200, deep)
                elif attack == "values":
                    self._send(200, b'{"jsonrpc":"2.0","id":1,"result":{"tools":[' + b"[]," * 1_600_000)
                elif attack == "events":
                    self._start(200, kind="text/event-stream")
                    # With an id the client would open the stream again where it broke off.
                    self._pour(b"id: 1\nretry: 1\ndata: \n\n" * 3000)
                elif attack == "notes":
                    self._start(200, kind="text/event-stream")
                    note = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
                    self._pour(b"data: " + note + b"\n\n")
                elif attack == "endless":
                    self._start(200, kind="text/event-stream")
                    while not server.closing.wait(0.1):
                        self.wfile.write(b": still there\n\n")

            def _pour(self, piece: bytes) -> None:
                while not server.closing.is_set():
                    self.wfile.write(piece)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/mcp"

    def run(self) -> None:
        """Serve until stopped."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End it."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


def _answer(request: dict[str, Any]) -> bytes:
    results: dict[str, Any] = {
        "initialize": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "Keeper", "version": "1"},
        },
        "tools/list": {"tools": [TOOL | {"name": "list_texts"}, TOOL | {"name": "add_text"}]},
        "tools/call": {"content": [{"type": "text", "text": "kept"}]},
    }
    method = request["method"]
    told = (
        {"result": results[method]}
        if method in results
        else {"error": {"code": -32601, "message": "Method not found"}}
    )
    return orjson.dumps({"jsonrpc": "2.0", "id": request["id"], **told})


@contextmanager
def hostile_mcp() -> Iterator[HostileMcp]:
    """The server, running."""
    server = HostileMcp()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
