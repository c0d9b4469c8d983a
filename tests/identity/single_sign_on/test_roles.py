"""Groups of the identity provider, and the roles that they give."""

from typing import Any

import pytest

from smart_support.errors import ConfigError
from smart_support.identity.single_sign_on.roles import groups_in, is_left_out, parse_roles, role_of
from smart_support.identity.users import Role


def test_the_highest_role_of_the_groups_counts() -> None:
    roles = parse_roles(" staff:operator, urn:acme:leads:LEAD,/owners:admin ,")
    assert roles == {"staff": Role.OPERATOR, "urn:acme:leads": Role.LEAD, "owners": Role.ADMIN}
    assert role_of(["staff", "urn:acme:leads", "else"], roles) is Role.LEAD
    assert role_of(["else"], roles) is None
    assert role_of([], roles) is None


@pytest.mark.parametrize("text", ["leads", "leads:boss", ":lead", "bots:agent"])
def test_a_role_that_people_can_t_have_is_a_problem_of_the_settings(text: str) -> None:
    with pytest.raises(ConfigError, match="SMART_SUPPORT_OIDC_ROLES"):
        parse_roles(text)


@pytest.mark.parametrize(
    ("claims", "claim", "groups"),
    [
        ({"groups": ["b", "a", "a"]}, "groups", ["a", "b"]),
        ({"groups": "leads"}, "groups", ["leads"]),
        ({"groups": ["/support/leads", "/leads"]}, "groups", ["leads", "support/leads"]),
        ({"realm_access": {"roles": ["lead"]}}, "realm_access.roles", ["lead"]),
        ({"https://acme.example/roles": ["lead"]}, "https://acme.example/roles", ["lead"]),
        ({"urn:zitadel:roles": {"lead": {"1": "acme"}}}, "urn:zitadel:roles", ["lead"]),
        ({"groups": [1, None, {"leads": 1}, "", "x"]}, "groups", ["x"]),
        ({"groups": True}, "groups", []),
        ({"groups": None}, "groups", []),
        ({}, "groups", []),
        ({"realm_access": ["roles"]}, "realm_access.roles", []),
    ],
)
def test_groups_come_in_many_forms(claims: dict[str, Any], claim: str, groups: list[str]) -> None:
    assert groups_in(claims, claim) == groups


def test_groups_that_are_too_many_are_told_apart_from_none() -> None:
    assert is_left_out({"_claim_names": {"groups": "src1"}}, "groups")
    assert not is_left_out({"groups": []}, "groups")
