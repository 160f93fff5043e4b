"""What comes into a live run is what comes of it: in the log at once, in counts that add up, also after a kill."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import CAMERAS, Films, change, move_in, put_film
from lamplighter.desk.board import Board
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.gatebook import GateBook
from lamplighter.desk.naming import naming_of
from lamplighter.settings import load
from logged import entries, whole
from pipeline.errors import ClipError
from pipeline.roster import Roster
from storage.archive import Ingested, short
from storage.directory import DirectoryStore
from workers.inbox import Inbox, Upload
from workers.ingest import Context, ingest
from workers.receipt import Outcome, Stopwatch
from workers.settings import LiveSettings
from workers.sources import IngestJob, ingest_jobs

PLACES = ("ask-1", "ask-2", "always-1", "far-1")


def marks_logged(desk: Desk, action: str) -> list[str]:
    """Return the marks of the clips that the entries of an action name."""
    told = [entry.detail for entry in entries(desk._holdings.archive) if entry.action == action]
    return [mark for detail in told for mark in detail.partition("marks ")[2].split()]


def ingested_logged(desk: Desk) -> int:
    return sum(int(e.subject.split()[0]) for e in entries(desk._holdings.archive) if e.action == "clips ingested")


def account(board: Board) -> dict[str, Any]:
    return dict(board.document()["account"])


def fill(folder: Path, film: Path, count: int, *, first: int = 0) -> None:
    for number in range(first, first + count):
        put_film(film, folder, PLACES[number % 4], after_s=number * 10)


def test_what_came_is_what_came_of_it_in_every_way_a_clip_may_go(desk: Desk, films: Films, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    fill(folder, films.still, 8)
    put_film(films.still, folder, "nobody")
    put_film(films.still, folder / "again", "ask-1")
    bad = put_film(films.still, folder, "ask-2", after_s=990)
    bad.write_bytes(films.still.read_bytes()[:3000] + bytes(3000))
    change(desk, live=LiveSettings(poll_s=0.1, still_s=0))
    board = desk.watch([str(folder)], for_s=1)
    assert account(board) == {"in": 11, "done": 9, "aside": 2, "dropped": 0, "waiting": 0, "adds_up": True}
    assert len(marks_logged(desk, "clips accepted")) == 10, "all but the one that no camera has"
    (ended,) = [entry.detail for entry in entries(desk._holdings.archive) if entry.action == "watch ended"]
    assert ended == "11 in, 9 done, 2 aside, 0 dropped, 0 waiting"
    again = desk.watch([str(folder)], for_s=0.5)
    assert account(again)["adds_up"] is True
    assert account(again)["in"] == 2, "of what is in already the catalogue says so"
    whole(desk)


def test_a_count_that_is_off_by_one_is_told(desk: Desk, films: Films, tmp_path: Path) -> None:
    fill(tmp_path / "in", films.still, 3)

    def shown(board: Board) -> None:
        board.counts["done"] += 1  # as a fault of ours would

    board = desk.watch([str(tmp_path / "in")], for_s=1, shown=shown)
    assert account(board)["adds_up"] is False
    assert board.imperfect
    assert "does not add up" in board.account_text


def test_a_run_that_is_stopped_counts_what_it_leaves(desk: Desk, films: Films, tmp_path: Path) -> None:
    fill(tmp_path / "in", films.still, 40)
    stop = threading.Event()
    change(desk, live=LiveSettings(poll_s=0.1, queue=3, backlog=3))
    done = 0

    def work(job: IngestJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Ingested | None]:
        nonlocal done
        done += 1
        if done == 5:
            stop.set()
        return ingest(job, context, watch)

    board = desk.watch([str(tmp_path / "in")], stop=stop, work=work)
    told = account(board)
    assert told["adds_up"] is True
    assert told["done"] == 5
    assert told["in"] == 40, "those that stood at the gate too"
    rest = desk.watch([str(tmp_path / "in")], for_s=2)
    assert account(rest)["adds_up"] is True
    assert len(desk.clips()) == 40


@pytest.mark.parametrize("hours", [24, -24])
def test_a_clock_that_jumps_makes_no_clip_late_and_is_told(
    hours: int, desk: Desk, films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "in", films.still, 6)
    change(desk, live=LiveSettings(poll_s=0.1, shards=1))
    real_ns, real, done = time.time_ns, time.time, 0

    def work(job: IngestJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Ingested | None]:
        nonlocal done
        done += 1
        if done == 3:
            monkeypatch.setattr("time.time_ns", lambda: real_ns() + hours * 3600 * 10**9)
            monkeypatch.setattr("time.time", lambda: real() + hours * 3600)
        return ingest(job, replace(context, future_slack_s=1e6), watch)

    board = desk.watch([str(tmp_path / "in")], for_s=2, work=work)
    told = board.document()
    assert account(board) == {"in": 6, "done": 6, "aside": 0, "dropped": 0, "waiting": 0, "adds_up": True}
    assert told["lag_s"]["most"] < 600
    assert told["cameras_behind"] == []
    assert [round(jump / 3600) for jump in told["clock_jumps_s"]] == [hours]


# Killed and started again


@contextlib.contextmanager
def watching(data: Path, folder: Path, *, config: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lamplighter", "--data", str(data)]
    command += ["--config", str(config)] if config else []
    process = subprocess.Popen(
        [*command, "watch", str(folder), "--workers", "0", "--json"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.whole
def test_drops_are_counted_once_and_every_accepted_clip_is_in_the_log_though_the_run_was_killed(
    films: Films, tmp_path: Path
) -> None:
    data, folder, clips = tmp_path / "data", tmp_path / "in", 80
    live = {"poll_s": 0.1, "queue": 4, "backlog": 4, "policy": "drop-oldest", "shards": 1}
    config = tmp_path / "lamplighter.toml"
    config.write_text("[live]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in live.items()) + "\n")
    with open_desk(load(config, flags={"data": data, "batch": {"workers": 0}})) as desk:
        move_in(desk, CAMERAS)
        archive = desk._holdings.archive
        fill(folder, films.still, clips)
        with watching(data, folder, config=config) as process:
            until(lambda: len(list(archive.clips.names())) > 3, process)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
        accepted = {Path(key).parts[2] for key in archive.store.keys("inbox/")} | set(archive.sources.names())
        given_up = len(desk.asides())  # which the killed run may have had no time to log
        fill(folder, films.still, clips, first=clips)
        board = desk.watch([str(folder)], for_s=1)
        told = account(board)
        assert told["adds_up"] is True
        dropped = marks_logged(desk, "clips dropped")
        assert len(dropped) == len(set(dropped)), "none is told twice"
        in_ = set(archive.sources.names())
        assert not in_ & set(dropped), "what is in was not dropped"
        assert len(in_) + len(dropped) + told["waiting"] == 2 * clips, "what stood at the gate still waits there"
        assert len(dropped) - given_up == sum(board.dropped.values())
        assert ingested_logged(desk) >= len(in_)
        assert accepted <= in_
        assert {one.aside.mark for one in desk.asides()} == set(dropped)
        # They are taken in when somebody asks for it, and the accounts go.
        tally = desk.retry_aside(station="dropped")
        assert not tally.aside
        assert len(desk.clips()) == 2 * clips - told["waiting"]
        assert desk.asides() == []
        whole(desk)


@pytest.mark.whole
def test_what_is_acknowledged_is_in_the_log_however_often_the_run_is_killed(
    films: Films, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data, folder = tmp_path / "data", tmp_path / "in"
    clips = 1000 if request.config.getoption("--faults") else 60
    with open_desk(load(flags={"data": data, "batch": {"workers": 0}})) as desk:
        move_in(desk, CAMERAS)
        archive = desk._holdings.archive
        fill(folder, films.still, clips)
        kills = 0
        while len(list(archive.clips.names())) < clips and kills < 20:
            with watching(data, folder) as process:
                before = len(list(archive.clips.names()))
                until(lambda n=before: len(list(archive.clips.names())) >= min(clips, n + clips // 5), process)  # type: ignore[misc]
                process.send_signal(signal.SIGKILL)
                process.wait(timeout=30)
                kills += 1
        board = desk.watch([str(folder)], for_s=0.5)
        assert account(board)["adds_up"] is True
        assert kills
        assert ingested_logged(desk) >= clips
        assert set(archive.sources.names()) <= set(marks_logged(desk, "clips accepted"))
        assert len(desk.clips()) == clips
        whole(desk)


def test_what_was_accepted_is_in_the_log_before_it_leaves_the_inbox_though_no_line_is_due(
    desk: Desk, films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "in", films.still, 4)
    change(desk, live=LiveSettings(poll_s=0.1))
    monkeypatch.setattr(GateBook, "flush", lambda _: None)
    delete, left = DirectoryStore.delete, dict[str, bool]()

    def seen(store: DirectoryStore, key: str) -> None:
        if key.startswith("inbox/"):
            left[key] = key.split("/")[2] in marks_logged(desk, "clips accepted")
        delete(store, key)

    monkeypatch.setattr(DirectoryStore, "delete", seen)
    assert account(desk.watch([str(tmp_path / "in")], for_s=1))["done"] == 4
    assert list(left.values()) == [True] * 4
    logged = marks_logged(desk, "clips accepted")
    assert len(logged) == len(set(logged)) == 4


def test_what_a_killed_run_accepted_and_had_no_time_to_log_the_next_one_logs_once(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    fill(tmp_path / "in", films.still, 4)
    change(desk, live=LiveSettings(poll_s=0.1))
    where = str(tmp_path / "in")
    jobs, _ = ingest_jobs(
        [where], naming_of(desk.settings.ingest, Roster(CAMERAS), None), open_bucket=desk._holdings.context.open_bucket
    )
    inbox = Inbox(desk._holdings.archive.store, desk._holdings.store)
    for job in jobs[:2]:
        inbox.keep(
            Upload(job, Path(str(job.location)).stat().st_size, time.time_ns()), desk._holdings.context.open_bucket
        )
    first = jobs[0].mark
    desk._holdings.log("clips accepted", "1 clips", f"marks {first}")  # of this one it had
    assert account(desk.watch([where], for_s=1))["adds_up"] is True
    assert len(desk.clips()) == 4
    assert Counter(marks_logged(desk, "clips accepted")) == Counter(job.mark for job in jobs)


# Set aside, and again


class Refuses:
    """A worker whose process dies, or that is too slow, as long as it should."""

    def __init__(self, station: str) -> None:
        self.station = station

    def __call__(self, _job: IngestJob, _context: Context, _watch: Stopwatch) -> tuple[Outcome, Ingested | None]:
        raise ClipError(self.station, "for the test")


@pytest.mark.parametrize("station", ["process", "deadline"])
def test_a_clip_that_need_not_be_to_blame_keeps_its_bytes_and_is_taken_in_when_asked_for(
    station: str, desk: Desk, films: Films, tmp_path: Path
) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    change(desk, live=LiveSettings(poll_s=0.1))
    board = desk.watch([str(tmp_path / "in")], for_s=0.5, work=Refuses(station))
    assert account(board)["aside"] == 1
    path.unlink()
    (one,) = desk.asides()
    assert (one.aside.station, one.aside.camera, one.kept) == (station, "ask-1", True)
    assert abs(one.aside.at_ns - time.time_ns()) < 600 * 10**9
    again = desk.watch([str(tmp_path / "in")], for_s=0.3)
    assert account(again)["in"] == 0, "it would bring down its processes at every start"
    tally = desk.retry_aside([one.name[:8]])
    assert tally.outcomes == {Outcome.DONE: 1}
    assert [clip.clip.camera for clip in desk.clips()] == ["ask-1"]
    assert desk.asides() == []
    assert list(desk._holdings.archive.store.keys("inbox/")) == []


def test_what_is_tried_again_in_vain_keeps_its_bytes_and_its_account_and_what_is_dropped_loses_both(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    change(desk, live=LiveSettings(poll_s=0.1))
    desk.watch([str(tmp_path / "in")], for_s=0.5, work=Refuses("deadline"))
    path.unlink()
    change(desk, ingest=desk.settings.ingest.model_copy(update={"max_pixels": 100}))
    (refused,) = desk.retry_aside(everything=True).aside
    assert refused.station == "probe"
    (one,) = desk.asides()
    assert (one.aside.station, one.kept) == ("probe", True)
    assert [gone.name for gone in desk.drop_aside([one.name])] == [one.name]
    assert desk.asides() == []
    assert list(desk._holdings.archive.store.keys("inbox/")) == []


def test_a_file_that_no_camera_had_is_taken_in_once_it_has_one(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "new-1")
    desk.ingest([str(tmp_path / "in")])
    (one,) = desk.asides()
    assert one.aside.station == "camera"
    move_in(desk, [replace(CAMERAS[1], id="new-1")])
    tally = desk.retry_aside(station="camera")
    assert tally.outcomes == {Outcome.DONE: 1}
    assert desk.asides() == []
    assert short(one.aside.source) == one.name


def test_what_was_refused_live_is_taken_from_where_it_was_uploaded(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    small = desk.settings.ingest.model_copy(update={"max_pixels": 100})
    change(desk, live=LiveSettings(poll_s=0.1), ingest=small)
    desk.watch([str(tmp_path / "in")], for_s=0.5)
    (one,) = desk.asides()
    assert (one.aside.station, one.kept) == ("probe", False)
    change(desk, ingest=small.model_copy(update={"max_pixels": 10**6}))
    assert desk.retry_aside([one.aside.source]).outcomes == {Outcome.DONE: 1}
    assert desk.asides() == []
