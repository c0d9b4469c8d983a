"""Size of the data folder compared with the text of one long conversation.

Sends messages of random words to one thread, in a fresh data folder for each kind of traffic, and sums up the
text that was exchanged: messages of both sides, arguments and results of tools. Exits with 1 if a folder is
larger than `LIMIT` times its text plus `CONSTANT_MB`, or `LOGS_MB` more while it is in use: each of its four
SQLite files has a write-ahead log of up to 4 MB, which is emptied when it is closed.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from langchain_core.language_models import BaseChatModel  # noqa: E402
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage  # noqa: E402
from langchain_core.outputs import ChatGeneration, ChatResult  # noqa: E402

from benchmarks.figures import record  # noqa: E402
from smart_support import Settings  # noqa: E402
from smart_support.approvals.decision import DecisionInput  # noqa: E402
from smart_support.observability import log  # noqa: E402
from smart_support.services import Services  # noqa: E402
from smart_support.tools.registry import Tool  # noqa: E402

MESSAGES, CHARACTERS = 150, 10_000
LIMIT, CONSTANT_MB, LOGS_MB = 3.0, 12.0, 16.0
THREAD = "long"
# Kinds of traffic, each with the tool that is called for every message.
KINDS = {"messages": None, "an approval in every message": "generate_coupon", "large results": "find_orders"}
AGENTS = """\
company: Bench
fallback: only
agents:
  - {name: only, title: Only, description: Answers., tools: [find_orders, generate_coupon]}
"""
Letters = Callable[[int], str]


class Caller(BaseChatModel):
    """Calls `tool` once for each message, then answers."""

    tool: str | None

    @property
    def _llm_type(self) -> str:
        return "caller"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage("Done.")
        if self.tool and not isinstance(messages[-1], ToolMessage):
            args = {"percent": 10} if self.tool == "generate_coupon" else {"email": "a@example.com"}
            message = AIMessage("", tool_calls=[{"name": self.tool, "args": args, "id": None}])
        return ChatResult(generations=[ChatGeneration(message=message)])


def words(number: random.Random) -> Letters:
    """Returns texts of random words, of a given length: hardly anything in them repeats."""

    def text(length: int) -> str:
        letters = number.choices("abcdefghijklmnopqrstuvwxyz0123456789      ", k=length - 1)
        return "".join(letters) + "."

    return text


async def fill(folder: Path, tool: str | None, count: int, length: int) -> tuple[int, int]:
    """Have a conversation of `count` messages; returns the bytes of its text and of the folder in use."""
    (folder / "agents.yaml").write_text(AGENTS)
    text = words(random.Random(1))

    async def find(*_: Any) -> Any:
        return {"orders": text(length)}

    def with_large_result(own: Tool) -> Tool:
        return replace(own, run=find) if own.name == "find_orders" else own

    settings = Settings(
        data_dir=folder / "var", agents_file=folder / "agents.yaml", rate_limit="100000/1s", log_level="error"
    )
    services = Services(settings, chat_model=Caller(tool=tool), wrap_tool=with_large_result)
    await services.open()
    try:
        for _ in range(count):
            content = "Please go on." if tool == "find_orders" else text(length)
            approval_id = None
            async for shown in services.turns.submit_and_follow(THREAD, content, channel="system"):
                approval_id = getattr(shown.event, "approval_id", None) or approval_id
            if approval_id:
                decision = DecisionInput("approve", decided_by="bench", via="system")
                async for _shown in services.turns.decide_and_follow(approval_id, decision):
                    pass
        steps = [step async for page in services.replay.batches(THREAD) for step in page]
        text_bytes = sum(len(str(part).encode()) for step in steps for part in _texts(step))
        return text_bytes, print_sizes(folder / "var", "in use")
    finally:
        await services.close()


def _texts(step: dict[str, Any]) -> Iterator[Any]:
    if step["type"] in ("message", "tool_result"):
        yield step["content"]
    elif step["type"] == "tool_call":
        yield step["args"]


def sizes(folder: Path) -> dict[str, int]:
    """The bytes of each file of a data folder."""
    return {path.name: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def print_sizes(folder: Path, when: str) -> int:
    """Print the size of a folder and of its larger files; returns the bytes of all."""
    by_file = sizes(folder)
    whole = sum(by_file.values())
    large = {name: size for name, size in by_file.items() if size >= 100_000}
    print(f"  {when:8}{whole / 1e6:9.2f} MB   " + ", ".join(f"{n} {s / 1e6:.2f}" for n, s in large.items()))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--characters", type=int, default=CHARACTERS, help="of each message or result")
    parser.add_argument("--kind", choices=KINDS, help="of traffic; all by default")
    chosen = parser.parse_args()
    log.configure("console", "error")
    too_large = False
    for kind in [chosen.kind] if chosen.kind else KINDS:
        tool = KINDS[kind]
        print(f"{kind}: {chosen.messages} of {chosen.characters:,} characters")
        with tempfile.TemporaryDirectory() as folder:
            text, in_use = asyncio.run(fill(Path(folder), tool, chosen.messages, chosen.characters))
            whole = print_sizes(Path(folder) / "var", "closed")
        ratio, limit = whole / text, LIMIT * text + CONSTANT_MB * 1e6
        too_large |= whole > limit or in_use > limit + LOGS_MB * 1e6
        record(f"{kind}, closed", ratio, "ratio")
        print(f"  {'text':8}{text / 1e6:9.2f} MB   ratio {ratio:.2f} (aim: {LIMIT:g} and {CONSTANT_MB:g} MB)")
    sys.exit(too_large)


if __name__ == "__main__":
    main()
