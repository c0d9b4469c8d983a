"""Keeps the calls of a conversation to the things of the customer whom a website has verified on it."""

from collections.abc import Awaitable, Callable
from typing import Literal

from smart_support.errors import ToolRefused
from smart_support.observability.log import get_logger
from smart_support.tools.registry import NOBODY, Access, Args, Tool, title_of
from smart_support.tools.withdrawal import SIDE_THREAD_MARK

log = get_logger()
# What an agent may do for somebody whom no website has verified.
Unverified = Literal["allow", "reads_only", "refuse"]


async def owner_of(tool: Tool, args: Args) -> str | None:
    """The customer whose things a call touches: an id, `NOBODY`, or None where it is not known.

    It comes from the tool's own system, or from the arguments where a reviewer has confirmed that they name
    the customer.
    """
    if tool.customer_source == "none":
        return NOBODY
    return await tool.customer(args) if tool.customer else None


class CustomerBinding:
    """Refuses the calls that touch another customer's things, or whose customer is not known."""

    def __init__(
        self, bound_customer: Callable[[str], Awaitable[str | None]], unverified: Unverified = "allow"
    ) -> None:
        """
        Args:
            bound_customer: the id of the customer that a thread is bound to, by the thread's id.
            unverified: which calls a thread may make that is bound to nobody.
        """
        self._bound_customer = bound_customer
        self._unverified = unverified

    async def check(self, tool: Tool, owner: str | None, thread_id: str) -> None:
        """Check a call before anything of it is read or done.

        Args:
            owner: as `owner_of` gives it.

        Raises:
            ToolRefused: the thread may not make this call. The words are the same for what does not exist, so
                that nobody learns by them what others have.
        """
        self.check_bound(tool, owner, await self._bound_customer(thread_id.partition(SIDE_THREAD_MARK)[0]))

    def check_bound(self, tool: Tool, owner: str | None, bound: str | None) -> None:
        """As `check`, for a call of the customer whose id is `bound`; None for one of nobody's thread."""
        if bound is None:
            self._check_unverified(tool, owner)
            return
        is_known = tool.customer_source != "unknown"
        if is_known and owner in (NOBODY, bound):
            return
        log.warning("not_the_customers_own", tool=tool.name, is_known=is_known and owner is not None)
        raise ToolRefused(
            f"{title_of(tool.name)}: this is not among the customer's own things, or does not exist; "
            "nothing was done."
        )

    def _check_unverified(self, tool: Tool, owner: str | None) -> None:
        is_read = tool.access is Access.READ
        if self._unverified == "allow" or (is_read and self._unverified == "reads_only"):
            return
        if is_read and owner == NOBODY:
            return
        raise ToolRefused(
            f"{title_of(tool.name)} is only possible for customers who have logged in on our website; "
            "nothing was done."
        )


async def _nobody(thread_id: str) -> None:
    return None


# For callers whose threads are bound to nobody.
UNBOUND = CustomerBinding(_nobody)
