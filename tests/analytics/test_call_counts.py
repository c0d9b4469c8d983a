"""A call counts once in the figures, whatever a person decided about it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata

from smart_support import Settings
from smart_support.approvals.decision import DecisionInput
from smart_support.services import Services
from tests.support.graphs.shapes import SHAPES
from tests.support.harness import ScriptedModel

AGENTS = """\
company: Test
fallback: only
agents:
  - {name: only, title: Only, description: Makes coupons., tools: [generate_coupon]}
"""
USED = UsageMetadata(input_tokens=7, output_tokens=2, total_tokens=9)
EDITED: dict[str, dict[str, Any]] = {
    "refund": {"order": "A", "cents": 7},
    "generate_coupon": {"percent": 5},
}


def _coupon(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("Here it is.", usage_metadata=USED)
    call = {"name": "generate_coupon", "args": {"percent": 10}, "id": "call_0"}
    return AIMessage("Let me see.", tool_calls=[call], usage_metadata=USED)


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    data_dir.mkdir()
    (data_dir / "agents.yaml").write_text(AGENTS)
    return Settings(data_dir=data_dir, agents_file=data_dir / "agents.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("decision", ["approve", "edit", "reject"])
@pytest.mark.parametrize("graph", ["own", "middleware_batched", "middleware_per_call", "agent_node"])
async def test_a_decided_call_counts_once(graph: str, decision: str, settings: Settings) -> None:
    is_own = graph == "own"
    services = Services(
        settings,
        graph=None if is_own else SHAPES[graph].build([], None),
        chat_model=ScriptedModel(script=_coupon) if is_own else None,
    )
    tool = "generate_coupon" if is_own else "refund"
    await services.open()
    try:
        approval_id = ""
        async for shown in services.turns.submit_and_follow("t", "refund A", channel="rest"):
            approval_id = getattr(shown.event, "approval_id", approval_id)
        args = EDITED[tool] if decision == "edit" else None
        made = DecisionInput(decision, decided_by="dana", via="rest", args=args)
        async for _ in services.turns.decide_and_follow(approval_id, made):
            pass
        steps = [step async for page in services.replay.batches("t") for step in page]
        figures = await services.metrics.analytics("24h")
    finally:
        await services.close()
    types = Counter(step["type"] for step in steps)
    assert (types["tool_call"], types["tool_result"], types["decision"]) == (1, 1, 1)
    assert figures["tools"] == [{"tool": tool, "calls": 1, "errors": 0}]
    assert figures["approvals"]["requested"] == 1
    assert figures["hours_saved"]["hours"] == (0 if decision == "reject" else 3 / 60)
    said = [step["content"] for step in steps if step["type"] == "message" and step["role"] == "agent"]
    assert max(Counter(said).values()) == 1
    if is_own:
        assert figures["tokens"] == {"input": 14, "output": 4}
        assert figures["outcomes"]["rejected"] == (decision == "reject")
