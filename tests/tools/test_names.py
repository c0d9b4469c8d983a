"""One rule for the name of a tool: the registry, the agents file and a review all apply it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.agents.team import load_team
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review.reviewed_operation import apply_changes, propose
from smart_support.errors import ConfigError, InvalidRequest
from smart_support.tools.names import MAX_LENGTH, can_be_sent, is_valid, shortened, suffixed
from smart_support.tools.registry import Access, Tool

LONGEST = "a" * MAX_LENGTH
NAMES = [
    (LONGEST, True),
    (LONGEST + "a", False),
    ("Upper", False),
    ("a-b", False),
    ("1a", False),
    ("", False),
]


def _accepts(function: object, *errors: type[Exception]) -> bool:
    try:
        function()  # type: ignore[operator]
    except errors:
        return False
    return True


@pytest.mark.parametrize(("name", "valid"), NAMES)
def test_every_place_applies_the_same_rule(name: str, valid: bool, tmp_path: Path) -> None:
    async def run(*_: object) -> None: ...

    path = tmp_path / "agents.yaml"
    path.write_text(
        f"company: C\nfallback: a\nagents:\n  - {{name: a, title: A, description: D, tools: ['{name}']}}\n"
    )
    operation = Operation(key="GET /a", method="GET", path="/a", tool_name="a")
    reviewed = propose(operation, None)
    changes = {"tool_name": name}
    assert is_valid(name) is valid
    made = _accepts(lambda: Tool(name, "D", {"type": "object"}, Access.READ, run), ConfigError)
    assert made is can_be_sent(name)
    assert made or not valid
    assert _accepts(lambda: load_team(path), ConfigError) is valid
    assert _accepts(lambda: apply_changes(reviewed, operation, changes), InvalidRequest) is valid


@given(st.from_regex(r"[a-z][a-z0-9_]{0,100}", fullmatch=True), st.text(), st.sampled_from([6, 12, 24, 48]))
def test_a_shortened_name_is_valid(name: str, key: str, digits: int) -> None:
    assert is_valid(shortened(name, key))
    assert is_valid(suffixed(name, key, digits))
