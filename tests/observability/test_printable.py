"""Nothing that somebody sends moves a terminal's cursor, forges a log line, or turns one around."""

import logging
import subprocess
import sys
import unicodedata
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.observability.printable import indented, printable
from tests.support.harness import ROOT, AppProcess

FORGED = "2026-01-01T00:00:00Z [info     ] logged_in name=root"
EVIL = f"lee\n{FORGED}\r\x1b[2J\x9b31m\x7f\u202e\u2066\u2028\u200b"
_PROGRAM = """
import logging, sys, threading
from smart_support.observability import log
log.configure(sys.argv[1], "info")
evil = sys.argv[2]
log.get_logger().warning("refused", name=evil, listed=[evil], error=ValueError(evil), place={"name": evil})
log.get_logger().warning(evil)
logging.getLogger("a_library").error("failed: %s", evil, stack_info=True)
for logger in (log.get_logger(), logging.getLogger("uvicorn.error")):
    try:
        raise RuntimeError(evil)
    except RuntimeError:
        logger.exception("broke")
def crash():
    raise RuntimeError(evil)
thread = threading.Thread(target=crash)
thread.start()
thread.join()
crash()
"""


def _is_harmless(text: str) -> bool:
    return all(unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or one == "\n" for one in text)


@given(st.text() | st.text(st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Lo"))))
def test_printable_text_is_one_line_of_characters_that_can_be_seen(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()  # holds no lone surrogate, which no stream takes
    assert all(line.startswith("  ") and line.isprintable() for line in indented(text).split("\n"))


def test_printable_text_stays_as_it_is() -> None:
    assert printable("Zoë, 日本語 and 🙂, \\n") == "Zoë, 日本語 and 🙂, \\n"


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_logger_writes_a_control_character(log_format: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, log_format, EVIL], capture_output=True, cwd=ROOT, check=False
    )
    written = ran.stderr.decode()
    assert written.count("Traceback") == 4
    assert written.count("31m") >= 10
    assert _is_harmless(written)
    assert not [line for line in written.split("\n") if line.startswith(FORGED)]


def test_what_a_client_sends_is_in_the_console_log_without_its_control_characters(tmp_path: Path) -> None:
    with AppProcess(tmp_path / "var", LOG_FORMAT="console", LOG_LEVEL="debug") as app:
        with httpx.Client(base_url=app.url, timeout=30) as client:
            client.post("/login", data={"name": EVIL, "password": EVIL})
            client.get("/api/v1/replay/x%0A%1B%5B2J%E2%80%AEy")
            client.get("/api/v1/nothing/%0A%1B%5B2J%C2%9B")
            client.post("/api/v1/chat", json={"thread_id": "t", "message": EVIL})
            client.post("/gradio_api/call/chat", json={"data": [EVIL, EVIL]})
            client.post("/api/v1/openapi/import", json={"spec": EVIL})
        log = app.log()
    assert "login_refused" in log
    assert _is_harmless(log)
    assert not [line for line in log.split("\n") if line.startswith(FORGED)]


def test_a_record_is_not_changed_for_other_handlers(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("a_library").warning("as %s", "it\nis")
    assert caplog.messages == ["as it\nis"]
