"""Traffic to an app that is ended again and again, and the look at what it left: nothing twice, nothing lost.

Who ends it, when and how: test_kill.py, and tests/cluster/test_failover.py.
"""

import asyncio
import multiprocessing.connection
import os
import random
import signal
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import orjson
import websockets

from smart_support import audit
from smart_support.conversation.turn import STUCK
from tests.support.harness import FORKING, free_port
from tests.support.health import wait_until_healthy
from tests.support.kills.app import serve
from tests.support.kills.desk import Desk
from tests.support.stores import database_url, state_of
from tests.support.workers import end_workers, is_cut_off

WORKERS = 4
SETTLED_SECONDS = 30

Event = dict[str, Any]


class Traffic:
    """Customers who ask and a lead who decides, by socket and REST; remembers all that was shown."""

    decision_statuses: tuple[int, ...] = (200, 409)
    """Answers to a decision: it won, or another one was first."""

    error_codes: tuple[str, ...] = ()
    """Errors that a customer may be sent."""

    freezes = False
    """Whether somebody freezes and lifts meanwhile."""

    undo_seconds = 0
    """How long the console holds a decision."""

    desk: Desk | None = None
    """A lead who takes conversations over meanwhile."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.seen: dict[str, dict[int, Event]] = defaultdict(dict)
        self.wins: Counter[str] = Counter()
        """How many decisions won, by approval."""
        self.asked = 0
        self.port = 0
        self.place = ""
        self.process: Any = None

    async def start(self, place: str = "", nth: int = 1, port: int | None = None) -> bool:
        """Start the app, and return once it answers: whether it does, or has met its trap already."""
        self.port, self.place = port or free_port(), place
        seed, database = self.chance.randrange(2**32), database_url(self.folder / "var")
        arguments = (self.port, str(self.folder), seed, place, nth, database, self.undo_seconds)
        self.process = FORKING.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        if await wait_until_healthy(self.process, f"http://127.0.0.1:{self.port}/api/v1"):
            return True
        if place and self.process.exitcode == -signal.SIGKILL:
            return False
        raise RuntimeError("the app did not come back")

    def kill(self) -> None:
        """Pull the plug."""
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()

    async def run(self, seconds: float) -> bool:
        """Traffic for a while, then a kill.

        Returns:
            Whether the app killed itself before.

        Raises:
            BaseException: a worker failed with something else than a connection that the kill cut off.
        """
        workers = [asyncio.create_task(self.worker()) for _ in range(WORKERS)]
        if self.freezes:
            workers.append(asyncio.create_task(self._freeze_now_and_then()))
        if self.desk:
            workers.append(asyncio.create_task(self.desk.work(self.url, self.asked)))
        died = await asyncio.to_thread(multiprocessing.connection.wait, [self.process.sentinel], seconds)
        # Who fails while the app lives was not cut off. With a trap the app may end at any moment.
        failed = [] if died or self.place else [worker for worker in workers if worker.done()]
        self.kill()
        await end_workers(failed)
        await end_workers(workers, is_cut_off)
        return bool(died)

    async def approvals(self) -> list[Event]:
        """Every approval there is."""
        found, cursor = [], None
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                params = {"limit": 100} | ({"cursor": cursor} if cursor else {})
                answer = await client.get(f"{self.url}/approvals", params=params)
                assert answer.status_code == 200, answer.text
                body = answer.json()
                found += body["data"]
                cursor = body["meta"]["next_cursor"]
                if not cursor:
                    return found

    async def _freeze_now_and_then(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                scope = self.chance.choice(["all", "tool:strike", "tool:mark"])
                answer = await client.post(f"{self.url}/freeze", json={"scope": scope, "reason": "a test"})
                assert answer.status_code == 200, answer.text
                await asyncio.sleep(self.chance.random() * 0.15)  # as long as a freeze lasts
                await self.lift_all()
                await asyncio.sleep(self.chance.random() * 0.3)  # until the next one

    async def lift_all(self) -> None:
        """Lift every freeze."""
        async with httpx.AsyncClient(timeout=30) as client:
            for freeze in await _data(client, f"{self.url}/freeze"):
                answer = await client.delete(f"{self.url}/freeze/{freeze['scope']}")
                assert answer.status_code == 200, answer.text

    async def decide(self, client: httpx.AsyncClient, approval_id: str) -> None:
        """Mostly yes, sometimes no, sometimes both at once."""
        words = self.chance.choice([["approve"], ["approve"], ["approve"], ["reject"], ["approve", "reject"]])
        url = f"{self.url}/approvals/{approval_id}/decision"
        answers = await asyncio.gather(*(client.post(url, json={"decision": word}) for word in words))
        for answer in answers:
            assert answer.status_code in self.decision_statuses, answer.text
            self.wins[approval_id] += answer.status_code == 200
        assert self.wins[approval_id] <= 1, f"more than one decision won: {approval_id}"

    @property
    def url(self) -> str:
        """Where its REST routes are."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    async def worker(self) -> None:
        """One lead and one customer, until something breaks."""
        async with httpx.AsyncClient(timeout=30) as client:
            left_waiting = await client.get(f"{self.url}/approvals", params={"status": "pending", "limit": 5})
            assert left_waiting.status_code == 200, left_waiting.text
            for approval in left_waiting.json()["data"]:
                await self.decide(client, approval["approval_id"])
            socket = self.url.replace("http", "ws").replace("/api/v1", "/ws")
            async with websockets.connect(socket, proxy=None) as connection:
                while True:
                    await self._conversation(client, connection)

    async def _conversation(self, client: httpx.AsyncClient, connection: websockets.ClientConnection) -> None:
        self.asked += 1
        thread_id, item = f"thread-{self.asked}", f"IT-{self.asked:06}"
        verb = self.chance.choice(["strike", "mark"])
        frame = {"type": "message", "thread_id": thread_id, "content": f"please {verb} {item}"}
        await connection.send(orjson.dumps(frame).decode())
        while True:
            event = orjson.loads(await connection.recv())
            assert event["type"] != "error" or event["code"] in self.error_codes, event
            if event["type"] == "error" or event["thread_id"] != thread_id:
                continue
            self.seen[thread_id][event["seq"]] = event
            if event["type"] == "interrupt":
                await self.decide(client, event["approval_id"])
            elif event["type"] == "message_complete":
                return


