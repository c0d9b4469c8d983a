"""A recorded conversation again, with one decision changed: on a copy, out of everybody's way.

What was recorded is used again: what the model said, what tools gave. Only what did not happen then happens
now, and only on a copy of the demo business as it is; nothing outside is ever reached.
"""

import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import orjson
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from smart_support.analytics.replay import Replay
from smart_support.approvals.decision import DecisionInput
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.errors import (
    AlreadyDecided,
    ApprovalExpired,
    InvalidRequest,
    NoPendingApproval,
    NotFound,
    SmartSupportError,
    ToolRefused,
)
from smart_support.tools.registry import Args, Call, Tool

Step = Mapping[str, Any]
BY = "what-if"
# Of a longer conversation only what is near the decision is run again: each turn costs what a turn costs.
MOST_STEPS = 500
UNASKED = "(Here the conversation leaves what was recorded; a language model would have to be asked.)"
_SHOWN = ("message", "route", "tool_call", "tool_result", "interrupt", "decision", "escalation", "error")
_TOLD = ("role", "content", "tool", "action", "args", "status", "outcome", "reason", "message")


@dataclass(frozen=True, slots=True)
class Changed:
    """The decision to try instead of the one that was made: `approve`, `reject`, or `edit` with `args`."""

    approval_id: str
    decision: str
    reason: str | None = None
    args: dict[str, Any] | None = None


# What a rehearsal is made of: a folder of its own, what was recorded; it gives turns, and what they record.
Rehearsal = Callable[[Path, "Recorded"], AbstractAsyncContextManager[tuple[TurnRunner, Replay]]]


