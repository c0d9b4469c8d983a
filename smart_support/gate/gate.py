"""Authorises and executes tool calls.

A call runs only if its caller has the tool and its arguments fit. A write runs only if a human, or a rule of
the policy, has approved exactly this call.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar

import orjson

from smart_support.approvals.approval import Approval
from smart_support.approvals.ceilings import CeilingReached
from smart_support.approvals.freeze_scope import FROZEN
from smart_support.approvals.ledger import UNKNOWN, Ledger, what_to_check
from smart_support.approvals.policy import Policy, Verdict
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.errors import (
    Forbidden,
    Frozen,
    InvalidArguments,
    NotFound,
    SmartSupportError,
    ToolFailed,
    ToolRefused,
    ToolUnavailable,
)
from smart_support.events import Escalation, EscalationKind
from smart_support.gate.call_result import CallResult, ResultStatus, text_and_whole
from smart_support.gate.caller import Caller
from smart_support.gate.customer_binding import UNBOUND, CustomerBinding, owner_of
from smart_support.gate.edits import edited_by_schema
from smart_support.gate.planned_call import MAX_ARGUMENT_BYTES, PlannedCall, is_storable
from smart_support.gate.retry import attempted
from smart_support.observability.log import get_logger
from smart_support.text import clean_json
from smart_support.tools.definition import differences, target_of
from smart_support.tools.handoff import ESCALATE, Escalate
from smart_support.tools.registry import Access, Call, Registry, Tool, title_of

log = get_logger()
VERSION = "version of the tool"
SMALL_BYTES = 50_000
SECONDS_TO_READ = 5
STOPPED = "A colleague rejected an earlier action of this request. The customer may ask again."
POSSIBLE_DUPLICATE = "The same call was made before within 24 hours; this may be a repetition."
T = TypeVar("T")


class Gate:
    """Plans, rechecks and executes the calls of any caller.

    A `PlannedCall` that needs approval waits for a decision; any other may be executed at once. For a refused
    call there is a `CallResult` in its place that says why.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        policy: Policy,
        approvals: ApprovalQueue,
        ledger: Ledger,
        quota: Quota,
        escalate: Escalate,
        customers: CustomerBinding = UNBOUND,
        handover_message: str = "",
    ) -> None:
        """
        Args:
            escalate: notifies a human.
            customers: keeps a thread to the things of its customer.
            handover_message: what a caller is given beside the reason where a forbidden call is escalated.
        """
        self._registry = registry
        self._policy = policy
        self._approvals = approvals
        self._ledger = ledger
        self._quota = quota
        self._escalate = escalate
        self._customers = customers
        self._handover_message = handover_message

    async def plan(
        self,
        caller: Caller,
        tool_name: str,
        args: Any,
        *,
        tool_call_id: str,
        thread_id: str,
        is_stopped: bool = False,
        read_only: bool = False,
        duplicate_of: str | None = None,
    ) -> PlannedCall | CallResult:
        """Check a call against the caller's tools, the tool's schema, the policy and the limits.

        Args:
            args: the arguments as they came; None where they were no JSON.
            tool_call_id: unique within the thread.
            is_stopped: no write is taken, because a person has rejected an earlier one of the same request.
            read_only: no write is taken, because a person is deciding on one of this thread.
            duplicate_of: an earlier call that this one may repeat; no rule lets it run without a human.
        """
        refusal = partial(CallResult, tool_call_id=tool_call_id, tool=tool_name[:100], agent=caller.name)
        tool = self._tool(caller, tool_name)
        if tool is None:
            log.warning("tool_not_given", tool=tool_name[:100], agent=caller.name)
            return refusal(status="error", text=f"{caller.name} has no tool {tool_name[:100]!r}.")
        if is_stopped and tool.access is Access.WRITE:
            return refusal(status="skipped", text=STOPPED)
        if read_only and tool.access is Access.WRITE:
            text = (
                f"{title_of(tool.name)} can't be asked for while a colleague is deciding on an earlier "
                "request; please ask again when that is decided."
            )
            return refusal(status="skipped", text=text, is_final=True)
        try:
            planned, verdict = await self._plan(
                tool, args, tool_call_id, thread_id, agent=caller.name, caller=_client_name(caller)
            )
            if planned.need and caller.approvers:
                approvers = dict.fromkeys((*planned.approvers, caller.approvers))
                planned = replace(planned, approvers=tuple(approvers))
            if planned.need == "never":
                return await self._forbidden(planned, thread_id)
            if planned.need and duplicate_of:
                planned = _as_duplicate(planned)
            if planned.need and not await self._take_quota(planned, caller, thread_id):
                return await self._over_quota(planned, caller, thread_id)
            if planned.need == "run":
                return await self._granted(planned, verdict, thread_id)
            return planned
        except SmartSupportError as error:
            return refusal(status="error", text=error.message)
        except Exception as error:
            log.error("tool_preview_failed", tool=tool.name, error=repr(error))
            return refusal(status="error", text=f"{tool.name} failed; try again later.")

    def checked(self, caller: Caller, tool_name: str, args: Any) -> tuple[Tool, dict[str, Any]]:
        """The tool of a call, and its arguments exactly as they would run; nothing is planned.

        Raises:
            NotFound: the caller has no such tool.
            InvalidArguments: the arguments don't fit.
        """
        tool = self._tool(caller, tool_name)
        if tool is None:
            raise NotFound(f"tool {tool_name[:100]!r}: {caller.name} has no tool of that name")
        return tool, _checked_args(tool, args)

    async def read(
        self,
        caller: Caller,
        tool: Tool,
        args: dict[str, Any],
        *,
        tool_call_id: str,
        thread_id: str,
        bound_customer: str | None,
    ) -> CallResult:
        """Run a read whose tool and arguments `checked` has given, on a thread that is not on record yet.

        Args:
            bound_customer: the id of the customer for whom a website vouches.
        """
        refusal = partial(
            CallResult, tool_call_id=tool_call_id, tool=tool.name, agent=caller.name, status="error"
        )
        try:
            owner = await owner_of(tool, args)
            self._customers.check_bound(tool, owner, bound_customer)
            planned = _planned(
                tool, args, tool_call_id, owner, agent=caller.name, caller=_client_name(caller)
            )
        except SmartSupportError as error:
            return refusal(text=error.message)
        except Exception as error:
            log.error("tool_preview_failed", tool=tool.name, error=repr(error))
            return refusal(text=f"{tool.name} failed; try again later.")
        return await self._run(tool, planned, thread_id, is_checked=True)

    async def withdraw(self, thread_id: str, interrupt_id: str, reason: str | None) -> bool:
        """Withdraw the call that an interrupt waits for; returns whether it was still undecided."""
        return await self._approvals.withdraw(thread_id, interrupt_id, reason)

    async def recheck(self, planned: PlannedCall, thread_id: str) -> PlannedCall | CallResult | None:
        """Compare what a call was approved on with what is true now, before it is executed.

        Returns:
            None where the call may run. Where its state, its tool or the policy's verdict has changed, the
            call as it has to be approved again, or a refusal where that is impossible or can't be found out.
            In both of these cases the approval it had is used up.
        """
        tool = self._registry.get(planned.tool)
        if planned.need is None or tool is None or tool.access is Access.READ:
            return None
        # A call that was begun before a crash has changed the state itself; the ledger knows what to do.
        if await self._ledger.has(thread_id, planned.tool_call_id):
            return None
        why = "what it is could not be read again"
        try:
            tool = await _present(tool)
            is_same_tool = _version_for(planned, tool) == planned.tool_version
            why = "it is not for this customer"
            await self._customers.check(tool, await owner_of(tool, planned.args), thread_id)
            why = "what its card showed could not be read again"
            now = await tool.state(planned.state_args) if tool.state and planned.seen is not None else None
            verdict, facts = await self._verdict(tool, planned.args, planned.caller)
            is_stricter = verdict.stricter_than(planned.need, planned.approvers)
            over = None
            if planned.need == "run" and not is_stricter:
                over = await self._over_ceiling(replace(planned, facts=facts), verdict, thread_id)
            if now == planned.seen and not (is_stricter or over) and is_same_tool:
                return None
            why = "what its card showed had changed"
            if is_stricter or over:
                why = "the policy asks for more than it had"
            if not is_same_tool:
                why = "what it does was changed after that"
            fresh, _ = await self._plan(
                tool,
                planned.args,
                planned.tool_call_id,
                thread_id,
                agent=planned.agent,
                caller=planned.caller,
            )
        except Exception as error:
            log.warning("recheck_failed", tool=tool.name, why=why, error=repr(error))
            await self._ledger.refuse(thread_id, planned.tool_call_id, why)
            text = f"{tool.name} was not run, because {why}; please ask again later."
            return _result(planned, "error", error.message if isinstance(error, ToolRefused) else text)
        await self._ledger.refuse(thread_id, planned.tool_call_id, why)
        if fresh.need == "never":
            return await self._forbidden(fresh, thread_id)
        log.info("approval_required_again", tool=tool.name, why=why)
        # A call that needed nobody before it changed needs somebody now.
        need = "ask" if fresh.need == "run" else fresh.need
        changed = _differences(planned.seen or {}, now or {})
        if not is_same_tool:
            changed = [*_tool_differences(planned, tool), *changed]
        approvers = tuple(dict.fromkeys((*planned.approvers, *fresh.approvers)))
        return replace(fresh, need=need, changed=changed, because=over or fresh.because, approvers=approvers)

    async def execute(self, planned: PlannedCall, caller: Caller, thread_id: str) -> CallResult:
        """Run a call: a read directly, a write through the ledger, which needs its approval.

        While its scope is frozen, a call that the policy lets run is rejected.

        Raises:
            Frozen: a call that a human approved is frozen. It was not begun and keeps its approval; recheck
                and execute it when the freeze is lifted.
        """
        result = await self._execute(planned, caller, thread_id)
        if planned.need and result.approval_id is None:
            # The call was not begun. Its approval must not be good for a later one.
            why = result.reason or result.text[:500]
            refused = await self._ledger.refuse(thread_id, planned.tool_call_id, why)
            return replace(result, approval_id=refused)
        return result

    async def edit(self, approval: Approval, args: Mapping[str, Any]) -> PlannedCall:
        """The call of a pending approval with a person's arguments, and what its card says with them now.

        Raises:
            InvalidArguments: the arguments don't fit the tool, or have no exact JSON form.
            ToolRefused: a rule of the business refuses them.
            ToolRefused: also where the arguments name another customer's things.
            Forbidden: with these arguments the policy requires more than the approval can give.
        """
        call = approval.call
        tool = self._registry.get(call.tool)
        if tool is None:
            return edited_by_schema(approval, args)
        exact = _checked_args(tool, dict(args))
        replace(call, args=exact).digest(approval.thread_id)
        owner = await owner_of(tool, exact)
        await self._customers.check(tool, owner, approval.thread_id)
        verdict, facts = await self._verdict(tool, exact, call.caller)
        if verdict.stricter_than(call.need or "ask", call.approvers):
            needs = {"two_leads": "needs two leads", "ask": f"needs {' and '.join(verdict.approvers)}"}.get(
                verdict.need, "is not allowed"
            )
            raise Forbidden(
                f"{call.tool}: with these arguments it {needs}; reject it and have it requested again. "
                f"{verdict.because}".strip()
            )
        return call.edited(
            {
                "args": exact,
                "summary": tool.summary(exact, facts),
                "customer_id": owner or None,
                "effect": await _effect(tool, exact),
                "facts": facts,
            }
        )

    async def changes_since(self, approval: Approval) -> list[dict[str, str]] | None:
        """What the tool's system says now and did not say at the request, as lines of a card.

        Returns:
            Those lines, or what the system refuses now; None where it can't be read.
        """
        call, tool = approval.call, self._registry.get(approval.call.tool)
        if approval.status != "pending" or tool is None or tool.facts is None or not call.facts:
            return []
        try:
            async with asyncio.timeout(SECONDS_TO_READ):
                now = await tool.facts(call.args)
        except ToolRefused as refusal:
            return [{"subject": "", "field": title_of(tool.name), "before": "", "after": refusal.message}]
        except Exception as error:
            log.warning("facts_not_read_again", tool=tool.name, error=repr(error))
            return None
        known = {name: call.facts[name] for name in now if name in call.facts}
        return _differences(known, {name: now[name] for name in known})

    async def escalate_failures(self, last: CallResult, thread_id: str, count: int) -> CallResult:
        """Notify a human that `count` calls in a row have failed; returns the last one's result with that."""
        reason = f"{count} calls in a row broke, the last of them {last.tool}: {last.text}"
        about = f"{thread_id}:{last.tool_call_id}"
        return replace(last, escalation=await self._escalated(thread_id, reason, about, "failures"))

    def _tool(self, caller: Caller, name: str) -> Tool | None:
        """The tool of that name, if the caller has it."""
        own = next((tool for tool in caller.own_tools if tool.name == name), None)
        return own or (self._registry.get(name) if name in caller.tools else None)

    async def _plan(
        self, tool: Tool, args: Any, tool_call_id: str, thread_id: str, *, agent: str, caller: str | None
    ) -> tuple[PlannedCall, Verdict]:
        """The call as it would be approved, and for a write the policy's verdict."""
        exact = _checked_args(tool, args)
        owner = await owner_of(tool, exact)
        await self._customers.check(tool, owner, thread_id)
        planned = _planned(tool, exact, tool_call_id, owner, agent=agent, caller=caller)
        if tool.access is Access.READ:
            return planned, Verdict()
        planned.digest(thread_id)
        verdict, facts = await self._verdict(tool, exact, caller)
        because = verdict.because or None
        planned = replace(
            planned,
            summary=tool.summary(exact, facts),
            need=verdict.need,
            because=because,
            escalate=verdict.escalate,
            approvers=verdict.approvers,
            expires_after=verdict.expires_after,
            on_expiry=verdict.on_expiry,
            facts=facts,
            target=target_of(tool.definition),
            definition=dict(tool.definition) if tool.definition else None,
        )
        if verdict.need == "never":
            return planned, verdict
        seen = await tool.state(exact) if tool.state else None
        return replace(planned, effect=await _effect(tool, exact), seen=seen), verdict

    async def _verdict(
        self, tool: Tool, args: Mapping[str, Any], caller: str | None
    ) -> tuple[Verdict, dict[str, Any]]:
        """The policy's verdict on a write, and the facts it judged: the system's own before the arguments.

        A name that a rule could use and that has no value is among them as null, so that a dry run judges the
        same facts.
        """
        known = tool.known_names()
        facts = dict.fromkeys(sorted(known)) | dict(args) | (await tool.facts(args) if tool.facts else {})
        return self._policy.judge(tool.name, facts, known, caller=caller), facts

    async def _granted(
        self, planned: PlannedCall, verdict: Verdict, thread_id: str
    ) -> PlannedCall | CallResult:
        """A call that the policy lets run, once that is recorded; over a ceiling it needs approval.

        While it is frozen it is rejected.
        """
        try:
            granted = await self._approvals.grant(planned, thread_id, verdict.ceilings)
            if not granted.is_approved:
                return _frozen(planned, granted.approval_id)
        except CeilingReached as reached:
            log.info("over_ceiling", tool=planned.tool, why=reached.why)
            return replace(planned, need="ask", because=reached.why)
        return planned

    async def _over_ceiling(self, planned: PlannedCall, verdict: Verdict, thread_id: str) -> str | None:
        """Why a granted call needs approval after all, where a ceiling has been lowered since."""
        try:
            await self._approvals.check_ceilings(planned, thread_id, verdict.ceilings)
        except CeilingReached as reached:
            return reached.why
        return None

    async def _take_quota(self, planned: PlannedCall, caller: Caller, thread_id: str) -> bool:
        limit = caller.limits.writes_per_hour
        if limit is None:
            return True
        return await self._quota.take(caller.name, limit, thread_id, planned.tool_call_id)

    async def _forbidden(self, planned: PlannedCall, thread_id: str) -> CallResult:
        await self._approvals.forbid(planned, thread_id)
        log.warning("forbidden_by_policy", tool=planned.tool)
        text = f"{title_of(planned.tool)} can't be done here, so nobody was asked."
        text += f" {planned.because}" if planned.because else ""
        text += f" {self._handover_message}" if planned.escalate else ""
        refused = await self._rejected(planned, thread_id, text, "policy" if planned.escalate else None)
        return replace(refused, is_forbidden=True)

    async def _over_quota(self, planned: PlannedCall, caller: Caller, thread_id: str) -> CallResult:
        because = f"{caller.name} has made its {caller.limits.writes_per_hour} writes of this hour"
        await self._approvals.forbid(replace(planned, because=because), thread_id)
        text = (
            f"{title_of(planned.tool)} can't be asked for now: {because}. A colleague has been told; please "
            "try again later."
        )
        return await self._rejected(planned, thread_id, text, "limit")

    async def _rejected(
        self, planned: PlannedCall, thread_id: str, text: str, kind: EscalationKind | None
    ) -> CallResult:
        """A refusal by the policy or a limit; where there is a `kind`, a human is notified."""
        escalation = None
        if kind:
            reason = f"{planned.agent} wanted to: {planned.summary}. {text}"
            escalation = await self._escalated(thread_id, reason, f"{thread_id}:{planned.tool_call_id}", kind)
        customer = planned.customer_id
        return _result(planned, "rejected", text, is_final=True, customer_id=customer, escalation=escalation)

    async def _escalated(self, thread_id: str, reason: str, about: str, kind: EscalationKind) -> Escalation:
        delivered = await self._escalate(thread_id, reason, about, kind=kind)
        return Escalation(reason=reason, delivered=delivered, kind=kind)

    async def _execute(self, planned: PlannedCall, caller: Caller, thread_id: str) -> CallResult:
        tool = self._tool(caller, planned.tool)
        if planned.need and (tool is None or tool.access is Access.READ):
            # As a read, an approved write would run past the ledger.
            if not await self._ledger.has(thread_id, planned.tool_call_id):
                log.warning("approved_tool_gone", tool=planned.tool)
                title = title_of(planned.tool)
                text = f"{title} was not carried out, because it is no longer available; nothing was changed."
                return _result(planned, "error", text, is_final=True)
            if tool is None:
                return _result(planned, "error", UNKNOWN, is_unknown=True)
        if tool is None:
            return _result(planned, "error", f"{planned.tool} is no longer available; it was not run.")
        return await self._run(tool, planned, thread_id)

    async def _run(
        self, tool: Tool, planned: PlannedCall, thread_id: str, *, is_checked: bool = False
    ) -> CallResult:
        """`is_checked`: the arguments have just been compared with the tool's schema."""
        started = time.perf_counter()
        try:
            if not is_checked:
                tool.check(planned.args)
            run = self._read if tool.access is Access.READ else self._write
            result = await run(tool, planned, thread_id)
        except Frozen:
            if planned.need != "run":
                raise
            result = _frozen(planned)
        except SmartSupportError as error:
            if error.detail:
                log.warning("tool_failed", tool=tool.name, detail=error.detail)
            has_failed = isinstance(error, ToolFailed | ToolUnavailable)
            result = _error_result(planned, error, error.message, has_failed=has_failed)
        except TimeoutError as error:
            log.warning("tool_timed_out", tool=tool.name)
            text = f"{tool.name} took too long and was given up; try again later."
            result = _error_result(planned, error, text)
        except Exception as error:
            log.error("tool_failed", tool=tool.name, error=repr(error))
            text = f"{tool.name} failed; try again later, or ask for a human."
            result = _error_result(planned, error, text)
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        log.info("tool_ran", tool=tool.name, status=result.status, duration_ms=duration_ms)
        return replace(result, duration_ms=duration_ms)

    async def _read(self, tool: Tool, planned: PlannedCall, thread_id: str) -> CallResult:
        value = await _call(tool, planned, thread_id)
        escalation = None
        if tool.name == ESCALATE and isinstance(value, dict):
            escalation = Escalation(reason=value["reason"], delivered=value["delivered"])
        text, whole = await _in_thread_if_large(text_and_whole, value)
        customer_id = planned.customer_id
        return _result(
            planned, "ok", text, whole=whole, value=value, customer_id=customer_id, escalation=escalation
        )

    async def _write(self, tool: Tool, planned: PlannedCall, thread_id: str) -> CallResult:
        error_class = None

        async def run(idempotency_key: str) -> Any:
            nonlocal error_class
            try:
                return await _call(tool, planned, thread_id, idempotency_key)
            except Exception as error:
                error_class = _error_class(error)
                if isinstance(error, SmartSupportError) and error.detail:
                    log.warning("tool_failed", tool=tool.name, detail=error.detail)
                raise

        entry = await self._ledger.execute(
            thread_id=thread_id,
            tool_call_id=planned.tool_call_id,
            tool=tool.name,
            digest=(await _as_it_is_now(tool, planned)).digest(thread_id),
            idempotent=tool.idempotent,
            run=run,
        )
        policy = planned.because or "The policy lets this run without asking."
        result = partial(
            _result,
            planned,
            approval_id=entry.approval_id,
            customer_id=planned.customer_id,
            policy=policy if planned.need == "run" else None,
        )
        if entry.status == "done":
            text, whole = await _in_thread_if_large(text_and_whole, entry.result)
            return result("ok", text, whole=whole, value=entry.result)
        if entry.status == "outcome_unknown":
            reason = what_to_check(tool.name, entry)
            delivered = await self._escalate(thread_id, reason, entry.approval_id)
            escalation = Escalation(reason=reason, delivered=delivered, kind="unknown_outcome")
            return result("error", UNKNOWN, error_class=error_class, escalation=escalation, is_unknown=True)
        return result("error", str(entry.result), error_class=error_class)


