"""Settings that can't be: each says which variable is wrong and what to do, and nothing starts."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from smart_support import Settings
from smart_support.errors import ConfigError
from smart_support.identity.users import Accounts
from smart_support.settings import unknown_variables
from tests.support.harness import ROOT, AppProcess, free_port, run_python


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, ["SMART_SUPPORT_HOST", "USERS_FILE", "127.0.0.1"]),
        ({"host": "example.com"}, ["SMART_SUPPORT_HOST"]),
        ({"port": 70_000}, ["SMART_SUPPORT_PORT"]),
        ({"model": "gpt-5"}, ["SMART_SUPPORT_MODEL", "openai:"]),
        ({"fallback_model": "gpt-5"}, ["SMART_SUPPORT_FALLBACK_MODEL", "openai:"]),
        ({"fallback_model": "openai:x"}, ["SMART_SUPPORT_FALLBACK_MODEL", "SMART_SUPPORT_MODEL=openai:"]),
        ({"fallback_base_url": "127.0.0.1:80"}, ["SMART_SUPPORT_FALLBACK_BASE_URL", "http://"]),
        (
            {"model": "openai:x", "fallback_model": "openai:y", "fallback_base_url": "http://127.0.0.1/v1"},
            ["SMART_SUPPORT_FALLBACK_API_KEY"],
        ),
        ({"model_timeout_seconds": 0}, ["SMART_SUPPORT_MODEL_TIMEOUT_SECONDS"]),
        ({"budget_usd_per_day": -1}, ["SMART_SUPPORT_BUDGET_USD_PER_DAY"]),
        (
            {"model": "openai:x", "budget_usd_per_day": 5, "model_prices": {"y": (1, 1)}},
            ["SMART_SUPPORT_BUDGET_USD_PER_DAY", "SMART_SUPPORT_MODEL_PRICES", "BUDGET_TOKENS_PER_DAY"],
        ),
        ({"template": "bakery"}, ["SMART_SUPPORT_TEMPLATE", "'saas'", "'fintech'", "bakery"]),
        ({"rate_limit": "lots"}, ["SMART_SUPPORT_RATE_LIMIT", "10/10s"]),
        ({"approval_ttl_seconds": 0}, ["SMART_SUPPORT_APPROVAL_TTL_SECONDS"]),
        ({"session_ttl_seconds": -1}, ["SMART_SUPPORT_SESSION_TTL_SECONDS"]),
        ({"log_level": "loud"}, ["SMART_SUPPORT_LOG_LEVEL"]),
        ({"data_dir": ""}, ["SMART_SUPPORT_DATA_DIR", "set a folder"]),
        ({"data_dir": "what?/var"}, ["SMART_SUPPORT_DATA_DIR", "?", "DuckDB"]),
        ({"root_path": "support"}, ["SMART_SUPPORT_ROOT_PATH", "/support"]),
        ({"root_path": "/a/../b"}, ["SMART_SUPPORT_ROOT_PATH", "/support"]),
        ({"root_path": "/console"}, ["SMART_SUPPORT_ROOT_PATH", "path of the app"]),
        ({"public_url": "support.example.com"}, ["SMART_SUPPORT_PUBLIC_URL", "https://"]),
        ({"public_url": "https://example.com/a"}, ["SMART_SUPPORT_PUBLIC_URL", "SMART_SUPPORT_ROOT_PATH=/a"]),
        (
            {"escalation_webhook_url": "http://[::1/hook"},
            ["SMART_SUPPORT_ESCALATION_WEBHOOK_URL", "https://"],
        ),
        ({"escalation_webhook_url": "http://a:99999/"}, ["SMART_SUPPORT_ESCALATION_WEBHOOK_URL", "https://"]),
        ({"shutdown_seconds": -1}, ["SMART_SUPPORT_SHUTDOWN_SECONDS"]),
        ({"database_url": "mysql://x"}, ["SMART_SUPPORT_DATABASE_URL", "postgresql://"]),
        ({"secret_key": "short"}, ["SMART_SUPPORT_SECRET_KEY", "openssl rand"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(settings: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**settings)
    for word in words:
        assert word in refused.value.message


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ("short", "8"),
        ("dana:lead:short", "8"),
        ("dana:boss:long-enough", "role 'boss'"),
        ("dana:lead:long-enough,dana:lead:long-enough-2", "taken"),
    ],
)
def test_a_wrong_key_is_named_without_showing_it(keys: str, word: str) -> None:
    with pytest.raises(ConfigError, match="SMART_SUPPORT_API_KEYS") as refused:
        Accounts(None, keys)
    assert word in refused.value.message
    assert "long-enough" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- {name: dana, role: lead, password_hash: plain}", "argon2"),
        ("- {name: dana, role: lead}", "password_hash"),
        ("dana: lead", "list"),
        ("[", "YAML"),
    ],
)
def test_a_wrong_users_file_says_what_it_should_be(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        Accounts(path, "")


def test_json_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMART_SUPPORT_MCP_SERVERS", "{not json")
    with pytest.raises(ConfigError, match="SMART_SUPPORT_MCP_SERVERS: is not JSON"):
        Settings()


def test_a_variable_that_means_nothing_is_told_with_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMART_SUPPORT_MODLE", "demo")
    monkeypatch.setenv("SMART_SUPPORT_KEY", "of-the-commands")
    (tmp_path / ".env").write_text("SMART_SUPPORT_DATADIR=x\nSMART_SUPPORT_XYZZY=1\nSMART_SUPPORT_PORT=1\n")
    assert dict(unknown_variables()) == {
        "SMART_SUPPORT_DATADIR": "SMART_SUPPORT_DATA_DIR",
        "SMART_SUPPORT_MODLE": "SMART_SUPPORT_MODEL",
        "SMART_SUPPORT_XYZZY": None,
    }


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (
            "state.sqlite",
            b"no database " * 100,
            ["SMART_SUPPORT_DATA_DIR", "not a database", "restore a backup"],
        ),
        ("shop.sqlite", b"no database " * 100, ["SMART_SUPPORT_DATA_DIR", "not a database"]),
        ("events.duckdb", b"no database " * 1000, ["SMART_SUPPORT_DATA_DIR", "events.duckdb"]),
        ("secret.key", b"no key", ["secret.key", "restore the key file"]),
    ],
)
def test_a_broken_file_of_the_data_folder_is_named_without_a_trace(
    data_dir: Path, file: str, content: bytes, words: list[str]
) -> None:
    data_dir.mkdir()
    (data_dir / file).write_bytes(content)
    with pytest.raises(RuntimeError, match="the app ended with") as ended:
        AppProcess(data_dir).start()
    assert "Traceback" not in str(ended.value)
    for word in ("can't start", *words):
        assert word in str(ended.value)


def test_a_port_in_use_and_a_misspelt_variable_are_told_at_the_start(data_dir: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        app = AppProcess(data_dir, PORT=listening.getsockname()[1], SHUTDOWN_SECOND=3)
        with pytest.raises(RuntimeError, match="SMART_SUPPORT_PORT=") as ended:
            app.start()
    assert "another SMART_SUPPORT_PORT" in str(ended.value)
    assert '"meant": "SMART_SUPPORT_SHUTDOWN_SECONDS"' in str(ended.value)
    assert "Traceback" not in str(ended.value)


def test_the_app_says_plainly_why_it_does_not_start(tmp_path: Path) -> None:
    agents = tmp_path / "agents.yaml"
    agents.write_text("company: X\nfallback: a\nagents:\n  - {name: a, title: A, descripton: typo}\n")
    own = {"SMART_SUPPORT_AGENTS_FILE": str(agents), "SMART_SUPPORT_DATA_DIR": str(tmp_path / "var")}
    ended = run_python("app.py", environment=os.environ | own)
    assert ended.returncode == 1
    assert f"{agents}:4" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_app_is_started_by_its_command_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    own = {"SMART_SUPPORT_DATA_DIR": str(tmp_path / "var"), "SMART_SUPPORT_PORT": str(port)}
    with subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=os.environ | own) as process:
        try:
            health = httpx.HTTPTransport(retries=12)  # with growing waits, until it listens
            with httpx.Client(transport=health, timeout=60) as client:
                assert client.get(f"http://127.0.0.1:{port}/api/v1/health").json()["status"] == "ok"
        finally:
            process.terminate()
        assert process.wait(30) == -signal.SIGTERM  # uvicorn passes it on once it has shut down


def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path, data_dir: Path) -> None:
    with AppProcess(data_dir) as first:
        second = AppProcess(data_dir)
        with pytest.raises(RuntimeError, match="SMART_SUPPORT_DATA_DIR"):
            second.start()
        assert "Traceback" not in second.log()
        assert first.get("/approvals") == []


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7860/support"),
        ("0.0.0.0", "http://127.0.0.1:7860/support"),
        ("::", "http://[::1]:7860/support"),
        ("::1", "http://[::1]:7860/support"),
        ("localhost", "http://localhost:7860/support"),
    ],
)
def test_the_printed_address_can_be_opened(host: str, url: str) -> None:
    assert Settings(host=host, root_path="/support/", api_keys="ci:admin:key").local_url == url


@pytest.mark.parametrize(
    ("public_url", "root_path", "base"),
    [
        ("", "/support", "http://127.0.0.1:7860/support"),
        ("https://example.com/", "", "https://example.com"),
        ("https://example.com", "/support", "https://example.com/support"),
        ("https://example.com/support/", "/support", "https://example.com/support"),
    ],
)
def test_links_begin_with_the_public_address(public_url: str, root_path: str, base: str) -> None:
    assert Settings(public_url=public_url, root_path=root_path).link_base == base
