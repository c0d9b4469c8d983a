"""Graphs whose write breaks: those of `shapes.py` with a write that acts and then fails, and others.

A shape's write is `ran.append(...)`. So a list that notes the write and then raises makes any of them break
at the worst moment: the write is done, and the graph does not get to say so.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Interrupt, interrupt

from tests.support.graphs.shapes import CENTS, Ran, Saver, Write, orders_of, plain_answer, spoken_for

Build = Callable[[Ran, Saver], Any]


class Breaking(list[Write]):
    """Notes a write, then does what a broken system does."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def append(self, write: Write) -> None:
        """Note it, and break."""
        super().append(write)
        self._then()


def raises() -> None:
    """The system answers with an error after it has acted."""
    raise RuntimeError("the line broke: http://10.0.0.7/?key=sk-secret")


def times_out() -> None:
    """The system does not answer in time."""
    raise TimeoutError


def cancels() -> None:
    """Something inside the graph cancels what it waits for."""
    raise asyncio.CancelledError


def _order(state: MessagesState) -> str | None:
    orders = orders_of(state["messages"])
    return orders[0] if orders else None


def act_in_next_step(ran: Ran, checkpointer: Saver) -> Any:
    """One step asks, the next one acts: the checkpoint has moved on when it breaks."""

    def ask(state: MessagesState) -> dict[str, Any]:
        order = _order(state)
        if order is None:
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}
        approved = interrupt({"action": "refund", "order": order, "cents": CENTS})
        return {"messages": [] if approved else [AIMessage(spoken_for(order, False))]}

    def act(state: MessagesState) -> dict[str, Any]:
        order = str(_order(state))
        ran.append(Write(order, CENTS))
        return {"messages": [AIMessage(spoken_for(order, True))]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("act", act)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges(
        "ask", lambda state: "__end__" if state["messages"][-1].type == "ai" else "act", ["act", "__end__"]
    )
    return graph.compile(checkpointer=checkpointer)


def another_asks_beside_it(ran: Ran, checkpointer: Saver) -> Any:
    """While the approved call breaks, a branch beside it asks for something else for the first time."""

    def ask(state: MessagesState) -> dict[str, Any]:
        if _order(state):
            interrupt({"action": "refund", "order": _order(state), "cents": CENTS})
        return {}

    def act(state: MessagesState) -> dict[str, Any]:
        if order := _order(state):
            ran.append(Write(order, CENTS))
        return {}

    def beside(state: MessagesState) -> dict[str, Any]:
        if order := _order(state):
            interrupt({"action": "write_to_customer", "order": order})
            return {}
        return {"messages": [AIMessage(plain_answer(state["messages"]))]}

    graph = StateGraph(MessagesState)
    for name, node in (("ask", ask), ("act", act), ("beside", beside)):
        graph.add_node(name, node)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "act")
    graph.add_edge("ask", "beside")
    return graph.compile(checkpointer=checkpointer)


def other_branch_fails(ran: Ran, checkpointer: Saver) -> Any:
    """The branch beside the approved one fails; the write itself goes well."""

    written = threading.Event()

    def work(state: MessagesState) -> dict[str, Any]:
        order = _order(state)
        if order is None:
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}
        if interrupt({"action": "refund", "order": order, "cents": CENTS}):
            ran.append(Write(order, CENTS))
            written.set()
        return {}

    def beside(state: MessagesState) -> dict[str, Any]:
        if (order := _order(state)) and interrupt({"action": "write_to_customer", "order": order}):
            # LangGraph cancels the other branch with this one, and a branch may not have begun.
            written.wait(30)
            raise RuntimeError("the mail server is away")
        return {}

    graph = StateGraph(MessagesState)
    graph.add_node("work", work)
    graph.add_node("beside", beside)
    graph.add_edge(START, "work")
    graph.add_edge(START, "beside")
    return graph.compile(checkpointer=checkpointer)


def asks_twice(ran: Ran, checkpointer: Saver) -> Any:
    """One step asks, acts, and asks again: LangGraph would run it from its top, the first write included."""

    def work(state: MessagesState) -> dict[str, Any]:
        order = _order(state)
        if order is None:
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}
        for part in (order, f"{order}-second"):
            if interrupt({"action": "refund", "order": part, "cents": CENTS}):
                ran.append(Write(part, CENTS))
        return {"messages": [AIMessage(spoken_for(order, True))]}

    graph = StateGraph(MessagesState)
    graph.add_node("work", work)
    graph.add_edge(START, "work")
    return graph.compile(checkpointer=checkpointer)


def classic_tool_node(ran: Ran, checkpointer: Saver) -> Any:
    """A `ToolNode` that is given whole messages; the interrupt is inside the tool."""

    @tool
    async def refund(order: str) -> str:
        """Refund an order."""
        await asyncio.sleep(0.001 * (order < "B"))  # the first one asked for is the last to ask
        if not interrupt({"action": "refund", "order": order, "cents": CENTS}):
            return "refused"
        ran.append(Write(order, CENTS))
        return "refunded"

    @tool
    async def look_up(order: str) -> str:
        """Look an order up."""
        return f"{order} is here"

    def agent(state: MessagesState) -> dict[str, Any]:
        orders = orders_of(state["messages"])
        if not orders:
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}
        if isinstance(state["messages"][-1], ToolMessage):
            return {"messages": [AIMessage(spoken_for(orders[0], True))]}
        calls = [{"name": "look_up", "args": {"order": orders[0]}, "id": "look"}]
        calls += [{"name": "refund", "args": {"order": order}, "id": f"refund-{order}"} for order in orders]
        return {"messages": [AIMessage("", tool_calls=calls)]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([refund, look_up]))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    return graph.compile(checkpointer=checkpointer)