async def _data(client: httpx.AsyncClient, url: str, **params: Any) -> list[Event]:
    answer = await client.get(url, params=params)
    assert answer.status_code == 200, answer.text
    data: list[Event] = answer.json()["data"]
    return data


async def _settle(traffic: Traffic) -> list[Event]:
    """Every approval, once each that was decided has its verdict."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        approvals = await traffic.approvals()
        open_ = [one for one in approvals if one["execution"] == "not_started"]
        if not open_:
            return approvals
        assert time.monotonic() < deadline, f"approved and never run: {open_}"
        await asyncio.sleep(0.1)  # What recovery does has no event over REST.


def _check_effects(folder: Path, approvals: list[Event]) -> Counter[str]:
    struck = Counter((folder / "strikes").read_text().split())
    marked = Counter(path.read_text() for path in (folder / "marks").glob("*"))
    outcomes: Counter[str] = Counter()
    for approval in approvals:
        item, ran = approval["args"]["item_id"], struck if approval["action"] == "strike" else marked
        outcomes[f"{approval['status']} {approval['execution']}"] += 1
        if approval["status"] != "approved":
            assert ran[item] == 0, f"ran without approval: {approval}"
        elif approval["execution"] == "done":
            assert ran[item] == 1, f"{ran[item]} effects of one approval: {approval}"
        else:
            # Only what does not honour its key may be left unknown, and then it was not tried again.
            assert approval["execution"] == "outcome_unknown", approval
            assert approval["action"] == "strike", approval
            assert ran[item] <= 1, approval
    assert max([*struck.values(), *marked.values()], default=0) <= 1
    return outcomes


async def _check_events(traffic: Traffic) -> int:
    """All that was ever shown stands in the record, with the same number and the same words."""
    checked = 0
    async with httpx.AsyncClient(timeout=30) as client:
        for thread_id, seen in traffic.seen.items():
            steps = await _data(client, f"{traffic.url}/replay/{thread_id}", limit=200)
            recorded = {step["seq"]: step for step in steps}
            assert [step["seq"] for step in steps] == sorted(recorded)
            assert [step for step in steps if step.get("message") == STUCK] == []
            for seq, event in seen.items():
                if event["type"] == "token":
                    covering = [s for s in steps if s.get("first_seq", s["seq"]) <= seq <= s["seq"]]
                    assert len(covering) == 1, (thread_id, event, steps)
                else:
                    assert recorded[seq]["type"] == event["type"], (thread_id, event, recorded.get(seq))
                    checked += 1
    return checked


async def _check_escalations(traffic: Traffic, approvals: list[Event]) -> None:
    """Each unknown outcome has one escalation that names its approval, however often it was cut off."""
    async with httpx.AsyncClient(timeout=30) as client:
        for approval in approvals:
            if approval["execution"] == "outcome_unknown":
                told = await _told_of(approval, traffic, client)
                assert len(told) == 1, (approval, told)
        listed = await _data(client, f"{traffic.url}/escalations", limit=100)
        reasons = [one["reason"] for one in listed]
        assert len(reasons) == len(set(reasons))


async def _told_of(approval: Event, traffic: Traffic, client: httpx.AsyncClient) -> list[Event]:
    """The escalations of an approval; where there is none, its turn may still be finished."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        steps = await _data(client, f"{traffic.url}/replay/{approval['thread_id']}", limit=200)
        told = [step for step in steps if step["type"] == "escalation"]
        told = [step for step in told if approval["approval_id"] in step["reason"]]
        if told or time.monotonic() > deadline:
            return told
        await asyncio.sleep(0.1)  # What recovery does has no event over REST.


async def looked_at(traffic: Traffic) -> tuple[Counter[str], int]:
    """Compare all requests, effects, events and escalations of an app that runs.

    Returns:
        How many approvals came to what, and how many of the events that were shown were checked.
    """
    await traffic.lift_all()
    approvals = await _settle(traffic)
    outcomes = _check_effects(traffic.folder, approvals)
    checked = await _check_events(traffic)
    await _check_escalations(traffic, approvals)
    return outcomes, checked


async def check_record(folder: Path) -> None:
    """The audit's chain is whole, and no write is left without a result, once nothing runs any more."""
    state = state_of(folder / "var")
    rows = await state.execute("SELECT * FROM audit ORDER BY number")
    unended = await state.execute("SELECT * FROM action_ledger WHERE status = 'begun'")
    state.close()
    assert audit.first_broken(rows) is None
    assert unended == []
    _check_freezes(rows)


def _check_freezes(rows: list[Event]) -> None:
    """By the record, no write began while its scope was frozen."""
    frozen: set[str] = set()
    for row in rows:
        detail = orjson.loads(row["detail"])
        if row["kind"] == "frozen":
            frozen.add(detail["scope"])
        elif row["kind"] == "freeze_lifted":
            frozen.remove(detail["scope"])
        elif row["kind"] == "execution_begun":
            assert frozen.isdisjoint({"all", f"tool:{detail['tool']}"}), row
