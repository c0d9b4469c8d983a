"""Calls chat models with fallback and retry, and discards partial tool calls.

A tool call counts only if its stream came to an end and its arguments are complete JSON.
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
CUT_SHORT = "The language model could not say more about it; please go on in a moment."


class StreamCut(Exception):
    """A stream ended without saying that it was at its end."""


class Models:
    """The chat models of a team: the first is called first, the others are fallbacks."""

    def __init__(
        self, models: Sequence[NamedModel], budget: Budget, context_tokens: int, down_seconds: float = 0
    ) -> None:
        """
        Args:
            context_tokens: how much of a conversation a model is sent, in estimated tokens.
            down_seconds: how long a model that could not answer is called after the others.
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
        """Return one answer; its text is streamed to the graph's listeners unless `shown` is false.

        Raises:
            BudgetSpent: no model was called.
            ModelFailed: no model answered, or a stream broke off after some of its text was shown.
        """
        await self.budget.check(thread_id)
        fitted = fitting(with_all_results(history), self._context_tokens)
        messages: list[BaseMessage] = [SystemMessage(prompt), *fitted]
        try:
            answer = await self._first_answer(messages, tools, [] if shown else [TAG_NOSTREAM])
        except ModelFailed as failed:
            if done := outcomes_of_writes(history):
                raise ModelFailed(" ".join([*done, CUT_SHORT])) from failed
            raise
        model = answer.response_metadata.get("model_name")
        await self.budget.count(thread_id, model, answer.usage_metadata)
        return answer

    async def _first_answer(
        self, messages: list[BaseMessage], tools: Sequence[dict[str, Any]], tags: list[str]
    ) -> AIMessage:
        failed: Exception | None = None
        for one in self._in_order():
            model = one.model.bind_tools(tools) if tools else one.model
            for _ in range(TRIES):
                attempt = Attempt(one)
                try:
                    return await attempt.answer(model.with_config(tags=tags), messages)
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
        """The models, those that have just failed last: each call would wait for them again."""
        now = time.monotonic()
        return sorted(self._models, key=lambda one: self._down_until.get(id(one), 0) > now)

    def _note_down(self, one: NamedModel, error: Exception) -> None:
        # An error about one request says nothing about the next.
        if getattr(error, "status_code", None) not in _ABOUT_THE_REQUEST:
            self._down_until[id(one)] = time.monotonic() + self._down_seconds


@dataclass(slots=True)
class Attempt:
    """One request to one model.

    Attributes:
        began: some part of the answer arrived. Until then the model's own client retries.
        shown: some text was streamed, so that the request must not be repeated.
    """

    one: NamedModel
    began: bool = False
    shown: bool = False

    async def answer(self, model: Runnable[Any, Any], messages: list[BaseMessage]) -> AIMessage:
        answer = StreamedAnswer()
        stream: Any = model.astream(messages)
        paused = time.monotonic()
        # The limit is for the first part, over all retries of the client; later gaps are the client's limit.
        async with asyncio.timeout(self.one.timeout_seconds) as limit, contextlib.aclosing(stream):
            async for part in stream:
                limit.reschedule(None)
                self.began = True
                self.shown = self.shown or bool(part.text)
                answer.add(part)
                if answer.is_cut:
                    log.warning("answer_cut", model=self.one.name)
                    break
                # Chunks that have already arrived are read without waiting: let other tasks run in between.
                if time.monotonic() - paused > SECONDS_BETWEEN_PAUSES:
                    await asyncio.sleep(0)
                    paused = time.monotonic()
        whole = answer.message()
        if self.one.name and not (answer.is_cut or _ended(whole)):
            raise StreamCut("the stream ended without a finish_reason")
        return self._named(whole)

    def is_final(self, error: Exception) -> bool:
        """Whether another try with this model is useless."""
        return not self.began or isinstance(error, TimeoutError)

    def _named(self, answer: AIMessage) -> AIMessage:
        """The answer with the configured model's name: local servers report a file path, or nothing."""
        reported = str(answer.response_metadata.get("model_name") or "")
        if self.one.name and not reported.startswith(self.one.name):
            answer.response_metadata["model_name"] = self.one.name
        return answer


def _ended(whole: AIMessage) -> bool:
    """Whether the provider marked the end: chat completions by `finish_reason`, responses by `status`.

    An answer that used all its tokens before any text, for example on reasoning, has not ended.
    """
    metadata = whole.response_metadata
    said = whole.text or whole.tool_calls or whole.invalid_tool_calls
    return bool(metadata.get("finish_reason") or metadata.get("status")) and (
        bool(said) or metadata.get("finish_reason") != "length"
    )
