"""Which write needs whom: rules on a tool and on what is known of the call, from the agents file.

Judged in code, on facts that the systems themselves gave where they can be had; a model's words are no
fact. What a verdict leads to is the gate's business.
"""

import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from smart_support.approvals.condition import Condition

Need = Literal["run", "ask", "two_leads", "never"]
NEEDS: tuple[Need, ...] = ("run", "ask", "two_leads", "never")
BY_POLICY = "policy"


class Rule(BaseModel):
    """One rule.

    Attributes:
        tool: the name of a tool; `*` stands for any characters, so that `*` alone is every write.
        when: a `Condition` on the call's arguments and facts; always where it is left out.
        then: `run` without asking, `ask` one human, `two_leads`, or `never`.
        because: why, in words for the person who asked or decides.
        escalate: with `never`: a human is told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    when: str = ""
    then: Need
    because: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    escalate: bool = False

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a call needs, and the words of the rule that says so."""

    need: Need = "ask"
    because: str = ""
    escalate: bool = False

    def stricter_than(self, need: str) -> bool:
        """Whether this asks for more than `need`."""
        return NEEDS.index(self.need) > NEEDS.index(need)


class Policy:
    """The rules of a team. The strictest that applies wins; where none does, a human is asked."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._conditions = {rule.when: Condition(rule.when) for rule in self.rules if rule.when}

    def judge(self, tool: str, facts: Mapping[str, Any], known: Collection[str]) -> Verdict:
        """What a call of a write needs.

        Args:
            facts: its arguments, and what the systems say, by name; the systems' word comes first.
            known: every name that could stand in `facts` for this tool. A rule all of whose names are
                others does not speak of it. Where a name has no value, the rule is uncertain: then it
                applies where it is strict (`ask`, `two_leads`, `never`), and does not where it is `run`.
        """
        applying = [rule for rule in self.rules if self._applies(rule, tool, facts, known)]
        if not applying:
            return Verdict()
        strictest = max(applying, key=lambda rule: NEEDS.index(rule.then))
        return Verdict(strictest.then, strictest.because, strictest.escalate and strictest.then == "never")

    def of_tool(self, tool: str) -> list[dict[str, Any]]:
        """The rules that speak of a tool, as `/tools` shows them."""
        return [
            {"when": rule.when or None, "then": rule.then, "because": rule.because or None}
            for rule in self.rules
            if fnmatchcase(tool, rule.tool)
        ]

    def unknown_names(self, rule: Rule, tools: Mapping[str, Collection[str]]) -> frozenset[str]:
        """The names a rule asks for that none of the tools it speaks of has: most likely misspelt.

        Args:
            tools: of each write, by name, every name that could stand in its facts.
        """
        if not rule.when:
            return frozenset()
        has = {name for tool, names in tools.items() if fnmatchcase(tool, rule.tool) for name in names}
        return self._conditions[rule.when].names - has

    def _applies(self, rule: Rule, tool: str, facts: Mapping[str, Any], known: Collection[str]) -> bool:
        if not fnmatchcase(tool, rule.tool):
            return False
        if not rule.when:
            return True
        condition = self._conditions[rule.when]
        if condition.names and not condition.names & set(known):
            return False
        holds = condition.holds(facts)
        return rule.then != "run" if holds is None else holds


class Rules(BaseModel):
    """The `policy:` part of an agents file; what else is in the file is not looked at."""

    policy: tuple[Rule, ...] = Field(default=())


if __name__ == "__main__":
    from smart_support.approvals.dry_run import main

    sys.exit(main())
