"""Edited arguments for a tool that this system does not know, as in a graph given to `create_app`."""

from collections.abc import Mapping
from typing import Any

import jsonschema

from smart_support.approvals.approval import Approval
from smart_support.errors import InvalidArguments
from smart_support.gate.planned_call import MAX_ARGUMENT_BYTES, PlannedCall, is_storable
from smart_support.tools.registry import NOTHING_REMOTE, closed, same_types, summary_of


def edited_by_schema(approval: Approval, args: Mapping[str, Any]) -> PlannedCall:
    """The approval's call with `args`, which must fit its `args_schema`.

    Where the approval has no schema, `args` must have the names and JSON types of the requested arguments.

    Raises:
        InvalidArguments: they don't fit, or are too large.
    """
    name = approval.call.tool
    schema = closed(approval.args_schema) or same_types(approval.requested_args)
    problems = [*jsonschema.Draft202012Validator(schema, registry=NOTHING_REMOTE).iter_errors(args)]
    if problems:
        raise InvalidArguments(f"{name}: " + "; ".join(item.message[:200] for item in problems))
    if is_storable(approval.requested_args) and not is_storable(args):
        raise InvalidArguments(f"{name}: more than {MAX_ARGUMENT_BYTES:,} bytes of arguments")
    return approval.call.edited({"args": args, "summary": summary_of(name, args), "effect": None})
