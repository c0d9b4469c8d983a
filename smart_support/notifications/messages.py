"""What notifications say: the body for programs, and the texts for people.

Without `details`, nothing comes from a call's arguments, a customer or a model: names of agents and tools,
ids, times, and who decided.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from smart_support import clock
from smart_support.invisible import exact
from smart_support.notifications.targets import Event

MAX_TITLE_CHARS = 150
MAX_VALUE_CHARS = 500
# What a digest lists by name; the rest is counted.
MAX_LISTED = 20
_ALWAYS = (
    *("approval_id", "thread_id", "agent", "action", "risk", "status", "need", "approvers"),
    *("requested_at", "expires_at", "decided_at", "decided_by"),
)
_WITH_DETAILS = ("customer", "args", "summary", "effect", "amount", "because", "reason")
_OUTCOMES = {
    "approved": "Approved",
    "edited": "Approved with changes",
    "rejected": "Rejected",
    "expired": "Expired",
    "responded": "Answered",
    "withdrawn": "Withdrawn by the customer",
}
_RISKS = {"high": "High", "medium": "Medium", "low": "Low"}
_REASONS = {
    "asked": "The customer asked for a human",
    "policy": "A policy rule requires a human",
    "limit": "An agent reached a limit",
    "budget": "The model budget is used up",
    "failures": "Repeated failures",
    "unknown_outcome": "The outcome of an action is unknown",
    "expired": "An approval expired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One fact to tell.

    Attributes:
        id: of the notification.
        at: when it happened.
        facts: what is known of it now: an approval or an escalation as interfaces show them, or a freeze.
        link: where a person can act on it.
    """

    id: str
    event: Event
    at: str
    facts: Mapping[str, Any]
    link: str

    @property
    def is_pending(self) -> bool:
        """Whether somebody still has to decide."""
        return self.facts.get("status") == "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A text for people, for any way to send it. Nothing in it is markup.

    Attributes:
        lines: names and values.
        links: texts and addresses; the first is what to do.
    """

    title: str
    lines: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    note: str = ""


def webhook_body(notice: Notice, *, details: bool) -> bytes:
    """The body of a webhook, in the form that Standard Webhooks recommends."""
    data: dict[str, Any]
    if notice.event.startswith("approval."):
        names = (*_ALWAYS, *_WITH_DETAILS) if details else _ALWAYS
        data = {name: notice.facts.get(name) for name in names}
        data["caller"] = (notice.facts.get("caller") or {}).get("name")
    else:
        # Why a human is needed may repeat what the customer wrote; why a colleague froze does not.
        hidden = () if details or notice.event == "frozen" else ("reason",)
        data = {name: value for name, value in notice.facts.items() if name not in hidden}
    body = {"type": notice.event, "timestamp": notice.at, "data": data | {"link": notice.link}}
    return orjson.dumps(body)


def message_of(notice: Notice, *, details: bool) -> Message:
    """The text for people."""
    if notice.event == "escalation.opened":
        return _of_escalation(notice, details=details)
    if notice.event == "frozen":
        return _of_freeze(notice)
    return _of_approval(notice, details=details)


def digest_of(notices: Sequence[Notice], console: str) -> Message:
    """One text for many facts; `console`: where the rest can be seen."""
    pending = sum(one.is_pending and one.event != "approval.decided" for one in notices)
    counted = Counter(one.event for one in notices)
    parts = [
        _plural(pending, "approval needs a decision", "approvals need a decision"),
        _plural(counted["approval.decided"], "approval was decided", "approvals were decided"),
        _plural(counted["escalation.opened"], "conversation needs a human", "conversations need a human"),
        _plural(counted["frozen"], "freeze began", "freezes began"),
    ]
    listed = [(_title(one), one.link) for one in notices[:MAX_LISTED]]
    left = len(notices) - len(listed)
    return Message(
        title="; ".join(part for part in parts if part) or f"{len(notices)} notifications",
        links=(*listed, ("Open the console", console)),
        note=f"And {left:,} more." if left else "",
    )


def humanized(name: str) -> str:
    """`cancel_order` as `Cancel order`."""
    text = one_line(name.replace("_", " "), MAX_TITLE_CHARS)
    return text[:1].upper() + text[1:]


def one_line(text: object, limit: int) -> str:
    """Text on one line with every character visible, cut where it is long."""
    joined = exact(" ".join(str(text).split()))
    return joined if len(joined) <= limit else f"{joined[: limit - 1]}…"


def _of_approval(notice: Notice, *, details: bool) -> Message:
    facts = notice.facts
    caller = (facts.get("caller") or {}).get("name")
    lines = [
        ("Requested by", humanized(str(caller or facts["agent"]))),
        ("Risk", _RISKS.get(str(facts["risk"]), humanized(str(facts["risk"])))),
    ]
    needs = ["two leads"] if facts.get("need") == "two_leads" else []
    needs += [one_line(group, 100) for group in facts.get("approvers") or ()]
    lines += [("Needs", " and ".join(needs))] if needs else []
    if notice.is_pending:
        lines.append(("Expires", _time(str(facts["expires_at"]))))
    elif facts.get("decided_by"):
        lines.append(("Decided by", one_line(facts["decided_by"], 200)))
    if details:
        lines += _details(facts)
    text = "Review and decide" if notice.is_pending else "Open"
    return Message(title=_title(notice), lines=tuple(lines), links=((text, notice.link),))


def _details(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = [("Action", one_line(facts["summary"], MAX_VALUE_CHARS))]
    if customer := facts.get("customer"):
        state = "verified" if customer.get("verified") else "not verified"
        lines.append(("Customer", f"{one_line(customer['id'], 200)} ({state})"))
    for name, value in (facts.get("args") or {}).items():
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        lines.append((one_line(name, 100), one_line(text, MAX_VALUE_CHARS)))
    if facts.get("reason"):
        lines.append(("Reason", one_line(facts["reason"], MAX_VALUE_CHARS)))
    return lines


def _of_escalation(notice: Notice, *, details: bool) -> Message:
    facts = notice.facts
    lines = [("Reason", _REASONS.get(str(facts.get("kind")), "A human is needed"))]
    if details:
        lines.append(("Details", one_line(facts["reason"], MAX_VALUE_CHARS)))
    return Message(title=_title(notice), lines=tuple(lines), links=(("Open the console", notice.link),))


def _of_freeze(notice: Notice) -> Message:
    facts = notice.facts
    lines = (
        ("Reason", one_line(facts["reason"], MAX_VALUE_CHARS)),
        ("Frozen by", one_line(facts["by"], 200)),
        ("Since", _time(notice.at)),
    )
    return Message(title=_title(notice), lines=lines, links=(("Open the console", notice.link),))


def _title(notice: Notice) -> str:
    facts = notice.facts
    if notice.event == "escalation.opened":
        return "A conversation needs a human"
    if notice.event == "frozen":
        kind, _, name = str(facts["scope"]).partition(":")
        return f"Writes are frozen: {f'{kind} {one_line(name, 100)}' if name else 'all'}"
    action = humanized(str(facts["action"]))
    if not notice.is_pending:
        outcome = _OUTCOMES.get(str(facts["status"]), humanized(str(facts["status"])))
        return f"{outcome}: {action}"
    if notice.event == "approval.expiring":
        left = clock.parse(str(facts["expires_at"])) - clock.now()
        minutes = max(1, round(left.total_seconds() / 60))
        return f"Expires in {_plural(minutes, 'minute', 'minutes')}: {action}"
    return f"Approval needed: {action}"


def _time(text: str) -> str:
    time: datetime = clock.parse(text)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def _plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}" if count else ""
