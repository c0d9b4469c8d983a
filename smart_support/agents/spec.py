"""Who the agents are: agents.yaml read into `Team` and `AgentSpec`. Errors name file, line and the fix.

What an agent does with its tools is the graph's business; what a tool is, the registry's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from smart_support.approvals.policy import Policy, Rule
from smart_support.errors import ConfigError
from smart_support.tools.registry import Access, Registry, Tool

_NAMED = "The file is named by SMART_SUPPORT_AGENTS_FILE; docs/agents.md explains every key."
RESERVED = frozenset({"route", "gate", "approve", "act"})  # names of the graph's own steps
MAX_TOLD = 12
MAX_DESCRIPTION = 600
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Personality(_Part):
    """How the company speaks."""

    tone: Text = "friendly, brief and exact"
    greeting: Text = "Hello! How can I help?"
    escalation_message: Text = "A colleague will take over from here."


class AgentSpec(_Part):
    """One agent.

    Attributes:
        name: what the record calls it; a node of the graph has the same name.
        title: what people read.
        description: what it is for, one line; the router chooses by it.
        instructions: more for its own prompt.
        tools: what it may call, and nothing else.
        examples: prompts that a newcomer can try.
        writes_per_hour: how many writes it may make in any hour; beyond them none is asked or run.
    """

    name: Name
    title: Text
    description: Text
    instructions: str = ""
    tools: tuple[Name, ...] = ()
    examples: tuple[Text, ...] = ()
    writes_per_hour: Annotated[int, Field(ge=0)] | None = None


class _File(_Part):
    company: Text
    personality: Personality = Personality()
    fallback: Name
    agents: tuple[AgentSpec, ...] = Field(min_length=1)
    policy: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Team:
    """A company's agents.

    Attributes:
        fallback: the agent that takes what fits no other.
        source: the file it came from, for messages.
        policy: which write needs whom.
    """

    company: str
    personality: Personality
    agents: tuple[AgentSpec, ...]
    fallback: str
    source: str
    policy: Policy = field(default_factory=Policy)

    def agent(self, name: str) -> AgentSpec | None:
        """The agent of that name, or None."""
        return next((spec for spec in self.agents if spec.name == name), None)


def load_team(path: Path) -> Team:
    """Read an agents file.

    Raises:
        ConfigError: it can't be read or something in it is wrong: file, line, value and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read: {error.strerror}; check SMART_SUPPORT_AGENTS_FILE"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: is not YAML: {error}\n{_NAMED}") from None
    try:
        if not isinstance(content, dict):
            raise ConfigError(
                f"{path}: is empty or no mapping; it begins with company, fallback and agents, as "
                "docs/agents.md shows; check SMART_SUPPORT_AGENTS_FILE"
            )
        file = _File.model_validate(content)
    except ValidationError as error:
        problems = [_explain(path, root, item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigError("\n".join([*problems, _NAMED])) from None
    _check_names(path, root, file)
    policy = Policy(file.policy)
    return Team(file.company, file.personality, file.agents, file.fallback, str(path), policy)


def with_tools(team: Team, given: Sequence[tuple[str, str, Tool]]) -> Team:
    """The team with more tools: for agents it has, or for new ones that are made for them.

    Args:
        given: an agent's name, what the tool's API is called, and the tool.
    """
    more: dict[str, list[tuple[str, Tool]]] = {}
    for agent, api, tool in given:
        more.setdefault(f"{agent}_api" if agent in RESERVED else agent, []).append((api, tool))
    agents = [
        spec.model_copy(update={"tools": (*spec.tools, *(tool.name for _, tool in more.pop(spec.name, ())))})
        for spec in team.agents
    ]
    agents += [_made_for(name, tools) for name, tools in more.items()]
    return replace(team, agents=tuple(agents))


def _made_for(name: str, tools: Sequence[tuple[str, Tool]]) -> AgentSpec:
    apis = ", ".join(dict.fromkeys(api for api, _ in tools))
    does = "; ".join(tool.description.partition(" (")[0].rstrip(".") for _, tool in tools[:MAX_TOLD])
    return AgentSpec(
        name=name,
        title=name.replace("_", " ").capitalize(),
        description=f"{name.replace('_', ' ').capitalize()} ({apis}): {does}."[:MAX_DESCRIPTION],
        tools=tuple(tool.name for _, tool in tools),
    )


def check_tools(team: Team, registry: Registry) -> None:
    """Every tool an agent is given must exist.

    Raises:
        ConfigError: one does not; lists those there are.
    """
    known = ", ".join(sorted(tool.name for tool in registry))
    for spec in team.agents:
        for name in spec.tools:
            if name not in registry:
                raise ConfigError(
                    f"{team.source}: agent {spec.name!r} is given {name!r}, which is not a tool; "
                    f"there are: {known}. Which demo tools there are, SMART_SUPPORT_TEMPLATE says."
                )


def check_policy(team: Team, registry: Registry) -> None:
    """A rule must speak of a write there is, and ask for names that one of its tools has.

    Raises:
        ConfigError: one does not, which is most likely a misspelling; says what there is.
    """
    writes = {tool.name: tool.known_names() for tool in registry if tool.access is Access.WRITE}
    for place, rule in enumerate(team.policy.rules, start=1):
        spoken_of = [name for name in writes if fnmatchcase(name, rule.tool)]
        if not spoken_of:
            raise ConfigError(
                f"{team.source}: policy rule {place}: {rule.tool!r} is not a write; there are: "
                + ", ".join(sorted(writes))
            )
        unknown = team.policy.unknown_names(rule, writes)
        if unknown:
            known = sorted({name for tool in spoken_of for name in writes[tool]})
            raise ConfigError(
                f"{team.source}: policy rule {place}: {rule.when!r} asks for {', '.join(sorted(unknown))}, "
                f"which {rule.tool} does not have; it has: {', '.join(known)}"
            )


def _check_names(path: Path, root: yaml.Node | None, file: _File) -> None:
    seen: set[str] = set()
    for place, spec in enumerate(file.agents):
        if spec.name in seen:
            problem = f"agent {spec.name!r} is there twice; rename one of the two"
            raise ConfigError(_explain(path, root, ("agents", place, "name"), problem))
        seen.add(spec.name)
    if file.fallback not in seen:
        problem = f"{file.fallback!r} is not one of the agents: {', '.join(sorted(seen))}"
        raise ConfigError(_explain(path, root, ("fallback",), problem))


def _explain(path: Path, root: yaml.Node | None, place: Sequence[int | str], problem: str) -> str:
    where = ".".join(str(part) for part in place)
    return f"{path}:{_line(root, place)}: {where or 'the file'}: {problem}"


def _line(node: yaml.Node | None, place: Sequence[int | str]) -> int:
    """The line (from 1) of the deepest part of `place` that the file has."""
    for part in place:
        inner = _child(node, part)
        if inner is None:
            break
        node = inner
    return int(node.start_mark.line) + 1 if node else 1


def _child(node: Any, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part]  # type: ignore[no-any-return]
    if isinstance(node, yaml.MappingNode):
        children: Mapping[str, yaml.Node] = {key.value: value for key, value in node.value}
        return children.get(str(part))
    return None
