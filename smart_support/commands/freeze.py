"""`freeze`: stop writes, lift a freeze, and list the freezes, whether the app runs or not."""

import argparse
import contextlib
import getpass
from collections.abc import Iterator
from typing import Any

from smart_support.approvals import freezes
from smart_support.approvals.freeze_scope import ALL, checked_scope
from smart_support.errors import ConfigError, NotFound
from smart_support.identity.account_names import COMMAND_LINE
from smart_support.settings import Settings
from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.read_only import open_read_only
from smart_support.storage.state.sqlite import SqliteStateDatabase

_BY = {"by": COMMAND_LINE, "via": "command"}
_HELP = "stop all writes, or those of an agent, a tool or a caller"
_EPILOG = """\
python -m smart_support freeze --reason "a pricing error"            stop all writes
python -m smart_support freeze tool:refund_order --reason "..."      stop one tool
python -m smart_support freeze list                                  show what is frozen
python -m smart_support freeze lift all                              let writes go on
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "freeze",
        help=_HELP,
        description=f"{_HELP}. A running app obeys at once, and shows it within a second.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "words",
        nargs="*",
        metavar="SCOPE",
        help="all, agent:NAME, tool:NAME, caller:NAME; or: list, lift SCOPE",
    )
    command.add_argument("--reason", help="why, for colleagues")
    command.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    words = given.words or [ALL]
    if words == ["list"]:
        return _list()
    if words[0] == "lift" and len(words) <= 2:
        return _lift(words[1] if len(words) == 2 else ALL)
    if len(words) > 1:
        raise ConfigError(f"freeze {' '.join(words)}: give one scope; see python -m smart_support freeze -h")
    return _freeze(words[0], given.reason)


def _freeze(scope: str, reason: str | None) -> int:
    scope = checked_scope(scope)
    if reason is None:
        raise ConfigError(f'freeze {scope}: say why, with --reason "..."; colleagues read it')
    reason = freezes.checked_reason(reason)
    with _opened() as state:
        row = state.transact_now(
            lambda connection: freezes.freeze(connection, scope, reason, **_BY, **_os_user())
        )
    print(f"{scope} is frozen since {row['frozen_at'][:19]}Z, by {row['frozen_by']}: {row['reason']}")
    print(f"Lift it with: python -m smart_support freeze lift {scope}")
    return 0


def _lift(scope: str) -> int:
    scope = checked_scope(scope)
    with _opened() as state:
        try:
            state.transact_now(lambda connection: freezes.lift(connection, scope, **_BY, **_os_user()))
        except NotFound:
            raise ConfigError(f"{scope} is not frozen; see python -m smart_support freeze list") from None
    print(f"{scope} is no longer frozen")
    return 0


def _list() -> int:
    with open_read_only(_checked_settings()) as read:
        rows = list(read(freezes.IN_EFFECT, {}))
    for row in rows:
        print(
            f"{row['scope']}  since {row['frozen_at'][:19]}Z by {row['frozen_by']}: {row['reason']}  "
            f"({row['parked']} approved writes on hold, {row['paused']} approvals paused)"
        )
    if not rows:
        print("Nothing is frozen")
    return 0


@contextlib.contextmanager
def _opened() -> Iterator[StateDatabase]:
    """The state database of the settings, which the app must have made.

    Raises:
        ConfigError: there is none, or an older release made it.
    """
    settings = _checked_settings()
    state: StateDatabase
    if settings.database_url:
        from smart_support.storage.state.postgres import PostgresStateDatabase

        state = PostgresStateDatabase(settings.database_url)
    else:
        state = SqliteStateDatabase(settings.data_dir / "state.sqlite")
    with contextlib.closing(state):
        yield state


def _checked_settings() -> Settings:
    # A host that is allowed while there are no users: the command opens no port.
    settings = Settings(host="127.0.0.1")
    with open_read_only(settings) as read:
        tables = list(read(_table_query(settings), {}))
    if not tables:
        raise ConfigError(
            "this data is of a release without freezes; start the app once, or run "
            "python -m smart_support migrate"
        )
    return settings


def _table_query(settings: Settings) -> str:
    if settings.database_url:
        return "SELECT 1 FROM information_schema.tables WHERE table_name = 'freezes'"
    return "SELECT 1 FROM sqlite_schema WHERE name = 'freezes'"


def _os_user() -> dict[str, str]:
    with contextlib.suppress(OSError, KeyError):  # a user id without a name
        return {"os_user": getpass.getuser()}
    return {}
