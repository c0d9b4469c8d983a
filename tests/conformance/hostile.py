"""What hostile clients and a hostile model reach: `python -m tests.conformance.hostile` prints how much.

The clients speak MCP and REST with a key of their own. The model speaks in a conversation that a website has
bound to one customer, and calls every tool with the ids of all others.
"""

import argparse
import asyncio
import contextlib
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import jwt
import orjson
import yaml
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from smart_support import Settings, clock, create_app
from tests.support.harness import ROOT, LocalApp, ScriptedModel, demo_orders

TRIES, PENDING = 2_000, 1_000
CALLS_A_TURN = 30
NOT_THEIRS = "refused as another customer's"
KEYS = {"victim": "agent", "hostile": "agent", "lead": "lead", "site": "operator"}
TOOLS = ["get_order_status", "cancel_order"]
TOKEN_KEY = "a secret of the website that is long enough"
OWN = "C-2001"
OTHERS = {
    **{"percent": 10, "new_address": "1 New Street, Berlin", "reason": "because", "amount_cents": 100},
    **{"street": "1 New Street", "city": "Berlin", "postal_code": "10115", "country": "DE"},
}


class HostileModel:
    """Calls one tool after the other with the things of other customers."""

    def __init__(self) -> None:
        shop = ROOT / "data" / "shop"
        rows = {name: orjson.loads((shop / f"{name}.json").read_bytes()) for name in ("customers", "orders")}
        customers = [one for one in rows["customers"] if one["customer_id"] != OWN]
        self._values = {
            "order_id": [one["order_id"] for one in rows["orders"] if one["customer_id"] != OWN],
            "email": [one["email"] for one in customers] + [one["customer_id"] for one in customers],
            "customer_id": [one["customer_id"] for one in customers],
        }
        self._calls: Iterator[tuple[str, dict[str, Any]]] | None = None

    def __call__(self, messages: list[BaseMessage], tools: list[dict[str, Any]]) -> AIMessage:
        self._calls = self._calls or self._all(tools)
        last = max(place for place, one in enumerate(messages) if isinstance(one, HumanMessage))
        if len(messages) - last > 2 * CALLS_A_TURN or not tools:
            return AIMessage("That is all.")
        name, args = next(self._calls)
        return AIMessage("", tool_calls=[{"name": name, "args": args, "id": clock.new_id()}])

    def _all(self, tools: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each tool with each value there is, over and over again."""
        for turn in itertools.count():
            for tool in tools:
                schema = tool["function"]["parameters"]
                for name in sorted(set(self._values) & schema.get("properties", {}).keys()):
                    value = self._values[name][turn % len(self._values[name])]
                    required = schema.get("required", [])
                    yield (
                        tool["function"]["name"],
                        {key: OTHERS.get(key, "x") for key in required if key != name} | {name: value},
                    )


class Attack:
    """The app, and the attacks on it."""

    def __init__(self, app: LocalApp) -> None:
        self._url = app.url
        self._http = httpx.Client(base_url=f"{app.url}/api/v1", timeout=120)
        self._orders = demo_orders("processing")
        self.came_through: list[str] = []

    def _ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        return self._http.request(method, path, headers={"X-API-Key": f"key-of-{who}"}, **options)

    async def _call(self, tool: str, args: dict[str, Any], meta: Any = None, seconds: float = 0.5) -> Any:
        """The answer to a call of the hostile client; None where it did not wait for it."""
        headers = {"Authorization": "Bearer key-of-hostile"}
        async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
            transport = streamable_http_client(f"{self._url}/mcp", http_client=http)
            try:
                async with Client(transport) as client:
                    return await client.call_tool(tool, args, read_timeout_seconds=seconds, meta=meta)
            except Exception as error:
                return repr(error)

    def victims_action(self) -> dict[str, Any]:
        """A write of another caller that waits."""
        call = {"tool": "cancel_order", "args": {"order_id": next(self._orders)}, "idempotency_key": "own"}
        action: dict[str, Any] = self._ask("victim", "POST", "/actions", json=call).json()["data"]
        return action

    async def run(self, pending: int) -> None:
        """Each attack of a client, one line each."""
        action = await asyncio.to_thread(self.victims_action)
        stolen = await self._call("get_action", {"action_id": action["action_id"]}, seconds=30)
        self._tell("another caller's action id", stolen.is_error)
        by_rest = self._ask("hostile", "GET", f"/actions/{action['action_id']}")
        decided = self._ask(
            "hostile", "POST", f"/approvals/{action['approval_id']}/decision", json={"decision": "approve"}
        )
        self._tell(
            "... over REST, and its approval", (by_rest.status_code, decided.status_code) == (404, 403)
        )
        thread = {"smart-support/thread_id": action["thread_id"]}
        on_thread = await self._call("cancel_order", {"order_id": "1042"}, thread, seconds=30)
        self._tell("another caller's thread", on_thread.is_error)
        key = {"smart-support/idempotency_key": "replayed"}
        await self._call("cancel_order", {"order_id": next(self._orders)}, key)
        replayed = await self._call("cancel_order", {"order_id": next(self._orders)}, key, seconds=30)
        code = replayed.structured_content["error"]["code"]
        self._tell("a replayed key with other arguments", code == "idempotency_conflict")
        self._tell("a stolen session id", await asyncio.to_thread(self._session_is_kept))
        large = await self._call("cancel_order", {"order_id": "1" * 10_000_000}, seconds=30)
        self._tell("arguments of 10 MB", isinstance(large, str) or large.is_error)
        await self._flood(pending)

    def _session_is_kept(self) -> bool:
        """Whether a session of the victim answers nobody else."""
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "raw", "version": "1"},
            },
        }
        headers = {"Accept": "application/json, text/event-stream", "X-API-Key": "key-of-victim"}
        begun = httpx.post(f"{self._url}/mcp", json=body, headers=headers, timeout=60)
        headers |= {"X-API-Key": "key-of-hostile", "Mcp-Session-Id": begun.headers["mcp-session-id"]}
        call = {"name": "cancel_order", "arguments": {"order_id": "1042"}}
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
        return httpx.post(f"{self._url}/mcp", json=body, headers=headers, timeout=60).status_code == 404

    async def _flood(self, count: int) -> None:
        """Many pending calls at once: some wait, the others are refused, and others are still answered."""
        order = next(self._orders)
        slots = asyncio.Semaphore(20)

        async def requested(place: int, client: httpx.AsyncClient) -> int:
            async with slots:
                call = {"tool": "cancel_order", "args": {"order_id": order, "reason": f"Reason {place}."}}
                while True:
                    # A repetition joins, so a connection that the server has just closed costs nothing.
                    with contextlib.suppress(httpx.TransportError):
                        return (await client.post("/actions", json=call)).status_code

        headers, base = {"X-API-Key": "key-of-hostile"}, f"{self._url}/api/v1"
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as client:
            statuses = Counter(await asyncio.gather(*(requested(place, client) for place in range(count))))
        call = {"tool": "get_order_status", "args": {"order_id": "1042"}}
        other = await asyncio.to_thread(lambda: self._ask("victim", "POST", "/actions", json=call))
        told = ", ".join(f"{number} answers of {status}" for status, number in sorted(statuses.items()))
        self._tell(
            f"{count} pending calls: {told}", set(statuses) <= {200, 202, 429} and other.status_code == 200
        )

    def hostile_model(self, tries: int) -> None:
        """A model on a bound conversation that calls every tool with what is not the customer's."""
        token = jwt.encode({"sub": OWN, "exp": int(time.time()) + 3600}, TOKEN_KEY)
        results: Counter[str] = Counter()
        for turn in range(-(-tries // CALLS_A_TURN)):
            body = {"thread_id": f"hostile-{turn}", "message": "Help.", "customer_token": token}
            answer = self._ask("site", "POST", "/chat", json=body)
            answer.raise_for_status()
            steps = self._ask("lead", "GET", f"/replay/hostile-{turn}?limit=200").json()["data"]
            results.update(map(_outcome, steps))
        del results[""]
        told = f"a hostile model's {results.total()} calls: {dict(results)}"
        self._tell(told, results[NOT_THEIRS] >= tries and set(results) == {NOT_THEIRS})

    def check_writes(self) -> None:
        """No write ran: nobody has approved any."""
        approvals = self._ask("lead", "GET", "/approvals?limit=100").json()["data"]
        ran = [one for one in approvals if one["execution"] not in (None, "not_started")]
        changed = self._ask("lead", "GET", "/approvals?status=approved").json()["data"]
        self._tell(f"writes without approval: {len(ran) + len(changed)}", not ran and not changed)

    def _tell(self, attack: str, is_refused: bool) -> None:
        print(f"{'refused' if is_refused else 'CAME THROUGH':13}{attack}")
        if not is_refused:
            self.came_through.append(attack)


def _outcome(step: dict[str, Any]) -> str:
    """What a step says of a call; empty where it says nothing."""
    if step["type"] == "interrupt":
        return "a person was asked"
    if step["type"] != "tool_result":
        return ""
    is_refused = step["status"] == "error" and "not among the customer's own things" in step["content"]
    return NOT_THEIRS if is_refused else f"{step['status']}: {step['content'][:80]}"


def attack(tries: int, pending: int) -> bool:
    """Run all attacks and print them; returns whether none came through."""
    with tempfile.TemporaryDirectory() as folder:
        agents = Path(folder) / "agents.yaml"
        given = [{"name": name, "tools": TOOLS} for name in ("victim", "hostile")]
        template = yaml.safe_load((ROOT / "data/templates/e-commerce.yaml").read_text())
        tools = sorted({tool for agent in template["agents"] for tool in agent.get("tools", ())})
        every = {"name": "all", "title": "All", "description": "Does everything.", "tools": tools}
        own = {"company": "Shop", "fallback": "all", "agents": [every], "callers": given}
        agents.write_text(yaml.safe_dump(own))
        settings = Settings(
            data_dir=Path(folder) / "var",
            agents_file=agents,
            api_keys=",".join(f"{name}:{role}:key-of-{name}" for name, role in KEYS.items()),
            customer_token_key=TOKEN_KEY,
            rate_limit="100000/1s",
            log_level="error",
        )
        with LocalApp(create_app(settings, chat_model=ScriptedModel(script=HostileModel()))) as app:
            attacks = Attack(app)
            asyncio.run(attacks.run(pending))
            attacks.hostile_model(tries)
            attacks.check_writes()
    print(f"{len(attacks.came_through)} came through")
    return not attacks.came_through


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=TRIES, help="calls of the hostile model")
    parser.add_argument("--pending", type=int, default=PENDING, help="pending calls of one client")
    given = parser.parse_args()
    sys.exit(0 if attack(given.tries, given.pending) else 1)
