"""Real SIGKILLs around an approved write of a graph that this project did not build.

Whatever the moment, the write runs at most once and what came of it is on record. Where that can't be known,
a human is told exactly once. The conversation goes on.
"""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.graphs.killed import AFTER, BEFORE, BUILDS, PLACES, KilledApp
from tests.support.harness import Client, spoken

ENDS = ("message_complete", "interrupt", "error")
UNKNOWN, DONE = "outcome_unknown", "done"
# Where it is killed, one start after the other, and what is on record at last.
COURSES: dict[tuple[str, ...], str] = {
    ("requested",): DONE,
    ("decided",): DONE,
    ("finished",): DONE,
    ("resumed",): DONE,
    ("begun",): UNKNOWN,
    (BEFORE,): UNKNOWN,
    (AFTER,): UNKNOWN,
    (AFTER, "stuck"): UNKNOWN,
    (AFTER, "told", "told"): UNKNOWN,
    (AFTER, "finished"): UNKNOWN,
    (BEFORE, "resumed"): UNKNOWN,
    (AFTER, "stuck", "told", "finished", "resumed"): UNKNOWN,
}


async def _killed_conversation(folder: Path, shape: str, places: tuple[str, ...]) -> int:
    """One conversation whose app is killed at each of these places; how often it was killed."""
    app = KilledApp(folder, shape)
    kills = 0
    try:
        assert await app.start(places[0])
        async with await app.connect() as client:
            await client.send(type="message", thread_id="t", content="refund A-1")
            if places[0] != "requested":
                waiting = (await client.until("interrupt"))[-1]
                await app.decide(waiting["approval_id"])
            await app.died()
        for place in places[1:]:
            kills += 1
            if await app.start(place):
                app.stop()  # the place was never reached: what it belongs to was done before
        kills += 1
        assert await app.start()
        await _check(app, shape, places)
    finally:
        app.stop()
    return kills


async def _check(app: KilledApp, shape: str, places: tuple[str, ...]) -> None:
    async with await app.connect() as client:
        if places[0] == "requested":
            await client.send(type="resume", thread_id="t", after=0)
            await app.decide((await client.until("interrupt"))[-1]["approval_id"])
            await client.until("message_complete", "error")
        else:
            await _at_rest(client)
        approval = next(one for one in await app.get("/approvals") if one["thread_id"] == "t")
        expected = COURSES[places]
        assert (approval["status"], approval["execution"]) == ("approved", expected), (shape, places)
        assert app.writes == (["A-1"] if expected == DONE or places[0] == AFTER else [])
        told = [one for one in await app.get("/escalations", limit=100) if one["thread_id"] == "t"]
        assert len(told) == (expected == UNKNOWN), (shape, places, told)
        later = await client.turn("t", "hello")
        assert spoken(later).endswith("You said: hello."), (shape, places, later)
        assert app.writes == (["A-1"] if expected == DONE or places[0] == AFTER else [])
    steps = await app.get("/replay/t", limit=200)
    counted = Counter(step["type"] for step in steps)
    assert counted["escalation"] == (expected == UNKNOWN), (shape, places, steps)
    assert counted["decision"] == 1
    numbers = [step["seq"] for step in steps]
    assert numbers == sorted(set(numbers))


async def _at_rest(client: Client) -> None:
    """Wait for the end of the turn that the kill cut off."""
    await client.send(type="resume", thread_id="t", after=0)
    await client.until("decision")
    await client.until("message_complete", "error")


SOME = list(zip(COURSES, itertools.cycle(["flat", "middleware_batched", "agent_node", "act_in_next_step"])))
# Its state has a message only once its step has ended.
SOME.append((("requested",), "functional"))
ALL = list(itertools.product(COURSES, BUILDS))


@pytest.mark.parametrize(("places", "shape"), SOME)
async def test_a_kill_at_each_place(places: tuple[str, ...], shape: str, tmp_path: Path) -> None:
    await _killed_conversation(tmp_path / "app", shape, places)


@pytest.mark.nightly
async def test_every_shape_is_killed_at_every_place(tmp_path: Path) -> None:
    random.shuffle(ALL)
    kills = 0
    for number, (places, shape) in enumerate(ALL):
        kills += await _killed_conversation(tmp_path / str(number), shape, places)
    print(f"{kills} kills in {len(ALL)} conversations with {len(BUILDS)} shapes at {len(PLACES) + 2} places")
