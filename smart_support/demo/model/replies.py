"""How the demo model puts things: results of tools, refusals, questions back. No choice is made here."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.messages import ToolMessage

from smart_support.demo.model.tone import Manner
from smart_support.tools.handoff import ESCALATE

GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|afternoon|evening|day)|greetings|hola|hallo)\b", re.I)
ASKS_FOR_HELP = re.compile(r"\b(help|what can you|what do you|how does this)\b", re.I)
THANKS = re.compile(r"\b(thanks?|thank you|thx|cheers|bye|goodbye|great|perfect|awesome)\b", re.I)
MAX_LISTED = 8


def of_results(results: Sequence[ToolMessage], manner: Manner) -> str:
    """What came of an agent's calls, one sentence or more each."""
    said = " ".join(dict.fromkeys(_of_result(result, manner) for result in results))
    # Good news is opened; a hand-over has the company's own words, and bad news needs no flourish.
    good = results and all(_status(result) == "ok" and result.name != ESCALATE for result in results)
    return f"{manner.opening}{said}" if good else said


def _status(result: ToolMessage) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    return artifact.get("status") or ("error" if result.status == "error" else "ok")


def _of_result(result: ToolMessage, manner: Manner) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    status = _status(result)
    if status == "ok":
        return _of_success(str(result.text), result.name or "tool")
    if artifact.get("as_it_stands"):
        return str(result.text)
    if status in ("rejected", "expired"):
        return _of_refusal(
            result, artifact, manner.expired if status == "expired" else manner.rejected, manner
        )
    if status == "skipped":
        return f"{_title(result.name)} was skipped and not carried out either."
    return str(result.text)


def _of_refusal(result: ToolMessage, artifact: Mapping[str, Any], phrase: str, manner: Manner) -> str:
    said = phrase.format(what=_title(result.name).lower())
    if reason := artifact.get("reason"):
        said += f" The reason given: {reason}"
        said += "" if said.endswith((".", "!", "?")) else "."
    if skipped := artifact.get("skipped"):
        said += f" What was to follow was skipped: {'; '.join(str(item) for item in skipped)}."
    return f"{said} {manner.again}"


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


def question(missing: str, tool_words: str, schema: Mapping[str, Any], manner: Manner) -> str:
    """One short question for what a tool needs and nobody has said."""
    label = re.sub(r"_(id|no|number|cents)$", "", missing).replace("_", " ")
    if missing.endswith(("_id", "_no", "_number")):
        return manner.which.format(label=label)
    if options := schema.get("enum"):
        return f"Which {label} should it be: {', '.join(str(option) for option in options[:MAX_LISTED])}?"
    return manner.missing.format(tool=tool_words, label=label)


def small_talk(request: str, greeting: str, manner: Manner) -> str:
    """What is said where there is nothing to do."""
    if GREETING.search(request) or ASKS_FOR_HELP.search(request):
        return greeting
    if THANKS.search(request):
        return manner.thanks
    return f"{manner.unclear} {greeting}"


def _title(name: str | None) -> str:
    return (name or "the action").replace("_", " ").capitalize()
