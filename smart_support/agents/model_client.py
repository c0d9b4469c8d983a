"""How chat models are asked: in order until one answers, what was not shown yet once more, nothing by halves.

A tool call passes only whole: its stream came to its end, and its arguments are JSON to the last bracket.
Which models there are is in `models.py`, what they may use in `budget.py`.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    SystemMessage,
)
from langchain_core.runnables import Runnable
from langgraph.constants import TAG_NOSTREAM

from smart_support.agents.budget import Budget
from smart_support.agents.context_window import fitting
from smart_support.agents.models import NamedModel
from smart_support.agents.streamed_answer import AnswerTooLong, StreamedAnswer, limit_partial_json
from smart_support.agents.tool_messages import outcomes_of_writes, with_all_results
from smart_support.errors import ModelFailed, SmartSupportError
from smart_support.observability.log import get_logger

log = get_logger()
TRIES = 2
# A pause for each chunk would cost much of a turn: what can be sent in one go would be sent in many.
SECONDS_BETWEEN_PAUSES = 0.005
_ABOUT_THE_REQUEST = (400, 413, 422)
NO_ANSWER = "The language model could not answer. Your message is kept; please send it again in a moment."
CUT_OFF = (
    "The answer was cut off; what you see of it is not all. Nothing was done because of it. Please send your "
    "message again."
)
TOO_LONG = (
    "The language model's answer was too long, so the rest of it was not read. Nothing was done because of "
    "it. Please ask for less at once."
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
        limit_partial_json()
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
        fitted = fitting(with_all_results(history), self._context_tokens)
        messages: list[BaseMessage] = [SystemMessage(prompt), *fitted]
        try:
            answer = await self._first_answer(messages, tools, [] if shown else [TAG_NOSTREAM])
        except ModelFailed as failed:
            if done := outcomes_of_writes(history):
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
                    if isinstance(error, AnswerTooLong):
                        raise ModelFailed(TOO_LONG) from error
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
        answer = StreamedAnswer()
        stream: Any = asked.astream(messages)
        paused = time.monotonic()
        # To the first sign of life, however often the client tries; after it the client minds the gaps.
        async with asyncio.timeout(self.one.timeout_seconds) as limit, contextlib.aclosing(stream):
            async for part in stream:
                limit.reschedule(None)
                self.began = True
                self.shown = self.shown or bool(part.text)
                answer.add(part)
                if answer.is_cut:
                    log.warning("answer_cut", model=self.one.name)
                    break
                # What has arrived already is read without waiting: let others go on in between.
                if time.monotonic() - paused > SECONDS_BETWEEN_PAUSES:
                    await asyncio.sleep(0)
                    paused = time.monotonic()
        whole = answer.message()
        if self.one.name and not (answer.is_cut or _ended(whole)):
            raise StreamCut("the stream ended without a finish_reason")
        return self._named(whole)

    def is_final(self, error: Exception) -> bool:
        """Whether this model is not worth another try."""
        return not self.began or isinstance(error, TimeoutError)

    def _named(self, answer: AIMessage) -> AIMessage:
        """The answer with a model's name that has a price; local servers tell a file's path, or none."""
        told = str(answer.response_metadata.get("model_name") or "")
        if self.one.name and not told.startswith(self.one.name):
            answer.response_metadata["model_name"] = self.one.name
        return answer


def _ended(whole: AIMessage) -> bool:
    """Whether the provider said that this is all: chat completions by a reason, responses by a status.

    One that used all its tokens before it said anything, as by thinking, has not come to an end.
    """
    told = whole.response_metadata
    said = whole.text or whole.tool_calls or whole.invalid_tool_calls
    return bool(told.get("finish_reason") or told.get("status")) and (
        bool(said) or told.get("finish_reason") != "length"
    )
