"""The longest time in which the app does not respond while it processes one input.

Requests `/health` continuously. Messages go to the demo model; model responses come from a local server with
OpenAI's API.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import websockets

ROOT = Path(__file__).parent.parent
CHARS = 9_900
AGENTS = """\
company: Stalls
fallback: only
agents:
  - {name: only, title: Only, description: Looks things up., tools: [get_order_status]}
"""
MESSAGES = {
    "equal letters": "a",
    "digits": "1",
    "spaces": " \t",
    "words": "a ",
    "ids": "1042, ",
    "wishes": "cancel order 1042, refund 1043 and ",
    "at signs": "a@a.",
    "brackets": "([{",
}
# Characters per chunk, and number of chunks; divided by `--less`.
ANSWERS = {
    "arguments, 100 kB in 2 chunks": (50_000, 2),
    "arguments, 2 MB in chunks of 400": (400, 5_000),
    "arguments, 10 MB in chunks of 1 MB": (1_000_000, 10),
    "arguments, 20 kB in chunks of 1": (1, 20_000),
    "text, 2 MB in chunks of 20": (20, 100_000),
}


class Server(ThreadingHTTPServer):
    """Answers each request with the configured chunks, as text or as arguments of a tool call."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name, self.size, self.chunks = "", 0, 0


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for number in range(self.server.chunks):
                self._send(self._delta(number))
            self._send({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

    def _delta(self, number: int) -> dict[str, Any]:
        chunk = "x" * self.server.size
        if self.server.name.startswith("text"):
            return {"content": chunk}
        function = {"arguments": chunk} | ({"name": "get_order_status"} if number == 0 else {})
        return {"tool_calls": [{"index": 0, "id": "c" if number == 0 else None, "function": function}]}

    def _send(self, delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        whole = {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def running(folder: str, **settings: str) -> Iterator[str]:
    """Run the app in a separate process; yields its host and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"PORT": str(port), "DATA_DIR": f"{folder}/var-{port}", "LOG_LEVEL": "error"} | settings
    environment = os.environ | {f"SMART_SUPPORT_{name}": value for name, value in own.items()}
    silent = subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=silent, stderr=silent
    ) as process:
        try:
            while process.poll() is None:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/api/v1/health").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


class HealthProbe(threading.Thread):
    """Requests `/health` continuously. `longest`: the slowest response in seconds."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._url = f"http://{address}/api/v1/health"
        self._client = httpx.Client(timeout=120)
        self._stopped = threading.Event()
        self.longest = 0.0

    def run(self) -> None:
        with self._client:
            while not self._stopped.is_set():
                began = time.perf_counter()
                self._client.get(self._url)
                self.longest = max(self.longest, time.perf_counter() - began)

    def stop(self) -> float:
        self._stopped.set()
        self.join()
        return self.longest


async def turn(address: str, thread_id: str, content: str) -> str:
    """Send a message; returns the type of the event that ends the turn."""
    async with websockets.connect(f"ws://{address}/ws", max_size=None, proxy=None) as connection:
        frame = {"type": "message", "thread_id": thread_id, "content": content}
        await connection.send(json.dumps(frame))
        while (kind := json.loads(await connection.recv())["type"]) not in (
            "message_complete",
            "interrupt",
            "error",
        ):
            pass
        return str(kind)


def measure(address: str, name: str, content: str) -> None:
    probe = HealthProbe(address)
    probe.start()
    began = time.perf_counter()
    ended = asyncio.run(turn(address, name.replace(" ", "-").replace(",", ""), content))
    print(
        f"{name:36}  {probe.stop() * 1000:8.0f} ms  {time.perf_counter() - began:6.1f} s  {ended}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--less", type=int, default=1, help="divide all sizes by this")
    less = parser.parse_args().less
    print(f"{'input':36}  {'longest':>11}  {'turn':>8}  ended in")
    with tempfile.TemporaryDirectory() as folder:
        with running(folder) as address:
            asyncio.run(turn(address, "warm", "hello"))
            measure(address, "ordinary message", "Where is my order 1043?")
            for name, unit in MESSAGES.items():
                measure(address, f"message, {name}", (unit * CHARS)[: CHARS // less] + "!")
        agents = Path(folder) / "agents.yaml"
        agents.write_text(AGENTS)
        server = Server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1", "OPENAI_API_KEY": "any"}
        os.environ.update(where)
        with running(folder, MODEL="openai:m", AGENTS_FILE=str(agents)) as address:
            for name, (size, chunks) in ANSWERS.items():
                server.name, server.size, server.chunks = "text, short", 5, 1
                asyncio.run(turn(address, "warm", "hello"))
                server.name, server.size, server.chunks = name, max(1, size // less), max(2, chunks // less)
                measure(address, name, "hello")
        server.shutdown()


if __name__ == "__main__":
    main()
