"""Memory of the server when idle and after many conversations, which must not add to it for long.

Each conversation is one question of the demo over `/ws`, on a socket of its own, which is closed then.
"""

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import orjson
import psutil
import websockets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402
from tests.support.harness import free_port  # noqa: E402

CONVERSATIONS, AT_ONCE, PARTS = 10_000, 20, 10
QUESTION = "Where is my order 1043?"
# As docs/operations.md promises them.
MAX_IDLE_MB, MAX_MB = 320.0, 450.0


async def _conversations(port: int, span: range) -> None:
    """Have these conversations, `AT_ONCE` at a time."""
    left = iter(span)

    async def converse() -> None:
        for number in left:
            async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as connection:
                frame = {"type": "message", "thread_id": f"memory-{number}", "content": QUESTION}
                await connection.send(orjson.dumps(frame).decode())
                while orjson.loads(await connection.recv())["type"] != "message_complete":
                    pass

    await asyncio.gather(*(converse() for _ in range(AT_ONCE)))


def measure(count: int, folder: Path) -> list[float]:
    """Megabytes of the server when idle, and after each tenth of the conversations."""
    port = free_port()
    own = {"PORT": port, "DATA_DIR": folder / "var", "LOG_LEVEL": "warning", "RATE_LIMIT": "100000/1s"}
    environment = os.environ | {f"SMART_SUPPORT_{name}": str(value) for name, value in own.items()}
    command = [sys.executable, "app.py"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/api/v1/health?ready=1"
        while server.poll() is None:
            try:
                if httpx.get(url).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        process = psutil.Process(server.pid)
        sizes = [process.memory_info().rss / 2**20]
        bounds = [count * part // PARTS for part in range(PARTS + 1)]
        for begin, end in itertools.pairwise(bounds):
            asyncio.run(_conversations(port, range(begin, end)))
            sizes.append(process.memory_info().rss / 2**20)
    finally:
        server.terminate()
        server.wait(60)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    count = parser.parse_args().conversations
    with tempfile.TemporaryDirectory() as folder:
        sizes = measure(count, Path(folder))
    half = sizes[len(sizes) // 2]
    each = (sizes[-1] - half) * 1024 / max(1, count / 2)
    print(f"memory of the server over {count:,} conversations")
    print(f"  idle                     {sizes[0]:8.0f} MB  (limit {MAX_IDLE_MB:.0f} MB)")
    print(f"  after half               {half:8.0f} MB")
    print(f"  after all                {sizes[-1]:8.0f} MB  (limit {MAX_MB:.0f} MB)")
    print(f"  second half, each        {each:8.2f} kB")
    record("idle", sizes[0], "MB", MAX_IDLE_MB)
    record("after all conversations", sizes[-1], "MB", MAX_MB)
    record("a conversation of the second half", each, "kB")
    sys.exit(sizes[0] > MAX_IDLE_MB or sizes[-1] > MAX_MB)


if __name__ == "__main__":
    main()
