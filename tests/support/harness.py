"""What tests share: the app in a child process, a socket client, a chat model that follows a script."""

import asyncio
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn
import websockets
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from tests.support import stores

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.support.preloaded", "tests.support.kills.app"])


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ports:
    """Ports for the apps of this process: the one that was given back last is taken first.

    A browser keeps scripts, and what it has compiled of them, by address: where an earlier app was, the
    console takes half the CPU to load. The ports are none that the system hands to clients.
    """

    def __init__(self) -> None:
        self._claim: socket.socket | None = None
        self._unused: Iterator[int] = iter(())
        self._given_back: list[int] = []

    def take(self) -> int:
        """A port that nobody listens on."""
        if self._claim is None:
            self._claim_range()
        while True:
            port = self._given_back.pop() if self._given_back else next(self._unused)
            if _is_free(port):
                return port

    def give_back(self, port: int) -> None:
        """Let the next app have it."""
        self._given_back.append(port)

    def _claim_range(self) -> None:
        """Take a range that no other test process takes: its first port stays bound while this one lives."""
        for first in range(20_000, 32_500, 500):
            claim = socket.socket()
            try:
                claim.bind(("127.0.0.1", first))
            except OSError:
                claim.close()
                continue
            self._claim, self._unused = claim, iter(range(first + 1, first + 500))
            return
        raise RuntimeError("too many processes run tests")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


PORTS = Ports()


