"""Small graphs as other people write them, for `create_app(graph=...)`.

Layout: each shape is a function `build(ran, checkpointer) -> graph`, wrapped in a `Shape` and listed in
`SHAPES` by its name. `ran` is the list where the graph's write notes each run: one `Write` a run. With
`checkpointer=None` the graph gets the app's own.

Every shape understands the same two kinds of message, so that one test can run all of them:

- `refund A-1` (or `refund A-1 A-2`, where `Shape.parallel`): asks for approval of the write `refund` with
  the order, writes if approved, and says `Refunded A-1.`; refused, it says `Not refunded A-1.`
- anything else, such as `hello 1`: answers `You said: hello 1.` and asks for nothing.
"""

import operator
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolRuntime
from langgraph.types import Command, Send, interrupt

from tests.support.harness import ScriptedModel

CENTS = 100


@dataclass(frozen=True)
class Write:
    """One run of the write `refund`."""

    order: str
    cents: int


Ran = list[Write]
Saver = BaseCheckpointSaver[Any] | None


@dataclass(frozen=True)
class Shape:
    """A kind of graph.

    Attributes:
        build: makes the graph; see the module's docstring.
        allowed: what a person may decide on its approvals.
        parallel: takes several orders in one message and has them pending at once.
        reports: its calls and results are messages, so that `tool_call` and `tool_result` events show them.
        outlives: it keeps its checkpoints where it is told to, so that a conversation outlives the process.
    """

    name: str
    build: Callable[[Ran, Saver], Any]
    allowed: tuple[str, ...] = ("approve", "edit", "reject")
    parallel: bool = False
    reports: bool = True
    outlives: bool = True


def orders_of(messages: Sequence[BaseMessage]) -> list[str]:
    """The orders that the customer's last message asks to refund; none where it is about something else."""
    text = next(
        message.text for message in reversed(messages) if message.type == "human" and not message.name
    )
    words = text.split()
    return words[1:] if words and words[0] == "refund" else []


