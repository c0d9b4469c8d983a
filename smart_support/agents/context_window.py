"""The part of a long conversation that fits into a model's context window."""

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately


def fitting(history: Sequence[AnyMessage], max_tokens: int) -> list[AnyMessage]:
    """The newest part of a conversation that fits: a call and its results together, or neither.

    The customer's last message and the last step are always included, whatever their size. The part begins
    with a customer's message, because some models require that.

    Args:
        history: every call in it is directly followed by its results.
        max_tokens: estimated, at four characters a token.
    """
    steps = _steps(history)
    last_said = max((n for n, step in enumerate(steps) if isinstance(step[0], HumanMessage)), default=-1)
    kept = {last_said, len(steps) - 1} - {-1}
    left = max_tokens - sum(count_tokens_approximately(steps[n]) for n in kept)
    for number in range(len(steps) - 1, -1, -1):
        if number in kept:
            continue
        left -= count_tokens_approximately(steps[number])
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
