"""What moved is found once: what is kept of it never changes an answer, and an answer never waits for it."""

from __future__ import annotations

import ast
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fleet_fixtures import Films, a_request, ask, change, put_film
from lamplighter.desk import kept
from lamplighter.desk.cases import Row
from lamplighter.desk.desk import Desk
from lamplighter.desk.habits import InForce
from lamplighter.desk.kept import Found, code_digest, find
from pipeline.activity import Activity
from pipeline.case.match import Verdict
from pipeline.case.request import Request
from pipeline.clip import Camera
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection, MomentGate
from pipeline.detection.layers import CameraLayer, Layers
from pipeline.detection.night import Darkness
from pipeline.detection.trace import Trace
from pipeline.errors import ConfigError
from pipeline.measure.motion import MeasureSettings
from pipeline.span import Span
from samples import MINUTE, NOON, camera, clip, ingested, request, stream
from storage.access import StoreSettings
from storage.archive import Archive, Ingested
from storage.catalog.catalog import Catalog
from storage.catalog.rows import KeptEvents
from storage.directory import DirectoryStore

ROOT = Path(__file__).parents[3]
ASKED = request(span=Span(NOON - 9 * 3600 * 10**9, NOON + 1800 * 10**9))


@dataclass
class Street:
    """Two cameras, with bright and dark clips by day and by night; one of each shows motion, one nothing."""

    store: StoreSettings
    archive: Archive
    catalog: Catalog
    file: Path

    def find(self, layers: Layers) -> dict[str, KeptEvents]:
        found = self.look(layers)
        assert not found.damaged
        return found.motions

    def look(self, layers: Layers) -> Found:
        near = self.catalog.candidates(ASKED.area, ASKED.span)
        habits = InForce(self.archive)
        return find(ASKED, near, layers=layers, habits=habits, store=self.store, catalog=self.catalog)

    def afresh(self, layers: Layers) -> dict[str, tuple[bool, tuple[Span, ...]]]:
        found = {}
        for by, one in self.catalog.candidates(ASKED.area, ASKED.span):
            activity = self.archive.activity(one)
            holds = layers.for_clip(by, one.clip, activity)
            spans = [one.clip.between(event.start_pts, event.end_pts) for event in detect(activity, holds.detection)]
            found[one.clip.id] = (holds.night, tuple(spans))
        return found

    def rows(self) -> int:
        with sqlite3.connect(self.file) as database:
            count: int = database.execute("SELECT count(*) FROM kept_events").fetchone()[0]
        database.close()
        return count

    def lose_activities(self) -> None:
        for key in list(self.archive.store.keys("activity/")):
            self.archive.store.delete(key)


def activity(moving: bool, grey: int, version: str = "1-0") -> Activity:
    share = np.zeros((60, 9, 16), np.uint8)
    if moving:
        share[10:25, 2:4, 3:6] = 120
        share[40:50, 6, 9:12] = 250
    pts, luma = np.arange(60, dtype=np.int64) * 15360, np.full(60, grey, np.uint8)
    return Activity(share, pts, luma, Fraction(1, 15360), 0, 1920, 1080, version, 120)


def make(folder: Path) -> Street:
    store = DirectoryStore(folder / "objects")
    store.ensure_bucket()
    archive = Archive(store)
    settings = StoreSettings(path=str(folder / "objects"))
    street = Street(
        settings, archive, Catalog(f"sqlite:///{folder / 'catalog.sqlite'}", archive), folder / "catalog.sqlite"
    )
    street.catalog.put_cameras([camera("door"), camera("yard")])
    for name in ("door", "yard"):
        for number, start_ns in enumerate((NOON, NOON - 8 * 3600 * 10**9)):
            for moving in (False, True):
                one = ingested(clip(name, start_ns + moving * MINUTE * 2, stream=stream(frames=60)))
                grey = 30 if number ^ (name == "yard") else 120  # the yard has a lamp, and a dark noon
                archive.store.put(one.activity, activity(moving, grey).to_bytes())
                archive.clips.put(one)
                street.catalog.put_clips([one])
    return street


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = make(tmp_path)
    yield made
    made.catalog.close()


