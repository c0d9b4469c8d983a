"""The image's health check asks the address that the app listens on, whatever proxies there are."""

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading

import pytest

from tests.support.harness import ROOT


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/v1/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class _Server6(http.server.HTTPServer):
    address_family = socket.AF_INET6


@pytest.mark.parametrize("host", ["", "127.0.0.1", "0.0.0.0", "::", "::1"])
def test_the_check_finds_the_app(host: str) -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"(?m)^HEALTHCHECK .* CMD (\[.*\])$", text)
    assert found
    command = [sys.executable, *json.loads(found[1])[1:]]
    server = _Server6 if ":" in host else http.server.HTTPServer
    with server(("::1" if ":" in host else "127.0.0.1", 0), _Health) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        settings = {"SMART_SUPPORT_PORT": str(listening.server_port), "HTTP_PROXY": "http://127.0.0.1:9"}
        settings |= {"SMART_SUPPORT_HOST": host} if host else {}
        assert subprocess.run(command, env={**os.environ, **settings}, check=False).returncode == 0
        listening.shutdown()
