"""Which groups a provider's claims contain, and which role they give. Only computes."""

from collections.abc import Collection, Mapping
from typing import Any

from smart_support.errors import ConfigError
from smart_support.identity.users import ROLES, Role

MAX_GROUPS = 500


def parse_roles(text: str) -> dict[str, Role]:
    """Read `SMART_SUPPORT_OIDC_ROLES`: `group:role`, comma-separated. A group's name may contain colons.

    Raises:
        ConfigError: an entry has no group, or a role that people can't have.
    """
    roles: dict[str, Role] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        group, _, role = entry.rpartition(":")
        name, role = _normalized(group.strip()), role.strip().lower()
        if not name or role not in ROLES:
            raise ConfigError(
                f"SMART_SUPPORT_OIDC_ROLES: {entry!r} is not GROUP:ROLE with a role of {', '.join(ROLES)}"
            )
        roles[name] = max(roles.get(name, ROLES[role]), ROLES[role])
    return roles


def claim_value(claims: Mapping[str, Any], claim: str) -> Any:
    """The value of a claim by its name, or by its path in nested objects: `realm_access.roles`."""
    if claim in claims:
        return claims[claim]
    value: Any = claims
    for part in claim.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def groups_in(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The groups in a claim: a list, one name as text, or the keys of an object."""
    value = claim_value(claims, claim)
    names: Collection[Any] = [value] if isinstance(value, str) else value if value else ()
    if not isinstance(names, list | dict):
        return []
    groups = {_normalized(one) for one in list(names)[:MAX_GROUPS] if isinstance(one, str)}
    return sorted(groups - {""})


def is_left_out(claims: Mapping[str, Any], claim: str) -> bool:
    """Whether the provider left the groups out because there are too many (Entra ID's `_claim_names`)."""
    elsewhere = claims.get("_claim_names")
    return isinstance(elsewhere, Mapping) and claim in elsewhere


def role_of(groups: Collection[str], roles: Mapping[str, Role]) -> Role | None:
    """The highest role of these groups; None where no group has one."""
    return max((roles[group] for group in groups if group in roles), default=None)


def _normalized(group: str) -> str:
    # Keycloak writes groups as paths, with a slash before the first name.
    return group.strip().removeprefix("/")
