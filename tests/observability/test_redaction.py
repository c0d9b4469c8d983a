"""Secrets in text: gone in every spelling, and nothing else is."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support import Settings
from smart_support.errors import ConfigError
from smart_support.observability.redaction import Redactor

SECRET = 'sk-Kanarie/+"Vogel\\é=77'
secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=8, max_size=40
)
SPELLINGS = [
    str,
    repr,
    json.dumps,
    lambda one: json.dumps(one, ensure_ascii=False),
    lambda one: json.dumps({"error": json.dumps({"key": one})}),
    lambda one: json.dumps(repr(one)),
    lambda one: repr(one.encode()),
    quote,
    quote_plus,
    lambda one: quote(one, safe="").lower() if one.isascii() and one.islower() else quote(one, safe=""),
    html.escape,
    lambda one: one.encode().hex(),
    lambda one: base64.b64encode(one.encode()).decode(),
    lambda one: base64.urlsafe_b64encode(f"a user:{one}".encode()).decode(),
    lambda one: base64.b64encode(f"ab{one}cd".encode()).decode(),
    lambda one: f"{one[:5]}\n{one[5:]}",
    lambda one: f"{one[:5]}\\n  {one[5:]}",
    lambda one: f"ValueError: Illegal header value b'{one}'",
]


@pytest.mark.parametrize("spell", SPELLINGS)
@given(secret=secrets, before=st.text(max_size=5), after=st.text(max_size=5))
def test_no_spelling_of_a_known_secret_stays(
    spell: Callable[[str], str], secret: str, before: str, after: str
) -> None:
    redactor = Redactor()
    redactor.hide(secret)
    told = redactor.redacted(before + spell(secret) + after)
    assert spell(secret) not in told or len(spell(secret)) < 8
    assert secret not in told
    assert secret not in "".join(told.split())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GET /ws?token=abcd-efgh&a=1 101", "GET /ws?token=***&a=1 101"),
        ("/x?access_token=abcdefgh", "/x?access_token=***"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer ***"),
        ("'authorization': 'Basic dXNlcjpwYXNz'", "'authorization': 'Basic ***'"),
        ("[(b'authorization', b'Bearer abcdefgh')]", "[(b'authorization', b'Bearer ***')]"),
        ('{"X-API-Key": "abcdefgh12"}', '{"X-API-Key": "***"}'),
        ('{\\"api_key\\": \\"abcdefgh12\\"}', '{\\"api_key\\": \\"***\\"}'),
        ("postgresql://me:hunter2@db:5432/x", "postgresql://***@db:5432/x"),
        ("postgresql://me:hun@ter2@db/x", "postgresql://***@db/x"),
        ("redis://:pass@host", "redis://***@host"),
        ("password=hunter22 host=db", "password=*** host=db"),
        ("client_secret%3Dabcdefgh", "client_secret%3D***"),
        ("Cookie: session=abcdef", "Cookie: ***"),
    ],
)
def test_what_a_name_calls_a_secret_goes_known_or_not(text: str, told: str) -> None:
    assert Redactor().redacted(text) == told


@pytest.mark.parametrize(
    "text",
    [
        *(
            "input_tokens=512 output_tokens=20",
            '{"tokens": 12345, "max_tokens": 40000}',
            "https://example.com/a@b",
        ),
        *(
            "idempotency_key=5f0c3a52-6d0b",
            "mail maya@example.com",
            "token_count: 123456",
            "a basic question",
        ),
        *(
            '{"event": "turn_ended", "thread_id": "t", "duration_ms": 12.5}',
            "no token",
            "keyboard: qwertyuiop",
        ),
        "turn_began                     channel=rest request_id=01a22a84-4059-751b-93b1 thread_id=one",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    redactor = Redactor()
    redactor.hide(SECRET)
    assert redactor.redacted(text) == text


def test_every_line_of_a_key_with_lines_is_hidden() -> None:
    redactor = Redactor()
    redactor.hide("-----BEGIN KEY-----\nMIIBVgIBADAN\nBgkqhkiG9w0B\n-----END KEY-----")
    told = redactor.redacted("it says MIIBVgIBADAN and BgkqhkiG9w0B")
    assert told == "it says *** and ***"


@pytest.mark.parametrize(
    "setting", ["api_keys", "database_url", "escalation_webhook_secret", "fallback_api_key", "secret_key"]
)
@pytest.mark.parametrize(
    "odd",
    [
        f"{SECRET}\n",
        f" {SECRET}",
        f"{SECRET}\r\n",
        f"sk-Kanarie\n{SECRET}",
        f"{SECRET}\x00a",
        f"{SECRET}\u2028a",
    ],
)
def test_a_secret_that_could_not_be_sent_is_refused_by_its_name(setting: str, odd: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**{setting: odd})
    assert f"SMART_SUPPORT_{setting.upper()}" in refused.value.message
    assert "Kanarie" not in refused.value.message


def test_so_is_a_providers_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\n")
    with pytest.raises(ConfigError, match=r"^OPENAI_API_KEY: it begins or ends with white space") as refused:
        Settings()
    assert "Kanarie" not in refused.value.message


@pytest.mark.parametrize(
    "given",
    [
        {"escalation_webhook_url": "ftp://user:Kanarie@host/x"},
        {"database_url": "mysql://user:Kanarie@host/x"},
        {"fallback_base_url": "https://user:Kanarie@host"},
        {"secret_key": "Kanarie"},
        {"fallback_api_key": ["Kanarie"]},
        {"api_keys": b"Kanarie\xff"},
    ],
)
def test_no_error_of_a_setting_tells_a_secret(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**given)
    assert "Kanarie" not in refused.value.message
    assert f"SMART_SUPPORT_{next(iter(given)).upper()}" in refused.value.message
