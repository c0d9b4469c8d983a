"""`python -m smart_support`: what an operator does beside running the app."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from smart_support import auth
from smart_support.analytics import demo_history
from smart_support.errors import ConfigError
from smart_support.settings import ROOT, Settings
from smart_support.storage.event_log import EventLog


def main(arguments: Sequence[str] | None = None) -> int:
    """Add a user to a users file, make a key for a program, or fill the record with a made-up history.

    Returns:
        0, or 2 where it could not be done; why is on standard error.
    """
    parser = argparse.ArgumentParser(prog="python -m smart_support", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    users = commands.add_parser("users", help="people and programs that may use it").add_subparsers(
        dest="what", required=True
    )
    for what, told in (("add", "add a person to the users file"), ("key", "make a key for a program")):
        command = users.add_parser(what, help=told)
        command.add_argument("name")
        command.add_argument("--role", choices=list(auth.ROLES), required=True)
        if what == "add":
            command.add_argument("--file", type=Path, default=Path("users.yaml"))
    commands.add_parser("demo-data", help="write 30 days of made-up conversations for the demo shop")
    given = parser.parse_args(arguments)
    try:
        if given.command == "demo-data":
            return asyncio.run(_demo_data())
        return (
            _key(given.name, given.role) if given.what == "key" else _add(given.file, given.name, given.role)
        )
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return 2


def _add(path: Path, name: str, role: str) -> int:
    listed = yaml.safe_load(path.read_text(encoding="utf-8")) or [] if path.exists() else []
    if any(entry.get("name") == name for entry in listed):
        raise ConfigError(f"{path}: {name!r} is there already; choose another name")
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(password) < auth.MIN_KEY_CHARS:
        raise ConfigError(f"the password has {len(password)} characters; give at least {auth.MIN_KEY_CHARS}")
    listed.append({"name": name, "password_hash": auth.hashed(password), "role": role})
    path.write_text(yaml.safe_dump(listed, sort_keys=False), encoding="utf-8")
    path.chmod(0o600)
    print(f"{name} ({role}) is in {path}; start with SMART_SUPPORT_USERS_FILE={path}")
    return 0


async def _demo_data() -> int:
    settings = Settings()
    event_log = EventLog(settings.data_dir / "events.duckdb")
    try:
        written = await demo_history.write(event_log, ROOT / "data" / "shop")
    finally:
        event_log.close()
    print(f"{written} made-up conversations are in {settings.data_dir}; the console offers to clear them")
    return 0


def _key(name: str, role: str) -> int:
    key, kept = auth.new_key()
    print(f"The key, shown only now: {key}\nAdd to SMART_SUPPORT_API_KEYS: {name}:{role}:{kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
