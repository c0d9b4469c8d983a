"""The graph of a turn: route -> agent -> gate -> approve -> act, one tool call a step.

`approve` contains only the interrupt and `act` runs exactly one call, so that a resume never repeats a side
effect. A run with `configurable.read_only` takes no write and asks no clarifying question.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypedDict

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    InvalidToolCall,
    ToolCall,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import StreamWriter, interrupt

from smart_support.agents.budget import BudgetSpent
from smart_support.agents.model_client import Models
from smart_support.agents.outgoing import new_call_id
from smart_support.agents.prompts import agent_prompt
from smart_support.agents.router import Router
from smart_support.agents.streamed_answer import INCOMPLETE
from smart_support.agents.team import RESERVED, AgentSpec, Team
from smart_support.agents.tool_messages import (
    failures_in_a_row,
    outcomes_of_writes,
    pending_calls,
    refused,
    tool_message,
)
from smart_support.agents.tool_selection import SHOWN, find_tool, shortlist
from smart_support.clock import new_id
from smart_support.errors import ConfigError, Frozen
from smart_support.events import Token
from smart_support.gate.call_result import CallResult
from smart_support.gate.caller import Caller, CallerLimits
from smart_support.gate.gate import Gate
from smart_support.gate.planned_call import PlannedCall, is_storable
from smart_support.observability.log import bind
from smart_support.tools.registry import Registry, Tool
from smart_support.tools.withdrawal import SIDE_THREAD_MARK, WITHDRAW, withdrawal_tool

# Of one request: calls beyond it are not made. Real tasks take up to 13 (the retail tasks of tau2-bench).
MAX_STEPS = 40
MAX_GRAPH_STEPS = 400
FAILURES_TO_ESCALATE = 3
STOPPED = (
    f"I have taken {MAX_STEPS} steps for this and stop here, so that it does not go on for ever. Tell me how "
    "to go on, or ask for a colleague."
)
# Returns the person who has a thread in place of the agents.
TakenBy = Callable[[str], Awaitable[str | None]]
Node = Any  # LangGraph types its nodes by protocols that a plain Callable does not fit


class State(TypedDict, total=False):
    """What a thread's checkpoint holds.

    Attributes:
        targets: the agents that have yet to answer this message, the current one first.
        stopped: a call of this message was rejected or has expired, so that no further write is taken.
        steps: model calls made for the current target.
        call: the tool call the gate let through, as `PlannedCall.state()`.
        route: the last routing decision, for the record.
    """

    messages: Annotated[list[AnyMessage], add_messages]
    targets: list[dict[str, str]]
    stopped: bool
    steps: int
    call: dict[str, Any] | None
    route: dict[str, Any]


def build_graph(
    team: Team,
    registry: Registry,
    models: Models,
    gate: Gate,
    checkpointer: Any,
    *,
    former: Sequence[str] = (),
    taken_by: TakenBy | None = None,
) -> Any:
    """The compiled graph of a team, one node for each agent, named after it.

    Args:
        former: removed agents; a thread at one of them continues with the fallback agent.
        taken_by: says which person has a conversation; the agents stop there at their next step.

    Raises:
        ConfigError: an agent has the name of a step of the graph.
    """
    router = Router(team, registry, models)
    taken_by = taken_by or _nobody
    paths = _Paths(team)
    withdraw = withdrawal_tool(gate.withdraw)
    callers = _Callers({spec.name: _caller_of(spec, registry) for spec in team.agents}, withdraw)
    hand_over: Node = _hand_over_node
    graph = StateGraph(State)
    graph.add_node("route", _route_node(router, models, team.fallback))
    graph.add_node("gate", _gate_node(gate, callers, paths, taken_by))
    graph.add_node("approve", _approve_node)
    graph.add_node("act", _act_node(gate, callers))
    for spec in team.agents:
        if spec.name in RESERVED:
            raise ConfigError(f"{team.source}: agent {spec.name!r} has the name of a step; choose another")
        graph.add_node(spec.name, _agent_node(team, spec, registry, models, withdraw, taken_by))
        graph.add_conditional_edges(spec.name, paths.after_agent)
    for name in former:
        # A checkpoint from before may name it as the next step.
        graph.add_node(name, hand_over)
        graph.add_conditional_edges(name, paths.to_current_agent)
    graph.add_edge(START, "route")
    graph.add_conditional_edges("route", paths.to_current_agent)
    graph.add_conditional_edges("gate", paths.after_gate)
    graph.add_conditional_edges("approve", paths.after_approve)
    graph.add_conditional_edges("act", paths.after_act)
    return graph.compile(checkpointer=checkpointer).with_config(recursion_limit=MAX_GRAPH_STEPS)


def _caller_of(spec: AgentSpec, registry: Registry) -> Caller:
    """An agent as the gate knows it; one with very many tools can search them as well."""
    search = (find_tool(registry, spec.tools),) if len(spec.tools) > SHOWN else ()
    return Caller(spec.name, frozenset(spec.tools), search, CallerLimits(spec.writes_per_hour))


class _Callers:
    """The agents as the gate knows them. On a side thread each can withdraw what is waiting, too."""

    def __init__(self, callers: Mapping[str, Caller], withdraw: Tool) -> None:
        self._callers = callers
        self._withdraw = withdraw

    def get(self, name: str, config: RunnableConfig) -> Caller:
        """The caller of that name; one without tools if it does not exist any more."""
        caller = self._callers.get(name, Caller(name))
        own_tools = (*caller.own_tools, self._withdraw)
        return replace(caller, own_tools=own_tools) if _is_read_only(config) else caller


def _is_read_only(config: RunnableConfig) -> bool:
    return bool(config["configurable"].get("read_only"))


def _route_node(router: Router, models: Models, fallback: str) -> Node:
    async def route(state: State, config: RunnableConfig) -> State:
        thread_id = config["configurable"]["thread_id"]
        try:
            routing = await router.route(thread_id, state["messages"])
        except BudgetSpent as spent:
            said = await models.budget.handed_over(thread_id, fallback, spent, state["messages"])
            return {"messages": [said], "targets": [], "stopped": False, "steps": 0, "call": None}
        update: State = {
            "targets": routing.targets,
            "stopped": False,
            "steps": 0,
            "call": None,
            "route": {
                "targets": routing.targets,
                "reason": routing.reason,
                "usage": routing.usage,
                "model": routing.model,
            },
        }
        if routing.question and not _is_read_only(config):
            clarification = {"question": routing.question, "options": routing.options}
            update["messages"] = [
                AIMessage(
                    _as_text(clarification), id=new_id(), additional_kwargs={"clarification": clarification}
                )
            ]
        return update

    return route


def _as_text(clarification: dict[str, Any]) -> str:
    return "\n".join([clarification["question"], *(f"- {option}" for option in clarification["options"])])


async def _nobody(_: str) -> str | None:
    return None


def _agent_node(
    team: Team, spec: AgentSpec, registry: Registry, models: Models, withdraw: Tool, taken_by: TakenBy
) -> Node:
    async def answer(state: State, config: RunnableConfig, writer: StreamWriter) -> State:
        bind(agent=spec.name)
        if await taken_by(_conversation(config)):
            return {"steps": 0, "targets": []}

        def show(words: str) -> None:
            writer(Token(agent=spec.name, content=words))

        thread_id = config["configurable"]["thread_id"]
        request, steps, history = state["targets"][0]["request"], state.get("steps", 0), state["messages"]
        tools = _tools(spec, registry, request, history) if steps < MAX_STEPS else []
        if tools and _is_read_only(config):
            tools.append(function_schema(withdraw))
        try:
            completion = await models.ask(
                thread_id, agent_prompt(team, spec, request), history, tools, show=show
            )
        except BudgetSpent as spent:
            said = await models.budget.handed_over(thread_id, spec.name, spent, history)
            return {"messages": [said], "steps": 0, "targets": []}
        message = _own(completion, spec.name, history)
        if steps >= MAX_STEPS:
            message.tool_calls, message.invalid_tool_calls = [], []
            message.content = message.content or STOPPED
        if done := _unreported_writes(message, history):
            show(done)
            message.content = f"{message.content}{done}"
        if message.tool_calls or message.invalid_tool_calls:
            return {"messages": [message], "steps": steps + 1}
        return {"messages": [message], "steps": 0, "targets": state["targets"][1:]}

    return answer


def _unreported_writes(message: AIMessage, history: list[AnyMessage]) -> str:
    """What was done, in case that an answer which is not whole leaves it out."""
    if message.tool_calls or message.invalid_tool_calls or INCOMPLETE not in message.response_metadata:
        return ""
    return "".join(f"\n\n{sentence}" for sentence in outcomes_of_writes(history))


def _tools(
    spec: AgentSpec, registry: Registry, request: str, history: list[AnyMessage]
) -> list[dict[str, Any]]:
    known = [tool for name in spec.tools if (tool := registry.get(name))]
    tools = [function_schema(tool) for tool in shortlist(known, request, history)]
    if len(tools) < len(known):
        tools.append(function_schema(find_tool(registry, spec.tools)))
    return tools


def function_schema(tool: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
    }


def _own(answer: AIMessage, agent: str, history: list[AnyMessage]) -> AIMessage:
    """The model's answer with the agent's name, and with tool call ids that are new in this thread.

    The ledger needs one id for each call, and a model may emit none, or one that it has used before.
    """
    calls = [call for call in answer.tool_calls if is_storable(call["args"])]
    broken = [*answer.invalid_tool_calls, *(_broken(call) for call in answer.tool_calls if call not in calls)]
    seen = {message.tool_call_id for message in history if isinstance(message, ToolMessage)}
    for call in (*calls, *broken):
        if not call["id"] or call["id"] in seen:
            call["id"] = new_call_id()
        seen.add(str(call["id"]))
    return AIMessage(
        content=answer.content,
        name=agent,
        id=answer.id,
        tool_calls=calls,
        invalid_tool_calls=broken,
        usage_metadata=answer.usage_metadata,
        response_metadata=answer.response_metadata,
        additional_kwargs=answer.additional_kwargs,
    )


def _broken(call: ToolCall) -> InvalidToolCall:
    """A call whose arguments can't be stored; like one that is not JSON, it is answered with an error."""
    text = ascii(call["args"])[:2000]
    return InvalidToolCall(
        name=call["name"], args=text, id=call["id"], error="can't be kept", type="invalid_tool_call"
    )


