"""The demo model's replies: results of tool calls, refusals and questions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.messages import ToolMessage

from smart_support.demo.model.tone import Phrases
from smart_support.tools.handoff import ESCALATE

GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|afternoon|evening|day)|greetings|hola|hallo)\b", re.I)
ASKS_FOR_HELP = re.compile(r"\b(help|what can you|what do you|how does this)\b", re.I)
THANKS = re.compile(r"\b(thanks?|thank you|thx|cheers|bye|goodbye|great|perfect|awesome)\b", re.I)
MAX_LISTED = 8
_QUESTIONS = {
    "email": "What is your email address?",
    "percent": "What percentage should it be?",
    "days": "How many days should it be?",
    "cents": "What amount should it be?",
    "amount": "What amount should it be?",
    "date": "Which date should it be?",
    "address": "What is the complete address?",
}
# The part of a greeting that says what the assistant does.
_ABILITIES = re.compile(r"\bI can\b.*", re.S)


def describe_results(results: Sequence[ToolMessage], phrases: Phrases) -> str:
    """Describe the results of an agent's calls, each in one sentence or more."""
    said = " ".join(dict.fromkeys(_of_result(result, phrases) for result in results))
    # A handover uses the company's own message, and a failure needs no cheerful opening.
    all_done = results and all(_status(result) == "ok" and result.name != ESCALATE for result in results)
    return f"{phrases.opening}{said}" if all_done else said


def _status(result: ToolMessage) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    return artifact.get("status") or ("error" if result.status == "error" else "ok")


def _of_result(result: ToolMessage, phrases: Phrases) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    status = _status(result)
    if status == "ok":
        return _of_success(str(result.text), result.name or "tool")
    if artifact.get("as_it_stands"):
        return str(result.text)
    if status in ("rejected", "expired"):
        return _of_refusal(
            result, artifact, phrases.expired if status == "expired" else phrases.rejected, phrases
        )
    if status == "skipped":
        return f"I also skipped: {_title(result.name).lower()}."
    return str(result.text)


def _of_refusal(result: ToolMessage, artifact: Mapping[str, Any], phrase: str, phrases: Phrases) -> str:
    said = phrase.format(what=_title(result.name).lower())
    if reason := artifact.get("reason"):
        said += f" Reason: {reason}"
        said += "" if said.endswith((".", "!", "?")) else "."
    if skipped := artifact.get("skipped"):
        said += f" I also skipped: {'; '.join(str(item) for item in skipped)}."
    return f"{said} {phrases.again}"


def _of_success(text: str, name: str) -> str:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[:1000] or f"{_title(name)} is done."
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])
    if isinstance(value, list):
        items = "; ".join(_line(item) for item in value[:MAX_LISTED])
        return f"I found {len(value)}: {items}." if value else "I found nothing."
    return f"{_title(name)}: {_line(value)}."


def _line(value: Any) -> str:
    if isinstance(value, dict):
        flat = [
            (key, item)
            for key, item in value.items()
            if not isinstance(item, (dict, list)) and item is not None
        ]
        return ", ".join(f"{str(key).replace('_', ' ')} {item}" for key, item in flat[:MAX_LISTED]) or "done"
    return str(value)[:300]


def ask_for(missing: str, kind: str, schema: Mapping[str, Any], phrases: Phrases) -> str:
    """Return a short question for an argument that a tool requires and the customer has not given.

    Args:
        missing: the name of the argument; `kind`: its kind, as `tool_choice.kind_of` gives it.
    """
    label = re.sub(r"_(id|no|number|cents)$", "", missing).replace("_", " ")
    if missing.endswith(("_id", "_no", "_number")):
        return phrases.which.format(label=label)
    if options := schema.get("enum"):
        listed = ", ".join(str(option) for option in options[:MAX_LISTED])
        lead, _, noun = label.partition(" ")
        return (
            f"{lead.capitalize()} which {noun}: {listed}?"
            if lead in ("from", "to")
            else f"Which {label}: {listed}?"
        )
    return phrases.missing.format(question=_QUESTIONS.get(kind, f"What should the {label} be?"))


def reply_without_tools(request: str, greeting: str, phrases: Phrases) -> str:
    """Answer a message that asks for nothing that a tool can do."""
    if GREETING.search(request) or ASKS_FOR_HELP.search(request):
        return greeting
    if THANKS.search(request):
        return phrases.thanks
    abilities = _ABILITIES.search(greeting)
    return f"{phrases.unclear} {abilities[0] if abilities else greeting}"


def _title(name: str | None) -> str:
    return (name or "the action").replace("_", " ").capitalize()
