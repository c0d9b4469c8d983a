"""A real nginx of the tests' own, from Debian's package, with the configuration of a page of the docs."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.support.harness import ROOT, free_port

MISSING = "there is no nginx; `make .venv/nginx` installs it"


def executable() -> str | None:
    """The program, also where it is not in an ordinary user's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def documented(heading: str) -> str:
    """The nginx configuration under a heading of the page on deployment."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    section = page.split(f"\n{heading}\n", 1)[1]
    block = re.search(r"```nginx\n(.*?)```", section, re.S)
    assert block
    return block[1]


class Nginx:
    """One process that serves a documented configuration, on a port of its own."""

    def __init__(self, folder: Path, servers: str, app_port: int) -> None:
        """`servers`: the configuration; its port 80 becomes a free one, and its app that at `app_port`."""
        self.port = free_port()
        folder.mkdir()
        self._folder = folder
        servers = servers.replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        servers = servers.replace("127.0.0.1:7860", f"127.0.0.1:{app_port}")
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{paths}{servers}}}\n"
        )

    def __enter__(self) -> "Nginx":
        command = [
            str(executable()),
            *("-p", str(self._folder), "-e", str(self._folder / "errors"), "-c", "nginx.conf"),
        ]
        self._process = subprocess.Popen([*command])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)  # nothing to await: the port is simply not there yet
        self.__exit__()
        raise RuntimeError(f"nginx does not answer: {(self._folder / 'errors').read_text()}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)
