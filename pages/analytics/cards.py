"""The cards of the Analytics tab as HTML: each a figure with its change, its trend, and where it leads.

Tables and bars: behind.py; how numbers are put: numbers.py.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from pages.analytics.format import (
    Find,
    Found,
    behind,
    change,
    counted,
    dollars,
    duration,
    explained,
    milliseconds,
    percent,
    points,
    short,
    trend,
)
from smart_support.analytics.series import OUTCOMES

EMPTY = """<div class="ss-card ss-empty"><strong>Nothing has happened in this range yet</strong>
<span>Ask something in the Console tab, choose a longer range or fewer filters, or fill the record with
<code>make demo-data</code>.</span></div>"""
COUNTING = (
    '<div class="ss-figures" aria-busy="true" aria-label="Counting">'
    + '<div class="ss-card ss-counting"><span></span><b></b><small></small></div>' * 12
    + "</div>"
)
RESOLVED: Find = {"outcome": ("resolved", "resolved_with_approval")}


class _Card(NamedTuple):
    """One figure. `more` is HTML; `help`: the key of its definition; `find`: the conversations behind it."""

    label: str
    figure: str
    more: str
    help: str
    change: str
    trend: Sequence[float | None]
    find: Find | None = None


def cards(found: Found, meaning: Mapping[str, str]) -> str:
    """The cards."""
    before = found.get("previous") or {}
    shown = (*_outcome_cards(found, before), *_approval_cards(found, before), *_cost_cards(found, before))
    note = "" if before else _NO_BEFORE if "previous" in found and found["range"] != "all" else ""
    drawn = "".join(_card(one, found, meaning) for one in shown)
    return f'<div class="ss-figures" data-until="{escape(found["until"])}">{drawn}</div>{note}'


_NO_BEFORE = (
    '<p class="ss-muted ss-no-before">No changes are shown: the record does not reach back over the time '
    "before.</p>"
)


def _series(found: Found, of: Callable[[Found], float | None]) -> list[float | None]:
    return [of(bucket) for bucket in found["series"]]


def _rate(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _judged(bucket: Found) -> int:
    return sum(bucket[name] for name in OUTCOMES)


def _outcome_cards(found: Found, before: Found) -> tuple[_Card, ...]:
    turns, reopened, outcomes = found["turns_to_resolution"], found["reopened"], found["outcomes"]
    held, lost = (
        behind(f"{outcomes[name]:,}", found, {"outcome": name})
        for name in ("resolved_with_approval", "abandoned")
    )
    return (
        _Card(
            "Conversations",
            f"{found['conversations']:,}",
            f"{counted(sum(agent['turns'] for agent in found['agents']), 'turn')} of agents",
            "outcomes",
            change(found["conversations"], before.get("conversations")),
            _series(found, lambda day: day["conversations"]),
            {},
        ),
        _Card(
            "Resolved",
            percent(found["resolution_rate"]),
            f"{held} with an approval · {lost} abandoned",
            "outcomes",
            points(found["resolution_rate"], before.get("resolution_rate"), good=1),
            _series(found, lambda day: _rate(day["resolved"] + day["resolved_with_approval"], _judged(day))),
            RESOLVED,
        ),
        _Card(
            "To a person",
            percent(found["escalation_rate"]),
            counted(outcomes["escalated"], "conversation"),
            "escalations",
            points(found["escalation_rate"], before.get("escalation_rate"), good=-1),
            _series(found, lambda day: _rate(day["escalated"], _judged(day))),
            {"outcome": "escalated"},
        ),
        _Card(
            "Came back",
            percent(reopened["rate"]),
            f"{reopened['reopened']:,} of {reopened['resolved']:,} within 7 days",
            "reopened",
            points(reopened["rate"], before.get("reopened", {}).get("rate"), good=-1),
            _series(found, lambda day: _rate(day["reopened"], day["of_known_customers"])),
        ),
        _Card(
            "Turns to resolve",
            "–" if turns["median"] is None else f"{turns['median']:g}",
            f"in the middle · 95% {'–' if turns['p95'] is None else format(turns['p95'], 'g')}",
            "effort",
            change(turns["median"], before.get("turns_to_resolution", {}).get("median"), good=-1),
            _series(found, lambda day: day["turns_to_resolution"]),
            RESOLVED,
        ),
    )


def _approval_cards(found: Found, before: Found) -> tuple[_Card, ...]:
    approvals, earlier = found["approvals"], before.get("approvals", {})
    median = approvals["median_seconds_to_decide"]
    waiting = behind(f"{approvals['pending']:,} pending", found, {"figure": "approvals", "line": "pending"})
    return (
        _Card(
            "Approvals",
            f"{approvals['requested']:,}",
            f"{approvals['approved'] + approvals['edited']:,} approved · {approvals['rejected']:,} rejected"
            f" · {approvals['expired']:,} expired",
            "approvals",
            change(approvals["requested"], earlier.get("requested")),
            _series(found, lambda day: day["approvals"]),
            {"figure": "approvals"},
        ),
        _Card(
            "Time to decide",
            duration(median),
            f"in the middle · 95% {duration(approvals['p95_seconds_to_decide'])} · {waiting}",
            "approvals",
            change(median, earlier.get("median_seconds_to_decide"), good=-1),
            _series(found, lambda day: day["seconds_to_decide"]),
        ),
        _Card(
            "By policy alone",
            f"{approvals['by_policy']:,}",
            "writes that nobody had to decide",
            "by_policy",
            change(approvals["by_policy"], earlier.get("by_policy")),
            _series(found, lambda day: day["by_policy"]),
            {"figure": "by_policy"},
        ),
    )


def _cost_cards(found: Found, before: Found) -> tuple[_Card, ...]:
    latency, first, tokens, cost = (
        found[name] for name in ("latency_ms", "first_token_ms", "tokens", "cost_usd")
    )
    total, hours = tokens["input"] + tokens["output"], found["hours_saved"]["hours"]
    earlier = before.get("tokens", {"input": 0, "output": 0})
    return (
        _Card(
            "Answer time",
            milliseconds(latency["p50"]),
            f"95% {milliseconds(latency['p95'])} · first word {milliseconds(first['p50'])}",
            "latency",
            change(latency["p50"], before.get("latency_ms", {}).get("p50"), good=-1),
            _series(found, lambda day: day["latency_ms"]["p50"]),
        ),
        _Card(
            "Tokens",
            short(total),
            f"{short(tokens['input'])} in · {short(tokens['output'])} out",
            "models",
            change(total, earlier["input"] + earlier["output"] or None),
            _series(found, lambda day: day["tokens"]),
        ),
        _Card(
            "Model cost",
            dollars(cost),
            "no price is known for this model"
            if cost is None
            else f"{dollars(found['cost_per_conversation_usd'])} a conversation",
            "models",
            change(cost, before.get("cost_usd"), good=-1),
            _series(found, lambda day: day["cost_usd"]),
        ),
        _Card(
            "Hours saved",
            f"{hours:,.1f} h",
            "by your own minutes a call",
            "saved",
            change(hours, before.get("hours_saved", {}).get("hours"), good=1),
            _series(found, lambda day: day["hours_saved"]),
        ),
    )


def _card(card: _Card, found: Found, meaning: Mapping[str, str]) -> str:
    figure = f"<b>{escape(card.figure)}</b>"
    if card.find is not None:
        figure = behind(figure, found, card.find)
    return (
        f'<div class="ss-card"><span class="ss-figure-name">{escape(card.label)} '
        f"{explained(meaning[card.help])}</span>"
        f'<div class="ss-line">{figure}{card.change}</div>{trend(card.trend)}<small>{card.more}</small></div>'
    )
