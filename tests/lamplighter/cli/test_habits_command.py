"""`lamplighter habits`, and what commands tell of scores and habits."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet_fixtures import CAMERA_ROWS, Films, put_film
from lamplighter.cli.app import app
from pipeline.errors import ConfigError, LamplighterError, NotFound

pytestmark = pytest.mark.whole

RING = [[4.798, 51.9985], [4.803, 51.9985], [4.803, 52.0015], [4.798, 52.0015], [4.798, 51.9985]]
AREA = {"type": "Polygon", "coordinates": [RING]}


def shown(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout + done.stderr


def said(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, LamplighterError), done.output
    return str(done.exception)


@pytest.fixture
def fleet(tmp_path: Path, films: Films, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A car and nothing before one camera, a car before another; and a request for all of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    put_film(films.still, tmp_path / "in", "ask-1")
    put_film(films.moving, tmp_path / "in", "ask-1", after_s=60)
    put_film(films.other, tmp_path / "in", "ask-2")
    said("cameras", "import", "cameras.csv")
    assert said("ingest", "in")["habits_learnt"] == [], "it is less than an hour"
    return tmp_path


def test_what_is_learnt_is_told_shown_and_named_by_what_follows_from_it(fleet: Path) -> None:
    learnt = said("habits", "learn", "ask-1")["habits"]
    assert [(one["camera"], one["clips"], one["left_out"]) for one in learnt] == [("ask-1", 2, 0)]
    (name,) = {one["habits"] for one in learnt}
    found = said("habits", "show", "ask-1", "--picture", "usual.png")
    assert (found["habits"], found["written"]) == (name, ["usual.png"])
    assert (fleet / "usual.png").read_bytes().startswith(b"\x89PNG")
    assert "day" not in found
    assert found["night"]["hours"] == pytest.approx(16 / 3600, abs=1e-3)
    assert found["by_hour"] == [{"half": "night", "hour": 18, "hours": pytest.approx(16 / 3600, abs=1e-3)}]
    text = shown("habits", "show", "ask-1")
    for words in (name, "2 clips", "night", "18"):
        assert words in text
    for clip in said("show", "ask-1")["clips"]:
        assert said("explain", clip["clip"])["habits"] == name
    for clip in said("show", "ask-2")["clips"]:
        assert said("explain", clip["clip"])["habits"] is None


def test_of_all_cameras_those_with_clips_are_learnt_and_again_nothing_is_new(fleet: Path) -> None:
    assert "Habits learnt" in shown("habits", "learn")
    again = said("habits", "learn")
    assert again["outcomes"] == {"already done": 2}
    assert [one["camera"] for one in again["habits"]] == ["ask-1", "ask-2"]
    assert len(list((fleet / "lamplighter-data" / "objects" / "learnt").rglob("*.json"))) == 2
    earlier = said("habits", "learn", "ask-1", "--until", "2026-01-31T18:00:30Z")
    assert [one["clips"] for one in earlier["habits"]] == [1]


@pytest.mark.usefixtures("fleet")
def test_what_cannot_be_learnt_is_refused_in_words() -> None:
    assert "there is no camera 'nobody'" in refused("habits", "learn", "nobody")
    assert "camera never-1 has no clip to learn from" in refused("habits", "learn", "never-1")
    assert "--until: " in refused("habits", "learn", "--until", "yesterday")
    assert "of camera ask-1 no habits were learnt yet" in refused("habits", "show", "ask-1")
    done = CliRunner().invoke(app, ["habits", "show", "nobody"])
    assert isinstance(done.exception, NotFound | ConfigError)


def test_a_camera_without_an_activity_that_can_be_read_is_set_aside_and_costs_no_other(fleet: Path) -> None:
    for key in (fleet / "lamplighter-data" / "objects" / "activity" / "ask-1").rglob("*.npz"):
        key.write_bytes(b"damaged")
    done = CliRunner().invoke(app, ["habits", "learn"], catch_exceptions=False)
    assert done.exit_code == 1
    assert "camera ask-1: its habits were not learnt: learn: the activity of none of its 2 clips" in done.stderr
    assert "ask-2" in done.stdout


def test_explain_tells_the_score_of_every_second_with_the_threshold_and_what_is_known(fleet: Path) -> None:
    _, clip = (row["clip"] for row in said("show", "ask-1")["clips"])
    found = said("explain", clip)
    assert len(found["scores"]) == 8
    assert found["scores"] == sorted(found["scores"], key=lambda one: one["at"])
    (event, *_) = found["events"]
    assert event["score"] == pytest.approx(max(one["score"] for one in found["scores"]))
    assert event["score"] > found["threshold"]
    assert event["cells"] == len(event["region"]) > 0
    text = shown("explain", clip)
    assert "of this camera's past nothing is known" in " ".join(text.split())
    assert f"Decided from {found['threshold']:.2f} on" in " ".join(text.split())
    said("habits", "learn", "ask-1")
    after = said("explain", clip)
    assert after["past_h"] > 0 == found["past_h"]
    assert f"(habits {after['habits']})" in " ".join(shown("explain", clip).split())
    still = said("show", "ask-1")["clips"][0]["clip"]
    assert all(one["score"] < found["threshold"] for one in said("explain", still)["scores"])
    assert fleet


def test_a_match_can_be_ordered_by_score_and_what_has_none_comes_last(fleet: Path) -> None:
    (fleet / "area.geojson").write_text(json.dumps(AREA))
    words = ("request", "new", "--area", "area.geojson", "--start", "2026-01-31T18:00:00Z", "--end")
    request = said(*words, "2026-01-31T18:15:00Z", "--own", "piet")["request"]
    rows = said("match", request, "--by", "score")
    scores = [row["score"] for row in rows]
    known = [score for score in scores if score is not None]
    assert len(known) == 2
    assert scores == [*sorted(known, reverse=True), *[None] * (len(scores) - len(known))]
    by_time = said("match", request)
    assert sorted(map(json.dumps, by_time)) == sorted(map(json.dumps, rows))
    starts = [(row["camera"], row["span"]) for row in by_time if row["score"] is not None]
    assert starts == sorted(starts)
    assert {row["score"] is None for row in by_time if row["verdict"] != "matches"} == {True}
    shown_rows = [line for line in shown("match", request, "--by", "score").splitlines() if "ask-" in line]
    assert [f"{score:.1f}" in line for score, line in zip(known, shown_rows, strict=False)] == [True, True]
