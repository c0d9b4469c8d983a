"""The demo model's routing: which agent takes which part of a message, or a question where that is unclear.

It reads the agents and their tools from the description of the `route` tool, as any model has to.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from smart_support.demo.model import language, replies
from smart_support.demo.model.tone import Manner
from smart_support.demo.model.tool_choice import ENOUGH, Known, Vocabulary, wishes

OPTIONS = 4
_LINE = re.compile(r"^- (\w+): (.*?)(?: Tools: (.*))?$", re.M)
_TOOL = re.compile(r"([A-Za-z_][\w-]*) \(((?:[^()]|\([^()]*\))*)\)")
_YES = re.compile(r"^\W*(yes|yeah|yep|ok|okay|sure|do it|go ahead|please do|yes please)\b", re.I)
_OFFER = re.compile(
    r"(?:I can|You can|Shall I|Should I|Would you like(?: me)? to|Do you want(?: me)? to)\s+([^.?!;]+)", re.I
)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "1": 0, "2": 1, "3": 2, "4": 3}


@dataclass(frozen=True)
class _Agent:
    name: str
    description: str
    tools: tuple[Known, ...]


def route(messages: Sequence[BaseMessage], tool: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """The arguments of the `route` call for the last thing a customer said."""
    agents = _agents(tool)
    history = [message for message in messages if isinstance(message, (HumanMessage, AIMessage))]
    last = max((place for place, m in enumerate(history) if isinstance(m, HumanMessage)), default=-1)
    text = str(history[last].text) if last >= 0 else ""
    vocabulary = Vocabulary([known for agent in agents for known in agent.tools])
    request, asked_by = _in_context(text, history[: max(last, 0)], vocabulary)
    targets = _targets(request, agents, vocabulary)
    if targets:
        return {"targets": targets, "reason": "The words of the request fit these agents' tools."}
    if asked_by in {agent.name for agent in agents} and request != text:
        return {
            "targets": [{"agent": asked_by, "request": request}],
            "reason": "It answers that agent's question.",
        }
    if _unclear(text, vocabulary):
        return _question(text, vocabulary, manner)
    fallback = _fallback(agents)
    return {"targets": [{"agent": fallback, "request": text or "hello"}], "reason": "No other agent fits."}


def _agents(tool: Mapping[str, Any]) -> list[_Agent]:
    parameters = tool.get("function", tool).get("parameters", {})
    agent = parameters["properties"]["targets"]["items"]["properties"]["agent"]
    described = {
        name: (description, tuple(Known(*found) for found in _TOOL.findall(tools or "")))
        for name, description, tools in _LINE.findall(str(agent.get("description", "")))
    }
    return [_Agent(name, *described.get(name, ("", ()))) for name in agent.get("enum", [])]


def _in_context(text: str, before: Sequence[BaseMessage], vocabulary: Vocabulary) -> tuple[str, str | None]:
    """The request with what it answers, and the agent that asked."""
    spoken = next((m for m in reversed(before) if isinstance(m, AIMessage) and str(m.text).strip()), None)
    if spoken is None or vocabulary.fits(text):
        return text, None
    question = str(spoken.text)
    options = re.findall(r"^- (.+)$", question, re.M)
    if chosen := _chosen(text, options):
        return chosen, None
    asked = next((str(m.text) for m in reversed(before) if isinstance(m, HumanMessage)), "")
    if "?" in question and not replies.GREETING.search(text) and not replies.THANKS.search(text):
        return f"{asked.rstrip(' .!?')} {text}".strip(), spoken.name
    if _YES.search(text) and (offer := _OFFER.search(question)):
        ids = [mention.value for mention in language.identifiers(question)]
        return f"{offer.group(1)} {' '.join(ids[:1])}".strip(), spoken.name
    return text, None


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
    """One target for each wish, neighbours of one agent together."""
    targets: list[dict[str, str]] = []
    for wish in wishes(request, vocabulary):
        tool, score = vocabulary.best(wish)
        if tool is None or score < ENOUGH:
            continue
        agent = next(one.name for one in agents if tool in one.tools)
        if targets and targets[-1]["agent"] == agent:
            targets[-1]["request"] += f" and {wish}"
        else:
            targets.append({"agent": agent, "request": wish})
    return targets


def _unclear(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a message is about something the tools deal in, without saying what is wanted of it."""
    return bool(language.identifiers(text)) or vocabulary.best(text)[1] > 0


def _question(text: str, vocabulary: Vocabulary, manner: Manner) -> dict[str, Any]:
    mentioned = [mention.value for mention in language.identifiers(text)]
    scored = sorted(vocabulary.tools, key=lambda tool: -vocabulary.score(tool, text or "order"))
    about = f" {mentioned[0]}" if mentioned else ""
    if mentioned:
        scored = [tool for tool in scored if "find" not in language.terms(tool.name)]
    options = list(dict.fromkeys(f"{tool.words}{about}" for tool in scored))[:OPTIONS]
    what = f"about {mentioned[0]}" if mentioned else "for you"
    return {
        "targets": [],
        "question": manner.wish.format(about=what),
        "options": options,
        "reason": "The request does not say what is wanted.",
    }


def _fallback(agents: Sequence[_Agent]) -> str:
    for agent in reversed(agents):
        if re.search(r"anything else|everything else|unclear|general", agent.description, re.I):
            return agent.name
    return agents[-1].name if agents else "fallback"
