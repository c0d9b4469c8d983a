"""Calls chat models with fallback and retry, and discards partial tool calls.

A tool call counts only if its stream came to an end and its arguments are complete JSON.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage
from langchain_core.runnables import Runnable
from langgraph.constants import TAG_NOSTREAM

from smart_support.agents.budget import Budget
from smart_support.agents.context_window import estimated_tokens
from smart_support.agents.model_families import opens_no_thought
from smart_support.agents.models import NamedModel
from smart_support.agents.outgoing import faults_in, outgoing_messages
from smart_support.agents.streamed_answer import (
    INCOMPLETE,
    STREAM_FACTS,
    AnswerTooLong,
    StreamedAnswer,
    StreamFacts,
    limit_partial_json,
)
from smart_support.agents.tool_messages import outcomes_of_writes
from smart_support.errors import ModelFailed, SmartSupportError
from smart_support.observability.log import get_logger

log = get_logger()
TRIES = 2
# How often a request that is too long for the model is made shorter.
MAX_TRIMS = 3
# A pause for each chunk would cost much of a turn: what can be sent in one go would be sent in many.
SECONDS_BETWEEN_PAUSES = 0.005
_ABOUT_THE_REQUEST = (400, 413, 422)
NO_ANSWER = "The language model could not answer. Your message is kept; please send it again in a moment."
# By why there was no answer; see `NoAnswer`.
_NO_ANSWER = {
    "empty": "The language model gave an empty answer, more than once. Your message is kept; please send it "
    "again in a moment.",
    "length": "The language model used up its answer before it said anything. Your message is kept; please "
    "ask for less at once.",
    "content_filter": "The provider of the language model has blocked the answer. Your message is kept; "
    "please say it in other words.",
    "refusal": "The language model refused to answer this. Please say it in other words, or ask for a "
    "colleague.",
}
CUT_OFF = (
    "The answer was cut off; what you see of it is not all. Nothing was done because of it. Please send your "
    "message again."
)
TOO_LONG = (
    "The language model's answer was too long, so the rest of it was not read. Nothing was done because of "
    "it. Please ask for less at once."
)
CUT_SHORT = "The language model could not say more about it; please go on in a moment."
# What providers say of a request that is too long: OpenAI, Anthropic, Google, Mistral, xAI, Groq, Cohere,
# Bedrock, OpenRouter, vLLM, llama.cpp, Ollama, and gateways between them.
_TOO_LONG_REQUEST = re.compile(
    r"context.?length|context.?window|context.?size|maximum.?context|maximum prompt length|prompt is too long"
    r"|input is too long|too many (input )?tokens|exceeds? the (maximum|max|limit|token|available context)"
    r"|reduce the length|token.?limit|tokens exceed|input token count|too large for model|request_too_large"
    r"|string.?too.?long|prompt.{0,40}exceed",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unrecognized|unrecognised|unknown|unexpected|not permitted|not allowed"
    r"|forbidden|does not support|invalid|extra",
    re.IGNORECASE,
)
# What a request can do without.
_OPTIONAL = "temperature", "max_completion_tokens", "max_tokens", "stream_options"
Show = Callable[[str], None]


class StreamCut(Exception):
    """A stream ended without saying that it was at its end."""


class CallInText(Exception):
    """A server left a tool call in the text: it does not parse the calls of its model."""


class NoAnswer(Exception):
    """An answer came to its end and said nothing.

    Attributes:
        reason: `length` (all its tokens went into thoughts), `content_filter`, `refusal` or `empty`.
    """

    def __init__(self, reason: str, answer: AIMessage) -> None:
        super().__init__(f"the answer said nothing: {reason}")
        self.reason = reason
        self.answer = answer


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is asked, whichever model it is.

    Attributes:
        show: takes the words of the answer as they come; None where nobody reads them.
        must_answer: an answer with nothing in it is not accepted.
    """

    thread_id: str
    prompt: str
    history: Sequence[AnyMessage]
    tools: Sequence[dict[str, Any]]
    show: Show | None
    must_answer: bool


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
        self._models = [ModelState(one, context_tokens) for one in models]
        self._down_seconds = down_seconds

    async def ask(
        self,
        thread_id: str,
        prompt: str,
        history: Sequence[AnyMessage],
        tools: Sequence[dict[str, Any]] = (),
        *,
        show: Show | None = None,
        must_answer: bool = True,
    ) -> AIMessage:
        """Return one answer. Its `response_metadata` has `incomplete` where it is only a part of one.

        Args:
            show: takes the words of the answer as they come.
            must_answer: an answer without words and calls counts as a failure.

        Raises:
            BudgetSpent: no model was called.
            ModelFailed: no model answered, or a stream broke off after some of its text was shown.
        """
        await self.budget.check(thread_id)
        request = ModelRequest(thread_id, prompt, history, tools, show, must_answer)
        try:
            answer = await self._first_answer(request)
        except ModelFailed as failed:
            if done := outcomes_of_writes(history):
                raise ModelFailed(" ".join([*done, CUT_SHORT]), failed.reason) from failed
            raise
        await self._count(request, answer)
        if reason := answer.response_metadata.get(INCOMPLETE):
            log.warning("answer_incomplete", reason=reason, model=answer.response_metadata.get("model_name"))
        return answer

    async def _first_answer(self, request: ModelRequest) -> AIMessage:
        failed: Exception | None = None
        for model in self._in_order():
            for _ in range(TRIES):
                attempt = Attempt(model, request)
                try:
                    return await attempt.answer()
                except SmartSupportError:
                    raise
                except Exception as error:
                    log.warning(
                        "model_failed",
                        model=model.name,
                        began=attempt.began,
                        reason=_reason(error),
                        error=repr(error),
                    )
                    failed = error
                    if attempt.is_final(error):
                        model.note_down(error, self._down_seconds)
                    if isinstance(error, NoAnswer):
                        await self._count(request, error.answer)
                    if isinstance(error, AnswerTooLong):
                        raise ModelFailed(TOO_LONG, _reason(error)) from error
                    if attempt.shown:
                        raise ModelFailed(CUT_OFF, _reason(error)) from error
                    if attempt.is_final(error):
                        break
        reason = _reason(failed)
        raise ModelFailed(_NO_ANSWER.get(reason, NO_ANSWER), reason) from failed

    def _in_order(self) -> list["ModelState"]:
        """The models, those that have just failed last: each call would wait for them again."""
        now = time.monotonic()
        return sorted(self._models, key=lambda one: one.down_until > now)

    async def _count(self, request: ModelRequest, answer: AIMessage) -> None:
        """Count an answer for the budget, whether it is used or not."""
        model = answer.response_metadata.get("model_name")
        await self.budget.count(request.thread_id, model, answer.usage_metadata)


