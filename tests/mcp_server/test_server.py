"""The MCP server at `/mcp`, by the SDK's own client in the newest revision and in an older one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
import yaml
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation
from typing_extensions import TypedDict

from smart_support import Settings, create_app
from smart_support.tools.registry import NOBODY, Args, Toolset, read, tools_of
from tests.support.harness import ROOT, LocalApp, demo_orders, free_port

KEYS = {"claude": "claude-key-1", "cursor": "cursor-key-1", "typed": "typed-key-12", "lead": "lead-key-123"}
CALLERS = [
    {"name": "claude", "tools": ["get_order_status", "cancel_order", "refund_order"]},
    {"name": "cursor", "tools": ["get_order_status", "cancel_order"]},
    {"name": "typed", "tools": ["list_parcels"]},
]
POLICY = [{"tool": "refund_order", "then": "never", "because": "Refunds are made by hand."}]
WAIT_SECONDS = 20
MODES = ["legacy", "auto"]


class App:
    """The app, a lead, and MCP clients by key."""

    def __init__(self, app: LocalApp) -> None:
        self.app = app.app
        self.url = app.url
        self.orders = demo_orders("processing")
        self._lead = httpx.Client(
            base_url=f"{app.url}/api/v1", headers={"X-API-Key": KEYS["lead"]}, timeout=30
        )

    @asynccontextmanager
    async def client(self, mode: str = "auto", who: str = "claude", **options: Any) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {KEYS[who]}"}
        info = Implementation(name="test-client", version="7")
        async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(transport, mode=mode, client_info=info, cache=None, **options) as client:
                yield client

    async def decide(self, approval_id: str, decision: str) -> None:
        answer = await asyncio.to_thread(
            self._lead.post, f"/approvals/{approval_id}/decision", json={"decision": decision}
        )
        assert answer.status_code == 200, answer.text

    def tools_change(self) -> None:
        """As when an import goes live."""
        for callback in self.app.state.services.when_tools_change:
            callback()

    async def approval(self, approval_id: str) -> Any:
        return (await asyncio.to_thread(self._lead.get, f"/approvals/{approval_id}")).json()["data"]

    async def waiting(self, order_id: str) -> Any:
        """The approval of the order's cancellation."""
        answer = await asyncio.to_thread(self._lead.get, f"/approvals?status=pending&q={order_id}&limit=100")
        return next(one for one in answer.json()["data"] if one["args"] == {"order_id": order_id})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("mcp")
    agents = folder / "agents.yaml"
    content = yaml.safe_load((ROOT / "data/templates/e-commerce.yaml").read_text())
    agents.write_text(yaml.safe_dump(content | {"callers": CALLERS, "policy": POLICY}))
    keys = ",".join(f"{name}:{'lead' if name == 'lead' else 'agent'}:{key}" for name, key in KEYS.items())
    settings = Settings(
        data_dir=folder / "var", api_keys=keys, agents_file=agents, mcp_wait_seconds=WAIT_SECONDS
    )
    created = create_app(settings)
    created.state.services.registry.add(*tools_of(_Parcels()))
    with LocalApp(created) as running:
        yield App(running)


class _Parcel(TypedDict):
    sku: str


class _Parcels(Toolset):
    """A read with a typed result, that does not always keep to it."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1)

    def customer_of(self, args: Args) -> str | None:
        return NOBODY

    @read
    def list_parcels(self, is_wrong: bool = False) -> list[_Parcel]:
        """List parcels."""
        return [{"sku": 7 if is_wrong else "x"}]  # type: ignore[typeddict-item]


class Progress:
    """Collects progress, and says when the first has come."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float | None]] = []
        self.came = asyncio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.seen.append((progress, total))
        self.came.set()


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_lists_its_own_tools_with_hints_from_their_access(app: App, mode: str) -> None:
    async with app.client(mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"get_order_status", "cancel_order", "refund_order", "get_action"}
    read, write = tools["get_order_status"].annotations, tools["cancel_order"].annotations
    assert read is not None
    assert write is not None
    assert (read.read_only_hint, write.read_only_hint, write.destructive_hint) == (True, False, True)
    assert tools["cancel_order"].input_schema["required"] == ["order_id"]
    assert tools["get_action"].output_schema is not None


