"""Detection settings that are tried and kept: what holds before, what is written, what can be taken back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, move_in
from lamplighter.desk.adjustment import Scope, changed, overruled, tried
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from logged import entries
from pipeline.detection.labels import read_labels
from pipeline.detection.layers import CameraLayer, Layers
from pipeline.errors import ConfigError, Conflict, NotFound
from pipeline.span import NS, Span

FILE = """# the street's settings
[detection]
gap_s = 3.0  # two people in a row

[camera."ask-1".night]
sensitivity = "5/day"  # the lamp
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "street.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def tuned(file: Path, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(load(file, flags={"data": tmp_path / "data", "detection": {"pre_roll_s": 1.0}})) as desk:
        move_in(desk, CAMERAS[:2])
        yield desk


def seen(desk: Desk) -> str:
    return desk.settings_file()[1]


def gap(desk: Desk, camera: str, *, night: bool = False) -> float:
    return desk.settings.layers.of(camera, night=night).detection.gap_s


def test_what_is_written_keeps_comments_and_is_in_force_for_its_camera_alone(tuned: Desk, file: Path) -> None:
    tuned.write_detection("ask-1", Scope.CAMERA, {"gap_s": 7.0, "watch": [[[0, 0], [1, 0], [1, 1]]]}, seen=seen(tuned))
    now = tuned.retuned()
    assert (gap(tuned, "ask-1"), gap(now, "ask-1"), gap(now, CAMERAS[0].id)) == (3.0, 7.0, 3.0)
    text = file.read_text()
    assert all(line in text for line in FILE.splitlines())
    assert now.settings.origin("camera", "ask-1", "gap_s") == str(file)
    assert now.settings.detection.pre_roll_s == 1.0, "what the command line said still holds"
    assert now.settings.data == tuned.settings.data


def test_a_half_of_the_day_and_the_fleet_have_tables_of_their_own(tuned: Desk) -> None:
    tuned.write_detection("ask-1", Scope.DAY, {"gap_s": 4.0}, seen=seen(tuned))
    tuned.write_detection("ask-1", Scope.FLEET, {"gap_s": 9.0}, seen=seen(tuned))
    now = tuned.retuned()
    assert (gap(now, "ask-1"), gap(now, "ask-1", night=True)) == (4.0, 9.0)


def test_changes_are_taken_back_one_after_the_other_until_none_is_left(tuned: Desk, file: Path) -> None:
    for value in (4.0, 5.0):
        tuned.write_detection("ask-1", Scope.CAMERA, {"gap_s": value}, seen=seen(tuned))
    assert tuned.settings_file()[2]
    tuned.undo_detection(seen=seen(tuned))
    assert gap(tuned.retuned(), "ask-1") == 4.0
    tuned.undo_detection(seen=seen(tuned))
    assert file.read_text() == FILE
    assert not tuned.settings_file()[2]
    with pytest.raises(Conflict, match="no change"):
        tuned.undo_detection(seen=seen(tuned))


def test_a_file_that_somebody_changed_is_neither_written_over_nor_taken_back(tuned: Desk, file: Path) -> None:
    before = seen(tuned)
    tuned.write_detection("ask-1", Scope.CAMERA, {"gap_s": 4.0}, seen=before)
    with pytest.raises(Conflict, match="was changed since"):
        tuned.write_detection("ask-1", Scope.CAMERA, {"gap_s": 5.0}, seen=before)
    other = file.read_text() + "# by hand\n"
    file.write_text(other)
    assert not tuned.settings_file()[2]
    with pytest.raises(Conflict):
        tuned.undo_detection(seen=seen(tuned))
    assert file.read_text() == other


def test_what_could_not_be_loaded_is_put_back(tuned: Desk, file: Path) -> None:
    with pytest.raises(ConfigError, match="gap_s"):
        tuned.write_detection("ask-1", Scope.CAMERA, {"gap_s": -1}, seen=seen(tuned))
    assert file.read_text() == FILE


def test_a_linked_file_stays_a_link(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    with open_desk(load(link, flags={"data": tmp_path / "data"})) as desk:
        move_in(desk, CAMERAS[:2])
        desk.write_detection("ask-1", Scope.CAMERA, {"gap_s": 4.0}, seen=seen(desk))
    assert link.is_symlink()
    assert "gap_s = 4.0" in file.read_text()


def test_without_a_file_nothing_is_written_and_it_is_said(tmp_path: Path) -> None:
    with open_desk(load(flags={"data": tmp_path / "data"})) as desk:
        move_in(desk, CAMERAS[:2])
        assert desk.settings_file() == ("", "", False)
        with pytest.raises(ConfigError, match="--config"):
            desk.write_detection("ask-1", Scope.CAMERA, {"gap_s": 4.0}, seen="")


def test_the_log_says_who_changed_what(tuned: Desk) -> None:
    tuned.write_detection("ask-1", Scope.NIGHT, {"gap_s": 4.0}, seen=seen(tuned))
    entry = entries(tuned._holdings.archive)[-1]
    assert (entry.action, entry.subject) == ("settings changed", "street.toml")
    assert entry.detail == '[camera."ask-1".night]: gap_s = 4.0'


@pytest.mark.parametrize("scope", Scope)
def test_what_is_tried_is_what_would_be_in_force(tuned: Desk, scope: Scope) -> None:
    values = {"gap_s": 11.0, "sensitivity": "7/day"}
    here = tried(tuned.settings.layers, "ask-1", scope, values)
    tuned.write_detection("ask-1", scope, values, seen=seen(tuned))
    kept = tuned.retuned().settings.layers
    for camera in (CAMERAS[0].id, "ask-1"):
        for night in (False, True):
            assert here.of(camera, night=night).detection == kept.of(camera, night=night).detection
    told = overruled(tuned.settings.layers, "ask-1", scope, values)
    assert ('[camera."ask-1".night] holds sensitivity' in told) == (scope in {Scope.CAMERA, Scope.FLEET})


def test_only_what_differs_is_a_change() -> None:
    layers = Layers(cameras={"door": CameraLayer(gap_s=5.0)})
    values = {"gap_s": "5", "sensitivity": "2/day", "min_cells": "3"}
    assert changed(layers, "door", Scope.CAMERA, values) == {"min_cells": 3}


def test_labels_are_kept_as_the_sweep_reads_them(tuned: Desk, tmp_path: Path) -> None:
    spans = [Span(10 * NS, 12 * NS), Span(11 * NS, 15 * NS), Span(20 * NS, 21 * NS)]
    assert tuned.labels("ask-1") is None
    tuned.set_labels("ask-1", spans)
    tuned.set_labels(CAMERAS[0].id, [])
    assert tuned.labels("ask-1") == [Span(10 * NS, 15 * NS), Span(20 * NS, 21 * NS)]
    assert tuned.labels(CAMERAS[0].id) == [], "looked at, and nothing moved"
    file = tmp_path / "data" / "labels.json"
    assert set(read_labels(file.read_text(), source=str(file))) == {"ask-1", CAMERAS[0].id}
    for camera in ("ask-1", CAMERAS[0].id):
        tuned.set_labels(camera, None)
    assert tuned.labels("ask-1") is None
    with pytest.raises(NotFound):
        tuned.set_labels("nobody", [])
