"""Whatever comes as a frame gets an answer from the table, in order; the process lives and stays small."""

import random
import re
from typing import Any

import orjson
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from tests.support.harness import AppProcess

CODES = {
    *("invalid_json", "too_large", "invalid_thread_id", "invalid_content", "unknown_type", "session_expired"),
    *("rate_limited", "no_pending_approval", "already_decided", "approval_expired", "invalid_request"),
    *("invalid_arguments", "tool_error", "forbidden"),
}
EVENTS = {
    *("token", "tool_call", "tool_result", "interrupt", "decision", "clarification", "escalation"),
    *("message_complete", "route", "message", "error", "approvals", "escalations", "approval"),
    "escalation_record",
}
AT_ONCE = 25
MAX_FRAME_BYTES = 32_768
PING = b'{"type":"ping"}'

threads: Any = st.sampled_from([f"frames-{number}" for number in range(4)])
numbers: Any = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
leaves: Any = st.none() | st.booleans() | numbers | st.text(max_size=8)
values: Any = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
# Most say nothing, as a turn takes a hundred times as long as a frame.
contents: Any = st.sampled_from(["hello", "Make me a coupon of 10%", *[""] * 16])
good: Any = st.one_of(
    st.fixed_dictionaries({"type": st.just("message"), "thread_id": threads, "content": contents}),
    st.fixed_dictionaries(
        {"type": st.just("interrupt_response"), "thread_id": threads, "approved": st.booleans()},
        optional={"interrupt_id": st.text(max_size=8), "reason": st.text(max_size=8), "args": st.just({})},
    ),
    st.fixed_dictionaries(
        {"type": st.just("resume"), "thread_id": threads}, optional={"after": st.integers(0, 50)}
    ),
    st.just({"type": "ping"}),
    st.just({"type": "watch_approvals"}),
)
fields: Any = st.sampled_from(
    ["type", "thread_id", "content", "approved", "after", "args", "interrupt_id", "reason", "__proto__", ""]
)
odd: Any = st.one_of(
    values,
    st.sampled_from([" ", "x" * 10_001, "a" * 129, "../..", "\x00", "\u202e", "message", 2**53, -1, 1.5]),
)


@st.composite
def mutated(draw: Any) -> bytes:
    """A good frame, some of it replaced, taken out, cut, torn, nested or blown up."""
    frame = dict(draw(good))
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            frame[draw(fields)] = draw(odd)
        elif frame:
            frame.pop(draw(st.sampled_from(sorted(frame))))
    try:
        raw = orjson.dumps(frame)
    except (TypeError, orjson.JSONEncodeError):
        return b"{"  # an integer beyond what JSON's users agree on
    how = draw(st.sampled_from(["so", "so", "so", "so", "cut", "torn", "list", "deep", "huge", "twice"]))
    if how == "cut":
        return raw[: draw(st.integers(0, len(raw)))]
    if how == "torn":
        place = draw(st.integers(0, len(raw)))
        return raw[:place] + draw(st.binary(min_size=1, max_size=4)) + raw[place + 1 :]
    if how == "deep":
        depth = draw(st.sampled_from([5, 500, 5000]))
        return b'{"type":' + b"[" * depth + b"]" * depth + b"}"
    if how == "huge":
        return raw[:-1] + b" " * draw(st.sampled_from([MAX_FRAME_BYTES, 200_000])) + b"}"
    return {"list": b"[" + raw + b"]", "twice": raw + raw}.get(how, raw)


def _expected(raw: bytes) -> str:
    """Which error a frame has to have, `pong`, or nothing where that depends on what went before."""
    if len(raw) > MAX_FRAME_BYTES:
        return "too_large"
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return "invalid_json"
    if not isinstance(frame, dict):
        return "invalid_json"
    type_, thread_id, content = (frame.get(name) for name in ("type", "thread_id", "content"))
    if type_ == "ping":
        return "pong"
    if type_ == "watch_approvals":
        return "approvals"
    if type_ not in ("message", "interrupt_response", "resume"):
        return "unknown_type"
    if not isinstance(thread_id, str) or not re.fullmatch(r"[A-Za-z0-9_.:-]{1,128}", thread_id):
        return "invalid_thread_id"
    if type_ == "message" and not (isinstance(content, str) and content.strip() and len(content) <= 10_000):
        return "invalid_content"
    return ""


def _answered(socket: ClientConnection, frames: list[bytes]) -> None:
    """Send all at once, a ping after each: what comes before its pong is its answer."""
    for raw in frames:
        try:
            socket.send(raw.decode())
        except UnicodeDecodeError:
            socket.send(raw)
        socket.send(PING.decode())
    for raw in frames:
        expected = _expected(raw)
        answers: list[str] = []
        pongs = 1 + (expected == "pong")
        while pongs:
            answer = orjson.loads(socket.recv(timeout=30))
            if answer["type"] == "pong":
                pongs -= 1
            elif answer["type"] == "error" and "seq" not in answer:
                assert answer["code"] in CODES, (raw, answer)
                assert answer["message"]
                answers.append(answer["code"])
            else:
                assert answer["type"] in EVENTS, (raw, answer)
                answers += [answer["type"]] if answer["type"] == "approvals" else []
        if expected not in ("", "pong"):
            assert expected in answers, (raw, answers)
        assert len(answers) <= 1, (raw, answers)


def _sent(app: AppProcess, count: int, may_grow_mb: float) -> None:
    process = psutil.Process(app.process.pid)
    with connect(app.ws_url, max_size=None, proxy=None) as socket:

        @settings(
            max_examples=count // AT_ONCE,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(frames=st.lists(mutated(), min_size=AT_ONCE, max_size=AT_ONCE))
        def holds(frames: list[bytes]) -> None:
            _answered(socket, frames)

        # What every process takes once, it has taken after these.
        for number in range(20):
            _answered(socket, [b"{", b'{"type":"message","thread_id":"frames-0","content":"hello"}', b"[]"])
            _answered(socket, [random.Random(number).randbytes(1000)] * 10)
        before = process.memory_info().rss
        holds()
        grown = (process.memory_info().rss - before) / 2**20
    assert app.process.is_alive()
    assert grown < may_grow_mb, f"grew by {grown:.1f} MB"


def test_a_thousand_mutated_frames(server: AppProcess) -> None:
    _sent(server, 1000, 24)


@pytest.mark.nightly
def test_twenty_thousand_mutated_frames(server: AppProcess) -> None:
    _sent(server, 20_000, 48)
