"""Reads the requests that run a Gradio function, and checks them before Gradio does.

Gradio answers an unknown function with 500, and a failure of its own with a stack trace in the log. And two
parsers may read one body differently. So a body is parsed once, here; Gradio gets what was parsed, encoded
anew.
"""

import inspect
import re
from typing import Any

import gradio as gr
import orjson

from smart_support.errors import InvalidJson, InvalidRequest, NotFound

API = "/gradio_api/"
MAX_ID_CHARS = 200
_BY_NAME = re.compile(rf"{API}call/(?P<v2>v2/)?(?P<name>[^/]+)/?")
_RESULT = re.compile(rf"{API}call/(?:v2/)?[^/]+/(?P<event_id>[^/]+)/?")
_JOIN = re.compile(rf"{API}queue/join/?")
_CANCEL = re.compile(rf"{API}cancel/?")
# What Gradio may read from a body. The rest of its fields are for its own use.
_FIELDS = ("data", "fn_index", "session_hash", "trigger_id")


def parsed(body: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        InvalidJson: the body is anything but one object in UTF-8, sent as JSON.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidJson("Invalid JSON: send the body with Content-Type: application/json.")
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"Invalid JSON: {error}; send one object in UTF-8, without NaN or a BOM.") from None
    if not isinstance(given, dict):
        raise InvalidJson("Invalid JSON: the body is not an object.")
    return given


def session_of(given: dict[str, Any]) -> str | None:
    """The `session_hash` of a body; raises `InvalidRequest` if it is not a text."""
    return _id(given, "session_hash")


def event_of(path: str, given: dict[str, Any] | None) -> str | None:
    """The id of the call that a request asks about, from its path or body."""
    if given is None:
        match = _RESULT.fullmatch(path)
        return match["event_id"] if match else None
    return _id(given, "event_id") if _CANCEL.fullmatch(path) else None


def is_call(path: str) -> bool:
    """Whether a POST to this path starts a function."""
    return bool(_JOIN.fullmatch(path) or _BY_NAME.fullmatch(path))


def checked(blocks: gr.Blocks, path: str, given: dict[str, Any]) -> dict[str, Any]:
    """A body as Gradio may have it.

    Raises:
        NotFound: there is no such function.
        InvalidRequest: the data does not fit it; says what is expected.
    """
    if _CANCEL.fullmatch(path):
        _function(blocks, given.get("fn_index"))
        return given
    if _JOIN.fullmatch(path):
        if not given.get("session_hash"):
            raise InvalidRequest("session_hash: give a text of your choice that nobody can guess")
        function = _function(blocks, given.get("fn_index"))
    elif match := _BY_NAME.fullmatch(path):
        function = _named(blocks, match["name"])
        if match["v2"]:
            return _by_parameter(function, given)
    else:
        return given
    given = {name: given[name] for name in _FIELDS if name in given}
    _check_trigger(given.get("trigger_id"))
    return given | {"data": _completed(function, given.get("data"))}


def _id(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_CHARS:
        raise InvalidRequest(f"{name}: give text of 1 to {MAX_ID_CHARS} characters")
    return value


def _function(blocks: gr.Blocks, index: Any) -> Any:
    if isinstance(index, bool) or not isinstance(index, int):
        raise InvalidRequest("fn_index: give the number of a function, as /config lists them")
    function = blocks.fns.get(index)
    if function is None or function.fn is None:
        raise NotFound(f"fn_index {index}: there is no such function; /config lists them")
    return function


def _named(blocks: gr.Blocks, name: str) -> Any:
    for function in blocks.fns.values():
        if function.api_name == name and function.fn is not None:
            return function
    raise NotFound(f"{name[:100]!r}: there is no such function; /gradio_api/info lists them")


def _parameters(function: Any) -> list[inspect.Parameter]:
    """The parameters that a caller gives; the rest are Gradio's."""
    listed = inspect.signature(function.fn).parameters.values()
    return [one for one in listed if one.annotation is not gr.Request]


def _completed(function: Any, data: Any) -> list[Any]:
    """The values of all parameters: a client that was written before the last ones came leaves them out."""
    parameters = _parameters(function)
    names = [one.name for one in parameters]
    expected = f"{len(names)} values: {', '.join(names)}" if names else "an empty list"
    if not isinstance(data, list):
        raise InvalidRequest(f"data: give a list of {expected}")
    defaults = [one.default for one in parameters[len(data) :]]
    if len(data) > len(names) or inspect.Parameter.empty in defaults:
        raise InvalidRequest(f"data: holds {len(data)} values; give {expected}")
    return [*data, *defaults]


def _check_trigger(trigger: Any) -> None:
    # Any number: that of the page itself, which starts functions too, is not among the components.
    if trigger is not None and (isinstance(trigger, bool) or not isinstance(trigger, int)):
        raise InvalidRequest("trigger_id: give the number of a component, as /config lists them")


def _by_parameter(function: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The body of a `call/v2`, which has a field for each parameter."""
    parameters = _parameters(function)
    if function.api_visibility != "public":
        raise NotFound(f"{function.api_name!r}: there is no such public function")
    names = [one.name for one in parameters]
    if unknown := given.keys() - set(names):
        raise InvalidRequest(f"{min(unknown)[:100]}: is no parameter; give {', '.join(names) or 'none'}")
    for one in parameters:
        if one.default is one.empty and one.name not in given:
            raise InvalidRequest(f"{one.name}: is missing")
    return given
