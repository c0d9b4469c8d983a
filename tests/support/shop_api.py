"""A company's API on loopback: it keeps what it was sent, and describes itself."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson


def description(url: str, **more: Any) -> dict[str, Any]:
    """The API's own description, OpenAPI 3.0; `more` are further paths."""
    ticket = {
        "type": "object",
        "properties": {"subject": {"type": "string"}, "priority": {"type": "integer"}},
    }
    number = {"name": "ticket_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Ticket Desk", "version": "1"},
        "servers": [{"url": url}],
        "security": [{"key": []}],
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Desk-Key"}}},
        "paths": {
            "/tickets": {
                "get": {"operationId": "listTickets", "summary": "List tickets", "tags": ["tickets"]},
                "post": {
                    "operationId": "createTicket",
                    "summary": "Create a ticket",
                    "tags": ["tickets"],
                    "requestBody": {
                        "content": {"application/json": {"schema": ticket | {"required": ["subject"]}}}
                    },
                },
                "delete": {"operationId": "deleteAllTickets", "summary": "Delete all", "tags": ["tickets"]},
            },
            "/tickets/{ticket_id}": {
                "parameters": [number],
                "get": {"operationId": "getTicket", "summary": "Show a ticket", "tags": ["tickets"]},
                "delete": {"operationId": "deleteTicket", "summary": "Delete a ticket", "tags": ["tickets"]},
            },
            "/tickets/search": {
                "post": {
                    "operationId": "searchTickets",
                    "summary": "Search tickets",
                    "tags": ["tickets"],
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {"type": "object", "properties": {"text": {"type": "string"}}}
                            }
                        }
                    },
                }
            },
            **more,
        },
    }


class ShopApi:
    """The API and what it has seen: `(method, path, query, headers, body)` each.

    `answers` holds what comes next for a method and path, the last of them for ever: a status, or a way to
    fail: `silent` (no answer while the API runs), `dropped` (the connection, in mid-answer), `huge` (30 MB)
    or `away` (a redirect to a cloud's metadata address). `says` holds other bodies than the usual,
    `server_url` another address than its own for its description.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, list[str]], dict[str, str], Any]] = []
        self.answers: dict[tuple[str, str], list[int | str]] = {}
        self.says: dict[tuple[str, str], list[Any]] = {}
        self.closing = threading.Event()
        self.more: dict[str, Any] = {}
        self.server_url = ""
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                if parts.path == "/openapi.json":
                    self._send(200, description(api.server_url or api.url, **api.more))
                    return
                is_json = self.headers.get("Content-Type", "").startswith("application/json")
                body = orjson.loads(raw) if raw and is_json else raw.decode() or None
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.seen.append((self.command, parts.path, parse_qs(parts.query), headers, body))
                wanted = api.answers.get((self.command, parts.path)) or [200]
                status = wanted.pop(0) if len(wanted) > 1 else wanted[0]
                if isinstance(status, str):
                    self._fail(status)
                    return
                said = {"message": f"{self.command} {parts.path} is done.", "body": body}
                if others := api.says.get((self.command, parts.path)):
                    said = others.pop(0)
                self._send(status, said if status < 400 else {"detail": f"no, {status}"})

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 (the names are http.server's)

            def _fail(self, how: str) -> None:
                if how == "silent":
                    api.closing.wait()
                    return
                if how == "away":
                    self.send_response(302)
                    self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "30000000")
                self.end_headers()
                self.close_connection = True
                if how == "huge":
                    with contextlib.suppress(OSError):  # who reads stops early
                        for _ in range(300):
                            self.wfile.write(b" " * 100_000)

            def _send(self, status: int, said: Any) -> None:
                encoded = orjson.dumps(said)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def calls(self, method: str, path: str) -> list[dict[str, str]]:
        """The headers of every call of one method and path."""
        return [headers for seen, where, _, headers, _ in self.seen if (seen, where) == (method, path)]


@contextmanager
def shop_api() -> Iterator[ShopApi]:
    """The API, served."""
    api = ShopApi()
    thread = threading.Thread(target=api.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        api.server.shutdown()
        api.server.server_close()
        thread.join()
