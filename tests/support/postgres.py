"""A real Postgres of the tests' own, from Debian's package: `python -m tests.support.postgres` gives its URL.

It lives in a new folder under the system's temporary one and ends with this process (or with `stop`).
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from tests.support.stores import POSTGRES

_PATHS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")


class Postgres:
    """A cluster of one's own. It trusts whoever is on this machine, and forgets all when it ends.

    Args:
        durable: what is committed outlives a power cut, as an operator's does; for tests it is enough that it
            outlives kills of the app.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._fsync = "on" if durable else "off"
        self._bin = _binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="smart-support-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"postgresql://tests@127.0.0.1:{self.port}"
        self._as_owner: list[str] = []
        if os.geteuid() == 0:
            # Postgres refuses to run as root.
            shutil.chown(self._folder, "postgres", "postgres")
            self._as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def start(self) -> "Postgres":
        """Start it and return once it answers."""
        place = str(self._folder / "cluster")
        self._run("initdb", "-D", place, "-U", "tests", "--auth=trust", "-E", "UTF8", "--no-locale")
        self._start(place)
        return self

    def kill(self) -> None:
        """End its main process and all connections by SIGKILL, then start it again."""
        place = self._folder / "cluster"
        main = int((place / "postmaster.pid").read_text().split()[0])
        processes = [main, *_children(main)]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(_is_running(process) for process in processes):
            time.sleep(0.02)  # nothing tells when the system has ended them
        # An id of a process that is over but not waited for counts as running there.
        for lock in (place / "postmaster.pid", *self._folder.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)
        self._start(str(place))

    def end_sessions(self) -> None:
        """End every connection but its own; what was in a transaction is rolled back."""
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def restart(self) -> None:
        """End every connection and come back, as after an upgrade."""
        self._run("pg_ctl", "-D", str(self._folder / "cluster"), "-w", "-m", "fast", "restart")

    def stop(self) -> None:
        """End it and delete all it held."""
        self._run("pg_ctl", "-D", str(self._folder / "cluster"), "-w", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, place: str) -> None:
        options = f"-p {self.port} -k {self._folder} -c fsync={self._fsync} -c max_connections=300"
        self._run("pg_ctl", "-D", place, "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_owner, str(self._bin / program), *arguments],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in listed.split()]


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def database(name: str) -> str:
    """The address of a database of that name on the tests' Postgres, made if it is not there."""
    base = os.environ[POSTGRES]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f'CREATE DATABASE "{name}"')
    return f"{base}/{name}"


def is_installed() -> bool:
    """Whether there is a Postgres on this machine."""
    return bool(_found())


def _binaries() -> Path:
    if not _found():
        raise RuntimeError("no Postgres is installed; on Debian: apt-get install postgresql")
    return _found()[-1]


def _found() -> list[Path]:
    return sorted(path for pattern in _PATHS for path in Path("/").glob(pattern.lstrip("/")))


def main() -> int:
    """Run the command given as arguments with a Postgres of its own, named in the environment."""
    postgres = Postgres().start()
    try:
        return subprocess.run(
            sys.argv[1:], check=False, env={**os.environ, POSTGRES: postgres.url}
        ).returncode
    finally:
        postgres.stop()


if __name__ == "__main__":
    sys.exit(main())
