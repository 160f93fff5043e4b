"""A clip's way in: what is taken in, what is refused by name, and what a second run does."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import assert_type

import numpy as np
import pytest

from conftest import cannot_run
from fleet_fixtures import START_NS, Films, change, put_film
from lamplighter.desk.desk import Desk
from lamplighter.desk.tally import Tally
from pipeline.errors import ConfigError, NotFound
from pipeline.measure.motion import MeasureSettings
from pipeline.media.encode import encode
from pipeline.span import NS
from samples import naming
from storage.access import StoreSettings
from storage.archive import Ingested, clip_name
from storage.directory import DirectoryStore
from storage.location import Location
from storage.minio_server import Server
from storage.s3 import S3Store
from workers.batch import run
from workers.ingest import Context, ingest
from workers.receipt import Outcome, Receipt, Stopwatch
from workers.settings import BatchSettings
from workers.sources import IngestJob, ingest_jobs

pytestmark = pytest.mark.whole

TEMPLATE = "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"


def take_in(desk: Desk, *where: Path | str, camera: str | None = None) -> Tally:
    return desk.ingest([str(place) for place in where], camera=camera)


def reasons(tally: Tally) -> dict[str, tuple[str, str]]:
    return {Path(receipt.job.name).name: (receipt.station, receipt.reason) for receipt in tally.aside}


def test_a_clip_is_kept_as_it_came_with_its_activity_and_its_record(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    tally = take_in(desk, tmp_path / "in")
    assert tally.outcomes == {Outcome.DONE: 1}
    (record,) = desk.clips()
    clip = record.clip
    assert (clip.camera, clip.start_ns, clip.stream.frames) == ("ask-1", START_NS, 80)
    assert clip.sha256 == sha256(path.read_bytes()).hexdigest()
    assert desk._holdings.archive.store.get(clip.key) == path.read_bytes()
    assert clip.span.duration_ns == 8 * NS
    activity = desk._holdings.archive.activity(record)
    assert activity.share.shape[0] == 80
    assert activity.share.max() > 0
    assert activity.version == record.version


def test_what_is_in_already_is_left_alone_by_path_and_by_content(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    take_in(desk, tmp_path / "in")
    before = {
        key: desk._holdings.archive.store.get(key)
        for key in desk._holdings.archive.store.keys("")
        if not key.startswith(("entries/", "log/", "logs/"))
    }
    assert take_in(desk, tmp_path / "in").outcomes == {Outcome.ALREADY: 1}
    os.utime(path, (1, 1))  # uploaded again: another time of change, the same content
    assert take_in(desk, tmp_path / "in").outcomes == {Outcome.ALREADY: 1}
    after = {
        key: desk._holdings.archive.store.get(key)
        for key in desk._holdings.archive.store.keys("")
        if not key.startswith(("entries/", "log/", "logs/"))
    }
    assert {key: data for key, data in after.items() if not key.startswith("sources/")} == {
        key: data for key, data in before.items() if not key.startswith("sources/")
    }


def test_a_second_run_does_only_what_is_missing(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    take_in(desk, tmp_path / "in")
    put_film(films.still, tmp_path / "in", "ask-2")
    assert take_in(desk, tmp_path / "in").outcomes == {Outcome.ALREADY: 1, Outcome.DONE: 1}


def test_a_hidden_file_of_a_folder_is_no_clip(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    path.rename(path.with_name(f".{path.name}"))
    assert take_in(desk, tmp_path / "in").planned == 0


def test_a_retry_after_a_crash_before_the_record_writes_the_same_bytes(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    take_in(desk, tmp_path / "in")
    store = desk._holdings.archive.store
    before = {key: store.get(key) for key in store.keys("") if key.split("/")[0] in {"clips", "activity", "ingested"}}
    for key in list(store.keys("ingested/")) + list(store.keys("sources/")):
        store.delete(key)
    assert take_in(desk, tmp_path / "in").outcomes == {Outcome.DONE: 1}
    assert {
        key: store.get(key) for key in store.keys("") if key.split("/")[0] in {"clips", "activity", "ingested"}
    } == before


def _truncated(films: Films) -> bytes:
    return films.moving.read_bytes()[:-5000]


def _without_index(films: Films) -> bytes:
    data = films.moving.read_bytes()
    return data[: data.index(b"moov") - 4]


BAD = {
    "zero.mp4": (lambda _: b"", "fetch", "empty"),
    "text.mp4": (lambda _: b"this is a letter, not a film\n" * 50, "probe", ""),
    "truncated.mp4": (_truncated, "", ""),
    "headless.mp4": (_without_index, "probe", ""),
    "random.mp4": (lambda _: np.random.default_rng(1).bytes(20_000), "probe", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_name_and_the_rest_is_unharmed(
    desk: Desk, films: Films, tmp_path: Path, name: str
) -> None:
    make, station, words = BAD[name]
    make_bytes: Callable[[Films], bytes] = make
    put_film(films.moving, tmp_path / "in", "ask-1")
    bad = tmp_path / "in" / "ask-2" / name
    bad.parent.mkdir()
    bad.write_bytes(make_bytes(films))
    bad.with_suffix(".json").write_text('{"camera": "ask-2", "start": "2026-01-31T18:00:00Z"}')
    tally = take_in(desk, tmp_path / "in")
    assert tally.outcomes == {Outcome.DONE: 1, Outcome.ASIDE: 1}
    said_station, said = reasons(tally)[name]
    assert station in said_station
    assert words in said
    assert [aside.source for aside in desk._holdings.archive.aside.all()] == [str(bad)]
    assert [record.clip.camera for record in desk.clips()] == ["ask-1"]


def test_a_clip_that_was_mended_is_no_longer_listed_as_set_aside(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    path.write_bytes(b"")
    take_in(desk, tmp_path / "in")
    assert list(desk._holdings.archive.aside.names())
    put_film(films.moving, tmp_path / "in", "ask-1")
    take_in(desk, tmp_path / "in")
    assert list(desk._holdings.archive.aside.names()) == []


def test_a_camera_that_is_not_in_the_catalogue_is_refused(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "nobody")
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in")).values()
    assert station == "camera"
    assert "cameras import" in reason


def test_a_start_that_cannot_be_read_is_refused(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    path.rename(path.with_name("20261399T180000Z.mp4"))
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in")).values()
    assert station == "name"
    assert "20261399T180000Z" in reason


def test_a_clip_without_any_start_is_refused(desk: Desk, films: Films, tmp_path: Path) -> None:
    shutil.copyfile(films.moving, tmp_path / "film.mp4")
    ((station, reason),) = reasons(take_in(desk, tmp_path / "film.mp4", camera="ask-1")).values()
    assert station == "start"
    assert "sidecar" in reason


def test_the_containers_creation_time_counts_when_nothing_else_says_the_start(desk: Desk, tmp_path: Path) -> None:
    frames = [np.full((72, 64), 90 + n, np.uint8) for n in range(10)]
    encode(tmp_path / "film.mp4", frames, rate=Fraction(10), created_ns=START_NS)
    assert take_in(desk, tmp_path / "film.mp4", camera="ask-1").outcomes == {Outcome.DONE: 1}
    assert desk.clips()[0].clip.start_ns == START_NS


@pytest.mark.parametrize("sidecar", ["film.mp4.json", "film.json"])
def test_a_sidecar_outweighs_everything(desk: Desk, films: Films, tmp_path: Path, sidecar: str) -> None:
    shutil.copyfile(films.moving, tmp_path / "film.mp4")
    (tmp_path / sidecar).write_text(json.dumps({"camera": "ask-2", "start": "2026-01-31T19:00:00.5+01:00"}))
    take_in(desk, tmp_path / "film.mp4", camera="ask-1")
    clip = desk.clips()[0].clip
    assert (clip.camera, clip.start_ns) == ("ask-2", START_NS + NS // 2)


def test_two_files_with_one_name_and_different_content_are_both_refused(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in" / "phone", "ask-1")
    put_film(films.other, tmp_path / "in" / "card", "ask-1")
    put_film(films.still, tmp_path / "in", "ask-2")
    tally = take_in(desk, tmp_path / "in")
    assert tally.outcomes == {Outcome.ASIDE: 2, Outcome.DONE: 1}
    assert {receipt.station for receipt in tally.aside} == {"name"}


def test_a_file_that_cannot_be_read_says_so_itself_and_takes_its_name_from_nobody(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    unreadable = Path("/sys/class/net/lo/speed")  # opens, says 4096 bytes, and cannot be read
    if not unreadable.exists():
        cannot_run("there is no file here that opens and cannot be read")
    for card in ("phone", "card"):
        path = put_film(films.moving, tmp_path / "in" / card, "ask-1")
        if card == "phone":
            path.write_bytes(films.moving.read_bytes()[: unreadable.stat().st_size])
        else:
            path.unlink()
            path.symlink_to(unreadable)
    tally = take_in(desk, tmp_path / "in")
    assert {receipt.station for receipt in tally.aside} == {"probe", "fetch"}


def test_one_film_uploaded_twice_is_one_clip(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in" / "phone", "ask-1")
    put_film(films.moving, tmp_path / "in" / "card", "ask-1")
    assert take_in(desk, tmp_path / "in").outcomes == {Outcome.DONE: 1, Outcome.ALREADY: 1}


def test_a_second_film_under_the_name_of_a_stored_clip_is_refused(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    take_in(desk, tmp_path / "in")
    put_film(films.other, tmp_path / "in", "ask-1")
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in")).values()
    assert station == "name"
    assert "two cameras under one name" in reason


def test_a_file_that_vanishes_after_it_was_listed_is_refused(desk: Desk, films: Films, tmp_path: Path) -> None:
    gone, stays = (put_film(films.moving, tmp_path / "in", camera) for camera in ("ask-1", "ask-2"))
    jobs, refused = ingest_jobs(
        [str(tmp_path / "in")],
        naming("ask-1", "ask-2"),
        open_bucket=desk._holdings.context.open_bucket,
    )
    assert (len(jobs), refused) == (2, [])
    gone.unlink()
    receipts = {}
    for receipt in run(jobs, ingest, desk._holdings.context, settings=BatchSettings(workers=0)):
        assert_type(receipt, Receipt[IngestJob, Ingested | None])
        receipts[receipt.job.name] = receipt
    assert (receipts[str(gone)].outcome, receipts[str(gone)].station) == (Outcome.ASIDE, "fetch")
    assert receipts[str(stays)].outcome is Outcome.DONE


def test_a_place_that_is_not_there_stops_before_any_work(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        take_in(desk, tmp_path / "nowhere" / "*.mp4")


def test_a_picture_over_the_limit_is_refused(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    job = IngestJob("film", Location(str(path)), "m", "ask-1", START_NS)
    small = Context(desk._holdings.context.store, desk._holdings.context.measure, 100)
    (receipt,) = run([job], ingest, small, settings=BatchSettings(workers=0))
    assert receipt.outcome is Outcome.ASIDE
    assert "pixels" in receipt.reason


def test_clips_are_taken_in_from_a_bucket(
    desk: Desk, films: Films, monkeypatch: pytest.MonkeyPatch, minio_settings: StoreSettings, minio_server: Server
) -> None:

    uploads = S3Store(minio_settings, minio_server.credentials)
    uploads.put("up/ask-1/20260131T180000Z.mp4", films.moving)
    uploads.put("up/film.mp4", films.still)
    uploads.put("up/film.mp4.json", b'{"camera": "ask-2", "start": "2026-01-31T18:00:00Z"}')
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    desk._holdings = replace(desk._holdings, store=minio_settings)
    tally = take_in(desk, f"s3://{minio_settings.bucket}/up/")
    assert tally.outcomes == {Outcome.DONE: 2}
    assert {record.clip.camera for record in desk.clips()} == {"ask-1", "ask-2"}
    assert take_in(desk, f"s3://{minio_settings.bucket}/up/").outcomes == {Outcome.ALREADY: 2}


def test_every_station_is_timed_in_the_receipt(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    tally = take_in(desk, tmp_path / "in")
    assert {"record", "fetch", "decode", "measure", "put", "total"} <= set(tally.seconds)
    parts = sum(seconds for station, seconds in tally.seconds.items() if station != "total")
    assert parts <= tally.seconds["total"]


@dataclass(frozen=True)
class Lethal:
    """A context under which one clip kills the process it is ingested in."""

    inner: Context
    victim: str


def lethal_ingest(job: IngestJob, context: Lethal, watch: Stopwatch) -> tuple[Outcome, Ingested | None]:
    if job.camera == context.victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return ingest(job, context.inner, watch)


@pytest.mark.usefixtures("ray_session")
def test_on_ray_a_clip_that_kills_its_worker_is_set_aside_and_the_rest_is_taken_in(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    from ray import cloudpickle  # noqa: PLC0415

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    cameras = ["always-1", "ask-1", "ask-2", "never-1", "far-1"]
    jobs = [IngestJob(c, Location(str(put_film(films.moving, tmp_path / "in", c))), c, c, START_NS) for c in cameras]
    settings = BatchSettings(workers=2, attempts=2)
    receipts = {
        r.job.name: r for r in run(jobs, lethal_ingest, Lethal(desk._holdings.context, "ask-2"), settings=settings)
    }
    assert (receipts["ask-2"].outcome, receipts["ask-2"].station) == (Outcome.ASIDE, "process")
    assert {r.outcome for name, r in receipts.items() if name != "ask-2"} == {Outcome.DONE}
    again = {r.job.name: r.outcome for r in run(jobs, ingest, desk._holdings.context, settings=settings)}
    assert again == dict.fromkeys(cameras, Outcome.ALREADY) | {"ask-2": Outcome.DONE}
    taken_in = receipts["ask-1"].result
    assert taken_in is not None
    assert isinstance(DirectoryStore(tmp_path / "data" / "objects").get(taken_in.clip.key), bytes)


# Measured again -------------------------------------------------------------------------------------------------------


def newer(desk: Desk, rate_hz: float = 4.0) -> str:
    """Let the desk measure otherwise from now on, as a new version would; returns that version."""
    measure = MeasureSettings(rate_hz=rate_hz)
    change(desk, measure=measure)
    return measure.version()


def again(desk: Desk, camera: str | None = None) -> Tally:
    return desk.remeasure(camera)


def kept(desk: Desk, *kinds: str) -> dict[str, bytes]:
    store = desk._holdings.archive.store
    return {key: store.get(key) for key in store.keys("") if key.partition("/")[0] in kinds}


def test_what_another_version_measured_is_measured_again_and_the_catalogue_follows(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    for camera in ("ask-1", "ask-2"):
        put_film(films.moving, tmp_path / "in", camera)
    take_in(desk, tmp_path / "in")
    version = newer(desk)
    put_film(films.still, tmp_path / "in", "never-1")
    take_in(desk, tmp_path / "in")
    clips, before = kept(desk, "clips", "sources"), desk.clips()
    assert again(desk).outcomes == {Outcome.DONE: 2}, "never-1 is up to date"
    records = desk.clips()
    assert {record.version for record in records} == {version}
    assert [(record.clip, record.source) for record in records] == [(record.clip, record.source) for record in before]
    assert records == list(desk._holdings.archive.clips.all())
    assert sorted(kept(desk, "activity")) == sorted(record.activity for record in records)
    assert all(desk._holdings.archive.activity(record).version == version for record in records)
    assert kept(desk, "clips", "sources") == clips


def test_remeasuring_gives_what_taking_in_would_have_given(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    newer(desk)
    take_in(desk, tmp_path / "in")
    fresh = kept(desk, "activity", "ingested")
    newer(desk, 9.0)
    again(desk)
    assert not kept(desk, "activity").keys() & fresh.keys()
    newer(desk)
    again(desk)
    assert kept(desk, "activity", "ingested") == fresh


def test_a_second_remeasuring_does_nothing(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    take_in(desk, tmp_path / "in")
    assert (again(desk).planned, again(desk).outcomes) == (0, {})
    newer(desk)
    again(desk)
    before = kept(desk, "activity", "ingested", "entries")
    assert again(desk).planned == 0
    assert kept(desk, "activity", "ingested", "entries") == before


def test_only_the_camera_that_was_asked_for_is_measured_again(desk: Desk, films: Films, tmp_path: Path) -> None:
    for camera in ("ask-1", "ask-2"):
        put_film(films.moving, tmp_path / "in", camera)
    take_in(desk, tmp_path / "in")
    version = newer(desk)
    assert again(desk, "ask-2").outcomes == {Outcome.DONE: 1}
    assert [record.version == version for record in desk.clips()] == [False, True]
    with pytest.raises(NotFound, match="there is no camera 'nobody'"):
        again(desk, "nobody")


def _without_bytes(desk: Desk, record: Ingested) -> None:
    desk._holdings.archive.store.delete(record.clip.key)


def _with_other_bytes(desk: Desk, record: Ingested) -> None:
    desk._holdings.archive.store.put(record.clip.key, b"something else")


def _without_record(desk: Desk, record: Ingested) -> None:
    desk._holdings.archive.clips.remove(clip_name(record.clip))


HARMED = {
    "gone": (_without_bytes, "fetch", "is not in the store any more"),
    "changed": (_with_other_bytes, "fetch", "its content changed since it was taken in"),
    "forgotten": (_without_record, "record", "the store has no record of it any more"),
}


@pytest.mark.parametrize("how", HARMED)
def test_a_clip_that_cannot_be_measured_again_keeps_its_activity_and_the_rest_is_done(
    desk: Desk, films: Films, tmp_path: Path, how: str
) -> None:
    harm, station, words = HARMED[how]
    for camera in ("ask-1", "ask-2"):
        put_film(films.moving, tmp_path / "in", camera)
    take_in(desk, tmp_path / "in")
    bad, _ = desk.clips()
    harm(desk, bad)
    newer(desk)
    tally = again(desk)
    assert tally.outcomes == {Outcome.ASIDE: 1, Outcome.DONE: 1}
    (receipt,) = tally.aside
    assert (receipt.job.name, receipt.station) == (f"ask-1/{bad.clip.id}", station)
    assert words in receipt.reason
    assert desk._holdings.archive.activity(bad).version == bad.version


@pytest.mark.usefixtures("ray_session")
def test_clips_are_measured_again_on_ray(desk: Desk, films: Films, tmp_path: Path) -> None:
    for camera in ("ask-1", "ask-2", "never-1"):
        put_film(films.moving, tmp_path / "in", camera)
    take_in(desk, tmp_path / "in")
    version = newer(desk)
    change(desk, batch=BatchSettings(workers=2))
    tally = again(desk)
    assert tally.outcomes == {Outcome.DONE: 3}
    assert {record.version for record in desk.clips()} == {version}
    assert {"record", "fetch", "decode", "measure", "put"} <= set(tally.seconds)


KILLED_AT_A_WRITE = """
import os, signal, sys
from storage.directory import DirectoryStore

