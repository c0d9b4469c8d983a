"""What stands between a model's tool call and the tool: judged before, run after, in code.

A call of a tool the agent was not given, with arguments that don't fit, or of a write without an approved
decision, does not run, whatever model or agent asked. The graph only carries the verdicts.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import orjson
from langchain_core.messages import AnyMessage, ToolMessage

from smart_support.agents.context_window import KEPT_CHARS, MODEL_CHARS, as_text, trimmed
from smart_support.agents.team import Team
from smart_support.agents.tool_messages import failures_in_a_row, result
from smart_support.agents.tool_selection import FIND, SHOWN, find_tool
from smart_support.approvals.approval import Approval
from smart_support.approvals.ceilings import CeilingReached
from smart_support.approvals.ledger import UNKNOWN, Ledger, what_to_check
from smart_support.approvals.policy import Verdict
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.errors import (
    Forbidden,
    InvalidArguments,
    SmartSupportError,
    ToolFailed,
    ToolRefused,
    ToolUnavailable,
)
from smart_support.events import EscalationKind
from smart_support.gate.planned_call import MAX_ARGUMENT_BYTES, PlannedCall, is_storable
from smart_support.gate.retry import attempted
from smart_support.observability.log import get_logger
from smart_support.text import clean_json
from smart_support.tools.handoff import ESCALATE, Escalate
from smart_support.tools.registry import Access, Call, Registry, Tool, title_of

log = get_logger()
FAILURES_TO_TELL = 3
VERSION = "version of the tool"
SMALL_BYTES = 50_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gatekeeper works with.

    Attributes:
        escalate: tells a human that one is needed.
    """

    approvals: ApprovalQueue
    ledger: Ledger
    quota: Quota
    escalate: Escalate


