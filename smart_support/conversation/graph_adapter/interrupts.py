"""Turns a graph's interrupts into requests for approval, and decisions into the values that resume it.

Four shapes are understood: our own graph's, the flat `{"action": NAME, ...args}`, and the two of LangChain's
HumanInTheLoopMiddleware: `action_requests`, one interrupt for all calls of a step, and `tool_approval`, one
for each call, which takes only the answers that its schema allows.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
import orjson
from referencing.exceptions import Unresolvable

from smart_support.approvals.approval import OUTCOMES, USUAL_DECISIONS, Approval, Request
from smart_support.gate.planned_call import PlannedCall
from smart_support.text import clean_json
from smart_support.tools.registry import NOTHING_REMOTE, summary_of

Interrupts = Sequence[Any]
# The action of an interrupt of another shape.
CONTINUE = "continue"
# Fields in which interrupts of another shape hold their question.
_QUESTIONS = ("question", "query", "message", "description", "prompt", "text", "task")
_MAX_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class PendingInterrupt:
    """An interrupt that waits for an answer: its id, its raw value, and a request for each of its parts."""

    interrupt_id: str
    value: Any
    requests: list[Request]


def pending_interrupts(
    thread_id: str, agent: str, interrupts: Interrupts, agents: Mapping[str, str] | None = None
) -> list[PendingInterrupt]:
    """The interrupts of a graph's state with the approvals that they need, in order.

    Args:
        agent: the requesting agent, where neither the interrupt itself nor `agents` names one.
        agents: the requesting agent by the interrupt's id.
    """
    pending = []
    for item in interrupts:
        by = (agents or {}).get(item.id, agent)
        schema = getattr(item, "response_schema", None)
        value = clean_json(item.value)
        requests = _requests(thread_id, item.id, by, value, schema if isinstance(schema, dict) else None)
        pending.append(PendingInterrupt(item.id, item.value, requests))
    return pending


def resume_value(pending: PendingInterrupt, decided: Sequence[Approval]) -> Any:
    """The value that resumes an interrupt, once each of its parts is decided; see `can_answer` first."""
    value = pending.value
    if isinstance(value, Mapping) and isinstance(value.get("approval"), Mapping):
        return _own_answer(decided[0])
    decisions = [
        _middleware_decision(request, approval)
        for request, approval in zip(pending.requests, decided, strict=True)
    ]
    if _asks_for_all(value):
        return {"decisions": decisions}
    if _asks_for_one(value):
        return decisions[0]
    return _flat_answer(decided[0])


def can_answer(pending: PendingInterrupt, decided: Sequence[Approval]) -> bool:
    """Whether the graph takes what was decided: it may allow neither a refusal nor an answer instead."""
    return all(
        _allowed_decision(request, approval) is not None
        for request, approval in zip(pending.requests, decided, strict=True)
    )


def refusals_in(value: Any) -> set[str]:
    """The texts for refused calls, in a value that resumes a graph."""
    if isinstance(value, Mapping):
        if value.get("type") == "reject" and isinstance(value.get("message"), str):
            return {value["message"]}
        return {text for item in value.values() for text in refusals_in(item)}
    return {text for item in value for text in refusals_in(item)} if isinstance(value, list) else set()


def _own_answer(approval: Approval) -> dict[str, Any]:
    answer = {
        "outcome": approval.status,
        "args": approval.call.args,
        "reason": approval.reason,
        "decided_by": approval.decided_by,
    }
    if approval.status == "edited":
        answer |= approval.call.edited_fields()
    return answer


def _flat_answer(approval: Approval) -> Any:
    if approval.status == "edited":
        return {"approved": True, "args": approval.call.args}
    if approval.status == "responded":
        return approval.reason
    return approval.is_approved


def _allowed_decision(request: Request, approval: Approval) -> str | None:
    """The decision that the graph gets. A refusal that it does not allow becomes an answer, never a yes."""
    made = next((name for name, outcome in OUTCOMES.items() if outcome == approval.status), "reject")
    if made in request.allowed:
        return made
    return "respond" if made == "reject" and "respond" in request.allowed else None


def _middleware_decision(request: Request, approval: Approval) -> dict[str, Any]:
    decision = _allowed_decision(request, approval)
    if decision == "approve":
        return {"type": "approve"}
    if decision == "edit":
        return {"type": "edit", "edited_action": {"name": approval.call.tool, "args": approval.call.args}}
    message = approval.reason or f"{request.call.tool} was {approval.status}."
    if decision == "respond" and approval.is_refused:
        message = f"It was not carried out: {message}"
    return {"type": decision, "message": message}


def _asks_for_all(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("action_requests"), list | tuple)


def _asks_for_one(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "tool_approval" and "name" in value


def _requests(
    thread_id: str, interrupt_id: str, agent: str, value: Any, schema: Mapping[str, Any] | None
) -> list[Request]:
    if isinstance(value, Mapping) and isinstance(value.get("approval"), Mapping):
        return [_own_request(thread_id, interrupt_id, value["approval"])]
    of_graph = _RequestsOf(thread_id, interrupt_id, agent)
    if _asks_for_all(value):
        allowed = {str(one["action_name"]): _known(one) for one in value.get("review_configs") or ()}
        return [
            of_graph.request(item["name"], item.get("args"), part=part, allowed=allowed.get(item["name"]))
            for part, item in enumerate(value["action_requests"])
        ]
    if _asks_for_one(value):
        branches = dict(_branches(schema or {}))
        return [
            of_graph.request(
                value["name"],
                value.get("args"),
                allowed=[kind for kind in OUTCOMES if kind in branches] or ("approve", "reject"),
                args_schema=_args_schema(schema or {}, branches.get("edit")),
            )
        ]
    if isinstance(value, Mapping) and isinstance(value.get("action"), str):
        args = {name: item for name, item in value.items() if name != "action"}
        return [of_graph.request(value["action"], args, allowed=_accepted(schema, args))]
    args = {"question": value}
    return [of_graph.request(CONTINUE, args, allowed=_accepted(schema, args), summary=_question_in(value))]


def _own_request(thread_id: str, interrupt_id: str, call: Mapping[str, Any]) -> Request:
    planned = PlannedCall.from_state(call)
    return Request(
        call=planned,
        thread_id=thread_id,
        interrupt_id=interrupt_id,
        # All who approve have to see the same call.
        allowed=("approve", "reject") if planned.needs_several else USUAL_DECISIONS,
    )


@dataclass(frozen=True, slots=True)
class _RequestsOf:
    """Makes the requests of one interrupt of a foreign graph."""

    thread_id: str
    interrupt_id: str
    agent: str

    def request(
        self,
        action: Any,
        args: Any,
        *,
        part: int = 0,
        allowed: Sequence[str] | None = None,
        args_schema: Mapping[str, Any] | None = None,
        summary: str | None = None,
    ) -> Request:
        """The request of one part; without `allowed` it takes the usual decisions."""
        exact = _as_json(args if isinstance(args, Mapping) else {})
        return Request(
            call=PlannedCall(
                tool_call_id=f"{self.interrupt_id}:{part}",
                tool=str(action),
                args=exact,
                agent=self.agent,
                summary=summary or summary_of(str(action), exact),
                need="ask",
            ),
            thread_id=self.thread_id,
            interrupt_id=self.interrupt_id,
            part=part,
            allowed=USUAL_DECISIONS if allowed is None else allowed,
            args_schema=args_schema,
        )


def _known(config: Mapping[str, Any]) -> list[str]:
    """The decisions that the middleware allows for an action, of those that we know."""
    return [kind for kind in OUTCOMES if kind in config.get("allowed_decisions", ())]


def _branches(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The answers that a schema allows, by their `type`."""
    for branch in schema.get("oneOf") or schema.get("anyOf") or [schema]:
        definition = _resolved(schema, branch)
        kind = definition.get("properties", {}).get("type", {})
        for name in [kind["const"]] if "const" in kind else kind.get("enum", []):
            yield str(name), definition


