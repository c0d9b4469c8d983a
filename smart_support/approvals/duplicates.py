"""Which calls would do the same thing twice."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

# The name of an argument that says which thing a call is about: `order_id`, `subscriptionId`, `card_number`.
_TARGET = re.compile(r"(^|_)(id|ids|number|key|ref|reference|email|sku|code|slug)$")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def target_of(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that say which thing a call is about."""
    return {name: value for name, value in args.items() if _TARGET.search(_HUMP.sub("_", name).lower())}


def duplicate_key(tool: str, args: Mapping[str, Any], *, customer_id: str | None, thread_id: str) -> str:
    """A text that two calls share if the second one may be a repetition of the first.

    They are of the same tool and about the same thing; the amount, the reason and the requester may differ: a
    refund for one order is often requested twice with two amounts. A call that names no thing is a repetition
    only with the same arguments for the same customer, or in the same conversation where that is unknown.
    """
    target = target_of(args)
    if target:
        parts: list[Any] = [tool, {name: str(value) for name, value in target.items()}]
    else:
        parts = [tool, args, ["customer", customer_id] if customer_id else ["thread", thread_id]]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()
