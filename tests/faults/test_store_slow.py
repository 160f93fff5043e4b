"""A line that is slow or breaks, to a real MinIO: what moves goes on, and what has arrived is not sent again."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import stamina
from minio import time as its_time
from throttled import Line, line_to

from pipeline.errors import StoreRefused, StoreUnavailable
from storage import transport
from storage.access import ACCESS_KEY, SECRET_KEY, StoreSettings
from storage.contract import MissingBucket
from storage.s3 import S3Store
from workers.patience import Patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.minio_server import Server

MIB = 2**20
PART = 5 * MIB


@pytest.fixture
def line(minio_server: Server) -> Iterator[Line]:
    with line_to(minio_server.endpoint) as line:
        yield line


@pytest.fixture
def scratch_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for what is noted of uploads."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def through(line: Line, settings: StoreSettings, **other: Any) -> StoreSettings:
    return settings.model_copy(update={"endpoint": line.endpoint, "concurrency": 1, **other})


def notes(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


@pytest.mark.whole
def test_an_upload_that_moves_outlasts_every_time_out(
    line: Line, minio_settings: StoreSettings, minio_server: Server
) -> None:
    line.bytes_s = 100_000
    store = S3Store(through(line, minio_settings, connect_timeout_s=1, read_timeout_s=1), minio_server.credentials)
    data = secrets.token_bytes(400_000)  # four times longer than either lasts
    store.put("clips/slow.mp4", data)
    assert store.get("clips/slow.mp4") == data


@pytest.mark.whole
def test_a_line_that_stands_still_is_told_after_the_silence_that_is_allowed(
    line: Line, minio_settings: StoreSettings, minio_server: Server
) -> None:
    line.bytes_s = 1  # its first piece takes half an hour
    store = S3Store(through(line, minio_settings, read_timeout_s=1), minio_server.credentials)
    with pytest.raises(StoreUnavailable):
        store.put("clips/still.mp4", bytes(8 * MIB))


@pytest.mark.whole
def test_parts_that_have_arrived_are_not_sent_again_by_the_same_process_or_by_the_next(
    line: Line, minio_settings: StoreSettings, minio_server: Server, tmp_path: Path, scratch_place: Path
) -> None:
    data, film = secrets.token_bytes(4 * PART + 7), tmp_path / "film"
    film.write_bytes(data)
    line.breaks_after, line.breaks = 3 * PART + MIB, 1  # one connection carries them all
    settings = through(line, minio_settings)
    broken = S3Store(settings, minio_server.credentials, part_bytes=PART)
    with pytest.raises(StoreUnavailable) as told:
        broken.put("clips/film", film, meta={"sha256": "x"})
    assert told.value.moved
    before = line.sent
    following = S3Store(settings, minio_server.credentials, part_bytes=PART)  # knows nothing but what this machine does
    following.put("clips/film", film, meta={"sha256": "x"})
    assert line.sent - before < 2 * PART
    assert following.get("clips/film") == data
    assert notes(scratch_place) == []


@pytest.mark.whole
def test_another_file_in_its_place_is_sent_whole(
    line: Line, minio_settings: StoreSettings, minio_server: Server, scratch_place: Path
) -> None:
    line.breaks_after, line.breaks = PART + MIB, 1
    store = S3Store(through(line, minio_settings), minio_server.credentials, part_bytes=PART)
    with pytest.raises(StoreUnavailable):
        store.put("clips/film", bytes(2 * PART))
    other = secrets.token_bytes(2 * PART)
    store.put("clips/film", other)
    assert store.get("clips/film") == other
    assert notes(scratch_place) == []


@pytest.mark.whole
def test_a_line_that_breaks_after_each_part_is_waited_for_as_long_as_parts_arrive(
    line: Line,
    minio_settings: StoreSettings,
    minio_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    scratch_place: Path,
) -> None:
    data = secrets.token_bytes(9 * PART)
    line.breaks_after, line.breaks = PART + MIB // 2, 8
    monkeypatch.setenv(ACCESS_KEY, minio_server.credentials.access_key)
    monkeypatch.setenv(SECRET_KEY, minio_server.credentials.secret_key)
    store = Patient(S3Store(through(line, minio_settings), minio_server.credentials, part_bytes=PART))
    with stamina.set_testing(True, attempts=2):
        store.put("clips/film", data)
    assert line.breaks == 0
    assert store.get("clips/film") == data
    assert notes(scratch_place) == []


_KILLED = """
import os, signal, sys
from storage.access import Credentials, StoreSettings
from storage.s3 import S3Store
from storage import uploads
settings = StoreSettings.model_validate_json(sys.argv[1])
real, parts = uploads.Upload.part, []
def part(self, number, data, send):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, number, data, send)
uploads.Upload.part = part
store = S3Store(settings, Credentials.from_env(os.environ), part_bytes=5 * 2**20)
store.put("clips/film", open(sys.argv[2], "rb").read())
"""


@pytest.mark.whole
def test_an_upload_of_a_killed_process_is_gone_on_with_or_removed(
    line: Line, minio_settings: StoreSettings, minio_server: Server, tmp_path: Path, scratch_place: Path
) -> None:
    film, settings = tmp_path / "film", through(line, minio_settings)
    film.write_bytes(secrets.token_bytes(3 * PART))
    keys = {ACCESS_KEY: minio_server.credentials.access_key, SECRET_KEY: minio_server.credentials.secret_key}
    command = [sys.executable, "-c", _KILLED, settings.model_dump_json(), str(film)]
    store = S3Store(settings, minio_server.credentials, part_bytes=PART)
    for go_on in (True, False):
        done = subprocess.run(command, env=os.environ | keys, check=False, timeout=60)
        assert done.returncode == -9
        before = line.sent
        if go_on:
            store.put("clips/film", film.read_bytes())
            assert line.sent - before < 2 * PART
            assert store.get("clips/film") == film.read_bytes()
            store.delete("clips/film")
        else:
            (note,) = notes(scratch_place)
            store.ensure_bucket()  # a start, so soon that it may be gone on with
            assert note.exists()
            assert store.clean() == ["clips/film"]
    assert notes(scratch_place) == []
    assert store.head("clips/film") is None


def test_a_bucket_is_made_on_request_alone(minio_settings: StoreSettings, minio_server: Server) -> None:
    mistyped = S3Store(minio_settings.model_copy(update={"bucket": "tset-mistyped"}), minio_server.credentials)
    with pytest.raises(MissingBucket, match=r"tset-mistyped.*--create"):
        mistyped.ensure_bucket(make=False)
    with pytest.raises(MissingBucket):
        mistyped.head("a")


def test_a_clock_that_is_twenty_minutes_off_is_named_whatever_was_asked(
    minio_settings: StoreSettings, minio_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = its_time.utcnow
    for off, told in ((-20, "20 minutes behind"), (20, "20 minutes ahead of")):
        ours = SimpleNamespace(time=lambda off=off: real().timestamp() + off * 60)
        monkeypatch.setattr(its_time, "utcnow", lambda off=off: real() + timedelta(minutes=off))
        monkeypatch.setattr(transport, "time", ours)
        store = S3Store(minio_settings, minio_server.credentials)
        for ask in (lambda: store.get("a"), lambda: store.head("a"), lambda: store.put("a", b"x")):  # noqa: B023
            with pytest.raises(StoreRefused, match=rf"{told} the store's.*RequestTimeTooSkewed.*set the clock"):
                ask()
