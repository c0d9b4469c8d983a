"""The part of a long conversation that fits into a model's context window, and an estimate of tokens."""

import json
import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

# Estimates, rather above than below what tokenizers of today give. English has four characters a token.
_ASCII_PER_TOKEN = 4
# Accented Latin, Greek, Cyrillic, Hebrew, Arabic, the scripts of India and South-East Asia.
_OTHERS_PER_TOKEN = 2
# Chinese, Japanese and Korean: a token for each character. Beyond the first plane, with emoji: two.
_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]")
_ASTRAL = re.compile(r"[\ud800-\udfff\U00010000-\U0010ffff]")
_TOKENS_PER_MESSAGE = 4
_CUT = "\n… (cut: the conversation is too long for this model)"
# A result is not cut below this, whatever the limit.
_LEAST_RESULT_CHARS = 500


def tokens_of_text(text: str) -> int:
    """About how many tokens a text has."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    wide, astral = len(_WIDE.findall(text)), len(_ASTRAL.findall(text))
    ascii_chars = len(text.encode("ascii", "ignore"))
    others = len(text) - ascii_chars - wide - astral
    return -(-ascii_chars // _ASCII_PER_TOKEN) + -(-others // _OTHERS_PER_TOKEN) + wide + 2 * astral


def estimated_tokens(messages: Sequence[BaseMessage]) -> int:
    """About how many tokens messages have, with the arguments of their calls."""
    return sum(_TOKENS_PER_MESSAGE + sum(map(tokens_of_text, _texts(message))) for message in messages)


def _texts(message: BaseMessage) -> list[str]:
    texts = [message.content if isinstance(message.content, str) else str(message.text)]
    if isinstance(message, AIMessage):
        texts += [json.dumps(call["args"], ensure_ascii=False, default=str) for call in message.tool_calls]
        texts += [str(call["args"]) for call in message.invalid_tool_calls]
        texts += [str(call["name"]) for call in (*message.tool_calls, *message.invalid_tool_calls)]
    return texts


def fitting(history: Sequence[AnyMessage], max_tokens: int, *, cut_results: bool = False) -> list[AnyMessage]:
    """The newest part of a conversation that fits: a call and its results together, or neither.

    The customer's last message and the last step are always included, whatever their size. The part begins
    with a customer's message, because some models require that.

    Args:
        history: every call in it is directly followed by its results.
        max_tokens: estimated, as in `estimated_tokens`.
        cut_results: cut the results of the last step where what is always included does not fit.
    """
    steps = _steps(history)
    last_said = max((n for n, step in enumerate(steps) if isinstance(step[0], HumanMessage)), default=-1)
    kept = {last_said, len(steps) - 1} - {-1}
    left = max_tokens - sum(estimated_tokens(steps[n]) for n in kept)
    if cut_results and left < 0:
        steps[-1] = _with_cut_results(steps[-1], -left)
    for number in range(len(steps) - 1, -1, -1):
        if number in kept:
            continue
        left -= estimated_tokens(steps[number])
        if left < 0:
            first = min((n for n in kept if isinstance(steps[n][0], HumanMessage)), default=0)
            kept = {n for n in kept if n >= first}
            break
        kept.add(number)
    return [message for number in sorted(kept) for message in steps[number]]


def _steps(history: Sequence[AnyMessage]) -> list[list[AnyMessage]]:
    """The messages, each with its results."""
    steps: list[list[AnyMessage]] = []
    for message in history:
        if isinstance(message, ToolMessage) and steps:
            steps[-1].append(message)
        else:
            steps.append([message])
    return steps


def _with_cut_results(step: list[AnyMessage], excess_tokens: int) -> list[AnyMessage]:
    """A step whose results, together, are shorter by about that many tokens, as far as that is possible."""
    results = [message for message in step if isinstance(message, ToolMessage)]
    size = sum(tokens_of_text(str(message.text)) for message in results)
    share = max(size - excess_tokens, 0) / size if size else 1
    return [_cut(message, share) if isinstance(message, ToolMessage) else message for message in step]


def _cut(message: ToolMessage, share: float) -> ToolMessage:
    text = str(message.text)
    length = max(int(len(text) * share), _LEAST_RESULT_CHARS)
    return message if length >= len(text) else message.model_copy(update={"content": text[:length] + _CUT})
