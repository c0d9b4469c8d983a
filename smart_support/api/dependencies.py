"""What a route is given: the services of its application, and who is asking."""

from starlette.requests import HTTPConnection

from smart_support.identity.users import Role, User
from smart_support.services import Services


def services(connection: HTTPConnection) -> Services:
    """The services of this application."""
    services: Services = connection.app.state.services
    return services


def user(connection: HTTPConnection) -> User:
    """Who is asking, as the guard at the door has found."""
    found: User = connection.state.user
    return found


def lead(connection: HTTPConnection) -> User:
    """Who is asking; raises `Forbidden` unless they are a lead or more."""
    found = user(connection)
    found.must_be(Role.LEAD)
    return found


def admin(connection: HTTPConnection) -> User:
    """Who is asking; raises `Forbidden` unless they are an admin."""
    found = user(connection)
    found.must_be(Role.ADMIN)
    return found


def channel(connection: HTTPConnection) -> str:
    """Through which door a decision comes: the console says so of itself, and is not believed with a key."""
    headers = connection.headers
    by_hand = headers.get("x-smart-support-door") == "console" and "x-api-key" not in headers
    return "console" if by_hand else "rest"
