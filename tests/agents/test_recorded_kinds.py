"""The kinds of streams that real providers send, and that no later request is refused because of one."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from smart_support import clock
from smart_support.agents.budget import Budget
from smart_support.agents.graph import build_graph
from smart_support.agents.model_client import Models
from smart_support.agents.models import chat_models
from smart_support.agents.team import AgentSpec, Personality, Team
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.conversation.graph_adapter.stream import OWN_STREAM_MODES, StreamReader
from smart_support.errors import ModelFailed
from smart_support.events import Event, Message, Token, ToolCall
from smart_support.gate.gate import Gate
from smart_support.settings import Settings
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.registry import Access, Registry, Tool
from tests.support.stores import state_of
from tests.support.strict_provider import PLAIN, StrictProvider, call, delta, stream, usage

STOP = delta("stop")


@dataclass
class _Turn:
    """What came of one message."""

    events: list[Event]
    reader: StreamReader
    error: ModelFailed | None = None

    @property
    def shown_text(self) -> str:
        return "".join(event.content for event in self.events if isinstance(event, Token))

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return [(event.tool, event.args) for event in self.events if isinstance(event, ToolCall)]


@cache
def _clients(profile: Any) -> list[Any]:
    """Made once: a client costs a tenth of a second."""
    return chat_models(Settings(model="openai:m", model_profile=profile))


@dataclass
class _Desk:
    """One agent with one tool, whose model is behind the strict provider."""

    provider: StrictProvider
    state: StateDatabase
    profile: Any = ""
    ran: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def escalate(*_: Any, **__: Any) -> bool:
            return False

        async def look_up(args: Any, _call: Any) -> Any:
            self.ran.append(dict(args))
            return {"found": True}

        tool = Tool(
            name="look_up",
            description="Looks up.",
            schema={"type": "object"},
            access=Access.READ,
            run=look_up,
        )
        registry = Registry([tool])
        spec = AgentSpec(name="desk", title="Desk", description="Answers.", tools=("look_up",))
        team = Team(company="Shop", personality=Personality(), agents=(spec,), fallback="desk", source="test")
        queue = ApprovalQueue(self.state, 1800)
        gate = Gate(
            registry=registry,
            policy=team.policy,
            approvals=queue,
            ledger=Ledger(self.state),
            quota=Quota(self.state),
            escalate=escalate,
        )
        clients = _clients(self.profile)
        clients[0].model.left_out.clear()
        models = Models(clients, Budget(Settings(), self.state, escalate, ""), 32_000)
        self.graph = build_graph(team, registry, models, gate, InMemorySaver())
        self.thread_id = clock.new_id()

    async def say(self, text: str = "Hello") -> _Turn:
        """Send a message; `ModelFailed` is part of what came of it."""
        turn = _Turn([], StreamReader())
        stream = self.graph.astream(
            {"messages": [HumanMessage(text)]},
            {"configurable": {"thread_id": self.thread_id}},
            stream_mode=OWN_STREAM_MODES,
        )
        try:
            async for mode, chunk in stream:
                turn.events += turn.reader.events(mode, chunk)
        except ModelFailed as error:
            turn.error = error
        return turn

    async def answer(self, *answers: bytes) -> _Turn:
        """The turn in which the provider answers so; the next turn must be a plain one."""
        self.provider.answers.extend(answers)
        turn = await self.say()
        self.provider.answers.clear()
        after = await self.say("And now?")
        assert (after.shown_text, after.error, self.provider.refused) == (PLAIN, None, [])
        return turn


@pytest.fixture(scope="module")
def provider() -> Iterator[StrictProvider]:
    running = StrictProvider().start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", running.url)
        patch.setenv("OPENAI_API_KEY", "any")
        yield running
    running.stop()


@pytest.fixture(scope="module")
def state() -> Iterator[StateDatabase]:
    with tempfile.TemporaryDirectory() as folder:
        database = state_of(Path(folder))
        yield database
        database.close()


@pytest.fixture
def desk(provider: StrictProvider, state: StateDatabase) -> _Desk:
    provider.reset()
    return _Desk(provider, state)


@pytest.mark.parametrize(
    "empty",
    [
        stream(STOP),
        stream(delta(content=" \n"), STOP),
        stream(delta(content=None, reasoning_content="Hm."), STOP),
        stream(delta(content="<think>Hm."), delta("length")),
        stream(delta("content_filter", content="")),
        stream(delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]), STOP),
        b"",
    ],
)
async def test_an_answer_that_says_nothing_is_asked_for_once_more(desk: _Desk, empty: bytes) -> None:
    turn = await desk.answer(empty)
    assert turn.shown_text == PLAIN
    assert len(desk.provider.asked) == 3


@pytest.mark.parametrize(
    ("empty", "reason", "words"),
    [
        (stream(STOP), "empty", "empty answer"),
        (stream(delta("length", content=None, reasoning="Hm.")), "length", "ask for less"),
        (stream(delta("content_filter")), "content_filter", "other words"),
    ],
)
async def test_what_says_nothing_twice_is_told_with_its_reason(
    desk: _Desk, empty: bytes, reason: str, words: str
) -> None:
    turn = await desk.answer(empty, empty)
    assert turn.error
    assert turn.error.reason == reason
    assert words in turn.error.message


@pytest.mark.parametrize("finish", [["length"], ["length", "length"], ["content_filter"], [None, "length"]])
async def test_half_an_answer_is_shown_and_known_to_be_half(desk: _Desk, finish: list[str | None]) -> None:
    turn = await desk.answer(stream(delta(content="Half of"), *(delta(one) for one in finish)))
    assert turn.shown_text == "Half of"
    assert turn.reader.incomplete == finish[-1]


async def test_a_refusal_is_shown_and_known_to_be_one(desk: _Desk) -> None:
    turn = await desk.answer(stream(delta(refusal="I can't "), delta(refusal="do that."), STOP, STOP))
    assert (turn.shown_text, turn.reader.incomplete) == ("I can't do that.", "refusal")


async def test_a_whole_answer_told_by_done_alone_is_one(desk: _Desk) -> None:
    turn = await desk.answer(stream(delta(content="Here."), delta()))
    assert (turn.shown_text, turn.error, turn.reader.incomplete) == ("Here.", None, None)


async def test_a_stream_without_any_end_is_cut_off(desk: _Desk) -> None:
    turn = await desk.answer(stream(delta(content="Here."), delta(), done=False))
    assert turn.error
    assert (turn.shown_text, turn.error.reason) == ("Here.", "cut_off")


@pytest.mark.parametrize(
    "chunks",
    [
        [delta(content="<thi"), delta(content="nk>secret</th"), delta(content="ink>\n\nHello.")],
        [delta(content="secret "), delta(content="</think>\nHel"), delta(content="lo.")],
        [delta(reasoning_content="secret"), delta(content="Hello.")],
        [delta(reasoning="secret", reasoning_details=[{"text": "secret"}]), delta(content="Hello.")],
        [delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "secret"}]}, "Hello."])],
        [delta(content="[THINK]secret[/THINK]Hello.")],
        # https://github.com/kekzl/imp/pull/768
        [
            delta(content="<|channel|>analysis<|mess"),
            delta(content="age|>secret<|end|><|start|>assistant<|channel|>final<|message|>Hello."),
            delta(content="<|return|>"),
        ],
    ],
)
async def test_thoughts_are_not_words(desk: _Desk, chunks: list[dict[str, Any]]) -> None:
    turn = await desk.answer(stream(*chunks, STOP))
    assert turn.shown_text == "Hello."
    told = [event for event in turn.events if isinstance(event, Message)]
    assert [(event.content, (event.reasoning or "").strip()) for event in told] == [("Hello.", "secret")]
    assert "secret" not in str(desk.provider.asked[-1]["messages"])


async def test_what_opens_in_thought_later_on_is_held_back_from_then_on(desk: _Desk) -> None:
    await desk.answer(stream(delta(content="Hello."), STOP))
    desk.provider.answers.append(stream(delta(content="I muse. "), delta(content="More.</think>Hi."), STOP))
    assert "Hi." in (await desk.say()).shown_text
    desk.provider.answers.append(stream(delta(content="I muse. "), delta(content="More.</think>Hi."), STOP))
    assert (await desk.say()).shown_text == "Hi."


@pytest.mark.parametrize(
    "left",
    [
        # https://github.com/vllm-project/vllm/pull/32506
        '<tool_call>\n{"name": "look_up", "arguments": {}}\n</tool_call>',
        # https://github.com/odysseus-dev/odysseus/issues/4522
        '<|channel|>commentary to=functions.look_up<|message|>{"q": 1}<|call|>',
        '[TOOL_CALLS][{"name": "look_up", "arguments": {}}]',
        '<｜tool▁calls▁begin｜>look_up{"q": 1}<｜tool▁calls▁end｜>',
        "<function=look_up>{}</function>",
    ],
)
async def test_a_tool_call_in_the_text_is_neither_shown_nor_run(desk: _Desk, left: str) -> None:
    half = len(left) // 2
    turn = await desk.answer(stream(delta(content=left[:half]), delta(content=left[half:]), STOP))
    assert (turn.shown_text, turn.calls, desk.ran) == (PLAIN, [], [])
    turn = await desk.answer(stream(delta(content=f"One moment. {left}"), STOP))
    assert turn.error
    assert (turn.shown_text, turn.error.reason, desk.ran) == ("One moment. ", "cut_off", [])


async def test_a_tool_call_that_is_in_the_text_too_runs_once(desk: _Desk) -> None:
    """https://github.com/raullenchai/Rapid-MLX/issues/448"""
    made = delta(tool_calls=[call("{}", id_="a", name="look_up")])
    turn = await desk.answer(
        stream(delta(content="<function"), delta(content="="), made, delta("tool_calls"))
    )
    assert (turn.shown_text, turn.calls, desk.ran) == (PLAIN, [("look_up", {})], [{}])