class Gatekeeper:
    """Judges every tool call, and runs those that passed."""

    def __init__(self, team: Team, registry: Registry, gate: Gate, *, looks_only: bool = False) -> None:
        """`looks_only`: no write passes, because a colleague is deciding on one already."""
        self._looks_only = looks_only
        self._given = {spec.name: frozenset(spec.tools) for spec in team.agents}
        self._limits = {spec.name: spec.writes_per_hour for spec in team.agents}
        self._policy = team.policy
        self._handing_over = team.personality.escalation_message
        self._registry = registry
        self._gate = gate

    async def judge(
        self, call: dict[str, Any], agent: str, thread_id: str, *, stopped: bool
    ) -> PlannedCall | ToolMessage:
        """The call as it may go on, or the answer that tells the model why not.

        Args:
            call: a LangChain tool call, with `args` null where they were not JSON.
            stopped: a write of this message was refused by a human, so no further one is asked.
        """
        tool = self._tool(str(call["name"]), agent)
        if tool is None:
            log.warning("tool_not_given", tool=str(call["name"])[:100], agent=agent)
            return result(call, f"{agent} has no tool {str(call['name'])[:100]!r}.", agent, status="error")
        if stopped and tool.access is Access.WRITE:
            text = "A colleague has just said no to an action of this request; the customer may ask anew."
            return result(call, text, agent, status="skipped")
        if self._looks_only and tool.access is Access.WRITE:
            text = (
                f"{title_of(tool.name)} can't be asked for while a colleague is deciding on an earlier "
                "request; please ask again when that is decided."
            )
            return result(call, text, agent, status="skipped", as_it_stands=True)
        try:
            planned, verdict = await self._plan(tool, call, agent, thread_id)
            if planned.need == "never":
                return await self._forbidden(planned, thread_id)
            if planned.need and not await self._within_limit(planned, thread_id):
                return await self._over_limit(planned, thread_id)
            if planned.need == "run":
                try:
                    await self._gate.approvals.grant(planned, thread_id, verdict.ceilings)
                except CeilingReached as reached:
                    log.info("over_ceiling", tool=tool.name, why=reached.why)
                    return replace(planned, need="ask", because=reached.why)
            return planned
        except SmartSupportError as error:
            return result(call, error.message, agent, status="error")
        except Exception as error:
            log.error("tool_preview_failed", tool=tool.name, error=repr(error))
            return result(call, f"{tool.name} failed; try again later.", agent, status="error")

    async def asks_again(self, planned: PlannedCall, thread_id: str) -> PlannedCall | ToolMessage | None:
        """The call with a new card, where what its card showed is no longer so; None where it may run.

        The approval it had is used up: nobody has approved the call under what is true now. Where that
        can't be read, or makes no card any more, the call does not run either, and the message says why.
        """
        tool = self._registry.get(planned.tool)
        if planned.need is None or tool is None:
            return None
        # What was begun before a crash has changed the state itself; the ledger knows what to do.
        if await self._gate.ledger.has(thread_id, planned.tool_call_id):
            return None
        call = {"id": planned.tool_call_id, "name": planned.tool, "args": planned.args}
        why = "what its card showed could not be read again"
        try:
            now = await tool.state(planned.state_args) if tool.state and planned.seen is not None else None
            verdict, facts = await self._verdict(tool, planned.args)
            stricter = verdict.stricter_than(planned.need)
            over = None
            if planned.need == "run" and not stricter:
                over = await self._over_ceiling(replace(planned, facts=facts), verdict, thread_id)
            if now == planned.seen and not (stricter or over) and tool.version == planned.tool_version:
                return None
            why = "what its card showed had changed"
            if stricter or over:
                why = "the policy asks for more than it had"
            if tool.version != planned.tool_version:
                why = "what it does was changed after that"
            fresh, _ = await self._plan(tool, call, planned.agent, thread_id)
        except Exception as error:
            log.warning("not_asked_again", tool=tool.name, why=why, error=repr(error))
            await self._gate.ledger.refuse(thread_id, planned.tool_call_id, why)
            plain = f"{tool.name} was not run, because {why}; please ask again later."
            text = error.message if isinstance(error, ToolRefused) else plain
            return result(call, text, planned.agent, status="error")
        await self._gate.ledger.refuse(thread_id, planned.tool_call_id, why)
        if fresh.need == "never":
            return await self._forbidden(fresh, thread_id)
        log.info("asked_again", tool=tool.name, why=why)
        # What has changed under a call that needed nobody needs somebody.
        need = "ask" if fresh.need == "run" else fresh.need
        then, since = {VERSION: planned.tool_version}, {VERSION: tool.version}
        changed = _differences((planned.seen or {}) | then, (now or {}) | since)
        return replace(fresh, need=need, changed=changed, because=over or fresh.because)

    async def _over_ceiling(self, planned: PlannedCall, verdict: Verdict, thread_id: str) -> str | None:
        """Why a call that was granted has to be asked after all, where a ceiling is lower by now."""
        try:
            await self._gate.approvals.check_ceilings(planned, thread_id, verdict.ceilings)
        except CeilingReached as reached:
            return reached.why
        return None

    async def tell_of_failures(
        self, messages: Sequence[AnyMessage], last: ToolMessage, thread_id: str
    ) -> None:
        """Have a human told where calls break again and again; noted on the last one's result."""
        if failures_in_a_row([*messages, last]) != FAILURES_TO_TELL or "escalation" in last.artifact:
            return
        reason = f"{FAILURES_TO_TELL} calls in a row broke, the last of them {last.name}: {last.text}"
        about = f"{thread_id}:{last.tool_call_id}"
        delivered = await self._gate.escalate(thread_id, reason, about, kind="failures")
        last.artifact["escalation"] = {"reason": reason, "delivered": delivered, "kind": "failures"}

    async def run(self, planned: PlannedCall, thread_id: str) -> ToolMessage:
        """Run one call: a read at once, a write through the ledger, and say what came of it."""
        message = await self._run(planned, thread_id)
        if planned.need:
            # Whatever kept an approved call from being begun has used its approval up.
            refused = await self._gate.ledger.refuse(thread_id, planned.tool_call_id, str(message.text)[:500])
            if refused:
                message.artifact["approval_id"] = refused
        return message

    async def _run(self, planned: PlannedCall, thread_id: str) -> ToolMessage:
        call = {"id": planned.tool_call_id, "name": planned.tool}
        tool = self._tool(planned.tool, planned.agent)
        if planned.need and await self._gone(tool, planned, thread_id):
            name = title_of(planned.tool)
            text = f"{name} was not carried out, because it is no longer available; nothing was changed."
            log.warning("approved_call_gone", tool=planned.tool)
            return result(call, text, planned.agent, status="error", as_it_stands=True)
        if tool is None:
            begun = planned.need and await self._gate.ledger.has(thread_id, planned.tool_call_id)
            text = UNKNOWN if begun else f"{planned.tool} is no longer available; it was not run."
            return result(call, text, planned.agent, status="error")
        started = time.perf_counter()
        try:
            tool.check(planned.args)
            text, extra = await self._outcome(tool, planned, thread_id)
        except (ToolFailed, ToolUnavailable) as error:
            text, extra = error.message, _error(error) | {"broke": True}
        except SmartSupportError as error:
            text, extra = error.message, _error(error)
        except TimeoutError as error:
            log.warning("tool_timed_out", tool=tool.name)
            text = f"{tool.name} took too long and was given up; try again later."
            extra = _error(error) | {"broke": True}
        except Exception as error:
            log.error("tool_failed", tool=tool.name, error=repr(error))
            text = f"{tool.name} failed; try again later, or ask for a human."
            extra = _error(error) | {"broke": True}
        spent = round((time.perf_counter() - started) * 1000, 1)
        log.info("tool_ran", tool=tool.name, status=extra["status"], duration_ms=spent)
        return result(call, text, planned.agent, duration_ms=spent, **extra)

    async def _gone(self, tool: Tool | None, planned: PlannedCall, thread_id: str) -> bool:
        """Whether an approved write that was not begun is no write of the agent any more.

        As a read it would run past the ledger. What was begun before a crash is the ledger's to say.
        """
        if tool is not None and tool.access is Access.WRITE:
            return False
        return not await self._gate.ledger.has(thread_id, planned.tool_call_id)

    def _tool(self, name: str, agent: str) -> Tool | None:
        """The tool of that name, if the agent was given it."""
        given = self._given.get(agent, frozenset())
        if name == FIND and len(given) > SHOWN:
            return find_tool(self._registry, sorted(given))
        return self._registry.get(name) if name in given else None

    async def _plan(
        self, tool: Tool, call: dict[str, Any], agent: str, thread_id: str
    ) -> tuple[PlannedCall, Verdict]:
        """The call as it would be approved, and of a write what the policy says of it."""
        args = _checked_args(tool, call["args"])
        customer_id = await tool.customer(args) if tool.customer else None
        planned = PlannedCall(
            tool_call_id=call["id"],
            tool=tool.name,
            args=args,
            agent=agent,
            summary=tool.summary(args),
            risk=tool.risk,
            tool_version=tool.version,
            customer_id=customer_id,
        )
        if tool.access is Access.READ:
            return planned, Verdict()
        planned.digest(thread_id)
        verdict, facts = await self._verdict(tool, args)
        because = verdict.because or None
        planned = replace(planned, need=verdict.need, because=because, escalate=verdict.escalate, facts=facts)
        if verdict.need == "never":
            return planned, verdict
        seen = await tool.state(args) if tool.state else None
        return replace(planned, effect=await _effect(tool, args), seen=seen), verdict

    async def _verdict(self, tool: Tool, args: Mapping[str, Any]) -> tuple[Verdict, dict[str, Any]]:
        """What the policy says of a write, and on which facts: the system's own before the model's.

        A name that a rule could ask for and that has no value is among them as null, so that a dry run can
        judge as it was judged.
        """
        known = tool.known_names()
        facts = dict.fromkeys(sorted(known)) | dict(args) | (await tool.facts(args) if tool.facts else {})
        return self._policy.judge(tool.name, facts, known), facts

    async def edit(self, tool: Tool, approval: Approval, args: Mapping[str, Any]) -> PlannedCall:
        """A human's arguments for a call that waits, and what its card says with them, as things are now.

        Raises:
            InvalidArguments: they don't fit the tool, or have no exact form to take a digest of.
            ToolRefused: a rule of the business says no to them.
            Forbidden: the policy asks for more with them than the approval can give.
        """
        call, exact = approval.call, _checked_args(tool, dict(args))
        replace(call, args=exact).digest(approval.thread_id)
        verdict, facts = await self._verdict(tool, exact)
        if verdict.stricter_than(call.need or "ask"):
            needs = {"two_leads": "needs two leads"}.get(verdict.need, "is not allowed")
            raise Forbidden(
                f"{call.tool}: with these arguments it {needs}; reject it and have it asked anew. "
                f"{verdict.because}".strip()
            )
        return call.edited(
            {
                "args": exact,
                "summary": tool.summary(exact),
                "customer_id": await tool.customer(exact) if tool.customer else None,
                "effect": await _effect(tool, exact),
                "facts": facts,
            }
        )

    async def _forbidden(self, planned: PlannedCall, thread_id: str) -> ToolMessage:
        await self._gate.approvals.forbid(planned, thread_id)
        log.warning("forbidden_by_policy", tool=planned.tool)
        text = f"{title_of(planned.tool)} can't be done here, so nobody was asked."
        text += f" {planned.because}" if planned.because else ""
        text += f" {self._handing_over}" if planned.escalate else ""
        return await self._told(planned, thread_id, text, kind="policy" if planned.escalate else None)

    async def _within_limit(self, planned: PlannedCall, thread_id: str) -> bool:
        limit = self._limits.get(planned.agent)
        return limit is None or await self._gate.quota.take(
            planned.agent, limit, thread_id, planned.tool_call_id
        )

    async def _over_limit(self, planned: PlannedCall, thread_id: str) -> ToolMessage:
        limit = self._limits[planned.agent]
        because = f"{planned.agent} has made its {limit} writes of this hour"
        await self._gate.approvals.forbid(replace(planned, because=because), thread_id)
        text = (
            f"{title_of(planned.tool)} can't be asked for now: {because}. A colleague has been told; please "
            "try again later."
        )
        return await self._told(planned, thread_id, text, kind="limit")

    async def _told(
        self, planned: PlannedCall, thread_id: str, text: str, *, kind: EscalationKind | None
    ) -> ToolMessage:
        """The answer to a call that may not be, and where there is a `kind`, a human told of it."""
        call = {"id": planned.tool_call_id, "name": planned.tool}
        extra: dict[str, Any] = {"customer_id": planned.customer_id, "as_it_stands": True}
        if kind:
            reason = f"{planned.agent} wanted to: {planned.summary}. {text}"
            about = f"{thread_id}:{planned.tool_call_id}"
            delivered = await self._gate.escalate(thread_id, reason, about, kind=kind)
            extra["escalation"] = {"reason": reason, "delivered": delivered, "kind": kind}
        return result(call, text, planned.agent, status="rejected", **extra)

    async def _outcome(self, tool: Tool, planned: PlannedCall, thread_id: str) -> tuple[str, dict[str, Any]]:
        failed: dict[str, Any] = {"status": "error"}

        seen = (planned.state_args, planned.seen) if planned.seen is not None else None

        async def run(key: str | None) -> Any:
            try:
                call = Call(thread_id, planned.tool_call_id, key, seen)
                return await _in_thread_if_large(clean_json, await attempted(tool, planned.args, call))
            except Exception as error:
                failed.update(_error(error))
                raise

        if tool.access is Access.READ:
            result = await run(None)
            extra: dict[str, Any] = {"status": "ok", "customer_id": planned.customer_id}
            if tool.name == ESCALATE and isinstance(result, dict):
                extra["escalation"] = {name: result[name] for name in ("reason", "delivered")}
            text, whole = await _in_thread_if_large(_as_told, result)
            return text, extra | whole
        entry = await self._gate.ledger.execute(
            thread_id=thread_id,
            tool_call_id=planned.tool_call_id,
            tool=tool.name,
            digest=(await _as_it_is(tool, planned)).digest(thread_id),
            idempotent=tool.idempotent,
            run=run,
        )
        extra = {"approval_id": entry.approval_id, "customer_id": planned.customer_id}
        if planned.need == "run":
            extra["policy"] = planned.because or "The policy lets this run without asking."
        if entry.status == "done":
            text, whole = await _in_thread_if_large(_as_told, entry.result)
            return text, extra | {"status": "ok"} | whole
        if entry.status == "outcome_unknown":
            reason = what_to_check(tool.name, entry)
            told = {
                "reason": reason,
                "delivered": await self._gate.escalate(thread_id, reason, entry.approval_id),
                "kind": "unknown_outcome",
            }
            return UNKNOWN, extra | failed | {"escalation": told}
        return str(entry.result), extra | failed


