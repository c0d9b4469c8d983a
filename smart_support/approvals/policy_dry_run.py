"""Dry run of a changed policy: judges the recorded writes again and reports the differences.

Nothing is written. The facts of each write were recorded with it, so that no other system is called.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from smart_support import clock
from smart_support.approvals.ceilings import Tally
from smart_support.approvals.policy import Policy, Rules, Verdict
from smart_support.errors import ConfigError
from smart_support.settings import Settings
from smart_support.storage.state.base import Row
from smart_support.storage.state.read_only import Read, open_read_only

MOST_CHARS = 200
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_WORDS = {
    "run": "runs without asking",
    "ask": "asks",
    "two_leads": "asks two leads",
    "never": "is not allowed",
}
_REQUESTED = """
    SELECT requested_at AS at, thread_id, action, args, facts, need, status, decided_by, approval_id,
        caller, customer_id, approvers, expires_after, on_expiry
    FROM approvals WHERE requested_at >= :since AND tool_version IS NOT NULL
"""
_FORBIDDEN = "SELECT at, thread_id, detail, actor FROM audit WHERE kind = 'forbidden' AND at >= :since"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a verdict says besides how many people are needed: groups, time, and what follows on expiry."""

    approvers: frozenset[str] = frozenset()
    expires_after: int | None = None
    escalates: bool = False

    @classmethod
    def of_verdict(cls, verdict: Verdict) -> "Terms":
        """Those of a verdict."""
        return cls(frozenset(verdict.approvers), verdict.expires_after, verdict.on_expiry == "escalate")

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Terms":
        """Those that were recorded with an approval."""
        approvers = frozenset(orjson.loads(row.get("approvers") or "[]"))
        return cls(approvers, row.get("expires_after"), row.get("on_expiry") == "escalate")


@dataclass(frozen=True, slots=True)
class Difference:
    """A recorded write for which the policy now gives another verdict.

    Attributes:
        need: what the policy required then, with the other `terms`.
        status, decided_by: the outcome then.
    """

    at: str
    action: str
    args: dict[str, Any]
    need: str
    status: str
    decided_by: str | None
    verdict: Verdict
    terms: "Terms"

    @property
    def now(self) -> str:
        """What the policy requires now, in words."""
        return _in_words(self.verdict.need, Terms.of_verdict(self.verdict))

    @property
    def then(self) -> str:
        """What it required then, in words."""
        return _in_words(self.need, self.terms)

    @property
    def is_grave(self) -> bool:
        """Whether a write that nobody approved would have run without approval."""
        return self.verdict.need == "run" and self.status not in ("approved",)

    def line(self) -> str:
        """One line to read."""
        by = f" by {self.decided_by}" if self.decided_by else ""
        args = _printable(" ".join(f"{name}={value}" for name, value in self.args.items()))
        args = args if len(args) <= MOST_CHARS else f"{args[:MOST_CHARS]}…"
        return (
            f"{self.at[:16].replace('T', ' ')}  {self.action} {args}: {self.then} -> "
            f"{self.now}  ({self.status}{by})"
            + (f"  {self.verdict.because}" if self.verdict.need == "ask" and self.verdict.because else "")
        )


def differences(rows: Sequence[Mapping[str, Any]], policy: Policy) -> Iterator[Difference]:
    """The recorded writes whose verdict is different now, in order of time.

    Ceilings count the calls that this policy would have let run, from the first of the rows on.
    """
    tally = Tally()
    for row in rows:
        args = orjson.loads(row["args"] or "{}")
        facts = args | orjson.loads(row["facts"] or "{}")
        caller, customer_id = row.get("caller"), row.get("customer_id")
        verdict = policy.judge(row["action"], facts, facts.keys(), caller=caller)
        if verdict.need == "run":
            identity = {"caller": caller, "customer_id": customer_id}
            why = tally.reason_to_ask(
                verdict.ceilings, str(row.get("thread_id")), row["at"], facts, **identity
            )
            verdict = replace(verdict, need="ask", because=why, ceilings=()) if why else verdict
        needs_human = verdict.need in ("ask", "two_leads")
        terms = Terms.of_row(row)
        if caller:
            # Beside the policy's groups there is the one of the caller.
            terms = replace(terms, approvers=terms.approvers & set(verdict.approvers))
        if verdict.need != row["need"] or (needs_human and terms != Terms.of_verdict(verdict)):
            then = (row["at"], row["action"], args, row["need"], row["status"], row["decided_by"])
            yield Difference(*then, verdict, terms)


