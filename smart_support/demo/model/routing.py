"""The demo model's routing: assigns the parts of a message to agents, or asks back if it is unclear.

It reads the agents and their tools from the description of the `route` tool, as any model does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from smart_support.demo.model import intent, language, replies
from smart_support.demo.model.tone import Phrases
from smart_support.demo.model.tool_choice import ToolDescription, Vocabulary, split_requests

OPTIONS = 4
_LINE = re.compile(r"^- (\w+): (.*?)(?: Tools: (.*))?$", re.M)
_TOOL = re.compile(r"([A-Za-z_][\w-]*) \(((?:[^()]|\([^()]*\))*)\)")
_YES = re.compile(r"^\W*(yes|yeah|yep|ok|okay|sure|do it|go ahead|please do|yes please)\b", re.I)
_OFFER = re.compile(
    r"(?:I can|You can|Shall I|Should I|Would you like(?: me)? to|Do you want(?: me)? to)\s+([^.?!;]+)", re.I
)
# After these verbs the noun is not the thing that an id names: "Apply discount for 1042".
_GIVES = re.compile(r"(apply|give|generate|create|make|add|send|offer)\b", re.I)
_AND_ANOTHER = re.compile(
    r"\W*(?:and|also|(?:the )?same|ditto|what about|how about)\b[\w\s#-]{0,30}\d\W*$", re.I
)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "1": 0, "2": 1, "3": 2, "4": 3}


@dataclass(frozen=True)
class _Agent:
    name: str
    description: str
    tools: tuple[ToolDescription, ...]


def route(messages: Sequence[BaseMessage], tool: Mapping[str, Any], phrases: Phrases) -> dict[str, Any]:
    """Return the arguments of the `route` call for the customer's last message."""
    agents = _agents(tool)
    history = [message for message in messages if isinstance(message, (HumanMessage, AIMessage))]
    last = max((place for place, m in enumerate(history) if isinstance(m, HumanMessage)), default=-1)
    text = str(history[last].text) if last >= 0 else ""
    vocabulary = Vocabulary([known for agent in agents for known in agent.tools])
    request, asked_by = _in_context(text, history[: max(last, 0)], vocabulary)
    to_fallback = [{"agent": _fallback(agents), "request": text or "hello"}]
    if replies.needs_no_tool(text) or (replies.is_general(text) and not vocabulary.knows(text)):
        return {"targets": to_fallback, "reason": "It needs an answer, not a tool."}
    if replies.is_without_number(text) and vocabulary.finds_by_email():
        return {
            "targets": [],
            "question": phrases.by_email,
            "options": [],
            "reason": "The number is not known.",
        }
    targets = _targets(request, agents, vocabulary)
    if targets:
        return {"targets": targets, "reason": "The words of the request fit these agents' tools."}
    if asked_by in {agent.name for agent in agents} and request != text:
        return {
            "targets": [{"agent": asked_by, "request": request}],
            "reason": "It answers that agent's question.",
        }
    reading = intent.read(text, vocabulary.actions)
    if any(map(vocabulary.is_beyond, reading.parts)):
        return {"targets": to_fallback, "reason": "No tool does that."}
    asks = any(part.mood == "idea" for part in reading.parts)
    if not (asks or reading.refused or reading.takes_back) and _unclear(text, vocabulary):
        return _question(text, vocabulary, phrases)
    return {"targets": to_fallback, "reason": "No other agent fits."}


def _agents(tool: Mapping[str, Any]) -> list[_Agent]:
    parameters = tool.get("function", tool).get("parameters", {})
    agent = parameters["properties"]["targets"]["items"]["properties"]["agent"]
    described = {
        name: (description, tuple(ToolDescription(*match) for match in _TOOL.findall(tools or "")))
        for name, description, tools in _LINE.findall(str(agent.get("description", "")))
    }
    return [_Agent(name, *described.get(name, ("", ()))) for name in agent.get("enum", [])]


