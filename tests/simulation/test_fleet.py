"""The synthetic fleet: its file, its truth, the clips that are cut from its reels, and how they arrive."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lamplighter.cli.app import main
from lamplighter.desk.desk import read_cameras
from pipeline.errors import ClipError, ConfigError
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.packets import open_recording
from pipeline.span import NS, Span, parse_iso
from simulation import scene
from simulation.feeder import BucketSink, Feeder, FolderSink, drive, film_reels, footage_files, reels_of
from simulation.fleet import (
    HOUR_NS,
    HOUSE_M,
    MAKES,
    Fleet,
    FleetCamera,
    FleetSettings,
    dump_fleet,
    load_fleet,
    make_fleet,
)
from simulation.reel import QUIET, Encoding, Reel, runs, takes
from simulation.scene import Mover, Scene, crossings, render
from simulation.traffic import Sight, dump_truth, frame_ns, load_truth, sights
from simulation.uploads import LONGEST_S, Arrival, arrivals, claimed_ns, load_uploads, score_uploads
from storage.directory import DirectoryStore
from storage.minio_server import Server
from storage.objects import StoreSettings
from storage.s3 import S3Store
from workers.batch import BatchSettings

START = parse_iso("2026-01-31T17:00:00Z")
HERE = BatchSettings(workers=0)
SMALL: dict[str, Any] = {"width": 128, "height": 96, "rate": Fraction(10), "gop": 20}  # two seconds a group of pictures
GOLDEN = "6f867687"


def small_fleet(cameras: int = 12, *, hours: int = 2, **fields: Any) -> Fleet:
    """Return a fleet whose reels are filmed in a second."""
    fleet = make_fleet(cameras, seed=5, start_ns=START, hours=hours, makes=["Dunmore"], **fields)
    return replace(fleet, cameras=tuple(replace(camera, **SMALL) for camera in fleet.cameras))


@pytest.fixture(scope="session")
def reels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reels of the small fleet, filmed once."""
    folder = tmp_path_factory.mktemp("reels")
    fleet = small_fleet()
    assert [receipt.outcome for receipt in film_reels(reels_of(fleet, fleet.span), folder, settings=HERE)] == [
        "done"
    ] * 4
    return folder


def luma(path: Path) -> tuple[list[int], list[NDArray[np.uint8]], Fraction]:
    """Return pts, pictures and time base of a clip that decodes without a fault."""
    with open_video(path, loop_filter=True) as video:
        frames = [(pts, picture.copy()) for pts, picture in video.luma()]
        assert video.damaged == 0
        return [pts for pts, _ in frames], [picture for _, picture in frames], video.time_base


# The file


def test_the_same_seed_gives_the_same_fleet_and_truth_on_every_machine() -> None:
    fleet = make_fleet(40, seed=11, start_ns=START, hours=3, replay=["a.mp4"])
    text = dump_fleet(fleet) + "".join(dump_truth(fleet, sights(fleet)))
    assert hashlib.sha256(text.encode()).hexdigest()[:8] == GOLDEN
    assert dump_fleet(make_fleet(40, seed=12, start_ns=START, hours=3)) != dump_fleet(fleet)


