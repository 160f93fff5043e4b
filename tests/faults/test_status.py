"""`lamplighter status` and `lamplighter aside` from another terminal: what runs and waits, by the bucket alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import CAMERAS, Films, change, move_in, put_film
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from storage.archive import Ingested
from workers.ingest import Context
from workers.receipt import Outcome, Stopwatch
from workers.settings import LiveSettings
from workers.sources import IngestJob


def told(data: Path, *words: str) -> Any:
    """Return what a command prints as JSON, in a process of its own."""
    command = [sys.executable, "-m", "lamplighter", "--data", str(data), *words, "--json"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(found.stdout)


def test_nothing_runs_and_nothing_waits_at_first(desk: Desk) -> None:
    assert desk.status().document() == {"runs": [], "waits": []}


@pytest.mark.whole
def test_another_terminal_sees_a_run_what_waits_and_that_it_was_killed(films: Films, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with open_desk(load(flags={"data": data, "batch": {"workers": 0}})) as desk:
        move_in(desk, CAMERAS)
    (tmp_path / "in").mkdir()
    put_film(films.still, tmp_path / "in", "nobody")
    command = [
        sys.executable,
        "-m",
        "lamplighter",
        "--data",
        str(data),
        "watch",
        str(tmp_path / "in"),
        "-w",
        "0",
        "--json",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not (found := told(data, "status"))["waits"]:
            assert process.poll() is None
            assert time.monotonic() < deadline
        (run,) = found["runs"]
        assert (run["state"], run["pid"]) == ("runs", process.pid)
        assert run["what"] == f"watch {tmp_path / 'in'}"
        (waits,) = found["waits"]
        assert waits["what"] == "1 files set aside: camera"
        assert abs(waits["since_ns"] - time.time_ns()) < 600 * 10**9
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert [run["state"] for run in told(data, "status")["runs"]] == ["killed"]
        (account,) = told(data, "aside", "list")
        assert (account["station"], account["kept"]) == ("camera", False)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    with open_desk(load(flags={"data": data, "batch": {"workers": 0}})) as desk:
        desk.watch([str(tmp_path / "in")], for_s=0.3)
    found = told(data, "status")
    assert [run["state"] for run in found["runs"]] == ["ended"], "its successor took its place"
    assert [one["name"] for one in told(data, "aside", "drop", account["name"])] == [account["name"]]
    assert told(data, "status")["waits"] == []


def test_what_was_accepted_waits_and_says_since_when(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.still, tmp_path / "in", "ask-1")
    change(desk, live=LiveSettings(poll_s=0.1))
    seen: list[Any] = []

    def work(_job: IngestJob, _context: Context, _watch: Stopwatch) -> tuple[Outcome, Ingested | None]:
        seen.append(desk.status())
        raise KeyError("a bug")

    desk.watch([str(tmp_path / "in")], for_s=0.5, work=work)
    (waits,) = seen[0].waits
    assert (waits.what, waits.why) == ("1 accepted clips", "workers are busy")
    (run,) = seen[0].runs
    assert run.state == "runs"


def test_a_batch_is_seen_while_it_runs_and_leaves_nothing(desk: Desk, films: Films, tmp_path: Path) -> None:
    for number in range(2):
        put_film(films.still, tmp_path / "in", "ask-1", after_s=number * 10)
    seen: list[tuple[str, str]] = []
    desk.ingest([str(tmp_path / "in")], saw=lambda _: seen.extend((r.run.what, r.state) for r in desk.status().runs))
    assert set(seen) == {(f"ingest {tmp_path / 'in'}", "runs")}
    assert desk.status().runs == ()
