"""What happens in a fleet's streets, which is the truth that detection is measured against."""

import json
from itertools import pairwise

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.span import NS
from simulation import scene
from simulation.fleet import HOUR_NS, HOUSE_M, Fleet, FleetCamera, Mix, make_fleet
from simulation.reel import Reel, pieces
from simulation.traffic import Sight, dump_truth, frame_ns, load_truth, sights
from street_fixtures import START, small_fleet


def test_somebody_is_in_the_picture_in_exactly_the_frames_the_truth_names() -> None:
    fleet = small_fleet()
    seen, camera = sights(fleet), fleet.cameras[0]
    covered = scene.truth(Reel(camera.encoding, camera.site, night=False).scene(), 1, 1)[:, 0, 0] > 0
    visible = 0
    for first in (0, 100, 333, 1000, 2000):
        shown = np.concatenate(
            [
                covered[piece.start * camera.gop : piece.stop * camera.gop]
                for piece in pieces(
                    camera.encoding, [(sight.gop, sight.take) for sight in seen[camera.id]], first=first, gops=200
                )
            ]
        )
        told = np.zeros(200 * camera.gop, bool)
        for sight in seen[camera.id]:
            at = range(sight.frames.start - first * camera.gop, sight.frames.stop - first * camera.gop)
            told[max(at.start, 0) : max(at.stop, 0)] = True
        visible += int(shown.sum())
        np.testing.assert_array_equal(shown, told)
    assert visible > 500


def passing(fleet: Fleet, seen: dict[str, list[Sight]]) -> dict[int, list[tuple[int, FleetCamera, Sight]]]:
    """Return each thing's sights with the instant each begins, in order of time."""
    found: dict[int, list[tuple[int, FleetCamera, Sight]]] = {}
    for camera in fleet.cameras:
        for sight in seen[camera.id]:
            found.setdefault(sight.thing, []).append((frame_ns(fleet, camera, sight.gop * camera.gop), camera, sight))
    return {thing: sorted(stops, key=lambda stop: stop[0]) for thing, stops in found.items()}


def test_who_walks_down_a_street_passes_its_cameras_one_after_the_other_at_a_walking_pace() -> None:
    fleet = make_fleet(24, seed=4, start_ns=START, hours=3)
    walked = 0
    for stops in passing(fleet, sights(fleet)).values():
        kinds = {sight.kind for _, _, sight in stops}
        assert len(kinds) == 1, "nobody turns into a car"
        assert len({camera.street for _, camera, _ in stops}) == 1
        if len(stops) < 6:
            continue
        walked += 1
        along = [camera.along_m for _, camera, _ in stops]
        assert along in (sorted(along), sorted(along, reverse=True))
        for (before_ns, before, _), (after_ns, after, _) in pairwise(stops):
            metres, seconds = abs(after.along_m - before.along_m), (after_ns - before_ns) / NS
            assert metres / 10.1 <= seconds or metres == 0, "a car does 36 km/h at most"
            if kinds == {"person"}:
                assert metres / 1.9 <= seconds <= (metres + 2 * HOUSE_M) / 1.0 + 30
    assert walked > 20


def test_no_camera_sees_two_things_at_a_time() -> None:
    fleet = make_fleet(24, seed=4, start_ns=START, hours=3, mix=Mix(busy=10))
    for passed in sights(fleet).values():
        for before, after in pairwise(passed):
            assert before.gop + before.gops <= after.gop


def test_a_camera_is_as_busy_as_its_file_says_and_everybody_comes_home_at_six() -> None:
    fleet = make_fleet(240, seed=4, start_ns=START, hours=3, mix=Mix(busy=0.5))
    seen = sights(fleet)
    hour = dict.fromkeys((17, 18, 19), 0)
    early = calls = 0
    for stops in passing(fleet, seen).values():
        for at_ns, _, sight in stops:
            if sight.take == "door" and 18 <= at_ns // HOUR_NS % 24 < 19:
                calls += 1
                early += at_ns % HOUR_NS < 620 * NS
            if at_ns // HOUR_NS % 24 in hour:
                hour[at_ns // HOUR_NS % 24] += 1
    for h, count in hour.items():
        told = sum(camera.busy[h] for camera in fleet.cameras)
        assert 0.75 * told < count <= 1.1 * told
    assert early > calls / 2


def test_the_truth_file_reads_back_and_a_broken_one_is_refused_by_name() -> None:
    fleet = make_fleet(6, seed=4, start_ns=START, hours=2, mix=Mix(replay=("a.mp4",)))
    seen = sights(fleet)
    lines = list(dump_truth(fleet, seen))
    told = load_truth(lines, name="truth.jsonl")
    known = [camera.id for camera in fleet.cameras if not camera.replay]
    assert told == {name: [(one.thing, one.kind, one.frames) for one in seen[name]] for name in known}
    head = json.loads(lines[0]) | {"truth_version": 9}
    for broken in (lines[:-1], [], ["{}"], [json.dumps(head), *lines[1:]], [lines[0], "x", *lines[2:]]):
        with pytest.raises(ConfigError, match=r"truth\.jsonl"):
            load_truth(broken, name="truth.jsonl")
