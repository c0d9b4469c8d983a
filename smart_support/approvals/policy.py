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

Need = Literal["run", "ask", "two_leads", "never"]
NEEDS: tuple[Need, ...] = ("run", "ask", "two_leads", "never")
BY_POLICY = "policy"


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
        when: a `Condition` on the call's arguments and facts; always where it is left out.
        then: `run` without approval, `ask` one human, `two_leads`, or `never`.
        because: the reason, for the person who decides or whose request it is.
        escalate: with `never`: a human is notified.
        max_per_conversation, max_per_day: with `run`: how much runs without approval; more needs it. A rule
            with neither lets `MAX_PER_CONVERSATION` calls run in a conversation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    when: str = ""
    then: Need
    because: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    escalate: bool = False
    max_per_conversation: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None
    max_per_day: DayLimit | None = None

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

    @property
    def ceiling(self) -> Ceiling:
        """How much runs under this rule without asking."""
        key = hashlib.sha256(f"{self.tool}\n{self.when}".encode()).hexdigest()[:32]
        most = self.max_per_conversation
        if self.max_per_day is None:
            return Ceiling(key, MAX_PER_CONVERSATION if most is None else most)
        return Ceiling(key, most, self.max_per_day.field, self.max_per_day.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a call needs, the reason of the rule that says so, and the ceilings under which it may run."""

    need: Need = "ask"
    because: str = ""
    escalate: bool = False
    ceilings: tuple[Ceiling, ...] = ()

    def stricter_than(self, need: str) -> bool:
        """Whether this requires more than `need`."""
        return NEEDS.index(self.need) > NEEDS.index(need)


class Policy:
    """The rules of a team. The strictest that applies wins; where none does, one human has to approve."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._conditions = {rule.when: Condition(rule.when) for rule in self.rules if rule.when}

    def judge(self, tool: str, facts: Mapping[str, Any], known: Collection[str]) -> Verdict:
        """What a call of a write needs.

        Args:
            facts: the arguments, and the facts of the systems, which take precedence, by name.
            known: every name that `facts` can have for this tool. A rule that uses none of them does not
                apply. Where a name has no value the rule is uncertain: it then applies if it is strict
                (`ask`, `two_leads`, `never`), and does not if it is `run`.
        """
        applying = [rule for rule in self.rules if self.applies(rule, tool, facts, known)]
        if not applying:
            return Verdict()
        strictest = max(applying, key=lambda rule: NEEDS.index(rule.then))
        escalate = strictest.escalate and strictest.then == "never"
        # Where the strictest lets it run, so do all that apply: the call has to be within each one's ceiling.
        ceilings = tuple(
            dict.fromkeys(rule.ceiling for rule in applying if rule.then == strictest.then == "run")
        )
        return Verdict(strictest.then, strictest.because, escalate, ceilings)

    def of_tool(self, tool: str) -> list[dict[str, Any]]:
        """The rules for a tool, as `/tools` shows them."""
        return [
            {"when": rule.when or None, "then": rule.then, "because": rule.because or None}
            | _ceilings_of(rule)
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
        return self._conditions[rule.when].names - has

    def applies(self, rule: Rule, tool: str, facts: Mapping[str, Any], known: Collection[str]) -> bool:
        """Whether a rule applies to a call of a tool, given what is known about the call."""
        if not fnmatchcase(tool, rule.tool):
            return False
        if not rule.when:
            return True
        condition = self._conditions[rule.when]
        if condition.names and not condition.names & set(known):
            return False
        holds = condition.holds(facts)
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


class Rules(BaseModel):
    """The `policy:` part of an agents file; the other parts are ignored."""

    policy: tuple[Rule, ...] = Field(default=())


if __name__ == "__main__":
    from smart_support.approvals.policy_dry_run import main

    sys.exit(main())
