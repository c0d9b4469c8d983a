"""A process ends by a kill or a stop, or loses its database: the others carry on, and nothing is lost."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.harness import AppProcess, Client, spoken
from tests.support.kills.traffic import WORKERS, Traffic, check_record, looked_at
from tests.support.postgres import Postgres
from tests.support.slow_model import AGENTS, slow_model
from tests.support.workers import end_workers, is_cut_off

Machine = Callable[..., AppProcess]


async def test_a_turn_whose_process_is_killed_is_finished_by_the_other(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = tmp_path / "agents.yaml"
    agents.write_text(AGENTS)
    async with slow_model() as model:
        for name, value in model.environment.items():
            monkeypatch.setenv(name, value)
        # A profile whose answers never begin with a thought, so that the first one streams.
        settings = {"AGENTS_FILE": agents, "MODEL": "openai:slow", "MODEL_PROFILE": "openai"}
        here = await asyncio.to_thread(machine, **settings)
        there = await asyncio.to_thread(machine, **settings)
        async with await Client.connect(here.ws_url) as customer:
            await customer.send(type="message", thread_id="t", content="Hello")
            before = await customer.until("token")
            await asyncio.to_thread(here.kill)
        model.go_on.set()
        async with await Client.connect(there.ws_url) as customer:
            await customer.send(type="resume", thread_id="t")
            after = await customer.until("message_complete")
        assert after[0]["content"] == "Hello"
        assert spoken(before).strip() in spoken(after)
        again = await asyncio.to_thread(there.post, "/chat", {"thread_id": "t", "message": "Hello"})
        assert again.status_code == 200
        kinds = [step["type"] for step in there.get("/replay/t")]
        assert kinds.count("message_complete") == 2


async def test_the_database_may_restart(machine: Machine, postgres: Postgres) -> None:
    here = machine()
    asked = here.post("/chat", {"thread_id": "t", "message": "Cancel order 1042"}).json()["data"]
    postgres.restart()
    deadline = time.monotonic() + 30
    async with httpx.AsyncClient(timeout=60) as client:
        while (await client.get(f"{here.url}/api/v1/health")).status_code != 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)  # the app asks again by itself; there is nothing to await
    there = machine()
    async with await Client.connect(here.ws_url) as customer:
        await customer.send(type="resume", thread_id="t", after=4)
        path = f"/approvals/{asked['approval']['approval_id']}/decision"
        answer = await asyncio.to_thread(there.post, path, {"decision": "approve"})
        assert answer.status_code == 200, answer.text
        assert "cancelled" in spoken(await customer.until("message_complete"))


class _Fleet(Traffic):
    """Traffic to several processes of one system; whoever loses one goes on with another."""

    # A process that is stopped takes nothing new.
    decision_statuses = (*Traffic.decision_statuses, 503)
    error_codes = ("shutting_down",)

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.processes: dict[int, Any] = {}

    async def one_more(self) -> None:
        """Start a process, and return once it answers."""
        await self.start()
        self.processes[self.port] = self.process

    def end_one(self) -> None:
        """One of them is killed, or stopped as for an upgrade."""
        port = self.chance.choice([*self.processes])
        process = self.processes.pop(port)
        os.kill(process.pid, self.chance.choice([signal.SIGKILL, signal.SIGTERM]))
        process.join(30)
        assert process.exitcode is not None

    async def run_with_ends(self, ends: int) -> None:
        """Traffic, while one process after the other ends and a new one takes its place."""
        workers = [asyncio.create_task(self._lasting_worker()) for _ in range(WORKERS)]
        try:
            for _ in range(ends):
                # An end comes at any moment, so a random wait is what is tried.
                await asyncio.sleep(self.chance.uniform(0.1, 0.8))
                await asyncio.to_thread(self.end_one)
                await self.one_more()
        finally:
            await end_workers(workers)

    @property
    def url(self) -> str:
        """Of any of them; of the newest while there is no other."""
        port = self.chance.choice([*self.processes] or [self.port])
        return f"http://127.0.0.1:{port}/api/v1"

    async def _lasting_worker(self) -> None:
        while True:
            try:
                await self.worker()
            except Exception as error:
                if not is_cut_off(error):
                    raise


async def _ends(folder: Path, ends: int) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.randrange(2**32))
    print(f"FAULTS_SEED={seed}")
    fleet = _Fleet(folder, seed)
    for _ in range(2):
        await fleet.one_more()
    try:
        await fleet.run_with_ends(ends)
        outcomes, checked = await looked_at(fleet)
    finally:
        for process in fleet.processes.values():
            process.kill()
            process.join()
    await check_record(folder)
    print(f"{ends} ends, {fleet.asked} conversations, {checked} events checked, {dict(outcomes)}")
    assert outcomes["approved done"] > ends / 3, "too little traffic to show anything"


async def test_processes_that_end_one_after_the_other_lose_nothing(tmp_path: Path) -> None:
    await _ends(tmp_path, 6)


@pytest.mark.nightly
async def test_a_hundred_processes_that_end_lose_nothing(tmp_path: Path) -> None:
    await _ends(tmp_path, 100)