# Errors that a server tells in a stream of status 200.
@pytest.mark.parametrize(
    "body",
    [
        # https://github.com/vllm-project/guidellm/issues/743
        b'data: {"error": {"message": "TimeoutError", "code": 504}}\n\ndata: [DONE]\n\n',
        # https://github.com/NousResearch/hermes-agent/pull/65643
        stream({"choices": None, "error_type": "BadRequestError", "error_message": "400: too long"}),
        # https://github.com/EricLBuehler/mistral.rs/issues/1874
        b"data: Number of choices must be greater than 0.\n\n",
    ],
)
async def test_an_error_in_the_stream_is_no_answer(desk: _Desk, body: bytes) -> None:
    turn = await desk.answer(body)
    assert turn.shown_text == PLAIN


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        ([delta(tool_calls=[call("", id_="a", name="look_up")]), delta("tool_calls")], [{}]),
        ([delta(tool_calls=[call("null", id_="a", name="look_up")]), delta("tool_calls")], [{}]),
        ([delta(tool_calls=[call(None, id_="a", name="look_up")]), delta("tool_calls")], [{}]),
        ([delta(tool_calls=[call({"q": 1}, id_="a", name="look_up")]), delta("stop")], [{"q": 1}]),
        (
            [
                delta(tool_calls=[call('{"q"', id_="a", name="look_up")]),
                delta(tool_calls=[call(": 1}", id_="a", name="look_up")]),
                delta("tool_calls"),
                delta("tool_calls"),
            ],
            [{"q": 1}],
        ),
        (
            [
                delta(tool_calls=[call('{"q": 1}', id_="a", name="look_up")]),
                delta(tool_calls=[call('{"q": 2}', id_="b", name="look_up")]),
                delta("tool_calls"),
            ],
            [{"q": 1}, {"q": 2}],
        ),
        (
            [
                delta(tool_calls=[call('{"q"', id_="a", name="look_up")]),
                delta(tool_calls=[call(": 1}", id_="b")]),
                delta("tool_calls"),
            ],
            [{"q": 1}],
        ),
        (
            [
                delta(tool_calls=[call('{"q"', index=None, id_="a", name="look_up")]),
                delta(tool_calls=[call(": 1}", index=None)]),
                delta("tool_calls"),
            ],
            [{"q": 1}],
        ),
        (
            [
                delta(function_call={"name": "look_up", "arguments": '{"q"'}),
                delta(function_call={"arguments": ": 1}"}),
                delta("function_call"),
            ],
            [{"q": 1}],
        ),
        ([delta(tool_calls=[call("{}", id_="a", name="look_up")]), delta()], [{}]),
        # https://github.com/InternLM/lmdeploy/issues/3412
        (
            [
                delta(tool_calls=[call("", id_="a", name="look_up")]),
                delta(tool_calls=[call('{"q": 1}', id_="")]),
                delta(tool_calls=[call("", id_="b", name="look_up")]),
                delta(tool_calls=[call('{"q": 2}', id_="")]),
                delta("tool_calls"),
            ],
            [{"q": 1}, {"q": 2}],
        ),
        # https://github.com/ggml-org/llama.cpp/issues/22722
        (
            [
                delta(tool_calls=[call("{", id_="a", name="look_up")]),
                delta(tool_calls=[call('"q":1}')]),
                delta("tool_calls"),
            ],
            [{"q": 1}],
        ),
    ],
)
async def test_calls_are_put_together_as_they_are_meant(
    desk: _Desk, chunks: list[dict[str, Any]], calls: list[Any]
) -> None:
    turn = await desk.answer(stream(*chunks))
    assert turn.calls == [("look_up", args) for args in calls]
    assert desk.ran == calls
    assert turn.shown_text == PLAIN


