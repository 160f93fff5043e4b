"""Watched places: each upload once, none half written, in the order of time; and the command that watches."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, START_NS, Films, change, move_in, put_film
from lamplighter.cli.app import main
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.errors import ConfigError, StoreRefused, StoreUnavailable
from pipeline.span import NS
from samples import naming
from storage.access import StoreSettings
from storage.location import Location
from storage.minio_server import Server
from storage.s3 import S3Store
from workers.inbox import Upload
from workers.names import LeftOut
from workers.settings import LiveSettings
from workers.sources import ingest_jobs
from workers.watch import New, Patrol, WatchedBucket, WatchedFolder

NAMING = naming("ask-1", "ask-2")


def moved_in(folder: Path, camera: str = "ask-1", *, minute: int = 0, data: bytes = b"film") -> Path:
    """Write a file under a hidden name and rename it, as a careful uploader does."""
    path = folder / camera / f"20260131T18{minute:02d}00Z.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    hidden.write_bytes(data)
    written_ns = path.parent.stat().st_ctime_ns - NS
    os.utime(hidden, ns=(written_ns, written_ns))  # the file system's clock ticks only every few milliseconds
    hidden.rename(path)
    return path


def names(place: WatchedFolder | WatchedBucket) -> list[str]:
    return [
        f"{found.job.camera} {(found.job.start_ns or 0 - START_NS) // NS - START_NS // NS}"
        if isinstance(found, Upload)
        else f"{found.station}: {Path(found.job.name).name}"
        for found in place.look()
    ]


def test_a_file_that_was_renamed_into_place_is_taken_at_the_first_look(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING)
    assert names(place) == []
    moved_in(tmp_path)
    assert names(place) == ["ask-1 0"]
    assert names(place) == []


def test_a_file_is_not_taken_while_it_is_written(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING)
    path = tmp_path / "ask-1" / "20260131T180000Z.mp4"
    path.parent.mkdir()
    with path.open("wb") as file:
        for _ in range(3):
            file.write(b"half")
            file.flush()
            os.utime(path, ns=(1, path.stat().st_ctime_ns))  # as if the write were this very moment's
            file.write(b"!")
            file.flush()
            assert names(place) == []
    assert names(place) == ["ask-1 0"], "nothing has changed since the look before"


def test_an_empty_file_that_was_only_just_made_is_not_taken(tmp_path: Path) -> None:
    path = moved_in(tmp_path, data=b"")
    assert names(WatchedFolder(tmp_path, NAMING)) == []
    assert path.stat().st_size == 0


def test_hidden_and_other_files_and_links_to_nowhere_are_left_alone(tmp_path: Path) -> None:
    for name in (".20260131T180000Z.mp4", "20260131T180000Z.mp4.part", "notes.txt"):
        (tmp_path / "ask-1").mkdir(exist_ok=True)
        (tmp_path / "ask-1" / name).write_bytes(b"film")
    (tmp_path / "ask-1" / "20260131T190000Z.mp4").symlink_to(tmp_path / "nowhere.mp4")
    place = WatchedFolder(tmp_path, NAMING)
    assert names(place) == names(place) == []


def test_what_is_new_comes_in_the_order_of_time(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING)
    for camera, minute in (("ask-2", 3), ("ask-1", 2), ("ask-2", 1), ("ask-1", 4)):
        moved_in(tmp_path, camera, minute=minute)
    assert names(place) == ["ask-2 60", "ask-1 120", "ask-2 180", "ask-1 240"]


def test_a_file_that_changed_is_taken_again_and_one_that_came_back_too(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING)
    path = moved_in(tmp_path)
    assert names(place) == ["ask-1 0"]
    moved_in(tmp_path, data=b"another film")
    assert names(place) == ["ask-1 0"]
    path.unlink()
    assert names(place) == []
    moved_in(tmp_path, data=b"another film")
    assert names(place) == ["ask-1 0"]


def test_more_than_a_look_gives_comes_with_the_next_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.watch._LOOK", 2)
    for minute in range(5):
        moved_in(tmp_path, minute=minute)
    place = WatchedFolder(tmp_path, NAMING)
    assert [names(place) for _ in range(4)] == [["ask-1 0", "ask-1 60"], ["ask-1 120", "ask-1 180"], ["ask-1 240"], []]


def test_a_look_that_broke_off_neither_forgets_nor_piles_up_what_was_given(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING)
    moved_in(tmp_path)
    assert names(place) == ["ask-1 0"]
    for _ in range(3):
        place._seen.begin_look()
        assert list(place._fresh({}, LeftOut())) == []
    assert len(place._seen._still) == 1
    assert names(place) == []
    assert not place._seen._since
    assert place._seen._seen.itemsize * len(place._seen._seen) == 8


def test_what_is_refused_by_name_is_told_once_and_taken_when_its_sidecar_comes(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING)
    path = moved_in(tmp_path)
    strange = path.rename(tmp_path / "film.mp4")
    assert names(place) == ["name: film.mp4"]
    assert names(place) == []
    Path(f"{strange}.json").write_text('{"camera": "ask-2", "start": "2026-01-31T18:01:00Z"}')
    assert names(place) == ["ask-2 60"]


def test_a_folder_that_is_not_there_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wanted a folder"):
        WatchedFolder(tmp_path / "nowhere", NAMING)


@pytest.fixture
def bucket(minio_settings: StoreSettings, minio_server: Server, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    return S3Store(minio_settings, minio_server.credentials)


def test_a_prefix_is_listed_for_what_is_new(bucket: S3Store, minio_settings: StoreSettings) -> None:
    place = WatchedBucket(Location("up", minio_settings.bucket), minio_settings, NAMING)
    assert names(place) == []
    bucket.put("up/ask-2/20260131T180100Z.mp4", b"film")
    bucket.put("up/ask-1/20260131T180000Z.mp4", b"film")
    bucket.put("up/x/film.mp4", b"film")
    bucket.put("up/x/film.json", b'{"camera": "ask-1", "start": "2026-01-31T18:02:00Z"}')
    bucket.put("elsewhere/ask-1/20260131T180000Z.mp4", b"film")
    assert names(place) == ["ask-1 0", "ask-2 60", "ask-1 120"]
    assert names(place) == []
    bucket.put("up/ask-1/20260131T180000Z.mp4", b"other film")
    assert names(place) == ["ask-1 0"]


def test_the_mark_is_the_one_that_ingest_gives(bucket: S3Store, minio_settings: StoreSettings, tmp_path: Path) -> None:

    bucket.put("up/ask-1/20260131T180000Z.mp4", b"film")
    moved_in(tmp_path)
    where = Location("up", minio_settings.bucket)
    for place, spot in (
        (WatchedBucket(where, minio_settings, NAMING), where),
        (WatchedFolder(tmp_path, NAMING), tmp_path),
    ):
        (upload,) = place.look()
        assert isinstance(upload, Upload)
        (job,), _ = ingest_jobs([str(spot)], NAMING, open_bucket=lambda _: bucket)
        assert upload.job == job


def test_a_hint_makes_it_look_at_once(bucket: S3Store, minio_settings: StoreSettings) -> None:
    place = WatchedBucket(Location("up", minio_settings.bucket), minio_settings, NAMING)
    got, stop, failed = threading.Event(), threading.Event(), list[BaseException]()
    patrol = Patrol(place, lambda _: got.set(), poll_s=3000, stop=stop, fail=failed.append)
    patrol.start()
    number = 0
    while not got.is_set() and number < 30:  # the first may come before MinIO listens for us
        bucket.put(f"up/ask-1/20260131T18{number:02d}00Z.mp4", b"film")
        number += 1
        got.wait(1)
    stop.set()
    patrol.join()
    assert (got.is_set(), failed) == (True, [])


class Flaky:
    """A place whose store is away at first, and then says no."""

    name = "flaky"
    left = LeftOut()

    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> list[New]:
        self.looks += 1
        if self.looks < 3:
            raise StoreUnavailable("nobody answers")
        raise StoreRefused("wrong secret")

    def hints(self) -> Iterator[object]:
        return iter(())


def test_a_store_that_is_away_is_asked_again_and_one_that_refuses_ends_the_run() -> None:
    failed = list[BaseException]()
    place = Flaky()
    patrol = Patrol(place, lambda _: None, poll_s=0.01, stop=threading.Event(), fail=failed.append)
    patrol.run()
    assert place.looks == 3
    assert isinstance(failed[0], StoreRefused)


# The command and its run


def test_a_bucket_is_watched_into_the_same_store_as_any_clip(
    bucket: S3Store, minio_settings: StoreSettings, desk: Desk, films: Films
) -> None:
    there = desk._holdings.store.model_copy(update={"endpoint": minio_settings.endpoint, "secure": False})
    desk._holdings = replace(desk._holdings, store=there)
    bucket.put("up/ask-1/20260131T180000Z.mp4", films.moving)
    board = desk.watch([f"s3://{minio_settings.bucket}/up"], for_s=0.5)
    assert board.counts["done"] == 1
    assert desk.clips()[0].source == "20260131T180000Z.mp4"


@pytest.mark.whole
def test_a_watched_folder_tells_what_it_leaves_out_and_names_its_clips_as_they_were(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    for name in ("a\x1b\n\\.mp4", os.fsdecode(b"\xff.mp4"), ".b.mp4.part", "c.rm", ".trash/d.mp4", "e.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(films.moving.read_bytes())
        os.utime(path, (1, 1))  # as a finished copy does, so that one look is enough
        if path.suffix == ".mp4" and path.parent.name == "in":
            start = f"2026-01-31T18:{len(name):02d}:00Z"
            Path(f"{path}.json").write_text(json.dumps({"camera": "ask-1", "start": start}))
    board = desk.watch([str(tmp_path / "in")], for_s=2)
    assert {one.source for one in desk.clips()} == {"a\x1b\n\\.mp4", "\\udcff.mp4"}
    assert board.imperfect, "c.rm may hold footage"
    assert {(row["rule"], row["ending"]): row["files"] for row in board.document()["left_out"]} == {
        ("sidecar of a clip", ".json"): 2,
        ("hidden", ".mp4"): 1,
        ("temporary name", ".part"): 1,
        ("footage by its ending, not taken", ".rm"): 1,
        ("other ending", ".txt"): 1,
    }


def test_a_clip_that_came_twice_is_one_clip_and_a_camera_may_be_added_meanwhile(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.moving, tmp_path / "in" / "again", "ask-1")
    put_film(films.moving, tmp_path / "in", "nobody")
    change(desk, live=LiveSettings(poll_s=0.1))
    board = desk.watch([str(tmp_path / "in")], for_s=1)
    assert (board.counts["done"], board.counts["done before"], dict(board.aside)) == (1, 1, {"camera": 1})
    (account,) = desk._holdings.archive.aside.all()
    assert "nobody" in account.reason
    assert board.imperfect


def run(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lamplighter", *words],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.whole
def test_ctrl_c_ends_the_command_cleanly_and_the_next_run_goes_on(films: Films, tmp_path: Path) -> None:
    with open_desk(load(flags={"data": tmp_path / "lamplighter-data"})) as desk:
        move_in(desk, CAMERAS)
    for number in range(30):
        put_film(films.still, tmp_path / "in", "ask-1", after_s=number * 10)
    process = run(tmp_path, "watch", "in", "--workers", "0", "--json")
    ingested = tmp_path / "lamplighter-data" / "objects" / "ingested" / "ask-1"
    while not ingested.is_dir():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, "Ending" in errors, "Traceback" in errors) == (0, True, False)
    first = json.loads(printed)
    assert first["waiting"] == first["in"] - first["done"]
    process = run(tmp_path, "watch", "in", "--workers", "0", "--json", "--for", "5s")
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    second = json.loads(printed)
    assert second["recovered"] == first["waiting"]
    assert first["done"] + second["done"] == 30
    assert second["waiting"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to watch"),
        ((".",), "holds no camera"),
        (("nowhere",), "wanted a folder"),
        (("--camera-url", "ask-1"), "ID=URL"),
        (("--camera-url", "ask-1=ftp://u:geheim@host/x"), "wanted a camera's address"),
        (("--camera-url", "ask-1=env:LAMPLIGHTER_NO_SUCH"), "LAMPLIGHTER_NO_SUCH of camera ask-1 is empty or not set"),
        (("--camera-url", "nobody=rtsp://u:geheim@host/x"), "not in the catalogue"),
        ((".", "--policy", "maybe"), "block"),
    ],
)
def test_what_cannot_be_watched_is_refused_before_any_work(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lamplighter", "watch", *words, "--workers", "0"])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed, errors = capfd.readouterr()
    assert (stopped.value.code, printed) == (2, "")
    assert said in errors.replace("\n", " ")
    assert "geheim" not in errors