class AppProcess:
    """The app as an operator runs it: a process of its own that runs `app.py`, settings from the environment.

    It is the fork of one that has imported everything: an import costs seconds, and is the same each time.

    Args:
        data_dir: kept when the process ends, so that another one can go on with it.
        settings: `SMART_SUPPORT_` variables, by the rest of their names.
    """

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.data_dir = data_dir
        self.port = PORTS.take()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        own = {
            "PORT": self.port,
            "DATA_DIR": data_dir,
            "RATE_LIMIT": "1000/1s",
            "LOG_FORMAT": "json",
            "UNDO_SECONDS": 0,
        }
        if url := stores.database_url(data_dir):
            own["DATABASE_URL"] = url
        self._environment = {name: value for name, value in os.environ.items() if "SMART_SUPPORT" not in name}
        self._environment |= {
            f"SMART_SUPPORT_{key}": str(value) for key, value in {**own, **settings}.items()
        }
        self.process: Any = None

    def __enter__(self) -> "AppProcess":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        PORTS.give_back(self.port)

    def start(self) -> "AppProcess":
        """Start it and return once it answers."""
        self.process = FORKING.Process(
            target=_run_app, args=(self._environment, str(self.log_path)), daemon=True
        )
        self.process.start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.process.is_alive():
                raise RuntimeError(f"the app ended with {self.process.exitcode}:\n{self.log()}")
            try:
                if httpx.get(f"{self.url}/api/v1/health", timeout=5).status_code == 200:
                    return self
            except httpx.HTTPError:
                time.sleep(0.05)  # nothing to await: the port is simply not there yet
        self.stop()
        raise RuntimeError(f"the app did not answer within {START_SECONDS} s:\n{self.log()}")

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """All it has written so far."""
        return self.log_path.read_text(errors="replace")

    def get(self, path: str, **params: Any) -> Any:
        """The `data` of a REST answer; fails the test where it is an error."""
        answer = httpx.get(f"{self.url}/api/v1{path}", params=params, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def post(self, path: str, body: Any) -> httpx.Response:
        """The answer to a REST POST."""
        return httpx.post(f"{self.url}/api/v1{path}", json=body, timeout=60)

    def pending(self, thread_id: str) -> list[dict[str, Any]]:
        """The approvals that wait on one thread."""
        waiting = self.get("/approvals", status="pending", limit=100)
        return [approval for approval in waiting if approval["thread_id"] == thread_id]

    def _end(self, with_signal: signal.Signals) -> None:
        if self.process and self.process.is_alive():
            os.kill(self.process.pid, with_signal)
            self.process.join(30)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
                raise RuntimeError("the app did not stop within 30 s")


def _run_app(environment: dict[str, str], log_path: str) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    runpy.run_path("app.py", run_name="__main__")


def run_python(
    *arguments: str, environment: Mapping[str, str] = os.environ, text: str = "", seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS`, a script or `-m MODULE`, in the project's folder; `text` is its standard input.

    Like an `AppProcess`, it is the fork of a process that has imported everything.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
        for file, content in zip(files, (text, "", ""), strict=True):
            file.write_text(content)
        process = FORKING.Process(
            target=_run_python, args=(arguments, dict(environment), [str(file) for file in files])
        )
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, seconds, files[1].read_bytes(), files[2].read_bytes())
        return subprocess.CompletedProcess(
            arguments, process.exitcode or 0, files[1].read_text(), files[2].read_text()
        )


def _run_python(arguments: Sequence[str], environment: dict[str, str], files: list[str]) -> None:
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR), number)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    # A module that this process has imported runs anew, which `python -m` warns of.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


class Client:
    """A socket client that keeps every event it has seen."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    @classmethod
    async def connect(cls, url: str) -> "Client":
        """Open a socket."""
        return cls(await websockets.connect(url, max_size=None, max_queue=None, proxy=None))

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def send(self, **frame: Any) -> None:
        """Send one frame."""
        await self.connection.send(orjson.dumps(frame).decode())

    async def next(self, seconds: float = 60) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = orjson.loads(await asyncio.wait_for(self.connection.recv(), seconds))
        self.seen.append(event)
        return event

    async def until(self, *types: str, **fields: Any) -> list[dict[str, Any]]:
        """Events up to and with the first of one of these types that has these fields."""
        events = []
        while True:
            event = await self.next()
            events.append(event)
            if event["type"] in types and all(event.get(name) == value for name, value in fields.items()):
                return events

    async def turn(self, thread_id: str, content: str) -> list[dict[str, Any]]:
        """Say something; the events of the turn to its end."""
        await self.send(type="message", thread_id=thread_id, content=content)
        return await self.until("message_complete", "interrupt", "error", thread_id=thread_id)


def spoken(events: Sequence[dict[str, Any]]) -> str:
    """What the agents said, all tokens together."""
    return "".join(event["content"] for event in events if event["type"] == "token")


def of_type(events: Sequence[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    """The events of one type."""
    return [event for event in events if event["type"] == type_]


Script = Callable[[list[BaseMessage], list[dict[str, Any]]], AIMessage]


class ScriptedModel(BaseChatModel):
    """A chat model that says what its script says, word by word.

    `script` is called with the messages and the bound tools; `before_word` is awaited before each word.
    """

    script: Any
    before_word: Any = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """Keep the tools for the script."""
        return self.bind(tools=list(tools))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = self.script(messages, kwargs.get("tools", []))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        message = self.script(messages, kwargs.get("tools", []))
        for chunk in _chunks(message):
            if self.before_word and chunk.content:
                await self.before_word(str(chunk.content))
            yield ChatGenerationChunk(message=chunk)


def _chunks(message: AIMessage) -> Iterator[AIMessageChunk]:
    words = str(message.content).split(" ") if message.content else []
    for place, word in enumerate(words):
        yield AIMessageChunk(word if place == 0 else f" {word}", id=message.id)
    calls: list[Any] = [
        {
            "type": "tool_call_chunk",
            "name": call["name"],
            "args": call["args"] if isinstance(call["args"], str) else json.dumps(call["args"]),
            "id": call["id"],
            "index": place,
        }
        for place, call in enumerate([*message.tool_calls, *message.invalid_tool_calls])
    ]
    yield AIMessageChunk("", id=message.id, tool_call_chunks=calls, usage_metadata=message.usage_metadata)


class LocalApp:
    """An app on a real port, served from a thread here, so that a test can hold its model's strings."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.port = PORTS.take()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        config = uvicorn.Config(
            app,
            port=self.port,
            ws="websockets-sansio",
            proxy_headers=False,
            log_config=None,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "LocalApp":
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the app did not start; see the log above")
            time.sleep(0.01)  # uvicorn has no event to await
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        PORTS.give_back(self.port)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One REST request."""
        return httpx.request(method, f"{self.url}/api/v1{path}", timeout=30, **options)


def demo_orders(status: str, *, plain: bool = False) -> Iterator[str]:
    """Ids of demo orders in a status, of customers in good standing, without those the README talks about.

    Args:
        plain: only those without a discount.
    """
    shop = ROOT / "data" / "shop"
    customers = orjson.loads((shop / "customers.json").read_bytes())
    active = {row["customer_id"] for row in customers if row["status"] == "active"}
    for row in orjson.loads((shop / "orders.json").read_bytes()):
        spare = row["order_id"] not in {str(number) for number in range(1042, 1049)}
        fits = not (plain and row["discount_percent"])
        if row["status"] == status and row["customer_id"] in active and spare and fits:
            yield row["order_id"]
