"""Real SIGKILLs between any two steps of the way into the event file: none lost, none twice, none back."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smart_support.events import Message, MessageComplete, Record
from smart_support.storage.events import duckdb_file, embedded
from smart_support.storage.events.duckdb_file import DuckDBFile
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.journal import Journal
from tests.support.harness import FORKING

THREADS = ("stays", "goes")
# Where to die: before or after one of these, when it comes to it for the nth time.
STEPS: dict[str, tuple[Any, str]] = {
    "add": (Journal, "add"),
    "insert": (duckdb_file, "insert"),
    "done": (Journal, "mark_done"),
    "forget": (Journal, "delete_done"),
    "clean": (Journal, "compact"),
    "erase": (DuckDBFile, "erase"),
    "copy": (duckdb_file, "fill_copy"),
    "change places": (DuckDBFile, "reopen"),
    "rename": (os, "replace"),
    "close": (Journal, "close"),
}

# What it does several times.
OFTEN = ("add", "insert", "done", "forget", "clean")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _trapped(work: Callable[..., Any], nth: int, *, before: bool) -> Callable[..., Any]:
    left = nth

    def trapped(*args: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if before and not left:
            _die()
        result = work(*args, **options)
        if not left:
            _die()
        return result

    return trapped


async def _work(folder: Path, told: int) -> None:
    """Say things in two threads, erase one, rewrite the file, say more, end; and tell of what is durable."""
    log = EmbeddedEventStore(folder / "events.duckdb")

    def tell(line: str) -> None:
        os.write(told, f"{line}\n".encode())

    async def say(thread_id: str, seq: int) -> None:
        usage = {"input_tokens": 1, "output_tokens": 1, "cost_usd": None}
        ended = MessageComplete(usage=usage, duration_ms=1.0)
        said = Message(role="customer", content=f"{thread_id} said {seq}")
        record = Record(thread_id, seq, said if seq % 2 else ended)
        tell(f"saying {thread_id} {record.event_id}")
        await log.append(record)
        tell(f"said {thread_id} {record.event_id}")

    for seq in range(1, 7):
        await asyncio.gather(*(say(thread_id, seq) for thread_id in THREADS))
        if seq == 3:
            await log.query("SELECT count(*) FROM events")
    tell("erasing goes -")
    await log.erase(["goes"])
    tell("erased goes -")
    await asyncio.gather(log.compact(), say("stays", 7))
    await say("stays", 8)
    log.close()
    tell("closed - -")


def _run(folder: Path, told: Any, step: str, nth: int, before: bool) -> None:
    owner, name = STEPS[step]
    trapped = _trapped(getattr(owner, name), nth, before=before)
    setattr(owner, name, trapped)
    if step == "insert":
        embedded.insert = trapped  # type: ignore[attr-defined]
    asyncio.run(_work(folder, told.fileno()))


def _killed_at(folder: Path, step: str, nth: int, before: bool) -> list[list[str]]:
    """What a process had told when it was killed there."""
    ours, theirs = FORKING.Pipe(duplex=False)
    child = FORKING.Process(target=_run, args=(folder, theirs, step, nth, before), daemon=True)
    child.start()
    theirs.close()
    with os.fdopen(os.dup(ours.fileno()), "rb") as lines:
        told = [line.decode().split() for line in lines.read().splitlines()]
    child.join(60)
    assert child.exitcode == (0 if told[-1][0] == "closed" else -signal.SIGKILL), told
    return told


async def _killed_and_checked(folder: Path, step: str, nth: int, before: bool) -> bool:
    """Whether it came to that step."""
    told = await asyncio.to_thread(_killed_at, folder, step, nth, before)
    for _ in range(2):
        log = EmbeddedEventStore(folder / "events.duckdb")
        found = {each: [one.event_id for one in await log.read(each)] for each in THREADS}
        log.close()
        _check(told, found)
    return told[-1][0] != "closed"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_loses_nothing_and_brings_nothing_back(tmp_path: Path, step: str, before: bool) -> None:
    hit = await _killed_and_checked(tmp_path, step, 2 if step in OFTEN else 1, before)
    assert hit, "it never came to this step"


@pytest.mark.nightly
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", OFTEN)
async def test_a_kill_at_each_time_it_comes_there(tmp_path: Path, step: str, before: bool) -> None:
    nth = 1
    while await _killed_and_checked(tmp_path / str(nth), step, nth, before):
        nth += 1
    assert nth > 2


def _check(told: list[list[str]], found: dict[str, list[str]]) -> None:
    began = {(what, thread_id) for what, thread_id, _ in told}
    for thread_id in THREADS:
        saying, said = (
            [event_id for what, thread, event_id in told if (what, thread) == (word, thread_id)]
            for word in ("saying", "said")
        )
        assert len(found[thread_id]) == len(set(found[thread_id]))
        assert set(found[thread_id]) <= set(saying)
        if ("erased", thread_id) in began:
            assert not found[thread_id]
        elif ("erasing", thread_id) in began:
            assert not found[thread_id] or set(found[thread_id]) >= set(said)
        else:
            assert set(found[thread_id]) >= set(said)
