"""Limits the writes of an agent in an hour, counted durably."""

from datetime import timedelta

from smart_support import clock
from smart_support.storage.state.base import Connection, StateDatabase

HOUR = timedelta(hours=1)


class Quota:
    """Counts each agent's writes over the last hour, over all threads and restarts."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def take(self, agent: str, limit: int, thread_id: str, tool_call_id: str) -> bool:
        """Whether one more write is within `limit` an hour; if so it is counted, each call once."""

        def work(connection: Connection) -> bool:
            call = {"thread_id": thread_id, "tool_call_id": tool_call_id}
            sql = "SELECT 1 FROM agent_writes WHERE thread_id = :thread_id AND tool_call_id = :tool_call_id"
            if connection.execute(sql, call):
                return True
            now = clock.now()
            since = clock.rfc3339(now - HOUR)
            connection.execute(
                "DELETE FROM agent_writes WHERE agent = :agent AND at <= :since",
                {"agent": agent, "since": since},
            )
            counted = connection.execute(
                "SELECT COUNT(*) AS number FROM agent_writes WHERE agent = :agent", {"agent": agent}
            )
            if counted[0]["number"] >= limit:
                return False
            connection.execute(
                "INSERT INTO agent_writes VALUES (:thread_id, :tool_call_id, :agent, :now)",
                call | {"agent": agent, "now": clock.rfc3339(now)},
            )
            return True

        return await self._state.transact(work, on=[f"writes of {agent}"])
