"""The mailboxes of simulated owners."""

from __future__ import annotations

import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from simulation import mailpit as mailpit_module
from simulation.mailpit import MAILPIT, Mailpit, running


def send(server: Mailpit, *names: str) -> None:
    with smtplib.SMTP(server.host, server.smtp_port) as smtp:
        for name in names:
            address = f"{name}@example.org"
            smtp.sendmail("a@example.org", [address], f"To: {address}\r\n\r\nHello\r\n".encode())


def test_it_keeps_all_it_is_sent_however_much_and_gives_it_page_by_page(
    mailpit: Mailpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailpit_module, "_PAGE", 3)
    names = [f"owner-{n}" for n in range(8)]
    send(mailpit, *names)
    assert mailpit.count() == 8
    assert sorted(one["To"][0]["Address"] for one in mailpit.messages()) == [f"{name}@example.org" for name in names]
    one = mailpit.message(mailpit.messages()[0]["ID"])
    assert (one["Text"].strip(), one["ReturnPath"]) == ("Hello", "a@example.org")
    mailpit.clear()
    assert mailpit.messages() == []


def test_it_refuses_as_it_is_told_and_stops(mailpit: Mailpit) -> None:
    mailpit.set_chaos(Recipient=(451, 100))
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="451"):
        send(mailpit, "olga")
    mailpit.set_chaos()
    send(mailpit, "olga")
    assert mailpit.count() == 1


@pytest.mark.usefixtures("mailpit")
def test_one_that_does_not_come_up_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"(?s)Mailpit ended at once.*no-such-option"),
        running(tmp_path, more=["--no-such-option"]),
    ):
        pass


@pytest.mark.usefixtures("mailpit")
def test_the_command_prints_where_the_binary_is() -> None:
    words = [sys.executable, "-m", "simulation.mailpit"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert ran.stdout == f"{MAILPIT.found()}\n"
