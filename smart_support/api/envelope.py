"""The envelope of REST answers, and the handlers that turn errors into it."""

from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from smart_support.errors import Overloaded, RateLimited, ShuttingDown, SmartSupportError, StorageFailed
from smart_support.observability.log import get_logger
from smart_support.storage.failures import FAILED, is_store_failure

log = get_logger()
PREFIX = "/api/v1"
_CODES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


def answer(data: Any, *, meta: dict[str, Any] | None = None, status: int = 200) -> Response:
    """Return `{"success": true, "data": ..., "error": null}`, with `meta` for a list."""
    body = {"success": True, "data": data, "error": None}
    if isinstance(data, list):
        meta = meta or {"next_cursor": None}
    return _json(body | {"meta": meta} if meta is not None else body, status)


def failure(
    code: str,
    message: str,
    status: int,
    headers: dict[str, str] | None = None,
    fields: dict[str, Any] | None = None,
) -> Response:
    """Return `{"success": false, "data": null, "error": {"code", "message"}}`; the error has `fields` too."""
    error = {"code": code, "message": message, **(fields or {})}
    body = {"success": False, "data": None, "error": error}
    return _json(body, status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error under `/api/v1` with the envelope, never with a stack trace."""
    app.add_exception_handler(SmartSupportError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _json(body: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, SmartSupportError)
    wait = None
    if isinstance(error, Overloaded | RateLimited | ShuttingDown):
        wait = {"Retry-After": str(error.retry_after_seconds)}
    return failure(error.code, error.message, error.status, wait, error.fields)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    items = error.errors()
    if any(item["type"] == "json_invalid" for item in items):
        return failure("invalid_json", "Invalid JSON: the body is not a JSON object", 400)
    return failure("invalid_request", "; ".join(_explain(item) for item in items[:5]), 422)


def _explain(item: dict[str, Any]) -> str:
    """`limit: Input should be less than or equal to 100`."""
    place = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "header")]
    return f"{'.'.join(place) or 'body'}: {item['msg']}"


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith(PREFIX):
        code = _CODES.get(error.status_code, "invalid_request")
        hint = "; see /api/v1/openapi.json for all routes" if error.status_code == 404 else ""
        return failure(code, f"{error.detail}{hint}", error.status_code, dict(error.headers or {}))
    return Response(str(error.detail), error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, error=repr(error))
    # The server ends the connection after an error that nothing handles. A client that does not know may have
    # sent its next request by then, and can't tell whether that was carried out.
    closing = {"Connection": "close"}
    if is_store_failure(error):
        return failure(StorageFailed.code, FAILED, StorageFailed.status, closing)
    message = "Internal error; nothing was changed. Try again, or see the server's log."
    return failure("internal_error", message, 500, closing)
