"""LangGraph's serializer for checkpoints, with values cleaned where it refuses them."""

from dataclasses import replace
from typing import Any

import ormsgpack
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt, Send

from smart_support.text import clean_json, clean_text


class CleaningSerializer(JsonPlusSerializer):
    """Serializes the state of any graph.

    LangGraph's encoder refuses lone surrogates and integers beyond 64 bits. A graph with one in its state
    could not run another step.
    """

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """As the base class. Values that it refuses are cleaned first."""
        try:
            return super().dumps_typed(obj)
        except (TypeError, ValueError, ormsgpack.MsgpackEncodeError):
            return super().dumps_typed(_cleaned(obj))


def _cleaned(value: Any) -> Any:
    """The value with clean text and numbers. Objects of unknown types are not changed."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int | float):
        return clean_json(value)
    if isinstance(value, Interrupt):
        return replace(value, value=_cleaned(value.value))
    if isinstance(value, Send):
        return Send(value.node, _cleaned(value.arg))
    if isinstance(value, BaseMessage):
        fields = {name: _cleaned(getattr(value, name)) for name in type(value).model_fields}
        return value.model_copy(update=fields)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_cleaned(item) for item in value)
    return value
