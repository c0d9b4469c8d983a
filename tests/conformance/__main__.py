"""`make conformance`: what people approved is what happened, on the 114 retail tasks of tau2-bench.

A check of the gate: the model is a script, so it says nothing of how well agents solve the tasks.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from gradio_client import Client as GradioClient

from tests.conformance import retail
from tests.conformance.app import serve
from tests.conformance.mcp_tasks import Interruption, McpTasks
from tests.conformance.service import Service
from tests.support.harness import FORKING, Client, free_port
from tests.support.health import wait_until_healthy

Mode = Literal[
    "approve", "reject", "mix", "killed", "mcp", "mcp-reject", "mcp-mix", "mcp-client", "mcp-server"
]
DOORS = ("rest", "socket", "gradio_client")
# Imported once, before each start forks from there.
FORKING.set_forkserver_preload(["tests.support.preloaded", "tests.conformance.app"])
WORDS = {
    "approve": "approve all: the gold database",
    "reject": "reject all: the untouched database",
    "mix": "a random mix: the approved writes, no others",
    "killed": "approve all, the app killed at every stop",
    "mcp": "over MCP, approve all: the gold database",
    "mcp-reject": "over MCP, reject all: the untouched database",
    "mcp-mix": "over MCP, a random mix",
    "mcp-client": "over MCP, the client killed or timed out",
    "mcp-server": "over MCP, the app killed at every stop",
}


@dataclass(slots=True)
class Tally:
    """What came of one mode."""

    tasks: int = 0
    equal: int = 0
    stops: int = 0
    approved: int = 0
    doors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0


class Run:
    """One app over one data folder, and the API it calls."""

    def __init__(self, folder: Path, service: Service, seed: int) -> None:
        self._folder, self._service = folder, service
        self._chance = random.Random(seed)
        self._process: Any = None
        self._gradio: GradioClient | None = None

    async def start(self) -> None:
        """Start the app, and return once it answers."""
        self._port = free_port()
        api = self._service.url.removeprefix("http://")
        self._process = FORKING.Process(target=serve, args=(self._port, str(self._folder), api), daemon=True)
        self._process.start()
        if not await wait_until_healthy(self._process, self._url):
            raise RuntimeError("the app did not start")

    def kill(self) -> None:
        """Pull the plug."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._gradio = None

    async def import_api(self) -> None:
        """Import the API by its address, look through what was found, approve it."""
        async with httpx.AsyncClient(base_url=f"{self._url}/openapi", timeout=30) as client:
            begun = await client.post("/import", json={"url": f"{self._service.url}/openapi.json"})
            job = begun.json()["data"]
            while job["status"] == "loading":
                await asyncio.sleep(0.05)  # a job has no event to await
                job = (await client.get(f"/jobs/{job['job_id']}")).json()["data"]
            path = f"/jobs/{job['job_id']}"
            found = (await client.get(f"{path}/operations")).json()["data"]
            missed = [one["key"] for one in found if retail.is_write(one["key"]) and one["access"] != "write"]
            if missed:
                raise RuntimeError(f"taken for reads: {', '.join(missed)}")
            # A reviewer's ticks: what the rules took for a write to be careful, and is none.
            careful = [
                one["key"] for one in found if one["needs_approval"] and not retail.is_write(one["key"])
            ]
            print(f"{len(found)} operations; gated though the domain calls them reads: {careful or 'none'}")
            changes = {"access": "read", "needs_approval": False, "enabled": True}
            if careful:
                body = {"keys": careful, "changes": changes}
                (await client.patch(f"{path}/operations", json=body)).raise_for_status()
            (await client.post(f"{path}/approve")).raise_for_status()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    async def mcp_task(self, number: int, actions: list[retail.Action], mode: Mode, tally: Tally) -> None:
        """Have one task's calls made over MCP and decided, and compare what it left behind."""
        self._service.reset()
        stops = sum(retail.is_write(action.name) for action in actions)
        cut: tuple[Interruption, Interruption] = ("client_killed", "timed_out")
        interruption = {"mcp-client": cut[number % 2], "mcp-server": "server_killed"}.get(mode)
        tasks = McpTasks(self, lambda: self._is_approved(mode))
        wrong, approved = "", set[int]()
        try:
            approved = await tasks.run(mode, number, actions, interruption)  # type: ignore[arg-type]
        except Exception as error:
            wrong = f"task {number}: {error!r}"
        kept = [one for place, one in enumerate(actions) if place in approved or not _is_write(one)]
        if not wrong and self._service.shop.db.get_hash() != retail.state_after(kept):
            wrong = f"task {number}: another state than that of the approved writes"
        if not wrong and self._service.writes != len(approved):
            wrong = f"task {number}: {self._service.writes} writes, {len(approved)} approved"
        if wrong:
            tally.wrong.append(wrong)
        tally.tasks, tally.equal, tally.stops = (
            tally.tasks + 1,
            tally.equal + (not wrong),
            tally.stops + stops,
        )
        tally.approved += len(approved)
        tally.doors[interruption or "rest"] += stops

    def _is_approved(self, mode: Mode) -> bool:
        return not mode.endswith("reject") and (not mode.endswith("mix") or self._chance.random() < 0.5)

    async def task(self, number: int, actions: list[retail.Action], mode: Mode, tally: Tally) -> None:
        """Have one task done and decided, and compare what it left behind."""
        self._service.reset()
        thread_id, door = f"{mode}-{number}", DOORS[number % len(DOORS)]
        approved: set[int] = set()
        writes = [place for place, action in enumerate(actions) if retail.is_write(action.name)]
        client = await Client.connect(self._ws_url)
        try:
            end = (await client.turn(thread_id, f"task {number}"))[-1]
            stops = 0
            while end["type"] == "interrupt":
                if mode == "killed":
                    await client.connection.close()
                    self.kill()
                    await self.start()
                    client = await Client.connect(self._ws_url)
                    await client.send(type="resume", thread_id=thread_id, after=end["seq"])
                yes = self._is_approved(mode)
                if yes:
                    approved.add(_place(actions, writes, stops, end))
                stops += 1
                await self._decide(door, client, end, yes)
                end = (await client.until("message_complete", "interrupt", "error", thread_id=thread_id))[-1]
        finally:
            await client.connection.close()
        all_of_them = mode in ("approve", "killed")
        kept = [one for place, one in enumerate(actions) if all_of_them or place in approved]
        same = (
            self._service.shop.db.get_hash() == retail.state_after(kept) and end["type"] == "message_complete"
        )
        same = same and self._service.writes == len(approved)
        tally.tasks, tally.equal, tally.stops = tally.tasks + 1, tally.equal + same, tally.stops + stops
        tally.approved += len(approved)
        tally.doors[door] += stops
        if not same:
            tally.wrong.append(
                f"task {number} ({door}): {self._service.writes} writes, {len(approved)} approved"
            )

    async def _decide(self, door: str, client: Client, asked: dict[str, Any], yes: bool) -> None:
        word, reason = ("approve", "") if yes else ("reject", "not this one")
        if door == "socket":
            frame = {"thread_id": asked["thread_id"], "interrupt_id": asked["interrupt_id"], "reason": reason}
            await client.send(type="interrupt_response", approved=yes, **frame)
        elif door == "rest":
            url = f"{self._url}/approvals/{asked['approval_id']}/decision"
            async with httpx.AsyncClient(timeout=30) as rest:
                (await rest.post(url, json={"decision": word, "reason": reason})).raise_for_status()
        else:
            given = (asked["approval_id"], word, reason)
            await asyncio.to_thread(self._by_gradio, given)

    def _by_gradio(self, given: tuple[str, str, str]) -> None:
        if self._gradio is None:
            self._gradio = GradioClient(f"http://127.0.0.1:{self._port}", verbose=False)
        self._gradio.predict(*given, api_name="/decide")

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/v1"

    @property
    def _ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ws"


