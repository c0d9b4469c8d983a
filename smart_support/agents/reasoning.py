"""What a model's message holds beside its words: thoughts, a refusal, and reasoning that only the provider
can read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

# Of the thoughts of one answer, for the record.
MAX_THOUGHT_CHARS = 20_000
REASONING_ITEMS = "reasoning_items"


@dataclass(frozen=True, slots=True)
class Parts:
    """The text of a message or a chunk by what it is."""

    said: str
    thought: str
    refusal: str


def parts_of(message: BaseMessage) -> Parts:
    """The parts of a message, as LangChain's packages for the providers give them."""
    said, thought, refusal = [], [], []
    blocks = [message.content] if isinstance(message.content, str) else message.content
    for block in blocks:
        if isinstance(block, str):
            said.append(block)
        elif block.get("type") in ("text", "output_text"):
            said.append(_text(block.get("text")))
        elif block.get("type") == "refusal":
            refusal.append(_text(block.get("refusal")))
        else:
            thought.append("".join(_thoughts_in(block)))
    more = message.additional_kwargs
    thought.append(_text(more.get("reasoning_content")))
    refusal.append(_text(more.get("refusal")))
    return Parts("".join(said), "".join(thought), "".join(refusal))


def _thoughts_in(block: dict[str, Any]) -> Iterator[str]:
    """The readable thoughts of a content block: Anthropic's, Mistral's, OpenAI's, LangChain's own."""
    kind = block.get("type")
    if kind in ("thinking", "reasoning", "reasoning_content"):
        value = block.get(kind) or block.get("summary") or ""
        for part in value if isinstance(value, list) else [value]:
            yield _text(part.get("text")) if isinstance(part, dict) else _text(part)


def encrypted_reasoning(message: AIMessage) -> list[dict[str, Any]]:
    """The items of OpenAI's Responses API that a later request must hold: their content is encrypted."""
    kept = message.additional_kwargs.get(REASONING_ITEMS)
    if isinstance(kept, list):
        return [item for item in kept if isinstance(item, dict)]
    return encrypted_items(message.content)


def encrypted_items(content: Any) -> list[dict[str, Any]]:
    """The reasoning items in the content of a message that have encrypted content."""
    blocks = content if isinstance(content, list) else []
    return [
        {name: value for name, value in block.items() if name != "index"}
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "reasoning" and block.get("encrypted_content")
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
