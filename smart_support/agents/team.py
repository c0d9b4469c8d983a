"""Reads an agents file into `Team` and `AgentSpec`. Errors name file, line and the fix."""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from smart_support.agents.tool_selection import FIND
from smart_support.approvals.policy import Policy, Rule
from smart_support.errors import ConfigError
from smart_support.gate.caller import MAX_PENDING
from smart_support.gate.customer_binding import Unverified
from smart_support.identity.users import Accounts, Role
from smart_support.tools import names
from smart_support.tools.registry import Access, Registry, Tool
from smart_support.yaml_lines import explain, read_yaml

_NAMED = "The file is named by SMART_SUPPORT_AGENTS_FILE; docs/agents.md explains every key."
# Names of the graph's own steps, and of what its state holds: LangGraph takes neither for a further step.
RESERVED = frozenset({"route", "gate", "approve", "act", "messages", "targets", "stopped", "steps", "call"})
MAX_NAMED_TOOLS = 12
MAX_DESCRIPTION = 600
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=names.PATTERN)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Personality(_Part):
    """The style of the company's answers."""

    tone: Text = "friendly, brief and exact"
    greeting: Text = "Hello! How can I help?"
    escalation_message: Text = "A colleague will take over from here."


class AgentSpec(_Part):
    """One agent.

    Attributes:
        name: its name in events and approvals; also the name of its node in the graph.
        title: its name on the screen.
        description: what it is for, in one line; the router chooses by it.
        instructions: further text for its prompt.
        tools: the only tools it may call.
        examples: prompts for a newcomer to try.
        writes_per_hour: how many writes it may make in any hour.
    """

    name: Name
    title: Text
    description: Text
    instructions: str = ""
    tools: tuple[Name, ...] = ()
    examples: tuple[Text, ...] = ()
    writes_per_hour: Annotated[int, Field(ge=0)] | None = None


class CannedText(_Part):
    """A text that people send often: a reply to a customer, or the reason of a rejection.

    Attributes:
        title: what people choose it by.
        text: what is filled in; it can be changed before it is sent.
    """

    title: Annotated[Text, Field(max_length=80)]
    text: Annotated[Text, Field(max_length=2000)]


class CallerSpec(_Part):
    """One API client, or a user, that may request tool calls over REST and MCP.

    Attributes:
        name: the name of its API key, or of the user.
        tools: the only tools it may call.
        writes_per_hour: how many writes it may request in any hour.
        calls_per_minute: how many calls it may make in any minute, reads and repetitions among them.
        max_pending: how many of its writes may wait or run at once.
        approvers: the group of users that decides its calls; any lead where it is left out.
        owner: the user who can't approve its calls.
        thread_prefix: what the ids of its threads begin with.
    """

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    tools: tuple[Name, ...] = ()
    writes_per_hour: Annotated[int, Field(ge=0)] | None = None
    calls_per_minute: Annotated[int, Field(ge=1)] | None = None
    max_pending: Annotated[int, Field(ge=1)] = MAX_PENDING
    approvers: Text | None = None
    owner: Text | None = None
    thread_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,60}$")] = ""


class CustomerCard(_Part):
    """The read that shows people what a customer has.

    Attributes:
        tool: its name.
        argument: the one that gets the customer's id; by default the only required one.
    """

    tool: Name
    argument: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        """A tool's name stands for the tool and its only required argument."""
        return {"tool": value} if isinstance(value, str) else value

    def argument_of(self, tool: Tool) -> str:
        """The argument of the tool that gets the customer's id.

        Raises:
            ConfigError: the tool can't be the customer card.
        """
        if tool.access is not Access.READ or tool.customer_source == "none":
            raise ConfigError(f"customer_card: {tool.name!r} is not a read of what a customer has")
        known, required = tool.schema.get("properties", {}), tool.schema.get("required", [])
        argument = self.argument or (required[0] if len(required) == 1 else None)
        if argument is None:
            raise ConfigError(
                f"customer_card: {tool.name!r} has not one required argument but {len(required)}; name the "
                "one that gets the customer's id: {tool: ..., argument: ...}"
            )
        if argument not in known or {*required} - {argument}:
            raise ConfigError(
                f"customer_card: {tool.name!r} can't be called with {argument!r} alone; it has: "
                + (", ".join(sorted(known)) or "no arguments")
            )
        return argument


