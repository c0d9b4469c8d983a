"""The chat: a `gr.Chatbot` that follows one thread's events. What a turn is and does is not known here.

The page keeps one follower at a time: a generator that ends when the thread is at rest. Whatever happens on
the thread later (a decision, another door's message) is seen by the page's socket, which starts the next.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import orjson

from pages import sanitize
from pages.current_user import asking
from pages.transcript import Transcript
from smart_support.conversation.batching import batches
from smart_support.errors import Forbidden, SmartSupportError
from smart_support.identity.users import User
from smart_support.services import Services

SECONDS_BETWEEN_STEPS = 0.1
# How far back a long conversation is read, in numbered events; what is older is in the Replay tab.
NUMBERS_READ = 4000
MAX_EXAMPLES = 6
_ON_LOAD = "(window.ssMounts ??= []).push(['chat', element, {trigger, props, watch}]);"
_THREAD = "async () => [(await window.ssChat).thread()]"
_TEXT_AND_THREAD = "async (text) => [text, (await window.ssChat).thread()]"
# Every event of the console: seen by no client, and not one at a time for everybody.
_OURS: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}


def build(services: Services, console: gr.Blocks) -> None:
    """Place the chat and its composer in `console`, whose loading starts the first follower."""
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
    notice = gr.HTML("", elem_id="ss-notice", apply_default_css=False)
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
        )
        send = gr.Button("Send", variant="primary", scale=0, min_width=92, elem_id="ss-send")
        fresh = gr.Button("New chat", scale=0, min_width=112, elem_id="ss-new-chat")
    thread = gr.Textbox(visible=False)
    link = gr.HTML("", html_template="", js_on_load=_ON_LOAD, elem_id="ss-chat-link", apply_default_css=False)
    _connect(services, console, chatbot, notice, text, send, fresh, thread, link)


def _connect(
    services: Services,
    console: gr.Blocks,
    chatbot: gr.Chatbot,
    notice: gr.HTML,
    text: gr.Textbox,
    send: gr.Button,
    fresh: gr.Button,
    thread: gr.Textbox,
    link: gr.HTML,
) -> None:
    async def follow(thread_id: str, request: gr.Request) -> AsyncIterator[Any]:
        with contextlib.suppress(Forbidden):
            who = asking(services, request)
            async for drawn, state in followed(services, thread_id):
                # Each time: a thread that was nobody's may have become somebody else's.
                await services.session_manager.check_owner(thread_id, who)
                yield drawn, state

    async def say(content: str, thread_id: str, request: gr.Request) -> tuple[Any, str]:
        problem = await _say(services, thread_id, content, asking(services, request))
        return (gr.skip() if problem else ""), problem

    async def choose(choice: gr.SelectData, thread_id: str, request: gr.Request) -> str:
        chosen = choice.value["text"] if isinstance(choice.value, dict) else choice.value
        return await _say(services, thread_id, str(chosen), asking(services, request))

    looks = gr.on(
        [console.load, link.submit],
        follow,
        thread,
        [chatbot, link],
        js=_THREAD,
        trigger_mode="always_last",
        **_OURS,
    )
    said = [
        gr.on([text.submit, send.click], say, [text, thread], [text, notice], js=_TEXT_AND_THREAD, **_OURS),
        chatbot.option_select(choose, thread, notice, js=_THREAD, **_OURS),
        chatbot.example_select(choose, thread, notice, js=_THREAD, **_OURS),
    ]
    for event in said:
        event.then(None, js="async () => { (await window.ssChat).wake(); }", api_visibility="private")
    fresh.click(
        None,
        None,
        [chatbot, notice, text],
        js="async () => { (await window.ssChat).fresh(); return [[], '', '']; }",
        cancels=[looks],
        api_visibility="private",
    )


async def followed(services: Services, thread_id: str) -> AsyncIterator[tuple[Any, Any]]:
    """A thread's messages and where it stands: all so far at once, then as it goes on, to its rest."""
    transcript = Transcript(title=lambda name: _title(services, name))
    session = await services.session_manager.load(thread_id)
    for record in await services.event_log.read(thread_id, _begin(session.last_seq if session else 0)):
        transcript.add(record)
    yield transcript.messages(), _state(thread_id, transcript, rest=False)
    events = services.turns.follow(thread_id, transcript.seq)
    try:
        async for step in batches(events, SECONDS_BETWEEN_STEPS):
            for shown in step:
                transcript.add(shown)
            yield transcript.messages(), _state(thread_id, transcript, rest=False)
    except SmartSupportError:
        return  # no such thread can be: there is nothing to follow
    transcript.running = False
    yield transcript.messages(), _state(thread_id, transcript, rest=True)


def _begin(last_seq: int) -> int:
    return max(0, last_seq - NUMBERS_READ)


def _state(thread_id: str, transcript: Transcript, *, rest: bool) -> str:
    """For the page's socket: up to which number the Chatbot shows the thread, and whether it goes on."""
    return orjson.dumps({"thread_id": thread_id, "seq": transcript.seq, "rest": rest}).decode()


async def _say(services: Services, thread_id: str, content: str, by: User) -> str:
    """Take a message; what to tell where it was not taken."""
    if not content.strip():
        return ""
    try:
        await services.turns.submit(thread_id, content, channel="console", by=by)
    except SmartSupportError as error:
        return f'<div class="ss-note ss-note--red" role="alert">{sanitize.html(error.message)}</div>'
    return ""


def _title(services: Services, name: str) -> str:
    spec = services.team.agent(name)
    return spec.title if spec else name.replace("_", " ").capitalize()


def _greeting(services: Services) -> str:
    company = sanitize.html(services.team.company)
    greeting = sanitize.html(services.team.personality.greeting)
    return f'<div class="ss-greeting"><strong>{company}</strong><span>{greeting}</span></div>'


def _examples(services: Services) -> list[str]:
    """One prompt of each agent, then their second ones: something of everything."""
    agents = services.team.agents
    rounds = max((len(agent.examples) for agent in agents), default=0)
    found = [agent.examples[turn] for turn in range(rounds) for agent in agents if turn < len(agent.examples)]
    return found[:MAX_EXAMPLES]
