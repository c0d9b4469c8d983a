"""Real SIGKILLs in the midst of real traffic: nothing twice, nothing lost, nothing silently unknown.

Some of the kills come at random moments, most at places in the code that luck would seldom hit: between
a decision and its answer, an intent and its effect, an effect and its record, a record and the conversation.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.kills.app import BEGUN, EFFECT, KEPT, MARKED, TRAPS
from tests.support.kills.desk import Desk, check_takeovers
from tests.support.kills.traffic import Traffic, check_record, looked_at

# How long to wait for a kill at each place. After an effect without a record comes the start that has to tell
# a human: it is killed at that, too. Where what was begun has no such end, nobody is told.
PLACES = [
    {EFFECT: 20.0, "told": 20.0},
    {MARKED: 20.0, "ended": 20.0},
    {BEGUN: 20.0, "told": 0.5},
    {"asked": 20.0, "decided": 20.0, "parked": 20.0},
    {"taken": 20.0, "said": 20.0, "noted": 20.0},
]


async def _kills(folder: Path, rounds: int, at_random: int) -> None:
    """In each round, two kills at places in the code and some at random moments."""
    seed = int(os.environ.get("FAULTS_SEED") or random.randrange(2**32))
    print(f"FAULTS_SEED={seed}")
    traffic = Traffic(folder, seed)
    traffic.freezes = True
    traffic.desk = Desk(traffic.chance)
    caught: Counter[str] = Counter()
    kills = rounds * (2 + at_random)
    for number in range(rounds):
        for place, seconds in PLACES[number % len(PLACES)].items():
            nth = 1 if place == "told" else traffic.chance.randint(1, 4)
            if not await traffic.start(place, nth) or await traffic.run(seconds):
                caught[place] += 1
        for _ in range(at_random):
            await traffic.start()
            await traffic.run(traffic.chance.uniform(0.05, 0.8))
    await traffic.start()
    try:
        await traffic.desk.finish(traffic.url)
        outcomes, checked = await looked_at(traffic)
        takeovers = await traffic.desk.check(traffic.url)
    finally:
        traffic.kill()
    await check_record(folder)
    await check_takeovers(folder, takeovers)
    print(f"{kills} kills, {sum(caught.values())} of them at {dict(caught)}")
    print(f"{traffic.asked} conversations, {checked} events checked, {dict(outcomes)}")
    print(f"{len(traffic.desk.answered)} steps of a lead in {len(takeovers)} conversations")
    assert {*caught} == {EFFECT, MARKED, BEGUN, *TRAPS} - {KEPT}, "a moment was never hit"
    assert outcomes["approved done"] > kills / 3, "too little traffic to show anything"


async def _told_once(folder: Path, rounds: int) -> None:
    """Killed while it tells of unknown outcomes, where a step's writes are kept and its checkpoint is not."""
    traffic = Traffic(folder, random.randrange(2**32))
    for _ in range(rounds):
        for place, nth, seconds in (
            (EFFECT, 1, 20.0),
            (KEPT, traffic.chance.randint(1, 9), 2.0),
            ("told", 1, 0.5),
        ):
            await traffic.start(place, nth)
            await traffic.run(seconds)
    await traffic.start()
    try:
        outcomes, _ = await looked_at(traffic)
    finally:
        traffic.kill()
    assert outcomes["approved outcome_unknown"] > rounds // 3
    await check_record(folder)


async def test_an_escalation_is_sent_once_though_its_step_is_streamed_again(tmp_path: Path) -> None:
    await _told_once(tmp_path, 5)


@pytest.mark.nightly
async def test_escalations_of_many_steps_are_sent_once(tmp_path: Path) -> None:
    await _told_once(tmp_path, 40)


async def test_two_dozen_kills(tmp_path: Path) -> None:
    await _kills(tmp_path, rounds=8, at_random=1)


@pytest.mark.nightly
async def test_three_hundred_kills(tmp_path: Path) -> None:
    await _kills(tmp_path, rounds=75, at_random=2)