def _as_duplicate(planned: PlannedCall) -> PlannedCall:
    """A call that may repeat an earlier one, as its card says; a human has to decide it."""
    because = " ".join(part for part in (POSSIBLE_DUPLICATE, planned.because) if part)
    return replace(planned, need="ask" if planned.need == "run" else planned.need, because=because)


def _planned(
    tool: Tool, args: dict[str, Any], tool_call_id: str, owner: str | None, *, agent: str, caller: str | None
) -> PlannedCall:
    """A call as it is before any policy has judged it."""
    return PlannedCall(
        tool_call_id=tool_call_id,
        tool=tool.name,
        args=args,
        agent=agent,
        caller=caller,
        summary=tool.summary(args),
        risk=tool.risk,
        tool_version=tool.version,
        customer_id=owner or None,
    )


def _client_name(caller: Caller) -> str | None:
    return caller.name if caller.is_client else None


def _result(planned: PlannedCall, status: ResultStatus, text: str, **fields: Any) -> CallResult:
    """The result of a planned call."""
    return CallResult(
        tool_call_id=planned.tool_call_id,
        tool=planned.tool,
        agent=planned.agent,
        status=status,
        text=text,
        **fields,
    )


def _frozen(planned: PlannedCall, approval_id: str | None = None) -> CallResult:
    """The result of a call that the policy would let run, and that is frozen."""
    text = (
        f"{title_of(planned.tool)} was not carried out, because changes are frozen at the moment. "
        "Please ask again later."
    )
    return _result(
        planned,
        "rejected",
        text,
        is_final=True,
        reason=FROZEN,
        approval_id=approval_id,
        customer_id=planned.customer_id,
    )