def _hand_over_node(state: State) -> State:
    return {"steps": 0}


def _conversation(config: RunnableConfig) -> str:
    """The thread of a run, also on its side thread."""
    return str(config["configurable"]["thread_id"]).partition(SIDE_THREAD_MARK)[0]


def _gate_node(gate: Gate, callers: _Callers, paths: "_Paths", taken_by: TakenBy) -> Node:
    async def plan(state: State, config: RunnableConfig) -> State:
        call = pending_calls(state["messages"])[0]
        if by := await taken_by(_conversation(config)):
            answer = {"outcome": "taken", "decided_by": by}
            return {"messages": [refused(call, answer, paths.current_agent(state), [])], "call": None}
        planned = await gate.plan(
            callers.get(paths.current_agent(state), config),
            str(call["name"]),
            call["args"],
            tool_call_id=call["id"],
            thread_id=config["configurable"]["thread_id"],
            is_stopped=state.get("stopped", False),
            read_only=_is_read_only(config),
        )
        if isinstance(planned, CallResult):
            return {"messages": [tool_message(planned)], "call": None}
        return {"call": planned.state()}

    return plan


def _approve_node(state: State) -> State:
    answer = interrupt({"approval": state["call"]})
    planned = PlannedCall.from_state(state["call"] or {})
    outcome = (
        answer.get("outcome") if isinstance(answer, dict) else ("approved" if answer is True else "rejected")
    )
    if outcome == "approved":
        return {}
    if outcome == "edited":
        return _edited(state, planned, answer)
    return _stopped(state, planned, answer if isinstance(answer, dict) else {"outcome": "rejected"})


