"""Gradio's queue of calls, which begins a call when it comes instead of looking for one all the time."""

import asyncio
import time
from typing import Any

import gradio as gr
from gradio.queueing import Queue
from gradio.utils import run_coro_in_background, set_task_name


def use_waiting_queue(console: gr.Blocks) -> None:
    """Give a console a `WaitingQueue` with the settings of Gradio's, which must not have begun."""
    console._queue = WaitingQueue(console)


class WaitingQueue(Queue):
    """A queue that does nothing while there is nothing to do.

    Gradio's own looks for new calls a thousand times a second and for progress a hundred times, for as long
    as the app runs; with longer breaks each call waits for the end of one. Here a call that comes and one
    that ends wake the queue. Nothing of the console reports progress.

    Args:
        console: with Gradio's queue, whose settings this one takes over; it must not have begun.
    """

    stopped: bool

    def __init__(self, console: gr.Blocks) -> None:
        given = console._queue
        super().__init__(
            live_updates=given.live_updates,
            concurrency_count=given.max_thread_count,
            update_intervals=given.update_intervals,
            max_size=given.max_size,
            blocks=console,
            default_concurrency_limit=given.default_concurrency_limit,
        )
        self._changed = asyncio.Event()

    def start(self) -> None:
        """As the base class; an app may be started again in another event loop."""
        self._changed = asyncio.Event()
        super().start()

    def close(self) -> None:
        """As the base class."""
        super().close()
        self._changed.set()

    async def push(self, *args: Any, **options: Any) -> Any:
        """As the base class."""
        pushed = await super().push(*args, **options)
        self._changed.set()
        return pushed

    async def process_events(self, *args: Any, **options: Any) -> None:
        """As the base class."""
        try:
            await super().process_events(*args, **options)
        finally:
            self._changed.set()

    async def start_processing(self) -> None:
        """Begin calls until the queue is closed."""
        try:
            while not self.stopped:
                await self._changed.wait()
                self._changed.clear()
                while None in self.active_jobs and await self._begin_next():
                    pass
        finally:
            self.stopped = True
            self._cancel_asyncio_tasks()

    async def start_progress_updates(self) -> None:
        """Nothing: there is no progress to send."""

    async def _begin_next(self) -> bool:
        """Begin the calls that may begin now, as Gradio's loop does. Whether there were any."""
        async with self.delete_lock:
            batch = self.get_events()
        if batch is None:
            return False
        events, is_batch, concurrency_id = batch
        self.active_jobs[self.active_jobs.index(None)] = events
        waiting = self.event_queue_per_concurrency_id[concurrency_id]
        waiting.current_concurrency += 1
        began_at, function = time.time(), events[0].fn
        waiting.start_times_per_fn[function].add(began_at)
        for event in events:
            if (figures := self.event_analytics.get(event._id)) is not None:
                figures["status"] = "processing"
        task = run_coro_in_background(self.process_events, events, is_batch, began_at, function)
        set_task_name(task, events[0].session_hash, function._id, events[0]._id, is_batch)
        self._asyncio_tasks.add(task)
        task.add_done_callback(self._asyncio_tasks.discard)
        if self.live_updates:
            self.broadcast_estimations(concurrency_id)
        return True
