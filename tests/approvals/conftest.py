"""A state database, a queue and a ledger of their own for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smart_support.approvals.approval import Request
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.storage.state.base import StateDatabase
from tests.support.planned_calls import request
from tests.support.stores import state_of


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
    """Makes requests, each of its own call, with the given fields."""
    return lambda **fields: request(**({"customer_id": "C-2001"} | fields))
