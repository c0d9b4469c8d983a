"""Separates a model's thoughts from its words, where a server leaves them in the text between tags."""

import re

# Written by DeepSeek, Qwen, GLM, Gemma and others; by Magistral; by Kimi; by Seed-OSS.
_NAMES = r"think|thinking|thought|thoughts|reasoning|seed:think"
_TAG = re.compile(rf"<(/?)(?:{_NAMES})>|\[(/?)THINK\]|◁(/?)think▷", re.IGNORECASE)
_STARTS = "<[◁"
_LONGEST_TAG = len("</seed:think>")


class ThoughtSplitter:
    """Splits the text of one answer, chunk by chunk.

    Attributes:
        closed_unopened: a closing tag came without its opening tag, so that the text before it was a thought.
    """

    def __init__(self, *, may_be_open: bool = False) -> None:
        """`may_be_open`: hold the text back until a tag shows whether it began inside a thought."""
        self.closed_unopened = False
        self._is_undecided = may_be_open
        self._in_thought = False
        self._has_said = False
        self._held: list[str] = []
        self._thoughts: list[str] = []
        self._rest = ""

    @property
    def thoughts(self) -> str:
        """The thoughts so far."""
        return "".join(self._thoughts)

    def add(self, text: str) -> list[str]:
        """Take the next chunk in; return what is known to be said. A tag may be split between two chunks."""
        self._rest += text
        said = []
        while tag := _TAG.search(self._rest):
            before, self._rest = self._rest[: tag.start()], self._rest[tag.end() :]
            said += self._close(before) if any(tag.groups()) else self._open(before)
        return said + self._take(self._complete_part())

    def end(self) -> list[str]:
        """What is left at the end of the answer, as far as it is said. A thought may have no end."""
        rest, self._rest = self._rest, ""
        return self._take(rest) if self._in_thought else self._open(rest)

    def _open(self, before: str) -> list[str]:
        """What is said before a thought begins, or before the end."""
        if self._in_thought:
            return self._take(before)
        said = [*self._held, before]
        self._held.clear()
        self._is_undecided, self._in_thought = False, True
        return [piece for part in said for piece in self._said(part)]

    def _close(self, before: str) -> list[str]:
        if not self._in_thought:
            # What of it was shown can't be taken back.
            self.closed_unopened = True
        self._thoughts += [*self._held, before]
        self._held.clear()
        self._is_undecided = self._in_thought = False
        return []

    def _complete_part(self) -> str:
        """What can't be the beginning of a tag."""
        start = max(self._rest.rfind(first) for first in _STARTS)
        end = start if 0 <= start > len(self._rest) - _LONGEST_TAG else len(self._rest)
        part, self._rest = self._rest[:end], self._rest[end:]
        return part

    def _take(self, text: str) -> list[str]:
        if self._in_thought or self._is_undecided:
            (self._thoughts if self._in_thought else self._held).append(text)
            return []
        return self._said(text)

    def _said(self, text: str) -> list[str]:
        """The text, without the empty lines between a thought and the first words."""
        if self._thoughts and not self._has_said:
            text = text.lstrip()
        self._has_said = self._has_said or bool(text.strip())
        return [text] if text else []


def without_thoughts(text: str) -> str:
    """What is said in a whole text."""
    splitter = ThoughtSplitter(may_be_open=True)
    return "".join([*splitter.add(text), *splitter.end()])
