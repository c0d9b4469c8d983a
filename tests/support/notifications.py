"""Notifications over a real state database, with targets that a test names."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_support import Settings, audit, clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.escalations.escalations import Escalations
from smart_support.notifications.decide_links import DecideLinks
from smart_support.notifications.delivery import Notifications
from smart_support.notifications.outbox import Notification
from smart_support.notifications.targets import EmailSpec, SlackSpec, Target, WebhookSpec
from smart_support.storage.coordination.local import LocalLocks
from smart_support.storage.state.base import Connection
from tests.support.planned_calls import request
from tests.support.stores import state_of
from tests.support.webhook import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BASE = "https://support.example.com"


class System:
    """A state database with what fills it, and the notifications that follow.

    Attributes:
        counted: the kind of target and the outcome of each attempt.
    """

    def __init__(self, folder: Path, *targets: Target) -> None:
        self.state = state_of(folder)
        self.approvals = ApprovalQueue(self.state, 1800)
        self.escalations = Escalations(self.state, Settings(), LocalLocks())
        self.links = DecideLinks(b"key", BASE)
        self.counted: list[tuple[str, str]] = []
        self.notifications = self._made(targets)

    def _made(self, targets: tuple[Target, ...]) -> Notifications:
        return Notifications(
            state=self.state,
            targets=targets,
            approvals=self.approvals,
            escalations=self.escalations,
            links=self.links,
            console=BASE,
            locks=LocalLocks(),
            count=lambda kind, outcome: self.counted.append((kind, outcome)),
        )

    def restarted(self, *targets: Target) -> Notifications:
        """Other notifications over the same database, as after a new start."""
        self.notifications = self._made(targets)
        return self.notifications

    async def request(self, **fields: Any) -> Approval:
        """A new approval."""
        return await self.approvals.request(request(**fields))

    async def burst(self, count: int) -> None:
        """So many new approvals in one transaction, which each would otherwise have for itself."""
        first = await self.request()
        sql = "SELECT * FROM approvals WHERE approval_id = :id"
        (row,) = await self.state.read(sql, {"id": first.approval_id})
        names = ", ".join(row)
        insert = f"INSERT INTO approvals ({names}) VALUES ({', '.join(f':{name}' for name in row)})"

        def work(connection: Connection) -> None:
            for _ in range(count - 1):
                copy = row | {"approval_id": clock.new_id(), "interrupt_id": clock.new_id()}
                connection.execute(insert, copy)
                audit.append(
                    connection, "requested", actor="agent:a", via="graph", approval_id=copy["approval_id"]
                )

        await self.state.transact(work)

    async def decide(self, approval: Approval, decision: str = "approve", by: str = "dana") -> Approval:
        """A decision on it."""
        made = DecisionInput(decision, decided_by=by, via="rest")
        return await self.approvals.decide(approval.approval_id, made)

    async def deliver(self) -> list[Notification]:
        """Record and send what is due; every notification after that, the oldest first."""
        await self.notifications.send_due()
        await self.notifications.idle()
        return [*reversed(await self.notifications.outbox.newest())]


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Makes a system with targets; it is closed after the test."""
    made: list[System] = []

    async def make(*targets: Target) -> System:
        one = System(tmp_path, *targets)
        made.append(one)
        await one.notifications.outbox.begin()
        return one

    yield make
    for one in made:
        await one.notifications.close()
        await asyncio.to_thread(one.state.close)


@pytest.fixture
def receiver() -> Iterator[Webhook]:
    """A receiver of posts."""
    with Webhook() as hook:
        yield hook


def webhook(url: str, *events: str, name: str = "hook", secret: str = SECRET, **fields: Any) -> Target:
    """A target for programs."""
    given = {"name": name, "type": "webhook", "url": url, "secret_env": "SECRET"}
    return Target(WebhookSpec(**given, events=events or ("approval.requested",), **fields), secret)


def email(port: int, *events: str, password: str = "", **fields: Any) -> Target:
    """A target for mails."""
    usual: dict[str, Any] = {
        "name": "mail",
        "type": "email",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from": "support@example.com",
        "to": ["lead@example.com"],
    }
    return Target(EmailSpec(**usual | fields, events=events or ("approval.requested",)), password)


def slack(api_url: str, *events: str, **fields: Any) -> Target:
    """A target for a bot in Slack."""
    usual = {"name": "slack", "type": "slack", "token_env": "T", "channel": "C01", "api_url": api_url}
    return Target(SlackSpec(**usual | fields, events=events or ("approval.requested",)), "xoxb-secret")
