"""`lamplighter tune` over a small fleet: what it promises holds when its file is used."""

import json
import re
import shutil
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from fleet_fixtures import CAMERA_ROWS, START_NS, Films, put_film
from lamplighter.cli.app import app
from lamplighter.desk.desk import open_desk
from lamplighter.desk.suggestion import ByRate, Choice, Plan, tune
from lamplighter.settings import load
from pipeline.detection.rate import parse_rate
from pipeline.detection.sweep import Sweep
from pipeline.detection.trials import IN_FORCE, TuneSettings
from pipeline.errors import ConfigError, LamplighterError, NotFound
from pipeline.media.encode import encode
from pipeline.span import NS, iso
from simulation.scene import Mover, Scene, render

pytestmark = pytest.mark.whole

NOON = -6 * 3600  # seconds after the films start: by day, while they are by night
LATER = 3600
# What the operator wants to know of: whoever walks past ask-1, and what drives past ask-2. Nobody passes never-1.
WALKS = [("ask-1", NOON), ("ask-1", NOON + LATER), ("ask-1", 0)]
DRIVES = [("ask-2", 0), ("ask-2", LATER)]
TRUE = WALKS + DRIVES
FALSE = ("ask-2", NOON)  # somebody walks there
STILL = [("ask-1", LATER), ("never-1", 0)]
HOURS = 8 * 8 / 3600