def _args_schema(schema: Mapping[str, Any], edit: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The schema of the arguments that an edit may give."""
    action = _resolved(schema, (edit or {}).get("properties", {}).get("edited_action", {}))
    args = action.get("properties", {}).get("args")
    if not args:
        return None
    return {**_resolved(schema, args), "$defs": schema.get("$defs", {})}


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    definition = schema.get("$defs", {}).get(name, part)
    return definition if isinstance(definition, Mapping) else {}


def _accepted(schema: Mapping[str, Any] | None, args: Mapping[str, Any]) -> list[str] | None:
    """The decisions whose flat answer an interrupt's own schema allows; None where it has no schema."""
    if schema is None:
        return None
    answers = {"approve": True, "edit": {"approved": True, "args": args}, "reject": False, "respond": "text"}
    validator = jsonschema.Draft202012Validator(schema, registry=NOTHING_REMOTE)
    try:
        return [kind for kind, given in answers.items() if validator.is_valid(_as_json(given))]
    except (jsonschema.SchemaError, jsonschema.exceptions.UnknownType, Unresolvable):
        return None


def _question_in(value: Any) -> str:
    """The question to show for an interrupt of another shape."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, Mapping):
        texts = (value.get(name) for name in _QUESTIONS)
        if text := next((one for one in texts if isinstance(one, str) and one.strip()), None):
            return text
    return f"Continue? {orjson.dumps(_as_json(value)).decode()}"


def _as_json(value: Any) -> Any:
    """A value as JSON can carry it exactly; what it can't carry, as text."""
    if isinstance(value, Mapping):
        return {str(name): _as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) < _MAX_EXACT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    dumped = getattr(value, "model_dump", None)
    return _as_json(dumped(mode="json")) if callable(dumped) else str(value)
