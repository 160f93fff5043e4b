"""Reading ahead changes how long it takes, and nothing else."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.activity import Activity
from pipeline.errors import DamagedDocument
from samples import MINUTE, NOON, clip, ingested
from storage.access import ACCESS_KEY, SECRET_KEY, StoreSettings
from storage.archive import Ingested
from storage.directory import DirectoryStore
from storage.minio_server import Server
from storage.s3 import S3Store
from workers.prefetch import activities

pytestmark = pytest.mark.whole

CLIPS = [ingested(clip(start_ns=NOON + number * MINUTE)) for number in range(80)]
KEYS = [one.activity for one in CLIPS]


@pytest.fixture(params=["directory", "s3"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[StoreSettings, DirectoryStore | S3Store]:
    """A store with an activity for each clip, told apart by its brightness."""
    opened: DirectoryStore | S3Store
    if request.param == "directory":
        settings, opened = StoreSettings(path=str(tmp_path)), DirectoryStore(tmp_path)
        opened.ensure_bucket()
    else:
        server: Server = request.getfixturevalue("minio_server")
        settings = request.getfixturevalue("minio_settings")
        monkeypatch.setenv(ACCESS_KEY, server.credentials.access_key)
        monkeypatch.setenv(SECRET_KEY, server.credentials.secret_key)
        opened = S3Store(settings, server.credentials)
    share, pts = np.zeros((2, 3, 4), np.uint8), np.arange(2)
    for number, one in enumerate(CLIPS):
        luma = np.full(2, number, np.uint8)
        opened.put(one.activity, Activity(share, pts, luma, Fraction(1, 9), 0, 64, 48, "1-0", 16).to_bytes())
    return settings, opened


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_activities_come_in_the_order_they_were_asked_for(store: tuple[StoreSettings, object]) -> None:
    for clips in (CLIPS, CLIPS[::-1], CLIPS[:1], list[Ingested]()):
        keys = [one.activity for one in clips]
        found = [int(one.luma[0]) for one in activities(keys, store[0]) if isinstance(one, Activity)]
        assert found == [CLIPS.index(one) for one in clips]
    assert not readers()


def test_one_that_is_missing_is_told_in_its_turn_and_the_others_are_read(
    store: tuple[StoreSettings, DirectoryStore | S3Store],
) -> None:
    settings, opened = store
    opened.delete(CLIPS[50].activity)
    found = list(activities(KEYS, settings))
    missing = found.pop(50)
    assert isinstance(missing, DamagedDocument)
    assert CLIPS[50].activity in str(missing)
    assert [int(one.luma[0]) for one in found if isinstance(one, Activity)] == [n for n in range(len(CLIPS)) if n != 50]
    assert not readers()


def test_who_stops_early_leaves_no_thread_behind(store: tuple[StoreSettings, object]) -> None:
    reading = activities(KEYS, store[0])
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert not readers()