def _edited(state: State, planned: PlannedCall, answer: dict[str, Any]) -> State:
    """Use the edited arguments, in the history as well, because a model repeats what it reads there."""
    asking = next(m for m in reversed(state["messages"]) if isinstance(m, AIMessage) and m.tool_calls)
    calls = [
        call | {"args": answer["args"]} if call["id"] == planned.tool_call_id else call
        for call in asking.tool_calls
    ]
    return {
        "messages": [asking.model_copy(update={"tool_calls": calls})],
        "call": planned.edited(answer).state(),
    }


def _stopped(state: State, planned: PlannedCall, answer: dict[str, Any]) -> State:
    """Answer the refused call, and all further calls of this message as skipped."""
    first, *others = pending_calls(state["messages"])
    skipped = [str(call["name"]) for call in others]
    skipped += [target["request"] for target in state["targets"][1:]]
    messages: list[AnyMessage] = [refused(first, answer, planned.agent, skipped)]
    after = {"outcome": "skipped", "after": planned.tool}
    messages += [refused(call, after, planned.agent, []) for call in others]
    # Who withdraws a request has said more, which the next agents answer.
    targets = [] if answer.get("outcome") == "withdrawn" else state["targets"][:1]
    return {"messages": messages, "call": None, "stopped": True, "targets": targets}


