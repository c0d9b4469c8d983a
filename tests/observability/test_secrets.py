"""Secrets of a real process: in none of its output, whatever goes wrong, and in no file but their own."""

import asyncio
import base64
import html
import http.server
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import websockets

from smart_support.identity.users import new_key
from smart_support.storage.private_files import make_private_folder, tighten_files
from tests.support.harness import AppProcess, Client, run_python
from tests.support.passwords import hash_password
from tests.support.stores import of_files

MODEL = 'sk-kanarie-model"/+7Q'
SPARE = "sk-kanarie-spare%&7Q"
WEBHOOK = "kanarie-webhook-secret-7Q"
IN_ADDRESS = "kanarie-in-the-address-7Q"
WRONG_KEY = "kanarie-wrong-key-of-nobody-7Q"
COLLECTOR = "kanarie-collector-7Q"


class _Echo(http.server.BaseHTTPRequestHandler):
    """Refuses everything, and repeats what it was given in each way that a careless server would."""

    def do_POST(self) -> None:
        given = self.headers.get("Authorization", "")
        key = given.removeprefix("Bearer ")
        told = {"key": key, "quoted": quote(key), "repr": repr(key), "html": html.escape(key)}
        told["base64"] = base64.b64encode(given.encode()).decode()
        body = json.dumps(
            {"error": {"message": f"Incorrect API key {json.dumps(told)}", "code": key}}
        ).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    admin, kept = new_key()
    return {"admin": admin, "setting": f"boss:admin:{kept}", "kept": kept}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, echo: str, keys: dict[str, str]) -> Iterator[AppProcess]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", MODEL)
        environment.setenv("OPENAI_BASE_URL", f"{echo}/v1")
        environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {COLLECTOR}")
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", echo)
        folder = tmp_path_factory.mktemp("secrets")
        users = folder / "users.yaml"
        users.write_text(
            f"- {{name: dana, role: lead, password_hash: '{hash_password('kanarie-password-7Q')}'}}\n"
        )
        with AppProcess(
            folder / "var",
            **{"MODEL": "openai:gpt-5-mini", "FALLBACK_MODEL": "openai:gpt-5-nano"},
            **{"FALLBACK_API_KEY": SPARE, "FALLBACK_BASE_URL": f"{echo}/v1", "LOG_LEVEL": "debug"},
            **{"ESCALATION_WEBHOOK_URL": f"{echo}/hook/{IN_ADDRESS}", "ALLOWED_HOSTS": "127.0.0.1"},
            **{"ESCALATION_WEBHOOK_SECRET": WEBHOOK, "API_KEYS": keys["setting"], "USERS_FILE": users},
        ) as running:
            yield running


def _provoke(app: AppProcess, admin: str) -> list[str]:
    """What is answered where keys are wrong, models refuse, and requests are broken."""
    with httpx.Client(base_url=f"{app.url}/api/v1", headers={"X-API-Key": admin}, timeout=60) as http:
        told = [http.post("/chat", json={"message": "hello", "thread_id": f"t{n}"}).text for n in range(3)]
        for path in ("/health", "/metrics", "/escalations", "/replay/t0"):
            told.append(http.get(path).text)
        told.append(http.get("/conversations", headers={"X-API-Key": WRONG_KEY}).text)
        told.append(http.get(f"/conversations?token={WRONG_KEY}", headers={"X-API-Key": ""}).text)
        bearer = {"Authorization": f"Bearer {WRONG_KEY}"}
        told.append(http.post("/chat", content=b"{", headers=bearer).text)
        told.append(http.post("/analytics/sql", json={"sql": "SELECT * FROM events"}).text)
    login = {"name": "dana", "password": "kanarie-password-7Q"}
    told.append(httpx.post(f"{app.url}/login", data=login, headers={"Origin": app.url}, timeout=60).text)
    return told


