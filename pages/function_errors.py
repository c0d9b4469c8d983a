"""What a Gradio function answers if it is called wrongly or fails: `code: message`, without a trace.

Gradio checks no types, and shows the text of any exception to the caller.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_type_hints

import gradio as gr
from pydantic import ConfigDict, TypeAdapter, ValidationError

from smart_support.errors import InvalidRequest, SmartSupportError
from smart_support.observability.log import get_logger

log = get_logger()
INTERNAL_ERROR = "Internal error; see the server's log."
_STRICT = ConfigDict(strict=True)
# What Gradio passes, and not the caller.
_FROM_GRADIO = (gr.Request,)


def with_clear_errors(function: Callable[..., Any], *, types: bool = True) -> Callable[..., Any]:
    """A function for Gradio that checks its arguments' types and answers every failure as `gr.Error`.

    Args:
        function: a coroutine function or an async generator function.
        types: whether to check the types. None is accepted for a parameter with a default, which it then has.
    """
    checked = _checker(function) if types else lambda args: args

    @functools.wraps(function)
    async def answer(*args: Any) -> Any:
        with _gradio_errors(function.__name__):
            return await function(*checked(args))

    @functools.wraps(function)
    async def stream(*args: Any) -> Any:
        with _gradio_errors(function.__name__):
            async for value in function(*checked(args)):
                yield value

    return stream if inspect.isasyncgenfunction(function) else answer


def _checker(function: Callable[..., Any]) -> Callable[[tuple[Any, ...]], list[Any]]:
    hints, parameters = get_type_hints(function), inspect.signature(function).parameters
    adapters: Mapping[str, Any] = {
        name: TypeAdapter(hints[name], config=_STRICT)
        for name in parameters
        if hints[name] not in _FROM_GRADIO
    }

    def check(args: tuple[Any, ...]) -> list[Any]:
        return [
            _checked(adapters[name], parameter, value) if name in adapters else value
            for (name, parameter), value in zip(parameters.items(), args, strict=False)
        ]

    return check


def _checked(adapter: Any, parameter: inspect.Parameter, value: Any) -> Any:
    if value is None and parameter.default is not parameter.empty:
        return parameter.default
    try:
        if isinstance(value, str) and "\0" in value:
            raise InvalidRequest(f"{parameter.name}: holds a NUL character")
        return adapter.validate_python(value)
    except ValidationError as error:
        raise InvalidRequest(f"{parameter.name}: {error.errors()[0]['msg']}") from None


@contextmanager
def _gradio_errors(name: str) -> Iterator[None]:
    try:
        yield
    except SmartSupportError as error:
        raise gr.Error(f"{error.code}: {error.message}", print_exception=False) from None
    except Exception as error:
        log.error("function_failed", function=name, error=repr(error), exc_info=error)
        raise gr.Error(f"internal_error: {INTERNAL_ERROR}", print_exception=False) from None
