"""Whose things an operation touches: an argument names the customer, a read looks the owner up, or nobody's.

The rules propose it from names and response schemas. Only what a reviewer has confirmed counts: where it is
not confirmed, a call on a thread that belongs to a customer has to be refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.nodes import mapping, sequence
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.review import vocabulary
from smart_support.errors import InvalidRequest

__all__ = [
    "CustomerRule",
    "changed_rule",
    "customer_in",
    "is_valid",
    "lookup_rules",
    "lookups",
    "proposed_rule",
    "rule_of",
]

_MAX_DEPTH = 3
_MAX_LOOKUPS = 3
# Things of a company that belong to no customer; a read of them needs no owner.
_NOBODYS = frozenset(
    {
        *("hour", "opening", "holiday", "store", "branch", "location", "country", "currency", "language"),
        *(
            "product",
            "catalog",
            "catalogue",
            "category",
            "brand",
            "faq",
            "health",
            "version",
            "ping",
            "timezone",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRule:
    """How the customer of a call is found.

    Attributes:
        argument: with `argument`, the one that holds the customer's id.
        operation: with `lookup`, the key of a read of the same API.
        arguments: its arguments, each by the argument of the call that it takes.
        result: where the customer's id is in its result, a JSON Pointer (RFC 6901).
        confirmed: a reviewer has confirmed it.
    """

    source: Literal["argument", "lookup", "none"]
    argument: str = ""
    operation: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    result: str = ""
    confirmed: bool = False

    def as_json(self) -> dict[str, Any]:
        """The attributes that have a value, and `confirmed`."""
        return {name: value for name, value in asdict(self).items() if value} | {"confirmed": self.confirmed}


def rule_of(value: Mapping[str, Any] | None) -> CustomerRule | None:
    """A rule from its JSON; None if nothing is known."""
    return CustomerRule(**value) if value else None


def is_valid(rule: CustomerRule, operation: Operation) -> bool:
    """Whether an operation has the arguments that its rule uses."""
    names = operation.schema.get("properties", {}).keys()
    if rule.source == "argument":
        return rule.argument in names
    return rule.source == "none" or {*rule.arguments.values()} <= names


def changed_rule(
    operation: Operation, present: CustomerRule | None, given: Mapping[str, Any]
) -> CustomerRule | None:
    """The rule that a reviewer gives, confirmed; `proposed` confirms the present one, `unknown` removes it.

    Raises:
        InvalidRequest: there is none to confirm, or it names an argument that the operation does not have.
    """
    if given.get("source") == "unknown":
        return None
    if given.get("source") == "proposed":
        if present is None:
            raise InvalidRequest(f"{operation.key}: the rules propose no customer for it; choose one")
        return replace(present, confirmed=True)
    rule = CustomerRule(**{**given, "confirmed": True})
    is_whole = (
        {"argument": bool(rule.argument), "lookup": bool(rule.operation and rule.arguments and rule.result)}
    ).get(rule.source, True)
    if not is_whole or not is_valid(rule, operation):
        raise InvalidRequest(
            f"{operation.key}: customer: name an argument that it has, or a read with its arguments and the "
            "place of the customer's id in its result"
        )
    return rule


def proposed_rule(
    operation: Operation, access: str, owner_lookups: Mapping[str, tuple[str, frozenset[str]]]
) -> CustomerRule | None:
    """What the rules propose for an operation, or None if they can't tell.

    Args:
        access: `read` or `write`, as it is classified.
        owner_lookups: as in `lookups`.
    """
    arguments = operation.schema.get("properties", {})
    named = sorted(
        filter(vocabulary.identifies_customer, arguments),
        key=lambda one: ("customer" not in one.lower(), one),
    )
    if named:
        return CustomerRule(source="argument", argument=named[0])
    if rules := lookup_rules(operation, owner_lookups):
        return rules[0]
    words = vocabulary.stems(vocabulary.segments(operation.path))
    if access == "read" and words and words <= _NOBODYS:
        return CustomerRule(source="none")
    return None


def lookup_rules(
    operation: Operation, owner_lookups: Mapping[str, tuple[str, frozenset[str]]]
) -> list[CustomerRule]:
    """The reads that can look up the customer of an operation's calls, the best first.

    A read can if the operation has all arguments that the read requires, under the same names.
    """
    names = operation.schema.get("properties", {}).keys()
    fitting = [
        (len(required), key, result, required)
        for key, (result, required) in owner_lookups.items()
        if required and required <= names
    ]
    fitting.sort(key=lambda one: (-one[0], one[1] != operation.tool_name, one[1]))
    return [
        CustomerRule(
            source="lookup", operation=key, arguments={name: name for name in sorted(required)}, result=result
        )
        for _, key, result, required in fitting[:_MAX_LOOKUPS]
    ]


def lookups(description: dict[str, Any], document: Document) -> dict[str, tuple[str, frozenset[str]]]:
    """The reads of one thing whose result names its customer.

    Returns:
        Key of the operation -> where the customer's id is in the result, and the arguments it requires.
    """
    references = References(description)
    result = {}
    for operation in document.operations:
        if operation.method != "GET" or not vocabulary.ends_with_placeholder(operation.path):
            continue
        node = mapping(mapping(mapping(description.get("paths")).get(operation.path)).get("get"))
        place = next(_customer_places(_response_schema(node, references), references), None)
        if place:
            result[operation.tool_name] = (place, frozenset(operation.schema.get("required", [])))
    return result


def customer_in(result: Any, place: str) -> str | None:
    """The customer's id in a read's result; None if it is not there."""
    value = result
    for step in place.split("/")[1:]:
        if not isinstance(value, dict):
            return None
        value = value.get(step.replace("~1", "/").replace("~0", "~"))
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _response_schema(node: dict[str, Any], references: References) -> Any:
    responses = mapping(node.get("responses"))
    chosen = next(
        (responses[status] for status in ("200", "201", "2XX", "default") if status in responses), None
    )
    response = mapping(references.resolve(chosen, "").node)
    for media_type, media in mapping(response.get("content")).items():
        if "json" in media_type:
            return mapping(media).get("schema")
    return response.get("schema")  # Swagger 2.0


def _customer_places(schema: Any, references: References, place: str = "") -> Iterator[str]:
    """Where a result may name its customer: `/customer_id`, `/customer/id`, the least deep first."""
    if place.count("/") >= _MAX_DEPTH:
        return
    node = mapping(references.resolve(schema, "").node)
    properties = dict(mapping(node.get("properties")))
    for part in sequence(node.get("allOf")):
        properties |= mapping(mapping(references.resolve(part, "").node).get("properties"))
    for name in properties:
        inner = mapping(references.resolve(properties[name], "").node)
        kind, step = inner.get("type"), name.replace("~", "~0").replace("/", "~1")
        if vocabulary.identifies_customer(name) and kind in ("string", "integer"):
            yield f"{place}/{step}"
        elif name.lower() == "customer" and "id" in mapping(inner.get("properties")):
            yield f"{place}/{step}/id"
    for name in ("data", "result", "item"):
        if name in properties:
            yield from _customer_places(properties[name], references, f"{place}/{name}")