@pytest.mark.parametrize("mode", MODES)
async def test_a_read_answers_as_text_and_structured_content(app: App, mode: str) -> None:
    async with app.client(mode) as client:
        answer = await client.call_tool("get_order_status", {"order_id": "1042"})
    assert not answer.is_error
    assert answer.structured_content["order_id"] == "1042"
    assert "1042" in answer.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_validates_takes_results_that_are_not_as_described(app: App, mode: str) -> None:
    async with app.client(mode, "typed") as client:
        (tool, _) = (await client.list_tools()).tools
        assert tool.output_schema is not None
        right = await client.call_tool("list_parcels", {})
        assert right.structured_content == {"result": [{"sku": "x"}]}
        wrong = await client.call_tool("list_parcels", {"is_wrong": True})
    assert not wrong.is_error
    assert (wrong.structured_content["status"], wrong.structured_content["result"]) == ("done", [{"sku": 7}])


@pytest.mark.parametrize("mode", MODES)
async def test_a_write_waits_with_progress_and_answers_once_it_is_approved(app: App, mode: str) -> None:
    order, progress = next(app.orders), Progress()
    meta = {"smart-support/reason": "She asked.", "smart-support/thread_id": f"of-{mode}"}
    async with app.client(mode) as client:
        call = asyncio.create_task(
            client.call_tool("cancel_order", {"order_id": order}, progress_callback=progress, meta=meta)
        )
        await progress.came.wait()
        approval = await app.waiting(order)
        await app.decide(approval["approval_id"], "approve")
        answer = await call
        action = await client.call_tool(
            "get_action", {"action_id": answer.meta["smart-support/action_id"], "wait_seconds": 1e9}
        )
    assert (answer.is_error, answer.structured_content["status"]) == (False, "cancelled")
    assert (action.is_error, action.structured_content["status"]) == (False, "done")
    assert approval["thread_id"] == f"of-{mode}"
    caller = approval["caller"]
    assert [caller[name] for name in ("name", "client_name", "client_version", "reason")] == [
        "claude",
        "test-client",
        "7",
        "She asked.",
    ]
    assert (caller["session"] is not None) is (mode == "legacy")
    assert progress.seen[0][1] == WAIT_SECONDS


async def test_a_client_that_gives_up_changes_nothing_and_joins_when_it_comes_again(app: App) -> None:
    order, progress = next(app.orders), Progress()
    async with app.client() as client:
        call = asyncio.create_task(
            client.call_tool("cancel_order", {"order_id": order}, progress_callback=progress)
        )
        await progress.came.wait()
        call.cancel()
    approval = await app.waiting(order)
    async with app.client() as again:
        progress = Progress()
        repeated = asyncio.create_task(
            again.call_tool("cancel_order", {"order_id": order}, progress_callback=progress)
        )
        await progress.came.wait()
        await app.decide(approval["approval_id"], "approve")
        answer = await repeated
    assert not answer.is_error
    assert answer.meta["smart-support/joined"] is True
    assert (await app.approval(approval["approval_id"]))["execution"] == "done"


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_refused_is_an_answer_with_is_error(app: App, mode: str) -> None:
    refused = [
        ("get_order_status", {"order": "1042"}, None, "invalid_arguments"),
        ("apply_discount", {}, None, "not_found"),
        ("get_action", {"action_id": "none"}, None, "not_found"),
        ("get_action", {"action_id": 1}, None, "invalid_request"),
        ("cancel_order", {"order_id": "1042"}, {"smart-support/thread_id": "a b"}, "invalid_thread_id"),
        ("cancel_order", {"order_id": "1042"}, {"smart-support/reason": 5}, "invalid_request"),
        (
            "cancel_order",
            {"order_id": "1042"},
            {"smart-support/customer_token": "x"},
            "invalid_customer_token",
        ),
    ]
    async with app.client(mode) as client:
        for name, args, meta, code in refused:
            answer = await client.call_tool(name, args, meta=meta)  # type: ignore[arg-type]
            assert answer.is_error, name
            assert answer.structured_content["error"]["code"] == code
        forbidden = await client.call_tool("refund_order", {"order_id": "1044", "amount_cents": 100})
    assert forbidden.is_error
    assert "can't be done here" in forbidden.content[0].text


