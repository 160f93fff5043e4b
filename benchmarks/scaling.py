"""Clips a second by workers and by length of clip, what Ray itself costs for each, and the memory all of it takes.

`python -m benchmarks.scaling` (some two minutes), `--quick` (some twenty seconds). The same batch goes through
`Desk.ingest` in this process, on one Ray worker and on two: new store, new catalogue, every outcome checked. Ray's own
cost is measured apart, with units that do nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.processes import Tree
from lamplighter.desk.desk import open_desk
from lamplighter.settings import load
from pipeline.clip import Camera
from simulation.film import FilmJob, film
from simulation.scene import Scene
from workers.batch import run, session
from workers.receipt import Outcome, Stopwatch
from workers.settings import BatchSettings

_DISTINCT = 4
_RATE = 10
COLUMNS = {
    "what": "batch",
    "clips": "clips",
    "clips_per_s": "clips/s",
    "work_s_per_clip": "work a clip (s)",
    "overhead_ms_per_clip": "all else a clip (ms)",
    "floor_ms_per_clip": "a bare Ray task (ms)",
    "times_one_worker": "times one worker",
    "peak_mb": "peak memory (MB)",
}


def footage(folder: Path, clips: int, seconds: int) -> Path:
    """Write `clips` files of simulated footage, a few distinct ones under many names: the work is the same."""
    where = folder / f"{clips} of {seconds} s"
    originals = []
    for number in range(min(_DISTINCT, clips)):
        job = FilmJob(Scene(number, frames=seconds * _RATE, busy=6), folder / "originals" / f"{seconds}-{number}.mp4")
        film(job, None, Stopwatch())
        originals.append(job.path)
    for number in range(clips):
        target = where / f"cam-{number:04d}" / "20260131T180000Z.mp4"
        target.parent.mkdir(parents=True)
        shutil.copyfile(originals[number % len(originals)], target)
    return where


def batch(folder: Path, data: Path, clips: int, *, workers: int, what: str) -> report.Row:
    """Ingest all clips below `folder` into a new store; return the row, after every outcome was checked."""
    settings = load(flags={"data": data, "batch": {"workers": workers}})
    cameras = [Camera(f"cam-{n:04d}", 4.8, 52.0, "bench") for n in range(clips)]
    tree = Tree(os.getpid())
    with open_desk(settings) as desk, session(settings.batch):
        desk.import_cameras(cameras)
        if workers:  # the processes are there before the clock runs: a batch is long, its start is not its speed
            jobs = [FilmJob(Scene(1, frames=1), data / f"warm-{n}.mp4") for n in range(workers * 2)]
            for _ in run(jobs, film, None, settings=settings.batch):
                pass
        with tree.sampling():
            start = time.perf_counter()
            tally = desk.ingest([str(folder)])
            seconds = time.perf_counter() - start
    shutil.rmtree(data)
    if tally.outcomes != {Outcome.DONE: clips}:
        raise SystemExit(f"{workers} workers: wanted {clips} clips done, got {tally.outcomes}")
    work = tally.seconds["total"]
    return {
        "what": what,
        "workers": workers,
        "clips": clips,
        "seconds": round(seconds, 2),
        "clips_per_s": round(clips / seconds, 2),
        "work_s_per_clip": round(work / clips, 4),
        "overhead_ms_per_clip": round((seconds * max(workers, 1) - work) / clips * 1000, 2),
        "cpu_s_per_clip": None if tree.cpu_s is None else round(tree.cpu_s / clips, 4),
        "peak_mb": round(max((size for _, size in tree.memory_mb), default=0)) or None,
    }


@dataclass(frozen=True, slots=True)
class _Empty:
    """A unit of work that is none."""

    name: str


def _nothing(_job: object, _context: object, _watch: Stopwatch) -> tuple[Outcome, str]:
    return Outcome.DONE, ""


def _bare() -> None:
    pass


def empty_units(count: int, *, rounds: int = 5) -> report.Row:
    """Return what the dispatcher and Ray cost for one unit of work, with nothing done in it.

    The floor is Ray alone: as many tasks that take and return nothing, two of them in flight. They take turns.
    """
    settings = BatchSettings(workers=1)
    ours, floor = [], []
    with session(settings) as ray:
        bare = ray.remote(num_cpus=1, max_retries=0)(_bare)
        for turn in range(rounds + 1):
            start = time.perf_counter()
            units = (_Empty(f"empty-{number}") for number in range(count))
            done = [receipt.outcome for receipt in run(units, _nothing, None, settings=settings)]
            ours.append((time.perf_counter() - start) / count * 1000)
            if done != [Outcome.DONE] * count:
                raise SystemExit(f"wanted {count} empty units done, got {len(done)}: their time means nothing")
            start = time.perf_counter()
            flying = [bare.remote() for _ in range(2)]
            for number in range(count):
                ready, flying = ray.wait(flying)
                ray.get(ready)
                flying += [bare.remote()] if number + 2 < count else []
            floor.append((time.perf_counter() - start) / count * 1000)
            if turn == 0:  # not counted: the process starts and loads what it needs
                ours.clear()
                floor.clear()
    row = {
        "what": "an empty unit on one Ray worker",
        "clips": rounds * count,
        "ray_ms_per_clip": round(statistics.median(ours), 2),
        "floor_ms_per_clip": round(statistics.median(floor), 2),
    }
    row["overhead_ms_per_clip"] = row["ray_ms_per_clip"]
    return report.against(row, "ray_ms_per_clip", at_most=5)


def main() -> None:
    """Measure, write JSON, draw."""
    clips_flag = ("--clips", {"type": int, "default": 90, "help": "clips in the batch"})
    seconds_flag = ("--seconds", {"type": int, "default": 45, "help": "length of its clips; 0.2 s of work at least"})
    chosen = report.options(__doc__, clips_flag, seconds_flag)
    clips, seconds = (24, 20) if chosen.quick else (chosen.clips, chosen.seconds)
    lengths = () if chosen.quick else ((2, clips // 2), (15, clips // 2))
    # In the quick form one Ray serves all; otherwise each has its own, so that its memory is that of its workers.
    one_ray = session(BatchSettings(workers=2)) if chosen.quick else nullcontext()
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch, one_ray:
        folder = Path(scratch)
        results = [empty_units(40 if chosen.quick else 200)]
        where = footage(folder, clips, seconds)
        few = footage(folder, clips // 4, seconds)
        for workers in (0, 1, 2):
            name = f"{workers} worker{'s' * (workers > 1)} on Ray" if workers else "in this process"
            what = f"{name}, clips of {seconds} s"
            source, count = (where, clips) if workers else (few, clips // 4)
            results.append(batch(source, folder / f"data-{workers}", count, workers=workers, what=what))
        one = results[-2]["clips_per_s"]
        results[-1]["times_one_worker"] = round(results[-1]["clips_per_s"] / one, 2)
        if not chosen.quick:
            report.against(results[-1], "times_one_worker", at_least=1.8)
        with nullcontext() if chosen.quick else session(BatchSettings(workers=2)):
            for length, count in lengths:
                where = footage(folder, count, length)
                what = f"2 workers on Ray, clips of {length} s"
                results.append(batch(where, folder / f"data-{length}s", count, workers=2, what=what))
    for row in results:
        row["footage"] = f"simulated, 640 x 360, {_RATE} frames/s"
    report.draw(report.write("scaling", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
