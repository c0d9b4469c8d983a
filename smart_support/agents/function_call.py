"""Calls one function with a chat model, outside a conversation."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

__all__ = ["FunctionCallModel"]


class FunctionCallModel:
    """A chat model that is asked for the arguments of one function."""

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    async def __call__(self, prompt: str, data: str, function: dict[str, Any]) -> dict[str, Any]:
        """The arguments with which the model calls the function.

        Args:
            prompt: the system message.
            data: the user message.
            function: its name, description and parameters (JSON Schema).

        Raises:
            LookupError: the model does not call the function.
        """
        model = self._model.bind_tools([{"type": "function", "function": function}])
        message = await model.ainvoke([SystemMessage(prompt), HumanMessage(data)])
        for call in message.tool_calls:
            if call["name"] == function["name"]:
                return call["args"]
        raise LookupError(f"the model did not call {function['name']}")
