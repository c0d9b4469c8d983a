"""The tools by name: their access, schema and limits, and how they run.

A toolset is a class whose methods are tools, marked `@read` or `@write`; a method's type hints and Google
style docstring are its schema. `Registry.add(*tools_of(toolset))` makes them callable by name.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import jsonschema
import referencing
from pydantic import Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError
from referencing import Registry as Referenced

from smart_support.errors import ConfigError, InvalidArguments, SmartSupportError, ToolFailed, ToolRefused
from smart_support.tools import names
from smart_support.tools.definition import Definition
from smart_support.tools.result_schema import shape_of

Risk = Literal["low", "medium", "high"]
CustomerSource = Literal["unknown", "system", "lookup", "argument", "none"]
Method = TypeVar("Method", bound=Callable[..., Any])
Args = Mapping[str, Any]
Summarise = Callable[[Args, Mapping[str, Any]], str]
# For checks against schemas of others: what they refer to elsewhere is not fetched.
NOTHING_REMOTE: referencing.Registry[Any] = referencing.Registry()
CHANGED = (
    "What this was approved on changed in the very moment it was to be carried out, so nothing was done; "
    "please ask again."
)
# Of a Google style docstring: where a section begins, and an argument's line in one, four spaces deep.
_SECTION = re.compile(r"(Args|Returns|Raises|Yields):\s")
_ARGUMENT = re.compile(r" {4}(\w+): *(.*)")


class Access(StrEnum):
    """What a tool does to the world: nothing, or something."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of an effect: `subject` ("order 1042"), `field`, and its value before and after as text."""

    subject: str
    field: str
    before: str
    after: str


# In place of a customer's id: a call touches no customer's things.
NOBODY = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a tool sees it beside its arguments.

    Attributes:
        idempotency_key: the same for every attempt at one approved call; null for reads.
        unless_changed: called by a tool in the transaction of a write, before it changes anything; raises
            `ToolRefused` where what was approved is not so any more. Null where nothing is to be compared.
        seen: what the call's card was built on: arguments, and the `Tool.state` of them.
    """

    thread_id: str
    tool_call_id: str
    idempotency_key: str | None = None
    seen: tuple[Args, dict[str, Any]] | None = None
    unless_changed: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool and what the gate needs to know of it.

    Attributes:
        name: as in names.py.
        schema: JSON Schema (2020-12) of its arguments, an object.
        run: awaited with (args, call); its result must be JSON. Raises `ToolRefused` where a rule of the
            business refuses the call, anything else where it failed.
        version: changes whenever the same arguments would do something else.
        idempotent: the same idempotency key twice has the effect of once.
        summarise: one sentence for the approval card, built from the arguments and the facts of the call.
        preview: what a write would change, computed on a copy; raises as `run` would.
        state: what a card of this write is built on, as JSON values by name; read again before it runs,
            and where it differs, the approval is used up and the call needs a new one.
        customer: the id of the customer whose data the arguments name, where it is known; `NOBODY` where they
            name no customer's.
        customer_source: how `customer` knows it: from the `system` itself, by a `lookup` in it, or from an
            `argument`; `none` if a call touches no customer's things. With `unknown` nobody has confirmed it,
            and a call on a thread that is bound to a customer has to be refused.
        facts: what the system itself says of a call, by name, for the policy; it goes before the arguments.
        fact_names: all names that `facts` can give.
        definition: of an imported tool; its version follows from it.
        former_version: what earlier releases of this software took as the version of the same tool.
        refresh: the tool as the system that has it describes it at this moment; None where it is gone there.
        check_call: checks arguments that fit the schema further; raises `InvalidArguments`.
        output_schema: JSON Schema of its result, without references; None where nothing is said of it. It is
            told to clients and never enforced: a write whose result does not fit has run all the same.
    """

    name: str
    description: str
    schema: dict[str, Any]
    access: Access
    run: Callable[[Args, Call], Awaitable[Any]]
    risk: Risk = "low"
    version: str = "1"
    idempotent: bool = False
    timeout_seconds: float = 30.0
    summarise: Summarise | None = None
    preview: Callable[[Args], Awaitable[list[Change]]] | None = None
    customer: Callable[[Args], Awaitable[str | None]] | None = None
    customer_source: CustomerSource = "unknown"
    state: Callable[[Args], Awaitable[dict[str, Any] | None]] | None = None
    facts: Callable[[Args], Awaitable[dict[str, Any]]] | None = None
    fact_names: tuple[str, ...] = ()
    definition: Definition | None = None
    former_version: str | None = None
    refresh: Callable[[], Awaitable["Tool | None"]] | None = None
    check_call: Callable[[Args], None] | None = None
    output_schema: dict[str, Any] | None = None
    _validator: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not names.can_be_sent(self.name):
            raise ConfigError(
                f"tool name {self.name[:80]!r} is not valid; use 1 to {names.MAX_LENGTH} of "
                "a-z, A-Z, 0-9, _ and -, starting with a letter"
            )
        # With a registry of its own it never fetches what a `$ref` names.
        validator = jsonschema.Draft202012Validator(self.schema, registry=Referenced())
        object.__setattr__(self, "_validator", validator)

    def check(self, args: Args) -> None:
        """Raise `InvalidArguments`, naming each field, unless `args` fit the schema and can be sent."""
        problems = sorted(self._validator.iter_errors(dict(args)), key=lambda item: list(item.path))
        if problems:
            raise InvalidArguments(f"{self.name}: " + "; ".join(_explain(item) for item in problems[:5]))
        if self.check_call:
            self.check_call(args)

    def has_described_result(self, result: Any) -> bool:
        """Whether a result is what `output_schema` says; true where it says nothing."""
        if self.output_schema is None:
            return True
        validator = jsonschema.Draft202012Validator(self.output_schema, registry=Referenced())
        return bool(validator.is_valid(result))

    def exact(self, args: Args) -> dict[str, Any]:
        """`args` with whole numbers as integers where the schema says so: JSON Schema takes 10.0 for 10."""
        exact: dict[str, Any] = _exact(dict(args), self.schema)
        return exact

    def known_names(self) -> frozenset[str]:
        """Every name that a policy can ask for: arguments and facts."""
        return frozenset((*self.schema.get("properties", {}), *self.fact_names))

    def summary(self, args: Args, facts: Mapping[str, Any] | None = None) -> str:
        """One sentence that says what the call does; `facts` are those of `Tool.facts`, if known."""
        if self.summarise:
            return self.summarise(args, facts or {})
        return summary_of(self.name, args)


