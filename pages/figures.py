"""The figures of the Analytics tab as HTML: cards with change and trend, tables, and where each leads."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pages.plain import visible
from smart_support import clock

Found = Mapping[str, Any]
EMPTY = """<div class="ss-card ss-empty"><strong>Nothing has happened in this range yet</strong>
<span>Ask something in the Console tab, choose a longer range or fewer filters, or fill the record with
<code>make demo-data</code>.</span></div>"""
_KINDS = {
    "asked": "Asked for a person",
    "policy": "A policy called for one",
    "limit": "Too many writes in an hour",
    "budget": "Budget of the models used up",
    "failures": "Failed again and again",
    "unknown_outcome": "Outcome of a write unknown",
}
_CLASSES = {
    "transient": "Could not be reached",
    "validation": "Refused the arguments",
    "auth": "Did not accept our credentials",
    "unknown": "Something else",
}


class _Card(NamedTuple):
    """One figure. `help`: the key of its definition; `find`: the conversations behind it."""

    label: str
    figure: str
    more: str
    help: str
    change: str = ""
    trend: str = ""
    find: Mapping[str, str] | None = None


def cards(found: Found, meaning: Mapping[str, str]) -> str:
    """The row of cards."""
    before = found.get("previous") or {}
    shown = (*_outcome_cards(found, before), *_approval_cards(found, before), *_cost_cards(found, before))
    return '<div class="ss-figures">' + "".join(_card(one, found, meaning) for one in shown) + "</div>"


def tables(found: Found, meaning: Mapping[str, str]) -> str:
    """Who decided, on what, what went wrong, and with which models."""
    leads = [
        (
            _link(lead["decided_by"], found, decided_by=lead["decided_by"]),
            f"{lead['decided']:,}",
            f"{lead['approved']:,} · {lead['edited']:,} · {lead['rejected']:,}",
            duration(lead["median_seconds"]),
            duration(lead["p95_seconds"]),
            _haste(lead),
        )
        for lead in found["leads"]
    ]
    tools = [
        (
            _link(tool["tool"], found, tool=tool["tool"]),
            f"{tool['requested']:,}",
            f"{tool['approved']:,} · {tool['edited']:,} · {tool['rejected']:,} · {tool['expired']:,}",
            duration(tool["median_seconds"]),
        )
        for tool in found["approval_tools"]
    ]
    errors = [
        (_link(_CLASSES[one["error_class"]], found, error_class=one["error_class"]), f"{one['errors']:,}")
        for one in found["tool_errors"]
    ]
    reasons = [
        (_link(_KINDS.get(one["kind"], one["kind"]), found, outcome="escalated"), f"{one['escalations']:,}")
        for one in found["escalations"]
    ]
    models = [
        (
            _text(one["model"]),
            f"{one['turns']:,}",
            f"{short(one['input'])} · {short(one['output'])}",
            _dollars(one["cost_usd"]),
        )
        for one in found["models"]
    ]
    return (
        '<div class="ss-tables">'
        + "".join(
            (
                _table(
                    "Decisions by lead",
                    meaning["leads"],
                    ("Lead", "Decided", "Approved · edited · rejected", "Median", "95%", "Under 3 s"),
                    leads,
                ),
                _table(
                    "Approvals by tool",
                    meaning["approval_tools"],
                    ("Tool", "Asked", "Approved · edited · rejected · expired", "Median"),
                    tools,
                ),
                _table("Why tools failed", meaning["tool_errors"], ("Reason", "Results"), errors),
                _table("Why people were called", meaning["escalations"], ("Reason", "Times"), reasons),
                _table("Models", meaning["models"], ("Model", "Turns", "Tokens in · out", "Cost"), models),
            )
        )
        + "</div>"
    )


def latest(listed: Sequence[Found], titles: Mapping[str, str]) -> str:
    """The latest conversations as a table."""
    rows = [
        (
            escape(f"{clock.parse(item['last_at']):%d %b %H:%M} UTC"),
            _text(item["customer_id"] or "–"),
            f'<button type="button" class="ss-behind" data-open="{escape(item["thread_id"])}">'
            f"{_text(item.get('opening') or item['thread_id'])}</button>",
            _text(", ".join(titles.get(name, name) for name in item["agents"]) or "–"),
            _text(item["status"]),
            _text((item["outcome"] or "–").replace("_", " ")),
        )
        for item in listed
    ]
    heads = ("Last", "Customer", "Asked", "Agents", "Status", "Outcome")
    return _table("Latest conversations", "Those that began last.", heads, rows)


def duration(seconds: float | None) -> str:
    """`–`, `15 ms`, `2.4 s`, `3 min`, `2 h`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def short(number: int) -> str:
    """`950`, `12.3 k`, `4.1 M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _outcome_cards(found: Found, before: Found) -> tuple[_Card, ...]:
    turns, reopened = found["turns_to_resolution"], found["reopened"]
    return (
        _Card(
            "Conversations",
            f"{found['conversations']:,}",
            f"{sum(agent['turns'] for agent in found['agents']):,} turns of agents",
            "outcomes",
            _change(found["conversations"], before.get("conversations")),
            _trend([one["conversations"] for one in found["series"]]),
            {},
        ),
        _Card(
            "Resolved",
            _percent(found["resolution_rate"]),
            f"{found['outcomes']['resolved_with_approval']:,} with an approval · "
            f"{found['outcomes']['abandoned']:,} abandoned",
            "outcomes",
            _points(found["resolution_rate"], before.get("resolution_rate"), good=1),
            find={"outcome": "resolved"},
        ),
        _Card(
            "To a person",
            _percent(found["escalation_rate"]),
            f"{found['outcomes']['escalated']:,} conversations",
            "escalations",
            _points(found["escalation_rate"], before.get("escalation_rate"), good=-1),
            _trend([one["escalations"] for one in found["series"]]),
            {"outcome": "escalated"},
        ),
        _Card(
            "Came back",
            _percent(reopened["rate"]),
            f"{reopened['reopened']:,} of {reopened['resolved']:,} within 7 days",
            "reopened",
            _points(reopened["rate"], before.get("reopened", {}).get("rate"), good=-1),
        ),
        _Card(
            "Turns it took",
            "–" if turns["median"] is None else f"{turns['median']:g}",
            f"95th percentile {'–' if turns['p95'] is None else format(turns['p95'], 'g')}",
            "effort",
        ),
    )


def _approval_cards(found: Found, before: Found) -> tuple[_Card, ...]:
    approvals, earlier = found["approvals"], before.get("approvals", {})
    median = approvals["median_seconds_to_decide"]
    return (
        _Card(
            "Approvals",
            f"{approvals['requested']:,}",
            f"{approvals['approved'] + approvals['edited']:,} approved · {approvals['rejected']:,} rejected"
            f" · {approvals['expired']:,} expired",
            "approvals",
            _change(approvals["requested"], earlier.get("requested")),
            _trend([one["approvals"] for one in found["series"]]),
            {"approval": "approved"},
        ),
        _Card(
            "Time to decide",
            duration(median),
            f"95% {duration(approvals['p95_seconds_to_decide'])} · {approvals['pending']:,} pending",
            "approvals",
            _change(median, earlier.get("median_seconds_to_decide"), good=-1),
        ),
        _Card(
            "By policy alone",
            f"{approvals['by_policy']:,}",
            "writes that nobody had to decide",
            "by_policy",
            _change(approvals["by_policy"], earlier.get("by_policy")),
        ),
    )


def _cost_cards(found: Found, before: Found) -> tuple[_Card, ...]:
    latency, first, tokens = found["latency_ms"], found["first_token_ms"], found["tokens"]
    total, cost = tokens["input"] + tokens["output"], found["cost_usd"]
    earlier = before.get("tokens", {"input": 0, "output": 0})
    each = found["cost_per_conversation_usd"]
    return (
        _Card(
            "Answer time",
            duration(_seconds(latency["p50"])),
            f"95% {duration(_seconds(latency['p95']))} · first word {duration(_seconds(first['p50']))}",
            "latency",
            _change(latency["p50"], before.get("latency_ms", {}).get("p50"), good=-1),
        ),
        _Card(
            "Tokens",
            short(total),
            f"{_dollars(cost)}, {_dollars(each)} each"
            if cost is not None
            else "no price known for this model",
            "models",
            _change(total, earlier["input"] + earlier["output"] or None),
        ),
        _Card(
            "Hours saved",
            f"{found['hours_saved']['hours']:,.1f}",
            "by your own minutes a call",
            "saved",
            _change(found["hours_saved"]["hours"], before.get("hours_saved", {}).get("hours")),
        ),
    )


def _card(card: _Card, found: Found, meaning: Mapping[str, str]) -> str:
    head = f"<span>{escape(card.label)} {_help(meaning[card.help])}</span>"
    figure = f"<b>{escape(card.figure)}</b>"
    if card.find is not None:
        figure = (
            f'<button type="button" class="ss-behind" data-find="{_query(found, card.find)}" '
            f'title="The conversations behind it">{figure}</button>'
        )
    return (
        f'<div class="ss-card">{head}<div class="ss-line">{figure}{card.change}</div>{card.trend}'
        f"<small>{escape(card.more)}</small></div>"
    )


def _table(title: str, meaning: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not rows:
        body = f'<tr><td colspan="{len(heads)}" class="ss-muted">None in this range</td></tr>'
    return (
        f'<div class="ss-card ss-table"><strong>{escape(title)} {_help(meaning)}</strong>'
        f'<div class="ss-scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></div>"
    )


def _help(meaning: str) -> str:
    return f'<i title="{escape(meaning)}" tabindex="0" role="note" aria-label="{escape(meaning)}">?</i>'


def _link(words: str, found: Found, **find: str) -> str:
    return (
        f'<button type="button" class="ss-behind" data-find="{_query(found, find)}">{_text(words)}</button>'
    )


def _query(found: Found, find: Mapping[str, str]) -> str:
    filters = {name: value for name, value in found["filters"].items() if value}
    return escape(urlencode({**filters, **find, "since": found["since"], "until": found["until"]}))


def _haste(lead: Found) -> str:
    words = f"{lead['hasty']:,} ({lead['hasty_share']:.0%})"
    if lead["decided"] >= 5 and lead["hasty_share"] >= 0.25:
        return f'<span class="ss-chip ss-chip--red" title="Too quick to have read the card">{words}</span>'
    return words


def _trend(values: Sequence[float]) -> str:
    """A small line without axes: where it goes, not how high it is."""
    if len(values) < 2 or not any(values):
        return ""
    top, width = max(values), 100 / (len(values) - 1)
    points = " ".join(f"{at * width:.1f},{22 - 20 * value / top:.1f}" for at, value in enumerate(values))
    return (
        '<svg class="ss-trend" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">'
        f'<polyline points="{points}" /></svg>'
    )


def _change(now: float | None, before: float | None, *, good: int = 0) -> str:
    """Against the time before, in percent. `good`: which direction is welcome; 0 where none is."""
    if now is None or not before:
        return ""
    by = (now - before) / before
    return _arrow(by, f"{abs(by):.0%}" if by < 9.995 else f"×{now / before:,.0f}", good)


def _points(now: float | None, before: float | None, *, good: int) -> str:
    """As `_change`, of a rate: in percentage points."""
    if now is None or before is None:
        return ""
    return _arrow(now - before, f"{abs(now - before) * 100:.0f} pts", good)


def _arrow(by: float, words: str, good: int) -> str:
    if words in ("0%", "0 pts"):
        return '<em title="As in the time before">=</em>'
    welcome = "" if not good else " ss-good" if by * good > 0 else " ss-bad"
    arrow = "▲" if by > 0 else "▼"
    what = "Against the time before, as long"
    return f'<em class="ss-change{welcome}" title="{what}">{arrow} {escape(words)}</em>'


def _text(value: str) -> str:
    return escape(visible(value))


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.0%}"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _dollars(cost: float | None) -> str:
    return "–" if cost is None else f"${cost:,.4f}" if cost < 0.1 else f"${cost:,.2f}"
