"""The checkpoint file keeps what a graph can be resumed from, and nothing else, and gives space back."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import aiosqlite
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, StateSnapshot, interrupt
from typing_extensions import TypedDict

from smart_support.storage.checkpoint_file import CheckpointFile, shrink
from smart_support.storage.checkpoint_serializer import CleaningSerializer
from tests.support.examples import sample
from tests.support.graphs.shapes import SHAPES

THREAD: Any = {"configurable": {"thread_id": "t"}}
KEPT_ONCE = [name for name, shape in SHAPES.items() if shape.outlives]


@asynccontextmanager
async def _saver(path: Path, *, keeps_all: bool = False) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    if keeps_all:
        async with aiosqlite.connect(path) as connection:
            saver = AsyncSqliteSaver(connection, serde=CleaningSerializer())
            await saver.setup()
            yield saver
    else:
        with closing(CheckpointFile(path)) as file:
            yield file


def _counts(path: Path) -> list[tuple[str, str, int]]:
    """Thread, namespace, and the number of its checkpoints."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT thread_id, checkpoint_ns, count(*) FROM checkpoints GROUP BY 1, 2")
        return rows.fetchall()


def _orphans(path: Path) -> int:
    """The number of writes without their checkpoint."""
    with closing(sqlite3.connect(path)) as database:
        among = "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints"
        sql = f"SELECT count(*) FROM writes WHERE (thread_id, checkpoint_ns, checkpoint_id) NOT IN ({among})"
        (count,) = database.execute(sql).fetchone()
        return int(count)


def _resumable(state: StateSnapshot) -> Any:
    """What decides how a graph goes on, without ids and times, which differ from run to run."""
    tasks = [
        (task.name, [one.value for one in task.interrupts], _resumable(task.state) if _has(task) else None)
        for task in state.tasks
    ]
    return _plain(state.values), state.next, tasks


def _has(task: Any) -> bool:
    return isinstance(task.state, StateSnapshot)


def _plain(values: Any) -> Any:
    messages = values.get("messages", ()) if isinstance(values, dict) else ()
    return [(one.type, one.text, getattr(one, "tool_calls", None)) for one in messages]


async def _talk(graph: Any, number: random.Random) -> list[Any]:
    """A random conversation: messages, decisions, and messages past an interrupt; its state after each."""
    states = []
    for turn in range(8):
        state = await graph.aget_state(THREAD)
        if state.interrupts and number.random() < 0.7:
            value = state.interrupts[0].value
            approves = number.random() < 0.6
            batched = isinstance(value, dict) and "action_requests" in value
            kind = {"type": "approve"} if approves else {"type": "reject", "message": "no"}
            per_call = isinstance(value, dict) and value.get("type") == "tool_approval"
            answer: Any = {"decisions": [kind]} if batched else kind if per_call else approves
            sent: Any = Command(resume={state.interrupts[0].id: answer})
        else:
            text = f"refund {turn}" if number.random() < 0.6 else f"hello {turn}"
            sent = {"messages": [HumanMessage(text, id=f"m{turn}")]}
        async for _ in graph.astream(sent, config=THREAD, durability="sync", subgraphs=True):
            pass
        states.append(_resumable(await graph.aget_state(THREAD, subgraphs=True)))
    return states


@pytest.mark.slow
@pytest.mark.parametrize("shape", sample(KEPT_ONCE, 3))
async def test_a_graph_goes_on_as_with_all_its_checkpoints(shape: str, tmp_path: Path) -> None:
    states, ran = {}, {}
    for keeps_all in (True, False):
        path, writes = tmp_path / f"{keeps_all}.sqlite", []
        async with _saver(path, keeps_all=keeps_all) as saver:
            graph = SHAPES[shape].build(writes, saver)
            states[keeps_all] = await _talk(graph, random.Random(shape))
        ran[keeps_all] = [(one.order, one.cents) for one in writes]
    assert states[True] == states[False]
    assert ran[True] == ran[False]
    kept = _counts(tmp_path / "False.sqlite")
    assert {count for _, _, count in kept} == {1}
    assert len(kept) <= 4
    assert _orphans(tmp_path / "False.sqlite") == 0
    assert sum(count for _, _, count in _counts(tmp_path / "True.sqlite")) > sum(n for _, _, n in kept)


