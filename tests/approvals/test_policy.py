"""Which write needs whom: the strictest rule that applies, and uncertainty on the careful side."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smart_support.approvals.dry_run import load_policy
from smart_support.approvals.policy import NEEDS, Policy, Rule
from smart_support.errors import ConfigError

KNOWN = {"amount_cents", "account"}
POLICY = Policy(
    [
        Rule(tool="refund_order", when="amount_cents <= 2000", then="run", because="small"),
        Rule(tool="refund_order", when="amount_cents > 50000", then="two_leads"),
        Rule(tool="*", when="account == 'frozen'", then="never", escalate=True),
    ]
)


@pytest.mark.parametrize(
    ("tool", "facts", "need"),
    [
        ("refund_order", {"amount_cents": 2000, "account": "active"}, "run"),
        ("refund_order", {"amount_cents": 2001, "account": "active"}, "ask"),
        ("refund_order", {"amount_cents": 50_001, "account": "active"}, "two_leads"),
        ("refund_order", {"amount_cents": 1, "account": "frozen"}, "never"),
        ("refund_order", {"amount_cents": None, "account": "active"}, "two_leads"),
        ("refund_order", {"amount_cents": 1}, "never"),
        ("cancel_order", {"amount_cents": 1, "account": "active"}, "ask"),
    ],
)
def test_the_strictest_rule_wins_and_what_is_not_known_counts_against(
    tool: str, facts: dict[str, Any], need: str
) -> None:
    assert POLICY.judge(tool, facts, KNOWN).need == need


def test_a_rule_about_names_a_tool_never_has_does_not_speak_of_it() -> None:
    assert POLICY.judge("make_coupon", {"percent": 5}, {"percent"}).need == "ask"


def test_without_rules_a_human_is_asked() -> None:
    assert Policy().judge("anything", {}, ()).need == "ask"


def test_only_what_is_forbidden_escalates() -> None:
    assert POLICY.judge("x", {"account": "frozen"}, KNOWN).escalate
    assert not POLICY.judge("refund_order", {"amount_cents": 1, "account": "active"}, KNOWN).escalate


_rules = st.lists(
    st.builds(
        Rule,
        tool=st.sampled_from(["a", "b", "*", "a*"]),
        when=st.sampled_from(["", "x > 1", "x <= 1", "y == 'u'", "x > 1 and y == 'u'"]),
        then=st.sampled_from(NEEDS),
    ),
    max_size=6,
)
_facts = st.dictionaries(st.sampled_from("xy"), st.none() | st.integers(0, 3) | st.sampled_from("uv"))


@given(rules=_rules, more=_rules, facts=_facts)
def test_more_strict_rules_never_make_a_verdict_milder(
    rules: list[Rule], more: list[Rule], facts: dict[str, Any]
) -> None:
    before = Policy(rules).judge("a", facts, "xy")
    strict = [rule for rule in more if rule.then != "run"]
    after = Policy([*rules, *strict]).judge("a", facts, "xy")
    assert before.need == "ask" or not before.stricter_than(after.need)
    assert Policy([*reversed(rules)]).judge("a", facts, "xy").need == before.need


@given(rules=_rules, facts=_facts)
def test_knowing_less_never_makes_a_verdict_milder(rules: list[Rule], facts: dict[str, Any]) -> None:
    policy = Policy(rules)
    full = policy.judge("a", facts, "xy")
    for name in facts:
        less = {key: value for key, value in facts.items() if key != name}
        assert not full.stricter_than(policy.judge("a", less, "xy").need)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"tool": "x", "when": "amount <", "then": "run"}, "is not a condition"),
        ({"tool": "x", "then": "perhaps"}, "run"),
        ({"tool": "refund order", "then": "run"}, "is not the name of a tool"),
        ({"tool": "x", "then": "run", "unless": "y"}, "Extra inputs"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Rule(**rule)


def test_a_file_with_a_wrong_rule_says_where(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text("policy:\n  - tool: refund_order\n    when: amount_cents <=\n    then: run\n")
    with pytest.raises(ConfigError, match=r"policy\.0\.when.*not a condition"):
        load_policy(path)
