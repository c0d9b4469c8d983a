"""The examples of docs/agents.md are agents files that load; its tables name every key and tool there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from smart_support.agents.team import AgentSpec, Personality, check_policy, load_team, warnings_of
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.store import DemoStore
from smart_support.settings import ROOT
from smart_support.tools.handoff import handoff_tool
from smart_support.tools.registry import Registry, tools_of

PAGE = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


async def _nobody(thread_id: str, reason: str, about: str | None = None) -> bool:
    return False


@pytest.fixture(params=[SaasTools, FintechTools])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    business = request.param.business
    store = DemoStore(tmp_path / "demo.sqlite", ROOT / "data" / business, business)
    yield Registry([*tools_of(request.param(store)), handoff_tool(_nobody, "Somebody comes.")])
    store.close()


def test_each_example_loads_and_fits_one_template(registry: Registry, tmp_path: Path) -> None:
    assert len(EXAMPLES) == 2
    fitting = 0
    for place, example in enumerate(EXAMPLES):
        path = tmp_path / f"{place}.yaml"
        path.write_text(example)
        team = load_team(path)
        if {name for spec in team.agents for name in spec.tools} <= {tool.name for tool in registry}:
            assert warnings_of(team, registry) == []
            check_policy(team, registry)
            fitting += 1
    assert fitting == 1


def test_every_key_is_explained() -> None:
    keys = {f"personality.{name}" for name in Personality.model_fields} | set(AgentSpec.model_fields)
    keys |= {key for example in EXAMPLES for key in yaml.safe_load(example)} - {"personality"}
    assert [key for key in sorted(keys) if not re.search(rf"^\| `{re.escape(key)}` \|", PAGE, re.M)] == []


def test_every_tool_and_fact_of_the_templates_is_named(registry: Registry) -> None:
    words = set(re.findall(r"`(\w+)`", PAGE))
    for tool in registry:
        assert {tool.name, *tool.fact_names} <= words