@pytest.mark.parametrize("shape", sample(KEPT_ONCE, 3))
async def test_an_older_file_goes_on_where_it_was(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with _saver(path, keeps_all=True) as saver:
        graph = SHAPES[shape].build([], saver)
        await _talk(graph, random.Random(3))
        before = await graph.aget_state(THREAD, subgraphs=True)
    shrink(path)
    assert {count for _, _, count in _counts(path)} == {1}
    async with _saver(path) as saver:
        graph = SHAPES[shape].build([], saver)
        after = await graph.aget_state(THREAD, subgraphs=True)
        assert (after.config, after.interrupts) == (before.config, before.interrupts)
        assert _resumable(after) == _resumable(before)
        async for _ in graph.astream({"messages": [HumanMessage("hello")]}, config=THREAD):
            pass
        assert not (await graph.aget_state(THREAD)).next


@pytest.mark.slow
async def test_the_space_of_an_older_file_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    builder = StateGraph(MessagesState)
    builder.add_node("echo", lambda state: {"messages": [AIMessage("x" * 300_000)]})
    builder.add_edge(START, "echo")
    async with _saver(path, keeps_all=True) as saver:
        graph = builder.compile(saver)
        for _ in range(12):
            await graph.ainvoke({"messages": [HumanMessage("hello")]}, config=THREAD)
        whole = (await graph.aget_state(THREAD)).values
    before = path.stat().st_size
    shrink(path)
    assert path.stat().st_size < before / 4
    async with _saver(path) as saver:
        assert (await builder.compile(saver).aget_state(THREAD)).values == whole
    again = path.stat().st_size
    shrink(path)
    assert path.stat().st_size == again


async def test_checkpoints_that_others_are_built_on_stay(tmp_path: Path) -> None:
    class Delta(TypedDict):
        items: Annotated[list[str], DeltaChannel(lambda state, writes: [*state, *chain(*writes)])]

    def work(state: Delta) -> dict[str, Any]:
        if len(state["items"]) % 4 == 3:
            return {"items": [str(interrupt("go on?"))]}
        return {"items": [f"done {len(state['items'])}"]}

    builder = StateGraph(Delta)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    path = tmp_path / "checkpoints.sqlite"
    async with _saver(path) as saver:
        graph = builder.compile(saver)
        for number in range(3):
            await graph.ainvoke({"items": [str(number)]}, config=THREAD, durability="sync")
            if (await graph.aget_state(THREAD)).interrupts:
                await graph.ainvoke(Command(resume="yes"), config=THREAD, durability="sync")
        held = (await graph.aget_state(THREAD)).values["items"]
    assert [one for one in held if one.isdigit()] == ["0", "1", "2"]
    shrink(path)
    async with _saver(path) as saver:
        assert (await builder.compile(saver).aget_state(THREAD)).values["items"] == held


def test_a_file_that_is_no_database_is_left_to_the_start(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    path.write_bytes(b"no database" * 1000)
    shrink(path)
    assert path.read_bytes() == b"no database" * 1000


async def test_a_call_that_fails_leaves_nothing_of_it(tmp_path: Path) -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("echo", lambda state: {"messages": [AIMessage("hello")]})
    builder.add_edge(START, "echo")
    path = tmp_path / "checkpoints.sqlite"
    with closing(CheckpointFile(path)) as file:
        await builder.compile(file).ainvoke({"messages": [HumanMessage("hello")]}, config=THREAD)
        before = await file.aget_tuple(THREAD)
        assert before
        with pytest.raises(sqlite3.Error):
            await file.aput_writes(before.config, [("fits", 1), (("does not",), 2)], "task")  # type: ignore[list-item]
        assert await file.aget_tuple(THREAD) == before
        await file.aput_writes(before.config, [("fits", 3)], "task")
        after = await file.aget_tuple(THREAD)
    assert after
    assert after.pending_writes == [("task", "fits", 3)]


async def test_a_call_that_is_cancelled_is_whole_or_not_made(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "1"}}
    with closing(CheckpointFile(path)) as file:
        calls = [
            asyncio.ensure_future(file.aput_writes(config, [("a", task), ("b", task)], str(task)))
            for task in range(20)
        ]
        await asyncio.sleep(0)
        for call in calls[1::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT task_id, count(*) FROM writes GROUP BY 1").fetchall()
    assert {count for _, count in rows} == {2}
    assert {str(task) for task in range(0, 20, 2)} <= {task for task, _ in rows}


async def test_what_no_checkpoint_follows_is_synced_soon(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "1"}}
    with closing(CheckpointFile(path)) as file:
        await file.aput_writes(config, [("result", "of a long step")], "task")
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT count(*) FROM writes").fetchone() == (1,)
        # Syncing moves it out of the write-ahead log.
        async with asyncio.timeout(10):
            while b"of a long step" not in path.read_bytes():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
