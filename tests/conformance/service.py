"""The retail domain as a company's API: each tool an operation, described by FastAPI, served on loopback."""

import inspect
import threading
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, Header, HTTPException
from pydantic import create_model

from tests.conformance import retail
from tests.support.harness import free_port


class Service:
    """The API, and what only its test sees of it: how often a write reached it, and the state it left."""

    def __init__(self) -> None:
        self.shop = retail.tools()
        self.writes = 0
        self._answers: dict[str, Any] = {}
        self._app = FastAPI(title="Retail", version="1")
        for name in retail.names():
            self._add(name)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "Service":
        config = uvicorn.Config(self._app, port=self._port, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def reset(self) -> None:
        """As before the first task."""
        self.shop, self.writes, self._answers = retail.tools(), 0, {}

    def _add(self, name: str) -> None:
        method = getattr(self.shop, name)
        parameters = inspect.signature(method).parameters.values()
        words: dict[str, Any] = {
            "tags": ["retail"],
            "operation_id": name,
            "description": inspect.getdoc(method),
        }
        words["summary"] = name.replace("_", " ").capitalize()
        if not retail.is_write(name):
            read: Any = lambda **given: self._call(name, given)  # noqa: E731  (its signature is the tool's)
            read.__signature__ = inspect.Signature(
                [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
            )
            self._app.get(f"/{name}", **words)(read)
            return
        fields: dict[str, Any] = {one.name: (one.annotation, ...) for one in parameters}
        body = create_model(f"{name}_body", **fields)

        def write(given: Any, idempotency_key: Annotated[str | None, Header()] = None) -> Any:
            if idempotency_key and idempotency_key in self._answers:
                return self._answers[idempotency_key]
            self.writes += 1
            answer = self._call(name, given.model_dump())
            self._answers[idempotency_key or ""] = answer
            return answer

        write.__annotations__["given"] = Annotated[body, Body()]
        self._app.post(f"/{name}", **words)(write)

    def _call(self, name: str, given: dict[str, Any]) -> Any:
        try:
            return self.shop.use_tool(name, **given)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
