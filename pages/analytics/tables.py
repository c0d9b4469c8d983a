"""What stands behind the cards of the Analytics tab: bars and tables, whose lines lead to conversations."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from pages.analytics.format import (
    Find,
    Found,
    behind,
    dollars,
    duration,
    explained,
    milliseconds,
    short,
    text,
)
from smart_support import clock

MOST_BARS = 8
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
_DECIDED = {
    "approved": "teal",
    "edited": "indigo",
    "responded": "indigo",
    "rejected": "red",
    "expired": "grey",
    "withdrawn": "grey",
    "pending": "amber",
}
# Shown where there are any: only some agents take an answer in a tool's place.
_RARE = ("responded", "withdrawn")
_BECAME = {
    "resolved": ("By the agents alone", "teal"),
    "resolved_with_approval": ("With an approval", "indigo"),
    "escalated": ("To a person", "red"),
    "rejected": ("Rejected", "red"),
    "abandoned": ("Abandoned", "grey"),
}


class _Bar(NamedTuple):
    """One line: its name (HTML), and how much of what colour."""

    name: str
    parts: Sequence[tuple[int, str]]
    said: str


def bars(found: Found, titles: Mapping[str, str], meaning: Mapping[str, str]) -> str:
    """How often: what became of conversations and of approvals, which agents, which tools."""
    outcomes, approvals = found["outcomes"], found["approvals"]
    became = [
        _Bar(behind(words, found, {"outcome": name}), [(outcomes[name], colour)], f"{outcomes[name]:,}")
        for name, (words, colour) in _BECAME.items()
    ]
    open_ = found["conversations"] - sum(outcomes.values())
    became += [_Bar("Still open", [(open_, "amber")], f"{open_:,}")]
    decided = [
        _Bar(
            behind(name.capitalize(), found, {"figure": "approvals", "line": name}),
            [(approvals[name], colour)],
            f"{approvals[name]:,}",
        )
        for name, colour in _DECIDED.items()
        if approvals[name] or name not in _RARE
    ]
    agents = [
        _Bar(
            behind(
                text(titles.get(one["agent"], one["agent"])),
                found,
                {"figure": "agents", "line": one["agent"]},
            ),
            [(one["turns"], "indigo")],
            f"{one['turns']:,}",
        )
        for one in found["agents"]
    ]
    shown = (
        _bars("What became of conversations", meaning["outcomes"], became),
        _bars("What became of approvals", meaning["approvals"], decided),
        _bars("Turns by agent", meaning["agents"], agents),
        _bars("Calls by tool", meaning["tools"], [_tool(one, found) for one in found["tools"]]),
    )
    return f'<div class="ss-bars">{"".join(shown)}</div>'


def _tool(tool: Found, found: Found) -> _Bar:
    well = max(0, tool["calls"] - tool["errors"])
    failed = f' · <span class="ss-bad">{tool["errors"]:,} failed</span>' if tool["errors"] else ""
    name = text(tool["tool"] or "(no name)")
    link = behind(name, found, {"figure": "tools", "line": tool["tool"]}) if tool["tool"] else name
    return _Bar(link, [(well, "teal"), (tool["errors"], "red")], f"{tool['calls']:,}{failed}")


def _bars(title: str, meaning: str, lines: Sequence[_Bar]) -> str:
    top = max((sum(many for many, _ in line.parts) for line in lines), default=0) or 1
    rows = (
        "".join(_line(line, top) for line in lines[:MOST_BARS])
        or '<li class="ss-muted">None in this range</li>'
    )
    rest = len(lines) - MOST_BARS
    more = f'<small class="ss-muted">and {rest} with less</small>' if rest > 0 else ""
    head = f"<strong>{escape(title)} {explained(meaning)}</strong>"
    return f'<div class="ss-card">{head}<ul>{rows}</ul>{more}</div>'


def _line(line: _Bar, top: int) -> str:
    parts = "".join(
        f'<i class="ss-bar--{colour}" style="width:{many / top:.2%}"></i>'
        for many, colour in line.parts
        if many
    )
    return f'<li><span>{line.name}</span><em>{line.said}</em><div aria-hidden="true">{parts}</div></li>'


def tables(found: Found, meaning: Mapping[str, str]) -> str:
    """Who decided, on what, how long it took, what went wrong, and with which models."""
    shown = (
        _table("Decisions by lead", meaning["leads"], _LEADS, map(_lead(found), found["leads"])),
        _table(
            "Approvals by tool",
            meaning["approval_tools"],
            _TOOLS,
            map(_asked(found), found["approval_tools"]),
        ),
        _table("Times", meaning["latency"], ("", "50%", "95%", "99%"), _times(found)),
        _table(
            "Models", meaning["models"], ("Model", "Turns", "In", "Out", "Cost"), map(_model, found["models"])
        ),
        _table("Why tools failed", meaning["tool_errors"], ("Reason", "Results"), _failures(found)),
        _table("Why people were called", meaning["escalations"], ("Reason", "Times"), _reasons(found)),
    )
    return f'<div class="ss-tables">{"".join(shown)}</div>'


_LEADS = ("Lead", "Decided", "Median", "95%", "Under 3 s")
_TOOLS = ("Tool", "Asked", "Median", "95%")
Row = tuple[str, ...]


def _lead(found: Found) -> Any:
    def row(lead: Found) -> Row:
        return (
            behind(text(lead["decided_by"]), found, {"figure": "leads", "line": lead["decided_by"]})
            + _parts(lead),
            f"{lead['decided']:,}",
            duration(lead["median_seconds"]),
            duration(lead["p95_seconds"]),
            _haste(lead),
        )

    return row


def _asked(found: Found) -> Any:
    def row(tool: Found) -> Row:
        find: Find = {"figure": "approval_tools", "line": tool["tool"]}
        return (
            behind(text(tool["tool"]), found, find) + _parts(tool),
            f"{tool['requested']:,}",
            duration(tool["median_seconds"]),
            duration(tool["p95_seconds"]),
        )

    return row


def _parts(decided: Found) -> str:
    named = [name for name in ("approved", "edited", "rejected", "expired", *_RARE) if decided.get(name)]
    return f"<small>{' · '.join(f'{decided[name]:,} {name}' for name in named)}</small>"


def _haste(lead: Found) -> str:
    words = f"{lead['hasty']:,} ({lead['hasty_share']:.0%})"
    if lead["decided"] >= 5 and lead["hasty_share"] >= 0.25:
        return f'<span class="ss-chip ss-chip--red" title="Too quick to have read the card">{words}</span>'
    return words


def _times(found: Found) -> list[Row]:
    named = (("Whole answer", found["latency_ms"]), ("First word", found["first_token_ms"]))
    return [(name, *(milliseconds(of[part]) for part in ("p50", "p95", "p99"))) for name, of in named]


def _model(model: Found) -> Row:
    used = (short(model["input"]), short(model["output"]))
    return (text(model["model"]), f"{model['turns']:,}", *used, dollars(model["cost_usd"]))


def _failures(found: Found) -> list[Row]:
    return [
        (
            behind(
                _CLASSES[one["error_class"]], found, {"figure": "tool_errors", "line": one["error_class"]}
            ),
            f"{one['errors']:,}",
        )
        for one in found["tool_errors"]
    ]


def _reasons(found: Found) -> list[Row]:
    return [
        (
            behind(
                _KINDS.get(one["kind"], one["kind"]), found, {"figure": "escalations", "line": one["kind"]}
            ),
            f"{one['escalations']:,}",
        )
        for one in found["escalations"]
    ]


def latest(listed: Sequence[Found], titles: Mapping[str, str]) -> str:
    """The latest conversations as a table."""
    rows = [
        (
            escape(f"{clock.parse(item['last_at']):%d %b %H:%M}"),
            text(item["customer_id"] or "–"),
            f'<button type="button" class="ss-behind" data-open="{escape(item["thread_id"])}">'
            f"{text(item.get('opening') or item['thread_id'])}</button>",
            text(", ".join(titles.get(name, name) for name in item["agents"]) or "–"),
            text(item["status"]),
            text((item["outcome"] or "–").replace("_", " ")),
        )
        for item in listed
    ]
    heads = ("Last (UTC)", "Customer", "Asked", "Agents", "Status", "Outcome")
    said = "Those that began last. The time is that of their last event."
    return f'<div class="ss-latest">{_table("Latest conversations", said, heads, rows)}</div>'


def _table(title: str, meaning: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        body = f'<tr><td colspan="{len(heads)}" class="ss-muted">None in this range</td></tr>'
    return (
        f'<div class="ss-card ss-table"><strong>{escape(title)} {explained(meaning)}</strong>'
        f'<div class="ss-scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></div>"
    )
