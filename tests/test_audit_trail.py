"""What people and programs do beside deciding is on the audit record: who, through which interface, what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml

from smart_support.__main__ import main
from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded
from tests.support.passwords import hash_password
from tests.support.shop_api import description
from tests.support.stores import named, of_files, state_of

PASSWORD, WRONG = "correct horse", "wrong battery staple"
CI, OPS = "ci-key-1234567890", "ops-key-1234567890"
CUSTOMER, SECRET = "lena.private@example.org", "desk-secret-4711"
RANGE = {"range": "7d"}
Audited = list[dict[str, Any]]


def _users(path: Path, **roles: str) -> None:
    entries = [
        {"name": name, "role": role, "password_hash": hash_password(PASSWORD)} for name, role in roles.items()
    ]
    path.write_text(yaml.safe_dump(entries))


@pytest.fixture
def app(data_dir: Path) -> Iterator[AppProcess]:
    users = data_dir.parent / "users.yaml"
    _users(users, dana="lead", ann="admin")
    with AppProcess(data_dir, USERS_FILE=users, API_KEYS=f"ci:lead:{CI},ops:admin:{OPS}") as running:
        yield running


@pytest.fixture
def command(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in named(data_dir).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: main([*arguments])


def _rows(app: AppProcess, *kinds: str) -> Audited:
    """The audit rows of these kinds, with what is in their details; no secret is in any row."""
    state = state_of(app.data_dir)
    rows = state.execute_now("SELECT * FROM audit ORDER BY number")
    state.close()
    everything = orjson.dumps(rows).decode()
    for secret in (PASSWORD, WRONG, CI, OPS, CUSTOMER, SECRET):
        assert secret not in everything
    return [row | {"detail": orjson.loads(row["detail"])} for row in rows if row["kind"] in kinds]


def _who(rows: Audited) -> list[tuple[str, str, str]]:
    return [(row["kind"], row["actor"], row["via"]) for row in rows]


def _log_in(browser: httpx.Client, name: str, password: str = PASSWORD) -> int:
    return browser.post("/login", data={"name": name, "password": password}).status_code


def _ask(app: AppProcess, key: str, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"X-API-Key": key}
    return httpx.request(method, f"{app.url}/api/v1{path}", headers=headers, timeout=60, **options)


def test_logins_and_bursts_of_refused_ones(app: AppProcess) -> None:
    with httpx.Client(base_url=app.url, headers={"Origin": app.url}, timeout=60) as browser:
        assert [_log_in(browser, "dana", WRONG) for _ in range(6)] == [401] * 5 + [429]
        # A password in the field for the name, and as often as it takes to be slowed down.
        assert [_log_in(browser, WRONG, "?") for _ in range(3)] == [401] * 3
        assert _log_in(browser, "ann") == 200
        browser.post("/logout")
        browser.post("/logout")
    rows = _rows(app, "login_refused", "logged_in", "logged_out")
    assert _who(rows[-2:]) == [("logged_in", "ann", "login"), ("logged_out", "ann", "login")]
    refused = [(row["actor"], row["detail"]["account"], row["detail"]["failures"]) for row in rows[:-2]]
    assert refused == [("anyone", "dana", number) for number in (1, 2, 4)] + [
        ("anyone", None, number) for number in (1, 2)
    ]
    assert all(row["detail"]["address"] == "127.0.0.1" for row in rows[:-2])


def test_exports_and_questions(app: AppProcess, command: Any, capfd: pytest.CaptureFixture[str]) -> None:
    said = _ask(app, CI, "POST", "/chat", json={"thread_id": "t", "message": "Where is order 1042?"})
    assert said.status_code == 200
    for format_ in ("csv", "parquet"):
        exported = _ask(app, CI, "GET", "/analytics/export", params=RANGE | {"format": format_})
        assert exported.status_code == 200
    with httpx.Client(base_url=app.url, headers={"Origin": app.url}, timeout=60) as browser:
        _log_in(browser, "dana")
        door = {"X-Smart-Support-Door": "console"}
        assert browser.get("/api/v1/replay/t/test", headers=door).status_code == 200
    for sql, status in (
        (f"SELECT count(*) AS n FROM events WHERE customer_id = '{CUSTOMER}' -- {CUSTOMER}", 200),
        (f"SELECT * FROM read_csv('{SECRET}')", 422),
    ):
        assert _ask(app, OPS, "POST", "/analytics/sql", json={"sql": sql}).status_code == status
    assert _ask(app, CI, "POST", "/analytics/sql", json={"sql": "SELECT 1"}).status_code == 403
    rows = _rows(app, "analytics_exported", "test_case_exported", "sql_asked")
    assert _who(rows) == [
        ("analytics_exported", "ci", "rest"),
        ("analytics_exported", "ci", "rest"),
        ("test_case_exported", "dana", "console"),
        ("sql_asked", "ops", "rest"),
        ("sql_asked", "ops", "rest"),
    ]
    assert [row["detail"].get("format") for row in rows[:2]] == ["csv", "parquet"]
    assert rows[3]["detail"]["sql"] == "SELECT count ( * ) AS n FROM events WHERE customer_id = ? ?"
    assert command("audit", "export") == 0  # while the app runs
    last = orjson.loads(capfd.readouterr().out.splitlines()[-1])
    assert (last["kind"], last["actor"]) == ("audit_exported", "command line")
    assert command("audit", "verify") == 0


def test_imports_and_their_credentials(app: AppProcess) -> None:
    body = {"spec": description("http://desk.example.org")}
    job_id = _ask(app, OPS, "POST", "/openapi/import", json=body).json()["data"]["job_id"]
    loaded(lambda: _ask(app, OPS, "GET", f"/openapi/jobs/{job_id}").json()["data"])
    job = f"/openapi/jobs/{job_id}"
    secret = {"scheme": "key", "values": {"value": SECRET}}
    entered = _ask(app, OPS, "PUT", f"{job}/credentials", json=secret)
    assert entered.status_code == 200, entered.text
    assert _ask(app, OPS, "POST", f"{job}/remove").status_code == 200
    rows = _rows(app, "credentials_entered", "import_removed")
    assert _who(rows) == [("credentials_entered", "ops", "rest"), ("import_removed", "ops", "rest")]
    assert [row["detail"]["job_id"] for row in rows] == [job_id, job_id]


@of_files
def test_backups_and_what_is_restored(app: AppProcess, data_dir: Path, command: Any) -> None:
    taken = _ask(app, OPS, "POST", "/backup")
    assert taken.status_code == 201, taken.text
    app.stop()
    stopped = data_dir.parent / "stopped"
    assert command("backup", str(stopped)) == 0
    assert command("restore", "--force", str(stopped)) == 0
    rows = _rows(app, "backup_begun", "backup_restored")
    assert _who(rows) == [
        ("backup_begun", "ops", "rest"),
        ("backup_begun", "command line", "command"),
        ("backup_restored", "command line", "command"),
    ]
    assert command("audit", "verify") == 0


def test_users_and_keys_that_a_start_finds_changed(app: AppProcess, data_dir: Path, command: Any) -> None:
    kinds = ("account_added", "account_changed", "account_removed")
    first = _rows(app, *kinds)
    assert [(row["detail"]["name"], row["detail"]["is_person"]) for row in first] == [
        ("ann", True),
        ("ci", False),
        ("dana", True),
        ("ops", False),
    ]
    app.stop()
    users = data_dir.parent / "users.yaml"
    entries = yaml.safe_load(users.read_text())
    entries[0]["role"] = "admin"  # dana
    entries[1] |= {"name": "mia", "role": "lead"}  # ann is gone
    users.write_text(yaml.safe_dump(entries))
    for _ in range(2):  # the second start finds nothing new
        app.start()
        app.stop()
    rows = _rows(app, *kinds)[len(first) :]
    assert {row["actor"] for row in rows} == {"system"}
    assert [(row["kind"], row["detail"]["name"], row["detail"].get("role")) for row in rows] == [
        ("account_removed", "ann", None),
        ("account_changed", "dana", "admin"),
        ("account_added", "mia", "lead"),
    ]
    assert rows[1]["detail"]["role_before"] == "lead"
    assert rows[1]["detail"]["has_new_credential"] is False
    assert command("audit", "verify") == 0
