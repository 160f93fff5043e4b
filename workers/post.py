"""Mail on its way: a message as owners get it, and the connection by which a server takes it.

A server that is away or asks to wait costs patience, not letters; what it refuses for good is one address's alone.
"""

from __future__ import annotations

import os
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, formataddr
from pathlib import Path
from typing import Final

from pipeline.case.letter import Letter
from pipeline.case.mail import Words
from pipeline.errors import ConfigError, MailRefused, MailUnavailable
from storage.access import SMTP_PASSWORD
from workers.settings import MailSettings

_BYE: Final = 421  # the code of a server that ends the connection
_ADDRESS: Final = re.compile(r"<?[^\s<>@]+@[^\s<>@]+>?")
_MARK: Final = re.compile(r"[^@]*\+([0-9a-f]{32})@[^@]*")


class _Unfolded(EmailPolicy):
    """Headers as they are, on one line: the library would write a long address in a coded form that few readers know.

    And folding takes a third of the time of a letter. What is not ASCII is left to the library.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return a header as it is sent."""
        text = str(value)
        return f"{name}: {text}{self.linesep}".encode() if text.isascii() else super().fold_binary(name, value)


_POLICY: Final = _Unfolded(linesep="\r\n", max_line_length=900)


class Undeliverable(Exception):  # noqa: N818 - what becomes of one letter, told to nobody but whoever sends it
    """The server will never take this letter: its text is the server's answer."""


class NotNow(Exception):  # noqa: N818
    """The server does not take this letter now; another try may do."""


def message_to(
    address: str, words: Words, letter: Letter, settings: MailSettings, *, language: str, opt_out: str = ""
) -> EmailMessage:
    """Return the mail of a letter: plain text, nothing that is fetched when it is read, the same Message-ID each time.

    `opt_out`: the https address that takes a POST by which the owner opts out (RFC 8058), "" for none.
    """
    message = mail_to(address, words, letter.message_id, settings, language=language)
    if opt_out:
        message["List-Unsubscribe"] = f"<{opt_out}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return message


def mail_to(
    address: str, words: Words, name: str, settings: MailSettings, *, language: str, still: bytes | None = None
) -> EmailMessage:
    """Return a mail of ours, `name` the left part of its Message-ID; `still`: a JPEG that goes along with it."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = formataddr((settings.name, settings.sender))
    message["To"] = address
    message["Subject"] = words.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{name}@{settings.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    # 7 bits on the way: no server has to change it, and its signature holds.
    message.set_content(words.text, cte="quoted-printable")
    message["Content-Language"] = language
    if still is not None:
        message.add_attachment(still, maintype="image", subtype="jpeg", filename="still.jpg")
    return message


def send_alone(message: EmailMessage, settings: MailSettings) -> None:
    """Send a mail that waits for no other, on a connection of its own. Raises as `Courier` and its `send` do."""
    courier = Courier(settings, os.environ.get(SMTP_PASSWORD, ""))
    try:
        courier.send(message, path=settings.return_address)
    finally:
        courier.close()


def return_path(letter: Letter, settings: MailSettings) -> str:
    """Return the address that this letter comes back to when it cannot be delivered; it tells nothing of the letter."""
    name, _, domain = settings.return_address.rpartition("@")
    return f"{name}+{letter.message_id}@{domain}"


def letter_of(path: str) -> str:
    """Return the Message-ID (its left part) in a return path, "" for an address that is none."""
    found = _MARK.fullmatch(path.strip().strip("<>"))
    return found[1] if found else ""


class Courier:
    """A connection to the mail server, opened when it is first needed and used for one letter after another.

    One thread has it at a time. Raises ConfigError where the settings lack what sending takes.
    """

    def __init__(self, settings: MailSettings, password: str) -> None:
        for name in ("host", "sender", "base_url"):
            if not getattr(settings, name):
                raise ConfigError(
                    f"mail.{name} is not set, without which nobody can be written to: set {name} under [mail] in the "
                    "settings file"
                )
        if settings.user and not password:
            raise ConfigError("mail.user is set and LAMPLIGHTER_SMTP_PASSWORD is not; the password comes from there")
        if settings.user and settings.security == "none":
            raise ConfigError('mail.user is set and mail.security is "none": a password is never sent in the clear')
        self._settings, self._password = settings, password
        self._trusted = None if settings.security == "none" else _trusted(settings.ca_file)
        self._server: smtplib.SMTP | None = None
        self._where = f"the mail server at {settings.host}:{settings.port}"

    def send(self, message: EmailMessage, *, path: str) -> None:
        """Hand a mail over, with the return path `path`; when this returns, the server has taken it.

        Raises Undeliverable and NotNow for this letter alone; MailUnavailable when the server does not answer or ends
        the connection, MailRefused when it takes nothing at all from us.
        """
        with self._told():
            server = self._server or self._connect()
            server.send_message(message, from_addr=path, to_addrs=[str(message["To"])])

    def close(self) -> None:
        """End the connection."""
        if self._server is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._server.quit()
            self._drop()

    def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _connect(self) -> smtplib.SMTP:
        settings, trusted = self._settings, self._trusted
        if settings.security == "tls":
            self._server = smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=trusted)
        else:
            self._server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        try:
            if settings.security == "starttls":
                self._server.starttls(context=trusted)
            if settings.user:
                self._server.login(settings.user, self._password)
        except smtplib.SMTPNotSupportedError as error:
            self._drop()
            raise MailRefused(f"{self._where}: {error}; set mail.security or mail.port otherwise") from error
        return self._server

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what smtplib raises into what is done about it, and forget a connection that is of no use any more."""
        where = self._where
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise self._of_letter(code, said) from error
        except smtplib.SMTPDataError as error:
            raise self._of_letter(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            # An address with letters beyond ASCII, which not every server takes.
            raise Undeliverable(f"{error}") from error
        except smtplib.SMTPResponseException as error:  # a greeting, a login, a sender
            answer = f"{where} answered {error.smtp_code} {_text(error.smtp_error)}"
            of_sender = isinstance(error, smtplib.SMTPSenderRefused)
            if 400 <= error.smtp_code < 500 and of_sender and error.smtp_code != _BYE:
                raise NotNow(answer) from error
            self._drop()
            if 500 <= error.smtp_code < 600:
                raise MailRefused(f"{answer}; look at mail.user, mail.sender and the password") from error
            raise MailUnavailable(answer) from error
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise MailRefused(
                f"{where} shows a certificate that is not trusted ({error.verify_message}); "
                "set mail.ca_file to its issuer's"
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise MailUnavailable(f"{where} does not answer: {error}") from error

    def _of_letter(self, code: int, said: bytes | str) -> Exception:
        told = f"{code} {_text(said)}"
        if code == _BYE:
            self._drop()
            return MailUnavailable(f"{self._where} answered {told}")
        return NotNow(told) if 400 <= code < 500 else Undeliverable(told)


def _trusted(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(Path(ca_file).expanduser()) if ca_file else None)
    except OSError as error:
        raise ConfigError(f"mail.ca_file: {ca_file} cannot be read: {error}") from error


def _text(said: bytes | str) -> str:
    """Return a server's answer as it may be logged: one line, without the addresses that servers like to repeat."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return _ADDRESS.sub("(an address)", " ".join(text.split()))[:200]
