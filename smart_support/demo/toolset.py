"""The base class of the demo businesses' tools."""

from typing import ClassVar

from smart_support import clock
from smart_support.demo.changes import Effect
from smart_support.demo.store import DemoStore
from smart_support.tools.registry import Args, Call, Change, Toolset


class DemoToolset(Toolset):
    """Tools over one demo business.

    Attributes:
        business: the name of its folder in `data/`, of its migrations, and of its database file.
        effect: which tables a preview compares, and how it describes the difference.
    """

    business: ClassVar[str]
    effect: ClassVar[Effect]

    def __init__(self, store: DemoStore) -> None:
        self.store = store
        self.executor = store.executor

    def preview(self, method: str, args: Args) -> list[Change]:
        """What calling `method` would change. Runs it in a transaction that is always rolled back."""
        trial = Call(thread_id="preview", tool_call_id=clock.new_id())
        before, after = self.store.try_out(
            lambda: getattr(self, method)(**args, call=trial), self.effect.tables
        )
        return self.effect.describe(before, after)
