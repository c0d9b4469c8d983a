"""A lead at the desk while the app is killed again and again: takes over, answers, notes and hands back.

Each step is sent until the server has answered it, as the console does: what was cut off may be on record.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.support.stores import state_of

WAIT_SECONDS = 30
KINDS = {"taken_over": "taken", "handed_back": "released"}


@dataclass(frozen=True)
class Step:
    """One request about a conversation: `name` is the end of its path."""

    thread_id: str
    name: str
    body: dict[str, Any]


class Desk:
    """A lead who goes from conversation to conversation; remembers what was sent.

    Args:
        chance: chooses the conversations and the pauses.
    """

    def __init__(self, chance: Random) -> None:
        self.left: list[Step] = []
        """What the server has not answered yet; the first one may be on record."""
        self.answered: list[Step] = []
        self._chance = chance

    async def work(self, url: str, last_thread: int) -> None:
        """Go on with what was cut off, then through the conversations, until something breaks.

        Args:
            url: of the REST routes.
            last_thread: the number of the conversation that was opened last.
        """
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                if not self.left:
                    number = self._chance.randint(max(1, last_thread - 3), last_thread + 4)
                    self.left = self._steps(f"thread-{number}")
                await self._send_next(client, url)
                await asyncio.sleep(self._chance.random() * 0.05)  # as a person pauses

    async def finish(self, url: str) -> None:
        """Send what is left."""
        async with httpx.AsyncClient(timeout=30) as client:
            while self.left:
                await self._send_next(client, url)

    def _steps(self, thread_id: str) -> list[Step]:
        number = f"{len(self.answered)}"
        bodies: dict[str, dict[str, Any]] = {
            "takeover": {},
            "messages": {"content": f"answer {number}", "message_id": str(uuid.uuid4())},
            "notes": {"content": f"note {number}", "note_id": str(uuid.uuid4())},
            "release": {"note": f"for the agents {number}"},
        }
        return [Step(thread_id, name, body) for name, body in bodies.items()]

    async def _send_next(self, client: httpx.AsyncClient, url: str) -> None:
        step = self.left[0]
        answer = await client.post(f"{url}/conversations/{step.thread_id}/{step.name}", json=step.body)
        if step.name == "takeover" and answer.status_code == 404:
            self.left = []  # its customer has not said anything yet
            return
        assert answer.status_code == 200, answer.text
        self.answered.append(self.left.pop(0))

    async def check(self, url: str) -> dict[str, list[str]]:
        """Each answer and each note is there once, and nobody is left without an answer.

        Returns:
            The takeovers in the event log by conversation, for `check_takeovers`.
        """
        takeovers = {}
        async with httpx.AsyncClient(timeout=30) as client:
            for thread_id, steps in self._by_thread().items():
                events = await _answered_conversation(client, url, thread_id)
                said = [one["message_id"] for one in events if one.get("role") == "colleague"]
                assert said == [one.body["message_id"] for one in steps if one.name == "messages"], thread_id
                notes = await _data(client, f"{url}/conversations/{thread_id}/notes")
                noted = [one["note_id"] for one in notes]
                assert noted == [one.body["note_id"] for one in steps if one.name == "notes"], thread_id
                takeovers[thread_id] = [one["state"] for one in events if one["type"] == "takeover"]
        return takeovers

    def _by_thread(self) -> dict[str, list[Step]]:
        by_thread = defaultdict(list)
        for step in self.answered:
            by_thread[step.thread_id].append(step)
        return by_thread


async def check_takeovers(folder: Path, takeovers: dict[str, list[str]]) -> None:
    """Each takeover on the audit trail is in the event log once, and they alternate with the hand-backs."""
    state = state_of(folder / "var")
    rows = await state.execute("SELECT * FROM audit ORDER BY number")
    holders = await state.execute("SELECT thread_id FROM sessions WHERE taken_by IS NOT NULL")
    unrecorded = await state.execute("SELECT thread_id FROM sessions WHERE unrecorded_takeovers IS NOT NULL")
    state.close()
    assert (holders, unrecorded) == ([], [])
    for thread_id, states in takeovers.items():
        audited = [
            KINDS[one["kind"]] for one in rows if one["thread_id"] == thread_id and one["kind"] in KINDS
        ]
        assert states == audited, thread_id
        assert states == ["taken", "released"] * (len(states) // 2), thread_id


async def _data(client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    answer = await client.get(url, params={"limit": 200})
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


async def _answered_conversation(client: httpx.AsyncClient, url: str, thread_id: str) -> list[dict[str, Any]]:
    """The events of a conversation that was handed back, once the agents have answered what was left."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        events = await _data(client, f"{url}/replay/{thread_id}")
        # A call that waits for an approval, or an error that names what to do, is an answer too.
        speakers = [
            one.get("role") or one["type"]
            for one in events
            if one["type"] in ("message", "interrupt", "error")
        ]
        if speakers and speakers[-1] != "customer":
            return events
        assert time.monotonic() < deadline, (thread_id, events)
        await asyncio.sleep(0.1)  # What recovery does has no event over REST.