def _is_write(action: retail.Action) -> bool:
    return retail.is_write(action.name)


def _place(actions: list[retail.Action], writes: list[int], stops: int, asked: dict[str, Any]) -> int:
    """Which of the task's actions it stopped at; it must be the very call."""
    for place in writes[stops:]:
        if (actions[place].name, actions[place].arguments) == (asked["action"], asked["args"]):
            return place
    raise RuntimeError(f"asked for {asked['action']} with {asked['args']}, which no action is")


async def conformance(modes: list[Mode], first: int, most: int, seed: int) -> bool:
    """Run the modes and print the table; whether all was as decided."""
    print(f"seed {seed}")
    tasks = retail.tasks()[first : first + most]
    _print_expected(tasks)
    tallies: dict[Mode, Tally] = {}
    with tempfile.TemporaryDirectory() as folder, Service() as service:
        run = Run(Path(folder), service, seed)
        await run.start()
        await run.import_api()
        for mode in modes:
            tallies[mode] = tally = Tally()
            began = time.perf_counter()
            for number, actions in enumerate(tasks, first):
                have_done = run.mcp_task if mode.startswith("mcp") else run.task
                await have_done(number, actions, mode, tally)
                _print_progress(mode, tally, len(tasks))
            tally.seconds = time.perf_counter() - began
            print(
                f"{WORDS[mode]:46} {tally.equal:4} of {tally.tasks}  {tally.stops:4} stops  {_doors(tally)}"
            )
            print(*tally.wrong, sep="\n", end="\n" if tally.wrong else "", flush=True)
        run.kill()
    return all(tally.equal == tally.tasks for tally in tallies.values())


def _print_expected(tasks: list[list[retail.Action]]) -> None:
    writes = sum(retail.is_write(action.name) for actions in tasks for action in actions)
    refused, after = (sum(counts) for counts in zip(*map(retail.refused, tasks), strict=True))
    print(
        f"{len(tasks)} tasks expect {writes} writes; the shop refuses {refused} of them, and {after} of them "
        "come after a refused one in the same task"
    )


def _print_progress(mode: Mode, tally: Tally, tasks: int) -> None:
    end = "\n" if tally.tasks == tasks else ""
    print(f"\r{mode}: {tally.equal} of {tally.tasks}", end=end, file=sys.stderr, flush=True)


def _doors(tally: Tally) -> str:
    each = ", ".join(f"{door} {count}" for door, count in sorted(tally.doors.items()))
    return f"{tally.approved:4} approved  {tally.seconds:5.0f} s  by {each}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Check the gate on the retail tasks of tau2-bench.")
    parser.add_argument("--first", type=int, default=0, help="the number of the first task, from 0")
    parser.add_argument("--tasks", type=int, default=114, help="only the first so many")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31), help="of the random mix")
    parser.add_argument("--modes", nargs="+", choices=WORDS, default=list(WORDS))
    given = parser.parse_args()
    sys.exit(0 if asyncio.run(conformance(given.modes, given.first, given.tasks, given.seed)) else 1)