def title_of(tool: str) -> str:
    """A tool's name as people read it."""
    return tool.replace("_", " ").capitalize()


def summary_of(tool: str, args: Args) -> str:
    """A sentence for a call's approval card where its tool gives none: the name and all arguments."""
    title = title_of(tool)
    return f"{title}: " + ", ".join(f"{name} {value}" for name, value in args.items()) if args else title


def _exact(value: Any, schema: Any) -> Any:
    known = schema if isinstance(schema, dict) else {}
    if isinstance(value, dict):
        parts = known.get("properties", {})
        return {name: _exact(part, parts.get(name)) for name, part in value.items()}
    if isinstance(value, list):
        return [_exact(part, known.get("items")) for part in value]
    if isinstance(value, float) and value.is_integer() and known.get("type") == "integer":
        return int(value)
    return value


def _explain(problem: jsonschema.ValidationError) -> str:
    path = ".".join(str(part) for part in problem.absolute_path)
    return f"{path}: {problem.message[:200]}" if path else problem.message[:200]


def read(method: Method) -> Method:
    """Mark a toolset's method as a tool that changes nothing."""
    return _mark(method, access=Access.READ)


def write(
    *,
    risk: Risk = "medium",
    version: str = "1",
    idempotent: bool = False,
    summary: str | Summarise | None = None,
) -> Callable[[Method], Method]:
    """Mark a toolset's method as a tool that changes something, and so waits for approval.

    Args:
        risk: shown on the card and used for sorting.
        version: raise it when the same arguments would do something else.
        idempotent: the method honours its idempotency key.
        summary: the card's sentence, a `Summarise`, or a `str.format` template over the arguments.
    """
    return lambda method: _mark(
        method, access=Access.WRITE, risk=risk, version=version, idempotent=idempotent, summary=summary
    )


def _mark(method: Method, **properties: Any) -> Method:
    method.__tool__ = properties  # type: ignore[attr-defined]
    return method


class Toolset:
    """Base of a class whose marked methods are tools over one store.

    Methods are plain functions that run in `executor`, the one thread that owns the store. A method that
    takes `call` is given the `Call` beside its arguments.
    """

    executor: Executor
    fact_names: tuple[str, ...] = ()

    def preview(self, method: str, args: Args) -> list[Change]:
        """What calling `method` would change, computed on a copy. Runs in `executor`."""
        raise NotImplementedError

    def state_of(self, args: Args) -> dict[str, Any] | None:
        """The state that a card with these arguments is built on; None for none. Runs in `executor`."""
        return None

    def facts_of(self, method: str, args: Args) -> dict[str, Any]:
        """What a policy can know of a call beyond its arguments. Runs in `executor`."""
        return {}

    def customer_of(self, args: Args) -> str | None:
        """The customer the arguments belong to, if known; `NOBODY` if to none. Runs in `executor`."""
        return None


def tools_of(toolset: Toolset) -> list[Tool]:
    """Every marked method of a toolset as a `Tool`."""
    return [
        _tool(toolset, name, method)
        for name, method in inspect.getmembers(toolset, inspect.ismethod)
        if hasattr(method, "__tool__")
    ]