def _error_result(
    planned: PlannedCall, error: Exception, text: str, *, has_failed: bool = True
) -> CallResult:
    return _result(planned, "error", text, error_class=_error_class(error), has_failed=has_failed)


def _error_class(error: Exception) -> str:
    """The class of an error, for the record."""
    return getattr(error, "error_class", "transient" if isinstance(error, TimeoutError) else "unknown")


async def _call(tool: Tool, planned: PlannedCall, thread_id: str, idempotency_key: str | None = None) -> Any:
    """Run the tool, with retries where they are safe; its result as JSON values."""
    seen = (planned.state_args, planned.seen) if planned.seen is not None else None
    call = Call(thread_id, planned.tool_call_id, idempotency_key, seen)
    return await _in_thread_if_large(clean_json, await attempted(tool, planned.args, call))


async def _effect(tool: Tool, args: dict[str, Any]) -> list[dict[str, str]] | None:
    return [asdict(change) for change in await tool.preview(args)] if tool.preview else None


async def _as_it_is_now(tool: Tool, planned: PlannedCall) -> PlannedCall:
    """The call that would run now, with the tool's present version and customer."""
    try:
        version: str | None = _version_for(planned, await _present(tool))
    except SmartSupportError as error:
        log.warning("tool_not_read_again", tool=tool.name, error=repr(error))
        # Equal to no version that was approved.
        version = None
    owner = await owner_of(tool, planned.args)
    return replace(planned, tool_version=version, customer_id=owner or None)


