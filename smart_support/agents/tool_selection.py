"""Chooses the tools that a model is offered for one request where an agent has very many.

Tools are ranked by BM25 over the words of their names, descriptions and argument names, and over pieces of
these words, so that inflected words and scripts without spaces are matched. `find_tools` finds the others.
"""

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from rank_bm25 import BM25Plus

from smart_support.text import folded
from smart_support.tools.registry import Access, Args, Call, Registry, Tool

SHOWN = 16
FIND = "find_tools"
_LISTED = 10
_WORD = re.compile(r"[^\W_]+")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Scripts that put no space between words: Thai, Lao, Khmer, kana, and Han.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_GRAM_CHARS = 3
# A whole word counts as much as so many of its pieces.
_WORD_WEIGHT = 3


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
    words_of_request = _words(words)
    scores = index.get_scores([*words_of_request * _WORD_WEIGHT, *_grams(words_of_request)])
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
        customer_source="none",
    )


def _words_of(tool: Tool) -> list[str]:
    names = " ".join(tool.schema.get("properties", {}))
    words = _words(f"{tool.name} {tool.name} {tool.description} {names}")
    return [*words, *_grams(words)]


def _words(text: str) -> list[str]:
    """The words without case and accents, and without an English plural's `s`."""
    words = _WORD.findall(folded(_BOUNDARY.sub(" ", text)))
    return [word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words]


def _grams(words: Sequence[str]) -> list[str]:
    """Pieces of words, marked by a `~`: each character and pair in a script without spaces, else triples."""
    grams = []
    for word in words:
        sizes = (1, 2) if _UNSPACED.search(word) else (_GRAM_CHARS,)
        grams += [f"~{word[at : at + size]}" for size in sizes for at in range(len(word) - size + 1)]
    return grams
