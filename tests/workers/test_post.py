"""The connection to a mail server, against one that answers what a test lets it answer."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import stamina
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from conftest import cannot_run
from mailpit_fixtures import mail_settings
from pipeline.case.letter import Kind, Letter
from pipeline.case.mail import Words
from pipeline.errors import ConfigError, MailRefused, MailUnavailable
from simulation.mailpit import Mailpit
from workers.patience import patiently
from workers.post import Courier, NotNow, Undeliverable, letter_of, message_to, return_path
from workers.settings import MailSettings

LETTER = Letter("r1", "olga", Kind.ASK, 0)


class Server:
    """What a server answers at each station, "" for its usual answer, and what it took."""

    def __init__(self) -> None:
        self.rcpt = self.data = self.mail = ""
        self.taken: list[Envelope] = []
        self.connections = 0

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail:
            return self.mail
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data:
            return self.data
        self.taken.append(envelope)
        return "250 OK"


@contextmanager
def serving(server: Server, **options: Any) -> Iterator[MailSettings]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield mail_settings(port)
    finally:
        controller.stop()


def a_message(settings: MailSettings, *, to: str = "olga@example.org") -> EmailMessage:
    return message_to(
        to, Words("A question", "Grüße\n"), LETTER, settings, language="de", opt_out="https://l.example/o"
    )


def hand_over(courier: Courier, settings: MailSettings, *, to: str = "olga@example.org") -> None:
    courier.send(a_message(settings, to=to), path=return_path(LETTER, settings))


def test_a_mail_is_plain_fetches_nothing_and_says_who_wrote_it_and_how_to_end_it() -> None:
    message = a_message(mail_settings(25))
    assert message.get_content_type() == "text/plain"
    assert message["From"] == "Lamplighter <lamplighter@lamps.example>"
    assert message["Message-ID"] == f"<{LETTER.message_id}@lamps.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] == "<https://l.example/o>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Content-Language"] == "de"
    assert message.as_bytes().isascii()
    assert b"olga" not in str(message["Message-ID"]).encode()


def test_a_long_link_in_a_header_is_neither_folded_nor_coded() -> None:
    link = "https://lamps.example/opt-out/" + "a" * 200
    message = message_to("o@e.org", Words("A", "b\n"), LETTER, mail_settings(25), language="en", opt_out=link)
    assert f"List-Unsubscribe: <{link}>\r\n".encode() in message.as_bytes()


@pytest.mark.parametrize("field", ["subject", "to", "link"])
def test_nothing_can_add_a_header(field: str) -> None:
    bad = "x\r\nBcc: spy@example.org"
    given = {"subject": "A", "to": "o@e.org", "link": "https://l.example"} | {field: bad}
    with pytest.raises(ValueError, match=r"(?i)linefeed|carriage|header"):
        message_to(
            given["to"], Words(given["subject"], "b\n"), LETTER, mail_settings(25), language="en", opt_out=given["link"]
        )


def test_a_return_path_names_its_letter_and_nothing_else() -> None:
    settings = mail_settings(25)
    path = return_path(LETTER, settings)
    assert letter_of(path) == letter_of(f" <{path}> ") == LETTER.message_id
    assert "olga" not in path
    assert [letter_of(other) for other in ("", "bounces@lamps.example", "a+b@c.example", f"{path}\n{path}")] == [""] * 4


def test_one_connection_takes_many_mails() -> None:
    server = Server()
    with serving(server) as settings:
        courier = Courier(settings, "")
        for _ in range(5):
            hand_over(courier, settings)
        courier.close()
    assert (len(server.taken), server.connections) == (5, 1)
    assert {one.mail_from for one in server.taken} == {return_path(LETTER, settings)}


@pytest.mark.parametrize(
    ("station", "answer", "raised"),
    [
        ("rcpt", "550 no such user", Undeliverable),
        ("data", "554 spam", Undeliverable),
        ("rcpt", "450 greylisted", NotNow),
        ("data", "451 later", NotNow),
        ("mail", "451 later", NotNow),
        ("mail", "550 not you", MailRefused),
        ("rcpt", "421 bye", MailUnavailable),
        ("data", "421 bye", MailUnavailable),
        ("mail", "421 bye", MailUnavailable),
    ],
)
def test_what_a_server_answers_decides_what_becomes_of_the_letter_and_the_next_one_goes(
    station: str, answer: str, raised: type[Exception]
) -> None:
    server = Server()
    with serving(server) as settings:
        courier = Courier(settings, "")
        setattr(server, station, answer)
        with pytest.raises(raised, match=answer[4:]):
            hand_over(courier, settings)
        setattr(server, station, "")
        hand_over(courier, settings)
        courier.close()
    assert len(server.taken) == 1


@pytest.mark.parametrize("station", ["rcpt", "data", "mail"])
@pytest.mark.parametrize("code", [421, 450, 550])
def test_what_a_server_answers_is_told_without_the_address_that_it_repeats(station: str, code: int) -> None:
    server = Server()
    setattr(server, station, f"{code} <olga@example.org>: olga@example.org is over quota")
    with serving(server) as settings:
        courier = Courier(settings, "")
        with pytest.raises((NotNow, Undeliverable, MailUnavailable, MailRefused), match="is over quota") as caught:
            hand_over(courier, settings)
        courier.close()
    assert "olga" not in str(caught.value)


def test_a_server_that_went_away_is_connected_to_again() -> None:
    server = Server()
    with stamina.set_testing(True, attempts=5):
        with serving(server) as settings:
            courier = Courier(settings, "")
            hand_over(courier, settings)
            port = settings.port
        with pytest.raises(MailUnavailable, match=f"127.0.0.1:{port} does not answer"):
            hand_over(courier, settings)
        controller = Controller(server, hostname="127.0.0.1", port=port)
        controller.start()
        try:
            patiently(lambda: hand_over(courier, settings))
        finally:
            courier.close()
            controller.stop()
    assert len(server.taken) == 2


def test_an_address_beyond_ascii_is_refused_by_a_server_that_takes_none_and_taken_by_one_that_does() -> None:
    for able in (False, True):
        server = Server()
        with serving(server, enable_SMTPUTF8=able) as settings:
            courier = Courier(settings, "")
            if able:
                hand_over(courier, settings, to="günther@example.org")
            else:
                with pytest.raises(Undeliverable, match="SMTPUTF8"):
                    hand_over(courier, settings, to="günther@example.org")
            hand_over(courier, settings)
            courier.close()
        assert len(server.taken) == 1 + able


def test_a_server_without_starttls_is_refused_and_told_why() -> None:
    with serving(Server()) as settings:
        courier = Courier(settings.model_copy(update={"security": "starttls"}), "")
        with pytest.raises(MailRefused, match=r"STARTTLS.*mail\.security"):
            hand_over(courier, settings)


def test_a_password_goes_over_an_encrypted_connection_alone(certificate: tuple[str, str]) -> None:
    said: list[bytes] = []

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _kind: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        said.append(data.password)
        return AuthResult(success=data.password == b"right", handled=False)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = Server()
    options = {"tls_context": context, "authenticator": authenticate, "auth_required": True}
    with serving(server, **options) as plain:
        settings = plain.model_copy(
            update={"security": "starttls", "user": "lamps", "ca_file": certificate[0], "host": "localhost"}
        )
        for password, raised in (("right", None), ("wrong", MailRefused)):
            courier = Courier(settings, password)
            if raised is None:
                hand_over(courier, settings)
            else:
                with pytest.raises(raised, match="535"):
                    hand_over(courier, settings)
            courier.close()
        stranger = Courier(settings.model_copy(update={"ca_file": ""}), "right")
        with pytest.raises(MailRefused, match="certificate that is not trusted"):
            hand_over(stranger, settings)
    assert said[0] == b"right"
    assert set(said[1:]) == {b"wrong"}
    assert len(server.taken) == 1
    with pytest.raises(ConfigError, match="never sent in the clear"):
        Courier(plain.model_copy(update={"user": "lamps"}), "right")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of localhost that signs itself, and its key: made by the openssl program."""
    if shutil.which("openssl") is None:
        cannot_run("no openssl to make a certificate with")
    names = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-out", names[0], "-keyout", names[1]]
    subprocess.run(words, check=True, capture_output=True)
    return names


@pytest.mark.parametrize("name", ["host", "sender", "base_url"])
def test_what_sending_takes_is_asked_for_by_its_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"mail.{name} is not set"):
        Courier(mail_settings(25).model_copy(update={name: ""}), "")


def test_a_server_that_refuses_for_a_while_takes_it_later(mailpit: Mailpit) -> None:
    settings = mail_settings(mailpit.smtp_port)
    courier = Courier(settings, "")
    mailpit.set_chaos(Recipient=(451, 100))
    with pytest.raises(NotNow, match="451"):
        hand_over(courier, settings)
    mailpit.set_chaos()
    hand_over(courier, settings)
    courier.close()
    assert [one["MessageID"] for one in mailpit.messages()] == [f"{LETTER.message_id}@lamps.example"]
