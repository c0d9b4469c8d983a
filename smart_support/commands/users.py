"""`users add` and `users key`: add people to the users file, and create keys for programs."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import Any

import yaml

from smart_support.errors import ConfigError
from smart_support.identity import users as identity
from smart_support.settings import Settings


def add(commands: Any) -> None:
    """Add the command to the parser."""
    users = commands.add_parser("users", help="manage people and API keys")
    subcommands = users.add_subparsers(dest="what", required=True)
    for what, text, run in (
        ("add", "add a person to the users file", _add),
        ("key", "create a key for a program", _key),
    ):
        command = subcommands.add_parser(what, help=text)
        command.add_argument("name")
        roles = identity.ROLES if what == "add" else identity.KEY_ROLES
        command.add_argument("--role", choices=list(roles), required=True)
        if what == "add":
            command.add_argument("--file", type=Path, default=Path("users.yaml"))
        command.set_defaults(run=run)


def _add(given: argparse.Namespace) -> int:
    path, name, role = given.file, given.name, given.role
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or [] if path.exists() else []
    listed = content.setdefault("users", []) if isinstance(content, dict) else content
    identity.Accounts(path if listed else None, _settings().api_keys).names.add(name, "users add")
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(password) < identity.MIN_KEY_CHARS:
        least = identity.MIN_KEY_CHARS
        raise ConfigError(f"the password has {len(password)} characters; give at least {least}")
    listed.append({"name": name, "password_hash": identity.hash_password(password), "role": role})
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    path.chmod(0o600)
    print(f"{name} ({role}) is in {path}; start with SMART_SUPPORT_USERS_FILE={path}")
    return 0


def _key(given: argparse.Namespace) -> int:
    settings = _settings()
    identity.Accounts(settings.users_file, settings.api_keys).names.add(given.name, "users key")
    key, kept = identity.new_key()
    print(
        f"The key (shown only once): {key}\nAdd to SMART_SUPPORT_API_KEYS: {given.name}:{given.role}:{kept}"
    )
    return 0


def _settings() -> Settings:
    """Settings with a host that is allowed while there are no users."""
    return Settings(host="127.0.0.1")
