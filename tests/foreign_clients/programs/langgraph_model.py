"""A chat model that makes one call and then says its result."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Script(BaseChatModel):
    """Calls `tool` with `args` once."""

    tool: str
    args: dict

    @property
    def _llm_type(self):
        return "script"

    def bind_tools(self, tools, **options):
        """Check that the tool was listed."""
        assert self.tool in [tool.name for tool in tools]
        return self

    def _generate(self, messages, stop=None, run_manager=None, **options):
        answer = AIMessage("", tool_calls=[{"name": self.tool, "args": self.args, "id": "c1"}])
        if isinstance(messages[-1], ToolMessage):
            answer = AIMessage(messages[-1].text)
        return ChatResult(generations=[ChatGeneration(message=answer)])
