"""What a route is given: the services of the application it belongs to."""

from typing import Any

from starlette.requests import HTTPConnection


def services(connection: HTTPConnection) -> Any:
    """The `Services` of this application. (`Any`: the composition root lies a floor above.)"""
    return connection.app.state.services