def inside(build: Build) -> Build:
    """The same graph as a step of another one."""

    def build_outer(ran: Ran, checkpointer: Saver) -> Any:
        outer = StateGraph(MessagesState)
        outer.add_node("office", build(ran, None))
        outer.add_edge(START, "office")
        return outer.compile(checkpointer=checkpointer)

    return build_outer


def hangs(started: threading.Event, released: threading.Event, *, in_thread: bool) -> Build:
    """The write is done and the step never ends: in an async node, or in a thread that can't be stopped.

    The thread ends when it is `released`: the end of the app waits for it.
    """

    def build(ran: Ran, checkpointer: Saver) -> Any:
        def write(state: MessagesState) -> str | None:
            order = _order(state)
            if order and interrupt({"action": "refund", "order": order, "cents": CENTS}):
                ran.append(Write(order, CENTS))
                started.set()
                return order
            return None

        async def work(state: MessagesState) -> dict[str, Any]:
            if write(state):
                await asyncio.Event().wait()
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}

        def work_in_thread(state: MessagesState) -> dict[str, Any]:
            if write(state):
                released.wait(30)
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}

        graph = StateGraph(MessagesState)
        graph.add_node("work", work_in_thread if in_thread else work)
        graph.add_edge(START, "work")
        return graph.compile(checkpointer=checkpointer)

    return build


def breakpoint_graph(
    *, before: list[str] | None = None, after: list[str] | None = None, inside: bool = False
) -> Build:
    """A graph compiled with breakpoints; its write has no interrupt of its own."""

    def build(ran: Ran, checkpointer: Saver) -> Any:
        def plan(state: MessagesState) -> dict[str, Any]:
            if (order := _order(state)) is None:
                return {"messages": [AIMessage(plain_answer(state["messages"]))]}
            call = {"name": "refund", "args": {"order": order, "cents": CENTS}, "id": f"call-{order}"}
            return {"messages": [AIMessage("", tool_calls=[call])]}

        def act(state: MessagesState) -> dict[str, Any]:
            order = str(_order(state))
            ran.append(Write(order, CENTS))
            return {"messages": [AIMessage(spoken_for(order, True))]}

        graph = StateGraph(MessagesState)
        graph.add_node("plan", plan)
        graph.add_node("act", act)
        graph.add_edge(START, "plan")
        graph.add_conditional_edges(
            "plan",
            lambda state: "act" if state["messages"][-1].tool_calls else "__end__",
            ["act", "__end__"],
        )
        stops = {"interrupt_before": before, "interrupt_after": after}
        if not inside:
            return graph.compile(checkpointer=checkpointer, **stops)
        outer = StateGraph(MessagesState)
        outer.add_node("office", graph.compile(**stops))
        outer.add_edge(START, "office")
        return outer.compile(checkpointer=checkpointer)

    return build


class NotLangGraph:
    """An object with `astream` and `aget_state` and nothing else; acts when it is resumed, then breaks."""

    def __init__(self, ran: Ran, _: Saver = None) -> None:
        self._ran = ran
        self._waiting: dict[str, Interrupt] = {}

    async def astream(self, input: Any, *, config: Any, stream_mode: Any) -> AsyncIterator[tuple[str, Any]]:
        """Ask at a message, act at an answer."""
        thread_id = config["configurable"]["thread_id"]
        waiting = self._waiting.get(thread_id)
        if waiting is None and isinstance(input, dict):
            messages = [one for one in input["messages"] if isinstance(one, HumanMessage)]
            if not orders_of(messages):
                yield "messages", (AIMessageChunk(plain_answer(messages)), {"langgraph_node": "it"})
                return
            value = {"action": "refund", "order": orders_of(messages)[0], "cents": CENTS}
            self._waiting[thread_id] = asked = Interrupt(value=value, id=f"{thread_id}-1")
            yield "updates", {"__interrupt__": (asked,)}
            return
        assert waiting is not None
        if input.resume:
            self._ran.append(Write(waiting.value["order"], CENTS))
        del self._waiting[thread_id]

    async def aget_state(self, config: Any) -> Any:
        """The interrupts of a thread."""
        waiting = self._waiting.get(config["configurable"]["thread_id"])

        return SimpleNamespace(interrupts=(waiting,) if waiting else (), values={})


def saver_of(kind: str) -> Saver:
    """`ours`: the graph has no checkpointer and gets the app's; `theirs`: it has one of its own."""
    return None if kind == "ours" else InMemorySaver()


def answering(work: Callable[[bool], None]) -> Any:
    """A graph that hands the answer to its question to `work`."""

    def node(state: MessagesState) -> dict[str, Any]:
        if (order := _order(state)) is None:
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}
        work(interrupt({"action": "refund", "order": order, "cents": CENTS}))
        return {"messages": [AIMessage(spoken_for(order, True))]}

    graph = StateGraph(MessagesState)
    graph.add_node("work", node)
    graph.add_edge(START, "work")
    return graph.compile()
