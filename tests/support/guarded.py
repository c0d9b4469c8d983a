"""The app with users and keys, for all tests of who may do what; a session fixture."""

from collections.abc import Iterator

import pytest
import yaml

from tests.support.harness import ROOT, AppProcess
from tests.support.passwords import hash_password

PASSWORD = "correct horse"
KEYS = {
    "op": "operator-key-1",
    "op2": "operator-key-2",
    "dana": "lead-key-1",
    "kim": "lead-key-2",
    "root": "admin-key-1",
}
_ROLES = {"op": "operator", "op2": "operator", "dana": "lead", "kim": "lead", "root": "admin"}


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Five programs with keys, and two leads with a password, lee and mia; a discount needs two leads."""
    folder = tmp_path_factory.mktemp("guarded")
    users, agents = folder / "users.yaml", folder / "agents.yaml"
    leads = [
        {"name": name, "role": "lead", "password_hash": hash_password(PASSWORD)} for name in ("lee", "mia")
    ]
    users.write_text(yaml.safe_dump(leads))
    text = (ROOT / "data/templates/e-commerce.yaml").read_text()
    agents.write_text(text + "policy: [{tool: apply_discount, then: two_leads}]\n")
    keys = ",".join(f"{name}:{_ROLES[name]}:{key}" for name, key in KEYS.items())
    with AppProcess(folder / "var", USERS_FILE=users, API_KEYS=keys, AGENTS_FILE=agents) as running:
        yield running
