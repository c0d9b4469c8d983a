"""The agents file: what people choose from in the console, and the errors of what does not fit."""

from pathlib import Path

import pytest

from smart_support.agents.team import load_team
from smart_support.errors import ConfigError
from smart_support.settings import TEMPLATES

_FILE = """company: Loomwork
fallback: support
agents:
  - name: support
    title: Support
    description: Answers everything.
"""


def _load(tmp_path: Path, more: str) -> str:
    """The error of an agents file with these further lines; empty where it loads."""
    path = tmp_path / "agents.yaml"
    path.write_text(_FILE + more)
    try:
        load_team(path)
    except ConfigError as error:
        return str(error)
    return ""


def test_canned_texts_are_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(_FILE + "canned_replies: [{title: A, text: One}, {title: B, text: Two}]\n")
    team = load_team(path)
    assert [(one.title, one.text) for one in team.canned_replies] == [("A", "One"), ("B", "Two")]
    assert team.canned_rejections == ()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("canned_replies:\n  - title: A\n", "agents.yaml:8: canned_replies.0.text: Field required"),
        ("canned_rejections:\n  - {title: A, text: '  '}\n", ":8: canned_rejections.0.text: String should"),
        ("canned_replies:\n  - {title: A, text: a, when: b}\n", ":8: canned_replies.0.when: Extra inputs"),
        (
            "canned_replies:\n  - {title: A, text: a}\n  - {title: A, text: b}\n",
            ":9: canned_replies.1.title: the title 'A' is there twice; rename one of the two",
        ),
        (f"canned_replies:\n  - {{title: {'A' * 81}, text: a}}\n", "at most 80 characters"),
        (f"canned_replies:\n  - {{title: A, text: {'a' * 2001}}}\n", "at most 2000 characters"),
    ],
)
def test_a_canned_text_that_does_not_fit_is_an_error_with_its_line(
    tmp_path: Path, more: str, words: str
) -> None:
    assert words in _load(tmp_path, more)


@pytest.mark.parametrize("template", ["e-commerce", "saas", "fintech"])
def test_each_template_has_canned_texts(template: str) -> None:
    team = load_team(TEMPLATES / f"{template}.yaml")
    assert team.canned_replies
    assert team.canned_rejections