class CustomerRules(_Part):
    """What applies to customers.

    Attributes:
        unverified: the calls for somebody whom no website has verified: `allow` all, `reads_only`, or
            `refuse` all that touch a customer's things.
    """

    unverified: Unverified = "allow"


class _File(_Part):
    company: Text
    personality: Personality = Personality()
    fallback: Name
    agents: tuple[AgentSpec, ...] = Field(min_length=1)
    policy: tuple[Rule, ...] = ()
    callers: tuple[CallerSpec, ...] = ()
    canned_replies: tuple[CannedText, ...] = ()
    canned_rejections: tuple[CannedText, ...] = ()
    customer_card: CustomerCard | None = None
    customers: CustomerRules = CustomerRules()


@dataclass(frozen=True, slots=True)
class Team:
    """A company's agents.

    Attributes:
        fallback: the agent that takes what fits no other.
        source: the file it came from, for messages.
        policy: which write needs whom.
        callers: the API clients, and users, that may request tool calls themselves.
        canned_replies, canned_rejections: texts that people choose from in the console.
        customer_card: the read that shows people what a customer has.
        customers: what applies to those whom no website has verified.
    """

    company: str
    personality: Personality
    agents: tuple[AgentSpec, ...]
    fallback: str
    source: str
    policy: Policy = field(default_factory=Policy)
    canned_replies: tuple[CannedText, ...] = ()
    canned_rejections: tuple[CannedText, ...] = ()
    callers: tuple[CallerSpec, ...] = ()
    customer_card: CustomerCard | None = None
    customers: CustomerRules = field(default_factory=CustomerRules)

    def agent(self, name: str) -> AgentSpec | None:
        """The agent of that name, or None."""
        return next((spec for spec in self.agents if spec.name == name), None)

    def caller(self, name: str) -> CallerSpec | None:
        """The caller of that name, or None."""
        return next((spec for spec in self.callers if spec.name == name), None)


