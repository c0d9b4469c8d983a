"""What a graph waits for, read from its interrupts: one wanted approval for each action, and how to answer.

Three shapes are understood: our own graph's, the flat `{"action": NAME, ...args}`, and the
`action_requests` of LangChain's HumanInTheLoopMiddleware.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_support.approvals.approval import Approval, Request, summary_of

Interrupts = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One interrupt: its id, its raw value, and what each of its parts wants."""

    interrupt_id: str
    value: Any
    requests: list[Request]


def asked(thread_id: str, agent: str, interrupts: Interrupts) -> list[Asked]:
    """What the interrupts of a graph's state ask for, in order.

    Args:
        agent: who asks, where the interrupt itself does not say.
    """
    return [
        Asked(item.id, item.value, _requests(thread_id, item.id, agent, item.value)) for item in interrupts
    ]


def answer(waiting: Asked, decided: Sequence[Approval]) -> Any:
    """The value that resumes an interrupt, once each of its parts is decided."""
    value = waiting.value
    if isinstance(value, Mapping) and isinstance(value.get("approval"), Mapping):
        return _own_answer(decided[0])
    if isinstance(value, Mapping) and "action_requests" in value:
        return {"decisions": [_middleware_decision(approval) for approval in decided]}
    if decided[0].status == "edited":
        return {"approved": True, "args": decided[0].args}
    return decided[0].approved


def _own_answer(approval: Approval) -> dict[str, Any]:
    answer = {
        "outcome": approval.status,
        "args": approval.args,
        "reason": approval.reason,
        "decided_by": approval.decided_by,
    }
    if approval.status == "edited":
        answer |= {name: getattr(approval, name) for name in ("summary", "customer_id", "effect", "facts")}
    return answer


def _middleware_decision(approval: Approval) -> dict[str, Any]:
    if approval.status == "approved":
        return {"type": "approve"}
    if approval.status == "edited":
        return {"type": "edit", "edited_action": {"name": approval.action, "args": approval.args}}
    return {"type": "reject", "message": approval.reason or f"{approval.action} was {approval.status}."}


def _requests(thread_id: str, interrupt_id: str, agent: str, value: Any) -> list[Request]:
    if isinstance(value, Mapping) and isinstance(value.get("approval"), Mapping):
        call = value["approval"]
        return [
            Request(
                thread_id=thread_id,
                interrupt_id=interrupt_id,
                action=call["tool"],
                args=call["args"],
                agent=call["agent"],
                summary=call["summary"],
                risk=call["risk"],
                tool_call_id=call["tool_call_id"],
                customer_id=call["customer_id"],
                tool_version=call["tool_version"],
                effect=call["effect"],
                changed=call["changed"],
                need=call.get("need") or "ask",
                because=call.get("because"),
                facts=call.get("facts"),
            )
        ]
    if isinstance(value, Mapping) and isinstance(value.get("action_requests"), Sequence):
        return [
            _plain(thread_id, interrupt_id, agent, str(item["name"]), item.get("args") or {}, part)
            for part, item in enumerate(value["action_requests"])
        ]
    if isinstance(value, Mapping) and isinstance(value.get("action"), str):
        args = {name: item for name, item in value.items() if name != "action"}
        return [_plain(thread_id, interrupt_id, agent, value["action"], args, 0)]
    return [_plain(thread_id, interrupt_id, agent, "continue", {"question": value}, 0)]


def _plain(
    thread_id: str, interrupt_id: str, agent: str, action: str, args: Mapping[str, Any], part: int
) -> Request:
    return Request(
        thread_id=thread_id,
        interrupt_id=interrupt_id,
        action=action,
        args=args,
        agent=agent,
        summary=summary_of(action, args),
        part=part,
        tool_call_id=f"{interrupt_id}:{part}",
    )
