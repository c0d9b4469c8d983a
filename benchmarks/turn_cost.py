"""CPU time of a turn of 200 streamed tokens through each channel, compared with the bare graph.

Measures the CPU time of the server process, with its event log and checkpoints on disk. The bare graph keeps
its checkpoints with LangGraph's own SQLite saver, and runs `astream` in a separate process.

The same work takes two to three times the CPU time while other processes use the machine, which changes from
minute to minute. So both processes live as long as a round, take turns in short blocks, and each block is
compared with the blocks of the bare graph before and after it.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402

TOKENS = 200
TURNS, BLOCKS, ROUNDS = 15, 4, 5
AIMS = {"/ws": 1.3, "REST, server-sent events": 1.35, "Gradio /chat": 2.0}
AGENTS = """\
company: Bench
fallback: only
agents:
  - {name: only, title: Only, description: Says two hundred words., tools: [get_order_status]}
"""


def model() -> Any:
    """A chat model that streams `TOKENS` tokens immediately and uses almost no CPU."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    class Words(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "words"

        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            raise NotImplementedError

        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
            for number in range(TOKENS):
                yield ChatGenerationChunk(message=AIMessageChunk(f"word{number} "))

    return Words()


def agents_file(folder: Path) -> Path:
    path = folder / "agents.yaml"
    path.write_text(AGENTS)
    return path


def serve(port: int, folder: Path) -> None:
    """Run the app like `app.py`, with the model above."""
    from smart_support import Settings
    from smart_support.garbage_collection import without_garbage_collection
    from smart_support.server.run import serve as serve_app

    settings = Settings(
        data_dir=folder,
        agents_file=agents_file(folder),
        port=port,
        rate_limit="1000/1s",
        log_level="warning",
    )
    with without_garbage_collection():
        from smart_support import create_app

        app = create_app(settings, chat_model=model())
    serve_app(app, settings)


def warm_up(count: int) -> int:
    """The number of turns before the `count` measured ones."""
    return max(1, count // 4)


async def _never(thread_id: str, reason: str, about: str | None = None, kind: str | None = None) -> bool:
    return False


def bare(folder: Path, count: int, blocks: int) -> None:
    """Print the milliseconds of CPU per turn of the bare graph, for each line on standard input a block."""
    import aiosqlite
    import uvloop
    from langchain_core.messages import HumanMessage
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    from smart_support import Settings
    from smart_support.agents.budget import Budget
    from smart_support.agents.graph import build_graph
    from smart_support.agents.model_client import Models
    from smart_support.agents.models import chat_models
    from smart_support.agents.team import load_team
    from smart_support.approvals.ledger import Ledger
    from smart_support.approvals.queue import ApprovalQueue
    from smart_support.approvals.quota import Quota
    from smart_support.gate.gate import Gate
    from smart_support.storage.state.sqlite import SqliteStateDatabase
    from smart_support.tools.registry import Registry

    async def turns(count: int, graph: Any, name: str) -> None:
        for number in range(count):
            config = {"configurable": {"thread_id": f"{name}-{number}"}}
            tokens = 0
            message = {"messages": [HumanMessage("two hundred words please")]}
            async for _ in graph.astream(message, config=config, stream_mode="custom"):
                tokens += 1
            assert tokens >= TOKENS

    async def main() -> None:
        state = SqliteStateDatabase(folder / "state.sqlite")
        async with aiosqlite.connect(folder / "checkpoints.sqlite") as connection:
            saver = AsyncSqliteSaver(connection)
            await saver.setup()
            team, registry = load_team(agents_file(folder)), Registry()
            gate = Gate(
                registry=registry,
                policy=team.policy,
                approvals=ApprovalQueue(state, 1800),
                ledger=Ledger(state),
                quota=Quota(state),
                escalate=_never,
            )
            settings = Settings(data_dir=folder)
            budget = Budget(settings, state, _never, "")
            models = Models(chat_models(settings, model()), budget, settings.model_context_tokens)
            graph = build_graph(team, registry, models, gate, saver)
            await turns(warm_up(count), graph, "warm")
            for block in range(blocks):
                sys.stdin.readline()
                before = time.process_time()
                await turns(count, graph, f"turn-{block}")
                print((time.process_time() - before) * 1000 / count, flush=True)
        state.close()

    uvloop.run(main())


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


async def over_socket(port: int, count: int) -> None:
    import orjson
    import websockets

    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None, compression=None) as connection:
        for _ in range(count):
            thread_id = f"ws-{time.perf_counter_ns()}"
            frame = {"type": "message", "thread_id": thread_id, "content": "two hundred words please"}
            await connection.send(orjson.dumps(frame).decode())
            tokens = 0
            while (event := orjson.loads(await connection.recv()))["type"] != "message_complete":
                tokens += event["type"] == "token"
            assert tokens == TOKENS, tokens


