"""A graph or model of one's own: the console, approvals and the record work on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from smart_support import Settings, create_app
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type, spoken


@contextmanager
def _serving(data_dir: Path, **own: Any) -> Iterator[LocalApp]:
    with LocalApp(create_app(Settings(data_dir=data_dir), **own)) as app:
        yield app


def _flat_graph(ran: list[dict[str, Any]], **compiled: Any) -> Any:
    """One node asks in the flat shape, the next acts on the answer."""

    def ask(state: MessagesState) -> dict[str, Any]:
        answer = interrupt({"action": "delete_account", "account": "A-1", "days": 30})
        if answer is False:
            return {"messages": [AIMessage("I left the account as it is.")]}
        args = answer["args"] if isinstance(answer, dict) else {"account": "A-1", "days": 30}
        return {"messages": [AIMessage("", tool_calls=[{"name": "delete", "args": args, "id": "1"}])]}

    def act(state: MessagesState) -> dict[str, Any]:
        ran.append(state["messages"][-1].tool_calls[0]["args"])
        return {"messages": [ToolMessage("gone", tool_call_id="1"), AIMessage("The account is deleted.")]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("act", act)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", lambda state: "act" if state["messages"][-1].tool_calls else END)
    return graph.compile(**({"checkpointer": InMemorySaver()} | compiled))


async def test_a_flat_interrupt_is_approved(data_dir: Path) -> None:
    ran: list[dict[str, Any]] = []
    with _serving(data_dir, graph=_flat_graph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "delete it"))[-1]
            assert (waiting["action"], waiting["args"]) == ("delete_account", {"account": "A-1", "days": 30})
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            done = await client.until("message_complete")
        assert ran == [{"account": "A-1", "days": 30}]
        assert "deleted" in spoken(done)
        approval = app.request("GET", f"/approvals/{waiting['approval_id']}").json()["data"]
        assert (approval["status"], approval["execution"]) == ("approved", "done")
        steps = app.request("GET", "/replay/t").json()["data"]
        assert [step["type"] for step in steps][-2:] == ["message", "message_complete"]


async def test_a_flat_interrupt_is_rejected_or_edited(data_dir: Path) -> None:
    ran: list[dict[str, Any]] = []
    with _serving(data_dir, graph=_flat_graph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.turn("t", "delete it")
            await client.send(type="interrupt_response", thread_id="t", approved=False)
            done = await client.until("message_complete")
            assert (ran, "left" in spoken(done)) == ([], True)
            await client.turn("u", "delete it")
            for args, told in (({"account": 7, "days": 30}, "invalid_arguments"), ({}, "invalid_arguments")):
                await client.send(type="interrupt_response", thread_id="u", approved=True, args=args)
                assert (await client.until("error"))[-1]["code"] == told
            edited = {"account": "A-1", "days": 7}
            await client.send(type="interrupt_response", thread_id="u", approved=True, args=edited)
            await client.until("message_complete")
    assert ran == [{"account": "A-1", "days": 7}]


async def test_a_graph_without_a_checkpointer_gets_one_and_waits_over_a_restart(data_dir: Path) -> None:
    ran: list[dict[str, Any]] = []
    with _serving(data_dir, graph=_flat_graph(ran, checkpointer=None)) as app:
        async with await Client.connect(app.ws_url) as client:
            assert (await client.turn("t", "delete it"))[-1]["type"] == "interrupt"
    with _serving(data_dir, graph=_flat_graph(ran, checkpointer=None)) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            await client.until("message_complete")
    assert ran == [{"account": "A-1", "days": 30}]


async def test_an_approval_whose_graph_has_forgotten_it_gets_its_verdict(data_dir: Path) -> None:
    ran: list[dict[str, Any]] = []
    with _serving(data_dir, graph=_flat_graph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "delete it"))[-1]
    # A new process, and so a new InMemorySaver: what the graph waited with is gone.
    with _serving(data_dir, graph=_flat_graph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            error = (await client.until("error"))[-1]
            assert error["code"] == "tool_error"
            assert "ask again" in error["message"]
            assert (await client.turn("t", "delete it"))[-1]["type"] == "interrupt"
        approval = app.request("GET", f"/approvals/{waiting['approval_id']}").json()["data"]
    assert (approval["status"], approval["execution"], ran) == ("approved", "failed", [])


def _middleware_graph(ran: list[Any]) -> Any:
    def refund(order: str, cents: int) -> str:
        """Refund an order."""
        ran.append((order, cents))
        return "refunded"

    def script(messages: list[Any], tools: list[Any]) -> AIMessage:
        if isinstance(messages[-1], HumanMessage):
            calls = [
                {"name": "refund", "args": {"order": order, "cents": 100}, "id": f"{order}-{len(messages)}"}
                for order in messages[-1].text.split()
            ]
            return AIMessage("", tool_calls=calls)
        return AIMessage("all settled: " + ", ".join(str(m.text) for m in messages if m.type == "tool"))

    ask_first = HumanInTheLoopMiddleware(interrupt_on={"refund": True})
    return create_agent(
        ScriptedModel(script=script), tools=[refund], middleware=[ask_first], checkpointer=InMemorySaver()
    )


async def test_the_middleware_is_answered_one_decision_an_action(data_dir: Path) -> None:
    ran: list[Any] = []
    with _serving(data_dir, graph=_middleware_graph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            first = (await client.turn("t", "one two"))[-1]
            assert (first["action"], first["args"]) == ("refund", {"order": "one", "cents": 100})
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            second = (await client.until("interrupt"))[-1]
            assert second["args"]["order"] == "two"
            assert ran == []
            args = {"order": "two", "cents": 50}
            await client.send(type="interrupt_response", thread_id="t", approved=True, args=args)
            done = await client.until("message_complete")
        assert sorted(ran) == [("one", 100), ("two", 50)]
        assert "settled" in spoken(done)


async def test_one_no_to_the_middleware_refuses_the_rest(data_dir: Path) -> None:
    ran: list[Any] = []
    with _serving(data_dir, graph=_middleware_graph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.turn("t", "one two")
            await client.send(type="interrupt_response", thread_id="t", approved=False, reason="too much")
            done = await client.until("message_complete")
    assert ran == []
    assert "too much" in spoken(done)


async def test_a_graph_that_breaks_is_told_plainly(data_dir: Path) -> None:
    def broken(state: MessagesState) -> dict[str, Any]:
        raise RuntimeError("secret at http://10.0.0.7/internal?key=sk-123")

    graph = StateGraph(MessagesState)
    graph.add_node("broken", broken)
    graph.add_edge(START, "broken")
    with _serving(data_dir, graph=graph.compile(checkpointer=InMemorySaver())) as app:
        async with await Client.connect(app.ws_url) as client:
            error = (await client.turn("t", "hello"))[-1]
        assert error["code"] == "model_error"
        assert "sk-123" not in error["message"]
        assert "Traceback" not in error["message"]
        answer = app.request("POST", "/chat", json={"message": "hello"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_error")


def _agents_file(tmp_path: Path) -> Path:
    path = tmp_path / "agents.yaml"
    path.write_text(
        "company: One\nfallback: only\nagents:\n"
        "  - {name: only, title: Only, description: Does all., tools: [get_order_status, cancel_order]}\n"
    )
    return path


@pytest.mark.parametrize("decision", [True, False])
async def test_a_model_of_ones_own_sees_only_its_agents_work(
    tmp_path: Path, data_dir: Path, decision: bool
) -> None:
    seen: list[int] = []

    def script(messages: list[Any], tools: list[dict[str, Any]]) -> AIMessage:
        seen.append(len(tools))
        if isinstance(messages[-1], HumanMessage):
            call = {"name": "cancel_order", "args": {"order_id": "1042", "reason": "asked"}, "id": "x"}
            return AIMessage("", tool_calls=[call])
        return AIMessage(f"It says: {messages[-1].text}")

    settings = Settings(data_dir=data_dir, agents_file=_agents_file(tmp_path))
    with LocalApp(create_app(settings, chat_model=ScriptedModel(script=script))) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.turn("t", "cancel 1042")
            await client.send(type="interrupt_response", thread_id="t", approved=decision)
            done = await client.until("message_complete")
    assert seen == [2, 2]
    assert of_type(done, "tool_result")[0]["status"] == ("ok" if decision else "rejected")
