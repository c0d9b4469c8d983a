"""The routes that only read, over a real log and state database: shapes, pages, refusals, downloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import httpx
import pytest
from fastapi import FastAPI

from smart_support import clock
from smart_support.actions.service import Actions
from smart_support.actions.store import ActionStore
from smart_support.agents.team import AgentSpec, Personality, Team
from smart_support.analytics.metrics import Metrics
from smart_support.analytics.replay import Replay
from smart_support.api import routes
from smart_support.api.envelope import add_error_handlers
from smart_support.api.middleware.authentication import AuthenticationMiddleware
from smart_support.api.rest_router import add_routes
from smart_support.audit import AuditTrail
from smart_support.conversation.sessions import SessionManager
from smart_support.identity.users import Accounts
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.sqlite import SqliteStateDatabase
from smart_support.tools.registry import Access, Registry, Tool
from tests.support.story import carried_out, record, resolved, waiting

SCHEMA = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
SHAPE = {
    "range", "conversations", "resolution_rate", "escalation_rate", "approvals", "agents", "tools",
    "latency_ms", "tokens", "cost_usd", "cost_per_conversation_usd", "series",
}  # fmt: skip


async def _run(args: Any, call: Any) -> Any:
    return {}


@dataclass
class Services:
    """What these routes need of the application's."""

    event_log: EventStore
    state: StateDatabase
    metrics: Metrics
    replay: Replay
    registry: Registry
    team: Team
    session_manager: SessionManager
    audit_trail: AuditTrail
    accounts: Accounts = field(default_factory=lambda: Accounts(None, ""))
    warnings: Callable[[], list[str]] = list


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    event_log = EmbeddedEventStore(tmp_path / "events.duckdb")
    state = SqliteStateDatabase(tmp_path / "state.sqlite")
    tools = [
        Tool("refund", "Pay back.", SCHEMA, Access.WRITE, _run, risk="high", idempotent=True, version="2"),
        Tool("look_up", "Look it up.", SCHEMA, Access.READ, _run),
    ]
    agents = (
        AgentSpec(
            name="orders",
            title="Orders",
            description="Orders.",
            tools=("look_up", "refund"),
            examples=("Hi",),
        ),
        AgentSpec(
            name="rest",
            title="The rest",
            description="All else.",
            instructions="A secret.",
            tools=("look_up",),
        ),
    )
    team = Team("Shop", Personality(), agents, "rest", "agents.yaml")
    metrics, replay = Metrics(event_log, 1800), Replay(event_log)
    sessions = SessionManager(state, 1800)
    services = Services(event_log, state, metrics, replay, Registry(tools), team, sessions, AuditTrail(state))
    # Replay reads who requested what; nobody acts here.
    services.actions = cast(Actions, ActionStore(state))
    yield services
    event_log.close()
    state.close()


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(version="1.2.3")
    app.state.services = services
    add_routes(app, routes.ROUTERS)
    add_error_handlers(app)
    app.add_middleware(AuthenticationMiddleware)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def _data(client: httpx.AsyncClient, path: str, **params: Any) -> tuple[Any, Any]:
    answer = await client.get(path, params=params)
    body = answer.json()
    assert (answer.status_code, body["success"], body["error"]) == (200, True, None), body
    return body["data"], body.get("meta")


async def test_health_is_bare(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == 200
    checks = {"state": "ok", "event_log": "ok"}
    assert answer.json() == {"status": "ok", "version": "1.2.3", "checks": checks}


@pytest.mark.parametrize("store", ["state", "event_log"])
async def test_health_names_the_store_that_fails(
    client: httpx.AsyncClient, services: Services, tmp_path: Path, store: str
) -> None:
    broken = tmp_path / "broken"
    if store == "state":
        services.state = SqliteStateDatabase(broken)
        services.state.close()
    else:
        services.event_log = EmbeddedEventStore(broken)
        services.event_log.close()
    answer = await client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "degraded")
    assert body["checks"][store].startswith("failed")
    assert sum(check == "ok" for check in body["checks"].values()) == 1


async def test_health_does_not_wait_for_ever(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smart_support.api.routes.health.SECONDS_TO_ANSWER", 0.05)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    held = asyncio.create_task(
        services.state.transact(lambda _: asyncio.run_coroutine_threadsafe(release.wait(), loop).result())
    )
    answer = await client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"state": "no answer within 0.05 s", "event_log": "ok"}
    release.set()
    await held
    assert (await client.get("/health")).status_code == 200


async def test_analytics_of_an_empty_log(client: httpx.AsyncClient) -> None:
    data, meta = await _data(client, "/analytics")
    assert set(data) >= SHAPE
    assert (data["conversations"], data["resolution_rate"], meta) == (0, None, None)


async def test_analytics(client: httpx.AsyncClient, services: Services) -> None:
    then = clock.now() - timedelta(hours=2)
    await record(
        services.event_log, resolved("t1", then), carried_out("t2", then, "a1"), waiting("t3", then, "a2")
    )
    data, _ = await _data(client, "/analytics", range="24h")
    assert (data["conversations"], data["resolution_rate"], data["escalation_rate"]) == (3, 1.0, 0.0)
    assert (data["approvals"]["approved"], data["approvals"]["pending"]) == (1, 1)
    since = clock.rfc3339(then + timedelta(hours=1))
    data, _ = await _data(client, "/analytics", since=since)
    assert (data["range"], data["since"], data["conversations"]) == ("custom", since, 0)