async def what_if(steps: Sequence[Step], changed: Changed, rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """How it would have gone: its steps, each with `mark`: `same`, `then` (only then) or `now` (only now).

    Raises:
        NotFound: the conversation had no such decision.
        InvalidRequest: it is the one that was made.
    """
    decision = next((one for one in steps if _is_decision(one, changed.approval_id)), None)
    if decision is None:
        raise NotFound(f"approval {changed.approval_id[:100]!r} was not decided in this conversation")
    if (decision["outcome"], changed.decision) in (("approved", "approve"), ("rejected", "reject")):
        raise InvalidRequest(f"it was {decision['outcome']}; choose another decision to see a difference")
    with tempfile.TemporaryDirectory(prefix="smart-support-what-if-") as folder:
        async with rehearsal(Path(folder), Recorded(steps)) as (turns, replay):
            await _again(steps, changed, turns)
            now = await replay.steps(BY, limit=MOST_STEPS)
    return _difference(_shown(steps), _shown(now))


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a conversation would have been, and which of its steps (from 1) were run again for that."""

    steps: list[dict[str, Any]]
    first: int
    last: int


def around(steps: Sequence[Step], approval_id: str) -> tuple[int, int]:
    """From where up to where a conversation is run again: all of it, or whole turns around the decision."""
    made = next((at for at, one in enumerate(steps) if _is_decision(one, approval_id)), 0)
    if len(steps) <= MOST_STEPS:
        return 0, len(steps)
    begins = [at for at, one in enumerate(steps) if one.get("role") == "customer"]
    first = min((at for at in begins if made - MOST_STEPS // 2 <= at < made), default=0)
    return first, max((at for at in begins if made < at <= first + MOST_STEPS), default=len(steps))


class Recorded:
    """What a conversation's tools gave and its model said."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self._results: dict[str, deque[Step]] = defaultdict(deque)
        asked = _asked(steps)
        self._refused: set[int] = set()
        for call, result in _called(steps):
            if result["status"] in ("ok", "error"):
                self._results[call].append(result)
            if result["status"] == "error" and result["tool_call_id"] not in asked:
                self._refused.add(result["seq"])

    def own(self, tool: Tool) -> Tool:
        """A tool of the demo business: a call that was made gives what it gave; another runs on the copy."""
        return self._wrapped(tool, tool.run)

    def outside(self, tool: Tool) -> Tool:
        """A tool that reaches another system: a call that was made gives what it gave; no other is."""

        async def refuse(args: Args, call: Call) -> Any:
            raise ToolRefused(f"{tool.name} would reach another system, which this does not.")

        return replace(self._wrapped(tool, refuse), preview=None, state=None, facts=None)

    def _wrapped(self, tool: Tool, otherwise: Callable[[Args, Call], Any]) -> Tool:
        async def run(args: Args, call: Call) -> Any:
            known = self._results.get(_key(tool.name, args))
            if not known:
                return await otherwise(args, call)
            result = known.popleft()
            if result["status"] == "error":
                raise ToolRefused(str(result["content"]))
            return _parsed(str(result["content"]))

        async def preview(args: Args) -> Any:
            known = self._results.get(_key(tool.name, args))
            if known and known[0]["seq"] in self._refused:
                # It was found impossible before anybody was asked.
                raise ToolRefused(str(known.popleft()["content"]))
            # What was done then may be impossible now: the card asks all the same.
            return [] if known or not tool.preview else await tool.preview(args)

        return replace(tool, run=run, preview=preview if tool.preview else None, state=None)


class RecordedModel(BaseChatModel):
    """Says what a model said, as long as it hears what that heard; after that what one `beyond` it says."""

    routes: Any
    answers: Any
    statuses: Any
    beyond: Any = None
    lost: bool = False

    @classmethod
    def of(cls, steps: Sequence[Step], beyond: BaseChatModel | None = None) -> "RecordedModel":
        """The model of a recorded conversation. `beyond`: one that costs nothing to ask."""
        routes = deque(one for one in steps if one["type"] == "route")
        statuses = {one["tool_call_id"]: one["status"] for one in steps if one["type"] == "tool_result"}
        return cls(routes=routes, answers=deque(_answers(steps)), statuses=statuses, beyond=beyond)

    @property
    def _llm_type(self) -> str:
        return "recorded"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """Tools are called as they were; only the router's is told apart."""
        names = [tool["function"]["name"] for tool in tools if isinstance(tool, dict)]
        return self.bind(routing=names == ["route"], offered=tools)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        said = self._next(messages, kwargs.get("routing"), kwargs.get("offered", ()))
        return ChatResult(generations=[ChatGeneration(message=said)])

    def _next(self, messages: list[BaseMessage], routing: Any, offered: Sequence[Any]) -> AIMessage:
        if routing:
            route = self.routes.popleft() if self.routes else {"targets": [], "reason": ""}
            args = {"targets": route["targets"], "reason": route["reason"]}
            return AIMessage("", tool_calls=[{"name": "route", "args": args, "id": "route"}])
        for message in messages:
            if isinstance(message, ToolMessage) and message.tool_call_id in self.statuses:
                status = (message.artifact or {}).get("status")
                self.lost = self.lost or status != self.statuses[message.tool_call_id]
        if self.lost or not self.answers:
            said = self.beyond.bind_tools(offered).invoke(messages) if self.beyond else AIMessage(UNASKED)
            return AIMessage(said.content, tool_calls=said.tool_calls)
        answer: AIMessage = self.answers.popleft()
        return answer


async def _again(steps: Sequence[Step], changed: Changed, turns: TurnRunner) -> None:
    """Say and decide what was said and decided, but for the one."""
    asked = {step["approval_id"]: step["action"] for step in steps if step["type"] == "interrupt"}
    for step in steps:
        if step["type"] == "message" and step["role"] == "customer":
            async for _ in turns.converse(BY, str(step["content"]), channel="system"):
                pass
        elif step["type"] == "decision":
            made = changed if step["approval_id"] == changed.approval_id else _as_made(step)
            try:
                waiting = await turns.pending(BY)
            except (NoPendingApproval, AlreadyDecided, ApprovalExpired):
                continue  # what was decided then is not asked for now
            if waiting.action != asked.get(step["approval_id"]):
                continue  # something else waits now, which nobody has decided on
            try:
                decision = DecisionInput(
                    made.decision,
                    decided_by=step["decided_by"],
                    via="system",
                    reason=made.reason,
                    args=made.args,
                )
                async for _ in turns.carry_out(waiting.approval_id, decision):
                    pass
            except SmartSupportError as error:
                raise InvalidRequest(f"that decision can't be made: {error.message}") from None


def _as_made(step: Step) -> Changed:
    made = {"approved": "approve", "edited": "edit", "responded": "respond"}
    decision = made.get(step["outcome"], "reject")
    reason = step.get("reason") or ("Nobody decided in time." if step["outcome"] == "expired" else None)
    return Changed(step["approval_id"], decision, reason, step.get("args") if decision == "edit" else None)


def _is_decision(step: Step, approval_id: str) -> bool:
    return bool(step["type"] == "decision" and step["approval_id"] == approval_id)


def _called(steps: Iterable[Step]) -> Iterable[tuple[str, Step]]:
    """Each result with the key of the call that ran, edited where it was edited."""
    args: dict[str, Any] = {}
    asked: dict[str, str] = {}
    edited: dict[str, Any] = {}
    for step in steps:
        if step["type"] == "tool_call":
            args[step["tool_call_id"]] = step["args"]
        elif step["type"] == "interrupt":
            asked[step["approval_id"]] = step["action"]
        elif step["type"] == "decision" and step.get("args"):
            edited[asked.get(step["approval_id"], "")] = step["args"]
        elif step["type"] == "tool_result":
            ran = edited.pop(step["tool"], None) or args.get(step["tool_call_id"], {})
            yield _key(step["tool"], ran), step


def _asked(steps: Iterable[Step]) -> set[str]:
    """The calls that somebody was asked about: of each action the one that was open then."""
    open_: dict[str, str] = {}
    asked = set()
    for step in steps:
        if step["type"] == "tool_call":
            open_[step["tool"]] = step["tool_call_id"]
        elif step["type"] == "interrupt" and step["action"] in open_:
            asked.add(open_[step["action"]])
    return asked


def _answers(steps: Iterable[Step]) -> Iterable[AIMessage]:
    """What the model said each time it was asked: its words, and the calls it made with them."""
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


def _key(tool: str, args: Any) -> str:
    return f"{tool} {orjson.dumps(args, option=orjson.OPT_SORT_KEYS).decode()}"


def _parsed(content: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content


def _shown(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step["type"] in _SHOWN]


def _difference(then: list[Step], now: list[Step]) -> list[dict[str, Any]]:
    keys = [[_told(step) for step in side] for side in (then, now)]
    marked: list[dict[str, Any]] = []
    for what, a, b, c, d in SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        if what == "equal":
            marked += [{**step, "mark": "same"} for step in now[c:d]]
        else:
            marked += [{**step, "mark": "then"} for step in then[a:b]]
            marked += [{**step, "mark": "now"} for step in now[c:d]]
    return marked


def _told(step: Step) -> str:
    told = {"type": step["type"], "agent": step.get("agent"), **{name: step.get(name) for name in _TOLD}}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()
