"""What decisions are held against: the truth of a clip, by one rule for everybody who decides."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks import decisions, rules
from benchmarks.material import FileJob, Truth, half_of, jobs, ranges
from benchmarks.verdicts import Said, Stored, at_point, decided, figures
from pipeline.activity import Activity
from pipeline.detection.gates import Detection
from pipeline.span import NS, Span


def _stored(
    visible: tuple[tuple[int, int], ...] | None, *, moving: tuple[int, int] = (0, 0), **changes: object
) -> Stored:
    """Return 60 s at 10 frames a second, of which some frames move in four cells."""
    share = np.zeros((600, 6, 8), np.uint8)
    share[moving[0] : moving[1], 2:4, 3:5] = 200
    pts = np.arange(600, dtype=np.int64) * 9000 + 1234
    activity = Activity(share, pts, np.full(600, 90, np.uint8), Fraction(1, 90_000), 0, 128, 96, "test", 16)
    known = {"group": "nuisances", "name": "x", "kind": "x", "half": "shown", "frames": 600, "rate": 10.0}
    return Stored(Truth(**known | {"visible": visible, "frames_scored": (0, 600)} | changes), activity, {})  # type: ignore[arg-type]


def _s(*bounds: float) -> list[Span]:
    return [Span(round(a * NS), round(b * NS)) for a, b in zip(bounds[::2], bounds[1::2], strict=True)]


def test_visits_at_most_two_seconds_apart_are_one() -> None:
    assert _stored(((100, 110), (130, 150), (171, 180))).visits == _s(10, 15, 17.1, 18)


def test_only_the_scored_part_counts() -> None:
    clip = _stored(((100, 110), (300, 340)), frames_scored=(320, 600))
    assert clip.visits == _s(32, 34)
    assert clip.cut(_s(10, 12, 30, 33, 59, 70)) == _s(32, 33, 59, 60)


def test_what_is_found_missed_and_false_is_counted_and_how_late() -> None:
    clip = _stored(((100, 150), (300, 350)))
    said = Said(clip, _s(11, 14, 50, 52), None)
    row = figures([said])
    assert (row["found"], row["false"], row["visits"]) == (1, 1, 2)
    assert (row["recall"], row["precision"], row["delay_s"]) == (0.5, 0.5, 1.0)
    assert row["false_per_day"] == 1440
    assert (said.missed, said.false_events) == (_s(30, 35), _s(50, 52))


def test_an_event_that_began_before_has_no_delay_and_one_over_all_finds_nothing() -> None:
    clip = _stored(((100, 150),))
    assert Said(clip, _s(9, 12), None).delays_s == [0]
    assert Said(clip, _s(0, 60), None).missed == _s(10, 15)


def test_a_clip_nobody_knows_the_truth_of_is_not_counted() -> None:
    assert figures([Said(_stored(None), _s(1, 2), None)]) == {}


def test_frames_are_ranked_where_both_kinds_are_scored() -> None:
    flags = np.zeros(600)
    flags[100:150] = 1
    assert Said(_stored(((100, 150),)), [], flags).frame_ap == 1
    assert Said(_stored(((100, 150),), frames_scored=(0, 90)), [], flags).frame_ap is None
    assert Said(_stored(()), [], flags).frame_ap is None


def test_we_decide_without_rolls_in_the_time_of_the_clip() -> None:
    (said,) = decided([_stored(((100, 150),), moving=(102, 150))], at_point(None))
    (event,) = said.events
    assert abs(event.start_ns - 10.2 * NS) <= 1 * NS
    assert abs(event.end_ns - 15 * NS) <= 2 * NS
    assert said.score.found == 1


def test_operating_points_hold_the_default_and_are_settings() -> None:
    points = decisions.points()
    assert Detection().sensitivity in points
    assert all(at_point(point).sensitivity == point for point in points)


def test_the_best_point_of_one_half_is_shown_on_the_other() -> None:
    clips = [_stored(((100, 150),), moving=(100, 150), half=half) for half in ("chosen", "shown")]
    rows, elsewhere = decisions.swept_points(clips)
    assert {row["default"] for row in rows} == {True, False}
    assert [row["recall"] for row in elsewhere] == [1]


def test_false_events_of_a_kind_are_those_of_the_versions_without_visitors() -> None:
    with_, without = (Said(_stored(seen), _s(1, 2), None) for seen in (((100, 150),), ()))
    (row,) = decisions.by_kind({decisions.OURS: [with_, without], "another": [with_]})
    assert (row["false"], row["false_per_day"], row["false_per_day, another"]) == (2, 1440, None)


def test_a_half_depends_on_the_name_alone() -> None:
    assert half_of("hall") == half_of("hall")
    assert {half_of(f"cam-{n}") for n in range(9)} == {"chosen", "shown"}


def test_a_file_that_cannot_be_read_costs_itself_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "video.mp4").write_bytes(b"still being written")
    assert list(FileJob("labelled", tmp_path / "video.mp4").clips()) == []
    assert "left out" in capsys.readouterr().out


def test_ranges_are_half_open() -> None:
    assert ranges(np.array([True, True, False, True])) == ((0, 2), (3, 4))


def test_dvr_scans_rule_wants_a_tenth_of_a_second_and_holds_for_two() -> None:
    scores = np.zeros(300)
    scores[[5, 50, 51, 75, 116, 200, 201]] = 1
    assert rules.dvr_events(scores, 20.0) == [(50, 76), (200, 202)]
    assert rules.dvr_events(scores, 10.0) == [(5, 6), (50, 52), (75, 76), (116, 117), (200, 202)]


def test_frigates_method_finds_what_moves_and_not_what_is_lit_all_over() -> None:
    pytest.importorskip("cv2")
    rng = np.random.default_rng(1)
    plane = rng.integers(0, 256, (200, 320)).astype(np.uint8)
    planes = np.repeat(plane[None], 160, 0)
    planes[100:115, 80:140, 100:140] = 255 - planes[100:115, 80:140, 100:140]
    areas = rules.frigate_areas(planes)
    (event,) = rules.frigate_events(areas, 5.0)
    assert 100 <= event[0] <= 101
    planes[:] = plane
    planes[120:] = 255 - planes[120:]
    assert rules.frigate_areas(planes)[120] == 0


def test_subtractors_see_what_comes() -> None:
    pytest.importorskip("cv2")
    planes = np.full((60, 48, 64), 90, np.uint8)
    planes[40:50, 10:30, 10:30] = 200
    for make in rules.subtractors().values():
        scores = rules.dvr_scores(planes, make())
        assert scores[39] < 0.15 <= scores[40]


def test_a_quick_form_has_a_little_of_every_group() -> None:
    groups = {job.prefix.split("__")[0] for job in jobs(quick=True)}
    assert groups >= {"nuisances", "composites", "fleet-continuous", "fleet-motion"}


@pytest.mark.whole
@pytest.mark.usefixtures("footage")
def test_the_quick_form_runs_and_what_was_measured_is_found_again(tmp_path: Path) -> None:
    words = ["--quick", "--cache", str(tmp_path / "kept"), "--out", str(tmp_path), "--strips"]
    words += ["--groups", "nuisances", "fleet-motion"]
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "benchmarks.decisions", *words], check=True)
    rows = json.loads((tmp_path / "decisions.json").read_text())["results"]
    assert {row["who"] for row in rows if "who" in row} >= {"Lamplighter", "Frigate's method"}
    kinds = json.loads((tmp_path / "kinds.json").read_text())["results"]
    assert {row["what"] for row in kinds} == {"exposure", "headlights"}
    assert (tmp_path / "points.png").is_file()
