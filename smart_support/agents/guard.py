"""What stands between a model's tool call and the tool: judged before, run after, in code.

A call of a tool the agent was not given, with arguments that don't fit, or of a write without an approved
decision, does not run, whatever model or agent asked. The graph only carries the verdicts.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from smart_support.agents.spec import Team
from smart_support.approvals.digest import digest
from smart_support.approvals.ledger import UNKNOWN, Ledger, what_to_check
from smart_support.errors import InvalidArguments, SmartSupportError, ToolRefused
from smart_support.log import get_logger
from smart_support.tools.attempt import attempted
from smart_support.tools.handoff import ESCALATE, Escalate
from smart_support.tools.registry import Access, Call, Registry, Tool

log = get_logger()
MAX_ARGUMENT_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call the gate let through.

    Attributes:
        ask: a human decides first.
        effect: what will change, found on a copy.
        seen: the state its card was built on; None where the tool does not tell, or a human edited it.
        changed: what is different since it was approved before, where that is why it is asked again.
    """

    tool_call_id: str
    tool: str
    args: dict[str, Any]
    agent: str
    ask: bool
    summary: str
    risk: str
    tool_version: str
    customer_id: str | None = None
    effect: list[dict[str, str]] | None = None
    seen: dict[str, Any] | None = None
    changed: list[dict[str, str]] | None = None

    def state(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, state: dict[str, Any]) -> "PlannedCall":
        """From what `state` gave."""
        return cls(**state)

    def edited(self, args: dict[str, Any]) -> "PlannedCall":
        """The same call with a human's arguments."""
        return replace(self, args=args, seen=None)


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
    return _result(call, text, agent, status=outcome, reason=reason, skipped=skipped)


