"""`lamplighter alerts`, as owners type it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alert_fixtures import Hook, reply, told
from typer.testing import CliRunner

from fleet_fixtures import staff
from lamplighter.cli.app import app
from lamplighter.desk.desk import Desk
from pipeline.errors import ConfigError, LamplighterError, NotAllowed, NotFound, RequestRefused

Run = Callable[..., Any]


@pytest.fixture
def run(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `alerts` over the desk's data; return its document with --json, its text without, or raise its error."""
    file = tmp_path / "settings.toml"
    file.write_text("[alert]\nhttp_loopback = true\ncap = 7\n")
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["--config", str(file), "--data", str(desk.settings.data), "alerts", *words])
        if isinstance(result.exception, LamplighterError):
            raise result.exception
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words else result.stdout

    return call


def test_an_alert_is_set_shown_tried_and_turned_off(run: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", hook.url)
    who = ("ask-1", "--as", "piet", "--json")
    made = run("set", *who, "--webhook", "env:HOOK", "--quiet", "22:00-06:30", "--older", "90s", "--score", "1.5")
    assert made["secret"].startswith("whsec_")
    assert made["set"] == {
        "ways": ["webhook"],
        "broker": None,
        "topic": None,
        "webhook": f"http://127.0.0.1:{hook.port}",
        "zones": [],
        "quiet": ["22:00-06:30"],
        "zone": "UTC",
        "cap": 7,
        "score": 1.5,
        "older_s": 90,
        "still": False,
    }
    shown = run("show", *who)
    assert "secret" not in shown
    assert shown["set"] == made["set"]
    assert run("test", *who) == {"camera": "ask-1", "ways": {"webhook": "taken"}}
    assert json.loads(hook.posted[0][1])["type"] == "camera.test"
    assert told(hook.posted[0][1])["camera"] == "ask-1"
    hook.answer = lambda handler: reply(handler, 500)
    assert run("test", *who, code=1)["ways"] == {"webhook": "it answered 500"}
    assert run("off", *who)["set"] is None
    assert "nobody is alerted" in run("show", "ask-1", "--as", "piet")


def test_people_read_it_too_and_a_secret_is_said_once(run: Run, hook: Hook) -> None:
    said = run("set", "ask-1", "--as", "piet", "--webhook", hook.url, "--still")
    assert "shown this once: whsec_" in " ".join(said.split())
    again = run("set", "ask-1", "--as", "piet", "--webhook", hook.url)
    assert "whsec_" not in again + run("show", "ask-1", "--as", "piet")
    assert "s3cret" not in said + again
    assert "taken" in run("test", "ask-1", "--as", "piet")
    assert run("send") == "Alerts: none\n"
    assert run("send", "--json")["waiting"] == 0


REFUSED: list[tuple[tuple[str, ...], type[LamplighterError], str]] = [
    (("--webhook", "https://169.254.169.254/"), RequestRefused, "webhook: 169"),
    (("--mqtt", "mqtts://nowhere.invalid"), RequestRefused, "broker: nobody knows"),
    (("--mqtt", "mqtts://piet@8.8.8.8"), ConfigError, "--password-file"),
    (("--webhook", "env:NOT_THERE"), ConfigError, "NOT_THERE"),
    (("--webhook", "https://8.8.8.8/", "--secret-file", "/no/such/file"), ConfigError, "--secret-file"),
    (("--webhook", "https://8.8.8.8/", "--zone", "0,0 1"), ConfigError, "--zone"),
    (("--webhook", "https://8.8.8.8/", "--quiet", "late"), ConfigError, "22:00-06:30"),
    (("--webhook", "https://8.8.8.8/", "--older", "soon"), ConfigError, "--older"),
    (("--webhook", "https://8.8.8.8/", "--time-zone", "Here"), ConfigError, "time zone"),
    (("--mail",), ConfigError, "no mail address"),
    ((), ConfigError, "wanted a way"),
]
"""What cannot be set, and what is said of it."""


def test_what_cannot_be_is_refused_with_its_rule(run: Run) -> None:
    for words, error, said in REFUSED:
        with pytest.raises(error, match=said):
            run("set", "ask-1", "--as", "piet", *words)


def test_nobody_sets_another_persons_alert(desk: Desk, run: Run, hook: Hook) -> None:
    staff(desk)
    for who, error in (("ruth", NotFound), ("otto", NotAllowed), ("rita", NotAllowed), ("nobody", NotFound)):
        for words in (("set", "--webhook", hook.url), ("show",), ("test",), ("off",)):
            with pytest.raises(error):
                run(words[0], "ask-1", "--as", who, *words[1:])