async def _present(tool: Tool) -> Tool:
    """The tool as the system that has it describes it now.

    Raises:
        ToolRefused: it is gone there.
        SmartSupportError: that can't be found out.
    """
    if tool.refresh is None:
        return tool
    present = await tool.refresh()
    if present is None:
        raise ToolRefused(f"{title_of(tool.name)} is no longer offered, so nothing was done.")
    return present


def _version_for(planned: PlannedCall, tool: Tool) -> str:
    """The tool's version, as the release that planned the call computed it."""
    is_former = planned.definition is None and planned.tool_version == tool.former_version
    return tool.former_version if is_former and tool.former_version else tool.version


def _tool_differences(planned: PlannedCall, tool: Tool) -> list[dict[str, str]]:
    """What changed in a tool since a call was planned, as lines of a card."""
    if planned.definition is not None and tool.definition is not None:
        return differences(planned.definition, tool.definition)
    if tool.definition is not None:
        after = " ".join((target_of(tool.definition) or {}).values())
        return [{"subject": "", "field": "what it does", "before": "not recorded", "after": after}]
    return _differences({VERSION: planned.tool_version}, {VERSION: tool.version})


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
    """`work(result)`; of a large result in a thread, so that the event loop is not blocked."""
    return work(result) if _is_small(result) else await asyncio.to_thread(work, result)


def _is_small(result: Any) -> bool:
    try:
        return len(orjson.dumps(result)) <= SMALL_BYTES
    except (TypeError, ValueError):
        return False
