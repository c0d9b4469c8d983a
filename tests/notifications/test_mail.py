"""Mails over a real SMTP server: STARTTLS or nothing, both parts, one id, and no header from outside."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smart_support import clock
from smart_support.notifications import mail
from tests.support.harness import free_port
from tests.support.notifications import BASE, System, email

Make = Callable[..., Awaitable[System]]


class Mailbox:
    """What an SMTP server does with mails.

    Attributes:
        got: the mails, with recipients and whether TLS was used.
        answer: to a recipient or a mail in place of taking it, by the SMTP command.
    """

    def __init__(self) -> None:
        self.got: list[tuple[EmailMessage, list[str], bool]] = []
        self.answer: dict[str, str] = {}
        self.hangs = False

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:  # noqa: N802
        if self.hangs:
            await asyncio.sleep(3600)
        if "RCPT" not in self.answer:
            envelope.rcpt_tos.append(address)
        return self.answer.get("RCPT", "250 OK")

    async def handle_DATA(self, _: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self.answer:
            return self.answer["DATA"]
        parsed = message_from_bytes(envelope.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        self.got.append((parsed, envelope.rcpt_tos, session.ssl is not None))
        return "250 OK"


class Server(Controller):
    """An SMTP server on this machine."""

    def __init__(self, mailbox: Mailbox, **options: Any) -> None:
        self.options = options
        super().__init__(mailbox, hostname="127.0.0.1", port=free_port())

    def factory(self) -> SMTP:
        return SMTP(self.handler, **self.options)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    """The port of a server without TLS."""
    server = Server(mailbox)
    server.start()
    yield server.port
    server.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = clock.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_port(mailbox: Mailbox, certificate: Path) -> Iterator[int]:
    """The port of a server that takes mails after STARTTLS and a login only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def is_known(*given: Any) -> AuthResult:
        data = given[-1]
        return AuthResult(success=(data.login, data.password) == (b"me", b"p4ssword"))

    server = Server(
        mailbox, tls_context=context, require_starttls=True, authenticator=is_known, auth_required=True
    )
    server.start()
    yield server.port
    server.stop()


async def test_it_is_sent_after_starttls_and_a_login(
    system: Make, mailbox: Mailbox, tls_port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    login = {"security": "starttls", "username": "me", "password_env": "P"}
    there = await system(email(tls_port, password="p4ssword", **login))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.error) == ("delivered", None)
    ((sent, recipients, is_encrypted),) = mailbox.got
    assert (recipients, is_encrypted) == (["lead@example.com"], True)
    assert sent["Message-ID"] == f"<{row.notification_id}@example.com>"


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    system: Make, mailbox: Mailbox, tls_port: int
) -> None:
    there = await system(email(tls_port, security="starttls"))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, mailbox.got) == ("waiting", [])


async def test_a_server_without_starttls_gets_nothing(system: Make, mailbox: Mailbox, port: int) -> None:
    there = await system(email(port, security="starttls"))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, mailbox.got) == ("waiting", [])
    assert "STARTTLS" in str(row.error)


async def test_both_parts_have_the_link_and_each_address_gets_its_own(
    system: Make, mailbox: Mailbox, port: int
) -> None:
    there = await system(email(port, to=["a@example.com", "b@example.com"]))
    approval = await there.request()
    await there.deliver()
    links = set()
    for sent, recipients, _ in mailbox.got:
        assert sent["To"] == recipients[0]
        texts = [sent.get_body(("plain",)), sent.get_body(("html",))]
        contents = [text.get_content() for text in texts if text]
        assert all(BASE in content for content in contents)
        token = contents[0].partition("/decide/")[2].split()[0]
        assert f"/decide/{token}" in contents[1]
        links.add(there.links.read(token))
    assert len(links) == 2
    assert {link.approval_id for link in links} == {approval.approval_id}


async def test_no_text_from_outside_makes_a_header_or_markup(
    system: Make, mailbox: Mailbox, port: int
) -> None:
    evil = "x\r\nBcc: all@example.com\r\n\r\n<img src=https://evil.example/x>\u202e\x00"
    there = await system(email(port, details=True))
    await there.request(
        tool=evil, agent=evil, summary=evil, args={evil: evil}, customer_id=evil, approvers=(evil,)
    )
    (row,) = await there.deliver()
    assert row.status == "delivered"
    ((sent, recipients, _),) = mailbox.got
    assert recipients == ["lead@example.com"]
    assert sent["Bcc"] is None
    assert set(sent.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "References"),
        *("MIME-Version", "Content-Type"),
    }
    html = sent.get_body(("html",))
    assert html
    assert "<img" not in html.get_content()
    assert "⟨U+202E⟩" in html.get_content()


async def test_no_line_is_too_long_for_smtp(system: Make, mailbox: Mailbox, port: int) -> None:
    there = await system(email(port, details=True))
    await there.request(tool="x" * 900, args={f"name{number}": "ü" * 4000 for number in range(20)})
    (row,) = await there.deliver()
    assert row.status == "delivered"
    ((sent, _, _),) = mailbox.got
    # RFC 5321, 4.5.3.1.6.
    assert max(map(len, sent.as_bytes().splitlines())) < 998


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ({"RCPT": "550 No such user"}, "failed", "The address was refused (550)."),
        ({"RCPT": "450 Busy"}, "waiting", "The address was refused (450)."),
        ({"DATA": "554 Spam"}, "waiting", "The mail server answered 554."),
    ],
)
async def test_a_refusal_says_why(
    system: Make, mailbox: Mailbox, port: int, answer: dict[str, str], status: str, error: str
) -> None:
    mailbox.answer = answer
    there = await system(email(port))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.error) == (status, error)


async def test_a_server_that_hangs_is_given_up(
    system: Make, mailbox: Mailbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.2)
    mailbox.hangs = True
    there = await system(email(port))
    await there.request()
    (row,) = await there.deliver()
    assert row.status == "waiting"
    assert "0.2 s" in str(row.error)


async def test_a_server_that_is_not_there_is_tried_again(system: Make) -> None:
    there = await system(email(free_port()))
    await there.request()
    (row,) = await there.deliver()
    assert (row.status, row.attempts) == ("waiting", 1)
    assert "can't be reached" in str(row.error)