def labelled(rows: list[tuple[str, int]]) -> str:
    lines = [f"{camera},{iso(START_NS + (s + 3) * NS)},{iso(START_NS + (s + 7) * NS)}" for camera, s in rows]
    return "\n".join(["camera,start,end", *lines, "never-1,,", ""])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, films: Films) -> Path:
    """A data folder with eight clips of three cameras in it."""
    folder = tmp_path_factory.mktemp("fleet")
    walk = Scene(
        11, frames=80, width=128, height=96, leaves=False, movers=(Mover("person", 3, ((0.0, 1.0), (1.0, 1.0)), 2.0),)
    )
    encode(folder / "walk.mp4", render(walk), rate=Fraction(10), gop=20, options={"bf": "0"})
    (folder / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    shown = [(DRIVES, films.moving), (STILL, films.still), ([*WALKS, FALSE], folder / "walk.mp4")]
    for camera, after_s, film in [(*place, film) for places, film in shown for place in places]:
        put_film(film, folder / "in", camera, after_s=after_s)
    base = ["--data", str(folder / "lamplighter-data")]
    for words in (["cameras", "import", str(folder / "cameras.csv")], ["ingest", str(folder / "in"), "-w", "0"]):
        done = CliRunner().invoke(app, [*base, *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def fleet(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with a copy of it, and the labels."""
    shutil.copytree(made / "lamplighter-data", tmp_path / "lamplighter-data")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text(labelled(TRUE))
    return tmp_path


def said(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, ConfigError | NotFound), done.output
    return str(done.exception)


DEAF = "# our street\n[detection]\nmin_cells = 40  # a lorry\n\n[tune]\nmin_cells = [1, 2, 3, 6, 8]  # no lorries\n"
COUNTS = ("found", "missed", "false_alarms", "f1")


def test_what_is_written_scores_as_promised_when_it_is_used(fleet: Path) -> None:
    (fleet / "street.toml").write_text(DEAF)
    found = said("--config", "street.toml", "tune", "labels.csv", "--write", "street.toml")
    assert [found["in_force"][key] for key in COUNTS] == [0, 5, 0, 0]
    assert [found["suggested"][key] for key in COUNTS] == [5, 0, 1, pytest.approx(10 / 11)]
    assert found["suggested"]["false_alarms_per_hour"] == pytest.approx(1 / HOURS)
    assert found["shipped_default"]["settings"]["min_cells"] == 1
    text = (fleet / "street.toml").read_text()
    assert found["toml"] == text
    for kept in ("# our street", "# a lorry", "# no lorries"):
        assert kept in text
    again = said("--config", "street.toml", "tune", "labels.csv", "--write", "street.toml")
    assert [again["in_force"][key] for key in COUNTS] == [found["with_own"][key] for key in COUNTS]
    assert again["suggested"] == again["in_force"], "nothing does better, so they stay"
    assert (fleet / "street.toml").read_text() == text
    done = CliRunner().invoke(app, ["--config", "street.toml", "tune", "labels.csv"], catch_exceptions=False)
    assert "Nothing that was tried does better than the settings in force: they stay." in done.stdout


@pytest.mark.usefixtures("fleet")
def test_the_front_holds_the_suggestion_and_the_fleet_is_the_sum_of_its_cameras() -> None:
    found = said("tune", "labels.csv")
    best = found["suggested"]
    assert any((one["precision"], one["recall"]) == (best["precision"], best["recall"]) for one in found["front"])
    assert found["hours"] == pytest.approx(HOURS)
    assert set(found["cameras"]) == {"ask-1", "ask-2", "never-1"}
    for key in ("found", "missed", "false_alarms"):
        assert sum(one["suggested"][key] for one in found["cameras"].values()) == best[key]


def test_a_camera_gets_settings_of_its_own_where_it_gains_by_them(fleet: Path) -> None:
    (fleet / "street.toml").write_text("[tune]\nmin_labels = 2\n")
    found = said("--config", "street.toml", "tune", "labels.csv", "--write", "new.toml")
    assert [found["with_own"][key] for key in COUNTS] == [5, 0, 0, 1.0]
    assert {camera for camera, one in found["cameras"].items() if one["own"]} == {"ask-2"}
    assert (
        found["cameras"]["ask-2"]["own"]["false_alarms"] == 0 < found["cameras"]["ask-2"]["suggested"]["false_alarms"]
    )
    again = said("--config", "new.toml", "tune", "labels.csv")
    assert [again["in_force"][key] for key in COUNTS] == [5, 0, 0, 1.0]
    alone = said("--config", "street.toml", "tune", "labels.csv", "--no-per-camera")
    assert all(one["own"] is None for one in alone["cameras"].values())
    assert not any("too few true spans" in warning for warning in alone["warnings"])


def test_what_the_night_holds_is_kept_and_a_camera_s_own_value_goes_into_its_day(fleet: Path) -> None:
    # By night min_cells is held at what only vehicles reach, so that the grid moves it by day alone.
    grid = "[tune]\nmin_labels = 1\nmin_cells = [1, 6]\nsensitivity = ['2/day']\nmin_event_s = [0.3]\n"
    (fleet / "street.toml").write_text(f"[detection]\nmin_cells = 6\n[night]\nmin_cells = 6\n{grid}")
    labels = [*WALKS[:2], *DRIVES]
    (fleet / "labels.csv").write_text(labelled(labels))
    found = said("--config", "street.toml", "tune", "labels.csv", "--write", "new.toml")
    assert "[night] holds min_cells: kept" in found["warnings"]
    assert [found["with_own"][key] for key in COUNTS] == [4, 0, 0, 1.0]
    layers = load(fleet / "new.toml").layers
    by_day = {camera: layers.of(camera, night=False).detection.min_cells for camera in ("ask-1", "ask-2")}
    assert by_day == {"ask-1": 1, "ask-2": 6}
    assert {layers.of(camera, night=True).detection.min_cells for camera in by_day} == {6}
    assert layers.of("ask-1", night=False).tables["min_cells"] != layers.of("ask-2", night=False).tables["min_cells"]
    again = said("--config", "new.toml", "tune", "labels.csv")
    assert [again["in_force"][key] for key in COUNTS] == [4, 0, 0, 1.0]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("events", [2, 6])
def test_a_target_is_met_and_what_it_loses_is_shown(events: int) -> None:
    rate = f"{round(events / HOURS * 24)}/day"  # so many in all the footage there is
    found = said("tune", "--target", rate, "--write", "new.toml", "--no-per-camera")
    assert found["in_force"]["events"] == 6
    assert found["suggested"]["events"] == events
    lost = {(one["camera"], one["span"][:13]) for one in found["lost"]}
    walks = {(camera, iso(START_NS + after * NS)[:13]) for camera, after in (*WALKS, FALSE)}
    assert lost == (walks if events == 2 else set())
    for camera, one in found["cameras"].items():
        assert one["lost"] == sum(name == camera for name, _ in lost)
        assert one["events_then"] == one["events_now"] - one["lost"] + one["new"]
    again = said("--config", "new.toml", "tune", "--target", rate)
    assert again["in_force"]["events"] == events


class DeafOnOne(ByRate):
    """Keeps the settings in force, and takes for camera ask-2 the first trial that finds nothing there."""

    def choose(self, swept: Sweep, rule: TuneSettings, *, per_camera: bool) -> Choice:
        assert (rule.model_dump()["min_cells"], per_camera) == ((2, 900), True)
        return Choice(IN_FORCE, {"ask-2": int(swept.cameras["ask-2"].events.argmin())}, ())


def test_a_camera_s_own_settings_are_those_its_events_are_compared_by(fleet: Path) -> None:
    settings = load(flags={"data": fleet / "lamplighter-data", "tune": {"min_cells": [2, 900]}})
    with open_desk(settings) as desk:
        changes = tune(desk, Plan(DeafOnOne(parse_rate("6/day")))).changes
    one, other = changes["ask-1"], changes["ask-2"]
    assert one.then == [span for span, _ in one.now]
    assert (len(one.now), len(one.lost)) == (3, 0)
    assert (len(other.now), len(other.then), len(other.lost)) == (3, 0, 3)


@pytest.mark.usefixtures("fleet")
def test_what_would_be_lost_is_told_the_strongest_first_and_too_little_footage_is_a_warning() -> None:
    found = said("tune", "--target", "1/week")
    weights = [one["score"] for one in found["lost"]]
    assert len(weights) >= 4
    assert weights == sorted(weights, reverse=True)
    assert any("too little to tell settings apart" in warning for warning in found["warnings"])


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]
        assert tag not in {"script", "iframe", "link"}


@pytest.mark.parametrize("words", [("labels.csv",), ("--target", "4000/day")])
def test_pictures_are_drawn_as_png_and_as_one_page_that_leads_nowhere(fleet: Path, words: tuple[str, ...]) -> None:
    found = said("tune", *words, "--pictures", "shown")
    names = {f"{kind}-{camera}.png" for camera in ("ask-1", "ask-2", "never-1") for kind in ("timeline", "heat")}
    names |= {"precision-recall.png"} if words == ("labels.csv",) else set()
    assert {Path(name).name for name in found["written"]} == names | {"page.html"}
    assert {path.name for path in (fleet / "shown").iterdir()} == names | {"page.html"}
    for name in names:
        with Image.open(fleet / "shown" / name) as image:
            assert (image.format, image.width) == ("PNG", 1200)
    text = (fleet / "shown" / "page.html").read_text(encoding="utf-8")
    parser = Links()
    parser.feed(text)
    assert len(parser.links) == len(names)
    assert all(link.startswith("data:image/png;base64,") for link in parser.links)
    assert not re.search(r"https?:", text)
    assert "[detection]" in text or found["suggested"]["settings"] == found["in_force"]["settings"]
    assert "This page shows footage" in text
    stills = [
        path for path in (fleet / "lamplighter-data").rglob("entries/kept/*.json") if "still taken" in path.read_text()
    ]
    assert len(stills) == 3, "one frame of each camera was looked at"


def test_heat_maps_show_no_footage_where_none_is_wanted(fleet: Path) -> None:
    found = said("tune", "labels.csv", "--camera", "ask-1", "--pictures", "bare", "--no-still")
    assert found["shows_footage"] is False
    text = (fleet / "bare" / "page.html").read_text(encoding="utf-8")
    assert "This page shows footage" not in text
    assert "It was asked for without a still." in text
    assert "still taken" not in "".join(
        path.read_text() for path in (fleet / "lamplighter-data").rglob("entries/kept/*.json")
    )
    assert said("tune", "labels.csv", "--camera", "ask-1", "--pictures", "shown")["shows_footage"]
    assert (fleet / "bare" / "heat-ask-1.png").read_bytes() != (fleet / "shown" / "heat-ask-1.png").read_bytes()


@pytest.mark.usefixtures("fleet")
def test_tables_fit_100_columns_and_warnings_go_to_standard_error() -> None:
    for words in (("labels.csv",), ("--target", "4000/day")):
        done = CliRunner().invoke(app, ["tune", *words], catch_exceptions=False)
        assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 100
        assert "suggested" in done.stdout
        assert "warning: " in done.stderr
        assert "warning: " not in done.stdout


def test_the_help_states_the_rule_and_names_the_tables() -> None:
    text = " ".join(CliRunner().invoke(app, ["tune", "--help"]).stdout.split())
    for words in ("A true span is found when an event shares time with it", "section [tune]", "[day], [night]"):
        assert words in text


def test_nothing_is_written_that_was_not_asked_for(fleet: Path) -> None:
    before = {path: path.read_bytes() for path in fleet.rglob("*") if path.is_file() and "sqlite" not in path.name}
    said("tune", "labels.csv")
    after = {path: path.read_bytes() for path in fleet.rglob("*") if path.is_file() and "sqlite" not in path.name}
    assert before == after


@pytest.mark.usefixtures("fleet")
def test_only_the_cameras_and_the_time_that_were_asked_for_are_tried() -> None:
    one = said("tune", "labels.csv", "--camera", "ask-2")
    assert (set(one["cameras"]), one["cameras"]["ask-2"]["clips"]) == ({"ask-2"}, 3)
    assert not any("ask-1" in warning for warning in one["warnings"])
    late = said("tune", "labels.csv", "--start", "2026-01-31T17:00:00Z", "--camera", "ask-1", "--camera", "ask-2")
    assert {camera: counts["clips"] for camera, counts in late["cameras"].items()} == {"ask-1": 2, "ask-2": 2}


# What is said of bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "wanted a file of labels, or --target such as 6/day, and not both"),
        (("labels.csv", "--target", "6/day"), "and not both"),
        (("--target", "often"), "--target: wanted a number above 0 per hour, day or week, such as 6/day, got 'often'"),
        (("none.csv",), "none.csv: the labels cannot be read: No such file or directory"),
        (("bad.csv",), "bad.csv: wanted camera, start and end of a true span\n  line 2: wanted a time such as"),
        (("binary.csv",), "binary.csv: the labels cannot be read"),
        (("outside.csv",), "no true span lies in a clip"),
        (("labels.csv", "--camera", "nobody"), "there is no camera 'nobody'"),
        (("labels.csv", "--camera", "far-1"), "there is no clip to tune on"),
        (("labels.csv", "--start", "noon"), "--start and --end: wanted a time such as"),
        (("labels.csv", "--write", "labels.csv"), "--write labels.csv: is there and is not the settings file in use"),
        (("labels.csv", "--write", "labels.csv/x.toml"), "labels.csv/x.toml: cannot be written"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_words(fleet: Path, words: tuple[str, ...], message: str) -> None:
    (fleet / "bad.csv").write_text("camera,start,end\nask-1,noon,one\n")
    (fleet / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (fleet / "outside.csv").write_text("camera,start,end\nask-1,2020-01-01T00:00:00Z,2020-01-01T00:00:09Z\n")
    assert message in refused("tune", *words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tune]\nmin_cells = [5000]\n", "no setting of the grid can ever fire: min_cells 5000 is more than the"),
        ("[tune]\nsensitivity = [1.0]\nmin_cells = [20]\n", "no setting of the grid gives any event in this footage"),
        (
            '[camera."ask-2"]\nwatch = [[[0.1, 0.1], [0.101, 0.1], [0.101, 0.101]]]\n',
            'camera ask-2: [camera."ask-2"]: watch zone 1',
        ),
    ],
)
def test_settings_that_can_find_nothing_are_refused_by_name(fleet: Path, text: str, message: str) -> None:
    (fleet / "street.toml").write_text(text)
    assert message in refused("--config", "street.toml", "tune", "labels.csv")


def test_what_makes_the_outcome_less_than_it_seems_is_a_warning_that_names_it(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__GAP_S", "1.5")
    monkeypatch.setenv("LAMPLIGHTER_MEASURE__RATE_HZ", "5")
    (fleet / "street.toml").write_text(
        '[camera.attic]\ngap_s = 1\n[camera."ask-2"]\nmin_cells = 5000\n[tune]\nmin_cells = [1, 5000]\n'
    )
    (fleet / "labels.csv").write_text(labelled([*TRUE, ("ask-1", 1), ("far-1", 0)]))
    warnings = "\n".join(said("--config", "street.toml", "tune", "labels.csv")["warnings"])
    for words in (
        "8 of 8 clips were measured by another version or settings; `lamplighter ingest --remeasure`",
        '[camera."ask-2"] holds min_cells: kept',
        "detection.gap_s is set by the environment",
        '[camera."attic"] is for a camera that is not in the catalogue',
        "camera ask-1: label 2026-01-31T18:00:04Z/2026-01-31T18:00:08Z: taken as one true span with what it overlaps",
        "camera far-1 has labels and no clip",
        "camera ask-2: the settings in force can never fire: min_cells 5000 is more than the",
        "settings of the grid can never fire, such as: min_cells 5000",
        "too few true spans for settings of their own (tune.min_labels is 10): cameras ask-1, ask-2, never-1",
    ):
        assert words in warnings


def test_a_camera_without_labels_is_left_out_and_named(fleet: Path) -> None:
    (fleet / "labels.json").write_text(json.dumps({"ask-1": [["2026-01-31T18:00:02Z", "2026-01-31T18:00:06Z"]]}))
    found = said("tune", "labels.json")
    assert set(found["cameras"]) == {"ask-1"}
    assert "no labels for cameras ask-2, never-1: left out of precision and recall" in found["warnings"]


def test_an_activity_that_is_gone_is_named(fleet: Path) -> None:
    for path in (fleet / "lamplighter-data" / "objects" / "activity" / "ask-2").iterdir():
        path.unlink()
    done = CliRunner().invoke(app, ["tune", "labels.csv"])
    assert isinstance(done.exception, LamplighterError)
    assert "activity/ask-2/" in str(done.exception)


def test_a_file_that_tuning_wrote_itself_may_be_written_anew(fleet: Path) -> None:
    said("tune", "labels.csv", "--write", "new.toml")
    found = said("tune", "labels.csv", "--write", "new.toml")
    assert found["written"] == ["new.toml"]
    assert (fleet / "new.toml").read_text() == found["toml"]