async def test_conversations_page_by_page(client: httpx.AsyncClient, services: Services) -> None:
    then = clock.now() - timedelta(hours=2)
    await record(services.event_log, *(resolved(f"t{i}", then + timedelta(minutes=i)) for i in range(5)))
    found, cursor = [], None
    for expected in (2, 2, 1):
        data, meta = await _data(client, "/conversations", limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(data) == expected
        found += [item["thread_id"] for item in data]
        cursor = meta["next_cursor"]
    assert (found, cursor) == (["t4", "t3", "t2", "t1", "t0"], None)
    data, _ = await _data(
        client, "/conversations", q="T3", status="ended", outcome="resolved", agent="order_lookup"
    )
    assert [item["thread_id"] for item in data] == ["t3"]


async def test_replay_page_by_page(client: httpx.AsyncClient, services: Services) -> None:
    story = carried_out("thread.of:mine", clock.now() - timedelta(hours=2), "a1")
    await record(services.event_log, story)
    whole, meta = await _data(client, "/replay/thread.of:mine")
    assert [step["seq"] for step in whole] == [told.seq for told in story.records]
    assert meta == {"next_cursor": None}
    walked, after = [], 0
    while after is not None:
        steps, meta = await _data(client, "/replay/thread.of:mine", after=after, limit=4)
        walked += steps
        after = meta["next_cursor"]
    assert walked == whole


async def test_agents_and_tools(client: httpx.AsyncClient) -> None:
    agents, _ = await _data(client, "/agents")
    assert [(item["name"], item["tools"], item["fallback"]) for item in agents] == [
        ("orders", ["look_up", "refund"], False),
        ("rest", ["look_up"], True),
    ]
    assert "secret" not in str(agents)
    tools, _ = await _data(client, "/tools")
    assert tools[1] == {
        "name": "refund",
        "description": "Pay back.",
        "access": "write",
        "policy": "ask",
        "rules": [],
        "risk": "high",
        "idempotent": True,
        "version": "2",
        "schema": SCHEMA,
        "agents": ["orders"],
    }
    assert (tools[0]["name"], tools[0]["access"], tools[0]["policy"]) == ("look_up", "read", "run")


@pytest.mark.parametrize(
    ("format_", "media"), [("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")]
)
async def test_an_export_is_a_download(
    client: httpx.AsyncClient, services: Services, tmp_path: Path, format_: str, media: str
) -> None:
    story = carried_out("t", clock.now() - timedelta(hours=2), "a1")
    await record(services.event_log, story)
    answer = await client.get("/analytics/export", params={"format": format_, "range": "24h"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media)
    named = f'attachment; filename="smart-support-{clock.now():%Y-%m-%d}-24h.{format_}"'
    assert answer.headers["content-disposition"] == named
    assert int(answer.headers["content-length"]) == len(answer.content)
    path = tmp_path / f"read-back.{format_}"
    path.write_bytes(answer.content)
    rows = duckdb.execute(f"SELECT seq, type FROM '{path}' ORDER BY seq").fetchall()
    assert rows == [(told.seq, told.event.type) for told in story.records]


@pytest.mark.parametrize(
    ("path", "params", "status", "code", "words"),
    [
        ("/analytics", {"range": "1y"}, 422, "invalid_request", "24h, 7d, 30d, 90d, all"),
        ("/analytics", {"since": "2026-03-02", "until": "2026-03-01"}, 422, "invalid_request", "later than"),
        ("/analytics/export", {"range": "1y"}, 422, "invalid_request", "24h, 7d, 30d, 90d, all"),
        ("/analytics/export", {"format": "xlsx"}, 422, "invalid_request", "csv"),
        ("/conversations", {"cursor": "nonsense"}, 422, "invalid_request", "cursor"),
        ("/conversations", {"limit": 101}, 422, "invalid_request", "limit"),
        ("/conversations", {"status": "open"}, 422, "invalid_request", "waiting"),
        ("/conversations", {"figure": "latency"}, 422, "invalid_request", "approvals"),
        ("/conversations", {"figure": "tools", "counted_since": "soon"}, 422, "invalid_request", "soon"),
        ("/conversations", {"outcome": "won"}, 422, "invalid_request", "escalated"),
        ("/replay/nobody", {}, 404, "not_found", "nobody"),
        ("/replay/nobody", {"limit": 201}, 422, "invalid_request", "limit"),
        ("/replay/nobody", {"after": -1}, 422, "invalid_request", "after"),
        ("/replay/nobody", {"after": 10**30}, 422, "invalid_request", "after"),
    ],
)
async def test_a_refusal_says_what_to_do(
    client: httpx.AsyncClient, path: str, params: dict[str, Any], status: int, code: str, words: str
) -> None:
    answer = await client.get(path, params=params)
    body = answer.json()
    assert (answer.status_code, body["success"], body["data"]) == (status, False, None)
    assert body["error"]["code"] == code
    assert words in body["error"]["message"]
