"""A state database, a queue and a ledger of their own for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smart_support import clock
from smart_support.approvals.approval import Request
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.storage.state.base import StateDatabase
from tests.stores import state_of


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    database = state_of(tmp_path)
    yield database
    database.close()


@pytest.fixture
def queue(state: StateDatabase) -> ApprovalQueue:
    return ApprovalQueue(state, ttl_seconds=60)


@pytest.fixture
def ledger(state: StateDatabase) -> Ledger:
    return Ledger(state)


@pytest.fixture
def wanted() -> Callable[..., Request]:
    """A request, each one its own unless told otherwise."""

    def make(**fields: object) -> Request:
        usual = {
            "thread_id": "t",
            "interrupt_id": clock.new_id(),
            "action": "cancel_order",
            "args": {"order_id": "1042"},
            "agent": "order_actions",
            "summary": "Cancel order 1042",
            "tool_call_id": clock.new_id(),
            "tool_version": "1",
            "customer_id": "C-2001",
        }
        return Request(**(usual | fields))

    return make
