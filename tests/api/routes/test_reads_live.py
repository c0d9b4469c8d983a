"""The reading routes of the app as it runs: what one real conversation leaves behind, seen from each."""

from pathlib import Path
from typing import Any

import duckdb
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from smart_support import Settings, create_app
from tests.support.harness import Client, LocalApp


def _graph() -> Any:
    """Asks before it acts, and says what it did."""

    def clerk(state: MessagesState) -> dict[str, Any]:
        approved = interrupt({"action": "close_account", "account": "A-1"})
        return {"messages": [AIMessage("The account is closed." if approved else "It stays open.")]}

    graph = StateGraph(MessagesState)
    graph.add_node("clerk", clerk)
    graph.add_edge(START, "clerk")
    graph.add_edge("clerk", END)
    return graph.compile(checkpointer=InMemorySaver())


async def test_a_conversation_seen_from_every_route(data_dir: Path, tmp_path: Path) -> None:
    with LocalApp(create_app(Settings(data_dir=data_dir), graph=_graph())) as app:

        def data(path: str, **params: Any) -> Any:
            return app.request("GET", path, params=params).json()["data"]

        async with await Client.connect(app.ws_url) as client:
            await client.turn("t", "Close my account, please")
            (found,) = data("/conversations", q="CLOSE my")
            assert (found["status"], found["outcome"], found["turns"]) == ("waiting", None, 1)
            assert data("/analytics", range="24h")["approvals"]["pending"] == 1
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            await client.until("message_complete")
        (found,) = data("/conversations", status="active", agent="clerk")
        assert (found["outcome"], found["turns"]) == ("resolved_with_approval", 2)
        steps = data("/replay/t")
        shown = [event["seq"] for event in client.seen if event["type"] != "token"]
        assert [
            step["seq"] for step in steps if step["type"] != "message" or step["role"] == "customer"
        ] == shown
        figures = data("/analytics", range="24h")
        assert (figures["conversations"], figures["resolution_rate"]) == (1, 1.0)
        assert (figures["approvals"]["approved"], figures["approvals"]["pending"]) == (1, 0)
        exported = app.request("GET", "/analytics/export", params={"format": "parquet", "range": "24h"})
        path = tmp_path / "events.parquet"
        path.write_bytes(exported.content)
        rows = duckdb.execute("SELECT seq, type FROM read_parquet(?) ORDER BY seq", [str(path)]).fetchall()
        assert rows == [(step["seq"], step["type"]) for step in steps]
        assert app.request("GET", "/health").json()["checks"] == {"state": "ok", "event_log": "ok"}
