"""How chat models are asked: in order until one answers, what was not shown yet once more, nothing by halves.

A tool call passes only whole: its stream came to its end, and its arguments are JSON to the last bracket.
Which models there are is in `models.py`, what they may use in `budget.py`.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
)
from langchain_core.runnables import Runnable
from langgraph.constants import TAG_NOSTREAM

from smart_support.agents.budget import Budget
from smart_support.agents.calls import came_of, paired
from smart_support.agents.models import NamedModel
from smart_support.agents.trimming import fitting
from smart_support.errors import ModelFailed, SmartSupportError
from smart_support.log import get_logger

log = get_logger()
TRIES = 2
_ABOUT_THE_REQUEST = (400, 413, 422)
NO_ANSWER = "The language model could not answer. Your message is kept; please send it again in a moment."
CUT_OFF = (
    "The answer was cut off; what you see of it is not all. Nothing was done because of it. Please send your "
    "message again."
)
NOT_TOLD = "The language model could not say more about it; please go on in a moment."


class StreamCut(Exception):
    """A stream ended without saying that it was at its end."""


class Models:
    """The models that answer for a team, the first one first."""

    def __init__(
        self, models: Sequence[NamedModel], budget: Budget, context_tokens: int, down_seconds: float = 0
    ) -> None:
        """
        Args:
            context_tokens: how much of a conversation a model is given, as estimated.
            down_seconds: how long one that could not answer is asked after the others.
        """
        self.budget = budget
        self._models = models
        self._context_tokens = context_tokens
        self._down_seconds = down_seconds
        self._down_until: dict[int, float] = {}

    async def ask(
        self,
        thread_id: str,
        prompt: str,
        history: Sequence[AnyMessage],
        tools: Sequence[dict[str, Any]] = (),
        *,
        shown: bool = True,
    ) -> AIMessage:
        """One answer, its text streamed to whoever listens to the graph unless it is not to be `shown`.

        Raises:
            BudgetSpent: nothing was asked.
            ModelFailed: no model answered, or one broke off in the middle of what was already shown.
        """
        await self.budget.check(thread_id)
        messages: list[BaseMessage] = [SystemMessage(prompt), *fitting(paired(history), self._context_tokens)]
        try:
            answer = await self._first_answer(messages, tools, [] if shown else [TAG_NOSTREAM])
        except ModelFailed as failed:
            if done := came_of(history):
                raise ModelFailed(" ".join([*done, NOT_TOLD])) from failed
            raise
        model = answer.response_metadata.get("model_name")
        await self.budget.count(thread_id, model, answer.usage_metadata)
        return answer

    async def _first_answer(
        self, messages: list[BaseMessage], tools: Sequence[dict[str, Any]], tags: list[str]
    ) -> AIMessage:
        failed: Exception | None = None
        for one in self._in_order():
            asked = one.model.bind_tools(tools) if tools else one.model
            for _ in range(TRIES):
                attempt = _Attempt(one)
                try:
                    return await attempt.answer(asked.with_config(tags=tags), messages)
                except SmartSupportError:
                    raise
                except Exception as error:
                    log.warning("model_failed", model=one.name, began=attempt.began, error=repr(error))
                    failed = error
                    if attempt.is_final(error):
                        self._note_down(one, error)
                    if attempt.shown and not tags:
                        raise ModelFailed(CUT_OFF) from error
                    if attempt.is_final(error):
                        break
        raise ModelFailed(NO_ANSWER) from failed

    def _in_order(self) -> list[NamedModel]:
        """Every call would wait anew for one that is down: those that just failed come last."""
        now = time.monotonic()
        return sorted(self._models, key=lambda one: self._down_until.get(id(one), 0) > now)

    def _note_down(self, one: NamedModel, error: Exception) -> None:
        # What it says of one request is no reason to keep others from it.
        if getattr(error, "status_code", None) not in _ABOUT_THE_REQUEST:
            self._down_until[id(one)] = time.monotonic() + self._down_seconds


@dataclass(slots=True)
class _Attempt:
    """One request to one model, with what has come of it so far.

    Attributes:
        began: there was a sign of life. Before it, the model's own client has tried as often as it is worth.
        shown: some text was streamed, so it can't be said again.
    """

    one: NamedModel
    began: bool = False
    shown: bool = False

    async def answer(self, asked: Runnable[Any, Any], messages: list[BaseMessage]) -> AIMessage:
        parts: list[BaseMessage] = []
        # To the first sign of life, however often the client tries; after it the client minds the gaps.
        async with asyncio.timeout(self.one.timeout_seconds) as limit:
            async for part in asked.astream(messages):
                limit.reschedule(None)
                self.began = True
                self.shown = self.shown or bool(part.text)
                parts.append(part)
        whole = _joined(parts)
        if self.one.name and not _ended(whole):
            raise StreamCut("the stream ended without a finish_reason")
        return self._named(_strict(whole))

    def is_final(self, error: Exception) -> bool:
        """Whether this model is not worth another try."""
        return not self.began or isinstance(error, TimeoutError)

    def _named(self, answer: AIMessage) -> AIMessage:
        """The answer with a model's name that has a price; local servers tell a file's path, or none."""
        told = str(answer.response_metadata.get("model_name") or "")
        if self.one.name and not told.startswith(self.one.name):
            answer.response_metadata["model_name"] = self.one.name
        return answer


def _joined(parts: list[BaseMessage]) -> AIMessage:
    first, *others = parts
    return first + others if isinstance(first, AIMessageChunk) and others else first  # type: ignore[return-value]


def _ended(whole: AIMessage) -> bool:
    """Whether the provider said that this is all: chat completions by a reason, responses by a status.

    One that used all its tokens before it said anything, as by thinking, has not come to an end.
    """
    told = whole.response_metadata
    said = whole.text or whole.tool_calls or whole.invalid_tool_calls
    return bool(told.get("finish_reason") or told.get("status")) and (
        bool(said) or told.get("finish_reason") != "length"
    )


def _strict(whole: AIMessage) -> AIMessage:
    """The answer with only such calls as are JSON as they stand: LangChain completes what was cut off."""
    calls, broken = list(whole.tool_calls), list(whole.invalid_tool_calls)
    if isinstance(whole, AIMessageChunk):
        calls, broken = [], []
        for chunk in whole.tool_call_chunks:
            name, text = chunk["name"] or "", chunk["args"] or "{}"
            args = _object(text)
            if args is None:
                broken.append(
                    InvalidToolCall(
                        name=name,
                        args=text,
                        id=chunk["id"],
                        error="not a JSON object",
                        type="invalid_tool_call",
                    )
                )
            else:
                calls.append(ToolCall(name=name, args=args, id=chunk["id"], type="tool_call"))
    return AIMessage(
        content=whole.content,
        id=whole.id,
        tool_calls=calls,
        invalid_tool_calls=broken,
        usage_metadata=whole.usage_metadata,
        response_metadata=dict(whole.response_metadata),
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        # Control characters in strings are common and unmistakable; `NaN` is neither JSON nor a value.
        value = json.loads(text, strict=False, parse_constant=_refuse)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