def test_another_process_writes_the_same_fleet_truth_and_clip(tmp_path: Path, reels: Path) -> None:
    program = """
import hashlib, sys
from pathlib import Path
import test_fleet as t
fleet = t.small_fleet()
seen = t.sights(fleet)
text = t.dump_fleet(fleet) + "".join(t.dump_truth(fleet, seen))
with t.Feeder(Path(sys.argv[1]), seen, sink=t.FolderSink(Path(sys.argv[2]))) as feeder:
    fed = next(iter(t.drive(t.arrivals(fleet, seen), feeder, fleet.span, speed=0)))
clip = (Path(sys.argv[2]) / fed.upload.name).read_bytes()
print(hashlib.sha256(text.encode()).hexdigest(), hashlib.sha256(clip).hexdigest())
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(reels), str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in running)
    assert [process.returncode for process in running] == [0, 0]
    assert first == second != ""


def test_a_fleet_file_reads_back_as_it_was_and_imports_as_cameras(tmp_path: Path) -> None:
    fleet = make_fleet(40, seed=11, start_ns=START, replay=["a.mp4", "b.avi"])
    file = tmp_path / "fleet.geojson"
    file.write_text(dump_fleet(fleet))
    assert load_fleet(file.read_text(), name="fleet") == fleet
    assert read_cameras(file) == [camera.camera for camera in fleet.cameras]
    assert sorted(camera.replay for camera in fleet.cameras if camera.replay) == ["a.mp4", "b.avi"]
    places = {(camera.lon, camera.lat) for camera in fleet.cameras}
    assert len(places) == 40, "no two cameras hang in one place"


def test_a_larger_fleet_of_the_same_seed_keeps_its_cameras() -> None:
    few, many = (make_fleet(count, seed=2, start_ns=START) for count in (10, 12))
    assert few.cameras == many.cameras[:10]


@pytest.mark.parametrize(
    ("text", "saying"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a fleet file"),
        ('{"type": "FeatureCollection", "features": []}', "fleet_version"),
        ('{"fleet_version": 2, "features": []}', "wanted a fleet file of version 1, got 2"),
        ('{"fleet_version": 1, "features": [], "seed": 1}', "is not a fleet file"),
        (
            '{"fleet_version": 1, "seed": 1, "start": "2026-01-31T17:00Z", "hours": 1, "traffic": [], "features": []}',
            "at least one camera",
        ),
    ],
)
def test_what_is_no_fleet_file_of_this_version_is_refused_by_name(text: str, saying: str) -> None:
    with pytest.raises(ConfigError, match=r"street\.geojson") as refused:
        load_fleet(text, name="street.geojson")
    assert saying in str(refused.value)


@pytest.mark.parametrize("field", ["busy", "rate", "gop", "owner", "sharing", "phase_ms", "street", "codec", "width"])
def test_a_camera_with_a_wrong_or_missing_property_is_refused_by_name(field: str) -> None:
    document = json.loads(dump_fleet(make_fleet(2, seed=1, start_ns=START)))
    for change in ({field: "?"}, {}):
        broken = json.loads(json.dumps(document))
        broken["features"][1]["properties"].pop(field)
        broken["features"][1]["properties"].update(change)
        with pytest.raises(ConfigError, match=r"fleet: .*cameras\.1"):
            load_fleet(json.dumps(broken), name="fleet")


@pytest.mark.parametrize(
    "wrong",
    [{"cameras": 0}, {"cameras": -3}, {"makes": ["Nobody"]}, {"makes": []}, {"busy": -1.0}, {"continuous": 1.5}],
)
def test_a_fleet_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make_fleet(**{"cameras": 5, "seed": 1, "start_ns": START, **wrong})
    with pytest.raises(ConfigError):
        make_fleet(5, seed=1, start_ns=START + 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"busy": (1.0,) * 23}, {"busy": (-1.0,) * 24}, {"night_from": 25}, {"segment_s": 9}, {"phase_ms": -1},
        {"drift_ppm": 20_000}, {"offset_ms": 10**8}, {"along_m": -1}, {"replay": "a/b.mp4"}, {"id": "a/b"},
        {"gop": 1000}, {"rate": Fraction(0)}, {"width": 127}, {"codec": "av1"}, {"codec": "hevc", "control": "cbr"},
    ],
)  # fmt: skip
def test_a_camera_refuses_to_be_built_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(small_fleet().cameras[0], **wrong)


def test_a_fleet_refuses_two_cameras_of_one_name_and_streets_that_are_not_there() -> None:
    fleet = small_fleet()
    with pytest.raises(ValueError, match="twice"):
        replace(fleet, cameras=(*fleet.cameras, fleet.cameras[0]))
    with pytest.raises(ValueError, match="street 0 of 0"):
        replace(fleet, traffic=())


def test_the_makes_take_keyframes_at_a_plausible_distance() -> None:
    for picture in MAKES.values():
        assert 1 <= picture.gop_s <= 4


# The truth


@pytest.mark.parametrize("picture", [*MAKES.values(), Encoding(128, 96, Fraction(10), "h264", 20, "vbr")])
def test_the_takes_of_a_reel_are_the_crossings_of_its_scene(picture: Encoding) -> None:
    layout = takes(picture)
    shown = crossings(Reel(picture, 0, night=False).scene())
    told = [
        range(take.first_gop * picture.gop + take.seen.start, take.first_gop * picture.gop + take.seen.stop)
        for name, take in layout.items()
        if name != QUIET
    ]
    assert [frames for _, frames in shown] == told
    assert [mover.kind for mover, _ in shown] == [take.kind for take in layout.values() if take.kind]
    for take in layout.values():
        assert 0 <= take.seen.start <= take.seen.stop < take.gops * picture.gop


def test_somebody_is_in_the_picture_in_exactly_the_frames_the_truth_names() -> None:
    fleet = small_fleet()
    seen, camera = sights(fleet), fleet.cameras[0]
    covered = scene.truth(Reel(camera.picture, camera.place, night=False).scene(), 1, 1)[:, 0, 0] > 0
    visible = 0
    for first in (0, 100, 333, 1000, 2000):
        shown = np.concatenate(
            [
                covered[run.start * camera.gop : run.stop * camera.gop]
                for run in runs(
                    camera.picture, [(sight.gop, sight.take) for sight in seen[camera.id]], first=first, gops=200
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
    fleet = make_fleet(24, seed=4, start_ns=START, hours=3, busy=10)
    for passed in sights(fleet).values():
        for before, after in pairwise(passed):
            assert before.gop + before.gops <= after.gop


def test_a_camera_is_as_busy_as_its_file_says_and_everybody_comes_home_at_six() -> None:
    fleet = make_fleet(240, seed=4, start_ns=START, hours=3, busy=0.5)
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
    fleet = make_fleet(6, seed=4, start_ns=START, hours=2, replay=["a.mp4"])
    seen = sights(fleet)
    lines = list(dump_truth(fleet, seen))
    told = load_truth(lines, name="truth.jsonl")
    known = [camera.id for camera in fleet.cameras if not camera.replay]
    assert told == {name: [(one.thing, one.kind, one.frames) for one in seen[name]] for name in known}
    head = json.loads(lines[0]) | {"truth_version": 9}
    for broken in (lines[:-1], [], ["{}"], [json.dumps(head), *lines[1:]], [lines[0], "x", *lines[2:]]):
        with pytest.raises(ConfigError, match=r"truth\.jsonl"):
            load_truth(broken, name="truth.jsonl")


# How they arrive

patterns = st.builds(
    FleetSettings,
    late=st.sampled_from([0.0, 0.1, 1.0]),
    repeated=st.sampled_from([0.0, 0.2]),
    outages=st.sampled_from([0.0, 0.5, 1.0]),
    false_alarms=st.sampled_from([0.0, 5.0, 60.0]),
)


@given(seed=st.integers(0, 10**9), pattern=patterns, busy=st.sampled_from([0.0, 1.0, 20.0]))
@settings(max_examples=15)
def test_uploads_come_in_order_after_their_end_apart_and_of_the_length_they_may_have(
    seed: int, pattern: FleetSettings, busy: float
) -> None:
    fleet = make_fleet(6, seed=seed, start_ns=START, hours=1, busy=busy, continuous=0.3)
    seen = sights(fleet)
    coming = list(arrivals(fleet, seen, settings=pattern))
    assert all(before.arrival_ns <= after.arrival_ns for before, after in pairwise(coming))
    names: dict[str, Arrival] = {}
    for upload in coming:
        camera = upload.camera
        end_ns = upload.start_ns + upload.length_ns
        assert upload.arrival_ns > end_ns
        assert fleet.start_ns <= upload.start_ns < end_ns <= fleet.span.end_ns
        assert 0 < upload.length_ns <= LONGEST_S * NS
        assert upload.claimed_ns == claimed_ns(fleet, camera, upload.start_ns)
        assert upload.repeat == (upload.name in names), "a repeated upload comes after the first"
        if upload.repeat:
            first = names[upload.name]
            assert replace(upload, repeat=False, arrival_ns=first.arrival_ns) == first
        names[upload.name] = upload
    for camera in fleet.cameras:
        mine = sorted((u for u in names.values() if u.camera is camera), key=lambda u: u.start_ns)
        for before, after in pairwise(mine):
            assert before.first_gop + before.gops <= after.first_gop
        if camera.mode == "motion" and not pattern.outages:
            held = [frame for upload in mine for frame in (upload.frames.start, upload.frames.stop)]
            for sight in seen[camera.id]:
                inside = np.searchsorted(held, [sight.frames.start, sight.frames.stop - 1], side="right")
                assert (inside % 2 == 1).all(), "whom it sees sets a camera off"
    if not (pattern.late or pattern.outages):
        assert all(u.repeat or u.arrival_ns - u.start_ns - u.length_ns <= pattern.upload_s * NS for u in coming)


def test_a_camera_that_records_on_end_leaves_nothing_out() -> None:
    fleet = small_fleet(3, continuous=1.0)
    coming = list(arrivals(fleet, sights(fleet), settings=FleetSettings(outages=0, late=0, repeated=0)))
    for camera in fleet.cameras:
        mine = [upload for upload in coming if upload.camera is camera]
        assert mine[0].first_gop == 0
        assert all(before.frames.stop == after.frames.start for before, after in pairwise(mine))
        assert fleet.span.end_ns - (mine[-1].start_ns + mine[-1].length_ns) < camera.picture.gop_s * NS * 2


def test_a_lost_connection_delays_clips_and_a_dead_camera_has_none() -> None:
    fleet = small_fleet(6, continuous=1.0)
    seen = sights(fleet)
    plain = FleetSettings(outages=0, late=0, repeated=0)
    every = {upload.name for upload in arrivals(fleet, seen, settings=plain)}
    delayed = list(arrivals(fleet, seen, settings=plain.model_copy(update={"outages": 1.0, "dead": 0.0})))
    assert {upload.name for upload in delayed} == every
    assert sum(upload.arrival_ns - upload.start_ns - upload.length_ns > 60 * NS for upload in delayed) > 20
    dead = {u.name for u in arrivals(fleet, seen, settings=plain.model_copy(update={"outages": 1.0, "dead": 1.0}))}
    assert dead < every


def test_a_part_of_the_time_has_the_uploads_that_start_in_it() -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    part = Span(START + 1800 * NS, START + 4000 * NS)
    expected = {upload for upload in arrivals(fleet, seen) if upload.start_ns in part}
    assert set(arrivals(fleet, seen, span=part)) == expected


def test_a_wrong_clock_is_off_by_its_offset_and_drifts() -> None:
    fleet = small_fleet()
    camera = replace(fleet.cameras[0], offset_ms=-1500, drift_ppm=100)
    assert claimed_ns(fleet, camera, START) == START - 1_500_000_000
    assert claimed_ns(fleet, camera, START + 10_000 * NS) == START + 10_000 * NS - 500_000_000


# Their clips


def test_a_clip_holds_exactly_the_frames_of_the_reel_it_is_made_of(tmp_path: Path, reels: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    digests, pictures, checked = set(), {}, 0
    with Feeder(reels, seen, sink=FolderSink(tmp_path)) as feeder:
        for fed in drive(arrivals(fleet, seen), feeder, fleet.span, speed=0):
            upload, path = fed.upload, tmp_path / fed.upload.name
            assert path.stat().st_size == fed.size
            if not upload.repeat:
                digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
            checked += 1
            if checked <= 12:
                pts, shown, time_base = luma(path)
                assert len(pts) == fed.frames == len(upload.frames)
                assert [at * time_base for at in pts] == [n / upload.camera.rate for n in range(len(pts))]
                if upload.reel not in pictures:
                    pictures[upload.reel] = luma(reels / upload.reel.name)[1]
                groups = [group for run in upload.runs(seen[upload.camera.id]) for group in run]
                source = [group * 20 + frame for group in groups for frame in range(20)]
                assert all(
                    (pictures[upload.reel][n] == picture).all() for n, picture in zip(source, shown, strict=True)
                )
            if checked == 60:
                break
        names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert len(digests) == len(list(tmp_path.rglob("*.mp4"))), "no two clips have the same bytes"
    assert all(name.endswith(".mp4") and not name.startswith(".") for name in names)


def test_a_repeated_upload_has_the_same_bytes_and_a_store_gets_what_a_folder_gets(tmp_path: Path, reels: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    upload = next(iter(arrivals(fleet, seen)))
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    with Feeder(reels, seen, sink=FolderSink(tmp_path / "folder")) as feeder:
        feeder.write(upload)
        first = (tmp_path / "folder" / upload.name).read_bytes()
        feeder.write(replace(upload, repeat=True))
        assert (tmp_path / "folder" / upload.name).read_bytes() == first
    with Feeder(reels, seen, sink=BucketSink(store, "in/")) as feeder:
        feeder.write(upload)
    assert store.get(f"in/{upload.name}") == first


@pytest.mark.parametrize("options", [{"bf": "2"}, {"bf": "2", "x264-params": "open-gop=1"}])
def test_reordered_and_leaning_frames_survive_the_copy(options: dict[str, str], tmp_path: Path) -> None:
    drive_by = (Mover("vehicle", 0, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
    footage = Scene(3, frames=80, width=128, height=96, leaves=False, movers=drive_by)
    encode(tmp_path / "s.mp4", render(footage), rate=Fraction(10), gop=20, options={"preset": "fast", **options})
    whole = dict(zip(*luma(tmp_path / "s.mp4")[:2], strict=True))
    with open_recording(tmp_path / "s.mp4") as recording:
        groups = recording.groups
        assert len(groups) == 4
        recording.copy(tmp_path / "c.mp4", [range(2, 4), range(1)])
        assert recording.time_base == Fraction(1, 10240)
    pts, shown, _ = luma(tmp_path / "c.mp4")
    ends = groups[0].pts + sum(group.length for group in groups)
    first = [at for at in whole if groups[2].pts <= at < ends]
    # A frame shown before the next keyframe may be coded after it, and then stays with that one.
    second = [at for at in whole if at < groups[1].pts][: groups[0].frames]
    assert len(pts) == len(first) + len(second)
    for at, picture in zip([*first, *second], shown, strict=True):
        np.testing.assert_array_equal(whole[at], picture)


def test_groups_that_are_not_there_and_files_that_are_no_recording_are_refused(tmp_path: Path, reels: Path) -> None:
    with open_recording(next(iter(reels.iterdir()))) as recording:
        for wrong in ([], [range(0)], [range(-1, 2)], [range(10_000)], [range(0, 4, 2)]):
            with pytest.raises(ValueError, match="wanted runs of groups"):
                recording.copy(tmp_path / "x.mp4", wrong)
    (tmp_path / "text.mp4").write_text("hello")
    for name in ("text.mp4", "absent.mp4"):
        with pytest.raises(ClipError, match="packets"), open_recording(tmp_path / name):
            pass


def test_a_reel_that_is_not_whole_is_refused_by_name_and_leaves_no_clip(tmp_path: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    upload = next(iter(arrivals(fleet, seen)))
    short = Scene(3, frames=40, width=128, height=96, movers=())
    encode(tmp_path / upload.reel.name, render(short), rate=Fraction(10), gop=20)
    with Feeder(tmp_path, seen, sink=FolderSink(tmp_path / "out")) as feeder:
        with pytest.raises(ConfigError, match=upload.reel.name):
            feeder.write(upload)
        night = replace(upload, start_ns=START + 3 * HOUR_NS)
        with pytest.raises(ClipError, match=night.reel.name):
            feeder.write(night)
    assert not (tmp_path / "out").exists()


def test_real_footage_is_replayed_by_packet_and_nothing_is_claimed_of_it(footage: Path, tmp_path: Path) -> None:
    names, left_out = footage_files(footage / "clips")
    assert set(left_out) == {"road_above.avi", "vtest.avi"}, "MP4 has no name for MS-MPEG4"
    fleet = small_fleet(len(names), replay=names)
    assert {camera.replay for camera in fleet.cameras} == set(names)
    seen = sights(fleet)
    decoded, firsts = 0, dict[str, Arrival]()
    for upload in arrivals(fleet, seen):
        firsts.setdefault(upload.camera.id, upload)
    assert len(firsts) == len(names), "every camera uploads something"
    with Feeder(tmp_path, seen, sink=FolderSink(tmp_path), replay=footage / "clips") as feeder:
        for upload in firsts.values():
            fed, path = feeder.write(upload), tmp_path / upload.name
            assert fed.things is None
            with open_recording(path) as recording:
                length = sum(group.length for group in recording.groups) * recording.time_base
                assert recording.groups[0].pts == 0
            assert length * NS > upload.length_ns * Fraction(99, 100)
            if path.stat().st_size < 2_000_000:  # decoding the largest would take most of the test's time
                assert len(luma(path)[0]) == fed.frames
                decoded += 1
    assert decoded >= 3


# The score


def test_a_perfect_detector_scores_one_and_a_blind_one_nothing(tmp_path: Path, reels: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    with Feeder(reels, seen, sink=FolderSink(tmp_path)) as feeder:
        fed = [
            one for one, _ in zip(drive(arrivals(fleet, seen), feeder, fleet.span, speed=0), range(60), strict=False)
        ]
    lines = [json.dumps(one.document()) for one in fed]
    uploads = list(load_uploads(lines, name="uploads.jsonl"))
    assert [upload.name for upload in uploads] == [one.upload.name for one in fed]
    truth = {upload.name: upload.spans() for upload in uploads}
    assert sum(map(len, truth.values())) > 20
    perfect = score_uploads(truth, [*uploads, *uploads])
    assert perfect is not None
    assert (perfect.recall, perfect.precision) == (1, 1)
    assert perfect.found == sum(map(len, truth.values())), "what came twice counts once"
    blind = score_uploads({}, uploads)
    assert blind is not None
    assert (blind.recall, blind.false_alarms) == (0, 0)
    dreams = {upload.name: [Span(upload.start_ns, upload.start_ns + NS)] for upload in uploads if not upload.things}
    dreaming = score_uploads(dreams, uploads)
    assert dreaming is not None
    assert (dreaming.precision, dreaming.false_alarms) == (0, len(dreams))
    assert score_uploads({}, []) is None


def test_a_broken_line_of_uploads_is_refused_by_its_number() -> None:
    for line in ("{", "{}", "[]", '"x"'):
        with pytest.raises(ConfigError, match=r"uploads\.jsonl, line 1"):
            list(load_uploads([line], name="uploads.jsonl"))


# The commands

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")

    def runs_it(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lamplighter", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        printed, errors = capfd.readouterr()
        return (stopped.value.code if isinstance(stopped.value.code, int) else 0), printed, errors

    return runs_it


def test_a_fleet_is_made_imported_and_driven_into_a_folder_that_can_be_ingested(
    run: Run, tmp_path: Path, reels: Path
) -> None:
    words = ("--cameras", "12", "--seed", "5", "--start", "2026-01-31T17:00:00Z", "--hours", "2", "--make", "Dunmore")
    code, printed, _ = run("fleet", "make", *words, "--out", "street", "--json")
    assert code == 0
    assert json.loads(printed)["cameras"] == 12
    first = [path.read_bytes() for path in sorted((tmp_path / "street").iterdir())]
    assert run("fleet", "make", *words, "--out", "street")[0] == 0
    assert [path.read_bytes() for path in sorted((tmp_path / "street").iterdir())] == first
    (tmp_path / "street" / "fleet.geojson").write_text(dump_fleet(small_fleet()))
    assert run("cameras", "import", "street/fleet.geojson")[0] == 0
    words = ("--fleet", "street", "--for", "2m", "--from", "2026-01-31T18:10:00Z", "--speed", "0", "--into", "in")
    code, printed, errors = run("fleet", "run", *words, "--cache", str(reels), "--json")
    assert (code, errors) == (0, "")
    said = json.loads(printed)
    uploads = list(load_uploads((tmp_path / "in.uploads.jsonl").read_text().splitlines(), name="in"))
    files = {str(path.relative_to(tmp_path / "in")) for path in (tmp_path / "in").rglob("*") if path.is_file()}
    assert said["clips"] == len(uploads) > 3
    assert {upload.name for upload in uploads} == files
    code, printed, _ = run("ingest", "in", "--json")
    assert (code, json.loads(printed)["outcomes"]) == (0, {"done": len(files)})


def test_a_run_begins_in_the_evening_unless_it_is_told_or_the_fleet_has_none(
    run: Run, tmp_path: Path, reels: Path
) -> None:
    for hours, begins in ((2, "2026-01-31T17:45:00Z"), (1, "2026-01-31T17:00:00Z")):
        (tmp_path / "f.geojson").write_text(dump_fleet(small_fleet(3, hours=hours)))
        words = ("--fleet", "f.geojson", "--for", "20m", "--speed", "0", "--into", "in", "--cache", str(reels))
        code, printed, _ = run("fleet", "run", *words, "--json")
        assert (code, json.loads(printed)["span"].partition("/")[0]) == (0, begins)


@pytest.fixture
def bucket(minio_server: Server, minio_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    for name, value in {"kind": "s3", "endpoint": minio_settings.endpoint, "secure": "false"}.items():
        monkeypatch.setenv(f"LAMPLIGHTER_STORE__{name.upper()}", value)
    return S3Store(minio_settings, minio_server.credentials)


def test_a_fleet_is_driven_into_a_bucket(run: Run, tmp_path: Path, reels: Path, bucket: S3Store) -> None:
    (tmp_path / "f.geojson").write_text(dump_fleet(small_fleet()))
    words = ("--fleet", "f.geojson", "--for", "2m", "--speed", "0", "--cache", str(reels), "--uploads", "up.jsonl")
    name = bucket.url.rpartition("/")[2]
    code, _, errors = run("fleet", "run", *words, "--into", f"s3://{name}/in", "--json")
    assert (code, errors) == (0, "")
    uploads = list(load_uploads((tmp_path / "up.jsonl").read_text().splitlines(), name="up"))
    assert set(bucket.keys()) == {f"in/{upload.name}" for upload in uploads} != set()


def test_a_bucket_that_nobody_may_write_to_is_refused_before_a_reel_is_filmed(run: Run, tmp_path: Path) -> None:
    words = ("--cameras", "3", "--into", "s3://bucket/in", "--cache", str(tmp_path / "cache"))
    code, printed, errors = run("fleet", "run", *words)
    assert (code, printed) == (2, "")
    assert "needs credentials" in errors
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        (("make", "--cameras", "0", "--out", "x"), "at least one, got 0"),
        (("make", "--cameras", "3", "--out", "x", "--make", "Nobody"), "Nobody"),
        (("make", "--cameras", "3", "--out", "x", "--start", "yesterday"), "--start"),
        (("make", "--cameras", "3", "--out", "x", "--start", "2026-01-31T17:30:00Z"), "on the hour"),
        (("make", "--cameras", "3", "--out", "file/x"), "cannot be written"),
        (("make", "--cameras", "3", "--out", "x", "--replay", "nowhere"), "nowhere"),
        (("make", "--cameras", "3", "--out", "x", "--replay", "."), "no clip to replay"),
        (("run", "--cameras", "0"), "at least one, got 0"),
        (("run", "--cameras", "3", "--for", "soon"), "got 'soon'"),
        (("run", "--cameras", "3", "--for", "0s"), "got '0s'"),
        (("run", "--fleet", "nowhere.geojson"), "nowhere.geojson"),
        (("run", "--fleet", "file"), "file: is not JSON"),
        (("run", "--fleet", "f.geojson", "--for", "25h"), "not in all of"),
        (("run", "--fleet", "f.geojson", "--cameras", "4"), "wanted 1 to 3"),
        (("run", "--fleet", "r.geojson"), "say where it is: --replay"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    words: Sequence[str], saying: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("hello")
    (tmp_path / "f.geojson").write_text(dump_fleet(make_fleet(3, seed=1, start_ns=START)))
    (tmp_path / "r.geojson").write_text(dump_fleet(make_fleet(3, seed=1, start_ns=START, replay=["a.mp4"])))
    code, printed, errors = run("fleet", *words)
    assert (code, printed) == (2, "")
    assert saying in errors.replace("\n", " ")
    assert not (tmp_path / "lamplighter-data").exists()