def _reason(error: Exception | None) -> str:
    """Why there is no answer, in a word, for the record."""
    if isinstance(error, NoAnswer):
        return error.reason
    if isinstance(error, AnswerTooLong):
        return "too_long"
    if isinstance(error, StreamCut | CallInText):
        return "cut_off"
    return "timeout" if isinstance(error, TimeoutError) else "failed"


@dataclass(slots=True)
class ModelState:
    """A model, and what was learned of it since the start.

    Attributes:
        context_tokens: how much of a conversation it takes, in estimated tokens.
        has_refused_length: a request was too long for it.
        down_until: it could not answer; until then it is called after the others.
        opens_in_thought: whether its answers begin inside a thought, without the opening tag; None where that
            is not known yet.
    """

    one: NamedModel
    context_tokens: int
    has_refused_length: bool = False
    down_until: float = 0
    opens_in_thought: bool | None = field(init=False)

    def __post_init__(self) -> None:
        may_open = self.one.name is not None and self.one.profile.may_open_in_thought
        self.opens_in_thought = None if may_open else False

    @property
    def name(self) -> str | None:
        return self.one.name

    def note_down(self, error: Exception, seconds: float) -> None:
        # An error about one request says nothing about the next.
        if getattr(error, "status_code", None) not in _ABOUT_THE_REQUEST:
            self.down_until = time.monotonic() + seconds

    def note_start(self, answer: StreamedAnswer, message: AIMessage) -> None:
        """Note whether an answer began inside a thought. The first is the router's, which nobody reads."""
        has_begun = str(message.text).strip() or message.tool_calls
        if answer.opened_in_thought:
            self.opens_in_thought = True
        elif self.opens_in_thought is None and has_begun and INCOMPLETE not in message.response_metadata:
            self.opens_in_thought = False

    def opens_no_thought(self, reported_name: str | None) -> bool:
        """Whether no answer is known yet, and the model's name says that none begins inside a thought."""
        return self.opens_in_thought is None and opens_no_thought(self.name, reported_name)

    def leave_out(self, error: Exception) -> bool:
        """Leave a parameter out of all later requests, where an error says that the server refuses it."""
        left_out: set[str] | None = getattr(self.one.model, "left_out", None)
        text = str(error)
        if left_out is None or not _is_about_the_request(error) or not _UNSUPPORTED.search(text):
            return False
        # Some errors name the parameter to use instead: the refused one comes first.
        named = [name for name in _OPTIONAL if name in text and name not in left_out]
        if not named:
            return False
        left_out.add(min(named, key=text.index))
        return True