@pytest.mark.parametrize(
    ("finish", "args"),
    [
        ("length", [""]),
        ("length", ['{"q']),
        ("tool_calls", ["[1]"]),
        ("tool_calls", ['{"q": 1}', '{"q": 1}']),
    ],
)
async def test_a_call_that_is_not_whole_never_runs(desk: _Desk, finish: str, args: list[str]) -> None:
    pieces = [delta(tool_calls=[call(one, id_="a", name="look_up")]) for one in args]
    turn = await desk.answer(stream(*pieces, delta(finish)))
    assert desk.ran == []
    assert turn.calls == [("look_up", {"unreadable": "".join(args)})]


@pytest.mark.parametrize(
    ("chunks", "total"),
    [
        ([STOP, usage(5, 1), usage(5, 4)], (5, 4)),
        (
            [delta(content="x") | {"usage": {"prompt_tokens": 5, "completion_tokens": n}} for n in (1, 2)],
            (5, 2),
        ),
    ],
)
async def test_usage_is_the_last_that_is_told(
    desk: _Desk, chunks: list[dict[str, Any]], total: tuple[int, int]
) -> None:
    turn = await desk.answer(stream(delta(content="Hello."), *chunks, STOP))
    assert (turn.reader.used, turn.reader.usage_is_partial) == ({"m": total}, False)


