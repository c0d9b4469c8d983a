"""Mails over SMTP, as plain text and HTML."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

import aiosmtplib
from jinja2 import Environment

from smart_support import clock
from smart_support.notifications.messages import Message
from smart_support.notifications.sending import TIMEOUT_SECONDS, DeliveryFailed, Outgoing
from smart_support.notifications.targets import EmailSpec
from smart_support.outbound.client import trusted_authorities

_HTML = Environment(autoescape=True).from_string(
    Path(__file__).with_name("mail.html").read_text(encoding="utf-8")
)
_PERMANENT = range(500, 600)


class MailSender:
    """Sends mails to the addresses of one target.

    A mail server is the operator's own setting and no HTTP, so its address is not checked.
    """

    concurrency = 1
    is_for_people = True

    def __init__(self, spec: EmailSpec, password: str) -> None:
        self._spec = spec
        self._password = password

    async def send(self, outgoing: Outgoing) -> None:
        """See `Sender`."""
        spec = self._spec
        try:
            await aiosmtplib.send(
                mail_of(outgoing, spec.sender),
                sender=spec.sender,
                recipients=[outgoing.recipient],
                hostname=spec.host,
                port=spec.port,
                username=spec.username,
                password=self._password or None,
                # True means that a server without STARTTLS is refused.
                start_tls=spec.security == "starttls",
                use_tls=spec.security == "tls",
                tls_context=None if spec.security == "none" else trusted_authorities(),
                timeout=TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            is_final = all(code in _PERMANENT for code in codes)
            raise DeliveryFailed(f"The address was refused ({codes[0]}).", is_final=is_final) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            raise DeliveryFailed(f"The mail server refused the login ({error.code}).") from None
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryFailed(f"The mail server answered {error.code}.") from None
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            raise DeliveryFailed(f"No answer of the mail server within {TIMEOUT_SECONDS:g} s.") from None
        except aiosmtplib.SMTPConnectError:
            raise DeliveryFailed("The mail server can't be reached, or has no trusted certificate.") from None
        except (aiosmtplib.SMTPException, OSError):
            raise DeliveryFailed("The mail server can't be used; it may offer no STARTTLS.") from None

    async def close(self) -> None:
        """See `Sender`: each mail has a connection of its own."""


def mail_of(outgoing: Outgoing, sender: str) -> EmailMessage:
    """The mail. Nothing in a header has a line break: every text is one line."""
    message, domain = outgoing.message(), sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = f"Smart Support <{sender}>", outgoing.recipient
    mail["Subject"] = message.title
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = f"<{outgoing.id}@{domain}>"
    # RFC 3834: no mail server answers it by itself.
    mail["Auto-Submitted"] = "auto-generated"
    if len(outgoing.notices) == 1 and (approval_id := outgoing.notices[0].facts.get("approval_id")):
        # Mail programs show the mails about one approval together.
        mail["References"] = f"<{approval_id}@{domain}>"
    mail.set_content(_text_part(message))
    mail.add_alternative(_HTML.render(message=message), subtype="html")
    return mail


def _text_part(message: Message) -> str:
    lines = [message.title, ""]
    lines += [f"{name}: {value}" for name, value in message.lines]
    lines += [""] if message.lines else []
    lines += [f"{text}:\n{address}" for text, address in message.links]
    lines += ["", message.note] if message.note else []
    return "\n".join([*lines, ""])
