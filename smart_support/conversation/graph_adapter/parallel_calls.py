"""Detects steps that run several tool calls at once and stop at an interrupt inside one of them.

LangGraph gives the answers of a step to its `interrupt()` calls in the order in which these are reached. A
`ToolNode` that is given a whole message runs its calls side by side, so that an approval of one of them may
reach another (langgraph#6533). Such an approval would not be for exactly one call, so it is never requested.
"""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

# A function that uses one of these may stop at an interrupt: by itself, or in a graph that it runs.
_STOPPING = frozenset({"interrupt", "invoke", "ainvoke", "stream", "astream"})
# How a task is made that takes all calls of a message, and not one by `Send`.
_WHOLE_MESSAGE = "__pregel_pull"


def ambiguous_step(pregel: Pregel[Any, Any, Any, Any], state: StateSnapshot, calls: Any) -> str | None:
    """The step of a state whose interrupt may be of any of several tool calls; None where there is none.

    Args:
        state: with the states of the graphs inside it.
        calls: returns the tool calls without a result in the values of a state.
    """
    subgraphs = {name: graph for name, graph in pregel.get_subgraphs() if isinstance(graph, Pregel)}
    for task in state.tasks:
        inside = subgraphs.get(task.name)
        if inside is not None and isinstance(task.state, StateSnapshot):
            if step := ambiguous_step(inside, task.state, calls):
                return step
        elif task.interrupts and task.path[0] == _WHOLE_MESSAGE:
            tools = _tools_of(pregel, task.name)
            stopping = [call for call in calls(state.values) if _may_stop(tools.get(call["name"]))]
            if tools and len(stopping) > 1:
                return str(task.name)
    return None


def _tools_of(pregel: Pregel[Any, Any, Any, Any], step: str) -> dict[str, Any]:
    tools = getattr(pregel.nodes[step].bound, "tools_by_name", None) if step in pregel.nodes else None
    return tools if isinstance(tools, dict) else {}


def _may_stop(tool: Any) -> bool:
    """Whether a tool's code names something that can stop at an interrupt, as far as it can be read."""
    functions = [getattr(tool, name, None) for name in ("func", "coroutine")]
    codes = [one for one in functions if isinstance(one, FunctionType)]
    return not codes or any(_STOPPING & {*_names(one, set())} for one in codes)


def _names(function: FunctionType, seen: set[CodeType]) -> Iterator[str]:
    """The names that a function and the functions it refers to use."""
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        if code in seen:
            continue
        seen.add(code)
        yield from code.co_names
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        referred = [function.__globals__.get(name) for name in code.co_names]
        referred += [cell.cell_contents for cell in function.__closure__ or ()]
        for one in referred:
            if isinstance(one, FunctionType):
                yield from _names(one, seen)
