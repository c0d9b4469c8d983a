"""Turns per second of 1, 2 and 4 processes that share a Postgres, and a decision's way to another process.

The model waits 200 ms and then answers. Each process has one conversation, so that also four of them, with
their clients, stay below the limit of two cores; the ratio says what a further process adds. Then two
processes: one decides, and a window of the other shows it.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import websockets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402
from benchmarks.turn_cost import agents_file, cpu_seconds  # noqa: E402
from tests.support.harness import free_port  # noqa: E402
from tests.support.postgres import Postgres, is_installed  # noqa: E402

MODEL_SECONDS, WORDS = 0.2, 20
PROCESSES, CONVERSATIONS, SECONDS, DECISIONS = (1, 2, 4), 1, 15.0, 200
AIMS = {2: 1.8, 4: 3.0}
MAX_P99_MS = 100.0


def model() -> Any:
    """A chat model that waits `MODEL_SECONDS` and then streams `WORDS` words."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    class Waiting(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "waiting"

        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            raise NotImplementedError

        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
            await asyncio.sleep(MODEL_SECONDS)
            for number in range(WORDS):
                yield ChatGenerationChunk(message=AIMessageChunk(f"word{number} "))

    return Waiting()


def serve(port: int, folder: Path, database_url: str) -> None:
    """Run the app like `app.py`, with the model above."""
    from smart_support import Settings, create_app
    from smart_support.server.run import serve as serve_app

    settings = Settings(
        data_dir=folder,
        database_url=database_url,
        agents_file=agents_file(folder),
        port=port,
        rate_limit="1000/1s",
        log_level="warning",
    )
    serve_app(create_app(settings, chat_model=model()), settings)


@contextlib.contextmanager
def processes(
    count: int, folder: Path, database_url: str, *, is_demo: bool = False
) -> Iterator[dict[int, int]]:
    """Processes of one system, by port with the process id. `is_demo`: with the demo's model."""
    started: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for number in range(count):
            port, place = free_port(), folder / f"{count}-{number}"
            place.mkdir(parents=True)
            own = {"DATA_DIR": place, "DATABASE_URL": database_url, "PORT": port, "LOG_LEVEL": "warning"}
            own |= {"RATE_LIMIT": "1000/1s", "UNDO_SECONDS": 0, "SECRET_KEY": "0" * 43 + "="}
            environment = os.environ | {f"SMART_SUPPORT_{name}": str(value) for name, value in own.items()}
            command = [sys.executable, __file__, "--serve", str(port), str(place), database_url]
            started[port] = subprocess.Popen(
                [sys.executable, "app.py"] if is_demo else command,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
        for port, one in started.items():
            _wait_for(port, one)
        yield {port: one.pid for port, one in started.items()}
    finally:
        for one in started.values():
            one.terminate()
        for one in started.values():
            one.wait(60)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/api/v1/health").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"a process ended with {process.returncode}")


async def _converse(port: int, name: str, until: float) -> list[float]:
    """Have a conversation until the time is over; the seconds of each turn."""
    spent: list[float] = []
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None, max_queue=None) as connection:
        while (began := time.perf_counter()) < until:
            frame = {"type": "message", "thread_id": name, "content": "twenty words please"}
            await connection.send(orjson.dumps(frame).decode())
            while (event := orjson.loads(await connection.recv()))["type"] != "message_complete":
                if event["type"] == "error":
                    raise RuntimeError(str(event))
            spent.append(time.perf_counter() - began)
    return spent


async def _turns(ports: list[int], conversations: int, seconds: float, name: str) -> list[float]:
    until = time.perf_counter() + seconds
    spent = await asyncio.gather(
        *(_converse(port, f"{name}-{port}-{n}", until) for port in ports for n in range(conversations))
    )
    return [one for conversation in spent for one in conversation]


