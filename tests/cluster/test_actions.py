"""Actions of API clients over several processes: no end of a process loses one, and none runs twice."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from smart_support import clock
from smart_support.actions.action import Action, call_digest
from smart_support.actions.store import ActionStore
from smart_support.tools.registry import Access
from tests.support.harness import AppProcess, demo_orders
from tests.support.postgres import Postgres
from tests.support.stores import state_of

Pair = tuple[AppProcess, AppProcess]
Machine = Callable[..., AppProcess]
ORDERS = demo_orders("processing")
APPROVE = {"decision": "approve"}
# Seconds between a request and the end of the database.
MOMENTS = (0.01, 0.05)
FAILURES = [(503, "storage_error"), (500, "internal_error")]


def _call(order: str) -> dict[str, Any]:
    return {"tool": "cancel_order", "args": {"order_id": order}}


def _request(app: AppProcess, order: str) -> Any:
    answer = app.post("/actions", _call(order))
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["data"]


def _approve(app: AppProcess, action: Any) -> None:
    answer = app.post(f"/approvals/{action['approval_id']}/decision", {"decision": "approve"})
    assert answer.status_code == 200, answer.text


def _check_done_once(app: AppProcess, action: Any) -> None:
    done = app.get(f"/actions/{action['action_id']}", wait=60)
    assert done["status"] == "done", done
    history = app.get(f"/approvals/{action['approval_id']}/history")
    assert [one["kind"] for one in history] == [
        "requested",
        "decided",
        "execution_begun",
        "execution_ended",
    ]
    types = [step["type"] for step in app.get(f"/replay/{action['thread_id']}")]
    assert types == ["tool_call", "interrupt", "decision", "tool_result", "message_complete"]


async def test_equal_writes_at_both_at_once_are_one_action(pair: Pair) -> None:
    order = next(ORDERS)
    async with httpx.AsyncClient(timeout=60) as client:
        answers = await asyncio.gather(
            *(client.post(f"{pair[place % 2].url}/api/v1/actions", json=_call(order)) for place in range(8))
        )
    actions = [one.json()["data"] for one in answers]
    assert len({one["action_id"] for one in actions}) == 1
    assert sorted(one["joined"] for one in actions) == [False, *[True] * 7]


async def test_what_waits_at_one_answers_when_the_other_has_decided(pair: Pair) -> None:
    here, there = pair
    action = await asyncio.to_thread(_request, here, next(ORDERS))
    waiting = asyncio.create_task(asyncio.to_thread(here.get, f"/actions/{action['action_id']}", wait=60))
    await asyncio.to_thread(_approve, there, action)
    assert (await waiting)["status"] == "done"
    for app in pair:
        _check_done_once(app, action)


async def test_an_action_that_nobody_runs_is_taken_over(pair: Pair) -> None:
    here, there = pair
    order, action_id = next(ORDERS), clock.new_id()
    state = state_of(here.data_dir)
    # As a process leaves it that ends between the request and the first turn.
    left = Action(
        action_id=action_id,
        caller="local user",
        thread_id=action_id,
        channel="rest",
        tool="cancel_order",
        access=Access.WRITE,
        args={"order_id": order},
        call_digest=call_digest(
            caller="local user", customer=None, tool="cancel_order", args={"order_id": order}
        ),
        client={},
        requested_at=clock.rfc3339(clock.now()),
    )
    try:
        await ActionStore(state).add_or_join(left)
    finally:
        state.close()
    joined = await asyncio.to_thread(_request, there, order)
    assert (joined["action_id"], joined["joined"], joined["status"]) == (action_id, True, "pending")
    await asyncio.to_thread(_approve, here, joined)
    _check_done_once(there, joined)


async def test_an_mcp_client_whose_process_is_killed_joins_at_the_other(machine: Machine) -> None:
    here = await asyncio.to_thread(machine)
    there = await asyncio.to_thread(machine)
    order, waits = next(ORDERS), asyncio.Event()

    async def progress(*_: object) -> None:
        waits.set()

    async def call(app: AppProcess) -> Any:
        async with (
            httpx2.AsyncClient(timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{app.url}/mcp", http_client=http)) as client,
        ):
            args = {"order_id": order}
            return await client.call_tool("cancel_order", args, progress_callback=progress)

    calling = asyncio.create_task(call(here))
    await waits.wait()
    await asyncio.to_thread(here.kill)
    with contextlib.suppress(Exception):
        await calling
    action = await asyncio.to_thread(_request, there, order)
    assert (action["joined"], action["status"]) == (True, "pending")
    again = asyncio.create_task(call(there))
    await asyncio.to_thread(_approve, there, action)
    answer = await again
    assert (answer.is_error, answer.meta["smart-support/joined"]) == (False, True)
    _check_done_once(there, action)


async def test_an_approved_action_runs_once_though_its_process_is_killed(machine: Machine) -> None:
    here = await asyncio.to_thread(machine)
    there = await asyncio.to_thread(machine)
    action = await asyncio.to_thread(_request, here, next(ORDERS))
    await asyncio.to_thread(_approve, here, action)
    await asyncio.to_thread(here.kill)
    _check_done_once(there, action)


async def test_what_waits_outlasts_a_restart_of_the_database(machine: Machine, postgres: Postgres) -> None:
    app = await asyncio.to_thread(machine)
    order = next(ORDERS)
    action = await asyncio.to_thread(_request, app, order)
    await asyncio.to_thread(postgres.restart)
    async with asyncio.timeout(60), httpx.AsyncClient(timeout=60) as client:
        health = await client.get(f"{app.url}/api/v1/health")
        while health.status_code != 200:
            await asyncio.sleep(0.1)  # the app asks again by itself; there is nothing to await
            health = await client.get(f"{app.url}/api/v1/health")
        answer = await client.post(f"{app.url}/api/v1/actions", json=_call(order))
    again = answer.json()["data"]
    assert (again["action_id"], again["joined"], again["status"]) == (action["action_id"], True, "pending")
    await asyncio.to_thread(_approve, app, action)
    _check_done_once(app, action)


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "all sessions ended"])
async def test_an_end_of_the_database_at_any_moment_loses_and_repeats_nothing(
    machine: Machine, postgres: Postgres, is_killed: bool
) -> None:
    app = await asyncio.to_thread(machine)
    end = postgres.kill if is_killed else postgres.end_sessions
    requested: list[tuple[str, Any]] = []
    async with httpx.AsyncClient(base_url=f"{app.url}/api/v1", timeout=60) as client:
        for moment in MOMENTS:
            # While they are requested, and then while they are decided and run.
            orders = [next(ORDERS) for _ in range(3)]
            requesting = [asyncio.create_task(_until_taken(client, "/actions", _call(one))) for one in orders]
            await asyncio.sleep(moment)
            await asyncio.to_thread(end)
            actions = [one["data"] for one in await asyncio.gather(*requesting)]
            deciding = [
                asyncio.create_task(
                    _until_taken(client, f"/approvals/{one['approval_id']}/decision", APPROVE)
                )
                for one in actions
            ]
            await asyncio.sleep(moment)
            await asyncio.to_thread(end)
            await asyncio.gather(*deciding)
            requested += zip(orders, actions, strict=True)
        for order, action in requested:
            settled = await _read(client, f"/actions/{action['action_id']}?wait=60")
            # A call that met the end of its database may have failed or be unknown; it is never silent.
            assert settled["status"] in ("done", "failed", "outcome_unknown"), settled
            history = await _read(client, f"/approvals/{action['approval_id']}/history")
            kinds = Counter(one["kind"] for one in history)
            assert (kinds["requested"], kinds["decided"]) == (1, 1)
            assert kinds["execution_begun"] <= 1
            # An action is settled before its last event is on record, which waits for the database.
            steps = await _read(client, f"/replay/{action['thread_id']}", until="tool_result")
            types = Counter(step["type"] for step in steps)
            assert [types[kind] for kind in ("tool_call", "interrupt", "decision", "tool_result")] == [1] * 4
            if settled["status"] == "done":
                again = await _until_taken(client, "/actions", _call(order))
                assert (again["data"]["action_id"], again["data"]["joined"]) == (action["action_id"], True)


async def _read(client: httpx.AsyncClient, path: str, until: str | None = None) -> Any:
    """What is there, once the database answers, with a step of the type `until`."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.get(path)
            if answer.status_code == 200:
                data = answer.json()["data"]
                if until is None or any(one["type"] == until for one in data):
                    return data
            else:
                assert (answer.status_code, answer.json()["error"]["code"]) in FAILURES, answer.text
            await asyncio.sleep(0.05)  # the app connects again by itself; there is nothing to await


async def _until_taken(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    """Send it until it is taken. Until then each answer says that it has failed, and with which code."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.post(path, json=body)
            said = answer.json()
            if answer.status_code in (200, 202) and (
                said["data"].get("approval_id") or "actions" not in path
            ):
                return said
            # One that failed before it had an approval is not joined: the next request is a new action.
            if not said["success"] and said["error"]["code"] == "already_decided":
                assert "approved" in said["error"]["message"]
                return said
            if not said["success"]:
                assert (answer.status_code, said["error"]["code"]) in FAILURES, answer.text
            await asyncio.sleep(0.05)  # the app connects again by itself; there is nothing to await
