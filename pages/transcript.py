"""Converts a conversation's events to messages of `gr.Chatbot`.

Text from outside goes through `sanitize.py`. Ids are in classes, as the Chatbot strips every other attribute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import orjson

from pages import sanitize
from pages.sanitize import Html, element
from smart_support import clock
from smart_support.events import (
    UNRECORDED,
    Clarification,
    Decision,
    Escalation,
    Event,
    Failure,
    Interrupt,
    Message,
    MessageComplete,
    Route,
    Shown,
    Takeover,
    Token,
    ToolCall,
    ToolResult,
)
from smart_support.invisible import visible

ChatMessage = dict[str, Any]
MAX_SHOWN = 80
MAX_STEP_CHARS = 6000
# Longer results are not formatted, as most of them is not shown.
MAX_PRETTY_CHARS = 50_000
# Rendered again with every few tokens.
MAX_REPLY_CHARS = 20_000
MAX_SUMMARY_CHARS = 320
_STATUS = {
    "ok": ("OK", "green"),
    "error": ("Error", "red"),
    "rejected": ("Rejected", "red"),
    "expired": ("Expired", "amber"),
    "skipped": ("Skipped", "amber"),
}
_OUTCOMES = {
    "approved": ("Approved", "green"),
    "edited": ("Approved with changes", "green"),
    "responded": ("Answered", "green"),
    "rejected": ("Rejected", "red"),
}
_FAILED_WORK = {"model_error", "tool_error"}
EARLIER = element("div", "Earlier messages are in the Replay tab.", classes="ss-line")
TYPING = element("span", Html("<i></i><i></i><i></i>"), classes="ss-typing")


@dataclass(slots=True, eq=False)
class _Item:
    """One message of the Chatbot, cached until its content changes."""

    render: Callable[[], ChatMessage]
    cached: ChatMessage | None = None

    def message(self) -> ChatMessage:
        if self.cached is None:
            self.cached = self.render()
        return self.cached


@dataclass(slots=True, eq=False)
class _AgentReply:
    agent: str
    text: str


@dataclass(slots=True, eq=False)
class _Step:
    tool: str
    args: dict[str, Any] | None
    result: ToolResult | None = None


@dataclass(slots=True, eq=False)
class _ApprovalCard:
    request: Interrupt
    decision: Decision | None = None
    result: ToolResult | None = None

    @property
    def summary(self) -> str:
        """What was approved: after an edit, the edited call."""
        edited = self.decision.summary if self.decision else None
        return edited or self.request.summary


@dataclass(slots=True, eq=False)
class Transcript:
    """The messages of one thread. Add every event in order.

    Attributes:
        title: returns the title of an agent by its name.
        seq: the number of the last event added.
        running: whether a turn is running.
    """

    title: Callable[[str], str]
    seq: int = 0
    running: bool = False
    _items: list[_Item] = field(default_factory=list)
    _speaker: str | None = None
    _reply: tuple[_Item, _AgentReply] | None = None
    _steps: dict[str, tuple[_Item, _Step]] = field(default_factory=dict)
    _approvals: dict[str, tuple[_Item, _ApprovalCard]] = field(default_factory=dict)
    # By the tool, until the result of its call.
    _decided: dict[str, tuple[_Item, _ApprovalCard]] = field(default_factory=dict)
    _choices: _Item | None = None

    def add(self, shown: Shown) -> None:
        """Add an event; one that was added before is ignored."""
        if shown.seq <= self.seq:
            return
        if shown.seq != UNRECORDED:
            self.seq = shown.seq
        event = shown.event
        self.running = not event.ends_turn
        if isinstance(event, Token):
            self._add_text(event.agent, event.content)
        elif isinstance(event, Message):
            self._add_message(event)
        else:
            self._reply = None
            self._add_event(event)

    def messages(self) -> list[ChatMessage]:
        """The latest messages, as an update costs by their number."""
        tail = self._items[-MAX_SHOWN:]
        messages = [item.message() for item in tail]
        if len(tail) < len(self._items):
            messages.insert(0, _assistant(EARLIER))
        if self.running and self._reply is None:
            messages.append(_assistant(TYPING))
        return messages

    def _put(self, render: Callable[[], ChatMessage]) -> _Item:
        item = _Item(render)
        self._items.append(item)
        return item

    def _add_message(self, event: Message) -> None:
        self._reply = None
        if event.role == "agent":
            self._add_text(event.agent or "", event.content)
            self._reply = None
            return
        if event.role == "colleague":
            self._speaker = None
            self._introduce_colleague(event.by or "")
            self._put(lambda: _assistant(_reply_text(event.content)))
            return
        self._drop_choices()
        self._speaker = None
        self._put(lambda: {"role": "user", "content": sanitize.words(event.content)})

    def _add_text(self, agent: str, text: str) -> None:
        if self._reply is None or self._reply[1].agent != agent:
            self._introduce(agent)
            reply = _AgentReply(agent, "")
            self._reply = (self._put(lambda: _assistant(_reply_text(reply.text))), reply)
        item, reply = self._reply
        reply.text += text
        item.cached = None

    def _introduce(self, agent: str) -> None:
        if agent and agent != self._speaker:
            self._speaker = agent
            self._put(lambda: _assistant(element("span", self.title(agent), classes="ss-agent")))

    def _introduce_colleague(self, name: str) -> None:
        line = element("span", f"{name}, colleague", classes="ss-agent")
        self._put(lambda: _assistant(line))

    def _add_event(self, event: Event) -> None:
        if isinstance(event, Route):
            self._add_route(event)
        elif isinstance(event, ToolCall):
            self._introduce(event.agent)
            self._add_step(event.tool_call_id, _Step(event.tool, event.args))
        elif isinstance(event, ToolResult):
            self._add_result(event)
        elif isinstance(event, Interrupt):
            self._add_approval(event)
        elif isinstance(event, Decision):
            self._add_decision(event)
        elif isinstance(event, Clarification):
            self._add_question(event)
        elif isinstance(event, Takeover):
            self._put(lambda: _assistant(_takeover(event)))
        elif isinstance(event, Escalation):
            self._put(lambda: _assistant(_escalation(event)))
        elif isinstance(event, Failure):
            self._put(lambda: _assistant(_failure(event)))
        elif isinstance(event, MessageComplete):
            if event.incomplete in _INCOMPLETE:
                words = _INCOMPLETE[event.incomplete]
                self._put(lambda: _assistant(_note("Not a whole answer", words, "amber")))
            self._speaker = None

    def _add_route(self, event: Route) -> None:
        if len(event.targets) > 1:
            names = [element("b", self.title(target.get("agent", ""))) for target in event.targets]
            text = Html(f"{len(names)} requests, in order: " + ", then ".join(names))
            # In one child, as Gradio puts space between the parts of a message.
            self._put(lambda: _assistant(element("div", element("span", text), classes="ss-line")))

    def _add_step(self, call_id: str, step: _Step) -> None:
        self._steps[call_id] = (self._put(lambda: _step_message(step)), step)

    def _add_result(self, event: ToolResult) -> None:
        if event.tool_call_id not in self._steps:
            self._add_step(event.tool_call_id, _Step(event.tool, None))
        if card := self._decided.pop(event.tool, None):
            card[1].result, card[0].cached = event, None
        item, step = self._steps[event.tool_call_id]
        step.result, item.cached = event, None
        if item not in self._items:
            # The approval card replaced it until the decision; now it comes after the card.
            self._items.append(item)

    def _add_approval(self, event: Interrupt) -> None:
        for item, step in reversed(self._steps.values()):
            if step.tool == event.action and step.result is None:
                self._items = [other for other in self._items if other is not item]
                break
        self._introduce(event.agent)
        card = _ApprovalCard(event)
        self._approvals[event.approval_id] = (self._put(lambda: _assistant(_card_html(card))), card)

    def _add_decision(self, event: Decision) -> None:
        if known := self._approvals.get(event.approval_id):
            item, card = known
            card.decision, item.cached = event, None
            self._decided[card.request.action] = known

    def _add_question(self, event: Clarification) -> None:
        options = [{"value": option, "label": visible(option)} for option in event.options]
        question = sanitize.markdown(event.question)
        self._choices = self._put(lambda: _assistant(question) | {"options": options})

    def _drop_choices(self) -> None:
        """Remove the options of a question that was answered."""
        if self._choices:
            self._choices.cached = {**self._choices.message(), "options": []}
            self._choices = None


def _assistant(content: str) -> ChatMessage:
    return {"role": "assistant", "content": content}


def _chip(text: str, color: str, classes: str = "") -> Html:
    return element("span", text, classes=f"ss-chip ss-chip--{color} {classes}".strip())


def _reply_text(text: str) -> str:
    return sanitize.markdown(_shortened(text, MAX_REPLY_CHARS))


def _step_message(step: _Step) -> ChatMessage:
    result = step.result
    name = element("span", step.tool, classes="ss-tool")
    if result is None:
        return _assistant(_details(step)) | {"metadata": {"title": f"Calling {name}", "status": "pending"}}
    verb = "Called" if result.status in ("ok", "error") else "Did not call"
    chip = _chip(*_STATUS[result.status])
    time = element("span", _duration(result.duration_ms), classes="ss-time") if result.duration_ms else ""
    return _assistant(_details(step)) | {
        "metadata": {"title": f"{verb} {name} {time} {chip}", "status": "done"}
    }


def _details(step: _Step) -> str:
    parts = {"Arguments": step.args, "Result": step.result.content if step.result else None}
    return "".join(
        element("div", label, classes="ss-label") + sanitize.block(_pretty(value))
        for label, value in parts.items()
        if value is not None
    )


def _pretty(value: Any) -> str:
    """Format JSON on several lines; a long value is cut, as the Replay tab shows all of it."""
    if isinstance(value, str):
        if len(value) > MAX_PRETTY_CHARS:
            return _shortened(value)
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return _shortened(str(value))
    return _shortened(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _shortened(text: str, limit: int = MAX_STEP_CHARS) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n… {len(text) - limit} more characters. See the Replay tab for all of it."


def _duration(milliseconds: float) -> str:
    if milliseconds < 1:
        return "under 1 ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _card_html(card: _ApprovalCard) -> Html:
    request, decision = card.request, card.decision
    outcome = decision.outcome if decision else "pending"
    is_not_run = outcome in ("approved", "edited") and card.result is not None and card.result.status != "ok"
    title = element("strong", request.action.replace("_", " ").capitalize())
    return element(
        "div",
        element("div", title, _outcome_chip(request, outcome, is_not_run), classes="ss-wait-head"),
        element("div", _cut(card.summary), classes="ss-wait-summary"),
        *(_decision_html(decision) if decision else [_review_html(request)]),
        classes=f"ss-wait ss-wait--{'not-run' if is_not_run else outcome} ss-wait-of-{request.approval_id}",
    )


def _cut(summary: str) -> str:
    """Cut a long summary; the approval card shows all of it."""
    return summary if len(summary) <= MAX_SUMMARY_CHARS else f"{summary[:MAX_SUMMARY_CHARS]}…"


def _outcome_chip(request: Interrupt, outcome: str, is_not_run: bool) -> Html:
    if is_not_run:
        return _chip("Approved, not carried out", "red")
    if outcome == "pending":
        return _chip(Html(f"until {clock.parse(request.expires_at):%H:%M} UTC"), "amber", "ss-until")
    return _chip(*_OUTCOMES.get(outcome, (outcome.capitalize(), "amber")))


def _review_html(request: Interrupt) -> Html:
    classes = escape(f"ss-button ss-review ss-review-{request.approval_id}")
    button = Html(f'<button type="button" class="{classes}">Review</button>')
    note = element("span", "Waiting for approval", classes="ss-muted")
    return element("div", note, button, classes="ss-wait-foot")


def _decision_html(decision: Decision) -> list[Html]:
    if decision.outcome == "expired":
        text = "Expired without a decision, so nothing was done."
    else:
        verbs = {"rejected": "Rejected", "responded": "Answered", "withdrawn": "Withdrawn"}
        name = element("span", decision.decided_by or "", classes="ss-value")
        text = Html(f"{verbs.get(decision.outcome, 'Approved')} by {name}")
    parts = [element("div", text, classes="ss-wait-foot ss-muted")]
    if decision.reason:
        parts.append(element("div", decision.reason, classes="ss-reason"))
    return parts


def _note(title: str, text: str, color: str, *more: Html) -> Html:
    parts = (element("strong", title), element("div", text), *more)
    return element("div", *parts, classes=f"ss-note ss-note--{color}")


def _escalation(event: Escalation) -> Html:
    delivery = (
        "Your team was notified."
        if event.delivered
        else "Added to the team's list. No notification is configured."
    )
    return _note(
        "Handed over to a human", event.reason, "accent", element("div", delivery, classes="ss-muted")
    )


def _takeover(event: Takeover) -> Html:
    if event.state == "taken":
        return _note(
            f"{event.by} has taken over", "The agents wait until the conversation is handed back.", "accent"
        )
    return _note("Handed back to the agents", f"By {event.by}.", "accent")


# A refusal is an answer: it says so itself.
_INCOMPLETE = {
    "length": "The answer reached its maximum length. Ask for the rest, or for less at once.",
    "content_filter": "The provider of the language model has filtered the rest of the answer.",
}


def _failure(event: Failure) -> Html:
    title = "Couldn't complete the request" if event.code in _FAILED_WORK else "Something went wrong"
    return _note(title, event.message, "red")
