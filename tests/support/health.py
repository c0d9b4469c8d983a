"""Wait for an app to answer that it is healthy."""

import asyncio
import contextlib
from typing import Any

import httpx

START_SECONDS = 180


async def wait_until_healthy(process: Any, url: str, *, ready: bool = False) -> bool:
    """Return once an app answers that it is healthy, or once its process has ended.

    Args:
        process: the process of the app.
        url: the address of its REST routes.
        ready: wait also until it takes new work.

    Returns:
        Whether it answers.

    Raises:
        TimeoutError: it lives, and does not answer within `START_SECONDS`.
    """
    params = {"ready": 1} if ready else {}
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(timeout=START_SECONDS) as client:
        while process.is_alive():
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{url}/health", params=params)).status_code == 200:
                    return True
            await asyncio.sleep(0.02)  # The port is not there yet, and nothing tells when it is.
    return False