def short(found: dict[str, KeptEvents]) -> dict[str, tuple[bool, tuple[Span, ...]]]:
    return {name: (motion.night, motion.events) for name, motion in found.items()}


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    values = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "sensitivity": st.sampled_from([0.01, 2.0, 2000.0]),
                "min_cells": st.sampled_from([1, 4, 200]),
                "gap_s": st.sampled_from([0.0, 20.0]),
                "watch": st.sampled_from([(), (((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)),)]),
            },
        )
    )
    return Detection(**values)


@st.composite
def all_layers(draw: st.DrawFn) -> Layers:
    darkness = Darkness(
        by=draw(st.sampled_from(["sun", "picture", "never"])), below_luma=draw(st.sampled_from([9, 70]))
    )
    own = {"yard": CameraLayer(**draw(detections()).model_dump(exclude_unset=True), night=draw(detections()))}
    cameras = own if draw(st.booleans()) else {}
    return Layers(draw(detections()), draw(detections()), draw(detections()), cameras, darkness)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    made = make(tmp_path_factory.mktemp("street"))
    yield made
    made.catalog.close()


@settings(max_examples=60, deadline=None)
@given(layers=all_layers())
def test_what_is_kept_never_changes_an_answer_whatever_settings_it_was_found_by(
    lasting: Street, layers: Layers
) -> None:
    first = lasting.find(layers)
    assert short(first) == lasting.afresh(layers)
    assert lasting.find(layers) == first
    assert lasting.rows() == 8


def test_the_second_time_no_activity_is_read_and_by_other_settings_it_is(street: Street) -> None:
    found = street.find(Layers())
    assert sum(len(motion.events) for motion in found.values()) == 8
    street.lose_activities()
    assert street.find(Layers()) == found
    for other in (
        Layers(Detection(sensitivity=2.5)),
        Layers(night=Detection(min_cells=3)),
        Layers(cameras={"yard": CameraLayer(gap_s=3)}),
        Layers(darkness=Darkness(by="picture")),
    ):
        assert street.look(other).damaged
    # What does not hold for a clip makes its events no others.
    assert street.find(Layers(cameras={"elsewhere": CameraLayer(gap_s=3)})) == found


def test_at_most_one_row_is_kept_of_a_clip(street: Street) -> None:
    for gap_s in range(5):
        street.find(Layers(Detection(gap_s=gap_s)))
    assert street.rows() == 8


def test_another_activity_of_a_clip_is_looked_at_anew(street: Street) -> None:
    before = street.find(Layers())
    still = next(one for _, one in street.catalog.candidates(ASKED.area, ASKED.span) if not before[one.clip.id].events)
    now = replace(still, activity=still.activity.replace("1-0", "2-0"), version="2-0")
    street.archive.store.put(now.activity, activity(moving=True, grey=120, version="2-0").to_bytes())
    street.catalog.put_clips([now])
    after = street.find(Layers())
    assert len(after[now.clip.id].events) == 2
    assert {name: motion for name, motion in after.items() if name != now.clip.id} == {
        name: motion for name, motion in before.items() if name != now.clip.id
    }


def test_a_camera_that_moves_into_the_night_is_looked_at_by_the_settings_of_the_night(street: Street) -> None:
    layers = Layers(night=Detection(min_cells=200))
    assert any(motion.events for motion in street.find(layers).values())
    asked: list[tuple[Camera, Ingested]] = [
        (camera(by.id, lon=by.lon - 180), one) for by, one in street.catalog.candidates(ASKED.area, ASKED.span)
    ]
    at_noon = [(by, one) for by, one in asked if one.clip.start_ns >= NOON]
    habits = InForce(street.archive)
    found = find(ASKED, at_noon, layers=layers, habits=habits, store=street.store, catalog=street.catalog)
    assert [(motion.night, motion.events) for motion in found.motions.values()] == [(True, ())] * 4


