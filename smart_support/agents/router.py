"""Routes a message to agents by one model call, and checks the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from smart_support.agents.model_client import Models
from smart_support.agents.prompts import route_tool, router_prompt
from smart_support.agents.team import Team
from smart_support.tools.registry import Registry

MAX_TARGETS = 6
MAX_OPTIONS = 6


@dataclass(frozen=True, slots=True)
class Routing:
    """Either targets (`{"agent", "request"}` in order) or a question back; `usage` is that of `model`."""

    targets: list[dict[str, str]]
    reason: str
    question: str | None = None
    options: list[str] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    model: str | None = None


class Router:
    """Routes by the team's chat model; with a single agent no model is called."""

    def __init__(self, team: Team, registry: Registry, models: Models) -> None:
        self._team = team
        self._models = models
        self._registry = registry

    async def route(self, thread_id: str, messages: Sequence[AnyMessage]) -> Routing:
        """Route the last message. Where the model's answer is not usable, it goes to the fallback.

        Raises:
            BudgetSpent, ModelFailed: no model was called, or none answered.
        """
        request = next(
            (str(message.text) for message in reversed(messages) if isinstance(message, HumanMessage)), ""
        )
        if len(self._team.agents) == 1:
            only = self._team.agents[0].name
            return Routing([{"agent": only, "request": request}], f"{only} is the only agent.")
        tools = [route_tool(self._team, self._registry)]
        prompt = router_prompt(self._team)
        answer = await self._models.ask(thread_id, prompt, messages, tools, must_answer=False)
        model = answer.response_metadata.get("model_name")
        usage = dict(answer.usage_metadata) if answer.usage_metadata else None
        return replace(self._checked(answer, request), usage=usage, model=model)

    def _checked(self, answer: AIMessage, request: str) -> Routing:
        args = next((call["args"] for call in answer.tool_calls if call["name"] == "route"), {})
        targets = self._known_targets(args.get("targets"), request)
        reason = _text(args.get("reason"), 500)
        if targets:
            return Routing(targets, reason or "The router named these agents.")
        question = _text(args.get("question"), 500)
        if question:
            options = [text for item in _items(args.get("options")) if (text := _text(item, 200))]
            return Routing([], reason or "The request is unclear.", question, options[:MAX_OPTIONS])
        fallback = {"agent": self._team.fallback, "request": request}
        return Routing([fallback], "No agent was named; the fallback answers.")

    def _known_targets(self, proposed: Any, request: str) -> list[dict[str, str]]:
        names = {spec.name for spec in self._team.agents}
        return [
            {"agent": item["agent"], "request": _text(item.get("request"), 10_000) or request}
            for item in _items(proposed)
            if isinstance(item, dict) and isinstance(item.get("agent"), str) and item["agent"] in names
        ][:MAX_TARGETS]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any, limit: int) -> str:
    return value.strip()[:limit] if isinstance(value, str) else ""
