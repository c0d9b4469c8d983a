"""The graph of our own agents, which can run read-only on a side thread."""

from smart_support.conversation.graph_adapter.adapter import GraphAdapter, GraphRun
from smart_support.conversation.graph_adapter.stream import OWN_STREAM_MODES, StreamReader


class OwnGraph(GraphAdapter):
    """The graph that `agents/graph.py` builds."""

    stream_modes = OWN_STREAM_MODES

    def start_read_only_run(self, thread_id: str, reader: StreamReader) -> GraphRun:
        """A turn's use of the graph on a side thread, without writes; `reader` is that of the turn."""
        return GraphRun(self, thread_id, reader, read_only=True)

    async def delete_thread(self, thread_id: str) -> None:
        """Delete the checkpoints of a thread."""
        await self.graph.checkpointer.adelete_thread(thread_id)
