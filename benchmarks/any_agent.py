"""CPU of a read through `/mcp` against the same tool on a bare MCP server; 200 writes that wait at once.

Both servers run in processes of their own, and the SDK's client calls them in the newest revision of MCP and
in an older one. The bare server is the SDK's own, with the demo's tool and nothing else: no key, no record.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402
from benchmarks.turn_cost import cpu_seconds  # noqa: E402
from tests.support.harness import demo_orders, free_port  # noqa: E402

CALLS, ROUNDS, WAITING = 300, 3, 200
AIM = 1.5
REVISIONS = {"newest revision": "auto", "older revision": "legacy"}
CALLERS = tuple(f"caller{number}" for number in range(8))
TOOLS = ["get_order_status", "cancel_order"]


def serve_app(port: int, folder: Path) -> None:
    """Run the app like `app.py`, with a few callers."""
    from smart_support import Settings
    from smart_support.garbage_collection import without_garbage_collection
    from smart_support.server.run import serve

    agents = folder / "agents.yaml"
    content = yaml.safe_load((ROOT / "data/templates/e-commerce.yaml").read_text())
    agents.write_text(
        yaml.safe_dump(content | {"callers": [{"name": name, "tools": TOOLS} for name in CALLERS]})
    )
    settings = Settings(
        data_dir=folder / "var",
        agents_file=agents,
        api_keys=",".join(f"{name}:agent:key-of-{name}" for name in CALLERS),
        port=port,
        log_level="warning",
    )
    with without_garbage_collection():
        from smart_support import create_app

        app = create_app(settings)
    serve(app, settings)


def serve_bare(port: int, folder: Path) -> None:
    """Run the SDK's own server with the tool alone."""
    import uvicorn
    from mcp.server.mcpserver import MCPServer

    from smart_support.demo.shop.tools import CommerceTools
    from smart_support.demo.store import DemoStore
    from smart_support.tools.registry import Call, Registry, tools_of

    store = DemoStore(folder / "shop.sqlite", ROOT / "data/shop", "shop")
    tool = Registry(tools_of(CommerceTools(store))).get("get_order_status")
    assert tool is not None
    server = MCPServer("bare", log_level="WARNING")

    async def get_order_status(order_id: str) -> dict[str, Any]:
        result: dict[str, Any] = await tool.run({"order_id": order_id}, Call("thread", "call"))
        return result

    server.add_tool(get_order_status, description=tool.description)
    uvicorn.run(server.streamable_http_app(), port=port, log_config=None)


@contextmanager
def served(which: str) -> Iterator[tuple[int, int]]:
    """Run a server; yields its process id and its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([sys.executable, __file__, "--serve", which, str(port), folder])
        try:
            _wait_until_it_answers(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_it_answers(port: int) -> None:
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/v1/health")
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return


@asynccontextmanager
async def connected(port: int, mode: str, caller: str = CALLERS[0]) -> AsyncIterator[Client]:
    """The SDK's client."""
    headers = {"Authorization": f"Bearer key-of-{caller}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as http:
        transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def _read(port: int, mode: str, count: int) -> None:
    async with connected(port, mode) as client:
        for _ in range(count):
            answer = await client.call_tool("get_order_status", {"order_id": "1042"})
            assert not answer.is_error, answer


def reads(count: int) -> dict[str, dict[str, float]]:
    """Milliseconds of CPU per read: server, then revision."""
    costs: dict[str, dict[str, float]] = {}
    for which in ("bare", "app"):
        with served(which) as (pid, port):
            costs[which] = {}
            for name, mode in REVISIONS.items():
                asyncio.run(_read(port, mode, max(2, count // 5)))
                before = cpu_seconds(pid)
                asyncio.run(_read(port, mode, count))
                costs[which][name] = (cpu_seconds(pid) - before) * 1000 / count
    return costs


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def _latency(port: int, count: int) -> list[float]:
    """Milliseconds of reads of another caller, one after the other."""
    seconds: list[float] = []
    async with connected(port, "auto", CALLERS[-1]) as client:
        for _ in range(count):
            began = time.perf_counter()
            await client.call_tool("get_order_status", {"order_id": "1042"})
            seconds.append(time.perf_counter() - began)
    return [one * 1000 for one in seconds]


async def _waiting(pid: int, port: int, count: int, reads: int) -> None:
    order = next(demo_orders("processing"))
    await _latency(port, reads)
    alone, before = await _latency(port, reads), _memory_mb(pid)
    come, all_wait = 0, asyncio.Event()

    async def progress(*_: object) -> None:
        nonlocal come
        come += 1
        if come >= count:
            all_wait.set()

    async def write(place: int) -> None:
        args = {"order_id": order, "reason": f"Reason {place}."}
        async with connected(port, "auto", CALLERS[place % (len(CALLERS) - 1)]) as client:
            await client.call_tool("cancel_order", args, progress_callback=progress)

    tasks = [asyncio.create_task(write(place)) for place in range(count)]
    async with asyncio.timeout(120):
        await all_wait.wait()
    memory, used, began = _memory_mb(pid) - before, cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(10)
    idle = (cpu_seconds(pid) - used) / (time.perf_counter() - began)
    beside = await _latency(port, reads)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(f"{count} writes wait at once, over {len(CALLERS) - 1} keys")
    record("a waiting write", memory * 1024 / count, "kB")
    print(f"  memory of the server        {memory:8.1f} MB more, {memory * 1024 / count:.0f} kB each")
    print(f"  CPU while all wait          {idle * 100:8.1f} % of a core")
    for name, times in (("alone", alone), ("beside them", beside)):
        high = statistics.quantiles(times, n=20)[-1]
        print(f"  another caller's read, {name:12}{statistics.median(times):6.1f} ms, p95 {high:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--waiting", type=int, default=WAITING, help="0 to leave this out")
    parser.add_argument("--serve", nargs=3, metavar=("SERVER", "PORT", "FOLDER"), help="internal: a server")
    chosen = parser.parse_args()
    if chosen.serve:
        which, port, folder = chosen.serve
        (serve_app if which == "app" else serve_bare)(int(port), Path(folder))
        return
    rounds = [reads(chosen.calls) for _ in range(chosen.rounds)]
    print(f"CPU per read through /mcp, {chosen.calls} calls, median of {chosen.rounds} rounds")
    for name in REVISIONS:
        bare, app = (statistics.median(one[which][name] for one in rounds) for which in ("bare", "app"))
        ratio = statistics.median(one["app"][name] / max(one["bare"][name], 1e-9) for one in rounds)
        record(f"read through /mcp, {name}", ratio, "ratio", AIM)
        print(
            f"  {name:16}{app:8.2f} ms   bare server{bare:8.2f} ms   ratio {ratio:5.2f}  (aim: {AIM} or less)"
        )
    if chosen.waiting:
        with served("app") as (pid, port):
            asyncio.run(_waiting(pid, port, chosen.waiting, 100))


if __name__ == "__main__":
    main()
