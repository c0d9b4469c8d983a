"""`python -m smart_support`: what an operator does beside running the app."""

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from smart_support import auth
from smart_support.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Add a user to a users file, or make a key for a program.

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
    given = parser.parse_args(arguments)
    try:
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


def _key(name: str, role: str) -> int:
    key, kept = auth.new_key()
    print(f"The key, shown only now: {key}\nAdd to SMART_SUPPORT_API_KEYS: {name}:{role}:{kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
