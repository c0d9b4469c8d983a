"""The figures once more, by pandas over a frame of the same events: another way to the same answer.

It follows the words of the definitions, not the SQL: what the two agree on is what the definition says.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smart_support.events import Record, payload

COLUMNS = ["thread", "turn", "first_seq", "seq", "at", "channel", "customer", "type"]
OWN = ["agent", "role", "tool", "status", "approval_id", "outcome", "decided_by", "model", "duration_ms"]
OWN += ["first_token_ms", "error_class", "policy", "kind", "input", "output", "cost"]
ENDS = ["message_complete", "interrupt", "error"]
HUMAN = ["approved", "edited", "rejected", "responded"]
OUTCOMES = ["resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"]
WEEK = timedelta(days=7)
Rows = list[dict[str, Any]]


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row an event, nothing where it does not have the field."""
    rows = pd.DataFrame([_row(record) for record in records], columns=COLUMNS + OWN)
    return rows.assign(at=pd.to_datetime(rows["at"], utc=True))


def _row(record: Record) -> dict[str, Any]:
    fields = payload(record.event)
    usage = fields.get("usage") or {}
    own = {name: fields.get(name) for name in OWN}
    own["tool"] = fields.get("tool") or fields.get("action")
    own |= {name: usage.get(f"{name}_tokens") for name in ("input", "output")} | {
        "cost": usage.get("cost_usd")
    }
    place = (record.thread_id, record.turn_id, record.first_seq, record.seq, record.happened_at)
    return (
        dict(zip(COLUMNS, (*place, record.channel, record.customer_id, record.event.type), strict=True)) | own
    )


def narrowed(events: pd.DataFrame, since: datetime, filters: dict[str, str | None]) -> pd.DataFrame:
    """Only the conversations that fit, by what happened in them from `since` on."""
    for name, value in filters.items():
        if value is not None:
            fits = events[(events["at"] >= since) & (events[name] == value)]
            events = events[events.thread.isin(fits.thread)]
    return events


def figures(events: pd.DataFrame, since: datetime, until: datetime, ended_before: datetime) -> dict[str, Any]:
    """What `Metrics.analytics` says of a range, but for what is named in it only to say what was asked."""
    scope = events[events["at"] >= since]
    inside = scope[scope["at"] < until]
    ends = inside[inside.type == "message_complete"]
    used = _using(inside)
    cost = _sum(used.cost)
    outcomes = _outcomes(scope, until, ended_before)
    approvals, leads, tools = _approvals(scope, until)
    approvals["by_policy"] = int(inside.policy.notna().sum())
    return outcomes | {
        "approvals": approvals,
        "leads": leads,
        "approval_tools": tools,
        "escalations": _counted(inside[inside.type == "escalation"].kind.fillna("asked"), "escalations"),
        "tool_errors": _counted(
            inside[inside.status == "error"].error_class.fillna("unknown"), "errors", "error_class"
        ),
        "agents": _agents(inside),
        "tools": _tools(inside),
        "latency_ms": _parts(ends.duration_ms),
        "first_token_ms": _parts(ends.first_token_ms),
        "tokens": {name: int(used[name].fillna(0).sum()) for name in ("input", "output")},
        "cost_usd": cost,
        "cost_per_conversation_usd": None
        if cost is None or not outcomes["conversations"]
        else cost / outcomes["conversations"],
        "models": _models(used),
        "hours": int((inside.status == "ok").sum()) * 3 / 60,
        "series": _series(scope, until, ended_before),
    }


def behind(events: pd.DataFrame, since: datetime, until: datetime) -> dict[tuple[str, str | None], set[str]]:
    """The threads behind each line of each figure of what happened in a range; None: all of the figure."""
    scope = events[events["at"] >= since]
    inside = scope[scope["at"] < until]
    calls = inside[(inside.type == "tool_call") | (inside.status == "error")]
    asked = inside[inside.type == "interrupt"][["thread", "approval_id", "tool"]]
    decided = scope[scope.type == "decision"][["approval_id", "outcome", "decided_by"]]
    both = asked.merge(decided, on="approval_id", how="left").assign(
        outcome=lambda rows: rows.outcome.fillna("pending")
    )
    failed, called = inside[inside.status == "error"], inside[inside.type == "escalation"]
    by = {
        "agents": (inside[inside.type.isin(["message", "tool_call"])], "agent"),
        "tools": (calls, "tool"),
        "tool_errors": (failed.assign(error_class=failed.error_class.fillna("unknown")), "error_class"),
        "escalations": (called.assign(kind=called.kind.fillna("asked")), "kind"),
        "approvals": (both, "outcome"),
        "leads": (both[both.outcome.isin(HUMAN)], "decided_by"),
        "approval_tools": (both, "tool"),
    }
    lines = {
        (figure, line): set(rows.thread)
        for figure, (counted, column) in by.items()
        for line, rows in counted.groupby(column)
    }
    return lines | {
        ("approvals", None): set(asked.thread),
        ("by_policy", None): set(inside[inside.policy.notna()].thread),
    }


