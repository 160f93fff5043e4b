"""The clips that are cut from the reels of a fleet, and where they go."""

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.errors import ClipError, ConfigError
from pipeline.media.encode import encode
from pipeline.media.packets import open_recording
from pipeline.span import NS
from simulation.arrivals import Arrival, arrivals
from simulation.feeder import BucketSink, Feeder, FolderSink, drive, footage_files
from simulation.fleet import HOUR_NS
from simulation.scene import Scene, render
from simulation.traffic import sights
from storage.directory import DirectoryStore
from street_fixtures import START, luma, small_fleet


def test_a_clip_holds_exactly_the_frames_of_the_reel_it_is_made_of(tmp_path: Path, reels: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    digests, pictures, checked = set(), {}, 0
    with Feeder(reels, seen, sink=FolderSink(tmp_path)) as feeder:
        for fed in drive(arrivals(fleet, seen), feeder, fleet.span, speed=0):
            arrival, path = fed.arrival, tmp_path / fed.arrival.name
            assert path.stat().st_size == fed.size
            if not arrival.repeat:
                digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
            checked += 1
            if checked <= 12:
                pts, shown, time_base = luma(path)
                assert len(pts) == fed.frames == len(arrival.frames)
                assert [at * time_base for at in pts] == [n / arrival.camera.rate for n in range(len(pts))]
                if arrival.reel not in pictures:
                    pictures[arrival.reel] = luma(reels / arrival.reel.name)[1]
                groups = [group for piece in arrival.pieces(seen[arrival.camera.id]) for group in piece]
                source = [group * 20 + frame for group in groups for frame in range(20)]
                assert all(
                    (pictures[arrival.reel][n] == picture).all() for n, picture in zip(source, shown, strict=True)
                )
            if checked == 60:
                break
        names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert len(digests) == len(list(tmp_path.rglob("*.mp4"))), "no two clips have the same bytes"
    assert all(name.endswith(".mp4") and not name.startswith(".") for name in names)


def test_a_repeated_arrival_has_the_same_bytes_and_a_store_gets_what_a_folder_gets(tmp_path: Path, reels: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    arrival = next(iter(arrivals(fleet, seen)))
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    with Feeder(reels, seen, sink=FolderSink(tmp_path / "folder")) as feeder:
        feeder.write(arrival)
        first = (tmp_path / "folder" / arrival.name).read_bytes()
        feeder.write(replace(arrival, repeat=True))
        assert (tmp_path / "folder" / arrival.name).read_bytes() == first
    with Feeder(reels, seen, sink=BucketSink(store, "in/")) as feeder:
        feeder.write(arrival)
    assert store.get(f"in/{arrival.name}") == first


def test_a_reel_that_is_not_whole_is_refused_by_name_and_leaves_no_clip(tmp_path: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    arrival = next(iter(arrivals(fleet, seen)))
    short = Scene(3, frames=40, width=128, height=96, movers=())
    encode(tmp_path / arrival.reel.name, render(short), rate=Fraction(10), gop=20)
    with Feeder(tmp_path, seen, sink=FolderSink(tmp_path / "out")) as feeder:
        with pytest.raises(ConfigError, match=arrival.reel.name):
            feeder.write(arrival)
        night = replace(arrival, start_ns=START + 3 * HOUR_NS)
        with pytest.raises(ClipError, match=night.reel.name):
            feeder.write(night)
    assert not (tmp_path / "out").exists()


def test_real_footage_is_replayed_by_packet_and_nothing_is_claimed_of_it(footage: Path, tmp_path: Path) -> None:
    names, left_out = footage_files(footage / "clips")
    assert set(left_out) == {"road_above.avi", "vtest.avi"}, "MP4 has no name for MS-MPEG4"
    fleet = small_fleet(len(names), replay=tuple(names))
    assert {camera.replay for camera in fleet.cameras} == set(names)
    seen = sights(fleet)
    decoded, firsts = 0, dict[str, Arrival]()
    for arrival in arrivals(fleet, seen):
        firsts.setdefault(arrival.camera.id, arrival)
    assert len(firsts) == len(names), "every camera uploads something"
    with Feeder(tmp_path, seen, sink=FolderSink(tmp_path), replay=footage / "clips") as feeder:
        for arrival in firsts.values():
            fed, path = feeder.write(arrival), tmp_path / arrival.name
            assert fed.things is None
            with open_recording(path) as recording:
                length = sum(group.length for group in recording.groups) * recording.time_base
                assert recording.groups[0].pts == 0
            assert length * NS > arrival.length_ns * Fraction(99, 100)
            if path.stat().st_size < 2_000_000:  # decoding the largest would take most of the test's time
                assert len(luma(path)[0]) == fed.frames
                decoded += 1
    assert decoded >= 3
