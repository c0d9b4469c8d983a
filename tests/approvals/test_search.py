"""Searching approvals: an index finds what comparing every row finds, and erased text leaves it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_support.approvals.approval import Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.reader import ApprovalFilter, page_queries, page_query
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import Connection
from smart_support.storage.state.sqlite import SqliteStateDatabase

SUMMARIES = [
    "Cancel order 1042 of Ana Müller",
    'Say "hello", 100% of it_all \\ and * more',
    "ÜBERWEISUNG an Jürgen",
    "注文を取り消す 1042",
    "cancel ORDER 1043",
    "Ω≈ç√ and 🜁🜂🜃",
]
SEARCHED = [
    *(
        "order",
        "ORDER 104",
        "1042",
        "müller",
        "Ana M",
        '"hello"',
        "100%",
        "it_all",
        "\\",
        "*",
        "m_ller",
        "  of  ",
    ),
    *("jürgen", "überweisung", "取り消す", "🜁🜂🜃", "refund_order", '"order_id":"3"', "t-4", "agent-1", "C-2"),
    *(
        "cancel order 1043 cancel",
        "1042 of ana müller refund",
        "of",
        "ü",
        "zz",
        "nothing of it",
        'OR "x"',
        "NEAR(",
    ),
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteStateDatabase]:
    database = SqliteStateDatabase(tmp_path / "state.sqlite")
    yield database
    database.close()


async def _filled(state: SqliteStateDatabase, rounds: int = 1) -> ApprovalQueue:
    queue = ApprovalQueue(state, 3600)
    for number, summary in enumerate(SUMMARIES * rounds):
        call = PlannedCall(
            tool_call_id=f"c-{number}",
            tool="refund_order",
            args={"order_id": str(number)},
            agent=f"agent-{number % 2}",
            customer_id=f"C-{number}",
            summary=summary,
            risk=("low", "high", "medium")[number % 3],
            need="ask",
        )
        asked = await queue.request(Request(call=call, thread_id=f"t-{number}", interrupt_id="i"))
        if number % 2:
            reason = f"No, thanks {number}"
            await queue.decide(
                asked.approval_id, DecisionInput("reject", decided_by="dana", via="rest", reason=reason)
            )
    return queue


async def _ids(queue: ApprovalQueue, **selected: Any) -> list[str]:
    found, cursor = await queue.find(ApprovalFilter(**selected))
    ids = [one.approval_id for one in found]
    return ids + await _ids(queue, **selected | {"cursor": cursor}) if cursor else ids


async def test_the_index_finds_what_comparing_every_row_finds(state: SqliteStateDatabase) -> None:
    queue = await _filled(state, 2)
    for q in [*SEARCHED, "no, thanks 3"]:
        for more in ({}, {"agent": "agent-1"}, {"status": "rejected"}, {"risk": "high"}):
            for sort in ("newest", "oldest", "risk"):
                selected: dict[str, Any] = {"q": q, "sort": sort, "limit": 3, **more}
                sql, params = page_query(ApprovalFilter(**selected | {"limit": 100}))
                compared = [row["approval_id"] for row in await state.read(sql, params)]
                found = await _ids(queue, **selected)
                # The index also ignores the case of letters beyond ASCII, so it may find more.
                assert [one for one in found if one in compared] == compared, selected
                assert len(set(found)) == len(found)
                if q.isascii():
                    assert found == compared, selected


async def test_a_search_scans_no_table(state: SqliteStateDatabase) -> None:
    await _filled(state)
    lists = [
        *({"q": "order"}, {"q": "order", "sort": "risk"}, {"q": "order", "agent": "agent-1", "cursor": "x"}),
        *(
            {},
            {"status": "pending"},
            {"agent": "agent-1"},
            {"action": "refund_order"},
            {"customer_id": "C-1"},
        ),
        *({"sort": "expiry"}, {"sort": "expiry", "status": "pending", "cursor": "1.x"}),
        *({"sort": "oldest"}, {"status": "pending", "q": "order"}, {"sort": "risk"}),
        *({"sort": "decided"}, {"sort": "decided", "cursor": "x"}),
    ]
    for selected in lists:
        for sql, params in page_queries(ApprovalFilter(**selected), has_word_index=True):
            plan = [row["detail"] for row in await state.read(f"EXPLAIN QUERY PLAN {sql}", params)]
            scans = [
                step
                for step in plan
                if step.startswith("SCAN") and "VIRTUAL TABLE INDEX" not in step and "USING INDEX" not in step
            ]
            assert not scans, (selected, plan)
            assert not any("ORDER BY" in step for step in plan), (selected, plan)


@pytest.mark.slow
async def test_searches_delay_neither_reads_nor_decisions(state: SqliteStateDatabase) -> None:
    queue = await _filled(state)
    slow = """WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400000)
              SELECT max(x) AS last FROM n"""
    searches = [asyncio.create_task(state.search(slow)) for _ in range(6)]
    pending = (await queue.list("pending"))[0]
    decided = await queue.decide(pending.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
    assert (await queue.get(decided.approval_id)).status == "approved"
    await state.execute("SELECT 1")  # as the health check does
    assert not all(one.done() for one in searches)
    await asyncio.gather(*searches)


async def test_a_search_does_not_wait_for_a_transaction(state: SqliteStateDatabase) -> None:
    queue, loop = await _filled(state), asyncio.get_running_loop()

    def work(_: Connection) -> list[str]:
        return asyncio.run_coroutine_threadsafe(_ids(queue, q="order"), loop).result(20)

    assert len(await state.transact(work)) == len(SUMMARIES)


async def test_erased_words_leave_the_index_and_its_bytes(state: SqliteStateDatabase, tmp_path: Path) -> None:
    queue = await _filled(state, 3)
    erased = "customer_id = NULL, args = '{}', summary = '(erased)', reason = NULL"
    await state.execute(f"UPDATE approvals SET {erased} WHERE summary LIKE '%🜁%'")
    await state.execute("UPDATE audit SET detail = '{}', fields = NULL")
    await state.compact()
    assert not await _ids(queue, q="🜁🜂🜃")
    kept = _bytes(tmp_path)
    assert "🜁".encode() not in kept
    assert "取り消".encode() in kept
    await state.execute("INSERT INTO approval_search (approval_search) VALUES ('integrity-check')")


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("state.sqlite*"))