async def test_no_output_and_no_file_holds_a_secret(app: AppProcess, keys: dict[str, str]) -> None:
    told = await asyncio.to_thread(_provoke, app, keys["admin"])
    for token in (keys["admin"], WRONG_KEY, quote(WRONG_KEY + "&%")):
        try:
            async with await Client.connect(f"{app.ws_url}?token={token}") as client:
                await client.turn("socket", "hello")
                told.append(str(client.seen))
        except (websockets.WebSocketException, TimeoutError):
            continue
    app.stop()
    try:
        output = app.log()
        assert "model_failed" in output or "401" in output  # so that there was something to hide
        secrets = [MODEL, SPARE, WEBHOOK, IN_ADDRESS, WRONG_KEY, COLLECTOR, keys["admin"], "kanarie-password"]
        for secret in secrets:
            for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), html.escape(secret)):
                assert spelling not in output, f"{spelling} is in the output"
                assert not [text for text in told if spelling in text], f"{spelling} is in an answer"
            core = base64.b64encode(secret.encode()).decode()[1:-4]
            assert core not in output
        for path in filter(Path.is_file, app.data_dir.rglob("*")):
            content = path.read_bytes()
            assert not [one for one in secrets if one.encode() in content], path
    finally:
        app.start()


def _modes(folder: Path) -> dict[str, str]:
    """What may be read by others: nothing, if all is well."""
    found = {str(path): oct(stat.S_IMODE(path.lstat().st_mode)) for path in (folder, *folder.rglob("*"))}
    return {name: mode for name, mode in found.items() if int(mode, 8) & 0o077}


@of_files
def test_all_that_a_process_keeps_is_private_also_what_was_not(tmp_path: Path) -> None:
    """With the mask that most systems give, and files of an older version."""
    data_dir = tmp_path / "var"
    data_dir.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        with AppProcess(data_dir) as app:
            app.post("/chat", {"message": "Please cancel order 1042"})
        for path in (data_dir, *data_dir.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        old = data_dir / "backups" / "2025" / "state.sqlite"
        old.parent.mkdir(parents=True)
        old.write_bytes(b"old")
        with AppProcess(data_dir) as app:
            app.post("/chat", {"message": "Where is my order 1043?"})
            assert app.post("/backup", {}).status_code == 201
            assert app.post("/analytics/sql", {"sql": "SELECT 1"}).status_code == 200
            assert httpx.get(f"{app.url}/api/v1/analytics/export", timeout=60).status_code == 200
            assert _modes(data_dir) == {}
            assert old.stat().st_mode & 0o777 == 0o600
        assert _modes(data_dir) == {}
        taken = next(path for path in (data_dir / "backups").iterdir() if path.name != "2025")
        environment = os.environ | {"SMART_SUPPORT_DATA_DIR": str(tmp_path / "restored")}
        for path in taken.iterdir():
            path.chmod(0o644)
        run_python(
            *("-m", "smart_support", "restore", str(taken)), environment=environment
        ).check_returncode()
        assert _modes(tmp_path / "restored") == {}
    finally:
        os.umask(before)


def test_a_folder_that_is_everybodys_and_what_is_not_ours_stay_as_they_are(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    other, link, ours = shared / "other.txt", shared / "state.sqlite.link", shared / "state.sqlite"
    other.write_text("x")
    other.chmod(0o644)
    link.symlink_to(other)
    ours.write_text("x")
    ours.chmod(0o644)
    make_private_folder(shared)
    tighten_files(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert stat.S_IMODE(other.stat().st_mode) == 0o644
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SMART_SUPPORT_FALLBACK_API_KEY", "kanarie-spare\n"),
        ("SMART_SUPPORT_ESCALATION_WEBHOOK_SECRET", "kanarie\nsecret"),
        ("SMART_SUPPORT_DATABASE_URL", "postgresql://me:kanarie-7Q@127.0.0.1:1/x"),
        ("SMART_SUPPORT_DATABASE_URL", "postgresql://me:kanarie-7Q@[::1/x"),
        ("SMART_SUPPORT_DATABASE_URL", "postgresql://me:kan@arie-7Q@127.0.0.1:port/x"),
        ("SMART_SUPPORT_API_KEYS", "boss:admin:kan"),
        ("SMART_SUPPORT_SECRET_KEY", "kanarie-7Q"),
        ("OPENAI_API_KEY", "sk-kanarie\n"),
    ],
)
def test_a_start_that_fails_names_the_setting_and_not_its_value(
    tmp_path: Path, variable: str, value: str
) -> None:
    environment = {name: one for name, one in os.environ.items() if "SMART_SUPPORT" not in name}
    environment |= {"SMART_SUPPORT_DATA_DIR": str(tmp_path / "var"), variable: value}
    ended = run_python("app.py", environment=environment)
    assert ended.returncode != 0
    assert variable in ended.stderr
    assert "kan" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
