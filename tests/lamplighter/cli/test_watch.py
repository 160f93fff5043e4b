"""The watch command whole: cameras by URL, metrics as Prometheus reads them, the dashboard, and a store that dies."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from fleet_fixtures import CAMERAS, START_NS, Films, move_in, put_film
from lamplighter.cli.board import Screen
from lamplighter.desk.board import Board
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.metrics import Metrics
from lamplighter.desk.tally import Tally
from lamplighter.settings import Settings, load
from logged import entries
from minio_fixtures import Dying
from pipeline.errors import ConfigError, StoreUnavailable
from pipeline.neighbourhood.alert import Dropped
from pipeline.span import NS
from rtsp_fixtures import Rtsp
from samples import ALERT
from storage.location import Location
from workers.inbox import Held, Upload
from workers.live import Accepted, Intake, Repeated
from workers.live import Dropped as GivenUp
from workers.receipt import Outcome, Receipt
from workers.recorder import Fault
from workers.settings import LiveSettings
from workers.sources import IngestJob

pytestmark = pytest.mark.whole

DASHBOARD = Path(__file__).parents[3] / "configs" / "grafana-dashboard.json"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def scrape(port: int) -> dict[str, Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return {family.name: family for family in text_string_to_metric_families(answer.read().decode())}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found


def wait(over: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not over() and time.monotonic() < until:
        time.sleep(0.02)


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lamplighter", *words],
        cwd=folder,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


# The metrics


@pytest.fixture
def board() -> Board:
    """A board that has seen everything there is to see."""
    board = Board(LiveSettings())
    job = IngestJob("a.mp4", Location("/in/a.mp4"), "mark", "door", START_NS)
    upload, held = Upload(job, 1000, time.time_ns()), Held(job, "inbox/a", 1000, time.time_ns() - 2 * NS)
    seen: list[Intake] = [
        Accepted(upload),
        Repeated(upload),
        GivenUp(upload, "queue"),
        Fault("door", "connect", "refused"),
        Receipt(job, Outcome.ASIDE, station="name", reason="no such camera"),
    ]
    for event in seen:
        board.saw(event)
    board.finished(held, Receipt(job, Outcome.DONE, seconds={"decode": 0.25, "put": 0.5}))
    board.finished(held, Receipt(job, Outcome.ALREADY))
    board.finished(held, Receipt(job, Outcome.ASIDE, station="decode", reason="broken"))
    board.alerts.add(replace(ALERT, told_ns=ALERT.noticed_ns + NS))
    board.alerts.drop(Dropped.OLD)
    return board


def test_metrics_are_served_as_prometheus_reads_them_and_count_what_happened(board: Board) -> None:
    port = free_port()
    close = board.metrics.serve("127.0.0.1", port)
    try:
        families = scrape(port)
    finally:
        close()
    expected = {
        "lamplighter_clips_in_total": 1,
        "lamplighter_clips_done_total": 1,
        "lamplighter_clips_repeated_total": 2,
        "lamplighter_bytes_in_total": 1000,
        "lamplighter_bytes_done_total": 1000,
        "lamplighter_lag_seconds_count": 2,
    }
    assert {name: value(families, name) for name in expected} == expected
    assert value(families, "lamplighter_clips_set_aside_total", station="decode") == 1
    assert value(families, "lamplighter_clips_set_aside_total", station="name") == 1
    assert value(families, "lamplighter_clips_dropped_total", reason="queue") == 1
    assert value(families, "lamplighter_camera_faults_total", station="connect") == 1
    assert value(families, "lamplighter_station_seconds_total", station="put") == 0.5
    # The one that was accepted in this run waited since then; the other since the 2 s that its store tells of.
    assert value(families, "lamplighter_lag_seconds_bucket", le="1.0") == 1
    assert value(families, "lamplighter_lag_seconds_bucket", le="2.0") == 1
    assert value(families, "lamplighter_lag_seconds_bucket", le="5.0") == 2
    with pytest.raises(OSError, match="refused"):
        scrape(port)


def test_no_metric_has_a_label_per_camera_and_each_says_what_it_is(board: Board) -> None:
    for family in board.metrics.registry.collect():
        assert family.name.startswith("lamplighter_")
        assert len(family.documentation) > 10
        for sample in family.samples:
            assert set(sample.labels) <= {"station", "reason", "way", "le"}
            assert "door" not in sample.labels.values()


def test_the_dashboard_asks_for_every_metric_there_is_and_for_no_other(board: Board) -> None:
    document = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = {
        name
        for panel in document["panels"]
        for target in panel["targets"]
        for name in re.findall(r"lamplighter_\w+", target["expr"])
    }
    there: dict[str, set[str]] = {}
    for family in board.metrics.registry.collect():
        there[family.name] = {sample.name for sample in family.samples}
    assert asked <= set().union(*there.values())
    assert [name for name, samples in there.items() if not samples & asked] == []
    for panel in document["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert label in {"station", "reason", "way"}


def test_a_port_that_is_taken_is_refused_before_any_work() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="choose another port"):
        Metrics().serve("127.0.0.1", taken.getsockname()[1])


def test_the_table_names_the_slowest_cameras_what_was_dropped_and_what_is_away(board: Board) -> None:
    board.away = "http://store: the store does not answer"
    console = Console(width=100, file=(printed := io.StringIO()))
    console.print(Screen(board))
    shown = printed.getvalue()
    for words in ("slowest cameras", "door", "most dropped", "queue", "refused", "does not answer"):
        assert words in shown
    assert board.document()["dropped"] == [{"camera": "door", "reason": "queue", "clips": 1}]
    assert board.document()["set_aside"] == {"name": 1, "decode": 1}


# The command


def test_a_camera_by_url_is_recorded_and_scraped_and_its_password_is_nowhere(rtsp: Rtsp, tmp_path: Path) -> None:
    with open_desk(load(flags={"data": tmp_path / "lamplighter-data"})) as desk:
        move_in(desk, CAMERAS)
    (tmp_path / "live.toml").write_text("[recorder]\nclip_s = 1\nretry_s = 0.2\n[live]\npoll_s = 0.2\n")
    port = free_port()
    words = ("--config", "live.toml", "watch", "--workers", "0", "--camera-url", "ask-1=env:DOOR", "--json")
    process = start(tmp_path, *words, "--metrics-port", str(port), DOOR=rtsp.url("plain"))
    ingested = tmp_path / "lamplighter-data" / "objects" / "ingested" / "ask-1"
    until = time.monotonic() + 60
    while len(list(ingested.glob("*"))) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    families = scrape(port)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert value(families, "lamplighter_clips_done_total") >= 1
    assert value(families, "lamplighter_lag_seconds_count") >= 1
    said = json.loads(printed)
    assert said["done"] >= 3
    assert "secret" not in printed + errors
    for path in (tmp_path / "lamplighter-data").rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path
    with open_desk(load(flags={"data": tmp_path / "lamplighter-data"})) as desk:
        for record in desk.clips("ask-1"):
            assert re.search(r"Z-(stream|arrival)\.mp4$", record.source), "it says whose clock it was"
            assert abs(record.clip.start_ns - time.time_ns()) < 120 * NS


def test_a_second_run_over_the_same_data_folder_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    first = threading.Event()
    running = threading.Thread(
        target=lambda: desk.watch([str(tmp_path / "in")], stop=first, shown=lambda _: started.set())
    )
    started = threading.Event()
    running.start()
    started.wait(20)
    try:
        with pytest.raises(ConfigError, match="another `lamplighter watch`"):
            desk.watch([str(tmp_path / "in")], for_s=0)
    finally:
        first.set()
        running.join(20)
    assert desk.watch([str(tmp_path / "in")], for_s=0).counts["done"] == 0


def test_what_a_camera_left_in_the_spool_is_taken_in_also_without_its_url(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    spool = desk.settings.data / "spool" / "ask-1"
    spool.mkdir(parents=True)
    (spool / "20260131T180000.000000000Z-arrival.mp4").write_bytes(films.still.read_bytes())
    (tmp_path / "in").mkdir()
    board = desk.watch([str(tmp_path / "in")], for_s=0.3)
    assert board.counts["done"] == 1
    assert list(spool.iterdir()) == []


# A store that dies


def films_before(dying: Dying, films: Films, folder: Path, **batch: Any) -> tuple[Settings, list[Path]]:
    """Return the settings of a run over the dying store, and the clips that wait for it in `folder`/in."""
    store = {
        "kind": "s3",
        "endpoint": dying.endpoint,
        "secure": False,
        "create": True,
        "connect_timeout_s": 1,
        "read_timeout_s": 5,
    }
    flags: dict[str, Any] = {
        "data": folder / "data",
        "store": store,
        "batch": {"workers": 0, **batch},
        "live": {"poll_s": 0.2, "queue": 4, "backlog": 4, "shards": 2},
    }
    clips = [put_film(films.still, folder / "in", camera.id, after_s=n * 10) for camera in CAMERAS for n in range(6)]
    return load(flags=flags), clips


def test_a_store_that_is_killed_and_comes_back_loses_no_clip(dying: Dying, films: Films, tmp_path: Path) -> None:
    settings, clips = films_before(dying, films, tmp_path)
    with open_desk(settings) as desk:
        move_in(desk, CAMERAS)
        stop, away = threading.Event(), list[str]()

        def shown(board: Board) -> None:
            threading.Thread(target=meddle, args=(board,), daemon=True).start()

        def meddle(board: Board) -> None:
            wait(lambda: board.counts["done"] >= 5)
            dying.kill()
            wait(lambda: board.away)
            away.append(board.away)
            dying.start()
            wait(lambda: board.counts["done"] + board.counts["done before"] >= len(clips))
            stop.set()

        board = desk.watch([str(tmp_path / "in")], stop=stop, shown=shown)
        assert away[0]
        assert board.away == ""
        assert board.counts["done"] + board.counts["done before"] == len(clips)
        assert not board.imperfect
        assert len(desk.clips()) == len(clips)
        assert list(desk._holdings.archive.store.keys("inbox/")) == []


def test_a_store_that_stays_away_ends_the_run_and_the_next_one_goes_on(
    dying: Dying, films: Films, tmp_path: Path
) -> None:
    settings, clips = films_before(dying, films, tmp_path, store_patience_s=1)

    def shown(board: Board) -> None:
        def meddle() -> None:
            wait(lambda: board.counts["done"] >= 5)
            dying.kill()

        threading.Thread(target=meddle, daemon=True).start()

    with open_desk(settings) as desk:
        move_in(desk, CAMERAS)
        with pytest.raises(StoreUnavailable, match="what was done is kept, run again when it is mended"):
            desk.watch([str(tmp_path / "in")], for_s=60, shown=shown)
    dying.start()
    with open_desk(settings) as desk:
        board = desk.watch([str(tmp_path / "in")], for_s=0.5)
        assert not board.imperfect
        assert len(desk.clips()) == len(clips)
        assert list(desk._holdings.archive.store.keys("inbox/")) == []


def test_a_batch_whose_store_stays_away_says_so_and_the_next_one_does_the_rest(
    dying: Dying, films: Films, tmp_path: Path
) -> None:
    settings, clips = films_before(dying, films, tmp_path, store_patience_s=1)

    def saw(tally: Tally) -> None:
        if tally.finished == 5 and dying.ready():
            dying.kill()

    with open_desk(settings) as desk:
        move_in(desk, CAMERAS)
        with pytest.raises(StoreUnavailable, match="what was done is kept, run again when it is mended"):
            desk.ingest([str(tmp_path / "in")], saw=saw)
        assert len(desk.clips()) == 5, "the catalogue has what was done"
    dying.start()
    with open_desk(settings) as desk:
        assert desk.ingest([str(tmp_path / "in")]).outcomes == {Outcome.ALREADY: 5, Outcome.DONE: len(clips) - 5}
        assert len(desk.clips()) == len(clips)


def test_what_was_taken_in_is_in_the_audit_log_before_the_run_is_over(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.still, tmp_path / "in", "ask-1")
    stop, early = threading.Event(), list[str]()

    def look() -> None:
        def written() -> bool:
            early[:] = [entry.subject for entry in entries(desk._holdings.archive) if entry.action == "clips ingested"]
            return bool(early)

        wait(written)
        stop.set()

    looking = threading.Thread(target=look)
    desk.watch([str(tmp_path / "in")], stop=stop, shown=lambda _: looking.start())
    looking.join()
    assert early == ["1 clips"]