def since_customer(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """What came after the customer's last message."""
    last = max(place for place, one in enumerate(messages) if one.type == "human" and not one.name)
    return list(messages[last + 1 :])


def spoken_for(order: str, refunded: bool) -> str:
    """What every shape says of a refund in the end."""
    return f"Refunded {order}." if refunded else f"Not refunded {order}."


def plain_answer(messages: Sequence[BaseMessage]) -> str:
    """What every shape says to a message that asks for nothing."""
    text = next(
        message.text for message in reversed(messages) if message.type == "human" and not message.name
    )
    return f"You said: {text}."


def refund_tool(ran: Ran) -> BaseTool:
    """The write."""

    @tool
    def refund(order: str, cents: int) -> str:
        """Refund an order."""
        ran.append(Write(order, cents))
        return "refunded"

    return refund


def model(*, silent: bool = False) -> ScriptedModel:
    """A model that calls `refund` for each order, then says what became of it.

    Args:
        silent: it says nothing beside its calls, as many models do.
    """

    def script(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
        orders = orders_of(messages)
        results = [one for one in since_customer(messages) if isinstance(one, ToolMessage)]
        results = [one for one in results if one.name == "refund"]
        if not orders:
            return AIMessage(plain_answer(messages))
        if not results:
            # The ids repeat from turn to turn, as those of many models do.
            calls = [
                {"name": "refund", "args": {"order": order, "cents": CENTS}, "id": f"call_{place}"}
                for place, order in enumerate(orders)
            ]
            return AIMessage("" if silent else "Let me see.", tool_calls=calls)
        fine = {one.tool_call_id for one in results if one.status != "error"}
        said = [spoken_for(order, f"call_{place}" in fine) for place, order in enumerate(orders)]
        return AIMessage(" ".join(said))

    return ScriptedModel(script=script)


def asks_first(mode: str, allowed: Sequence[str] | None = None) -> HumanInTheLoopMiddleware:
    """The middleware, before `refund`; `allowed` is all that it knows where it is not given."""
    on: Any = True if allowed is None else {"allowed_decisions": list(allowed)}
    return HumanInTheLoopMiddleware(interrupt_on={"refund": on}, interrupt_mode=mode)  # type: ignore[arg-type]  # a Literal


# One graph


def flat(ran: Ran, checkpointer: Saver) -> Any:
    """One node asks in the flat shape and acts on the answer."""

    def work(state: MessagesState) -> dict[str, Any]:
        orders = orders_of(state["messages"])
        if not orders:
            return {"messages": [AIMessage(plain_answer(state["messages"]))]}
        return {"messages": [AIMessage(_refund_if_approved(ran, orders[0]))]}

    graph = StateGraph(MessagesState)
    graph.add_node("desk", work)
    graph.add_edge(START, "desk")
    return graph.compile(checkpointer=checkpointer)


def _refund_if_approved(ran: Ran, order: str) -> str:
    answer = interrupt({"action": "refund", "order": order, "cents": CENTS})
    if answer is False:
        return spoken_for(order, False)
    cents = answer["args"]["cents"] if isinstance(answer, dict) else CENTS
    ran.append(Write(order, cents))
    return spoken_for(order, True)


def middleware(mode: str, allowed: Sequence[str] | None = None, **made: Any) -> Callable[[Ran, Saver], Any]:
    """LangChain's agent with its middleware."""

    def build(ran: Ran, checkpointer: Saver) -> Any:
        return create_agent(
            model(silent=made.get("silent", False)),
            tools=[refund_tool(ran)],
            middleware=[asks_first(mode, allowed)],
            checkpointer=checkpointer,
            name=made.get("name"),
        )

    return build


def custom_stream(ran: Ran, checkpointer: Saver) -> Any:
    """A node that also writes to the custom stream."""

    def work(state: MessagesState) -> dict[str, Any]:
        write = get_stream_writer()
        write({"progress": 0})
        orders = orders_of(state["messages"])
        said = _refund_if_approved(ran, orders[0]) if orders else plain_answer(state["messages"])
        write("done")
        return {"messages": [AIMessage(said)]}

    graph = StateGraph(MessagesState)
    graph.add_node("worker", work)
    graph.add_edge(START, "worker")
    return graph.compile(checkpointer=checkpointer)


class _Appended(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]


def appended(ran: Ran, checkpointer: Saver) -> Any:
    """A reducer of its own that gives no ids; a step says the same words twice."""

    def work(state: _Appended) -> dict[str, Any]:
        orders = orders_of(state["messages"])
        said = _refund_if_approved(ran, orders[0]) if orders else plain_answer(state["messages"])
        return {"messages": [AIMessage(said)]}

    graph = StateGraph(_Appended)
    graph.add_node("worker", work)
    graph.add_edge(START, "worker")
    return graph.compile(checkpointer=checkpointer)


# Agents in a graph


def agent_node(mode: str) -> Callable[[Ran, Saver], Any]:
    """An agent as a node: its update carries the whole history."""

    def build(ran: Ran, checkpointer: Saver) -> Any:
        graph = StateGraph(MessagesState)
        graph.add_node("billing", middleware(mode)(ran, None))
        graph.add_edge(START, "billing")
        return graph.compile(checkpointer=checkpointer)

    return build


def supervisor(ran: Ran, checkpointer: Saver) -> Any:
    """A supervisor hands over to an agent by a tool call and gets the whole history back."""

    def decide(state: MessagesState) -> Command[str]:
        if since_customer(state["messages"]):
            return Command(goto=END)
        to = "billing" if orders_of(state["messages"]) else "small_talk"
        call = {"name": f"transfer_to_{to}", "args": {}, "id": "handoff"}
        done = ToolMessage("Transferred.", name=call["name"], tool_call_id="handoff")
        return Command(
            goto=to, update={"messages": [AIMessage("", tool_calls=[call], name="supervisor"), done]}
        )

    graph = StateGraph(MessagesState)
    graph.add_node("supervisor", decide, destinations=("billing", "small_talk", END))
    for name in ("billing", "small_talk"):
        graph.add_node(name, middleware("batched", name=name)(ran, None))
        graph.add_edge(name, "supervisor")
    graph.add_edge(START, "supervisor")
    return graph.compile(checkpointer=checkpointer)


def handoff(ran: Ran, checkpointer: Saver) -> Any:
    """An agent hands over by a tool that acts on the outer graph; the result of that tool has no id."""

    @tool
    def transfer_to_billing(state: Annotated[dict[str, Any], InjectedState], runtime: ToolRuntime) -> Any:
        """Hand over to billing."""
        done = ToolMessage("Transferred.", tool_call_id=runtime.tool_call_id)
        update = {"messages": [*state["messages"], done]}
        return Command(goto="billing", graph=Command.PARENT, update=update)

    def script(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
        if not orders_of(messages):
            return AIMessage(plain_answer(messages))
        return AIMessage("", tool_calls=[{"name": "transfer_to_billing", "args": {}, "id": "call_9"}])

    front = create_agent(ScriptedModel(script=script), tools=[transfer_to_billing], name="front")
    graph = StateGraph(MessagesState)
    graph.add_node("front", front)
    graph.add_node("billing", middleware("batched", name="billing")(ran, None))
    graph.add_edge(START, "front")
    return graph.compile(checkpointer=checkpointer)


def agent_in_function(ran: Ran, checkpointer: Saver) -> Any:
    """A node's function runs an agent and gives a copy of its last words under another id."""
    agent = middleware("per_call", name="billing")(ran, None)

    async def work(state: MessagesState) -> dict[str, Any]:
        result = await agent.ainvoke(
            {"messages": [message for message in state["messages"] if message.type == "human"]}
        )
        return {"messages": [AIMessage(result["messages"][-1].text, name="billing")]}

    graph = StateGraph(MessagesState)
    graph.add_node("office", work)
    graph.add_edge(START, "office")
    return graph.compile(checkpointer=checkpointer)


def agent_as_tool(ran: Ran, checkpointer: Saver) -> Any:
    """An agent that another one calls as a tool."""
    expert = middleware("batched", name="expert")(ran, None)

    @tool
    async def ask_expert(request: str) -> str:
        """Ask the expert."""
        result = await expert.ainvoke({"messages": [HumanMessage(request)]})
        return str(result["messages"][-1].text)

    def script(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
        asked = since_customer(messages)
        if not orders_of(messages):
            return AIMessage(plain_answer(messages))
        if not asked:
            call = {"name": "ask_expert", "args": {"request": messages[-1].text}, "id": "call_0"}
            return AIMessage("", tool_calls=[call])
        return AIMessage("The expert is done.")

    return create_agent(
        ScriptedModel(script=script), tools=[ask_expert], name="front", checkpointer=checkpointer
    )


def subgraph(own: bool) -> Callable[[Ran, Saver], Any]:
    """A graph in a graph; `own`: it remembers from call to call by a checkpointer of its own."""

    def build(ran: Ran, checkpointer: Saver) -> Any:
        inner = flat(ran, None) if not own else _remembering(ran)
        graph = StateGraph(MessagesState)
        graph.add_node("office", inner)
        graph.add_node("tidy", lambda state: {})
        graph.add_edge(START, "office")
        graph.add_edge("office", "tidy")
        return graph.compile(checkpointer=checkpointer)

    return build


def _remembering(ran: Ran) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("agent", middleware("batched", silent=True)(ran, None))
    graph.add_edge(START, "agent")
    return graph.compile(checkpointer=True)


# Several at once


def parallel(ran: Ran, checkpointer: Saver) -> Any:
    """Two branches that speak at once; one of them asks."""

    async def look(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await _says("Looking at it from the side.").ainvoke(state["messages"])]}

    async def work(state: MessagesState) -> dict[str, Any]:
        orders = orders_of(state["messages"])
        if orders:
            return {"messages": [AIMessage(_refund_if_approved(ran, orders[0]))]}
        return {"messages": [await _says(plain_answer(state["messages"])).ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("look", look)
    graph.add_node("work", work)
    graph.add_edge(START, "look")
    graph.add_edge(START, "work")
    return graph.compile(checkpointer=checkpointer)


def _says(text: str) -> ScriptedModel:
    return ScriptedModel(script=lambda messages, tools: AIMessage(text))


class _Order(TypedDict):
    order: str


def fan_out(ran: Ran, checkpointer: Saver) -> Any:
    """`Send` to one node for each order: each asks by itself, and all speak under one name."""

    def spread(state: MessagesState) -> Any:
        orders = orders_of(state["messages"])
        return [Send("worker", {"order": order}) for order in orders] or "chat"

    async def work(state: _Order) -> dict[str, Any]:
        said = await _says(f"Looking at order {state['order']} now.").ainvoke(state["order"])
        return {"messages": [said], "order": state["order"]}

    def act(state: _Order) -> dict[str, Any]:
        return {"messages": [AIMessage(_refund_if_approved(ran, state["order"]))]}

    async def chat(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await _says(plain_answer(state["messages"])).ainvoke(state["messages"])]}

    class _Worker(MessagesState):
        order: str

    worker = StateGraph(_Worker, output_schema=MessagesState)
    worker.add_node("look", work)
    worker.add_node("act", act)
    worker.add_edge(START, "look")
    worker.add_edge("look", "act")
    graph = StateGraph(MessagesState)
    graph.add_node("worker", worker.compile())
    graph.add_node("chat", chat)
    graph.add_conditional_edges(START, spread, ["worker", "chat"])
    return graph.compile(checkpointer=checkpointer)


# Not a StateGraph


def functional(ran: Ran, checkpointer: Saver) -> Any:
    """The functional API: the update is the value that the entrypoint returns."""

    @task
    async def classify(orders: list[str]) -> str:
        return "refund" if orders else "talk"

    @task
    async def think(messages: list[BaseMessage]) -> AIMessage:
        return await _says("Let me see.").ainvoke(messages)

    @entrypoint(checkpointer=checkpointer)
    async def office(given: dict[str, Any], *, previous: list[BaseMessage] | None = None) -> Any:
        messages = [*(previous or []), *given["messages"]]
        orders = orders_of(messages)
        if await classify(orders) == "talk":
            answer: Any = AIMessage(plain_answer(messages))
            return entrypoint.final(value=answer, save=[*messages, answer])
        thought = await think(messages)
        said = _refund_if_approved(ran, orders[0])
        return entrypoint.final(value=said, save=[*messages, thought, AIMessage(said)])

    return office


class MessagesOnly:
    """Not a LangGraph graph: it has `astream` and `aget_state`, and streams only message chunks."""

    def __init__(self, graph: Any, *, whole: bool) -> None:
        self._graph = graph
        self._whole = whole

    async def astream(self, input: Any, *, config: Any, stream_mode: Any) -> AsyncIterator[tuple[str, Any]]:
        """Message chunks; whole messages where `whole`."""
        pieces: dict[str, AIMessageChunk] = {}
        async for mode, chunk in self._graph.astream(input, config=config, stream_mode=["messages"]):
            message, metadata = chunk
            if not (self._whole and isinstance(message, AIMessageChunk)):
                yield mode, chunk
                continue
            key = message.id or ""
            pieces[key] = pieces[key] + message if key in pieces else message
            if message.chunk_position == "last":
                joined = pieces.pop(key)
                whole = AIMessage(joined.content, id=joined.id, tool_calls=joined.tool_calls)
                yield mode, (whole, metadata)

    async def aget_state(self, config: Any) -> Any:
        """The state of the thread."""
        return await self._graph.aget_state(config)


def messages_only(whole: bool) -> Callable[[Ran, Saver], Any]:
    """No `updates`: only the chunks of messages, or whole messages."""

    def build(ran: Ran, checkpointer: Saver) -> Any:
        return MessagesOnly(middleware("batched")(ran, checkpointer or InMemorySaver()), whole=whole)

    return build


_ALL = ("approve", "edit", "reject", "respond")
SHAPES = {
    shape.name: shape
    for shape in (
        Shape("flat", flat, reports=False),
        Shape("middleware_batched", middleware("batched"), _ALL, parallel=True),
        Shape("middleware_per_call", middleware("per_call", silent=True), _ALL, parallel=True),
        Shape("custom_stream", custom_stream, reports=False),
        Shape("appended", appended, reports=False),
        Shape("agent_node", agent_node("batched"), _ALL, parallel=True),
        Shape("agent_node_per_call", agent_node("per_call"), _ALL, parallel=True),
        Shape("supervisor", supervisor, _ALL, parallel=True),
        Shape("handoff", handoff, _ALL, parallel=True),
        Shape("agent_in_function", agent_in_function, _ALL),
        Shape("agent_as_tool", agent_as_tool, _ALL),
        Shape("subgraph", subgraph(own=False), reports=False),
        Shape("subgraph_own_checkpointer", subgraph(own=True), _ALL, parallel=True),
        Shape("parallel", parallel, reports=False),
        Shape("fan_out", fan_out, parallel=True, reports=False),
        Shape("functional", functional, reports=False),
        Shape("messages_only", messages_only(whole=False), _ALL, parallel=True, outlives=False),
        Shape("messages_only_whole", messages_only(whole=True), _ALL, parallel=True, outlives=False),
    )
}