def _act_node(gate: Gate, callers: _Callers) -> Node:
    async def act(state: State, config: RunnableConfig) -> State:
        planned = PlannedCall.from_state(state["call"] or {})
        bind(agent=planned.agent)
        thread_id = config["configurable"]["thread_id"]
        rechecked = await gate.recheck(planned, thread_id)
        if isinstance(rechecked, CallResult):
            return {"messages": [tool_message(rechecked)], "call": None}
        if rechecked:
            return {"call": rechecked.state()}
        try:
            result = await gate.execute(planned, callers.get(planned.agent, config), thread_id)
        except Frozen:
            # Back to the interrupt: the same approval resumes it when the freeze is lifted.
            return {"call": planned.state()}
        if planned.tool == WITHDRAW and result.status == "ok":
            # The turn goes on in the conversation itself, where all tools can be used again.
            return {"messages": [tool_message(result)], "call": None, "targets": []}
        failures = failures_in_a_row([*state["messages"], tool_message(result)])
        if failures == FAILURES_TO_ESCALATE and result.escalation is None:
            result = await gate.escalate_failures(result, thread_id, failures)
        return {"messages": [tool_message(result)], "call": None}

    return act


class _Paths:
    """Chooses the next step. A removed agent is replaced by the fallback."""

    def __init__(self, team: Team) -> None:
        self._known = {spec.name for spec in team.agents}
        self._fallback = team.fallback

    def current_agent(self, state: State) -> str:
        """The agent whose turn it is."""
        name = state["targets"][0]["agent"]
        return name if name in self._known else self._fallback

    def to_current_agent(self, state: State) -> str:
        return self.current_agent(state) if state["targets"] else END

    def after_agent(self, state: State) -> str:
        return "gate" if pending_calls(state["messages"]) else self.to_current_agent(state)

    def after_gate(self, state: State) -> str:
        call = state.get("call")
        if call:
            return "approve" if PlannedCall.from_state(call).needs_approval else "act"
        return self.after_act(state)

    def after_approve(self, state: State) -> str:
        return "act" if state.get("call") else self.after_act(state)

    def after_act(self, state: State) -> str:
        if state.get("call"):
            return "approve"
        if not state["targets"]:
            return END
        return "gate" if pending_calls(state["messages"]) else self.to_current_agent(state)
