"""In PostgreSQL, too, checkpoints that nothing can resume any more go, also while their thread runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.messages import HumanMessage
from langgraph.types import Command

from smart_support.conversation.graph_adapter.checkpoints import Checkpoints
from smart_support.settings import Settings
from smart_support.storage.stores import Stores, open_stores
from tests.support.graphs.shapes import SHAPES
from tests.support.stores import database_url

THREAD: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(Settings(data_dir=tmp_path, database_url=database_url(tmp_path) or "")) as opened:
        yield opened


async def _rows(folder: Path) -> dict[str, int]:
    url = database_url(folder) or ""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        counts = {}
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            counted = await connection.execute(f"SELECT count(*) FROM {table}")
            (counts[table],) = await counted.fetchone() or (0,)
        return counts


@pytest.mark.parametrize("shape", ["middleware_batched", "agent_node", "subgraph_own_checkpointer"])
async def test_an_interrupted_thread_goes_on_after_its_older_checkpoints_are_gone(
    stores: Stores, tmp_path: Path, shape: str
) -> None:
    ran: Any = []
    graph, checkpoints = SHAPES[shape].build(ran, stores.checkpoints), Checkpoints(stores.checkpoints)
    for text in ("hello", "hello again", "refund A"):
        await graph.ainvoke({"messages": [HumanMessage(text)]}, config=THREAD, durability="sync")
    before, rows = await graph.aget_state(THREAD, subgraphs=True), await _rows(tmp_path)
    await checkpoints.prune("t")
    after, left = await graph.aget_state(THREAD, subgraphs=True), await _rows(tmp_path)
    assert (after.values, after.next, after.interrupts) == (before.values, before.next, before.interrupts)
    assert after.config == before.config
    assert left["checkpoints"] <= 3 < rows["checkpoints"]
    assert left["checkpoint_blobs"] < rows["checkpoint_blobs"]
    kind = before.interrupts[0].value
    answer: Any = {"decisions": [{"type": "approve"}]} if "action_requests" in kind else True
    resume = graph.ainvoke(
        Command(resume={before.interrupts[0].id: answer}), config=THREAD, durability="sync"
    )
    # Another process prunes while the graph goes on.
    await asyncio.gather(resume, *(checkpoints.prune("t") for _ in range(3)))
    assert [one.order for one in ran] == ["A"]
    assert not (await graph.aget_state(THREAD)).next