def _in_context(text: str, before: Sequence[BaseMessage], vocabulary: Vocabulary) -> tuple[str, str | None]:
    """The request together with the one it continues, and the agent whose question it answers."""
    reply = next((m for m in reversed(before) if isinstance(m, AIMessage) and str(m.text).strip()), None)
    said = [str(m.text) for m in reversed(before) if isinstance(m, HumanMessage)]
    request = said[0] if said else ""
    if said and intent.read(text, vocabulary.actions).corrects:
        corrected = next((one for one in said if intent.has_value(one)), request)
        return intent.replaced(corrected, text), None
    if _is_same_about_another(text, request, vocabulary):
        return intent.replaced(request, text), None
    if reply is None or (vocabulary.fits(text) and not _is_value(text)):
        return text, None
    question = str(reply.text)
    offers = _OFFER.findall(question)
    if _YES.search(text) and offers:
        ids = [mention.value for mention in language.identifiers(question)]
        return f"{offers[-1]} {' '.join(ids[:1])}".strip(), reply.name
    options = re.findall(r"^- (.+)$", question, re.M)
    if chosen := _chosen(text, options):
        return chosen, None
    if "?" in question and not replies.GREETING.search(text) and not replies.THANKS.search(text):
        to = " to " if language.address(text) else " "
        return f"{request.rstrip(' .!?')}{to}{text}".strip(), reply.name
    return text, None


def _is_same_about_another(text: str, request: str, vocabulary: Vocabulary) -> bool:
    """Whether a message is a lookup before it once more: "where is 1043?", "and 1044?"."""
    asks = bool(_AND_ANOTHER.match(text)) and bool(language.identifiers(request))
    tools = [vocabulary.choose(part) for part in split_requests(request, vocabulary)] if asks else []
    return any(tool is not None and tool.is_read for tool in tools)


def _is_value(text: str) -> bool:
    """Whether a message is only a value, such as `5%`, an e-mail address or a postal address."""
    rest = re.sub(r"\W", "", language.EMAIL.sub("", language.PERCENT.sub("", language.AMOUNT.sub("", text))))
    return not rest or bool(re.match(r"\s*\d", text) and language.address(text))


def _chosen(text: str, options: Sequence[str]) -> str | None:
    words = re.findall(r"[a-z0-9]+", text.lower())
    for option in options:
        if option.lower() in text.lower():
            return text
    if options and len(words) <= 4:
        for word in words:
            if (place := _ORDINALS.get(word)) is not None and place < len(options):
                return options[place]
    return None


def _targets(request: str, agents: Sequence[_Agent], vocabulary: Vocabulary) -> list[dict[str, str]]:
    """One target for each part of the request; consecutive parts of one agent are joined."""
    targets: list[dict[str, str]] = []
    mood: intent.Mood = "request"
    for part in split_requests(request, vocabulary):
        tool = vocabulary.choose(part) or vocabulary.questioned_tool(part)
        if tool is None:
            continue
        agent = next(one.name for one in agents if tool in one.tools)
        gap = " and " if mood == part.mood == "request" else ". "
        mood = part.mood
        if targets and targets[-1]["agent"] == agent:
            before = targets[-1]["request"].rstrip(" .")
            # A question keeps its own sentence, because it must not become part of a request.
            targets[-1]["request"] = before + (" " if before.endswith(("?", "!")) else gap) + part.text
        else:
            targets.append({"agent": agent, "request": part.text})
    return targets


def _unclear(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a message names something the tools know, but not what to do with it."""
    return bool(language.identifiers(text)) or vocabulary.best(text)[1] > 0


def _question(text: str, vocabulary: Vocabulary, phrases: Phrases) -> dict[str, Any]:
    mentioned = [mention.value for mention in language.identifiers(text)]
    scored = sorted(vocabulary.tools, key=lambda tool: -vocabulary.score(tool, text or "order"))
    if mentioned:
        scored = [tool for tool in scored if "find" not in language.terms(tool.name)]
    options = list(dict.fromkeys(_option(tool, mentioned[:1]) for tool in scored))[:OPTIONS]
    what = f"about {mentioned[0]}" if mentioned else "for you"
    return {
        "targets": [],
        "question": phrases.wish.format(about=what),
        "options": options,
        "reason": "The request does not say what to do.",
    }


def _option(tool: ToolDescription, ids: Sequence[str]) -> str:
    """`Cancel order 1042`, `Check order status for 1042`; without the id if there is none."""
    words = re.sub(r"^Get\b", "Check", tool.words)
    is_object_last = len(words.split()) == 2 and not _GIVES.match(words)
    return f"{words}{' ' if is_object_last else ' for '}{ids[0]}" if ids else words


def _fallback(agents: Sequence[_Agent]) -> str:
    for agent in reversed(agents):
        if re.search(r"anything else|everything else|unclear|general", agent.description, re.I):
            return agent.name
    return agents[-1].name if agents else "fallback"
