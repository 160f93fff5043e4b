"""Letters on their way: each owner is written to once, whoever is killed when, and nobody learns what owners do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stamina

from fleet_fixtures import Films, a_request, answer, approve, as_owner, ask, change, put_film, submit
from lamplighter.desk.desk import Desk
from mailpit_fixtures import give_addresses, mail_settings
from pipeline.case.letter import Letter
from pipeline.case.request import Request
from pipeline.clip import Owner
from pipeline.errors import ConfigError, Conflict, MailRefused, MailUnavailable, NotFound
from pipeline.span import NS
from simulation.mailpit import Mailpit
from storage.catalog.outbox import Outbox
from workers.post import return_path

DAY_NS = 86_400 * NS
ASKED = ("olga", "piet", "ruth")


@pytest.fixture
def posting(desk: Desk, mailpit: Mailpit) -> Desk:
    """A desk whose three owners who are asked have an address, and a server that takes their letters."""
    change(desk, mail=mail_settings(mailpit.smtp_port))
    give_addresses(desk, *ASKED)
    return desk


def mails(mailpit: Mailpit) -> Counter[str]:
    """Return how many mails each owner got."""
    return Counter(one["To"][0]["Address"].partition("@")[0] for one in mailpit.messages())


def texts(mailpit: Mailpit, owner: str) -> list[str]:
    """Return the texts of an owner's mails, the last first."""
    mine = [one["ID"] for one in mailpit.messages() if one["To"][0]["Address"].startswith(f"{owner}@")]
    return [mailpit.message(name)["Text"].replace("\r\n", "\n") for name in mine]


def letters(desk: Desk, request: Request) -> dict[str, Letter]:
    return {one.name: one for one in desk._holdings.catalog.cases.letters(request=request.id)}


def let_pass(desk: Desk, request: Request, days: float) -> None:
    """Let days pass for a request: its steps and letters were so much earlier."""
    archive, back_ns = desk._holdings.archive, int(days * DAY_NS)
    for step in list(archive.steps.all(f"{request.id}/")):
        until_ns = None if step.until_ns is None else step.until_ns - back_ns
        archive.steps.put(replace(step, at_ns=step.at_ns - back_ns, until_ns=until_ns))
    for letter in list(archive.letters.all(f"{request.id}/")):
        archive.letters.put(replace(letter, due_ns=letter.due_ns - back_ns))
    desk.rebuild()


def test_every_owner_with_an_address_is_asked_once_and_who_has_none_is_counted(posting: Desk, mailpit: Mailpit) -> None:
    posting.import_owners([Owner("ruth")])
    request = ask(posting, a_request())
    posted = posting.post()
    assert (posted.sent, posted.silent, posted.waiting) == ({"ask": 2}, {"no address": 1}, 0)
    assert posting.post().document() == {"sent": {}, "silent": {}, "refused": 0, "waiting": 0}
    assert mails(mailpit) == {"olga": 1, "piet": 1}
    told = letters(posting, request)
    assert told["ruth/ask-0"].failed == "no address"
    assert all(told[f"{name}/ask-0"].sent_ns for name in ("olga", "piet"))


def test_owners_are_asked_whether_or_not_anything_moved_with_the_same_words(posting: Desk, mailpit: Mailpit) -> None:
    ask(posting, a_request())
    posting.post()
    said = {re.sub(r"https://\S+", "LINK", texts(mailpit, owner)[0]) for owner in ("piet", "ruth")}
    assert len(said) == 1


def test_an_owner_is_written_to_in_their_own_language(posting: Desk, mailpit: Mailpit) -> None:
    give_addresses(posting, "piet", language="de-AT")
    ask(posting, a_request())
    posting.post()
    assert texts(mailpit, "piet")[0].startswith("Guten Tag")
    assert texts(mailpit, "ruth")[0].startswith("Hello")


def test_only_who_is_silent_is_reminded_once_and_only_while_it_is_open(posting: Desk, mailpit: Mailpit) -> None:
    request = ask(posting, a_request())
    posting.post()
    answer(posting, request, "olga", share=())
    as_owner(posting, "ruth").opt_out("ruth")
    let_pass(posting, request, 6)
    posted = posting.post()
    assert posted.sent == {"answered": 1, "remind": 1}
    assert posted.silent == {"answered": 1, "opted out": 1}
    posting.post()
    assert mails(mailpit) == {"olga": 2, "piet": 2, "ruth": 1}


