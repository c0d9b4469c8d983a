"""The graph of our own agents, with a read-only twin for side threads."""

from typing import Any

from smart_support.conversation.graph_adapter.graph import GraphAdapter, GraphRun
from smart_support.conversation.graph_adapter.stream import StreamReader


class OwnGraph(GraphAdapter):
    """The graph that `agents/graph.py` builds."""

    def __init__(self, graph: Any, read_only_graph: Any, fallback_agent: str) -> None:
        """`read_only_graph`: of the same agents and checkpoints; its gate lets no write pass."""
        super().__init__(graph, fallback_agent)
        self._read_only = GraphAdapter(read_only_graph, fallback_agent)

    def start_read_only_run(self, thread_id: str, reader: StreamReader) -> GraphRun:
        """A turn's use of the read-only graph on a side thread; `reader` is that of the turn."""
        return GraphRun(self._read_only, thread_id, reader)

    async def delete_thread(self, thread_id: str) -> None:
        """Delete the checkpoints of a thread."""
        await self.graph.checkpointer.adelete_thread(thread_id)
