"""The tools and the model of a recorded conversation: what happened then is given again, at no cost."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from smart_support.errors import ToolRefused
from smart_support.events import REQUEST_CHARS
from smart_support.tools.registry import Args, Call, Tool

Step = Mapping[str, Any]
NO_RECORDING = "(Nothing was recorded from here on. Only a language model could continue.)"


class RecordedTools:
    """Wraps tools so that a recorded call returns its recorded result."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._results: dict[str, deque[Step]] = defaultdict(deque)
        # The `seq` of errors that a call got before anybody was asked to approve it.
        self._refused: set[int] = set()
        approved_calls = _calls_with_approval(steps)
        for key, result in _results_by_call(steps):
            if result["status"] in ("ok", "error"):
                self._results[key].append(result)
            if result["status"] == "error" and result["tool_call_id"] not in approved_calls:
                self._refused.add(result["seq"])

    def on_copy(self, tool: Tool) -> Tool:
        """Wrap a tool of the demo business: a call that was not recorded runs on the copy."""
        return self._wrapped(tool, tool.run)

    def offline(self, tool: Tool) -> Tool:
        """Wrap a tool that reaches another system: a call that was not recorded is refused."""

        async def refuse(args: Args, call: Call) -> Any:
            raise ToolRefused(f"{tool.name} would reach another system; a rehearsal can't.")

        return replace(self._wrapped(tool, refuse), preview=None, state=None, facts=None)

    def _wrapped(self, tool: Tool, run_unrecorded: Callable[[Args, Call], Any]) -> Tool:
        async def run(args: Args, call: Call) -> Any:
            recorded = self._results.get(_call_key(tool.name, args))
            if not recorded:
                return await run_unrecorded(args, call)
            result = recorded.popleft()
            if result["status"] == "error":
                raise ToolRefused(str(result["content"]))
            return _parsed(str(result["content"]))

        async def preview(args: Args) -> Any:
            recorded = self._results.get(_call_key(tool.name, args))
            if recorded and recorded[0]["seq"] in self._refused:
                raise ToolRefused(str(recorded.popleft()["content"]))
            # The data may have changed since, so that a preview of a recorded call could fail today.
            return [] if recorded or not tool.preview else await tool.preview(args)

        return replace(tool, run=run, preview=preview if tool.preview else None, state=None)


class RecordedModel(BaseChatModel):
    """Gives the recorded answers while tool results are as recorded, then those of `continuation`."""

    routes: Any
    answers: Any
    statuses: Any
    continuation: Any = None
    has_diverged: bool = False

    @classmethod
    def from_steps(cls, steps: Sequence[Step], continuation: BaseChatModel | None = None) -> "RecordedModel":
        """Make the model of a recorded conversation.

        Args:
            continuation: answers once the conversation differs; without it, `NO_RECORDING` is the answer.
        """
        routes = deque(step for step in steps if step["type"] == "route")
        statuses = {step["tool_call_id"]: step["status"] for step in steps if step["type"] == "tool_result"}
        answers = deque(_answers(steps))
        return cls(routes=routes, answers=answers, statuses=statuses, continuation=continuation)

    @property
    def _llm_type(self) -> str:
        return "recorded"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """Note whether the router calls, whose only tool is `route`."""
        names = [tool["function"]["name"] for tool in tools if isinstance(tool, dict)]
        return self.bind(is_router=names == ["route"], offered=tools)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        is_router, offered = kwargs.get("is_router"), kwargs.get("offered", ())
        message = self._next_route() if is_router else self._next_answer(messages, offered)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _next_route(self) -> AIMessage:
        route: Step = self.routes.popleft() if self.routes else {"targets": [], "reason": ""}
        # Without a request, the router takes the whole message.
        targets = [
            target if len(target["request"]) < REQUEST_CHARS else {"agent": target["agent"]}
            for target in route["targets"]
        ]
        args = {"targets": targets, "reason": route["reason"]}
        return AIMessage("", tool_calls=[{"name": "route", "args": args, "id": "route"}])

    def _next_answer(self, messages: list[BaseMessage], offered: Sequence[Any]) -> AIMessage:
        for message in messages:
            if isinstance(message, ToolMessage) and message.tool_call_id in self.statuses:
                status = (message.artifact or {}).get("status")
                self.has_diverged = self.has_diverged or status != self.statuses[message.tool_call_id]
        if self.answers and not self.has_diverged:
            answer: AIMessage = self.answers.popleft()
            return answer
        if self.continuation is None:
            return AIMessage(NO_RECORDING)
        answer = self.continuation.bind_tools(offered).invoke(messages)
        return AIMessage(answer.content, tool_calls=answer.tool_calls)


def _results_by_call(steps: Iterable[Step]) -> Iterable[tuple[str, Step]]:
    """Each tool result with the key of the call that ran, with edited arguments where it was edited."""
    args: dict[str, Any] = {}
    actions: dict[str, str] = {}
    edited: dict[str, Any] = {}
    for step in steps:
        if step["type"] == "tool_call":
            args[step["tool_call_id"]] = step["args"]
        elif step["type"] == "interrupt":
            actions[step["approval_id"]] = step["action"]
        elif step["type"] == "decision" and step.get("args"):
            edited[actions.get(step["approval_id"], "")] = step["args"]
        elif step["type"] == "tool_result":
            ran = edited.pop(step["tool"], None) or args.get(step["tool_call_id"], {})
            yield _call_key(step["tool"], ran), step


def _calls_with_approval(steps: Iterable[Step]) -> set[str]:
    """The ids of calls that waited for an approval: the latest call of the action at that time."""
    latest: dict[str, str] = {}
    with_approval = set()
    for step in steps:
        if step["type"] == "tool_call":
            latest[step["tool"]] = step["tool_call_id"]
        elif step["type"] == "interrupt" and step["action"] in latest:
            with_approval.add(latest[step["action"]])
    return with_approval


def _answers(steps: Iterable[Step]) -> Iterable[AIMessage]:
    """The model's answers in order: each one's text with the tool calls it made."""
    text, calls = "", []
    for step in steps:
        if step["type"] == "message" and step["role"] == "agent":
            text = str(step["content"])
        elif step["type"] == "tool_call":
            calls.append({"name": step["tool"], "args": step["args"], "id": step["tool_call_id"]})
        elif text or calls:
            yield AIMessage(text, tool_calls=calls)
            text, calls = "", []
    if text or calls:
        yield AIMessage(text, tool_calls=calls)


def _call_key(tool: str, args: Any) -> str:
    return f"{tool} {orjson.dumps(args, option=orjson.OPT_SORT_KEYS).decode()}"


def _parsed(content: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
