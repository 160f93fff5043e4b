"""A camera's habits are learnt alike from a folder and from a bucket, by one worker or several at once."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lamplighter.desk.habits import InForce
from pipeline.activity import Activity
from pipeline.detection.habits import Habits
from pipeline.detection.night import Darkness
from pipeline.measure.motion import MeasureSettings
from samples import MINUTE, NOON, camera, clip, ingested
from storage.access import ACCESS_KEY, SECRET_KEY, StoreSettings
from storage.archive import Archive, habits_key
from storage.minio_server import Server
from workers.ingest import Context
from workers.learn import LearnJob, learn
from workers.receipt import Outcome, Stopwatch

pytestmark = pytest.mark.whole

CLIPS = [ingested(clip(start_ns=NOON + number * MINUTE)) for number in range(40)]


@pytest.fixture(params=["directory", "s3"])
def context(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """What a worker needs, with an activity for each clip."""
    settings = StoreSettings(path=str(tmp_path))
    if request.param == "s3":
        server: Server = request.getfixturevalue("minio_server")
        settings = request.getfixturevalue("minio_settings")
        monkeypatch.setenv(ACCESS_KEY, server.credentials.access_key)
        monkeypatch.setenv(SECRET_KEY, server.credentials.secret_key)
    context = Context(settings, MeasureSettings(), 10**7)
    context.archive.store.ensure_bucket()
    for number, one in enumerate(CLIPS):
        share = np.random.default_rng(number).integers(0, 90, (60, 9, 16)).astype(np.uint8)
        pts, luma = np.arange(60, dtype=np.int64) * 15360, np.full(60, 90, np.uint8)
        activity = Activity(share, pts, luma, Fraction(1, 15360), 0, 1920, 1080, "1-0", 120)
        context.archive.store.put(one.activity, activity.to_bytes())
    return context


def test_what_is_learnt_is_the_same_everywhere_and_is_there_once_it_is_said_to_be(context: Context) -> None:
    job = LearnJob.of(camera("cam-1"), Darkness(), CLIPS[::-1])
    assert job == LearnJob.of(camera("cam-1"), Darkness(), CLIPS)
    outcome, learnt = learn(job, context, Stopwatch())
    assert outcome is Outcome.DONE
    archive = context.archive
    data = archive.store.get(habits_key("cam-1", learnt.digest))
    habits = Habits.from_bytes(data)
    assert habits.to_bytes() == data
    assert habits.clips == learnt.clips == 40
    again = InForce(Archive(archive.store))
    again.ask(["cam-1", "cam-2"], at_once=4)
    assert (again.digest("cam-1"), again.digest("cam-2")) == (learnt.digest, "")
    found = again.of("cam-1")
    assert found is not None
    assert found.to_bytes() == data
    assert learn(job, context, Stopwatch()) == (Outcome.ALREADY, learnt)


def test_of_several_who_learn_at_once_every_reader_finds_the_same_in_force(context: Context) -> None:
    jobs = [LearnJob.of(camera("cam-1"), Darkness(), CLIPS[first:]) for first in (0, 10, 20, 30)]
    found = []
    threads = [
        threading.Thread(target=lambda job=job: found.append(learn(job, context, Stopwatch())[1])) for job in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = max(found, key=lambda one: (one.learnt_ns, one.digest))
    assert len(list(context.archive.learnt.names("cam-1/"))) == 4
    assert InForce(context.archive).digest("cam-1") == last.digest
    assert all(context.archive.habits("cam-1", one.digest).clips == one.clips for one in found)
