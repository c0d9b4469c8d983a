"""What the toolsets over a demo business share: their store, and previews found on a copy."""

from typing import ClassVar

from smart_support import clock
from smart_support.demo.changes import Effect
from smart_support.demo.store import DemoStore
from smart_support.tools.registry import Args, Call, Change, Toolset


class DemoToolset(Toolset):
    """Tools over one demo business.

    Attributes:
        business: the name of its demo rows' folder in `data/`, of its migrations, and of its file.
        effect: what a preview compares, and how it puts that.
    """

    business: ClassVar[str]
    effect: ClassVar[Effect]

    def __init__(self, store: DemoStore) -> None:
        self.store = store
        self.executor = store.executor

    def preview(self, method: str, args: Args) -> list[Change]:
        """What calling `method` would change, found in a transaction that is always rolled back."""
        trial = Call(thread_id="preview", tool_call_id=clock.new_id())
        before, after = self.store.try_out(
            lambda: getattr(self, method)(**args, call=trial), self.effect.tables
        )
        return self.effect.told(before, after)
