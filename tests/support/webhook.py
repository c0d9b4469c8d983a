"""A webhook of the operator's own, which takes its time and answers what it is told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue


class Webhook:
    """Takes posts.

    Attributes:
        answers: the statuses of the next answers; `usual` after these.
        headers, body: of each answer; a status without content gets no body.
        goes_on: no answer while it is not set.
        got: headers and body of each post, as it came, and `paths` its path; `senders`: the port that each
            came from.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.usual = 204
        self.headers: dict[str, str] = {}
        self.body = b""
        self.paths: list[str] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.senders: Queue[int] = Queue()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.paths.append(self.path)
                hook.got.append((dict(self.headers), body))
                hook.senders.put(self.client_address[1])
                hook.goes_on.wait()
                status = hook.answers.pop(0) if hook.answers else hook.usual
                self.send_response(status)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if status != 204:
                    self.wfile.write(hook.body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> "Webhook":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
