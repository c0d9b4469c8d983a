"""Gates over a queue and a state database of their own for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_support.approvals.ledger import Ledger
from smart_support.approvals.policy import Policy, Rule
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.gate.gate import Gate
from smart_support.settings import ROOT
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.registry import Registry, tools_of
from tests.approvals.conftest import queue, state

__all__ = ["Make", "queue", "state"]
Make = Callable[..., Gate]


async def _nobody(*_: Any, **__: Any) -> bool:
    return False


@pytest.fixture
def make(tmp_path: Path, state: StateDatabase, queue: ApprovalQueue) -> Iterator[Make]:
    """Makes a gate with these rules."""
    shop = DemoStore(tmp_path / "shop.sqlite", ROOT / "data" / "shop")

    def gate(*rules: dict[str, Any]) -> Gate:
        return Gate(
            registry=Registry(tools_of(CommerceTools(shop))),
            policy=Policy(Rule.model_validate(rule) for rule in rules),
            approvals=queue,
            ledger=Ledger(state),
            quota=Quota(state),
            escalate=_nobody,
        )

    yield gate
    shop.close()
