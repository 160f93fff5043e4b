"""`lamplighter post`, `answer` and `bounce`, as people type them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet_fixtures import Films, a_request, ask, change, put_film
from lamplighter.cli.app import app
from lamplighter.desk.desk import Desk
from mailpit_fixtures import give_addresses, mail_settings
from pipeline.errors import ConfigError, Conflict, LamplighterError, NotFound
from simulation.mailpit import Mailpit

Run = Callable[..., Any]


@pytest.fixture
def run(desk: Desk, mailpit: Mailpit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command over the desk's data with --json; return its document, or raise its error."""
    settings = mail_settings(mailpit.smtp_port)
    change(desk, mail=settings)
    give_addresses(desk, "olga", "piet", "ruth")
    file = tmp_path / "settings.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.model_dump(mode="json").items()]
    file.write_text("\n".join(["[request]", "max_age_days = 36500", "[batch]", "workers = 0", "[mail]", *lines]))
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words: str, code: int = 0) -> Any:
        words = ("--config", str(file), "--data", str(desk.settings.data), *words)
        result = CliRunner().invoke(app, [*words, "--json"])
        if isinstance(result.exception, LamplighterError):
            raise result.exception
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return call


def link(mailpit: Mailpit, owner: str) -> str:
    name = next(one["ID"] for one in mailpit.messages() if one["To"][0]["Address"].startswith(f"{owner}@"))
    lines = mailpit.message(name)["Text"].splitlines()
    return str(next(line.strip() for line in lines if "/answer/" in line))


def test_letters_go_out_are_answered_by_their_link_and_each_link_acts_once(
    desk: Desk, run: Run, mailpit: Mailpit, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    request = ask(desk, a_request())
    assert run("post") == {"sent": {"ask": 3}, "silent": {}, "refused": 0, "waiting": 0}
    asked = link(mailpit, "piet")
    shown = run("answer", "--link", asked)
    assert shown == run("answer", "--link", asked.rpartition("/")[2])
    assert (shown["owner"], shown["word"], len(shown["clips"])) == ("piet", None, 1)
    said = run("answer", "--link", asked, "--share-all", "--disclose", "block", "--note", "It was at seven.")
    assert (said["word"], said["clips"], said["revision"]) == ("shared", [shown["clips"][0]["clip"]], 1)
    with pytest.raises(Conflict, match="link: it acted before"):
        run("answer", "--link", asked, "--decline")
    run("post")
    assert run("answer", "--link", link(mailpit, "piet"))["word"] == "shared"
    assert run("answer", "--link", link(mailpit, "piet"), "--withdraw")["word"] == "withdrew"
    assert run("answer", "--link", link(mailpit, "ruth"), "--opt-out") == {"owner": "ruth", "word": "opted out"}
    assert [one.word for one in desk._holdings.catalog.cases.decisions(request.id).values()] == ["withdrew"]


def test_a_link_that_is_none_and_options_that_contradict_each_other_are_refused(
    desk: Desk, run: Run, mailpit: Mailpit
) -> None:
    ask(desk, a_request())
    run("post")
    with pytest.raises(NotFound, match="link: it is not one of yours"):
        run("answer", "--link", "0" * 64, "--decline")
    for words in (("--decline", "--withdraw"), ("--share", "c", "--share-all")):
        with pytest.raises(ConfigError, match="wanted one of"):
            run("answer", "--link", link(mailpit, "piet"), *words)
    with pytest.raises(ConfigError, match="nothing moved"):
        run("answer", "--link", link(mailpit, "piet"), "--share-all")
    with pytest.raises(ConfigError, match="--disclose"):
        run("answer", "--link", link(mailpit, "piet"), "--share", "c", "--disclose", "everything")
    with pytest.raises(NotFound, match="clip c"):
        run("answer", "--link", link(mailpit, "piet"), "--share", "c")


def test_a_bounce_is_noted_by_the_address_it_came_back_to(desk: Desk, run: Run, mailpit: Mailpit) -> None:
    request = ask(desk, a_request())
    run("post", "--for", "1s")
    found = next(one for one in mailpit.messages() if one["To"][0]["Address"].startswith("piet@"))
    path = mailpit.message(found["ID"])["ReturnPath"]
    assert run("bounce", path) == {"request": request.id, "owner": "piet", "kind": "ask"}
    with pytest.raises(NotFound, match="no letter of ours"):
        run("bounce", "someone@example.org")


def test_an_address_the_server_refuses_is_told_by_the_exit_code(desk: Desk, run: Run, mailpit: Mailpit) -> None:
    ask(desk, a_request())
    mailpit.set_chaos(Recipient=(550, 100))
    assert run("post", code=1)["refused"] == 3


def test_without_a_mail_server_in_the_settings_it_says_which_is_missing(desk: Desk) -> None:
    ask(desk, a_request())
    with pytest.raises(ConfigError, match=r"mail\.host is not set"):
        desk.post()
