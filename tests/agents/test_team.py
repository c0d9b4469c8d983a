"""The agents file: what people choose from in the console, and the errors of what does not fit."""

from pathlib import Path

import pytest

from smart_support.agents.team import Team, check_callers, check_customer_card, load_team, warnings_of
from smart_support.errors import ConfigError
from smart_support.identity.users import Accounts
from smart_support.settings import TEMPLATES
from smart_support.tools.registry import Access, Registry, Tool
from tests.support.passwords import hash_password

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


_CALLERS = """callers:
  - name: claude
    tools: [get_order_status, cancel_order]
    writes_per_hour: 20
    calls_per_minute: 60
    approvers: finance
    owner: lee
    thread_prefix: "claude:"
"""


def test_callers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(_FILE + _CALLERS)
    team = load_team(path)
    caller = team.caller("claude")
    assert caller is not None
    assert caller.tools == ("get_order_status", "cancel_order")
    assert (caller.writes_per_hour, caller.calls_per_minute) == (20, 60)
    assert (caller.approvers, caller.owner, caller.thread_prefix) == ("finance", "lee", "claude:")
    assert team.caller("cursor") is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("callers:\n  - {tools: []}\n", "agents.yaml:8: callers.0.name: Field required"),
        ("callers:\n  - {name: a}\n  - {name: a}\n", ":9: callers.1.name: caller 'a' is there twice"),
        ("callers:\n  - {name: support}\n", "caller 'support' is an agent's name, too; rename"),
        ("callers:\n  - {name: a, tools: ['no tool']}\n", ":8: callers.0.tools.0: String should match"),
        ("callers:\n  - {name: a, calls_per_minute: 0}\n", "callers.0.calls_per_minute: Input should be"),
        ("callers:\n  - {name: a, writes_per_hour: -1}\n", "callers.0.writes_per_hour: Input should be"),
        ("callers:\n  - {name: a, thread_prefix: 'a b'}\n", "callers.0.thread_prefix: String should match"),
        ("callers:\n  - {name: a, role: admin}\n", "callers.0.role: Extra inputs"),
    ],
)
def test_a_caller_that_does_not_fit_is_an_error_with_its_line(tmp_path: Path, more: str, words: str) -> None:
    assert words in _load(tmp_path, more)


def test_a_caller_fits_the_keys_and_its_owner_is_a_user(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(_FILE + _CALLERS)
    team = load_team(path)
    assert check_callers(team, Accounts(None, "")) == []
    with pytest.raises(ConfigError, match="caller 1: owner 'lee' is not a user; there are: none"):
        check_callers(team, Accounts(None, "claude:agent:a-long-key"))
    users = tmp_path / "users.yaml"
    users.write_text(f"- {{name: lee, role: lead, password_hash: '{hash_password('secret')}'}}\n")
    assert check_callers(team, Accounts(users, "claude:agent:a-long-key")) == []
    no_key, no_tools = check_callers(team, Accounts(users, "cursor:agent:a-long-key"))
    assert "caller 'claude' has no key" in no_key
    assert "agent key 'cursor' has no tools" in no_tools


def test_the_role_agent_is_for_keys_alone(tmp_path: Path) -> None:
    users = tmp_path / "users.yaml"
    users.write_text(f"- {{name: lee, role: agent, password_hash: '{hash_password('secret')}'}}\n")
    with pytest.raises(ConfigError, match="role 'agent' is not one of operator, lead, admin"):
        Accounts(users, "")


def _tool(**fields: object) -> Tool:
    async def run(args: object, call: object) -> object:
        return {}

    usual = {
        "name": "get_customer",
        "description": "Who it is.",
        "schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "access": Access.READ,
        "run": run,
    }
    return Tool(**(usual | fields))  # type: ignore[arg-type]


def _team(tmp_path: Path, more: str) -> Team:
    path = tmp_path / "agents.yaml"
    path.write_text(_FILE + more)
    return load_team(path)


def test_the_customer_card_gets_the_customer_s_id_as_its_only_required_argument(tmp_path: Path) -> None:
    card = _team(tmp_path, "customer_card: get_customer\n").customer_card
    assert card
    assert card.argument_of(_tool()) == "id"


def test_a_named_argument_of_the_customer_card_goes_before(tmp_path: Path) -> None:
    card = _team(tmp_path, "customer_card: {tool: get_customer, argument: email}\n").customer_card
    assert card
    schema = {"type": "object", "properties": {"id": {}, "email": {}}}
    assert card.argument_of(_tool(schema=schema)) == "email"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"access": Access.WRITE}, "agents.yaml: customer_card: 'get_customer' is not a read"),
        ({"customer_source": "none"}, "is not a read of what a customer has"),
        ({"schema": {"type": "object", "properties": {}}}, "has not one required argument but 0"),
        (
            {"schema": {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}},
            "has not one required argument but 2; name the one",
        ),
    ],
)
def test_a_customer_card_that_can_t_be_called_is_an_error(
    tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    team = _team(tmp_path, "customer_card: get_customer\n")
    with pytest.raises(ConfigError, match=words):
        check_customer_card(team, Registry([_tool(**fields)]))


def test_a_customer_card_without_its_tool_is_a_warning(tmp_path: Path) -> None:
    team = _team(tmp_path, "customer_card: get_customer\n")
    check_customer_card(team, Registry())
    (warning,) = warnings_of(team, Registry())
    assert "customer_card is 'get_customer', which is not a tool now" in warning
    assert warnings_of(team, Registry([_tool()])) == []
