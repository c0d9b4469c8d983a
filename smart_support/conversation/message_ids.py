"""The id of the event that records a message under an id of its sender's own."""

import uuid
from typing import Literal

_NAMESPACE = uuid.UUID("6f6b9d0e-58a5-4f0e-9a43-1d0d6a1f7c52")


def event_id_of(thread_id: str, role: Literal["customer", "agent", "colleague"], message_id: str) -> str:
    """A UUID (version 5 of RFC 9562) that no other event has, whatever id the sender gave.

    If the sender's id were the event's, a message with the id of another event would count as recorded.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{thread_id}\n{role}\n{message_id}"))
