"""`/decide/...`: the page of a link to decide. Opening it decides nothing; only its form does."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from smart_support import clock
from smart_support.api.dependencies import services, user
from smart_support.api.html_page import render
from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput
from smart_support.conversation.approval_context import ApprovalContext
from smart_support.errors import Conflict, Forbidden, InvalidRequest, NotFound, SmartSupportError
from smart_support.identity.users import Role, User
from smart_support.invisible import exact, prose, visible
from smart_support.money import format_money
from smart_support.notifications.decide_links import PATH, DecideLink
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
VIA = "link"
router = APIRouter(include_in_schema=False)
_TEMPLATE = "decide.html"
_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
_RISKS = {"high": ("High risk", "red"), "medium": ("Medium risk", "amber"), "low": ("Low risk", "")}
_OUTCOMES = {
    "approved": ("Approved", "green"),
    "edited": ("Approved with changes", "green"),
    "rejected": ("Rejected", "red"),
    "expired": ("Expired without a decision", "amber"),
    "responded": ("Answered", "green"),
    "withdrawn": ("Withdrawn by the customer", "amber"),
}
_RELATIONS = {
    "duplicate": ("Possible duplicate", "amber"),
    "same_thread": ("Same conversation", ""),
    "same_customer": ("Same customer", ""),
}
_NOT_VERIFIED = "Not verified by your website"
_DECISIONS = ("approve", "reject")


@router.get(PATH + "{token}")
async def page(token: str, user: User = Depends(user), services: Services = Depends(services)) -> Response:
    """The card of the link's approval, with a form while it can be decided."""
    try:
        link = _link(token, user, services)
        approval = await services.approvals.get(link.approval_id)
    except SmartSupportError as error:
        return _refusal(services, error)
    return await _answer(services, user, link, approval)


