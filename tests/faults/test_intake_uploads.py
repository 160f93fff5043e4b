"""Uploads that come slowly: none is taken while it may go on, and what was taken short gives way to the whole one."""

import os
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import imageio_ffmpeg
import pytest

from fleet_fixtures import Films, change
from lamplighter.desk.desk import Desk
from logged import entries
from pipeline.media.growth import goes_on
from pipeline.media.whole import is_whole
from samples import naming
from storage.archive import clip_name
from workers.inbox import Upload
from workers.settings import LiveSettings
from workers.watch import WatchedFolder

NAMING = naming("ask-1", template="{camera}/{start:%Y%m%dT%H%M%SZ}.{ext}")
KINDS: dict[str, tuple[str, ...]] = {
    "a.mp4": (),
    "b.mp4": ("-movflags", "+faststart"),
    "c.mp4": ("-movflags", "frag_keyframe+empty_moov"),
    "a.mov": (),
    "a.mkv": (),
    "b.mkv": ("-live", "1"),
    "a.avi": (),
    "a.ts": (),
    "a.flv": (),
    "a.mpg": ("-c:v", "mpeg2video"),
    "a.wmv": ("-c:v", "msmpeg4"),
}
SILENT = {"b.mkv", "a.ts", "a.flv", "a.mpg"}
"""Files that never say that they are whole."""