def paired(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """A history in which every tool call has its result: providers refuse one that was cut off between."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    whole: list[AnyMessage] = []
    for message in messages:
        whole.append(message)
        if isinstance(message, AIMessage):
            calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
            whole += [
                _result(call, "This was interrupted; it is not known what came of it.", "", status="error")
                for call in calls
                if call["id"] not in answered
            ]
    return whole


class Gatekeeper:
    """Judges every tool call, and runs those that passed."""

    def __init__(self, team: Team, registry: Registry, ledger: Ledger, escalate: Escalate) -> None:
        self._given = {spec.name: frozenset(spec.tools) for spec in team.agents}
        self._registry = registry
        self._ledger = ledger
        self._escalate = escalate

    async def judge(
        self, call: dict[str, Any], agent: str, thread_id: str, *, stopped: bool
    ) -> PlannedCall | ToolMessage:
        """The call as it may go on, or the answer that tells the model why not.

        Args:
            call: a LangChain tool call, with `args` null where they were not JSON.
            stopped: a write of this message was refused by a human, so no further one is asked.
        """
        tool = self._registry.get(str(call["name"])) if call["name"] in self._given.get(agent, ()) else None
        if tool is None:
            log.warning("tool_not_given", tool=str(call["name"])[:100], agent=agent)
            return _result(call, f"{agent} has no tool {str(call['name'])[:100]!r}.", agent, status="error")
        if stopped and tool.access is Access.WRITE:
            text = "A colleague has just said no to an action of this request; the customer may ask anew."
            return _result(call, text, agent, status="skipped")
        try:
            return await self._plan(tool, call, agent, thread_id)
        except SmartSupportError as error:
            return _result(call, error.message, agent, status="error")
        except Exception as error:
            log.error("tool_preview_failed", tool=tool.name, error=repr(error))
            return _result(call, f"{tool.name} failed; try again later.", agent, status="error")

    async def asks_again(self, planned: PlannedCall, thread_id: str) -> PlannedCall | ToolMessage | None:
        """The call with a new card, where what its card showed is no longer so; None where it may run.

        The approval it had is used up: nobody has approved the call under what is true now. Where that
        can't be read, or makes no card any more, the call does not run either, and the message says why.
        """
        tool = self._registry.get(planned.tool)
        if planned.seen is None or tool is None or tool.state is None:
            return None
        # What was begun before a crash has changed the state itself; the ledger knows what to do.
        if await self._ledger.has(thread_id, planned.tool_call_id):
            return None
        call = {"id": planned.tool_call_id, "name": planned.tool, "args": planned.args}
        why = "what its card showed could not be read again"
        try:
            now = await tool.state(planned.args)
            if now == planned.seen:
                return None
            why = "what its card showed had changed"
            fresh = await self._plan(tool, call, planned.agent, thread_id)
        except Exception as error:
            log.warning("not_asked_again", tool=tool.name, why=why, error=repr(error))
            await self._ledger.refuse(thread_id, planned.tool_call_id, why)
            plain = f"{tool.name} was not run, because {why}; please ask again later."
            text = error.message if isinstance(error, ToolRefused) else plain
            return _result(call, text, planned.agent, status="error")
        await self._ledger.refuse(thread_id, planned.tool_call_id, why)
        log.info("asked_again", tool=tool.name)
        return replace(fresh, changed=_differences(planned.seen, now or {}))

    async def run(self, planned: PlannedCall, thread_id: str) -> ToolMessage:
        """Run one call: a read at once, a write through the ledger, and say what came of it."""
        message = await self._run(planned, thread_id)
        if planned.ask:
            # Whatever kept an approved call from being begun has used its approval up.
            await self._ledger.refuse(thread_id, planned.tool_call_id, str(message.text)[:500])
        return message

    async def _run(self, planned: PlannedCall, thread_id: str) -> ToolMessage:
        call = {"id": planned.tool_call_id, "name": planned.tool}
        tool = self._registry.get(planned.tool)
        if tool is None or planned.tool not in self._given.get(planned.agent, ()):
            text = f"{planned.tool} is no longer available; it was not run."
            return _result(call, text, planned.agent, status="error")
        started = time.perf_counter()
        try:
            tool.check(planned.args)
            text, extra = await self._outcome(tool, planned, thread_id)
        except SmartSupportError as error:
            text, extra = error.message, {"status": "error"}
        except TimeoutError:
            log.warning("tool_timed_out", tool=tool.name)
            text, extra = f"{tool.name} took too long and was given up; try again later.", {"status": "error"}
        except Exception as error:
            log.error("tool_failed", tool=tool.name, error=repr(error))
            text, extra = f"{tool.name} failed; try again later, or ask for a human.", {"status": "error"}
        spent = round((time.perf_counter() - started) * 1000, 1)
        log.info("tool_ran", tool=tool.name, status=extra["status"], duration_ms=spent)
        return _result(call, text, planned.agent, duration_ms=spent, **extra)

    async def _plan(self, tool: Tool, call: dict[str, Any], agent: str, thread_id: str) -> PlannedCall:
        args = _checked_args(tool, call["args"])
        customer_id = await tool.customer(args) if tool.customer else None
        ask = tool.access is Access.WRITE
        effect = seen = None
        if ask:
            digest(
                tool=tool.name, version=tool.version, args=args, thread_id=thread_id, customer_id=customer_id
            )
            if tool.preview:
                effect = [asdict(change) for change in await tool.preview(args)]
            seen = await tool.state(args) if tool.state else None
        return PlannedCall(
            tool_call_id=call["id"],
            tool=tool.name,
            args=args,
            agent=agent,
            ask=ask,
            summary=tool.summary(args),
            risk=tool.risk,
            tool_version=tool.version,
            customer_id=customer_id,
            effect=effect,
            seen=seen,
        )

    async def _outcome(self, tool: Tool, planned: PlannedCall, thread_id: str) -> tuple[str, dict[str, Any]]:
        async def run(key: str | None) -> Any:
            return await attempted(tool, planned.args, Call(thread_id, planned.tool_call_id, key))

        if tool.access is Access.READ:
            result = await run(None)
            extra: dict[str, Any] = {"status": "ok", "customer_id": planned.customer_id}
            if tool.name == ESCALATE and isinstance(result, dict):
                extra["escalation"] = {name: result[name] for name in ("reason", "delivered")}
            return _text(result), extra
        entry = await self._ledger.execute(
            thread_id=thread_id,
            tool_call_id=planned.tool_call_id,
            tool=tool.name,
            digest=digest(
                tool=tool.name,
                version=tool.version,
                args=planned.args,
                thread_id=thread_id,
                customer_id=planned.customer_id,
            ),
            idempotent=tool.idempotent,
            run=run,
        )
        extra = {"approval_id": entry.approval_id, "customer_id": planned.customer_id}
        if entry.status == "done":
            return _text(entry.result), extra | {"status": "ok"}
        if entry.status == "outcome_unknown":
            reason = what_to_check(tool.name, entry)
            told = {"reason": reason, "delivered": await self._escalate(thread_id, reason)}
            return UNKNOWN, extra | {"status": "error", "escalation": told}
        return str(entry.result), extra | {"status": "error"}


def _checked_args(tool: Tool, args: Any) -> dict[str, Any]:
    if not isinstance(args, dict):
        raise InvalidArguments(f"{tool.name}: the arguments were not a JSON object of a fair size.")
    if not storable(args):
        raise InvalidArguments(
            f"{tool.name}: the arguments are no JSON of at most {MAX_ARGUMENT_BYTES} bytes."
        )
    tool.check(args)
    return tool.exact(args)


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, str]]:
    """What changed from one state to the other, as lines of a card."""
    return [
        {"subject": "", "field": name, "before": str(before.get(name)), "after": str(after.get(name))}
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _text(result: Any) -> str:
    return result if isinstance(result, str) else orjson.dumps(result, default=str).decode()


def _result(call: dict[str, Any], text: str, agent: str, *, status: str, **more: Any) -> ToolMessage:
    return ToolMessage(
        content=text,
        name=str(call["name"])[:100],
        tool_call_id=call["id"],
        status="success" if status == "ok" else "error",
        artifact={"status": status, "agent": agent, **more},
    )
