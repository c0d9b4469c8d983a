"""Operations that a change or an approval can't include, and why. They can be left out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from smart_support.connectors.review.reviewed_operation import ReviewedOperation
from smart_support.errors import InvalidRequest

__all__ = ["Blocked", "OperationsBlocked", "name_conflicts"]

_MAX_IN_MESSAGE = 20


@dataclass(frozen=True, slots=True)
class Blocked:
    """One operation, and why it stands in the way of a change."""

    key: str
    tool_name: str
    message: str


class OperationsBlocked(InvalidRequest):
    """Operations stand in the way of a change; nothing was changed. `fields` has all of them."""

    def __init__(self, blocked: Sequence[Blocked]) -> None:
        listed = "; ".join(one.message for one in blocked[:_MAX_IN_MESSAGE])
        more = len(blocked) - _MAX_IN_MESSAGE
        message = listed + (f"; and {more} more" if more > 0 else "")
        super().__init__(f"{len(blocked)} operations: {message}" if len(blocked) > 1 else message)
        self.blocked = tuple(blocked)
        self.fields = {"blocked": [asdict(one) for one in blocked]}


def name_conflicts(operations: Iterable[ReviewedOperation], taken: Iterable[str]) -> list[Blocked]:
    """The enabled operations whose tool name another one has: in `taken`, or earlier in `operations`."""
    used = {*taken}
    conflicts = []
    for one in operations:
        if not one.enabled or one.change == "gone":
            continue
        if one.tool_name in used:
            message = f"tool name {one.tool_name!r} is taken; rename or disable {one.key}"
            conflicts.append(Blocked(one.key, one.tool_name, message))
        used.add(one.tool_name)
    return conflicts