def test_nobody_is_reminded_of_a_closed_request(posting: Desk, mailpit: Mailpit) -> None:
    request = ask(posting, a_request())
    posting.post()
    let_pass(posting, request, 20)
    assert posting.post().silent == {"closed": 3}
    assert mails(mailpit) == dict.fromkeys(ASKED, 1)


def test_while_a_request_is_held_its_letters_wait(posting: Desk, mailpit: Mailpit) -> None:
    request = ask(posting, a_request())
    posting.acting_for("rita").hold(request)
    assert posting.post().waiting == 3
    assert not mailpit.count()
    posting.acting_for("rita").hold(request, lift=True)
    assert posting.post().sent == {"ask": 3}


def test_who_opts_out_before_the_letter_leaves_gets_none(posting: Desk, mailpit: Mailpit) -> None:
    ask(posting, a_request())
    as_owner(posting, "piet").opt_out("piet")
    assert posting.post().silent == {"opted out": 1}
    assert mails(mailpit) == {"olga": 1, "ruth": 1}


def test_an_answer_is_confirmed_and_what_left_is_told_its_owner_alone(
    posting: Desk, mailpit: Mailpit, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    posting.ingest([str(tmp_path / "in")])
    request = ask(posting, a_request())
    posting.post()
    answer(posting, request, "piet", share=None)
    assert posting.post().sent == {"answered": 1}
    assert "You share 1 of your clips." in texts(mailpit, "piet")[0]
    posting.deliver(request)
    assert posting.post().sent == {"released": 1}
    assert "ask-1, 2026-01-31 18:00:00" in texts(mailpit, "piet")[0]
    posting.deliver(request)
    assert not posting.post().sent
    assert mails(mailpit) == {"olga": 1, "piet": 3, "ruth": 1}


def test_of_two_answers_the_last_is_confirmed(posting: Desk, mailpit: Mailpit) -> None:
    request = ask(posting, a_request())
    posting.post()
    answer(posting, request, "piet", share=())
    as_owner(posting, "piet").withdraw(request, "piet")
    posted = posting.post()
    assert (posted.sent, posted.silent) == ({"answered": 1}, {"answered anew": 1})
    assert "You took your answer back" in texts(mailpit, "piet")[0]


def test_a_bounce_is_a_silence_and_its_owner_is_not_reminded(posting: Desk, mailpit: Mailpit) -> None:
    request = ask(posting, a_request())
    posting.post()

    def seen() -> dict[str, object]:
        return {**posting.acting_for("otto").case(request.id).document(), "as_of": ""}

    before = seen()
    letter = letters(posting, request)["piet/ask-0"]
    path = return_path(letter, posting.settings.mail)
    assert posting.bounce(path).failed == "came back"
    assert posting.bounce(f"<{path}>") == letters(posting, request)["piet/ask-0"]
    assert seen() == before
    let_pass(posting, request, 6)
    assert posting.post().silent == {"came back": 1}
    assert mails(mailpit) == {"olga": 2, "piet": 1, "ruth": 2}
    for stranger in ("", "nobody@example.org", f"bounces+{'0' * 32}@lamps.example"):
        with pytest.raises(NotFound, match="no letter of ours"):
            posting.bounce(stranger)


def test_an_address_that_cannot_be_costs_its_own_letter_alone(posting: Desk, mailpit: Mailpit) -> None:
    with pytest.raises(ConfigError, match="owner piet: no mail can be written"):
        posting.import_owners([Owner("piet", mail="pi..et@example.org")])
    posting._holdings.catalog.put_owners([Owner("piet", mail="pi..et@example.org")])  # as an earlier version took it
    ask(posting, a_request())
    assert posting.post().silent == {"no such address": 1}
    assert mails(mailpit) == {"olga": 1, "ruth": 1}


def test_a_server_that_says_later_half_of_the_time_loses_nothing(posting: Desk, mailpit: Mailpit) -> None:
    ask(posting, a_request())
    mailpit.set_chaos(Sender=(451, 25), Recipient=(451, 25))
    runs = [posting.post()]
    while runs[-1].waiting:
        runs.append(posting.post())
    assert sum(run.sent["ask"] for run in runs) == 3
    assert mails(mailpit) == dict.fromkeys(ASKED, 1)


def test_a_server_that_always_says_later_is_left_alone_and_the_letters_wait(
    posting: Desk, mailpit: Mailpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamplighter.desk.post._PAUSE_MOST_S", 0.01)
    ask(posting, a_request())
    mailpit.set_chaos(Recipient=(450, 100))
    assert posting.post().waiting == 3
    mailpit.set_chaos()
    assert posting.post().sent == {"ask": 3}


def test_a_server_that_refuses_everybody_fails_no_letter(
    posting: Desk, mailpit: Mailpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamplighter.desk.post._DOUBTFUL", 3)
    request = ask(posting, a_request())
    mailpit.set_chaos(Recipient=(550, 100))
    with pytest.raises(MailRefused, match="refused 3 addresses"):
        posting.post()
    assert not any(letter.failed for letter in letters(posting, request).values())
    mailpit.set_chaos(Sender=(530, 100))
    with pytest.raises(MailRefused, match="530"):
        posting.post()
    mailpit.set_chaos()
    assert posting.post().sent == {"ask": 3}


def test_a_server_that_is_away_costs_no_letter(posting: Desk, mailpit: Mailpit) -> None:
    ask(posting, a_request())
    change(posting, mail=mail_settings(1))
    with pytest.raises(MailUnavailable, match="does not answer"):
        posting.post()
    change(posting, mail=mail_settings(mailpit.smtp_port))
    assert posting.post().sent == {"ask": 3}


def test_a_run_waits_for_nobody_while_another_sends(posting: Desk, mailpit: Mailpit) -> None:
    ask(posting, a_request())
    with posting._holdings.catalog.cases.outbox.alone() as mine:
        assert mine
        with pytest.raises(Conflict, match="another run"):
            posting.post()
    assert posting.post().sent == {"ask": 3}
    assert mails(mailpit) == dict.fromkeys(ASKED, 1)


def test_letters_of_a_send_that_was_killed_are_sent_by_nobody_until_it_is_done_again(
    posting: Desk, mailpit: Mailpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    request = submit(posting, a_request())
    approve(posting, request)
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "enter", killed)
        with pytest.raises(KeyboardInterrupt):
            posting.send(request)
    assert len(list(posting._holdings.archive.letters.all())) == 6
    posting.rebuild()
    assert posting.post().sent == {}
    posting.send(request)
    assert posting.post().sent == {"ask": 3}
    assert mails(mailpit) == dict.fromkeys(ASKED, 1)


KILLED = """
import os, smtplib, sys
from pathlib import Path
from lamplighter.desk.desk import open_desk
from lamplighter.settings import load
from storage.catalog.outbox import Outbox
from workers.post import Courier
import json

data, port, step, number = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
seen = [0]

def dying(kind, name, *, after):
    method = getattr(kind, name)
    def wrapped(self, *words, **named):
        seen[0] += 1
        if seen[0] == number and not after:
            os._exit(9)
        done = method(self, *words, **named)
        if seen[0] == number:
            os._exit(9)
        return done
    setattr(kind, name, wrapped)

steps = {
    "before it connects": (Courier, "_connect", False),
    "connected": (Courier, "_connect", True),
    "before the mail": (smtplib.SMTP, "data", False),
    "taken, not marked": (Outbox, "mark", False),
    "marked": (Outbox, "mark", True),
    "before the catalogue hears": (Outbox, "index", False),
}
kind, name, after = steps[step]
dying(kind, name, after=after)
mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "lamplighter@lamps.example",
        "base_url": "https://lamps.example", "connections": 1}
with open_desk(load(flags={"data": Path(data), "batch": {"workers": 0}, "mail": mail})) as desk:
    desk.post()
"""


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("before it connects", 1), ("connected", 1), ("before the mail", 2), ("taken, not marked", 2), ("marked", 2),
        ("before the catalogue hears", 1),
    ],
)  # fmt: skip
def test_killed_at_any_step_and_run_again_none_is_missing_and_none_is_sent_twice(
    posting: Desk, mailpit: Mailpit, step: str, number: int
) -> None:
    ask(posting, a_request())
    data = str(posting.settings.data)
    words = [sys.executable, "-c", KILLED, data, str(mailpit.smtp_port), step, str(number)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert ran.returncode == 9, ran.stderr
    posting.post()
    got = mails(mailpit)
    assert set(got) == set(ASKED)
    twice = [owner for owner, count in got.items() if count > 1]
    # Between the server's word and our own nobody can stand: one letter alone, and it is the same mail.
    assert len(twice) == (step == "taken, not marked")
    names = Counter(one["MessageID"] for one in mailpit.messages())
    assert len(names) == 3
    assert not posting.post().sent


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nobody wait for long between two tries."""
    monkeypatch.setattr("lamplighter.desk.post._PAUSE_S", 0.01)
    with stamina.set_testing(True, attempts=5):
        yield
