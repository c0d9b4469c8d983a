"""The policy: rules of the agents file that say which write needs whose approval.

Rules are evaluated on facts from the systems themselves where there are some, and else on the arguments.
"""

import hashlib
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from smart_support.approvals.ceilings import MAX_PER_CONVERSATION, Ceiling
from smart_support.approvals.condition import Condition

OnExpiry = Literal["reject", "escalate"]
Need = Literal["run", "ask", "two_leads", "never"]
NEEDS: tuple[Need, ...] = ("run", "ask", "two_leads", "never")
BY_POLICY = "policy"
# A fact of every call: the API client that makes it, or an empty text for an agent of ours.
CALLER = "caller"
MAX_EXPIRY_SECONDS = 30 * 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Group = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class DayLimit(BaseModel):
    """How much the calls of a rule may add up to in 24 hours, over all conversations.

    Attributes:
        field: a number among the arguments or facts of the rule's tools.
        limit: the most its sum may be, in the field's own unit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$", max_length=100)]
    limit: Annotated[int, Field(ge=0, le=10**15, strict=True)]


class Rule(BaseModel):
    """One rule.

    Attributes:
        tool: the name of a tool; `*` stands for any characters, so that `*` alone is every write.
        caller: for the calls of this API client alone; `*` stands for any characters. Where it is left out,
            the rule is for agents and all clients.
        when: a `Condition` on the call's arguments and facts, and on `caller`; always where it is left out.
        then: `run` without approval, `ask` one human, `two_leads`, or `never`.
        because: the reason, for the person who decides or whose request it is.
        escalate: with `never`: a human is notified.
        max_per_conversation, max_per_day: with `run`: how much runs without approval; more needs it. A rule
            with neither lets `MAX_PER_CONVERSATION` calls run in a conversation, or for each caller and
            customer in 24 hours.
        approvers: groups of users of each of which somebody must approve, if approval is needed.
        expires_after: the seconds in which that must be decided; written like `90s`, `10m`, `2h` or `1d`.
        on_expiry: where nobody does: `reject` the call, or also `escalate` to a human.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    caller: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    when: str = ""
    then: Need
    because: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    escalate: bool = False
    max_per_conversation: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None
    max_per_day: DayLimit | None = None
    approvers: tuple[Group, ...] = ()
    expires_after: int | None = None
    on_expiry: OnExpiry | None = None

    @field_validator("expires_after", mode="before")
    @classmethod
    def _a_time(cls, value: Any) -> int | None:
        match = re.fullmatch(r"([1-9]\d{0,6})([smhd])", value.strip()) if isinstance(value, str) else None
        seconds = int(match[1]) * _UNITS[match[2]] if match else 0
        if value is not None and not 0 < seconds <= MAX_EXPIRY_SECONDS:
            raise ValueError(f"{value!r} is no time up to 30 days; write one like 90s, 10m, 2h or 1d")
        return seconds or None

    @field_validator("tool")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_*-]+", value):
            raise ValueError(f"{value!r} is not the name of a tool; '*' stands for any characters")
        return value

    @field_validator("when")
    @classmethod
    def _a_condition(cls, value: str) -> str:
        return Condition(value).text if value.strip() else ""

    @model_validator(mode="after")
    def _ceilings_fit(self) -> "Rule":
        given = [name for name in ("max_per_conversation", "max_per_day") if getattr(self, name) is not None]
        if given and self.then != "run":
            raise ValueError(
                f"the rule on {self.tool!r} has {given[0]}, which limits what runs without asking, but it "
                f"says then: {self.then}; write then: run, or leave {given[0]} out"
            )
        return self

    @model_validator(mode="after")
    def _terms_fit(self) -> "Rule":
        given = [name for name in ("approvers", "expires_after", "on_expiry") if getattr(self, name)]
        if given and self.then == "never":
            raise ValueError(
                f"the rule on {self.tool!r} has {given[0]}, which is about an approval, but it says then: "
                f"never; leave {given[0]} out"
            )
        return self

    @property
    def ceiling(self) -> Ceiling:
        """How much runs under this rule without asking."""
        named = f"{self.tool}\n{self.when}" + (f"\n{self.caller}" if self.caller else "")
        key = hashlib.sha256(named.encode()).hexdigest()[:32]
        most = self.max_per_conversation
        if self.max_per_day is None:
            is_default = most is None
            return Ceiling(key, MAX_PER_CONVERSATION if most is None else most, is_default=is_default)
        return Ceiling(key, most, self.max_per_day.field, self.max_per_day.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a call needs, the reason of the rule that says so, and the ceilings under which it may run.

    Attributes:
        approvers, expires_after, on_expiry: as in `PlannedCall`.
    """

    need: Need = "ask"
    because: str = ""
    escalate: bool = False
    ceilings: tuple[Ceiling, ...] = ()
    approvers: tuple[str, ...] = ()
    expires_after: int | None = None
    on_expiry: OnExpiry | None = None

    def stricter_than(self, need: str, approvers: Collection[str] = ()) -> bool:
        """Whether this requires more than `need` and an approval by each group of `approvers`."""
        needs_human = self.need in ("ask", "two_leads")
        has_more_groups = needs_human and not set(self.approvers) <= set(approvers)
        return has_more_groups or NEEDS.index(self.need) > NEEDS.index(need)


class Policy:
    """The rules of a team. The strictest that applies wins; where none does, one human has to approve."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._conditions = {rule.when: Condition(rule.when) for rule in self.rules if rule.when}

    def judge(
        self, tool: str, facts: Mapping[str, Any], known: Collection[str], *, caller: str | None = None
    ) -> Verdict:
        """What a call of a write needs.

        Where several rules apply, the strictest says how many people, each of them which groups, the shortest
        time counts, and one that escalates on expiry is enough.

        Args:
            caller: the API client that makes the call; None for an agent of ours.
            facts: the arguments, and the facts of the systems, which take precedence, by name.
            known: every name that `facts` can have for this tool. A rule that uses none of them does not
                apply. Where a name has no value the rule is uncertain: it then applies if it is strict
                (`ask`, `two_leads`, `never`), and does not if it is `run`.
        """
        applying = [rule for rule in self.rules if self.applies(rule, tool, facts, known, caller=caller)]
        if not applying:
            return Verdict()
        strictest = max(applying, key=lambda rule: NEEDS.index(rule.then))
        escalate = strictest.escalate and strictest.then == "never"
        # Where the strictest lets it run, so do all that apply: the call has to be within each one's ceiling.
        ceilings = tuple(
            dict.fromkeys(rule.ceiling for rule in applying if rule.then == strictest.then == "run")
        )
        times = [rule.expires_after for rule in applying if rule.expires_after is not None]
        ends = {rule.on_expiry for rule in applying}
        on_expiry: OnExpiry | None = (
            "escalate" if "escalate" in ends else "reject" if "reject" in ends else None
        )
        return Verdict(
            strictest.then,
            strictest.because,
            escalate,
            ceilings,
            approvers=tuple(dict.fromkeys(group for rule in applying for group in rule.approvers)),
            expires_after=min(times, default=None),
            on_expiry=on_expiry,
        )

    def of_tool(self, tool: str) -> list[dict[str, Any]]:
        """The rules for a tool, as `/tools` shows them."""
        return [
            {"when": rule.when or None, "then": rule.then, "because": rule.because or None}
            | _ceilings_of(rule)
            | _terms_of(rule)
            for rule in self.rules
            if fnmatchcase(tool, rule.tool)
        ]

    def unknown_names(self, rule: Rule, tools: Mapping[str, Collection[str]]) -> frozenset[str]:
        """The names that a rule uses and that none of its tools has: most likely misspelt.

        Args:
            tools: for each write, by name, every name that its facts can have.
        """
        if not rule.when:
            return frozenset()
        has = {name for tool, names in tools.items() if fnmatchcase(tool, rule.tool) for name in names}
        return self._conditions[rule.when].names - has - {CALLER}

    def applies(
        self,
        rule: Rule,
        tool: str,
        facts: Mapping[str, Any],
        known: Collection[str],
        *,
        caller: str | None = None,
    ) -> bool:
        """Whether a rule applies to a call of a tool, given what is known about the call."""
        if not fnmatchcase(tool, rule.tool):
            return False
        if rule.caller and (caller is None or not fnmatchcase(caller, rule.caller)):
            return False
        if not rule.when:
            return True
        condition = self._conditions[rule.when]
        names = condition.names - {CALLER}
        if names and not names & set(known):
            return False
        # Not an argument of that name: a model could say anything there.
        holds = condition.holds({**facts, CALLER: caller or ""})
        return rule.then != "run" if holds is None else holds


def _ceilings_of(rule: Rule) -> dict[str, Any]:
    """The ceilings of a rule, its own or the built-in one."""
    if rule.then != "run":
        return {}
    ceilings: dict[str, Any] = {}
    if (most := rule.ceiling.max_per_conversation) is not None:
        ceilings["max_per_conversation"] = most
    if rule.max_per_day:
        ceilings["max_per_day"] = rule.max_per_day.model_dump()
    return ceilings


def _terms_of(rule: Rule) -> dict[str, Any]:
    """What a rule says of the approval, and of whose calls it is."""
    given = {"caller": rule.caller, "expires_after": rule.expires_after, "on_expiry": rule.on_expiry}
    terms = {name: value for name, value in given.items() if value}
    return terms | ({"approvers": list(rule.approvers)} if rule.approvers else {})


class Rules(BaseModel):
    """The `policy:` part of an agents file; the other parts are ignored."""

    policy: tuple[Rule, ...] = Field(default=())


if __name__ == "__main__":
    from smart_support.approvals.policy_dry_run import main

    sys.exit(main())
