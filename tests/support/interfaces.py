"""Every route of an app, listed from the app itself, so that a test can't miss a new one."""

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any

import gradio as gr
import httpx
import orjson
from fastapi import FastAPI
from starlette.routing import Mount


def routes(app: Any) -> Iterator[tuple[str, str]]:
    """`(method, path)` of every route, those of mounted apps and included routers too; a socket is `WS`."""
    for method, path, _ in _walk(app.routes, ""):
        yield method, path


def named_inputs(app: Any, *names: str) -> Iterator[tuple[str, str, str, str]]:
    """`(method, path, place, name)` wherever a route takes an input of one of these names.

    The place is `path`, `query`, `header` or `body`.
    """
    for method, path, route in _walk(app.routes, ""):
        dependant = getattr(route, "dependant", None)
        for place in ("path", "query", "header", "body") if dependant else ():
            for field in getattr(dependant, f"{place}_params"):
                inside = getattr(field.field_info.annotation, "model_fields", {})
                for name in {field.name, *inside} & set(names):
                    yield method, path, place, name


def gradio_app(app: Any) -> Any:
    """The app that Gradio brings."""
    return next(route.app for route in app.routes if isinstance(route, Mount) and route.path == "")


@cache
def routes_of_gradio() -> frozenset[tuple[str, str]]:
    """`(method, path)` of every route that Gradio makes by itself; the console's app lacks most of them."""
    return frozenset(routes(whole_gradio_app()))


@cache
def whole_gradio_app() -> Any:
    """An app of Gradio with all of its routes."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Textbox()
    return gradio_app(gr.mount_gradio_app(FastAPI(), blocks, path="/", ssr_mode=False, mcp_server=False))


def _walk(listed: Any, prefix: str) -> Iterator[tuple[str, str, Any]]:
    for route in listed:
        path = prefix + getattr(route, "path", "")
        if included := getattr(route, "original_router", None):
            yield from _walk(included.routes, prefix + route.include_context.prefix)
        elif isinstance(route, Mount) and route.routes:
            yield from _walk(route.routes, path)
        else:
            for method in getattr(route, "methods", None) or ("WS",):
                if method != "HEAD":
                    yield method, path, route


async def called(
    url: str, headers: dict[str, str], session_hash: str, fn_index: int, data: list[Any]
) -> list[dict[str, Any]]:
    """Run a function of the console as its page does: by its place, through the queue; what came back."""
    body = {"data": data, "fn_index": fn_index, "session_hash": session_hash}
    async with httpx.AsyncClient(
        base_url=f"{url}/gradio_api", headers=headers, verify=False, timeout=60
    ) as client:
        joined = await client.post("/queue/join", json=body)
        if joined.status_code != 200:
            return [{"msg": "refused", "status": joined.status_code}]
        told: list[dict[str, Any]] = []
        async with (
            asyncio.timeout(30),
            client.stream("GET", "/queue/data", params={"session_hash": session_hash}) as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    told.append(orjson.loads(line.removeprefix("data:")))
                    if told[-1]["msg"] == "process_completed":
                        break
    return told
