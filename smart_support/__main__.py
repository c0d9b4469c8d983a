"""The commands of `python -m smart_support`."""

import argparse
import sys
from collections.abc import Sequence

from smart_support import audit
from smart_support.commands import backup, demo_data, freeze, mcp, migrate, rebuild_figures, users
from smart_support.errors import SmartSupportError
from smart_support.observability.redaction import hide_environment, redacted
from smart_support.storage.private_files import set_private_umask


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: users, keys, freezes, backup, restore, migrations, figures, audit record, demo data.

    Returns:
        The exit code: 0, or 2 if the command failed, with the reason on standard error. `migrate --check`
        and `audit` have other codes.
    """
    parser = argparse.ArgumentParser(prog="python -m smart_support", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for family in (users, freeze, backup, migrate, rebuild_figures, demo_data, mcp):
        family.add(commands)
    audit_command = commands.add_parser("audit", help="check or print the audit record", add_help=False)
    audit_command.add_argument("rest", nargs=argparse.REMAINDER)
    audit_command.set_defaults(run=lambda given: audit.main(given.rest))
    given = parser.parse_args(arguments)
    set_private_umask()
    hide_environment()
    try:
        return int(given.run(given))
    except SmartSupportError as error:
        print(redacted(error.message), file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or given.command}: {error.strerror or error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
