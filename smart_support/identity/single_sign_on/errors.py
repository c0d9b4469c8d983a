"""Why a login with the identity provider did not succeed."""

from smart_support.errors import SmartSupportError


class SignInRefused(SmartSupportError):
    """A login was refused. The message is for the person, the detail for the operator's log."""

    code = "unauthorized"
    status = 401


class TooManyAttempts(SignInRefused):
    """Too many logins were begun from one network."""

    status = 429


class AttemptUnknown(SignInRefused):
    """The login is not one that this browser began, or it was used before."""

    status = 400


class ProviderUnavailable(SignInRefused):
    """The identity provider does not answer, or not as it has to."""

    status = 502


class NoRole(SignInRefused):
    """The person is known to the provider, but none of their groups has a role here."""

    status = 403

    def __init__(self, message: str, *, name: str, groups: list[str], detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.name = name
        self.groups = groups