def _in_words(need: str, terms: Terms) -> str:
    words = [_WORDS[need]]
    if need in ("ask", "two_leads"):
        words += [f"of {' and '.join(sorted(terms.approvers))}"] if terms.approvers else []
        words += [f"within {terms.expires_after} s"] if terms.expires_after else []
        words += ["or escalates"] if terms.escalates else []
    return " ".join(words)


def misspelt(rows: Sequence[Mapping[str, Any]], policy: Policy) -> Iterator[str]:
    """A sentence for each rule that uses a name which no recorded write of its tools had."""
    had: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        had[row["action"]] |= {*orjson.loads(row["args"] or "{}"), *orjson.loads(row["facts"] or "{}")}
    for place, rule in enumerate(policy.rules, start=1):
        matching = sorted(tool for tool in had if fnmatchcase(tool, rule.tool))
        if matching and (names := policy.unknown_names(rule, had)):
            known = ", ".join(sorted({name for tool in matching for name in had[tool]}))
            yield (
                f"policy rule {place}: {rule.when!r} asks for {', '.join(sorted(names))}, which no recorded "
                f"write of {rule.tool} had; they had: {known}"
            )


def load_policy(path: Path) -> Policy:
    """The rules of an agents file.

    Raises:
        ConfigError: it can't be read, or a rule in it is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Policy(Rules.model_validate(content or {}).policy)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}; give --agents FILE") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(str(part) for part in first["loc"]) + ": " + first["msg"] if first else str(error)
        raise ConfigError(f"{path}: {where}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m smart_support.approvals.policy --since 30d`: what the policy would have done otherwise.

    Returns:
        0 where nothing that was not approved would have run; 1 where something would; 2 where it can't say.
    """
    parser = argparse.ArgumentParser(
        prog="python -m smart_support.approvals.policy", description=main.__doc__
    )
    parser.add_argument("--since", default="30d", help="how far back: 12h, 30d, 4w, or a date")
    parser.add_argument("--agents", type=Path, help="the agents file with the rules to try")
    given = parser.parse_args(arguments)
    try:
        settings = Settings()
        since = _since(given.since)
        policy = load_policy(given.agents or settings.agents_path)
        with open_read_only(settings) as read:
            rows = _recorded(read, since)
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return 2
    for line in misspelt(rows, policy):
        print(line, file=sys.stderr)
    return _print_report(rows, list(differences(rows, policy)), given.since)


def _recorded(read: Read, since: str) -> list[Row]:
    """The writes that were requested, and those that the policy forbade, in order of time."""
    rows = list(read(_REQUESTED, {"since": since}))
    for row in read(_FORBIDDEN, {"since": since}):
        detail = orjson.loads(row["detail"])
        forbidden = {name: orjson.dumps(detail.get(name)).decode() for name in ("args", "facts")}
        forbidden |= {
            "at": row["at"],
            "thread_id": row["thread_id"],
            "action": detail.get("action"),
            "need": "never",
            "status": "forbidden",
        }
        rows.append(forbidden | {"decided_by": row["actor"], "approval_id": None})
    return sorted(rows, key=lambda row: str(row["at"]))


def _print_report(rows: Sequence[Mapping[str, Any]], differing: Sequence[Difference], since: str) -> int:
    print(f"{len(rows)} writes since {since}; {len(differing)} would have been treated differently.")
    turns = Counter((one.action, one.then, one.now) for one in differing)
    for (action, then, now), number in turns.most_common():
        print(f"{number:6}  {action}: {then} -> {now}")
    for one in differing:
        print(one.line())
    grave = sum(one.is_grave for one in differing)
    if grave:
        print(f"{grave} that nobody approved as they were asked would have run without anybody being asked.")
    return 1 if grave else 0


def _since(text: str) -> str:
    if match := re.fullmatch(r"([1-9]\d{0,4})([hdw])", text):
        return clock.rfc3339(clock.now() - timedelta(**{_UNITS[match[2]]: int(match[1])}))
    try:
        return clock.rfc3339(clock.parse(text))
    except ValueError:
        raise ConfigError(
            f"--since {text}: give a span like 12h, 30d, 4w, or a date like 2026-11-01"
        ) from None


def _printable(text: str) -> str:
    """The text with all characters escaped that a terminal does not print as they are."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