def _outcomes(
    scope: pd.DataFrame, until: datetime, ended_before: datetime, only: set[str] | None = None
) -> dict[str, Any]:
    told = [_judged(rows, ended_before) for _, rows in scope.groupby("thread") if (rows.first_seq == 1).any()]
    all_ = pd.DataFrame(told, columns=["thread", "started", "last", "customer", "turns", "outcome"])
    asked = all_[(all_.started < until) & (all_.thread.isin(only) if only is not None else True)]
    judged = {name: int((asked.outcome == name).sum()) for name in OUTCOMES}
    resolved = asked[asked.outcome.isin(OUTCOMES[:2])]
    known = resolved[resolved.customer.notna()]
    back = sum(
        bool(
            (
                (all_.customer == one.customer)
                & (all_.started > one.last)
                & (all_.started <= one.last + WEEK)
            ).any()
        )
        for one in known.itertuples()
    )
    whole = sum(judged.values())
    return {
        "conversations": len(asked),
        "outcomes": judged,
        "resolution_rate": len(resolved) / whole if whole else None,
        "escalation_rate": judged["escalated"] / whole if whole else None,
        "turns_to_resolution": {"median": _part(resolved.turns, 0.5), "p95": _part(resolved.turns, 0.95)},
        "reopened": {
            "resolved": len(known),
            "reopened": back,
            "rate": back / len(known) if len(known) else None,
        },
    }


def _judged(rows: pd.DataFrame, ended_before: datetime) -> dict[str, Any]:
    return {
        "thread": rows.thread.iloc[0],
        "started": rows[rows.first_seq == 1]["at"].min(),
        "last": rows["at"].max(),
        "customer": next(iter(rows.customer.dropna()), None),
        "turns": int(rows.type.isin(ENDS).sum()),
        "outcome": _outcome(rows, over=rows["at"].max() <= ended_before),
    }


def _outcome(rows: pd.DataFrame, *, over: bool) -> str | None:
    def last(fits: pd.Series) -> int:
        return int(rows[fits].seq.max()) if fits.any() else 0

    asked, decided = rows[rows.type == "interrupt"], rows[rows.type == "decision"]
    completed, customer = last(rows.type == "message_complete"), last(rows.role == "customer")
    if (rows.type == "escalation").any():
        return "escalated"
    if not asked.approval_id.isin(decided.approval_id).all():
        return None
    for yes in decided[decided.outcome.isin(["approved", "edited"])].itertuples():
        tool = asked[asked.approval_id == yes.approval_id].tool.iloc[0]
        after = rows[(rows.type == "tool_result") & (rows.tool == tool) & (rows.seq > yes.seq)]
        if (after.status == "ok").any() or (after.empty and completed > yes.seq):
            return "resolved_with_approval"
    went_well = completed > max(customer, last(rows.type.isin(["error", "interrupt"])))
    open_ = last((rows.type == "clarification") | (rows.outcome == "expired")) > customer
    instead = (decided.outcome == "responded").any() or ((rows.status == "ok") & rows.policy.notna()).any()
    if went_well and not open_ and (decided.outcome == "rejected").any() and not instead:
        return "rejected"
    answered = over and last(rows.role == "agent") > customer
    if went_well and not open_ and ((rows.status == "ok").any() or answered):
        return "resolved"
    return "abandoned" if over else None


def _approvals(scope: pd.DataFrame, until: datetime) -> tuple[dict[str, Any], Rows, Rows]:
    asked = scope[(scope.type == "interrupt") & (scope["at"] < until)][["approval_id", "tool", "at"]]
    decided = scope[scope.type == "decision"][["approval_id", "outcome", "decided_by", "at"]]
    both = asked.merge(decided, on="approval_id", how="left", suffixes=("", "_decided"))
    human = both.outcome.isin(HUMAN)
    both["seconds"] = (both["at_decided"] - both["at"]).dt.total_seconds().where(human)
    counts = {name: int((both.outcome == name).sum()) for name in (*HUMAN, "expired", "withdrawn")}
    whole = {"requested": len(both), **counts, "pending": int(both.outcome.isna().sum())}
    whole |= {f"{n}_seconds_to_decide": _part(both.seconds, p) for n, p in (("median", 0.5), ("p95", 0.95))}
    leads = [_of(rows, decided_by=name, hasty=True) for name, rows in both[human].groupby("decided_by")]
    tools = [_of(rows, tool=name) for name, rows in both.groupby("tool")]
    return whole, sorted(leads, key=str), sorted(tools, key=str)


