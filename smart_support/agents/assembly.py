"""Combines the agents with the tools that exist: the app's own, and the imported ones that can be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from smart_support.agents.graph import TakenBy, build_graph
from smart_support.agents.model_client import Models
from smart_support.agents.team import RESERVED, Team, misfit, warnings_of, with_tools
from smart_support.connectors.review.blocked import Blocked, OperationsBlocked
from smart_support.connectors.review.import_service import ImportedTool, ImportedTools, IsRequired, Unusable
from smart_support.errors import InvalidRequest
from smart_support.gate.gate import Gate
from smart_support.observability.log import get_logger
from smart_support.tools.registry import Registry, Tool

log = get_logger()


@dataclass(frozen=True, slots=True)
class Assembly:
    """A team with its tools and its graph.

    Attributes:
        team: the agents, with those that imports added.
        registry: all tools.
        graph: the compiled LangGraph graph.
        warnings: problems of the agents file with these tools, in sentences.
        unusable: imported tools that can't be used, with the reason.
    """

    team: Team
    registry: Registry
    graph: Any
    warnings: list[str]
    unusable: list[Unusable]


class Assembler:
    """Builds an `Assembly` for any set of imported tools. It has no side effects."""

    def __init__(
        self,
        team: Team,
        own_tools: Sequence[Tool],
        *,
        live_registry: Registry,
        models: Models,
        gate: Gate,
        checkpoints: BaseCheckpointSaver[Any],
        taken_by: TakenBy,
    ) -> None:
        """
        Args:
            team: the agents as configured.
            live_registry: the registry that every graph reads; its tools are replaced when imports change.
            taken_by: says which person has a conversation.
        """
        self._team = team
        self._own_tools = own_tools
        self._live_registry = live_registry
        self._models = models
        self._gate = gate
        self._checkpoints = checkpoints
        self._taken_by = taken_by

    def assemble(self, imported: ImportedTools, is_required: IsRequired) -> Assembly:
        """Build the team, tools and graph that there would be with these imported tools.

        An import with which nothing can be built is left out, so that no stored import makes a start fail.

        Raises:
            OperationsBlocked: required tools can't be used.
            InvalidRequest: all tools of an import can't be used, and one of them is required.
        """
        tools, unusable = self._select(imported)
        try:
            assembly = self._assembled(tools, unusable, imported.former_agents)
        except Exception as error:
            log.error("imports_do_not_fit", error=repr(error))
            assembly = self._assembled_without_misfits(tools, unusable, imported.former_agents)
        problems = [one for one in assembly.unusable if is_required(one)]
        if whole := next((one for one in problems if not one.key), None):
            raise InvalidRequest(whole.message)
        if problems:
            raise OperationsBlocked([Blocked(one.key, one.tool_name, one.message) for one in problems])
        return assembly

    def _assembled(
        self, tools: Sequence[ImportedTool], unusable: list[Unusable], former_agents: Sequence[str]
    ) -> Assembly:
        registry = self._registry_with(tools)
        team = with_tools(self._team, [(one.agent, one.api, one.tool) for one in tools], registry)
        # Conversations may still be at a node of an agent whose import was removed.
        former = [name for name in former_agents if name not in RESERVED and not team.agent(name)]
        graph = build_graph(
            team,
            self._live_registry,
            self._models,
            self._gate,
            self._checkpoints,
            former=former,
            taken_by=self._taken_by,
        )
        return Assembly(team, registry, graph, warnings_of(self._team, registry), unusable)

    def _assembled_without_misfits(
        self, tools: Sequence[ImportedTool], unusable: list[Unusable], former_agents: Sequence[str]
    ) -> Assembly:
        """The assembly of as many imports as fit, in their order; the others become unusable.

        Raises:
            Exception: nothing can be built even without imports.
        """
        fitting: list[ImportedTool] = []
        assembly = self._assembled(fitting, unusable, former_agents)
        for job_id in dict.fromkeys(one.job_id for one in tools):
            of_job = [one for one in tools if one.job_id == job_id]
            try:
                assembly = self._assembled([*fitting, *of_job], unusable, former_agents)
                fitting += of_job
            except Exception as error:
                log.error("import_does_not_fit", job_id=job_id, error=repr(error))
                message = (
                    f"{of_job[0].api}: its tools are disabled, because they do not fit the other tools and "
                    "agents; see the server's log"
                )
                unusable.append(Unusable(job_id=job_id, message=message))
        return assembly

    def warnings_for(self, imported: ImportedTools, job_id: str) -> list[str]:
        """The problems that a reviewer of the import `job_id` should know, in sentences."""
        tools, unusable = self._select(imported)
        problems = [one.message for one in unusable if one.job_id == job_id]
        return [*problems, *warnings_of(self._team, self._registry_with(tools))]

    def _registry_with(self, tools: Sequence[ImportedTool]) -> Registry:
        return Registry([*self._own_tools, *(one.tool for one in tools)])

    def _select(self, imported: ImportedTools) -> tuple[list[ImportedTool], list[Unusable]]:
        """The imported tools that can be used beside the own ones and each other, and the other ones."""
        usable: list[ImportedTool] = []
        unusable = [*imported.unusable]
        taken = {tool.name for tool in self._own_tools}
        for one in imported.tools:
            if why := misfit(self._team, one.tool, taken):
                message = f"{one.tool.name} can't be used: {why}"
                unusable.append(
                    Unusable(job_id=one.job_id, message=message, key=one.key, tool_name=one.tool.name)
                )
            else:
                usable.append(one)
                taken.add(one.tool.name)
        return usable, unusable