async def test_a_rejected_call_is_an_error_and_another_caller_s_action_does_not_exist(app: App) -> None:
    order, progress = next(app.orders), Progress()
    async with app.client() as client, app.client(who="cursor") as other:
        call = asyncio.create_task(
            client.call_tool("cancel_order", {"order_id": order}, progress_callback=progress)
        )
        await progress.came.wait()
        await app.decide((await app.waiting(order))["approval_id"], "reject")
        answer = await call
        action = {"action_id": answer.meta["smart-support/action_id"]}
        stolen = await other.call_tool("get_action", action)
    assert (answer.is_error, answer.structured_content["status"]) == (True, "rejected")
    assert stolen.structured_content["error"]["code"] == "not_found"


async def test_a_key_that_is_used_for_another_call_is_refused_and_leaves_nothing(app: App) -> None:
    meta: Any = {"smart-support/idempotency_key": "used", "smart-support/thread_id": "of-a-key"}
    progress = Progress()
    async with app.client() as client:
        first = asyncio.create_task(
            client.call_tool(
                "cancel_order", {"order_id": next(app.orders)}, progress_callback=progress, meta=meta
            )
        )
        await progress.came.wait()
        other = await client.call_tool("cancel_order", {"order_id": next(app.orders)}, meta=meta)
        first.cancel()
    assert other.structured_content["error"]["code"] == "idempotency_conflict"
    rows = await app.app.state.services.state.read(
        "SELECT count(*) AS number FROM actions WHERE thread_id = 'of-a-key'"
    )
    assert rows[0]["number"] == 1


