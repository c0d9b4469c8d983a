"""Chooses the tools that a model is offered for one request where an agent has very many.

Tools are ranked by BM25 over their names, descriptions and argument names. `find_tools` finds the others.
"""

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from rank_bm25 import BM25Plus

from smart_support.tools.registry import Access, Args, Call, Registry, Tool

SHOWN = 16
FIND = "find_tools"
_LISTED = 10
_WORD = re.compile(r"[a-z0-9]+")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def shortlist(tools: Sequence[Tool], request: str, messages: Sequence[AnyMessage]) -> list[Tool]:
    """At most `SHOWN` tools: those that the conversation has just used, and the best for the request.

    Args:
        messages: the conversation; tools that its last messages called or searched for stay in the list.
    """
    if len(tools) <= SHOWN:
        return list(tools)
    recent = [
        call for message in messages[-12:] if isinstance(message, AIMessage) for call in message.tool_calls
    ]
    used = {call["name"] for call in recent}
    searched = " ".join(str(call["args"].get("words", "")) for call in recent if call["name"] == FIND)
    kept = [tool for tool in tools if tool.name in used][-SHOWN // 2 :]
    best = [tool for tool in ranked(tools, f"{request} {searched}") if tool not in kept]
    return [*kept, *best][:SHOWN]


def ranked(tools: Sequence[Tool], words: str) -> list[Tool]:
    """All tools, the best match first."""
    index = BM25Plus([_words_of(tool) for tool in tools])
    scores = index.get_scores(_words(words))
    order = sorted(range(len(tools)), key=lambda place: (-scores[place], place))
    return [tools[place] for place in order]


def find_tool(registry: Registry, names: Sequence[str]) -> Tool:
    """The tool `find_tools(words)`, which searches an agent's tools."""

    async def run(args: Args, call: Call) -> Any:
        tools = [tool for name in names if (tool := registry.get(name))]
        best = ranked(tools, str(args["words"]))[:_LISTED]
        return {"tools": [{"name": tool.name, "does": tool.description} for tool in best]}

    return Tool(
        name=FIND,
        description="Find further tools by words, where none of those shown fits; call what is found then.",
        schema={
            "type": "object",
            "properties": {"words": {"type": "string", "minLength": 1, "maxLength": 200}},
            "required": ["words"],
            "additionalProperties": False,
        },
        access=Access.READ,
        run=run,
    )


def _words_of(tool: Tool) -> list[str]:
    names = " ".join(tool.schema.get("properties", {}))
    return _words(f"{tool.name} {tool.name} {tool.description} {names}")


def _words(text: str) -> list[str]:
    words = _WORD.findall(_BOUNDARY.sub(" ", text).lower())
    return [word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words]
