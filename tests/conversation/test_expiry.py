"""An approval that nobody decides: its rule says how long it waits, and whether a human is called."""

import asyncio
from pathlib import Path

import pytest

from smart_support import clock
from smart_support.services import Services
from smart_support.settings import ROOT, Settings

AGENTS = (ROOT / "data/templates/e-commerce.yaml").read_text()
RULE = "policy: [{tool: cancel_order, then: ask, expires_after: 10m, on_expiry: %s}]\n"


@pytest.mark.parametrize("on_expiry", ["reject", "escalate"])
async def test_a_rule_says_whether_an_expired_approval_is_escalated(on_expiry: str, data_dir: Path) -> None:
    agents = data_dir.parent / "agents.yaml"
    agents.write_text(AGENTS + RULE % on_expiry)
    services = Services(Settings(data_dir=data_dir, agents_file=agents))
    await services.open()
    try:
        async for _ in services.turns.submit_and_follow("t", "Cancel order 1042", channel="rest"):
            pass
        listener = services.broadcast.listen("t")
        clock.advance(601)
        services.approvals.wake()
        events = []
        async with asyncio.timeout(60):
            while (shown := await listener.next()) is None or not shown.event.ends_turn:
                events += [shown.event] if shown else []
        escalations = [event for event in events if event.type == "escalation"]
        assert [event.outcome for event in events if event.type == "decision"] == ["expired"]
        assert [event.kind for event in escalations] == (["expired"] if on_expiry == "escalate" else [])
        listed = await services.escalations.list(open_only=True)
        assert [one.kind for one in listed] == [event.kind for event in escalations]
    finally:
        clock.reset()
        await services.close()
