"""Who calls a function of the console. Gradio hides functions from its docs, but keeps nobody from them."""

import gradio as gr

from smart_support.errors import Unauthorized
from smart_support.identity.users import User
from smart_support.observability import log, tracing
from smart_support.services import Services


def asking(services: Services, request: gr.Request | None) -> User:
    """Who calls one of the console's functions: whom the guard let in, by the name Gradio was told.

    Raises:
        Unauthorized: nobody that is known.
    """
    if request is not None:
        # Gradio calls its functions in tasks of its own, which know nothing of the request.
        log.bind(request_id=request.headers.get("x-request-id"))
        tracing.continue_trace(request.headers)
    who = services.accounts.named(getattr(request, "username", None))
    if who is None:
        raise Unauthorized("Say who you are: log in, or send an API key as X-API-Key.")
    return who
