"""How the demo model puts things: results of tools, refusals, questions back. No choice is made here."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.messages import ToolMessage

GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|afternoon|evening|day)|greetings|hola|hallo)\b", re.I)
ASKS_FOR_HELP = re.compile(r"\b(help|what can you|what do you|how does this)\b", re.I)
THANKS = re.compile(r"\b(thanks?|thank you|thx|cheers|bye|goodbye|great|perfect|awesome)\b", re.I)
AGAIN = "If you still want it, ask me again and I will make a new request."
MAX_LISTED = 8


def of_results(results: Sequence[ToolMessage]) -> str:
    """What came of an agent's calls, one sentence or more each."""
    return " ".join(dict.fromkeys(_of_result(result) for result in results))


def _of_result(result: ToolMessage) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    status = artifact.get("status") or ("error" if result.status == "error" else "ok")
    if status == "ok":
        return _of_success(str(result.text), result.name or "tool")
    if artifact.get("as_it_stands"):
        return str(result.text)
    if status in ("rejected", "expired"):
        return _of_refusal(result, artifact, status)
    if status == "skipped":
        return f"{_title(result.name)} was skipped and not carried out either."
    return str(result.text)


def _of_refusal(result: ToolMessage, artifact: Mapping[str, Any], status: str) -> str:
    what = _title(result.name)
    said = f"I'm sorry: a colleague has rejected this ({what.lower()}), so nothing was changed."
    if status == "expired":
        said = f"I'm sorry: nobody could decide on this in time ({what.lower()}), so the request has expired."
    if reason := artifact.get("reason"):
        said += f" The reason given: {reason}"
        said += "" if said.endswith((".", "!", "?")) else "."
    if skipped := artifact.get("skipped"):
        said += f" What was to follow was skipped: {'; '.join(str(item) for item in skipped)}."
    return f"{said} {AGAIN}"


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


def question(missing: str, tool_words: str, schema: Mapping[str, Any]) -> str:
    """One short question for what a tool needs and nobody has said."""
    label = re.sub(r"_(id|no|number|cents)$", "", missing).replace("_", " ")
    if missing.endswith(("_id", "_no", "_number")):
        return f"Which {label} do you mean? Please tell me its number."
    if options := schema.get("enum"):
        return f"Which {label} should it be: {', '.join(str(option) for option in options[:MAX_LISTED])}?"
    return f"{tool_words}: what should the {label} be?"


def small_talk(request: str, greeting: str) -> str:
    """What is said where there is nothing to do."""
    if GREETING.search(request) or ASKS_FOR_HELP.search(request):
        return greeting
    if THANKS.search(request):
        return "You're welcome. Is there anything else I can do for you?"
    return f"I found nothing in that which I can do; I go by simple rules and English words. {greeting}"


def _title(name: str | None) -> str:
    return (name or "the action").replace("_", " ").capitalize()