def measure_turns(database_url: str, count: int, conversations: int, seconds: float) -> tuple[float, str]:
    """Turns per second of `count` processes, and a line of the table."""
    with tempfile.TemporaryDirectory() as folder, processes(count, Path(folder), database_url) as started:
        ports = list(started)
        asyncio.run(_turns(ports, conversations, seconds / 5, "warm"))
        busy, before = psutil.cpu_times_percent(None), sum(map(cpu_seconds, started.values()))
        began = time.perf_counter()
        spent = asyncio.run(_turns(ports, conversations, seconds, "turn"))
        took = time.perf_counter() - began
        used = (sum(map(cpu_seconds, started.values())) - before) / took
        busy = psutil.cpu_times_percent(None)
    rate = len(spent) / took
    line = (
        f"{count:9}{rate:14.1f}{statistics.median(spent) * 1000:12.0f} ms{used:12.0%}{100 - busy.idle:13.0f}%"
    )
    return rate, line


async def _ways(here: int, there: int, count: int) -> list[float]:
    """Seconds from each decision at one process until a window of the other shows it."""
    delays: list[float] = []
    base = f"http://127.0.0.1:{here}/api/v1"
    window = websockets.connect(f"ws://127.0.0.1:{there}/ws", proxy=None, max_queue=None)
    async with window as connection, httpx.AsyncClient(timeout=60) as client:
        await connection.send('{"type": "watch_approvals"}')
        for number in range(count):
            body = {"thread_id": f"way-{number}", "message": "Give me a coupon with 10% off"}
            requested = (await client.post(f"{base}/chat", json=body)).json()
            approval_id = requested["data"]["approval"]["approval_id"]
            began = time.perf_counter()
            deciding = asyncio.create_task(
                client.post(f"{base}/approvals/{approval_id}/decision", json={"decision": "reject"})
            )
            while True:
                frame = orjson.loads(await connection.recv())
                shown = frame.get("approval") or {}
                if shown.get("approval_id") == approval_id and shown["decided_at"]:
                    break
            delays.append(time.perf_counter() - began)
            (await deciding).raise_for_status()
    return delays


def measure_way(database_url: str, count: int) -> None:
    """Print how long decisions take to a window of another process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        processes(2, Path(folder), database_url, is_demo=True) as started,
    ):
        here, there = started
        delays = asyncio.run(_ways(here, there, count))
    p99 = statistics.quantiles(delays, n=100)[98] * 1000
    print(
        "a decision shown by another process: "
        f"p50 {statistics.median(delays) * 1000:.0f} ms, p99 {p99:.0f} ms"
    )
    record("decision to another process, p99", p99, "ms", MAX_P99_MS)
    print(f"  ratio to the limit of {MAX_P99_MS:.0f} ms {p99 / MAX_P99_MS:5.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=PROCESSES)
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS, help="for each process")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--decisions", type=int, default=DECISIONS, help="0: measure only turns")
    parser.add_argument("--serve", nargs=3, metavar=("PORT", "FOLDER", "URL"), help="internal: run the app")
    given = parser.parse_args()
    if given.serve:
        serve(int(given.serve[0]), Path(given.serve[1]), given.serve[2])
        return
    if not is_installed():
        sys.exit("no Postgres is installed; make .venv/postgres installs one")
    cluster = Postgres(durable=True).start()
    try:
        url = f"{cluster.url}/postgres"
        print(
            f"{given.conversations} conversations for each process, "
            f"a model that waits {MODEL_SECONDS * 1000:.0f} ms"
        )
        print("processes  turns per s  turn, median  their CPU  machine busy")
        first = None
        for count in given.processes:
            rate, line = measure_turns(url, count, given.conversations, given.seconds)
            first = first or rate
            aim = f" (aim: {AIMS[count]} or more)" if count in AIMS else ""
            print(f"{line}   ratio {rate / first:5.2f}{aim}", flush=True)
            record(f"turns, {count} processes", rate, "per second")
            record(f"turns, {count} processes", rate / first, "speedup", AIMS.get(count))
        if given.decisions:
            measure_way(url, given.decisions)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
