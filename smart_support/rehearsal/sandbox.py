"""A second set of services beside the running ones, to try something on: the same agents, and no way out.

Its folder is its own, its demo business a copy, and what would reach another system gives what was recorded.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from smart_support.analytics.replay import Replay
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.rehearsal.what_if import Recorded, RecordedModel

if TYPE_CHECKING:
    from smart_support.services import Services


@asynccontextmanager
async def rehearsal(
    services: "Services", folder: Path, recorded: Recorded, *, made_up: bool = False
) -> AsyncIterator[tuple[TurnRunner, Replay]]:
    """Turns that nobody else sees, and what they record; gone with the context.

    Args:
        made_up: no model ever said what was recorded, so that even the embedded one would say something else.
    """
    alone = {"data_dir": folder, "escalation_webhook_url": "", "allowed_hosts": "", "mcp_servers": {}}
    # Decisions are taken as recorded, whoever made them and whether they could today.
    alone |= {"users_file": None, "api_keys": ""}
    alone |= {"database_url": "", "keep_days": 0, "rate_limit": "100000/1s", "session_ttl_seconds": 3600}
    assert services.demo is not None
    services.demo.copy_to(folder / f"{services.toolset.business}.sqlite")
    embedded = services.settings.model == "demo"
    model = services.chat_models[0].model
    if made_up or not embedded:
        model = RecordedModel.of(recorded.steps, beyond=model if embedded else None)
    inner = type(services)(services.settings.model_copy(update=alone), chat_model=model)
    inner.own_team = inner.team = services.team
    inner.as_tool = recorded.own
    own = {tool.name for tool in services.own_tools}
    inner.registry.add(*(recorded.outside(tool) for tool in services.registry if tool.name not in own))
    try:
        await inner.open(FastAPI())
        yield inner.turns, inner.replay
    finally:
        await inner.close()
