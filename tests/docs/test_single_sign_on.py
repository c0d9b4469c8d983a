"""The examples of docs/single-sign-on.md are settings and a policy that this version takes."""

import re

import pytest
import yaml

from smart_support import Settings
from smart_support.identity.single_sign_on.provider import IdentityProvider
from smart_support.identity.single_sign_on.roles import parse_roles
from tests.support.harness import ROOT

PAGE = (ROOT / "docs" / "single-sign-on.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", SHELL)
def test_the_settings_are_taken(block: str) -> None:
    given = {
        name.lower(): value for name, value in re.findall(r"^SMART_SUPPORT_(\w+)=(\S+)", block, re.MULTILINE)
    }
    settings = Settings(**given)
    IdentityProvider(settings, f"{settings.link_base}/login/callback")
    assert parse_roles(settings.oidc_roles)


def test_the_policy_names_a_group() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (rule,) = yaml.safe_load(block)["policy"]
    assert rule == {"tool": "refund_order", "then": "ask", "approvers": ["refunds"]}
