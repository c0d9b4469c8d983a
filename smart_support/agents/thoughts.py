"""Separates what a model says from thoughts and control text that a server leaves in the answer's text."""

import re
from enum import Enum

# Written by DeepSeek, Qwen, GLM, Gemma and others; by Magistral; by Kimi; by Seed-OSS.
_NAMES = r"think|thinking|thought|thoughts|reasoning|seed:think"
_TAGS = {
    "open": rf"<(?:{_NAMES})>|\[THINK\]|◁think▷",
    "close": rf"</(?:{_NAMES})>|\[/THINK\]|◁/think▷",
    # A tool call that the server should have parsed: Hermes, Qwen, Llama, Mistral, DeepSeek, Kimi, MiniMax.
    "call_open": r"<(?:minimax:)?tool_call>|<function=|\[TOOL_CALLS\]|<\|python_tag\|>"
    r"|<｜tool▁calls▁begin｜>|<\|tool_calls_section_begin\|>",
    "call_close": r"</(?:minimax:)?tool_call>|</function>|\[/TOOL_CALLS\]"
    r"|<｜tool▁calls▁end｜>|<\|tool_calls_section_end\|>",
    # OpenAI's Harmony format: `<|start|>assistant<|channel|>analysis<|message|>...<|end|>`.
    # https://cookbook.openai.com/articles/openai-harmony
    "header": r"<\|(?:start|channel|constrain)\|>",
    "body": r"<\|message\|>",
    "end": r"<\|(?:end|return|call|im_end|eot_id|eom_id|endoftext)\|>|<｜end▁of▁sentence｜>",
}
_TAG = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _TAGS.items()), re.IGNORECASE)
# The end of a text that may be the beginning of a tag.
_BEGINNING = re.compile(r"[<\[◁][^\s<\[◁]{0,27}\Z")


class _Mode(Enum):
    """What the text is at the moment."""

    SAID = 1
    THOUGHT = 2
    CALL = 3
    HEADER = 4


class ThoughtSplitter:
    """Splits the text of one answer, chunk by chunk.

    Attributes:
        closed_unopened: a closing tag came without its opening tag, so that the text before it was a thought.
        has_call: there was a tool call in the text.
    """

    def __init__(self, *, may_be_open: bool = False) -> None:
        """`may_be_open`: hold the text back until a tag shows whether it began inside a thought."""
        self.closed_unopened = False
        self.has_call = False
        self._is_undecided = may_be_open
        self._mode = _Mode.SAID
        self._header = ""
        self._has_said = False
        self._held: list[str] = []
        self._unsaid: list[str] = []
        self._rest = ""

    @property
    def unsaid(self) -> str:
        """The thoughts so far, and the tool calls in the text."""
        return "".join(self._unsaid)

    def add(self, text: str) -> list[str]:
        """Take the next chunk in; return what is known to be said. A tag may be split between two chunks."""
        self._rest += text
        said = []
        while tag := _TAG.search(self._rest):
            before, self._rest = self._rest[: tag.start()], self._rest[tag.end() :]
            said += self._take(before)
            said += self._switch(str(tag.lastgroup))
        beginning = _BEGINNING.search(self._rest)
        end = beginning.start() if beginning else len(self._rest)
        part, self._rest = self._rest[:end], self._rest[end:]
        return said + self._take(part)

    def release(self) -> list[str]:
        """Return what was held back: the answer did not begin inside a thought."""
        self._is_undecided = False
        held, self._held = self._held, []
        return [piece for part in held for piece in self._said(part)]

    def drop_held(self) -> None:
        """Take what was held back as a thought that has no end."""
        self._unsaid += self._held
        self._held.clear()

    def end(self) -> list[str]:
        """What is left at the end of the answer, as far as it is said. A thought may have no end."""
        rest, self._rest = self._rest, ""
        said = self._take(rest)
        return self.release() + said

    def _switch(self, kind: str) -> list[str]:
        """Go on after a tag; return what it shows to be said."""
        if self._mode is _Mode.CALL and kind not in ("call_close", "end"):
            return []  # arguments may hold any text
        said: list[str] = []
        match kind:
            case "open":
                said, self._mode = self.release(), _Mode.THOUGHT
            case "close" if self._mode is _Mode.THOUGHT:
                self._mode = _Mode.SAID
            case "close":
                # What of it was shown can't be taken back.
                self.closed_unopened = True
                self.drop_held()
                self._is_undecided = False
            case "call_open":
                self._mode, self.has_call = _Mode.CALL, True
            case "header":
                said, self._mode = self.release(), _Mode.HEADER
            case "body" if self._mode is _Mode.HEADER:
                self._mode = self._mode_of_body()
            case "call_close" | "end":
                self._mode = _Mode.SAID if self._mode is not _Mode.THOUGHT or kind == "end" else self._mode
        return said

    def _mode_of_body(self) -> _Mode:
        header, self._header = self._header, ""
        if "to=" in header:
            self.has_call = True
            return _Mode.CALL
        return _Mode.THOUGHT if "analysis" in header or "commentary" in header else _Mode.SAID

    def _take(self, text: str) -> list[str]:
        if self._mode is _Mode.HEADER:
            self._header += text
        elif self._mode is not _Mode.SAID:
            self._unsaid.append(text)
        elif self._is_undecided:
            self._held.append(text)
        else:
            return self._said(text)
        return []

    def _said(self, text: str) -> list[str]:
        """The text, without the empty lines between a thought and the first words."""
        if self._unsaid and not self._has_said:
            text = text.lstrip()
        self._has_said = self._has_said or bool(text.strip())
        return [text] if text else []


def without_thoughts(text: str) -> str:
    """What is said in a whole text."""
    splitter = ThoughtSplitter(may_be_open=True)
    return "".join([*splitter.add(text), *splitter.end()])
