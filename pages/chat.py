"""The chat: a `gr.Chatbot` that follows one thread's events.

The page runs one follower at a time: a generator that ends when no turn is running. When the page's socket
sees a later event (a decision, a message from another channel), it starts the next follower.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import orjson

from pages.current_user import current_user
from pages.function_errors import with_clear_errors
from pages.sanitize import element
from pages.transcript import Transcript
from smart_support.conversation.batching import batches
from smart_support.errors import Forbidden, SmartSupportError
from smart_support.services import Services

SECONDS_BETWEEN_STEPS = 0.1
# How many event numbers of a long conversation are loaded; the Replay tab has the older ones.
MAX_EVENTS = 4000
MAX_EXAMPLES = 6
_ON_LOAD = "(window.ssMounts ??= []).push(['chat', element, {trigger, props, watch}]);"
_THREAD = "async () => [(await window.ssChat).thread()]"
_OUTBOX = '<ol class="ss-outbox" aria-label="Messages not shown above yet" aria-live="polite"></ol>'
_ON_LOAD_OUTBOX = "(window.ssMounts ??= []).push(['outbox', element]);"
# For every listener of the console: hidden from API clients, and without a concurrency limit.
_PRIVATE: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}


def build(services: Services, console: gr.Blocks) -> None:
    """Place the chat and its composer in `console`. Loading the page starts the first follower."""
    chatbot = gr.Chatbot(
        elem_id="ss-chat",
        show_label=False,
        height="auto",
        container=False,
        buttons=[],
        latex_delimiters=[],
        allow_tags=False,
        placeholder=_greeting(services),
        examples=[{"text": example} for example in _examples(services)],
        feedback_options=None,
    )
    gr.HTML(
        _OUTBOX,
        js_on_load=_ON_LOAD_OUTBOX,
        elem_id="ss-outbox",
        elem_classes="ss-raw",
        apply_default_css=False,
    )
    with gr.Row(elem_id="ss-composer"):
        text = gr.Textbox(
            placeholder="Write a message… (Shift+Enter for a new line)",
            label="Message",
            show_label=False,
            container=False,
            lines=1,
            max_lines=6,
            scale=5,
            elem_id="ss-message",
            interactive=True,
        )
        gr.Button("Send", variant="primary", scale=0, min_width=92, elem_id="ss-send")
        new_chat = gr.Button("New chat", scale=0, min_width=112, elem_id="ss-new-chat")
    thread = gr.Textbox(visible=False)
    link = gr.HTML("", html_template="", js_on_load=_ON_LOAD, elem_id="ss-chat-link", apply_default_css=False)
    _connect(services, console, chatbot, text, new_chat, thread, link)


def _connect(
    services: Services,
    console: gr.Blocks,
    chatbot: gr.Chatbot,
    text: gr.Textbox,
    new_chat: gr.Button,
    thread: gr.Textbox,
    link: gr.HTML,
) -> None:
    async def follow(thread_id: str, request: gr.Request) -> AsyncIterator[Any]:
        with contextlib.suppress(Forbidden):
            user = current_user(services, request)
            async for messages, state in follow_thread(services, thread_id):
                # Checked each time, as another user may have started the thread in the meantime.
                await services.session_manager.check_owner(thread_id, user)
                await services.session_manager.check_customer(thread_id, user, None)
                yield messages, state

    following = gr.on(
        [console.load, link.submit],
        with_clear_errors(follow),
        thread,
        [chatbot, link],
        js=_THREAD,
        trigger_mode="always_last",
        **_PRIVATE,
    )
    new_chat.click(
        None,
        None,
        [chatbot, text],
        js="async () => { (await window.ssChat).startNew(); return [[], '']; }",
        cancels=[following],
        api_visibility="private",
    )


async def follow_thread(services: Services, thread_id: str) -> AsyncIterator[tuple[Any, Any]]:
    """Yield a thread's messages and state: all so far, then after each step until no turn is running."""
    transcript = Transcript(title=lambda name: _title(services, name))
    session = await services.session_manager.load(thread_id)
    after = max(0, session.last_seq - MAX_EVENTS) if session else 0
    for record in await services.event_log.read(thread_id, after):
        transcript.add(record)
    yield transcript.messages(), _state(thread_id, transcript, rest=False)
    events = ([event] async for event in services.turns.follow(thread_id, transcript.seq))
    try:
        async for step in batches(events, SECONDS_BETWEEN_STEPS):
            for event in step:
                transcript.add(event)
            yield transcript.messages(), _state(thread_id, transcript, rest=False)
    except SmartSupportError:
        return  # the thread id is invalid
    transcript.running = False
    yield transcript.messages(), _state(thread_id, transcript, rest=True)


def _state(thread_id: str, transcript: Transcript, *, rest: bool) -> str:
    """For `chat.js`: the last event number that the Chatbot shows; `rest` where no turn is running."""
    return orjson.dumps({"thread_id": thread_id, "seq": transcript.seq, "rest": rest}).decode()


def _title(services: Services, name: str) -> str:
    spec = services.team.agent(name)
    return spec.title if spec else name.replace("_", " ").capitalize()


def _greeting(services: Services) -> str:
    team = services.team
    parts = element("strong", team.company), element("span", team.personality.greeting)
    return element("div", *parts, classes="ss-greeting")


def _examples(services: Services) -> list[str]:
    """The first example of each agent, then their second ones, and so on."""
    agents = services.team.agents
    rounds = max((len(agent.examples) for agent in agents), default=0)
    examples = [
        agent.examples[turn] for turn in range(rounds) for agent in agents if turn < len(agent.examples)
    ]
    return examples[:MAX_EXAMPLES]
