"""Tool calls and their results as LangChain messages."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from smart_support.gate.call_result import CallResult, refusal_text
from smart_support.tools.registry import title_of

_Message = TypeVar("_Message", bound=BaseMessage)
# Entries of an artifact that have the name of the result's attribute.
_RECORDED = "status", "agent", "duration_ms", "customer_id", "approval_id", "policy", "error_class", "whole"
CUT_OFF = "This was interrupted; it is not known what came of it."


def pending_calls(messages: Sequence[AnyMessage]) -> list[dict[str, Any]]:
    """The tool calls of the last AI message that have no result yet, in the model's order.

    A call whose arguments were not JSON is among them, with `args` null.
    """
    results: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            results.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            broken = [{**call, "args": None} for call in message.invalid_tool_calls]
            return [dict(call) for call in (*message.tool_calls, *broken) if call["id"] not in results]
        else:
            break
    return []


def failures_in_a_row(messages: Sequence[AnyMessage]) -> int:
    """How many of the last tool calls broke, one after the other; a refusal by a rule is no failure."""
    results = [message for message in reversed(messages) if isinstance(message, ToolMessage)]
    artifacts = [message.artifact if isinstance(message.artifact, dict) else {} for message in results]
    return next((n for n, artifact in enumerate(artifacts) if not artifact.get("broke")), len(results))


def outcomes_of_writes(messages: Sequence[AnyMessage]) -> list[str]:
    """A sentence for each write since the customer's last message, for use where no model can answer."""
    sentences = []
    for message in takewhile(lambda one: not isinstance(one, HumanMessage), reversed(messages)):
        if isinstance(message, ToolMessage) and (message.artifact or {}).get("approval_id"):
            done = "done" if message.artifact.get("status") == "ok" else "not done"
            sentences.append(f"{title_of(message.name or '')}: {done}.")
    return sentences[::-1]


def refused(call: dict[str, Any], answer: dict[str, Any], agent: str, skipped: list[str]) -> ToolMessage:
    """The result of a call that a person rejected, that expired, was withdrawn, or was skipped.

    A call is skipped after one that was not approved, and where a person has taken the conversation.

    Args:
        answer: `outcome` (`rejected`, `expired`, `withdrawn`, `skipped` or `taken`), and as far as known
            `decided_by`, `reason` and `after`, the name of the call that was not approved.
        skipped: what is skipped because of it.
    """
    outcome, by, reason = answer.get("outcome", "rejected"), answer.get("decided_by"), answer.get("reason")
    text = refusal_text(call["name"], outcome, by, answer.get("after"))
    if reason:
        text += f" Reason: {reason}"
    if skipped:
        text += " Skipped with it, and not carried out either: " + "; ".join(skipped) + "."
    is_withdrawn = outcome == "withdrawn"
    is_skipped = is_withdrawn or outcome == "taken"
    result = CallResult(
        tool_call_id=call["id"],
        tool=str(call["name"]),
        agent=agent,
        status="skipped" if is_skipped else outcome,
        text=text,
    )
    return tool_message(result, reason=reason, skipped=skipped, withdrawn=is_withdrawn)


def with_all_results(messages: Sequence[_Message], missing: str = CUT_OFF) -> list[_Message | ToolMessage]:
    """A history in which every tool call has a result: model providers reject one without.

    Args:
        missing: the text of a result that is added.
    """
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    complete: list[_Message | ToolMessage] = []
    for message in messages:
        complete.append(message)
        if isinstance(message, AIMessage):
            calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
            complete += [_cut_off(call, missing) for call in calls if call["id"] not in answered]
    return complete


def _cut_off(call: dict[str, Any], text: str) -> ToolMessage:
    return tool_message(
        CallResult(tool_call_id=call["id"], tool=str(call["name"]), agent="", status="error", text=text)
    )


def tool_message(result: CallResult, **more: Any) -> ToolMessage:
    """The message that answers a call. Its artifact is for the record and is not sent to the model.

    Args:
        more: further entries of the artifact.
    """
    artifact = {name: value for name in _RECORDED if (value := getattr(result, name)) is not None}
    if result.is_final:
        artifact["as_it_stands"] = True
    if result.has_failed:
        artifact["broke"] = True
    if (escalation := result.escalation) is not None:
        artifact["escalation"] = {
            "reason": escalation.reason,
            "delivered": escalation.delivered,
            "kind": escalation.kind,
        }
    return ToolMessage(
        content=result.text,
        name=result.tool[:100],
        tool_call_id=result.tool_call_id,
        status="success" if result.status == "ok" else "error",
        artifact=artifact | more,
    )
