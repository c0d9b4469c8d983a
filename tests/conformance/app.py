"""The app with a chat model that replays a task's expected actions, one call after the other."""

from pathlib import Path

import uvicorn
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from smart_support import Settings, clock, create_app
from smart_support.server.console import import_console
from tests.conformance import retail
from tests.support.harness import ScriptedModel

import_console()  # once, before each start forks from here

AGENTS = """\
company: Retail
fallback: retail
agents:
  - {name: retail, title: Retail, description: Orders and accounts.}
"""


def serve(port: int, folder: str, api: str) -> None:
    """Run the app until it is stopped. `api`: host and port of the company's API."""
    base = Path(folder)
    agents = base / "agents.yaml"
    agents.write_text(AGENTS)
    settings = Settings(
        data_dir=base / "var",
        agents_file=agents,
        allowed_hosts=api,
        rate_limit="100000/1s",
        log_level="error",
        log_format="json",
    )
    model = ScriptedModel(script=_Script())
    uvicorn.run(create_app(settings, chat_model=model), port=port, ws="websockets-sansio", log_config=None)


class _Script:
    """Says what comes next: the first action of the asked task that has no result yet."""

    def __init__(self) -> None:
        self._tasks = retail.tasks()

    def __call__(self, messages: list[BaseMessage], _: object) -> AIMessage:
        asked = next(place for place in reversed(range(len(messages))) if _is_task(messages[place]))
        actions = self._tasks[int(str(messages[asked].content).removeprefix("task "))]
        done = sum(isinstance(message, ToolMessage) for message in messages[asked:])
        if done == len(actions):
            return AIMessage("That is all.")
        action = actions[done]
        call = {"name": action.name, "args": action.arguments, "id": clock.new_id()}
        return AIMessage("", tool_calls=[call])


def _is_task(message: BaseMessage) -> bool:
    return isinstance(message, HumanMessage) and str(message.content).startswith("task ")