async def _effect(tool: Tool, args: dict[str, Any]) -> list[dict[str, str]] | None:
    return [asdict(change) for change in await tool.preview(args)] if tool.preview else None


async def _as_it_is(tool: Tool, planned: PlannedCall) -> PlannedCall:
    """The call that would run now: the tool's version and whose things it names, found anew."""
    customer_id = await tool.customer(planned.args) if tool.customer else None
    return replace(planned, tool_version=tool.version, customer_id=customer_id)


def _error(error: Exception) -> dict[str, Any]:
    """What the record keeps of a call that failed."""
    transient = "transient" if isinstance(error, TimeoutError) else "unknown"
    return {"status": "error", "error_class": getattr(error, "error_class", transient)}


def _checked_args(tool: Tool, args: Any) -> dict[str, Any]:
    if not isinstance(args, dict):
        raise InvalidArguments(f"{tool.name}: the arguments were not a JSON object of a fair size.")
    if not is_storable(args):
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


async def _in_thread_if_large(work: Callable[[Any], T], result: Any) -> T:
    """What `work` makes of a result; of a large one in a thread, so that others go on meanwhile."""
    return work(result) if _is_small(result) else await asyncio.to_thread(work, result)


def _is_small(result: Any) -> bool:
    try:
        return len(orjson.dumps(result)) <= SMALL_BYTES
    except (TypeError, ValueError):
        return False


def _as_told(result: Any) -> tuple[str, dict[str, str]]:
    """A result as the model is given it, and as the record keeps it."""
    return trimmed(result), _whole(result)


def _whole(result: Any) -> dict[str, str]:
    """What the record keeps of a result that a model is given in part."""
    text = as_text(result)
    if len(text) > KEPT_CHARS:
        note = f"… (The first {KEPT_CHARS:,} of {len(text):,} characters; the rest was not kept.)"
        return {"whole": f"{text[:KEPT_CHARS]}{note}"}
    return {"whole": text} if len(text) > MODEL_CHARS else {}
