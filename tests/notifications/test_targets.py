"""The file of targets: what it may say, and that a wrong one stops the start with its line and the fix."""

from pathlib import Path

import pytest

from smart_support.errors import ConfigError
from smart_support.notifications.targets import Target, load_targets, unknown_names

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK = """\
targets:
  - name: hook
    type: webhook
    url: https://example.com/hook
    secret_env: HOOK_SECRET
    events: approval.requested
"""
ENVIRONMENT = {
    "HOOK_SECRET": SECRET,
    "PASSWORD": "p4ssword",
    "TOKEN": "xoxb-1",
    "SLACK": "https://hooks.slack.com/x",
}


def _load(path: Path, text: str, **environment: str) -> tuple[Target, ...]:
    file = path / "notify.yaml"
    file.write_text(text)
    return load_targets(file, ENVIRONMENT | environment)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "begins with targets"),
        ("targets: []", 1, "at least 1"),
        (WEBHOOK.replace("https://example.com/hook", "example.com"), 4, "https://"),
        (WEBHOOK.replace("HOOK_SECRET", "MISSING"), 5, "MISSING: is not set"),
        (WEBHOOK.replace("HOOK_SECRET", "PASSWORD"), 5, "openssl rand"),
        (WEBHOOK.replace("approval.requested", "approval.reqested"), 6, "approval.requested"),
        (WEBHOOK.replace("url:", "ulr:"), 4, "no such key"),
        (WEBHOOK.replace("webhook\n", "pager\n"), 2, "webhook, email, slack"),
        (WEBHOOK + WEBHOOK.partition("\n")[2], 7, "twice"),
        (WEBHOOK + "    risk: huge\n", 7, "high"),
        (WEBHOOK + "    details: [\n", 8, "not YAML"),
    ],
)
def test_a_wrong_file_names_its_line_and_what_to_do(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, text)
    assert f"notify.yaml:{line}:" in raised.value.message or "line 8" in raised.value.message
    assert words in raised.value.message
    assert SECRET not in raised.value.message
    assert "p4ssword" not in raised.value.message


EMAIL = """\
targets:
  - name: mail
    type: email
    host: smtp.example.com
    from: support@example.com
    to: lead@example.com
    events: [approval.requested]
"""
SLACK = """\
targets:
  - {name: slack, type: slack, token_env: TOKEN, channel: C01, events: [approval.requested]}
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EMAIL + "    username: me\n", "password_env"),
        (EMAIL + "    username: me\n    password_env: PASSWORD\n    security: none\n", "unencrypted"),
        (
            EMAIL.replace("lead@example.com", '"lead@example.com\\r\\nBcc: all@example.com"'),
            "lead@example.com",
        ),
        (SLACK.replace(", channel: C01", ""), "channel"),
        (SLACK.replace("token_env", "webhook_env"), "channel"),
        (SLACK.replace("token_env: TOKEN, channel: C01", "webhook_env: TOKEN"), "https://hooks.slack.com"),
        (SLACK.replace("token_env: TOKEN, channel: C01, ", ""), "webhook_env"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"notify.yaml:\d") as raised:
        _load(tmp_path, text)
    assert words in raised.value.message


def test_a_mail_goes_to_each_address_by_itself(tmp_path: Path) -> None:
    (target,) = _load(tmp_path, EMAIL.replace("lead@example.com", "[a@example.com, b@example.com]"))
    assert target.recipients == ("a@example.com", "b@example.com")


def test_filters_let_an_approval_pass_that_fits_all_of_them(tmp_path: Path) -> None:
    (target,) = _load(tmp_path, WEBHOOK + "    risk: [high]\n    agent: orders\n    group: finance\n")
    fitting = {"agent": "orders", "tool": "refund", "risk": "high", "groups": ["finance", "ops"]}
    assert target.takes_approval(**fitting)  # type: ignore[arg-type]
    for name, other in (("agent", "billing"), ("risk", "low"), ("groups", ["ops"])):
        assert not target.takes_approval(**fitting | {name: other})  # type: ignore[arg-type]


def test_a_bot_gets_decisions_to_update_its_messages(tmp_path: Path) -> None:
    (bot,) = _load(tmp_path, SLACK)
    (hook,) = _load(tmp_path, WEBHOOK)
    assert bot.takes("approval.decided")
    assert not hook.takes("approval.decided")
    assert not bot.takes("frozen")


def test_a_name_that_nothing_has_is_warned_of(tmp_path: Path) -> None:
    filters = "    agent: [orders, ordres]\n    tool: [cancel, cancle]\n    group: [finance, finanze]\n"
    targets = _load(tmp_path, WEBHOOK + filters)
    known = {"agents": {"orders"}, "tools": {"cancel"}, "groups": {"finance"}}
    names = [warning.split("'")[3] for warning in unknown_names(targets, **known)]
    assert names == ["ordres", "cancle", "finanze"]