put, left = DirectoryStore.put, int(sys.argv.pop(1))

def mortal(store, key, data, **how):
    global left
    left -= not key.startswith(("runs/", "behind/"))
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(store, key, data, **how)

DirectoryStore.put = mortal
from lamplighter.cli.app import main
main()
"""


@pytest.mark.parametrize("writes", range(5))
def test_a_remeasuring_that_is_killed_leaves_every_clip_with_its_activity_and_the_next_one_does_the_rest(
    desk: Desk, films: Films, tmp_path: Path, writes: int
) -> None:
    """Two clips are four writes (activity, record, activity, record) and one line of the audit log."""
    for camera in ("ask-1", "ask-2"):
        put_film(films.moving, tmp_path / "in", camera)
    take_in(desk, tmp_path / "in")
    version = newer(desk)
    words = ["--data", str(tmp_path / "data"), "ingest", "--remeasure", "--workers", "0"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_A_WRITE, str(writes), *words],
        env={**os.environ, "LAMPLIGHTER_MEASURE__RATE_HZ": "4.0"},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    for records in (list(desk._holdings.archive.clips.all()), desk.clips()):
        assert [desk._holdings.archive.activity(record).version for record in records] == [
            record.version for record in records
        ]
    assert sum(record.version == version for record in desk._holdings.archive.clips.all()) == writes // 2
    tally = again(desk)
    expected = {Outcome.ALREADY: writes // 2, Outcome.DONE: 2 - writes // 2} if writes < 4 else {}
    assert tally.outcomes == {outcome: count for outcome, count in expected.items() if count}
    assert {record.version for record in desk.clips()} == {version}
    assert desk.clips() == list(desk._holdings.archive.clips.all())
    assert len(kept(desk, "activity")) == 2
