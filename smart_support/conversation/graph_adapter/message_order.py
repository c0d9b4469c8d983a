"""Orders the events of a graph's parallel branches, so that one message comes at a time."""

from collections import deque
from collections.abc import Iterator

from smart_support.events import Clarification, Event, Message, Token


class MessageOrder:
    """Passes events on so that the tokens of one message are never mixed with other events.

    A client separates messages by their order alone. So while one message is streamed, the events of other
    branches are held, and follow as soon as that message is whole.

    Attributes:
        closed: the keys of the messages that were passed on whole.
    """

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self._open: str | None = None
        self._agent = ""
        self._text: list[str] = []
        self._whole: set[str] = set()
        self._held: deque[tuple[str | None, Event]] = deque()

    def put(self, key: str | None, event: Event) -> Iterator[Event]:
        """Take an event of the message `key`, or of no message, and yield what may be passed on now."""
        self._held.append((key, event))
        yield from self._release()

    def end_message(self, key: str) -> Iterator[Event]:
        """The last token of a message has come. Yields what may be passed on now."""
        self._whole.add(key)
        yield from self._release()

    def end_stream(self) -> Iterator[Event]:
        """Nothing more comes. Yields all that is left; messages that were cut off end as they are."""
        while self._open is not None or self._held:
            if self._open is not None:
                yield self._close()
            yield from self._release()

    def _release(self) -> Iterator[Event]:
        place = 0
        while place < len(self._held) or self._is_blocked():
            if place == len(self._held):
                yield self._close()
                place = 0
                continue
            key, event = self._held[place]
            if self._open is not None and key != self._open:
                place += 1
                continue
            del self._held[place]
            was_open = self._open
            yield from self._pass(key, event)
            if was_open is not None and self._open is None:
                place = 0  # what was held before this one comes first

    def _is_blocked(self) -> bool:
        return bool(self._held) and self._open in self._whole

    def _pass(self, key: str | None, event: Event) -> Iterator[Event]:
        if key is not None and isinstance(event, Token):
            if key in self.closed:
                return
            if self._open is None:
                self._open, self._agent, self._text = key, event.agent, []
            self._text.append(event.content)
        elif key is not None and isinstance(event, Message | Clarification):
            if key in self.closed:
                return
            self.closed.add(key)
            self._open = None
        yield event

    def _close(self) -> Message:
        key = self._open or ""
        self.closed.add(key)
        self._open = None
        return Message(role="agent", content="".join(self._text), agent=self._agent, message_id=key)