async def over_sse(port: int, count: int) -> None:
    import httpx

    async with httpx.AsyncClient(timeout=30, headers={"Accept": "text/event-stream"}) as client:
        for _ in range(count):
            body = {"message": "two hundred words please"}
            answer = await client.post(f"http://127.0.0.1:{port}/api/v1/chat", json=body)
            assert answer.text.count("event: token") == TOKENS


async def over_gradio(port: int, count: int) -> None:
    from gradio_client import Client

    client = await asyncio.to_thread(Client, f"http://127.0.0.1:{port}", verbose=False)
    for _ in range(count):
        job = client.submit("two hundred words please", "", api_name="/chat")
        final = await asyncio.to_thread(job.result, 30)
        assert final["status"] == "complete", final


class Bare:
    """The process of the bare graph."""

    def __init__(self, folder: Path, count: int, blocks: int) -> None:
        command = [sys.executable, __file__, "--bare", str(folder), "--turns", str(count)]
        command += ["--blocks", str(blocks)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def block(self) -> float:
        """Run a block of turns; the milliseconds of CPU per turn."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Return when the process has ended; its blocks must have been run, or it failed."""
        self._process.kill()
        self._process.wait(30)


def measured(pid: int, port: int, channel: Callable[[int, int], Any], count: int) -> float:
    """Milliseconds of the server's CPU per turn."""
    before = cpu_seconds(pid)
    asyncio.run(channel(port, count))
    return (cpu_seconds(pid) - before) * 1000 / count


def one_round(
    channels: dict[str, Callable[[int, int], Any]], count: int, blocks: int
) -> dict[str, tuple[float, float]]:
    """Milliseconds and ratio of the bare graph and of each channel, as medians of the blocks."""
    import httpx

    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (Path(folder) / "bare").mkdir()
        (Path(folder) / "served").mkdir()
        graph = Bare(Path(folder) / "bare", count, blocks * (len(channels) + 1))
        command = [sys.executable, __file__, "--serve", str(port), f"{folder}/served"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ("bare graph", *channels)}
        try:
            while True:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/api/v1/health").status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
            for channel in channels.values():
                asyncio.run(channel(port, warm_up(count)))
            for _ in range(blocks):
                before = graph.block()
                for name, channel in channels.items():
                    cost = measured(server.pid, port, channel, count)
                    after = graph.block()
                    costs[name].append((cost, 2 * cost / (before + after)))
                    costs["bare graph"].append((after, 1.0))
                    before = after
        finally:
            graph.end()
            server.terminate()
            server.wait(30)
    return {
        name: (statistics.median(cost for cost, _ in some), statistics.median(ratio for _, ratio in some))
        for name, some in costs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help="of a block")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of each channel in a round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "FOLDER"), help="internal: run the app")
    parser.add_argument("--bare", metavar="FOLDER", help="internal: run the bare graph")
    chosen = parser.parse_args()
    if chosen.serve:
        serve(int(chosen.serve[0]), Path(chosen.serve[1]))
    elif chosen.bare:
        bare(Path(chosen.bare), chosen.turns, chosen.blocks)
    else:
        channels = {"/ws": over_socket, "REST, server-sent events": over_sse, "Gradio /chat": over_gradio}
        rounds = [one_round(channels, chosen.turns, chosen.blocks) for _ in range(chosen.rounds)]
        print(
            f"CPU per turn of {TOKENS} tokens, {chosen.blocks} blocks of {chosen.turns} turns, "
            f"median of {chosen.rounds} rounds"
        )
        for name in rounds[0]:
            cost = statistics.median(one[name][0] for one in rounds)
            ratios = sorted(one[name][1] for one in rounds)
            ratio = statistics.median(ratios)
            aim = f"  (aim: {AIMS[name]} or less)" if name in AIMS else ""
            spread = f" ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            print(f"  {name:26}{cost:8.1f} ms   ratio {ratio:5.2f}{spread}{aim}")
            record(name, cost, "ms")
            record(name, ratio, "ratio", AIMS.get(name))


if __name__ == "__main__":
    main()
