"""A conversation's events -> the messages that `gr.Chatbot` shows, and nothing else.

All that comes from outside goes through `sanitize.py`. What is drawn with HTML here carries ids in classes,
as the Chatbot's sanitizer strips every other place for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from pages import sanitize
from smart_support import clock
from smart_support.events import (
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
    Token,
    ToolCall,
    ToolResult,
)

Drawn = dict[str, Any]
MAX_SHOWN = 80
MAX_STEP_CHARS = 6000
# To lay out more than that would take too long for what is shown of it.
MAX_PRETTY_CHARS = 50_000
# It is drawn again with every few tokens.
MAX_SPEECH_CHARS = 20_000
MAX_SUMMARY_CHARS = 320
_CHIPS = {"ok": "green", "error": "red", "rejected": "red", "expired": "amber", "skipped": "amber"}
_CODES_OF_MODEL = {"model_error", "tool_error"}
EARLIER = '<div class="ss-line">Earlier messages are in the Replay tab.</div>'
TYPING = '<span class="ss-typing"><i></i><i></i><i></i></span>'


@dataclass(slots=True, eq=False)
class _Item:
    """One message of the Chatbot; `drawn` is kept until what it shows changes."""

    draw: Callable[[], Drawn]
    drawn: Drawn | None = None

    def shown(self) -> Drawn:
        if self.drawn is None:
            self.drawn = self.draw()
        return self.drawn


@dataclass(slots=True, eq=False)
class _Speech:
    agent: str
    text: str


@dataclass(slots=True, eq=False)
class _Step:
    tool: str
    args: dict[str, Any] | None
    result: ToolResult | None = None


@dataclass(slots=True, eq=False)
class _Wait:
    asked: Interrupt
    decision: Decision | None = None


@dataclass(slots=True, eq=False)
class Transcript:
    """What one thread looks like. Give it every event in order.

    Attributes:
        title: an agent's name -> what people read.
        seq: the last number taken in.
        running: a turn has begun and not ended.
    """

    title: Callable[[str], str]
    seq: int = 0
    running: bool = False
    _items: list[_Item] = field(default_factory=list)
    _speaker: str | None = None
    _speech: tuple[_Item, _Speech] | None = None
    _steps: dict[str, tuple[_Item, _Step]] = field(default_factory=dict)
    _waits: dict[str, tuple[_Item, _Wait]] = field(default_factory=dict)
    _choices: _Item | None = None

    def add(self, shown: Shown) -> None:
        """Take one event in; one that came before is left out."""
        if shown.seq <= self.seq:
            return
        self.seq = shown.seq
        event = shown.event
        self.running = not event.ends_turn
        if isinstance(event, Token):
            self._say(event.agent, event.content)
        elif isinstance(event, Message):
            self._message(event)
        else:
            self._speech = None
            self._fact(event)

    def messages(self) -> list[Drawn]:
        """For the Chatbot: the tail, as each update costs by its length."""
        tail = self._items[-MAX_SHOWN:]
        drawn = [item.shown() for item in tail]
        if len(tail) < len(self._items):
            drawn.insert(0, _assistant(EARLIER))
        if self.running and self._speech is None:
            drawn.append(_assistant(TYPING))
        return drawn

    def _put(self, draw: Callable[[], Drawn]) -> _Item:
        item = _Item(draw)
        self._items.append(item)
        return item

    def _message(self, event: Message) -> None:
        self._speech = None
        if event.role == "agent":
            self._say(event.agent or "", event.content)
            self._speech = None
            return
        self._drop_choices()
        self._speaker = None
        self._put(lambda: {"role": "user", "content": sanitize.words(event.content)})

    def _say(self, agent: str, text: str) -> None:
        if self._speech is None or self._speech[1].agent != agent:
            self._introduce(agent)
            speech = _Speech(agent, "")
            self._speech = (
                self._put(lambda: _assistant(_spoken(speech.text))),
                speech,
            )
        item, speech = self._speech
        speech.text += text
        item.drawn = None

    def _introduce(self, agent: str) -> None:
        if agent and agent != self._speaker:
            self._speaker = agent
            name = sanitize.html(self.title(agent))
            self._put(lambda: _assistant(f'<span class="ss-agent">{name}</span>'))

    def _fact(self, event: Event) -> None:
        if isinstance(event, Route):
            self._route(event)
        elif isinstance(event, ToolCall):
            self._introduce(event.agent)
            self._step(event.tool_call_id, _Step(event.tool, event.args))
        elif isinstance(event, ToolResult):
            self._result(event)
        elif isinstance(event, Interrupt):
            self._wait(event)
        elif isinstance(event, Decision):
            self._decided(event)
        elif isinstance(event, Clarification):
            self._ask(event)
        elif isinstance(event, Escalation):
            self._put(lambda: _assistant(_escalation(event)))
        elif isinstance(event, Failure):
            self._put(lambda: _assistant(_failure(event)))
        elif isinstance(event, MessageComplete):
            self._speaker = None

    def _route(self, event: Route) -> None:
        if len(event.targets) > 1:
            names = [sanitize.html(self.title(target.get("agent", ""))) for target in event.targets]
            text = f"{len(names)} requests, in order: " + ", then ".join(f"<b>{name}</b>" for name in names)
            # One child: Gradio sets the parts of a message apart.
            self._put(lambda: _assistant(f'<div class="ss-line"><span>{text}</span></div>'))

    def _step(self, call_id: str, step: _Step) -> None:
        self._steps[call_id] = (self._put(lambda: _draw_step(step)), step)

    def _result(self, event: ToolResult) -> None:
        if event.tool_call_id not in self._steps:
            self._step(event.tool_call_id, _Step(event.tool, None))
        item, step = self._steps[event.tool_call_id]
        step.result, item.drawn = event, None
        if item not in self._items:
            # Its card took its place while a colleague decided; now it has happened, it comes after.
            self._items.append(item)

    def _wait(self, event: Interrupt) -> None:
        for item, step in reversed(self._steps.values()):
            if step.tool == event.action and step.result is None:
                self._items = [other for other in self._items if other is not item]
                break
        self._introduce(event.agent)
        wait = _Wait(event)
        self._waits[event.approval_id] = (self._put(lambda: _assistant(_draw_wait(wait))), wait)

    def _decided(self, event: Decision) -> None:
        if found := self._waits.get(event.approval_id):
            item, wait = found
            wait.decision, item.drawn = event, None

    def _ask(self, event: Clarification) -> None:
        options = [{"value": option, "label": sanitize.visible(option)} for option in event.options]
        question = sanitize.markdown(event.question)
        self._choices = self._put(lambda: _assistant(question) | {"options": options})

    def _drop_choices(self) -> None:
        """A question that was answered offers nothing any more."""
        if self._choices:
            self._choices.drawn = {**self._choices.shown(), "options": []}
            self._choices = None


def _assistant(content: str) -> Drawn:
    return {"role": "assistant", "content": content}


def _spoken(text: str) -> str:
    return sanitize.markdown(_shortened(text, MAX_SPEECH_CHARS))


def _draw_step(step: _Step) -> Drawn:
    result = step.result
    name = f'<span class="ss-tool">{sanitize.html(step.tool)}</span>'
    if result is None:
        title = f"Calling {name}"
        return _assistant(_details(step)) | {"metadata": {"title": title, "status": "pending"}}
    verb = "Called" if result.status in ("ok", "error") else "Did not call"
    chip = f'<span class="ss-chip ss-chip--{_CHIPS[result.status]}">{result.status}</span>'
    time = f'<span class="ss-time">{_duration(result.duration_ms)}</span>' if result.duration_ms else ""
    title = f"{verb} {name} {time} {chip}"
    return _assistant(_details(step)) | {"metadata": {"title": title, "status": "done"}}


def _details(step: _Step) -> str:
    parts = []
    if step.args is not None:
        parts.append(f'<div class="ss-label">Arguments</div>{sanitize.block(_pretty(step.args))}')
    if step.result is not None:
        parts.append(f'<div class="ss-label">Result</div>{sanitize.block(_pretty(step.result.content))}')
    return "".join(parts)


def _pretty(value: Any) -> str:
    """JSON over lines; long ones end in saying so, as the whole is in the replay."""
    if isinstance(value, str):
        if len(value) > MAX_PRETTY_CHARS:
            return _shortened(value)
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return _shortened(str(value))
    return _shortened(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _shortened(text: str, most: int = MAX_STEP_CHARS) -> str:
    if len(text) <= most:
        return text
    left = len(text) - most
    return f"{text[:most]}\n… {left} more characters; all of it is in the Replay tab"


def _duration(milliseconds: float) -> str:
    if milliseconds < 1:
        return "under 1 ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _draw_wait(wait: _Wait) -> str:
    asked, decision = wait.asked, wait.decision
    outcome = decision.outcome if decision else "pending"
    title = sanitize.html(asked.action.replace("_", " ").capitalize())
    head = f'<div class="ss-wait-head"><strong>{title}</strong>{_wait_chip(asked, outcome)}</div>'
    summary = f'<div class="ss-wait-summary">{sanitize.html(_cut(asked.summary))}</div>'
    foot = _decided_by(decision) if decision else _review(asked)
    return (
        f'<div class="ss-wait ss-wait--{outcome} ss-wait-of-{asked.approval_id}">{head}{summary}{foot}</div>'
    )


def _cut(summary: str) -> str:
    """A long one whole is for who decides, on the card."""
    return summary if len(summary) <= MAX_SUMMARY_CHARS else f"{summary[:MAX_SUMMARY_CHARS]}…"


def _wait_chip(asked: Interrupt, outcome: str) -> str:
    if outcome == "pending":
        until = clock.parse(asked.expires_at)
        return f'<span class="ss-chip ss-chip--amber ss-until">until {until:%H:%M} UTC</span>'
    color = {"approved": "green", "edited": "green", "responded": "green", "rejected": "red"}.get(
        outcome, "amber"
    )
    words = {"edited": "Approved with changes", "responded": "Answered"}.get(outcome, outcome.capitalize())
    return f'<span class="ss-chip ss-chip--{color}">{words}</span>'


def _review(asked: Interrupt) -> str:
    button = f"ss-button ss-review ss-review-{asked.approval_id}"
    return (
        '<div class="ss-wait-foot"><span class="ss-muted">Waiting for a colleague to decide</span>'
        f'<button type="button" class="{button}">Review</button></div>'
    )


def _decided_by(decision: Decision) -> str:
    if decision.outcome == "expired":
        said = "Nobody decided in time, so nothing was done."
    else:
        verbs = {"rejected": "Rejected", "responded": "Answered", "withdrawn": "Withdrawn"}
        verb = verbs.get(decision.outcome, "Approved")
        said = f"{verb} by {sanitize.html(decision.decided_by)}"
    reason = f'<div class="ss-reason">{sanitize.html(decision.reason)}</div>' if decision.reason else ""
    return f'<div class="ss-wait-foot ss-muted">{said}</div>{reason}'


def _escalation(event: Escalation) -> str:
    told = "A colleague has been told." if event.delivered else "Noted for the team; nobody was notified yet."
    return (
        '<div class="ss-note ss-note--accent"><strong>Handed over to a human</strong>'
        f'<div>{sanitize.html(event.reason)}</div><div class="ss-muted">{told}</div></div>'
    )


def _failure(event: Failure) -> str:
    title = "That did not work" if event.code in _CODES_OF_MODEL else "Something went wrong"
    said = sanitize.html(event.message)
    return f'<div class="ss-note ss-note--red"><strong>{title}</strong><div>{said}</div></div>'
