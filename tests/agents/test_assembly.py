"""Imported tools beside agents: an import that does not fit is out of use, and the others are used."""

from typing import Any

import pytest

from smart_support.agents import assembly
from smart_support.agents.assembly import Assembler
from smart_support.agents.team import AgentSpec, Personality, Team
from smart_support.connectors.review.import_service import ImportedTool, ImportedTools
from smart_support.errors import InvalidRequest
from smart_support.tools.names import MAX_LENGTH
from smart_support.tools.registry import Access, Registry, Tool


async def _run(*_: Any) -> None: ...


def _imported(name: str, agent: str, job_id: str) -> ImportedTool:
    return ImportedTool(
        Tool(name, "Look.", {"type": "object"}, Access.READ, _run), agent, "Desk", job_id, name
    )


@pytest.fixture
def assembler(monkeypatch: pytest.MonkeyPatch) -> Assembler:
    """Builds a graph of any team, except one that has an agent named `broken`."""

    def build(team: Team, *_: Any, **__: Any) -> str:
        if team.agent("broken"):
            raise ValueError("no graph with it")
        return "graph"

    monkeypatch.setattr(assembly, "build_graph", build)
    agent = AgentSpec(name="help", title="Help", description="Helps.")
    team = Team("Company", Personality(), (agent,), "help", "agents.yaml")
    given: dict[str, Any] = dict.fromkeys(("models", "gate", "checkpoints", "taken_by"))
    return Assembler(team, [], live_registry=Registry(), **given)


def test_a_stored_import_that_does_not_fit_is_out_of_use_and_the_others_work(assembler: Assembler) -> None:
    tools = [_imported("look", "desk", "1"), _imported("see", "broken", "2"), _imported("watch", "desk", "3")]
    built = assembler.assemble(ImportedTools(tools, [], []), lambda _: False)
    assert {tool.name for tool in built.registry} == {"look", "watch"}
    assert [one.job_id for one in built.unusable] == ["2"]


def test_an_import_that_does_not_fit_is_refused_when_it_is_approved(assembler: Assembler) -> None:
    tools = [_imported("look", "desk", "1"), _imported("see", "broken", "2")]
    with pytest.raises(InvalidRequest, match="do not fit"):
        assembler.assemble(ImportedTools(tools, [], []), lambda one: one.job_id == "2")
    assert assembler.assemble(ImportedTools(tools, [], []), lambda one: one.job_id == "1").team.agent("desk")


def test_an_agent_made_for_an_import_has_a_tool_with_the_longest_name(assembler: Assembler) -> None:
    name = "a" * MAX_LENGTH
    built = assembler.assemble(
        ImportedTools([_imported(name, "desk", "1")], [], []), lambda one: one.job_id == "1"
    )
    assert built.team.agent("desk").tools == (name,)  # type: ignore[union-attr]