def _tool(toolset: Toolset, name: str, method: Callable[..., Any]) -> Tool:
    marked: dict[str, Any] = dict(method.__tool__)  # type: ignore[attr-defined]
    summary = marked.pop("summary", None)
    takes_call = "call" in inspect.signature(method).parameters

    async def in_owner(function: Callable[..., Any], *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(toolset.executor, function, *args)
        except SmartSupportError:
            raise
        except Exception as error:
            # Toolsets are transactional: what broke was rolled back, so this is a failure and not a doubt.
            raise ToolFailed(f"{name} failed and changed nothing; try again later.") from error

    async def run(args: Args, call: Call) -> Any:
        def unless_changed() -> None:
            if call.seen and toolset.state_of(call.seen[0]) != call.seen[1]:
                raise ToolRefused(CHANGED)

        extra = {"call": replace(call, unless_changed=unless_changed)} if takes_call else {}
        return await in_owner(lambda: method(**args, **extra))

    async def preview(args: Args) -> list[Change]:
        changes: list[Change] = await in_owner(toolset.preview, name, args)
        return changes

    async def state(args: Args) -> dict[str, Any] | None:
        values: dict[str, Any] | None = await in_owner(toolset.state_of, args)
        return values

    async def facts(args: Args) -> dict[str, Any]:
        values: dict[str, Any] = await in_owner(toolset.facts_of, name, args)
        return values

    async def customer(args: Args) -> str | None:
        customer_id: str | None = await in_owner(toolset.customer_of, args)
        return customer_id

    return Tool(
        name=name,
        **_described(method),
        run=run,
        summarise=_filled_in(summary) if isinstance(summary, str) else summary,
        preview=preview if marked["access"] is Access.WRITE else None,
        customer=customer,
        customer_source="system",
        state=state if marked["access"] is Access.WRITE else None,
        facts=facts if marked["access"] is Access.WRITE else None,
        fact_names=toolset.fact_names,
        **marked,
    )


def _described(method: Callable[..., Any]) -> dict[str, Any]:
    """The description and argument schema that a method's docstring and type hints give."""
    description, of_arguments = _docstring_parts(inspect.getdoc(method) or "")
    hints = get_type_hints(method, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if name == "call":
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        words = Field(description=of_arguments[name]) if name in of_arguments else None
        fields[name] = (Annotated[hints[name], words] if words else hints[name], default)
    schema = create_model(method.__name__, **fields).model_json_schema()
    schema.pop("title")
    schema["additionalProperties"] = False
    schema["properties"] = {name: _without_null(part) for name, part in schema["properties"].items()}
    result = _result_schema(hints.get("return"))
    return {"description": description, "schema": schema, "output_schema": result}


def _result_schema(hint: Any) -> dict[str, Any] | None:
    """The JSON Schema of a method's return type; None where the type says nothing of what is in it."""
    try:
        return shape_of(TypeAdapter(hint).json_schema(mode="serialization"))
    except PydanticUserError:
        return None


def _docstring_parts(docstring: str) -> tuple[str, dict[str, str]]:
    """What a Google style docstring says of the function, and of each argument."""
    paragraphs = docstring.split("\n\n")
    described = list(takewhile(lambda paragraph: not _SECTION.match(paragraph), paragraphs))
    section = next((paragraph for paragraph in paragraphs if paragraph.startswith("Args:")), "")
    arguments: dict[str, str] = {}
    name = ""
    for line in section.splitlines()[1:]:
        if match := _ARGUMENT.match(line):
            name, arguments[match[1]] = match[1], match[2]
        elif name:
            arguments[name] += f" {line.strip()}"
    return " ".join(described), arguments


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """An optional argument as one that may be left out, rather than one that may be null."""
    kinds = [kind for kind in part.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) != 1 or part.get("default") is not None:
        return part
    kept = {name: value for name, value in part.items() if name not in ("anyOf", "default")}
    return kept | dict(kinds[0])


def _filled_in(template: str) -> Summarise:
    return lambda args, facts: template.format_map(_Blank(args))


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "not given"


class Registry:
    """All tools by name. A name is taken once."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self.add(*tools)

    def add(self, *tools: Tool) -> None:
        """Make tools callable.

        Raises:
            ConfigError: a name is taken already.
        """
        for tool in tools:
            if tool.name in self._tools:
                raise ConfigError(f"tool {tool.name!r} is defined twice; rename one of the two")
            self._tools[tool.name] = tool

    def replace(self, other: "Registry") -> None:
        """Have the tools of another registry from now on, for all who hold this one."""
        self._tools = dict(other._tools)

    def get(self, name: str) -> Tool | None:
        """The tool of that name, or None."""
        return self._tools.get(name)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __contains__(self, name: str) -> bool:
        return name in self._tools


def closed(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A schema of arguments that takes no names but those it has, unless it says that it takes others."""
    if not schema:
        return None
    return {"additionalProperties": False, **schema} if "properties" in schema else dict(schema)


def same_types(args: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes objects with the same names, each of the same JSON type."""
    return {
        "type": "object",
        "properties": {name: {"type": _json_type(value)} for name, value in args.items()},
        "required": list(args),
        "additionalProperties": False,
    }


def _json_type(value: Any) -> str | list[str]:
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    ):
        if isinstance(value, kind):
            return name
    return "object" if isinstance(value, dict) else ["null", "string", "number", "boolean"]
