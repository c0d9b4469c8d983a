"""LangChain callbacks that trace each model call and tool call of any graph.

Spans have names, tokens and times, but no prompts, answers or arguments.
"""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler

from smart_support.observability import tracing


def callbacks() -> dict[str, Any]:
    """An addition to the config of a graph; empty where tracing is off."""
    return {"callbacks": [_Spans()]} if tracing.enabled() else {}


class _Spans(AsyncCallbackHandler):
    # Runs in the task of the call, so that the span gets the right parent.
    run_inline = True

    def __init__(self) -> None:
        self._open: dict[UUID, Any] = {}

    async def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, metadata: Any = None, **_: Any
    ) -> None:
        details = metadata or {}
        model = details.get("ls_model_name") or (serialized or {}).get("name")
        self._open[run_id] = tracing.begin(
            "model", gen_ai__operation__name="chat", gen_ai__request__model=model, agent=_agent(details)
        )

    async def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        span = self._open.pop(run_id, None)
        if span is None:
            return
        for generations in response.generations[:1]:
            used = getattr(getattr(generations[0], "message", None), "usage_metadata", None) or {}
            for direction in ("input", "output"):
                if (tokens := used.get(f"{direction}_tokens")) is not None:
                    span.set_attribute(f"gen_ai.usage.{direction}_tokens", tokens)
        span.end()

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._fail(run_id, error)

    async def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, metadata: Any = None, **_: Any
    ) -> None:
        name = (serialized or {}).get("name") or "tool"
        self._open[run_id] = tracing.begin(f"tool {name}", tool=name, agent=_agent(metadata or {}))

    async def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        if span := self._open.pop(run_id, None):
            span.end()

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._fail(run_id, error)

    def _fail(self, run_id: UUID, error: BaseException) -> None:
        if span := self._open.pop(run_id, None):
            tracing.failed(error, span)
            span.end()


def _agent(metadata: Any) -> str | None:
    node = metadata.get("langgraph_node")
    return str(node) if node else None
