"""What the tests of foreign graphs share: an app around one, the interfaces to it, and what was shown."""

import asyncio
import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio_client
import httpx

from smart_support import Settings, create_app
from tests.support.harness import Client, LocalApp

ENDS = ("message_complete", "interrupt", "error")
CHANNELS = ("socket", "rest", "gradio")
Event = dict[str, Any]


@contextmanager
def serving(graph: Any, data_dir: Path, **settings: Any) -> Iterator[LocalApp]:
    """An app around a graph."""
    given = {"data_dir": data_dir, "rate_limit": "1000/1s"} | settings
    with LocalApp(create_app(Settings(**given), graph=graph)) as app:
        yield app


class Conversation:
    """One conversation through one interface, watched by a socket that sees every event.

    Attributes:
        events: all that was shown.
        replies: what the interface itself gave as the answer of each turn; a socket gives none.
    """

    def __init__(self, app: LocalApp, channel: str, thread_id: str, observer: Client) -> None:
        self.app, self.channel, self.thread_id = app, channel, thread_id
        self.events: list[Event] = []
        self.replies: list[str] = []
        self.observer = observer

    async def say(self, text: str) -> list[Event]:
        """Say something; the events of the turn."""
        if self.channel == "socket":
            await self.observer.send(type="message", thread_id=self.thread_id, content=text)
        elif self.channel == "rest":
            body = {"thread_id": self.thread_id, "message": text}
            answer = await asyncio.to_thread(self.app.request, "POST", "/chat", json=body)
            self.replies.append(answer.json()["data"]["reply"])
        else:
            answer = await self._call_gradio(text, self.thread_id, api_name="/chat")
            self.replies.append(answer["reply"])
        return await self.rest_of_turn()

    async def decide(self, approval_id: str, decision: str, text: str = "", args: Any = None) -> list[Event]:
        """Decide as the interface has it; the events of the turn that follows.

        Args:
            text: the reason, or the answer where the decision is `respond`.
        """
        if self.channel == "socket":
            frame = {"decision": decision, "approved": decision in ("approve", "edit")}
            frame |= {"message": text} if decision == "respond" else {"reason": text or None}
            frame |= {"args": args} if args is not None else {}
            await self.observer.send(type="interrupt_response", thread_id=self.thread_id, **frame)
        elif self.channel == "rest":
            answer = await asyncio.to_thread(self.decide_by_rest, approval_id, decision, text, args)
            assert answer.status_code == 200, answer.text
        else:
            done = await self._call_gradio(approval_id, decision, text, args, api_name="/decide")
            self.replies.append(done["reply"])
        return await self.rest_of_turn()

    def decide_by_rest(
        self, approval_id: str, decision: str, text: str = "", args: Any = None
    ) -> httpx.Response:
        """The answer to a decision over REST."""
        body = {"decision": decision, "message" if decision == "respond" else "reason": text or None}
        body |= {"args": args} if args is not None else {}
        return self.app.request("POST", f"/approvals/{approval_id}/decision", json=body)

    def approvals(self) -> list[dict[str, Any]]:
        """The thread's approvals, the oldest first."""
        found = self.app.request("GET", "/approvals", params={"limit": 100, "sort": "oldest"}).json()["data"]
        return [one for one in found if one["thread_id"] == self.thread_id]

    def steps(self) -> list[dict[str, Any]]:
        """The replay."""
        steps: list[dict[str, Any]] = self.app.request("GET", f"/replay/{self.thread_id}").json()["data"]
        return steps

    async def rest_of_turn(self) -> list[Event]:
        """The events up to the end of the turn that runs, or of the next one."""
        events = await self.observer.until(*ENDS, thread_id=self.thread_id)
        self.events += events
        return events

    async def _call_gradio(self, *given: Any, api_name: str) -> Any:
        def call() -> Any:
            return gradio_of(self.app.url).predict(*given, api_name=api_name)

        return await asyncio.to_thread(call)


@functools.lru_cache(maxsize=1)
def gradio_of(url: str) -> gradio_client.Client:
    """The client of an app; making one costs more than a turn."""
    return gradio_client.Client(url, verbose=False)


def shown(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """What a client saw of the agents, in order; texts joined as far as nothing else came between."""
    return _joined(events)


def recorded(steps: Sequence[Event]) -> list[tuple[Any, ...]]:
    """What the record holds of it, in the same form."""
    return _joined(step | {"type": "token"} if step.get("role") == "agent" else step for step in steps)


def _joined(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    facts: list[tuple[Any, ...]] = []
    for event in events:
        kind = event["type"]
        if event.get("role") == "customer":
            continue
        if kind == "token" and facts and facts[-1][:2] == ("token", event["agent"]):
            facts[-1] = (*facts[-1][:2], facts[-1][2] + event["content"])
        elif kind == "token":
            facts.append(("token", event["agent"], event["content"]))
        else:
            facts.append((kind, *(str(event.get(name)) for name in _COMPARED)))
    return facts


_COMPARED = ("agent", "tool", "tool_call_id", "status", "args", "action", "outcome", "reason", "code")


def messages_of(steps: Sequence[Event]) -> list[str]:
    """What the agents said, message by message."""
    return [step["content"] for step in steps if step["type"] == "message" and step["role"] == "agent"]