@dataclass(slots=True)
class Attempt:
    """One request to one model; it is repeated as long as the model says how it must be changed.

    Attributes:
        began: some part of the answer arrived. Until then the model's own client retries.
        shown: some text was shown, so that the request must not be repeated.
    """

    model: ModelState
    request: ModelRequest
    began: bool = False
    shown: bool = False

    async def answer(self) -> AIMessage:
        """Return the answer.

        Raises:
            NoAnswer, StreamCut, AnswerTooLong: there is none, or only a part of one.
        """
        one, trims = self.model.one, 0
        client: Runnable[Any, Any] = (
            one.model.bind_tools(self.request.tools) if self.request.tools else one.model
        )
        client = client.with_config(tags=[TAG_NOSTREAM])
        while True:
            messages = outgoing_messages(
                self.request.prompt,
                self.request.history,
                self.model.context_tokens,
                one.profile,
                cut_results=self.model.has_refused_length,
            )
            if faults := faults_in(messages, one.profile):
                log.error("request_faulty", model=one.name, faults=faults)
            try:
                return await self._stream(client, messages)
            except Exception as error:
                if self.began or not self._can_change(error, messages, trims):
                    raise
                trims += 1

    def _can_change(self, error: Exception, messages: Sequence[BaseMessage], trims: int) -> bool:
        """Change what the model refuses of the request, if it says so and it can be changed."""
        if trims >= MAX_TRIMS:
            return False
        if _is_too_long(error):
            self.model.has_refused_length = True
            self.model.context_tokens = min(self.model.context_tokens, estimated_tokens(messages[1:])) // 2
            log.warning("request_too_long", model=self.model.name, tokens=self.model.context_tokens)
            return True
        if self.model.leave_out(error):
            log.warning("parameter_refused", model=self.model.name, error=repr(error))
            return True
        return False

    async def _stream(self, client: Runnable[Any, Any], messages: list[BaseMessage]) -> AIMessage:
        one = self.model.one
        answer = StreamedAnswer(opens_in_thought=self.model.opens_in_thought)
        words = _Words(self.request.show)
        facts = StreamFacts()
        STREAM_FACTS.set(facts)
        stream: Any = client.astream(messages)
        paused = time.monotonic()
        try:
            # The limit is for the first part, over all retries of the client. The client limits later gaps.
            async with asyncio.timeout(one.timeout_seconds) as limit, contextlib.aclosing(stream):
                async for part in stream:
                    limit.reschedule(None)
                    if not self.began and self.model.opens_no_thought(facts.model):
                        answer.release()
                    self.began = True
                    words.add(answer.add(part))
                    if answer.is_cut:
                        log.warning("answer_cut", model=one.name)
                        break
                    # Chunks that have already arrived are read without waiting: let other tasks run.
                    if time.monotonic() - paused > SECONDS_BETWEEN_PAUSES:
                        await asyncio.sleep(0)
                        paused = time.monotonic()
            words.add(answer.end())
        except Exception as error:
            if isinstance(error, ValueError) and not self.began:
                # LangChain's error for an answer without any chunk.
                raise StreamCut("the stream had no chunk") from error
            # What was held back is part of what the customer may see, as is what was shown.
            words.add(answer.end())
            raise
        finally:
            self.shown = words.shown
        whole = self._named(answer.message())
        self.model.note_start(answer, whole)
        said = str(whole.text).strip() or _has_calls(whole)
        reason = whole.response_metadata.get(INCOMPLETE)
        if one.name and not (answer.is_cut or facts.is_done or _has_ended(whole)):
            raise StreamCut("the stream ended without a finish_reason")
        if not said and (self.request.must_answer or reason == "length"):
            raise NoAnswer(reason or "empty", whole)
        if answer.has_call_in_text and self.request.must_answer and not _has_calls(whole):
            raise CallInText("the text holds a tool call; does the server have a parser for tool calls?")
        return whole

    def is_final(self, error: Exception) -> bool:
        """Whether another try with this model is useless."""
        can_pass = self.began or isinstance(error, StreamCut) or _is_in_stream(error)
        return isinstance(error, TimeoutError) or not can_pass

    def _named(self, answer: AIMessage) -> AIMessage:
        """The answer with the configured model's name: local servers report a file path, or nothing."""
        name = self.model.name
        reported = str(answer.response_metadata.get("model_name") or "")
        if name and not reported.startswith(name):
            answer.response_metadata["model_name"] = name
        return answer


class _Words:
    """Shows the words of one answer.

    White space waits for the first word: an answer with nothing else in it is none.

    Attributes:
        shown: something was shown.
    """

    def __init__(self, show: Show | None) -> None:
        self._show = show
        self._waiting: list[str] = []
        self.shown = False

    def add(self, pieces: Sequence[str]) -> None:
        if self._show is None:
            return
        self._waiting += pieces
        if self.shown or any(piece.strip() for piece in pieces):
            for piece in filter(None, self._waiting):
                self._show(piece)
            self._waiting.clear()
            self.shown = True


def _has_calls(whole: AIMessage) -> bool:
    return bool(whole.tool_calls or whole.invalid_tool_calls)


def _has_ended(whole: AIMessage) -> bool:
    """Whether the provider marked the end: by a reason, or by `status` in OpenAI's Responses API."""
    metadata = whole.response_metadata
    return any(metadata.get(name) for name in ("finish_reason", "stop_reason", "done_reason", "status"))


def _is_in_stream(error: Exception) -> bool:
    """Whether a server with status 200 has sent an error as an event: no client repeats such a request."""
    has_failed_before = getattr(error, "status_code", None) not in (None, 200)
    return getattr(error, "body", None) is not None and not has_failed_before


def _is_about_the_request(error: Exception) -> bool:
    return getattr(error, "status_code", None) in (None, *_ABOUT_THE_REQUEST)


def _is_too_long(error: Exception) -> bool:
    if isinstance(error, ContextOverflowError):
        return True
    return _is_about_the_request(error) and bool(_TOO_LONG_REQUEST.search(str(error)))