def load_team(path: Path) -> Team:
    """Read an agents file.

    Raises:
        ConfigError: it can't be read or something in it is wrong: file, line, value and what to do.
    """
    root, content = read_yaml(path, "SMART_SUPPORT_AGENTS_FILE", _NAMED)
    try:
        if not isinstance(content, dict):
            raise ConfigError(
                f"{path}: is empty or no mapping; it begins with company, fallback and agents, as "
                "docs/agents.md shows; check SMART_SUPPORT_AGENTS_FILE"
            )
        file = _File.model_validate(content)
    except ValidationError as error:
        problems = [explain(path, root, item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigError("\n".join([*problems, _NAMED])) from None
    _check_names(path, root, file)
    return Team(
        file.company,
        file.personality,
        file.agents,
        file.fallback,
        str(path),
        Policy(file.policy),
        file.canned_replies,
        file.canned_rejections,
        file.callers,
        file.customer_card,
        file.customers,
    )


def with_tools(team: Team, given: Sequence[tuple[str, str, Tool]], registry: Registry) -> Team:
    """The team with imported tools, for agents it has or for new ones, and without tools that do not exist.

    Args:
        given: an agent's name, what the tool's API is called, and the tool.
        registry: all tools that there are, those `given` among them.
    """
    more: dict[str, list[tuple[str, Tool]]] = {}
    for agent, api, tool in given:
        more.setdefault(f"{agent}_api" if agent in RESERVED else agent, []).append((api, tool))
    agents = []
    for spec in team.agents:
        given_names = dict.fromkeys([*spec.tools, *(tool.name for _, tool in more.pop(spec.name, ()))])
        tools = tuple(name for name in given_names if name in registry)
        agents.append(spec.model_copy(update={"tools": tools}))
    agents += [_made_for(name, tools) for name, tools in more.items()]
    return replace(team, agents=tuple(agents))


def _made_for(name: str, tools: Sequence[tuple[str, Tool]]) -> AgentSpec:
    apis = ", ".join(dict.fromkeys(api for api, _ in tools))
    does = "; ".join(tool.description.partition(" (")[0].rstrip(".") for _, tool in tools[:MAX_NAMED_TOOLS])
    return AgentSpec(
        name=name,
        title=name.replace("_", " ").capitalize(),
        description=f"{name.replace('_', ' ').capitalize()} ({apis}): {does}."[:MAX_DESCRIPTION],
        tools=tuple(tool.name for _, tool in tools),
    )


def check_policy(team: Team, registry: Registry) -> None:
    """Check that the policy rules for the business's own tools fit these tools.

    A rule for a tool that does not exist is no error: the tool may be imported later. See `warnings_of`.

    Args:
        registry: the business's own tools, without imported ones, so that no import can make a start fail.

    Raises:
        ConfigError: a rule is for a read, or uses a name that none of its tools has.
    """
    writes = _writes(registry)
    for place, rule in enumerate(team.policy.rules, start=1):
        if rule.tool in registry and rule.tool not in writes:
            raise ConfigError(
                f"{team.source}: policy rule {place}: {rule.tool!r} is not a write; there are: "
                + ", ".join(sorted(writes))
            )
        matching = [name for name in writes if fnmatchcase(name, rule.tool)]
        unknown = team.policy.unknown_names(rule, writes)
        if matching and unknown:
            known = sorted({name for tool in matching for name in writes[tool]})
            raise ConfigError(
                f"{team.source}: policy rule {place}: {rule.when!r} asks for {', '.join(sorted(unknown))}, "
                f"which {rule.tool} does not have; it has: {', '.join(known)}"
            )


def check_customer_card(team: Team, registry: Registry) -> None:
    """Check that the customer card is a read that can be called with a customer's id.

    A tool that does not exist is no error, as in `check_policy`.

    Raises:
        ConfigError: it can't.
    """
    tool = registry.get(team.customer_card.tool) if team.customer_card else None
    if team.customer_card and tool:
        try:
            team.customer_card.argument_of(tool)
        except ConfigError as error:
            raise ConfigError(f"{team.source}: {error.message}") from None


def misfit(team: Team, tool: Tool, taken: Container[str]) -> str | None:
    """Why an imported tool can't be used together with the others, or None.

    A rule for exactly this tool that can't be evaluated might be the one that forbids a call.

    Args:
        taken: the names of the other tools.
    """
    if tool.name in taken or tool.name == FIND:
        return f"tool name {tool.name!r} is taken; choose another"
    if tool.access is Access.READ:
        return None
    for place, rule in enumerate(team.policy.rules, start=1):
        has = tool.known_names()
        unknown = team.policy.unknown_names(rule, {tool.name: has}) if rule.tool == tool.name else ()
        if unknown:
            return (
                f"{team.source}: policy rule {place}: {rule.when!r} asks for {', '.join(sorted(unknown))}, "
                f"which {tool.name} does not have; it has: {', '.join(sorted(has)) or 'nothing'}"
            )
    return None


def warnings_of(team: Team, registry: Registry) -> list[str]:
    """A sentence for each place of an agents file that names a tool which does not exist now.

    Args:
        team: as its file has it.
        registry: all tools that there are, imported ones among them.
    """
    writes = _writes(registry)
    warnings = []
    for spec in team.agents:
        warnings += [
            f"{team.source}: agent {spec.name!r} is given {name!r}, which is not a tool now; the agent has "
            "it as soon as it is one"
            for name in spec.tools
            if name not in registry
        ]
    for caller in team.callers:
        warnings += [
            f"{team.source}: caller {caller.name!r} is given {name!r}, which is not a tool now; the caller "
            "has it as soon as it is one"
            for name in caller.tools
            if name not in registry
        ]
    if team.customer_card and team.customer_card.tool not in registry:
        warnings.append(
            f"{team.source}: customer_card is {team.customer_card.tool!r}, which is not a tool now; "
            "the inbox shows what a customer has as soon as it is one"
        )
    for place, rule in enumerate(team.policy.rules, start=1):
        where = f"{team.source}: policy rule {place}:"
        if not any(fnmatchcase(name, rule.tool) for name in writes):
            is_read = rule.tool in registry
            why = "is a read, which runs without asking" if is_read else "is not a write that there is now"
            warnings.append(f"{where} {rule.tool!r} {why}; the rule applies as soon as it is one")
        elif unknown := team.policy.unknown_names(rule, writes):
            warnings.append(
                f"{where} {rule.when!r} asks for {', '.join(sorted(unknown))}, which no tool that it speaks "
                "of has now"
            )
    return warnings


def check_callers(team: Team, accounts: Accounts) -> list[str]:
    """Check the callers against the users and keys.

    Returns:
        A sentence for each caller that nobody can be, and each agent key without tools.

    Raises:
        ConfigError: the owner of a caller is no user, so that nobody would be kept from approving its calls.
    """
    if not accounts.is_login_required:
        return []
    people = [user.name for user in accounts.users if user.is_person]
    for place, caller in enumerate(team.callers, start=1):
        if caller.owner is not None and caller.owner not in people:
            raise ConfigError(
                f"{team.source}: caller {place}: owner {caller.owner!r} is not a user; there are: "
                + (", ".join(sorted(people)) or "none")
            )
    names = {user.name for user in accounts.users}
    warnings = [
        f"{team.source}: caller {caller.name!r} has no key; add {caller.name}:agent:KEY to "
        "SMART_SUPPORT_API_KEYS"
        for caller in team.callers
        if caller.name not in names
    ]
    warnings += [
        f"SMART_SUPPORT_API_KEYS: agent key {user.name!r} has no tools; list it under callers: in "
        f"{team.source}"
        for user in accounts.users
        if user.role is Role.AGENT and team.caller(user.name) is None
    ]
    return warnings


def _writes(registry: Registry) -> dict[str, Collection[str]]:
    """The names that a rule may use, by write."""
    return {tool.name: tool.known_names() for tool in registry if tool.access is Access.WRITE}


def check_ceilings(team: Team, registry: Registry) -> None:
    """Check that each daily limit is on a number that the tools of its rule have.

    Raises:
        ConfigError: it is not.
    """
    writes = [tool for tool in registry if tool.access is Access.WRITE]
    for place, rule in enumerate(team.policy.rules, start=1):
        matching = [tool for tool in writes if fnmatchcase(tool.name, rule.tool)]
        if rule.max_per_day is None or not matching:
            continue
        name = rule.max_per_day.field
        where = f"{team.source}: policy rule {place}: max_per_day.field {name!r}"
        having = [tool for tool in matching if name in tool.known_names()]
        if not having:
            known = sorted({name for tool in matching for name in tool.known_names()})
            raise ConfigError(f"{where} is nothing that {rule.tool} has; it has: {', '.join(known)}")
        for tool in having:
            kind = tool.schema.get("properties", {}).get(name, {}).get("type", "number")
            kinds = {kind} if isinstance(kind, str) else {*kind}
            if not kinds & {"integer", "number"}:
                raise ConfigError(
                    f"{where} is no number of {tool.name} but {' or '.join(sorted(kinds))}; name a number, "
                    "for example amount_cents"
                )


def _check_names(path: Path, root: yaml.Node | None, file: _File) -> None:
    seen: set[str] = set()
    for place, spec in enumerate(file.agents):
        if spec.name in seen:
            problem = f"agent {spec.name!r} is there twice; rename one of the two"
            raise ConfigError(explain(path, root, ("agents", place, "name"), problem))
        seen.add(spec.name)
    if file.fallback not in seen:
        problem = f"{file.fallback!r} is not one of the agents: {', '.join(sorted(seen))}"
        raise ConfigError(explain(path, root, ("fallback",), problem))
    callers: set[str] = set()
    for place, caller in enumerate(file.callers):
        # Limits, approvals and figures go by the name.
        why = "is an agent's name, too" if caller.name in seen else "is there twice"
        if caller.name in seen | callers:
            problem = f"caller {caller.name!r} {why}; rename one of the two"
            raise ConfigError(explain(path, root, ("callers", place, "name"), problem))
        callers.add(caller.name)
    for key, texts in (
        ("canned_replies", file.canned_replies),
        ("canned_rejections", file.canned_rejections),
    ):
        titles = [one.title for one in texts]
        for place, title in enumerate(titles):
            if title in titles[:place]:
                problem = f"the title {title!r} is there twice; rename one of the two"
                raise ConfigError(explain(path, root, (key, place, "title"), problem))
