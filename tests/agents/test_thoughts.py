"""What of a text is said: thoughts, calls and control text are not, wherever a chunk ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.agents.model_families import opens_no_thought
from smart_support.agents.thoughts import ThoughtSplitter, without_thoughts

_TEXTS = [
    ("<think>secret</think>Hello.", "Hello."),
    ("secret</think>Hello.", "Hello."),
    ("<|start|>assistant<|channel|>analysis<|message|>secret<|end|>Hello.", "Hello."),
    ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>secret<|call|>", ""),
    ("<tool_call><function=f>secret<think></function></tool_call>Hello.", "Hello."),
    ("Hello.<|im_end|>", "Hello."),
    ("It is 3 < 5 [see a<b] and <b>so on</b>", "It is 3 < 5 [see a<b] and <b>so on</b>"),
]


@given(st.sampled_from(_TEXTS), st.lists(st.integers(1, 7), min_size=1), st.booleans())
def test_where_the_chunks_end_makes_no_difference(
    case: tuple[str, str], sizes: list[int], may_be_open: bool
) -> None:
    text, said = case
    if text.startswith("secret") and not may_be_open:
        return
    splitter, shown, start, turn = ThoughtSplitter(may_be_open=may_be_open), "", 0, 0
    while start < len(text):
        size = sizes[turn % len(sizes)]
        shown += "".join(splitter.add(text[start : start + size]))
        start, turn = start + size, turn + 1
    assert shown + "".join(splitter.end()) == said
    assert without_thoughts(text) == said
    assert ("secret" in splitter.unsaid) == ("secret" in text)


def test_what_looks_like_a_tag_waits_only_until_it_is_none() -> None:
    splitter = ThoughtSplitter()
    assert splitter.add("3 <") == ["3 "]
    assert splitter.add(" 5") == ["< 5"]


@pytest.mark.parametrize(
    "names",
    [
        ("gpt-5-mini",),
        ("local", "/models/Llama-3.2-3B-Q4.gguf"),
        ("us.anthropic.claude-sonnet",),
        ("meta-llama/llama-3.3-70b",),
        ("qwen3-30b-a3b-instruct-2507",),
        ("o3-mini",),
        ("grok-4-non-reasoning",),
    ],
)
def test_a_plain_model_is_known_by_its_name(names: tuple[str, ...]) -> None:
    assert opens_no_thought(*names)


@pytest.mark.parametrize(
    "names",
    [
        ("local", None),
        ("/models/qwen3-235b-fp8",),
        ("deepseek-r1-distill-llama-70b",),
        ("llama-3.1-nemotron-nano",),
        ("gpt-4", "Qwen3-4B-Thinking-2507"),
        ("phi-4-reasoning",),
        ("marco-o1",),
    ],
)
def test_a_name_that_does_not_say_so_is_not_plain(names: tuple[str | None, ...]) -> None:
    assert not opens_no_thought(*names)
