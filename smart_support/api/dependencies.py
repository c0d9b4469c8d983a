"""Dependencies of routes: the services, the user and the channel."""

from starlette.requests import HTTPConnection

from smart_support.identity.users import Role, User
from smart_support.services import Services


def services(connection: HTTPConnection) -> Services:
    """The services of this application."""
    services: Services = connection.app.state.services
    return services


def user(connection: HTTPConnection) -> User:
    """The authenticated user."""
    user: User = connection.state.user
    return user


def lead(connection: HTTPConnection) -> User:
    """The authenticated user; raises `Forbidden` unless they are at least a lead."""
    current = user(connection)
    current.must_be(Role.LEAD)
    return current


def admin(connection: HTTPConnection) -> User:
    """The authenticated user; raises `Forbidden` unless they are an admin."""
    current = user(connection)
    current.must_be(Role.ADMIN)
    return current


def channel(connection: HTTPConnection) -> str:
    """The channel of a request: `console` if its header says so and it has no API key, else `rest`."""
    headers = connection.headers
    has_key = "x-api-key" in headers or "authorization" in headers
    is_console = headers.get("x-smart-support-door") == "console" and not has_key
    return "console" if is_console else "rest"
