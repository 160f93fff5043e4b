"""`lamplighter explain` and `show CAMERA --settings`: which setting decides, and where it comes from."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet_fixtures import CAMERA_ROWS, Films, put_film
from lamplighter.cli.app import app
from pipeline.errors import ConfigError, LamplighterError, NotFound

pytestmark = pytest.mark.whole

NOON = -6 * 3600

SETTINGS = """
[detection]
min_cells = 3
[night]
sensitivity = "5/day"
[camera."ask-1"]
gap_s = 9
[camera."ask-1".night]
min_cells = 5
"""


@pytest.fixture
def clips(tmp_path: Path, films: Films, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Clip ids of camera ask-1: a car by day, a car by night, and nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    (tmp_path / "street.toml").write_text(SETTINGS)
    put_film(films.moving, tmp_path / "in", "ask-1", after_s=NOON)
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.still, tmp_path / "in", "ask-1", after_s=3600)
    said("cameras", "import", "cameras.csv")
    said("ingest", "in", "--workers", "0")
    day, night, still = (row["clip"] for row in said("show", "ask-1")["clips"])
    return {"day": day, "night": night, "still": still}


def shown(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout + done.stderr


def said(*words: str) -> Any:
    return json.loads(shown(*words, "--json"))


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, ConfigError | NotFound), done.output
    return str(done.exception)


def test_the_deciding_values_are_told_with_their_tables_by_day_and_by_night(clips: dict[str, str]) -> None:
    day, night = (said("--config", "street.toml", "explain", clips[name]) for name in ("day", "night"))
    assert (day["profile"], night["profile"]) == ("day", "night")
    for key, by_day, by_night in (
        ("min_cells", (3, "[detection]"), (5, '[camera."ask-1".night]')),
        ("sensitivity", ("2/day", "[detection]"), ("5/day", "[night]")),
        ("gap_s", (9, '[camera."ask-1"]'), (9, '[camera."ask-1"]')),
    ):
        assert (day["settings"][key]["value"], day["settings"][key]["table"]) == by_day
        assert (night["settings"][key]["value"], night["settings"][key]["table"]) == by_night
    assert day["settings"]["min_cells"]["from"] == "street.toml"
    assert day["settings"]["sensitivity"]["from"] == "default"
    text = shown("--config", "street.toml", "explain", clips["night"])
    assert "min_cells" in text
    assert '[camera."ask-1".night], street.toml' in text
    assert "by night" in text


def test_show_match_and_explain_agree_on_the_events_of_a_clip(clips: dict[str, str]) -> None:
    for config in ([], ["--config", "street.toml"]):
        for clip in clips.values():
            events = [one["span"] for one in said(*config, "explain", clip)["events"]]
            assert [one["event"] for one in said(*config, "show", clip)["events"]] == events
    assert said("explain", clips["day"])["events"]
    assert not said("explain", clips["still"])["events"]


@pytest.mark.parametrize(
    ("settings", "reason", "words"),
    [
        ({"min_cells": 45}, "min_cells", "connected cells moved, min_cells wants 45"),
        ({"max_area": 0.01}, "max_area", "of the picture moved, max_area allows 0.01"),
        ({"travel": 0.9}, "travel", "of the picture's longer side, travel wants 0.9"),
        ({"min_event_s": 60}, "min_event_s", " s, min_event_s wants 60 s"),
    ],
)
def test_why_there_is_no_event_is_told_in_words(
    clips: dict[str, str], tmp_path: Path, settings: dict[str, float], reason: str, words: str
) -> None:
    values = "\n".join(f"{key} = {value}" for key, value in settings.items())
    (tmp_path / "deaf.toml").write_text(f"[night]\n{values}\n")
    found = said("--config", "deaf.toml", "explain", clips["night"])
    assert found["events"] == []
    assert reason in {run["dropped_by"] for run in found["runs"]}
    assert reason in {one["setting"] for one in found["remedies"]}
    text = shown("--config", "deaf.toml", "explain", clips["night"])
    assert "by night: no event" in text
    assert words in text
    assert "Each of these alone would give an event" in text
    assert said("--config", "deaf.toml", "explain", clips["day"])["events"]


def test_what_moved_where_nobody_looks_and_what_did_not_move_at_all(clips: dict[str, str], tmp_path: Path) -> None:
    top = "[[[0, 0], [1, 0], [1, 0.2], [0, 0.2]]]"
    (tmp_path / "top.toml").write_text(f"[detection]\nwatch = {top}\n")
    text = shown("--config", "top.toml", "explain", clips["day"])
    assert "which no zone watches" in text
    assert "No watched cell has a score of -0.30 in any second." in text
    (tmp_path / "deaf.toml").write_text("[detection]\nmin_cells = 45\nmin_event_s = 60\n")
    assert "No setting changed alone would give an event" in shown("--config", "deaf.toml", "explain", clips["day"])
    assert said("explain", clips["still"])["remedies"] == []


def test_settings_that_can_never_fire_are_a_warning(clips: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "never.toml").write_text("[night]\nmin_cells = 5000\n")
    words = "these settings can never fire: min_cells 5000 is more than the "
    assert words in shown("--config", "never.toml", "explain", clips["night"])
    assert words not in shown("--config", "never.toml", "explain", clips["day"])
    assert said("--config", "never.toml", "explain", clips["night"])["obstacles"]
    text = shown("--config", "never.toml", "show", "ask-1", "--settings")
    assert "these settings can never fire by night: min_cells 5000 is more than" in text
    assert "by day" not in text.replace("by day  ", "")


def test_explanations_fit_100_columns(clips: dict[str, str]) -> None:
    for clip in clips.values():
        text = shown("--config", "street.toml", "explain", clip)
        assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


@pytest.mark.usefixtures("clips")
def test_a_camera_s_settings_are_shown_with_where_each_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__MAX_AREA", "0.5")
    found = said("--config", "street.toml", "show", "ask-1", "--settings")
    assert set(found["day"]) == set(found["night"]) == set(said("show", "ask-2", "--settings")["day"])
    assert found["night"]["min_cells"] == {"value": 5, "table": '[camera."ask-1".night]', "from": "street.toml"}
    assert found["day"]["min_cells"] == {"value": 3, "table": "[detection]", "from": "street.toml"}
    assert found["day"]["max_area"] == {"value": 0.5, "table": "[detection]", "from": "the environment"}
    assert found["day"]["travel"]["from"] == "default"
    text = shown("--config", "street.toml", "show", "ask-1", "--settings")
    lines = {tuple(line.split()[:2]): line for line in text.splitlines() if line.strip()}
    assert '[camera."ask-1".night], street.toml' in lines["night", "5"]
    assert "[detection], street.toml" in lines["min_cells", "day"]
    assert '[camera."ask-1"], street.toml' in lines["gap_s", "9.0"]
    assert "[detection], the environment" in lines["max_area", "0.5"]
    assert "Night is when the sun stands lower than -6 degrees" in text


def test_how_the_night_is_told_is_shown_and_holds(clips: dict[str, str], tmp_path: Path) -> None:
    for by, words in (("picture", "mean brightness is below 200 grey levels"), ("never", "It is never night")):
        (tmp_path / "night.toml").write_text(f'[darkness]\nby = "{by}"\nbelow_luma = 200\n')
        assert words in shown("--config", "night.toml", "show", "ask-1", "--settings")
        profile = "night" if by == "picture" else "day"
        assert {said("--config", "night.toml", "explain", clip)["profile"] for clip in clips.values()} == {profile}


def test_what_is_no_clip_or_no_camera_is_refused_by_name(clips: dict[str, str]) -> None:
    assert "there is no clip 'nothing'" in refused("explain", "nothing")
    assert "there is no clip 'ask-1'" in refused("explain", "ask-1")
    assert "there is no camera 'nobody'" in refused("show", "nobody", "--settings")
    assert "`lamplighter explain` shows the settings" in refused("show", clips["day"], "--settings")


@pytest.mark.parametrize("words", [("explain",), ("show",), ("tune", "--target", "6/day")])
def test_a_clip_whose_camera_is_not_in_the_catalogue_is_told(
    clips: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "lamplighter-data" / "objects" / "cameras" / "ask-1.json").unlink()
    said("catalog", "rebuild")
    done = CliRunner().invoke(app, [*words, *([] if words[0] == "tune" else [clips["day"]])])
    assert isinstance(done.exception, LamplighterError)
    assert "is of camera ask-1, which is not in the catalogue; import it" in str(done.exception)


@pytest.mark.parametrize("words", [("explain",), ("show",), ("picture", "--out", "shown")])
def test_a_zone_that_covers_nothing_is_refused_with_its_camera_and_table(
    clips: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    speck = "[[[0.1, 0.1], [0.11, 0.1], [0.11, 0.11]]]"
    (tmp_path / "speck.toml").write_text(f'[camera."ask-1".night]\nignore = {speck}\n')
    said_of_it = refused("--config", "speck.toml", *words, clips["night"])
    assert said_of_it.startswith('camera ask-1: [camera."ask-1".night]: ignore zone 1 ')
    assert "covers no cell of the" in said_of_it
    shown("--config", "speck.toml", *words, clips["day"])