def _post(app: App, key: str, session: str | None = None, **headers: str) -> httpx.Response:
    """An `initialize` of revision 2025-06-18, or a `ping` on a session."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    if session is None:
        client = {"name": "raw", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        body |= {"method": "initialize", "params": params}
    sent = {"X-API-Key": KEYS[key], "Accept": "application/json, text/event-stream"} | headers
    sent |= {"Mcp-Session-Id": session} if session else {}
    return httpx.post(f"{app.url}/mcp", json=body, headers=sent, timeout=60)


def test_a_session_belongs_to_the_key_that_began_it(app: App) -> None:
    session = _post(app, "claude").headers["mcp-session-id"]
    assert _post(app, "claude", session).status_code == 200
    assert _post(app, "cursor", session).status_code == 404
    # 404 has clients begin a new session (github.com/DAWNCR0W/affine-mcp-server/issues/301).
    assert _post(app, "claude", "no-such-session").status_code == 404
    headers = {"X-API-Key": KEYS["claude"], "Mcp-Session-Id": session}
    assert httpx.delete(f"{app.url}/mcp", headers=headers).status_code == 200
    assert _post(app, "claude", session).status_code == 404


def test_no_page_of_another_site_and_nobody_without_a_key_gets_in(app: App) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    nobody = httpx.post(f"{app.url}/mcp", json={}, headers=accept)
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert _post(app, "claude", Origin="https://evil.example").status_code == 403
    foreign = {"X-API-Key": KEYS["claude"], "Accept": "text/event-stream", "Origin": "https://evil.example"}
    assert httpx.get(f"{app.url}/mcp", headers=foreign).status_code == 403
    key = {"X-API-Key": KEYS["claude"], "Content-Type": "application/json"}
    large = httpx.post(f"{app.url}/mcp", content=b"1" * 10_000_000, headers=key | accept, timeout=60)
    assert large.status_code == 413


async def test_clients_are_told_when_their_tools_change(app: App) -> None:
    told = asyncio.Event()

    async def note(message: Any) -> None:
        if type(message).__name__ == "ToolListChangedNotification":
            told.set()

    async with app.client("legacy", message_handler=note) as client:
        await client.list_tools()
        async with asyncio.timeout(60):
            while not told.is_set():
                # The stream for notifications opens a moment after the handshake.
                app.tools_change()
                await asyncio.sleep(0.05)


async def test_a_client_that_listens_is_told_when_its_tools_change(app: App) -> None:
    async with app.client("auto") as client, client.listen(tools_list_changed=True) as subscription:
        app.tools_change()
        async with asyncio.timeout(60):
            async for event in subscription:
                assert type(event).__name__ == "ToolsListChanged"
                break


def _program(url: str, key: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "smart_support", "mcp", "--url", url],
        cwd=ROOT,
        env={"SMART_SUPPORT_KEY": key},
    )


@pytest.mark.parametrize(
    ("is_running", "problem"), [(True, "refuses the key. Set SMART_SUPPORT_KEY"), (False, "does not answer")]
)
async def test_a_program_says_why_it_can_t_reach_the_app(app: App, is_running: bool, problem: str) -> None:
    url = app.url if is_running else f"http://127.0.0.1:{free_port()}"
    async with Client(stdio_client(_program(url, "of-nobody-here"))) as client:
        with pytest.raises(MCPError, match=problem):
            await client.list_tools()
        call = await client.call_tool("cancel_order", {"order_id": "1042"})
        assert call.is_error
        assert problem in call.content[0].text


async def test_a_program_passes_standard_input_on_to_the_running_app(app: App) -> None:
    program = _program(app.url, KEYS["cursor"])
    order, progress = next(app.orders), Progress()
    async with Client(
        stdio_client(program), client_info=Implementation(name="desktop", version="1")
    ) as client:
        assert len((await client.list_tools()).tools) == 3
        call = asyncio.create_task(
            client.call_tool("cancel_order", {"order_id": order}, progress_callback=progress)
        )
        await progress.came.wait()
        approval = await app.waiting(order)
        await app.decide(approval["approval_id"], "approve")
        assert not (await call).is_error
    assert (approval["caller"]["name"], approval["caller"]["client_name"]) == ("cursor", "desktop")


# Faults that others have reported of their servers, tried on this one.

_HEADERS = {"Accept": "application/json, text/event-stream", "X-API-Key": KEYS["claude"]}


async def _begin_session(app: App, http: httpx.AsyncClient) -> dict[str, str]:
    """The headers of a session of an older revision."""
    info = {"name": "raw", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    begun = await http.post(f"{app.url}/mcp", headers=_HEADERS, json=body)
    headers = _HEADERS | {"mcp-session-id": begun.headers["mcp-session-id"]}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await http.post(f"{app.url}/mcp", headers=headers, json=ready)).status_code == 202
    return headers


def _tool_call(number: Any, arguments: Any) -> dict[str, Any]:
    params = {"name": "cancel_order", "arguments": arguments, "_meta": {"progressToken": 0}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


async def test_a_cancelled_call_ends_its_stream_and_leaves_its_action(app: App) -> None:
    # github.com/cyanheads/mcp-ts-core/issues/401: the stream stayed open until the client gave up.
    order, came = next(app.orders), asyncio.Event()
    lines: list[str] = []

    async def read(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        call = _tool_call(2, {"order_id": order})
        async with http.stream("POST", f"{app.url}/mcp", headers=headers, json=call) as stream:
            async for line in stream.aiter_lines():
                lines.append(line)
                if "notifications/progress" in line:
                    came.set()

    async with httpx.AsyncClient(timeout=30) as http:
        headers = await _begin_session(app, http)
        reading = asyncio.create_task(read(http, headers))
        async with asyncio.timeout(10):
            await came.wait()
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
        assert (await http.post(f"{app.url}/mcp", headers=headers, json=cancelled)).status_code == 202
        async with asyncio.timeout(10):
            await reading
    assert '"progressToken":0' in "".join(lines)
    approval = await app.waiting(order)
    assert approval["status"] == "pending"


@pytest.mark.parametrize(
    "arguments", ['{"order_id": "1042"}', {"order_id": {"id": "1042"}}, {"order_id": 1042}]
)
async def test_arguments_of_another_kind_are_refused_and_not_guessed(app: App, arguments: Any) -> None:
    # github.com/anthropics/claude-code/issues/59227: clients that send objects as text. A guess would not be
    # the call that the client made.
    async with httpx.AsyncClient(timeout=30) as http:
        headers = await _begin_session(app, http)
        answer = await http.post(f"{app.url}/mcp", headers=headers, json=_tool_call(3, arguments))
    assert '"error"' in answer.text
    assert "pending" not in answer.text