@router.post(PATH + "{token}")
async def decide(
    request: Request,
    token: str,
    form: str = Form("", max_length=100),
    decision: str = Form("", max_length=20),
    reason: str = Form("", max_length=4000),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """Decide, if the form shows the approval as it is now; the page then shows what was decided."""
    try:
        link = _link(token, user, services)
        approval = await services.approvals.get(link.approval_id)
    except SmartSupportError as error:
        return _refusal(services, error)
    reason = reason.strip()
    try:
        if form != services.decide_links.form_token(link, user.name, _shown(approval)):
            raise Conflict("This has changed since you opened it. Check it again.")
        if decision not in _DECISIONS:
            raise InvalidRequest("Approve or reject it here; open the console for anything else.")
        if decision == "reject" and not reason:
            raise InvalidRequest("Add a reason. The customer will see it.")
        made = DecisionInput(
            decision,
            decided_by=user.name,
            via=VIA,
            reason=reason if decision == "reject" else None,
            link_id=link.link_id,
        )
        await services.turns.decide(approval.approval_id, made)
    except SmartSupportError as error:
        log.info("link_not_used", approval_id=approval.approval_id, code=error.code)
        current = await services.approvals.get(approval.approval_id)
        return await _answer(services, user, link, current, error, reason)
    return RedirectResponse(f"{services.settings.root_path}{PATH}{token}", 303, _HEADERS)


def _link(token: str, user: User, services: Services) -> DecideLink:
    link = services.decide_links.read(token)
    if user.role < Role.LEAD:
        raise Forbidden(f"You are logged in as {user.name}, who can't decide approvals. Ask a lead.")
    return link


def _shown(approval: Approval) -> str:
    """Identifies what a card shows: the exact call, and who has approved it so far."""
    votes = [(vote["by"], vote["at"]) for vote in approval.votes]
    return orjson.dumps([approval.digest, approval.status, votes]).decode()


async def _answer(
    services: Services,
    user: User,
    link: DecideLink,
    approval: Approval,
    error: SmartSupportError | None = None,
    reason: str = "",
) -> Response:
    """The page of an approval as it is now, with the problem of a form that was sent."""
    is_used = await services.approvals.is_link_used(link.link_id)
    is_pending = _is_pending(approval)
    form = None
    if is_pending and not is_used:
        form = {
            "token": services.decide_links.form_token(link, user.name, _shown(approval)),
            "allowed": [one for one in _DECISIONS if one in approval.allowed],
            "reason": reason,
            "is_rejecting": bool(error and reason),
        }
    context = await services.approval_contexts.get(approval.approval_id)
    # Where the approval says it already, the problem needs no words of its own.
    problem = "" if error is None or (error.code == "already_decided" and not is_pending) else error.message
    content = render(
        _TEMPLATE,
        root=services.settings.root_path,
        title=visible(approval.call.summary),
        card=_card(services, approval, context, is_pending=is_pending),
        outcome=_outcome(approval, is_pending=is_pending),
        notices=_notices(approval, is_pending=is_pending, is_used=is_used),
        problem=visible(problem.removeprefix(f"approval {approval.approval_id}: ")),
        form=form,
    )
    return HTMLResponse(content, error.status if error else 200, _HEADERS)


def _refusal(services: Services, error: SmartSupportError) -> Response:
    """A page that shows nothing of the approval."""
    title = "This link can't be used" if isinstance(error, NotFound) else "Not allowed"
    content = render(_TEMPLATE, root=services.settings.root_path, title=title, text=visible(error.message))
    return HTMLResponse(content, error.status, _HEADERS)


def _is_pending(approval: Approval) -> bool:
    is_over = approval.paused_at is None and clock.parse(approval.expires_at) <= clock.now()
    return approval.status == "pending" and not is_over


def _outcome(approval: Approval, *, is_pending: bool) -> dict[str, str] | None:
    if is_pending:
        return None
    status = "expired" if approval.status == "pending" else approval.status
    text, color = _OUTCOMES.get(status, (_humanized(status), "amber"))
    by = "" if status in ("expired", "withdrawn") else f" by {visible(approval.decided_by or 'someone')}"
    reason = approval.reason if status in ("rejected", "responded") else None
    return {"text": f"{text}{by}", "color": color, "reason": prose(reason or "")}


def _notices(approval: Approval, *, is_pending: bool, is_used: bool) -> list[str]:
    if not is_pending:
        return []
    notices = []
    if approval.paused_at:
        notices.append("Writes are frozen. An approved call runs when the freeze is lifted.")
    if approval.votes:
        voters = " and ".join(visible(vote["by"]) for vote in approval.votes)
        others = "More people" if approval.call.approvers else "A second lead"
        notices.append(f"Approved once by {voters}. {others} must approve it too.")
    if is_used:
        notices.append("This link has been used. Open the console to decide.")
    return notices


def _card(
    services: Services, approval: Approval, context: ApprovalContext, *, is_pending: bool
) -> dict[str, Any]:
    call = approval.call
    risk, color = _RISKS.get(call.risk, (_humanized(call.risk), ""))
    needs = ["Needs two leads"] if call.need == "two_leads" else []
    needs += [f"Needs {visible(' and '.join(call.approvers))}"] if call.approvers else []
    changes = [
        ("Changed after it was approved, so nothing was done", _lines(call.changed)),
        ("Changed since the request", _lines(context.changed_since if is_pending else None)),
        ("What will change", _lines(call.effect)),
    ]
    usual = (
        "A policy rule asks for two leads."
        if call.need == "two_leads"
        else "Every change needs the approval of a lead, unless a policy rule lets it run."
    )
    return {
        "summary": visible(call.summary),
        "action": exact(call.tool),
        "is_pending": is_pending,
        "is_frozen": approval.paused_at is not None,
        "risk": risk,
        "risk_color": color,
        "needs": needs,
        "expires_at": approval.expires_at if is_pending else None,
        "expires": _time(approval.expires_at),
        "requested_at": approval.requested_at,
        "requested": _time(approval.requested_at),
        "requester": _requester(services, approval),
        "changed_since": context.changed_since,
        "changes": [(heading, lines) for heading, lines in changes if lines],
        "args": [
            (exact(name), exact(_text(value)), _money(name, value, approval))
            for name, value in call.args.items()
        ],
        "target": {name: exact(str(value)) for name, value in call.target.items()} if call.target else None,
        "customer": _customer(approval),
        "because": visible(call.because or usual),
        "facts": _facts(approval),
        "words": [_words(services, one) for one in context.words],
        "related": [
            (*_RELATIONS[one["relation"]], visible(one["approval"]["summary"])) for one in context.related
        ],
    }


def _requester(services: Services, approval: Approval) -> str:
    if approval.call.caller:
        return visible(approval.call.caller)
    return _agent_title(services, approval.call.agent)


def _agent_title(services: Services, name: str) -> str:
    agent = services.team.agent(name)
    return visible(agent.title) if agent else _humanized(name)


def _customer(approval: Approval) -> dict[str, Any]:
    customer = approval.customer
    if not customer:
        return {"name": "Not known", "is_verified": False, "state": _NOT_VERIFIED}
    is_verified = bool(customer.get("verified"))
    name = customer.get("name") or customer.get("email") or customer["id"]
    state = f"Verified as {visible(str(name))}" if is_verified else _NOT_VERIFIED
    return {"name": exact(str(customer["id"])), "is_verified": is_verified, "state": state}


def _facts(approval: Approval) -> list[tuple[str, str]]:
    """What the policy judged, without what the arguments say already."""
    return [
        (
            _humanized(name.removesuffix("_cents")),
            _money(name, value, approval) or exact(_text(value)),
        )
        for name, value in (approval.call.facts or {}).items()
        if value not in (None, "") and name != "currency" and name not in approval.call.args
    ]


def _words(services: Services, one: Mapping[str, Any]) -> dict[str, str]:
    names = {"customer": "Customer", "agent": _agent_title(services, one["by"] or "")}
    name = names.get(one["role"], f"{one['by']}, colleague")
    return {
        "name": visible(name),
        "at": one["at"],
        "time": _time(one["at"]),
        "content": prose(one["content"]),
    }


def _lines(lines: Iterable[Mapping[str, str]] | None) -> Sequence[dict[str, str]]:
    return [
        {
            "name": exact(" · ".join(filter(None, (line.get("subject"), line.get("field"))))),
            "before": exact(line.get("before") or "none"),
            "after": exact(line.get("after") or "none"),
        }
        for line in lines or ()
    ]


def _money(name: str, value: Any, approval: Approval) -> str:
    """An argument or a fact as money, if its name says that it is in a smallest unit; else nothing."""
    if not name.endswith(("_cents", "_minor")) or type(value) is not int:
        return ""
    currency = (approval.call.facts or {}).get("currency") or approval.call.args.get("currency")
    code = currency.upper() if isinstance(currency, str) and len(currency) == 3 else ""
    return format_money(value, code)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _time(text: str) -> str:
    return f"{clock.parse(text):%d %b, %H:%M} UTC"


def _humanized(name: str) -> str:
    text = visible(name.replace("_", " ").strip())
    return text[:1].upper() + text[1:]
