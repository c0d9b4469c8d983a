"""The user of a Gradio call. Gradio hides private functions from its docs but lets anybody call them."""

import gradio as gr

from smart_support.errors import Unauthorized
from smart_support.identity.users import User
from smart_support.observability import log, tracing
from smart_support.services import Services


def current_user(services: Services, request: gr.Request | None) -> User:
    """The user that the authentication middleware let in, by the name it gave to Gradio.

    Raises:
        Unauthorized: there is no such user.
    """
    if request is not None:
        # Gradio runs functions in tasks of its own, without the request's context.
        log.bind(request_id=request.headers.get("x-request-id"))
        tracing.continue_trace(request.headers)
    user = services.accounts.named(getattr(request, "username", None))
    if user is None:
        raise Unauthorized("Log in, or send an API key as X-API-Key.")
    return user