@pytest.fixture(scope="session")
def uploads(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One film in every container."""
    folder = tmp_path_factory.mktemp("uploads")
    for name, options in KINDS.items():
        coded = options if "-c:v" in options else ("-c:v", "libx264", "-g", "20", "-bf", "0", *options)
        rate = ("-r", "25") if name == "a.mpg" else ()
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", films.moving, *rate, *coded, folder / name],
            check=True,
            timeout=60,
        )
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_a_file_says_that_it_is_whole_with_its_last_byte_and_never_before(
    name: str, uploads: Path, tmp_path: Path
) -> None:
    data, path = (uploads / name).read_bytes(), tmp_path / name
    for sixtieth in range(60):
        path.write_bytes(data[: len(data) * sixtieth // 60])
        assert not is_whole(path), f"{sixtieth} of 60 parts"
        os.truncate(path, len(data))  # as who sets the size first
        assert not is_whole(path), f"{sixtieth} of 60 parts of a file of its whole size"
    path.write_bytes(data)
    assert is_whole(path) == (name not in SILENT)


@pytest.mark.parametrize("name", KINDS)
def test_a_film_goes_on_where_a_shorter_one_ended_and_another_film_does_not(
    name: str, uploads: Path, films: Films, tmp_path: Path
) -> None:
    whole, half = uploads / name, tmp_path / name
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert goes_on(half, whole) == (name not in {"a.mp4", "a.mov"}), "without its index nothing of it can be read"
    assert not goes_on(whole, half)
    assert not goes_on(half, films.other)
    assert not goes_on(whole, whole)


class Hand:
    """The clock of a test, which goes on when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr("workers.watch.time.monotonic", lambda: self.now_s)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


def taken(place: WatchedFolder) -> list[int]:
    return [found.size for found in place.look() if isinstance(found, Upload)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("stalls_s", [3.5, 9.0])
def test_a_stalled_upload_is_taken_whole_and_once(
    name: str, stalls_s: float, uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand, data = Hand(monkeypatch), (uploads / name).read_bytes()
    place = WatchedFolder(tmp_path, NAMING, still_s=10)
    path = tmp_path / "ask-1" / f"20260131T180000Z{Path(name).suffix}"
    path.parent.mkdir()
    for third in (1, 2):
        with path.open("ab") as file:
            file.write(data[len(data) * (third - 1) // 3 : len(data) * third // 3])
        for _ in range(4):
            path.chmod(0o640 if path.stat().st_mode & 0o004 else 0o644)  # its ctime moves, which is no end of it
            assert taken(place) == []
            hand.wait(stalls_s / 4)
            assert taken(place) == []
    with path.open("ab") as file:
        file.write(data[len(data) * 2 // 3 :])
    found = taken(place) + taken(place)
    assert found == ([] if name in SILENT else [len(data)])
    hand.wait(10.1)
    found += taken(place) + taken(place)
    assert found == [len(data)]


def test_a_clock_that_jumps_takes_no_upload_before_its_time_and_keeps_none_from_it(
    uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand, real = Hand(monkeypatch), time.time_ns
    place = WatchedFolder(tmp_path, NAMING, still_s=10)
    path = tmp_path / "ask-1" / "20260131T180000Z.ts"
    path.parent.mkdir()
    path.write_bytes((uploads / "a.ts").read_bytes())
    for hours in (24, -24):
        monkeypatch.setattr("workers.watch.time.time_ns", lambda hours=hours: real() + hours * 3600 * 10**9)
        assert taken(place) == []
        hand.wait(3)
    hand.wait(5)
    assert taken(place) == [path.stat().st_size]


# What was taken short


def put(folder: Path, data: bytes, suffix: str) -> Path:
    path = folder / "ask-1" / f"20260131T180000Z{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.ts", "b.mkv", "a.mpg"])
def test_what_was_taken_short_is_replaced_by_what_comes_whole(
    name: str, desk: Desk, uploads: Path, tmp_path: Path
) -> None:
    data, suffix = (uploads / name).read_bytes(), Path(name).suffix
    put(tmp_path / "in", data[: len(data) // 2], suffix)
    desk.ingest([str(tmp_path / "in")])
    (short,) = desk.clips()
    put(tmp_path / "in", data, suffix)
    tally = desk.ingest([str(tmp_path / "in")])
    assert not tally.aside
    (clip,) = desk.clips()
    assert clip.clip.sha256 == sha256(data).hexdigest()
    assert clip.clip.stream.frames > short.clip.stream.frames
    store = desk._holdings.archive.store
    assert not [key for key in store.keys("") if short.clip.id in key], "nothing of the short one is left"
    assert [clip_name(short.clip)] == [f"{camera}/{name}" for one in tally.replaced for camera, name in one.clips]
    assert [entry.action for entry in entries(desk._holdings.archive) if "replaced" in entry.action] == [
        "clips replaced"
    ]
    put(tmp_path / "in", data[: len(data) // 2], suffix)
    desk.ingest([str(tmp_path / "in")])
    assert [one.clip.id for one in desk.clips()] == [clip.clip.id], "the short one does not come back"


def test_a_shorter_beginning_that_comes_later_is_known_and_another_film_is_refused(
    desk: Desk, uploads: Path, films: Films, tmp_path: Path
) -> None:
    data = (uploads / "a.ts").read_bytes()
    put(tmp_path / "in", data, ".ts")
    desk.ingest([str(tmp_path / "in")])
    put(tmp_path / "in", data[: len(data) // 2], ".ts")
    assert not desk.ingest([str(tmp_path / "in")]).aside
    (one,) = desk.clips()
    assert one.clip.size == len(data)
    put(tmp_path / "other", films.other.read_bytes() + bytes(len(data)), ".mp4")
    (refused,) = desk.ingest([str(tmp_path / "other")]).aside
    assert "two cameras under one name" in refused.reason
    assert [clip.clip.id for clip in desk.clips()] == [one.clip.id]


def test_a_watched_upload_that_stalls_longer_than_is_waited_for_is_replaced_and_the_board_says_so(
    desk: Desk, uploads: Path, tmp_path: Path
) -> None:
    data = (uploads / "a.ts").read_bytes()
    change(desk, live=LiveSettings(poll_s=0.05, still_s=0))
    path = put(tmp_path / "in", data[: len(data) // 2], ".ts")
    assert desk.watch([str(tmp_path / "in")], for_s=0.5).counts["done"] == 1
    with path.open("ab") as file:
        file.write(data[len(data) // 2 :])
    board = desk.watch([str(tmp_path / "in")], for_s=0.5)
    (clip,) = desk.clips()
    assert clip.clip.sha256 == sha256(data).hexdigest()
    assert len(board.document()["replaced"]) == 1
