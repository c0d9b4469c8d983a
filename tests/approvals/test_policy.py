"""Which write needs whom: the strictest rule that applies, and uncertainty on the careful side."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smart_support.approvals.policy import NEEDS, Policy, Rule
from smart_support.approvals.policy_dry_run import differences, load_policy, main, misspelt
from smart_support.errors import ConfigError
from smart_support.storage.state.sqlite import SqliteStateDatabase

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


def _row(action: str, args: dict[str, Any], facts: dict[str, Any] | None = None) -> dict[str, Any]:
    asked = {"action": action, "args": orjson.dumps(args).decode(), "facts": orjson.dumps(facts).decode()}
    return asked | {"at": "2026-11-01T00:00:00Z", "need": "ask", "status": "rejected", "decided_by": "dana"}


def test_a_rule_that_speaks_of_no_recorded_write_is_told_in_a_dry_run() -> None:
    rows = [_row("refund_order", {"amount_cents": 5}, {"account": None})]
    told = [*misspelt(rows, POLICY)]
    assert told == []
    wrong = Policy([Rule(tool="refund_order", when="amount > 5", then="never"), Rule(tool="x", then="run")])
    assert [*misspelt(rows, wrong)] == [
        "policy rule 1: 'amount > 5' asks for amount, which no recorded write of refund_order had; "
        "they had: account, amount_cents"
    ]


def test_a_dry_run_judges_what_had_no_value_as_it_was_judged() -> None:
    """A null fact is a name that could have stood there: a strict rule on it applies, a mild one does not."""
    rows = [_row("refund_order", {}, {"amount_cents": None, "account": "active"})]
    assert [one.verdict.need for one in differences(rows, POLICY)] == ["two_leads"]


def test_what_a_dry_run_prints_can_not_move_what_stands_beside_it() -> None:
    rows = [_row("refund_order", {"amount_cents": 1, "why": "\x1b[2J\u202e" + "x" * 900}, {"account": "u"})]
    line = next(iter(differences(rows, POLICY))).line()
    assert line.isprintable()
    assert r"\x1b[2J\u202e" in line
    assert "x…" in line


def test_an_empty_or_broken_record_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMART_SUPPORT_DATA_DIR", str(tmp_path))
    for content in (None, b"", b"not a database"):
        if content is not None:
            (tmp_path / "state.sqlite").write_bytes(content)
        assert main(["--since", "30d"]) == 2
    told = capsys.readouterr().err
    assert "there is no state database here" in told
    assert "can't be read as a state database" in told
    (tmp_path / "state.sqlite").unlink()
    SqliteStateDatabase(tmp_path / "state.sqlite").close()
    assert main(["--since", "30d"]) == 0
    assert capsys.readouterr().out == "0 writes since 30d; 0 would have been treated differently.\n"
    for text in ("policy: 5", "- a list", "policy: [{tool: x, then: perhaps}]", "policy: [", "\x00"):
        (tmp_path / "rules.yaml").write_text(text)
        assert main(["--agents", str(tmp_path / "rules.yaml")]) == 2
        assert "rules.yaml" in capsys.readouterr().err
