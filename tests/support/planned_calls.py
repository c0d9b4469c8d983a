"""Planned calls and requests for approval with usual values."""

from typing import Any

from smart_support import clock
from smart_support.approvals.approval import Request
from smart_support.gate.planned_call import PlannedCall

_PLACE = ("thread_id", "interrupt_id", "part", "asked_by", "allowed", "args_schema", "client")


def planned(**fields: Any) -> PlannedCall:
    """A call of `cancel_order` with an id of its own, but for the given fields."""
    usual = {
        "tool_call_id": clock.new_id(),
        "tool": "cancel_order",
        "args": {"order_id": "1042"},
        "agent": "order_actions",
        "summary": "Cancel order 1042",
        "tool_version": "1",
        "need": "ask",
    }
    return PlannedCall(**(usual | fields))


def request(**fields: Any) -> Request:
    """A request for such a call on thread `t`; `fields` are those of the call and of the request."""
    place = {name: fields.pop(name) for name in _PLACE if name in fields}
    return Request(call=planned(**fields), **({"thread_id": "t", "interrupt_id": clock.new_id()} | place))
