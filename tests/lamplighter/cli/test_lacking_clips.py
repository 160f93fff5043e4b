"""Clips with holes, damage and a turned picture, by the command line: what is told, what is found and what leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fleet_fixtures import CAMERA_ROWS
from lamplighter.cli.app import app
from pipeline.activity import Activity
from pipeline.span import parse_iso

pytestmark = pytest.mark.whole

HOUR = "mp4_gap_of_one_hour_inside_20261125T180000Z.mp4"
AREA = [[4.798, 51.9985], [4.803, 51.9985], [4.803, 52.0015], [4.798, 52.0015], [4.798, 51.9985]]


@pytest.fixture
def odd(footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of odd files; the working folder has a data folder with the cameras of the fleet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [AREA]}))
    said("cameras", "import", "cameras.csv")
    return footage / "odd"


def ran(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def said(*words: str) -> Any:
    return json.loads(ran(*words, "--json"))


def taken(file: Path, start: str = "2026-11-25T18:00:00Z") -> dict[str, Any]:
    """Take a file in for a camera that always shares, and return what `show` says of the clip."""
    here = Path("in") / file.name
    here.parent.mkdir(exist_ok=True)
    here.write_bytes(file.read_bytes())
    Path(f"{here}.json").write_text(json.dumps({"camera": "always-1", "start": start}))
    (clip,) = said("ingest", "in")["clips"]
    shown: dict[str, Any] = said("show", clip["clip"])
    return shown


def asked(start: str, end: str, *, case: str = "C-1") -> str:
    facts = ("--case", case, "--own", "olga")
    made = said("request", "new", "--area", "area.geojson", "--start", start, "--end", end, *facts)
    return str(made["request"])


def test_an_hour_s_hole_is_told_finds_nothing_and_leaves_as_two_files(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
    shown = taken(odd / HOUR)
    assert len(shown["holes"]) == 1
    assert "1 clip is not whole: holes in 1 (1)" in ran("ingest", "in").replace("\n", " ")
    assert said("show")["hours"] < 0.01
    hole = [parse_iso(text) for text in shown["holes"][0].split("/")]
    before, after = ([parse_iso(text) for text in event["event"].split("/")] for event in shown["events"])
    assert before[1] <= hole[0] < hole[1] <= after[0]
    inside = said("match", asked("2026-11-25T18:20:00Z", "2026-11-25T18:40:00Z"))
    assert [row["verdict"] for row in inside if row["clip"]] == ["clip has no frame in the span"]
    whole = asked("2026-11-25T17:50:00Z", "2026-11-25T19:10:00Z", case="C-2")
    (row,) = [row for row in said("match", whole) if row["clip"]]
    assert (row["verdict"], len(row["recorded"])) == ("matches", 2)
    records = said("deliver", whole)["delivered"]
    assert len(records) == 2
    assert sum(record["frames"] for record in records) == 250
    explained = ran("explain", shown["clip"])
    assert "a hole: no frame, so no motion" in explained


def test_damage_is_told_wherever_the_clip_is(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
    shown = taken(odd / "h264_bitflips_4_frames.mp4")
    assert shown["damaged frames"] + shown["missing frames"] >= 4
    assert "1 clip is not whole: damaged frames in 1" in ran("ingest", "in").replace("\n", " ")
    explained = said("explain", shown["clip"])
    assert (explained["damaged"], explained["missing"]) == (shown["damaged frames"], shown["missing frames"])
    ran("picture", shown["clip"], "--out", "drawn")
    assert "Damaged: " in Path("drawn/page.html").read_text(encoding="utf-8")


def test_pictures_and_zones_of_a_turned_camera_stand_upright(odd: Path) -> None:
    shown = taken(odd / "rotated_90_display_matrix.mp4")
    assert "240 x 320" in shown["stream"]
    drawn = said("picture", shown["clip"], "--out", "drawn")
    assert drawn["shows_footage"]
    stored = next(Path("lamplighter-data").rglob("activity/**/*.npz"))
    activity = Activity.from_bytes(stored.read_bytes())
    assert (activity.width, activity.height) == (240, 320)
    # What moves most stays watched when a zone is drawn round it as it is seen on the upright still.
    hot = activity.share.sum(0, dtype=np.int64)
    row, column = (int(at) for at in np.unravel_index(hot.argmax(), hot.shape))
    down, right = activity.layout.edges()
    west, east = right[column] / activity.width, right[column + 1] / activity.width
    north, south = down[row] / activity.height, down[row + 1] / activity.height
    zone = [[west, north], [east, north], [east, south], [west, south]]
    Path("zone.toml").write_text(f"[detection]\nmin_cells = 1\nwatch = {[[[float(x), float(y)] for x, y in zone]]}\n")
    assert said("--config", "zone.toml", "show", shown["clip"])["events"]


def test_what_is_up_to_date_is_measured_again_when_it_is_asked_for(odd: Path) -> None:
    shown = taken(odd / HOUR)
    assert said("ingest", "--remeasure")["outcomes"] == {}
    assert said("ingest", "--remeasure", "--all")["outcomes"] == {"done": 1}
    assert said("show", shown["clip"]) == shown