def test_other_code_finds_it_anew(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.find(Layers())
    street.lose_activities()
    street.find(Layers())
    monkeypatch.setattr(kept, "_code", lambda: "of the next version")
    assert len(street.look(Layers()).damaged) == 8


class _MaxCells(MomentGate):
    """A gate that there is not, as somebody would enter it into the table."""

    def moments(self, trace: Trace, settings: Detection) -> NDArray[np.bool_]:
        small: NDArray[np.bool_] = trace.cells <= cast("Tried", settings).max_cells
        return small


class Tried(Detection):
    max_cells: Annotated[int, _MaxCells()] = 10_000


def test_a_gate_entered_into_the_table_makes_what_is_kept_stale_and_holds_for_what_is_found_anew(
    street: Street,
) -> None:
    counts = []
    for most in (10_000, 4, 2):
        layers = Layers(Tried(max_cells=most), Tried(), Tried())
        found = street.find(layers)
        assert short(found) == street.afresh(layers)
        counts.append(sum(len(motion.events) for motion in found.values()))
    assert counts == [8, 4, 0]


# What the code is -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with a copy of the packages that the digest is of."""
    for package in ("pipeline", "lamplighter/desk"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def digest(tree: Path) -> str:
    return code_digest(tree / "pipeline", tree / "lamplighter" / "desk")


@pytest.mark.parametrize(
    "name",
    [
        *("pipeline/detection/gates.py", "pipeline/detection/trace.py", "pipeline/detection/night.py"),
        *("pipeline/activity.py", "pipeline/layout.py", "pipeline/span.py", "pipeline/clip.py"),
        "lamplighter/desk/kept.py",
    ],
)
def test_a_change_in_any_module_that_a_match_follows_from_is_another_digest(tree: Path, name: str) -> None:
    before = digest(tree)
    with (tree / name).open("a") as file:
        file.write("# changed\n")
    assert digest(tree) != before


@pytest.mark.parametrize("name", ["new.py", "deep/new.py", "deep/deeper/new.py"])
def test_a_new_file_in_the_room_of_detection_is_another_digest_in_a_new_folder_too(tree: Path, name: str) -> None:
    before = digest(tree)
    new = tree / "pipeline" / "detection" / name
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text("X = 1\n")
    first = digest(tree)
    new.rename(new.with_name("other.py"))
    assert len({before, first, digest(tree)}) == 3


def test_what_a_match_does_not_follow_from_leaves_the_digest_as_it_is(tree: Path) -> None:
    before = digest(tree)
    for name in ("measure/motion.py", "media/cut.py", "case/request.py", "actor.py"):
        with (tree / "pipeline" / name).open("a") as file:
            file.write("# changed\n")
    (tree / "pipeline" / "detection" / "notes.txt").write_text("no code")
    assert digest(tree) == before


def test_the_digest_is_the_same_from_a_zip_file(tree: Path) -> None:
    packed = shutil.make_archive(str(tree / "packed"), "zip", tree)
    inside = zipfile.Path(packed)
    assert code_digest(inside / "pipeline", inside / "lamplighter" / "desk") == digest(tree) == kept._code()


def test_code_without_its_source_is_refused_by_name(tree: Path) -> None:
    (tree / "pipeline" / "span.py").unlink()
    with pytest.raises(ConfigError, match=r"the source is not installed: span\.py; install lamplighter with"):
        digest(tree)
    shutil.rmtree(tree / "pipeline" / "detection")
    with pytest.raises(ConfigError, match=r"span\.py, detection/detect\.py; install"):
        digest(tree)


def test_the_digest_covers_every_module_that_the_finding_of_events_imports() -> None:
    """Read the imports, from the room of detection on."""
    covered, waiting = set(), {f"detection.{path.stem}" for path in (ROOT / "pipeline" / "detection").glob("*.py")}
    while waiting:
        name = waiting.pop()
        covered.add(name)
        tree = ast.parse((ROOT / "pipeline" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8"))
        found = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        found += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        inside = {name.removeprefix("pipeline.") for name in found if name.startswith("pipeline.")}
        waiting |= inside - covered
    assert {name for name in covered if not name.startswith("detection.")} == set(kept._NOUNS)


def test_what_a_later_version_kept_is_found_anew(street: Street) -> None:
    found = street.find(Layers())
    with sqlite3.connect(street.file) as database:
        database.execute("UPDATE kept_events SET document = '{\"by\": 7}'")
    database.close()
    assert street.find(Layers()) == found


def test_why_settings_can_never_fire_is_kept_too(street: Street) -> None:
    deaf = Layers(night=Detection(min_cells=145))
    for _ in range(2):
        never = {(motion.night, bool(motion.events), len(motion.never)) for motion in street.find(deaf).values()}
        assert never == {(True, False, 1), (False, True, 0), (False, False, 0)}
        street.lose_activities()


def test_a_catalogue_that_another_writes_to_keeps_nobody_from_the_answer(street: Street) -> None:
    # The one connection it has; it would wait for half a minute.
    with street.catalog._database.transaction() as run:
        run.exec_driver_sql("PRAGMA busy_timeout=0")
    writer = sqlite3.connect(street.file)
    writer.execute("BEGIN IMMEDIATE")
    assert short(street.find(Layers())) == street.afresh(Layers())
    writer.rollback()
    writer.close()
    assert street.rows() == 0


@pytest.mark.parametrize("damage", [None, b"", b"PK\3\4 no activity"])
def test_an_activity_that_is_gone_or_damaged_costs_its_clip_alone(street: Street, damage: bytes | None) -> None:
    clips = [one for _, one in street.catalog.candidates(ASKED.area, ASKED.span)]
    data = street.archive.store.get(clips[0].activity)
    street.archive.store.delete(clips[0].activity)
    if damage is not None:
        street.archive.store.put(clips[0].activity, damage)
    found = street.look(Layers())
    assert list(found.damaged) == [clips[0].clip.id]
    assert "cannot be read" in found.damaged[clips[0].clip.id]
    assert street.rows() == len(found.motions) == len(clips) - 1
    street.archive.store.put(clips[0].activity, data)
    assert short(street.find(Layers())) == street.afresh(Layers())


# On films, through the desk -------------------------------------------------------------------------------------------


def told(rows: list[Row]) -> list[tuple[str, Verdict, tuple[Span, ...]]]:
    return [(row.match.camera.id, row.match.verdict, row.match.events) for row in rows]


def test_a_match_is_the_same_before_and_after_a_rebuild_and_after_measuring_again(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    for name in ("always-1", "ask-1", "far-1"):
        put_film(films.moving, tmp_path / "in", name)
    put_film(films.still, tmp_path / "in", "ask-1", after_s=300)
    desk.ingest([str(tmp_path / "in")])
    asked: Request = ask(desk, a_request())
    first = desk.match(asked)
    assert desk.match(asked) == first
    desk.rebuild()
    assert desk.match(asked) == first
    measure = MeasureSettings(rate_hz=4.0)
    change(desk, measure=measure)
    desk.remeasure()
    again = desk.match(asked)
    assert {row.kept.by for row in again if row.kept}.isdisjoint({row.kept.by for row in first if row.kept})
    desk.rebuild()
    assert told(desk.match(asked)) == told(again)


def test_deaf_settings_leave_clips_unmatched_until_they_are_mended(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    asked, mended = ask(desk, a_request()), desk.settings
    change(desk, night=Detection(min_cells=100))
    for _ in range(2):
        (row,) = desk.asked_of(asked, "piet")
        assert (row.match.verdict, len(row.kept.never if row.kept else ())) == (Verdict.NO_MOTION, 1)
    change(desk, night=mended.night)
    (row,) = desk.asked_of(asked, "piet")
    assert row.match.verdict is Verdict.MATCH