@pytest.mark.parametrize("last", [usage(5, None), usage(None, 4), delta()])
async def test_usage_that_is_half_known_is_known_to_be_half(desk: _Desk, last: dict[str, Any]) -> None:
    turn = await desk.answer(stream(delta(content="Hello."), STOP, last))
    assert turn.reader.usage_is_partial


async def test_a_request_that_is_too_long_is_made_shorter(desk: _Desk) -> None:
    for number in range(6):
        await desk.say(f"{number} " + "on and on " * 200)
    desk.provider.context_chars = 6_000
    try:
        turn = await desk.answer()
    finally:
        desk.provider.context_chars = None
    assert turn.shown_text == PLAIN


@pytest.mark.parametrize("name", ["max_completion_tokens", "stream_options"])
async def test_a_parameter_that_is_refused_is_left_out_from_then_on(desk: _Desk, name: str) -> None:
    desk.provider.unsupported = {name}
    try:
        turn = await desk.answer()
    finally:
        desk.provider.unsupported = set()
    assert turn.shown_text == PLAIN
    assert [name in body for body in desk.provider.asked] == [True, False, False]


_ids = st.sampled_from(["a", "call_1", "x" * 60, "call 1!", "", "functions.look_up:0", None])
_names = st.sampled_from(["look_up", "look_up", "", None, "nö such tööl", "x" * 100, "look.up"])
_args = st.sampled_from(['{"q"', ': "1"}', '{"q": 1}', "", "null", "[1]", None, {"q": 1}, '{"q": NaN}', "}"])
_pieces = st.builds(call, _args, index=st.sampled_from([0, 0, 1, None]), id_=_ids, name=_names)
_contents = st.sampled_from(
    ["Hello.", "", " \n", None, "<think>", "</think>", "x</think>y", "\ud83d", "\ude00", "\x00"]
)
_parts = st.sampled_from([[{"type": "text", "text": "Hi"}], ["Hi"], [], [{"type": "image_url"}], [None]])
_deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": _contents | _parts,
        "tool_calls": st.lists(_pieces, max_size=2) | st.none(),
        "reasoning_content": _contents,
        "reasoning": st.just("Hm."),
        "refusal": _contents,
        "function_call": st.sampled_from([{"name": "look_up", "arguments": "{}"}, {}, None]),
        "role": st.sampled_from(["assistant", "", None, "tool", "user"]),
    },
)
_finishes = st.sampled_from([None, None, None, "stop", "length", "tool_calls", "content_filter", "odd"])
_chunks = st.builds(lambda fields, finish: delta(finish, **fields), _deltas, _finishes)
_usages = st.builds(usage, st.sampled_from([None, 5, -1, 2**70]), st.sampled_from([None, 4]))
_streams = st.builds(
    lambda chunks, done: stream(*chunks, done=done), st.lists(_chunks | _usages, max_size=5), st.booleans()
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(_streams, min_size=1, max_size=4), st.sampled_from(["", "mistral"]))
def test_whatever_a_stream_held_the_next_request_is_accepted(
    provider: StrictProvider, state: StateDatabase, streams: list[bytes], profile: str
) -> None:
    async def talk() -> None:
        provider.reset()
        provider.call_id = "[A-Za-z0-9]{9}" if profile else "[A-Za-z0-9_-]{1,40}"
        desk = _Desk(provider, state, profile)
        turn = await desk.answer(*streams)
        assert (
            not isinstance(turn.error, ModelFailed) or turn.error.reason != "failed" or turn.error.__cause__
        )
        assert len(desk.provider.asked) >= 2

    asyncio.run(talk())
