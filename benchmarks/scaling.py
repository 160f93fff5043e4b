"""Clips per second by workers: the same batch in this process, on one Ray worker and on two, in one run."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from lamplighter import tables
from lamplighter.desk import open_desk
from lamplighter.settings import load
from pipeline.clip import Camera, Sharing
from pipeline.scene import Scene
from workers.batch import run, session
from workers.receipt import Outcome, Stopwatch
from workers.simulate import FilmJob, film

_DISTINCT = 8


def footage(folder: Path, clips: int, seconds: int) -> None:
    """Write `clips` files of simulated footage, a few distinct ones under many names: the work is the same."""
    originals = []
    for number in range(min(_DISTINCT, clips)):
        job = FilmJob(Scene(number, frames=seconds * 10, busy=6), folder / "originals" / f"{number}.mp4")
        film(job, None, Stopwatch())
        originals.append(job.path)
    for number in range(clips):
        target = folder / "clips" / f"cam-{number:04d}" / "20260131T180000Z.mp4"
        target.parent.mkdir(parents=True)
        shutil.copyfile(originals[number % len(originals)], target)


def batch(footage_folder: Path, clips: int, *, workers: int) -> dict[str, Any]:
    """Ingest all clips into a new store and return clips per second, after every outcome was checked."""
    data = footage_folder / f"data-{workers}"
    settings = load(flags={"data": data, "batch": {"workers": workers}})
    cameras = [Camera(f"cam-{n:04d}", 4.8, 52.0, "bench", Sharing.ALWAYS) for n in range(clips)]
    with open_desk(settings) as desk, session(settings.batch):
        desk.import_cameras(cameras)
        if workers:  # the processes are there before the clock runs: a batch is long, its start is not its speed
            list(
                run(
                    [FilmJob(Scene(1, frames=1), data / f"warm-{n}.mp4") for n in range(workers * 2)],
                    film,
                    None,
                    settings=settings.batch,
                )
            )
        start = time.perf_counter()
        tally = tables.follow("", desk.ingest([str(footage_folder / "clips")]), quiet=True)
        seconds = time.perf_counter() - start
    if tally.outcomes != {Outcome.DONE: clips}:
        raise SystemExit(f"{workers} workers: wanted {clips} clips done, got {tally.outcomes}")
    work = tally.seconds["total"]
    shutil.rmtree(data)
    return {"what": f"{workers} workers" if workers else "in this process", "clips": clips, "seconds": seconds,
            "clips_per_s": clips / seconds, "work_s_per_clip": work / clips,
            "dispatch_ms_per_clip": (seconds * max(workers, 1) - work) / clips * 1000}  # fmt: skip


def main() -> None:
    """Measure, write JSON, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60, help="length of a clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        footage(Path(scratch), options.clips, options.seconds)
        results = [batch(Path(scratch), options.clips, workers=workers) for workers in (0, 1, 2)]
    one = results[1]["clips_per_s"]
    for result in results[1:]:
        result["times_one_worker"] = result["clips_per_s"] / one
    report.draw(report.write("scaling", results))


if __name__ == "__main__":
    main()