def _of(rows: pd.DataFrame, *, hasty: bool = False, **named: Any) -> dict[str, Any]:
    counts = {name: int((rows.outcome == name).sum()) for name in HUMAN}
    took = {"median_seconds": _part(rows.seconds, 0.5), "p95_seconds": _part(rows.seconds, 0.95)}
    if not hasty:
        counts |= {name: int((rows.outcome == name).sum()) for name in ("expired", "withdrawn")}
        return named | counts | took | {"requested": len(rows)}
    quick = int((rows.seconds < 3).sum())
    return named | counts | took | {"decided": len(rows), "hasty": quick, "hasty_share": quick / len(rows)}


def _agents(inside: pd.DataFrame) -> Rows:
    took_part = inside[inside.type.isin(["message", "tool_call"]) & inside.agent.notna()]
    turns = took_part.groupby("agent").turn.nunique()
    return sorted(({"agent": name, "turns": int(turns[name])} for name in turns.index), key=str)


def _tools(inside: pd.DataFrame) -> Rows:
    used = inside[inside.type.isin(["tool_call", "tool_result"])]
    return sorted(
        (
            {
                "tool": name,
                "calls": int((rows.type == "tool_call").sum()),
                "errors": int((rows.status == "error").sum()),
            }
            for name, rows in used.groupby("tool")
        ),
        key=str,
    )


def _models(used: pd.DataFrame) -> Rows:
    rows = [
        {
            "model": name,
            "turns": int((of.type == "message_complete").sum()),
            "input": int(of.input.fillna(0).sum()),
            "output": int(of.output.fillna(0).sum()),
            "cost_usd": _sum(of.cost),
        }
        for name, of in used.groupby(used.model.fillna("unknown"))
    ]
    return sorted(rows, key=str)


def _series(scope: pd.DataFrame, until: datetime, ended_before: datetime) -> dict[str, dict[str, Any]]:
    """By day, those on which something happened; what became of things stands where they began."""
    inside = scope[scope["at"] < until]
    told = {}
    for day, rows in inside.groupby(inside["at"].map(lambda at: f"{at:%Y-%m-%d}")):
        ends = rows[rows.type == "message_complete"]
        used = _using(rows)
        asked = rows[rows.type == "interrupt"].approval_id
        begun = rows[rows.first_seq == 1].thread
        of_these = scope[scope.approval_id.isin(asked)]
        all_ = _outcomes(scope, until, ended_before, only=set(begun))
        told[str(day)] = {
            "conversations": len(begun),
            "turns": int(rows.type.isin(ENDS).sum()),
            "approvals": len(asked),
            "escalations": int((rows.type == "escalation").sum()),
            "by_policy": int(rows.policy.notna().sum()),
            **all_["outcomes"],
            "of_known_customers": all_["reopened"]["resolved"],
            "reopened": all_["reopened"]["reopened"],
            "turns_to_resolution": all_["turns_to_resolution"]["median"],
            "seconds_to_decide": _approvals(of_these, until)[0]["median_seconds_to_decide"],
            "latency_ms": _parts(ends.duration_ms),
            "tokens": int(used.input.fillna(0).sum() + used.output.fillna(0).sum()),
            "cost_usd": _sum(used.cost),
            "hours_saved": int((rows.status == "ok").sum()) * 3 / 60,
        }
    return told


def _using(rows: pd.DataFrame) -> pd.DataFrame:
    """Turns that tell what they used: a turn that ended waiting tells it with the request."""
    return rows[(rows.type == "message_complete") | ((rows.type == "interrupt") & rows.input.notna())]


def _counted(values: pd.Series, count: str, name: str = "kind") -> Rows:
    return sorted(({name: value, count: int(n)} for value, n in values.value_counts().items()), key=str)


def _parts(values: pd.Series) -> dict[str, float | None]:
    return {name: _part(values, p) for name, p in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def _part(values: pd.Series, share: float) -> float | None:
    known = values.dropna().astype(float)
    return float(known.quantile(share)) if len(known) else None


def _sum(values: pd.Series) -> float | None:
    known = values.dropna().astype(float)
    return float(known.sum()) if len(known) else None
