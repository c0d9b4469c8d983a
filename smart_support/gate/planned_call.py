"""Tool calls as the graph carries them, and the messages that answer them. Nothing is judged or run here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import takewhile
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from smart_support.approvals.approval import Request
from smart_support.approvals.digest import digest
from smart_support.approvals.policy import BY_POLICY
from smart_support.text import clean_text

MAX_ARGUMENT_BYTES = 20_000
CUT_OFF = "This was interrupted; it is not known what came of it."


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call the gate let through.

    Attributes:
        need: of a write, what the policy asks for (`run`, `ask`, `two_leads`), and `because`: in whose words.
        escalate: where it is forbidden, a human is told.
        facts: what that was judged on.
        effect: what will change, found on a copy.
        seen: the state its card was built on; None where the tool does not tell.
        seen_of: the arguments that state is of, where a human has edited them since.
        changed: what is different since it was approved before, where that is why it is asked again.
    """

    tool_call_id: str
    tool: str
    args: dict[str, Any]
    agent: str
    summary: str
    risk: str
    tool_version: str
    need: str | None = None
    because: str | None = None
    escalate: bool = False
    facts: dict[str, Any] | None = None
    customer_id: str | None = None
    effect: list[dict[str, str]] | None = None
    seen: dict[str, Any] | None = None
    seen_of: dict[str, Any] | None = None
    changed: list[dict[str, str]] | None = None

    @property
    def asks(self) -> bool:
        """Whether a human decides first."""
        return self.need in ("ask", "two_leads")

    def state(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, state: dict[str, Any]) -> "PlannedCall":
        """From what `state` gave; one that waits from before there was a policy asked a human."""
        known = {item.name for item in fields(cls)}
        need = {"need": "ask"} if state.get("ask") else {}
        return cls(**need | {name: value for name, value in state.items() if name in known})

    @property
    def state_args(self) -> dict[str, Any]:
        """The arguments that `seen` is of."""
        return self.args if self.seen_of is None else self.seen_of

    def edited(self, answer: Mapping[str, Any]) -> "PlannedCall":
        """The same call with a human's arguments, and what goes with them.

        What the human saw stays as it is: where it has changed by the time the call runs, it is asked again.
        """
        names = ("args", "summary", "customer_id", "effect", "facts")
        given = {name: answer[name] for name in names if name in answer}
        return replace(self, **given, seen_of=self.state_args)


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
    """How many of the last tool calls broke, one after the other; a rule's no is no failure."""
    results = [message for message in reversed(messages) if isinstance(message, ToolMessage)]
    artifacts = [message.artifact if isinstance(message.artifact, dict) else {} for message in results]
    return next((n for n, artifact in enumerate(artifacts) if not artifact.get("broke")), len(results))


def came_of(messages: Sequence[AnyMessage]) -> list[str]:
    """What came of the writes since the customer spoke, for where no model is there to say it."""
    said = []
    for message in takewhile(lambda one: not isinstance(one, HumanMessage), reversed(messages)):
        if isinstance(message, ToolMessage) and (message.artifact or {}).get("approval_id"):
            done = "done" if message.artifact.get("status") == "ok" else "not done"
            said.append(f"{words_of(message.name or '')}: {done}.")
    return said[::-1]


def storable(args: Any) -> bool:
    """Whether arguments can be kept exactly: JSON of a fair size, no number beyond 64 bits."""
    try:
        return len(orjson.dumps(args)) <= MAX_ARGUMENT_BYTES
    except (TypeError, orjson.JSONEncodeError):
        return False


def refused(call: dict[str, Any], answer: dict[str, Any], agent: str, skipped: list[str]) -> ToolMessage:
    """The result of a call that a human's word, or the lack of it, kept from running."""
    outcome, by, reason = answer.get("outcome", "rejected"), answer.get("decided_by"), answer.get("reason")
    text = {
        "rejected": f"{call['name']} was rejected"
        + (f" by {by}" if by else "")
        + " and was not carried out.",
        "expired": f"Nobody decided on {call['name']} in time, so it was not carried out. "
        "The customer may ask again; that makes a new request.",
        "skipped": f"{call['name']} was skipped, because {answer.get('after')} before it was not approved.",
    }[outcome]
    if reason:
        text += f" Reason: {reason}"
    if skipped:
        text += " Skipped with it, and not carried out either: " + "; ".join(skipped) + "."
    return result(call, text, agent, status=outcome, reason=reason, skipped=skipped)


def paired(messages: Sequence[AnyMessage], unanswered: str = CUT_OFF) -> list[AnyMessage]:
    """A history in which every tool call has its result: providers refuse one that was cut off between.

    Args:
        unanswered: what the model is told of a call without one.
    """
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    whole: list[AnyMessage] = []
    for message in messages:
        whole.append(message)
        if isinstance(message, AIMessage):
            calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
            whole += [
                result(call, unanswered, "", status="error") for call in calls if call["id"] not in answered
            ]
    return whole


def words_of(tool: str) -> str:
    """A tool's name as people read it."""
    return tool.replace("_", " ").capitalize()


def digest_of(planned: PlannedCall, thread_id: str) -> str:
    """What exactly is approved, or about to run."""
    return digest(
        tool=planned.tool,
        version=planned.tool_version,
        args=planned.args,
        thread_id=thread_id,
        customer_id=planned.customer_id,
    )


def unasked(planned: PlannedCall, thread_id: str) -> Request:
    """A call that no human is asked about, as the record keeps it."""
    return Request(
        thread_id=thread_id,
        interrupt_id=f"{BY_POLICY}:{planned.tool_call_id}",
        action=planned.tool,
        args=planned.args,
        agent=planned.agent,
        summary=planned.summary,
        risk=planned.risk,
        tool_call_id=planned.tool_call_id,
        customer_id=planned.customer_id,
        tool_version=planned.tool_version,
        effect=planned.effect,
        need=planned.need or "ask",
        because=planned.because,
        facts=planned.facts,
    )


def result(call: dict[str, Any], text: str, agent: str, *, status: str, **more: Any) -> ToolMessage:
    """The message that answers a call; `more` goes with it for the record, not to the model."""
    return ToolMessage(
        content=clean_text(text),
        name=str(call["name"])[:100],
        tool_call_id=call["id"],
        status="success" if status == "ok" else "error",
        artifact={"status": status, "agent": agent, **more},
    )
