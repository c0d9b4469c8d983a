"""The scope of a freeze, and the check that no write of a frozen scope begins.

The check runs in the transaction that stores a write's intent, and no such transaction runs beside one that
freezes: the intent is durable before the freeze is, or it is not stored.
"""

import re
from typing import Any

from smart_support.errors import Frozen, InvalidRequest
from smart_support.storage.state.base import Connection, Params, in_clause

ALL = "all"
KINDS = ("agent", "tool", "caller")
FROZEN = "frozen"
MAX_SCOPE_CHARS = 200
_SCOPE = re.compile(rf"(?:{'|'.join(KINDS)}):[^\s\x00-\x1f](?:[^\x00-\x1f]*[^\s\x00-\x1f])?")


def checked_scope(scope: Any) -> str:
    """The scope, if it is one: `all`, `agent:NAME`, `tool:NAME` or `caller:NAME`.

    Raises:
        InvalidRequest: it is none.
    """
    text = scope.strip() if isinstance(scope, str) else ""
    if text != ALL and (len(text) > MAX_SCOPE_CHARS or not _SCOPE.fullmatch(text)):
        raise InvalidRequest(f"scope {str(scope)[:100]!r}: give all, agent:NAME, tool:NAME or caller:NAME")
    return text


def scopes_of(*, agent: str, tool: str, caller: str | None) -> list[str]:
    """The scopes that a call is in."""
    named = {"agent": agent, "tool": tool, "caller": caller}
    return [ALL, *(f"{kind}:{name}" for kind, name in named.items() if name)]


def in_effect_query(*, agent: str, tool: str, caller: str | None) -> tuple[str, Params]:
    """The SELECT of the scopes that a call is in and that are frozen, and its parameters."""
    among, params = in_clause("scope", scopes_of(agent=agent, tool=tool, caller=caller))
    return f"SELECT scope FROM freezes WHERE lifted_at IS NULL AND scope IN {among} ORDER BY scope", params


def check_not_frozen(connection: Connection, *, agent: str, tool: str, caller: str | None) -> None:
    """Check, in the caller's transaction, that a write may begin.

    Raises:
        Frozen: it may not.
    """
    sql, params = in_effect_query(agent=agent, tool=tool, caller=caller)
    if rows := connection.execute(sql, params):
        raise Frozen(tool, [row["scope"] for row in rows])


def in_scope_sql(approval: str = "approvals") -> str:
    """The SQL condition that the call of an approval is in the scope of a row of `freezes`."""
    return f"""freezes.scope IN ('{ALL}', 'agent:' || {approval}.agent, 'tool:' || {approval}.action,
        'caller:' || COALESCE({approval}.caller, ''))"""


def is_frozen_sql(approval: str = "approvals") -> str:
    """The SQL condition that the call of an approval is frozen now. `approval`: the table or its alias."""
    return f"EXISTS (SELECT 1 FROM freezes WHERE freezes.lifted_at IS NULL AND {in_scope_sql(approval)})"
