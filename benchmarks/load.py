"""How many cameras a machine sustains: a synthetic fleet uploads at real time, live ingest keeps up or does not.

`python -m benchmarks.load` (some five minutes, and two more on a machine that has to film its reels first),
`--quick` (under a minute, small pictures). A load is sustained when 99 % of its clips are done within 10 s of their
arrival, none is left over, and the feeder was not late. The speed at which the workers work off a heap of the same
clips says where to begin: with 97 % of it, below which no queue grows, and with 80 % where clips come in bursts. After
a try that fails come fewer cameras, three tries at most, two of replayed footage.

At the busiest hour of daylight:

- continuous: 1080p at 15 frames a second, recorded on end; every frame is decoded and measured.
- motion: the same cameras upload only what motion sets off. This is what "clips that only have to be indexed" is taken
  to mean: the camera has chosen them; even so every frame of them is measured.
- replay: real footage, whose packets cost more to decode than a simulated camera's; cameras are counted as 15 frames a
  second each.
- soak: two simulated hours at twice the load that was sustained, time running faster, dropping the oldest when full.

The decode floor is that of one core alone; `floor_at_once`, when all cores decode, is what a load could reach.
The feeder runs on the same cores. Its processor time stands beside that of the pipeline, which is what
`camera_hours_per_core_hour` is made of. The store is a directory, the pipeline two Ray workers and two shards.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import report
from benchmarks.course import WORKERS, Bench, Course, arriving, settings_in
from benchmarks.stages import bare_decode
from lamplighter.desk.desk import open_desk
from pipeline.detection.detect import detect
from pipeline.span import NS, Span, parse_iso
from simulation.feeder import film_reels, footage_files, reels_of
from simulation.fleet import HOUR_NS, Fleet, Mix, make_fleet
from simulation.score import load_fed, score_fed
from simulation.settings import FleetSettings
from simulation.traffic import sights
from storage.go_program import cache_folder
from workers.settings import BatchSettings

LAG_S = 10.0
_NOON_NS = parse_iso("2026-01-31T12:00:00Z")
_BUSY_NS = parse_iso("2026-01-31T17:00:00Z")
_IN_NS = 600 * NS  # after the fleet's start: by then somebody is under way in every street
_RATE = 15
_MAKES = ("Arundel", "Brook")
COLUMNS = {
    "what": "load",
    "cameras": "cameras",
    "per_core": "cameras a core",
    "floor_per_core": "decode floor",
    "floor_at_once": "all cores at once",
    "cpu_of_floor": "of decode, CPU time",
    "lag_p99_s": "lag, 99 % (s)",
    "camera_hours_per_core_hour": "camera-hours a core-hour",
    "recall": "recall",
    "precision": "precision",
    "seconds": "seconds",
    "dropped": "clips dropped",
}


@dataclass(frozen=True)
class Load:
    """A kind of load: the fleet of so many cameras, when it is looked at, and how its clips come to be."""

    name: str
    makes: tuple[str, ...]
    start_ns: int
    continuous: float
    replay: tuple[str, ...] = ()

    def fleet(self, cameras: int, hours: int = 1) -> Fleet:
        """Return the fleet; with `replay` every camera shows real footage."""
        mix = Mix(continuous=self.continuous, makes=self.makes)
        made = make_fleet(cameras, seed=1, start_ns=self.start_ns, hours=hours, mix=mix)
        if not self.replay:
            return made
        files = itertools.cycle(self.replay)
        return replace(made, cameras=tuple(replace(camera, replay=next(files)) for camera in made.cameras))


def capacity(bench: Bench, load_: Load, cameras: int, *, clips: int, window_s: int) -> tuple[float, float]:
    """Work off a heap of clips; return the workers' frames a second, and those one camera uploads in the window.

    What counts is the time in which clips were in work: at the beginning and the end of a heap a worker has none.
    """
    fleet = load_.fleet(cameras)
    span = Span(load_.start_ns + _IN_NS, load_.start_ns + HOUR_NS)
    course = bench.run(fleet, span, speed=0, most=clips)
    shutil.rmtree(course.data)
    work_s = course.board["station_seconds"]["total"] / WORKERS
    frames_per_ns = course.frames / sum(one.arrival.length_ns for one in course.fed)
    window = Span(span.start_ns, span.start_ns + window_s * NS)
    coming = itertools.takewhile(
        lambda arrival: arrival.arrival_ns < window.end_ns, arriving(fleet, sights(fleet), window, None)
    )
    frames = frames_per_ns * sum(arrival.length_ns for arrival in coming)
    return course.frames / work_s, frames / window_s / cameras


def attempt(bench: Bench, load_: Load, cameras: int, window_s: int) -> tuple[report.Row, Course]:
    """Let so many cameras upload at real time for `window_s`, and return the row."""
    begin_ns = load_.start_ns + _IN_NS
    course = bench.run(load_.fleet(cameras), Span(begin_ns, begin_ns + window_s * NS))
    behind = sorted(one.behind_s for one in course.fed) or [0.0]
    lag, late = course.board["lag_s"]["p99"], behind[math.ceil(0.99 * len(behind)) - 1]
    cores = os.cpu_count() or 1
    counted = cameras if not load_.replay else round(course.frames / course.window_s / _RATE)
    hours = course.frames / _RATE / 3600 if load_.continuous == 1 else cameras * course.window_s / 3600
    row: report.Row = {
        "what": f"{load_.name}, {counted} cameras",
        "load": load_.name,
        "cameras": counted,
        "per_core": round(counted / cores, 1),
        "lag_median_s": course.board["lag_s"]["median"],
        "lag_p99_s": lag,
        "sustained": lag is not None and lag < LAG_S and late < 1,
        "clips": len(course.fed),
        "window_s": window_s,
        "frames_per_s": round(course.frames / course.window_s, 1),
        "megabytes_in_per_s": round(sum(one.size for one in course.fed) / 1e6 / course.window_s, 2),
        "megabytes_kept_per_s": round(_size(course.data / "objects") / 1e6 / course.window_s, 2),
        "cpu_ms_per_frame": course.pipeline_cpu_s and round(course.pipeline_cpu_s / course.frames * 1000, 3),
        "workers_busy": round(course.board["station_seconds"]["total"] / WORKERS / course.window_s, 3),
        "feeder_late_s": round(late, 2),
        "feeder_cpu_s": round(course.feeder_cpu_s, 1),
        "pipeline_cpu_s": course.pipeline_cpu_s,
        "peak_mb": max((size for _, size in course.memory_mb), default=None),
        "station_seconds": course.board["station_seconds"],
        "camera_hours_per_core_hour": hours * 3600 / course.pipeline_cpu_s if course.pipeline_cpu_s else None,
    }
    return row, course


def search(
    bench: Bench,
    load_: Load,
    *,
    guess: float,
    share: float,
    window_s: int,
    tries: int,
    after: Callable[[Course], report.Row],
) -> Iterator[report.Row]:
    """Try a share of the guess, then less until a load is sustained; yield every row, `after` added to the last."""
    for number in range(tries):
        cameras = max(1, round(guess * share))
        row, course = attempt(bench, load_, cameras, window_s)
        good = bool(row["sustained"])
        if good or number == tries - 1:
            row |= after(course)
        shutil.rmtree(course.data)
        yield row
        if good:
            return
        share *= 0.92


def score(course: Course) -> report.Row:
    """Return recall and precision of the events found in this course, by the truth of its fleet."""
    settings = settings_in(course.data)
    with open_desk(settings) as desk:
        found, cameras = {}, {camera.id: camera for camera in desk.cameras()}
        for one in desk.clips():
            activity, holds = desk.motion(cameras[one.clip.camera], one)
            events = detect(activity, holds.detection, holds.usual)
            spans = [Span(one.clip.time_ns(event.start_pts), one.clip.time_ns(event.end_pts)) for event in events]
            found[f"{one.clip.camera}/{one.source}"] = spans
    lines = [json.dumps(one.document()) for one in course.fed]
    result = score_fed(found, load_fed(lines, name="uploads"), rule=settings.tune)
    if result is None:
        return {}
    return {"recall": result.recall, "precision": result.precision, "things_seen": result.found + result.missed}


def soak(bench: Bench, load_: Load, cameras: float, *, hours: float, window_s: float) -> list[report.Row]:
    """Let twice the sustained load run for `hours` of simulated time; account for every clip, watch the memory."""
    simulated_s = hours * 3600
    count = max(1, round(2 * cameras * window_s / simulated_s))
    # Whole cameras: so the time that makes it twice the load, within reason.
    window_s = min(max(simulated_s * count / (2 * cameras), window_s * 0.8), window_s * 1.4)
    speed = simulated_s / window_s
    begin_ns = load_.start_ns + _IN_NS
    span = Span(begin_ns, begin_ns + round(hours * HOUR_NS))
    live = {"policy": "drop-oldest", "queue": 8, "backlog": 8}
    # A repeated upload replaces the file of the first one, so the number of files would not be that of uploads.
    rules = FleetSettings(repeated=0)
    course = bench.run(load_.fleet(count, hours=math.ceil(hours) + 1), span, speed=speed, live=live, rules=rules)
    board = course.board
    done, accepted = len(board["frames"]), board["in"]
    dropped = sum(entry["clips"] for entry in board["dropped"])
    aside = sum(board["set_aside"].values())
    sizes = [size for at, size in course.memory_mb if at <= course.window_s]
    early, late = sizes[len(sizes) // 4 : len(sizes) // 2], sizes[-len(sizes) // 4 :]
    growth = statistics.median(late) / statistics.median(early) if early and late else None
    shutil.rmtree(course.data)
    row = {
        "what": f"soak: {hours:g} h at {count * speed / cameras:.1f} times the sustained load",
        "load": "soak",
        "clips": len(course.fed),
        "done": done,
        "dropped": dropped,
        "set_aside": aside,
        "speed": round(speed, 1),
        "memory_growth": growth,
        "memory_mb_by_s": course.memory_mb,
        "bounds": "16 clips accepted and 16 waiting",
    }
    fed = {"what": "soak: neither done nor counted as dropped", "clips": len(course.fed)}
    fed["clips_lost"] = len(course.fed) - done - dropped - aside
    held = {"what": "soak: acknowledged and lost", "clips": accepted}
    held["clips_lost"] = accepted - done - (aside - board["refused"])
    return [
        report.against(row, "memory_growth", at_most=1.1),
        *(report.against(one, "clips_lost", at_most=0) for one in (fed, held)),
    ]


def floor(reels: Path, load_: Load) -> dict[str, float]:
    """Return how many cameras' worth of frames (15 a second) a core decodes: one alone, and each of all at once.

    Beside them the processor time of a frame, in milliseconds, when all do.
    """
    if load_.replay:
        files = [report.FOOTAGE / "clips" / name for name in load_.replay]
    else:
        fleet = load_.fleet(8)
        needed = reels_of(fleet, Span(load_.start_ns, load_.start_ns + HOUR_NS // 2))
        files = [reels / reel.name for reel in needed[::2]]  # the other half films the same street, and takes as long

    def rate(cores: int) -> tuple[float, float]:
        with ThreadPoolExecutor(cores) as pool:  # decoding holds no lock of Python's
            began, cpu_s = time.perf_counter(), time.process_time()
            frames = sum(pool.map(bare_decode, [file for file in files for _ in range(cores)]))
            took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        return round(frames / took_s / cores / _RATE, 1), round(cpu_s / frames * 1000, 3)

    alone, (at_once, cpu_ms) = rate(1)[0], rate(os.cpu_count() or 1)
    return {"floor_per_core": alone, "floor_at_once": at_once, "floor_cpu_ms_per_frame": cpu_ms}


def film_all(reels: Path, loads: Iterable[Load]) -> None:
    """Film the reels that are missing; done once on a machine."""
    needed = {reel for one in loads if not one.replay for reel in reels_of(one.fleet(8), one.fleet(1).span)}
    settings = BatchSettings(workers=WORKERS)
    for receipt in film_reels(sorted(needed, key=lambda reel: reel.name), reels, settings=settings):
        print(f"filmed {receipt.job.name}: {receipt.outcome} {receipt.reason}", flush=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _real() -> tuple[str, ...]:
    """Return the real 1080p clips that can be replayed; none where there is no footage."""
    folder = report.FOOTAGE / "clips"
    return tuple(name for name in footage_files(folder)[0] if name.startswith("atv")) if folder.is_dir() else ()


def measure_all(bench: Bench, reels: Path, loads: Sequence[Load], *, quick: bool) -> list[report.Row]:
    """Search all loads, then the request and the soak."""
    limits = {"continuous": ("per_core", 30.0), "motion": ("cameras", 500.0)}
    rows: list[report.Row] = []
    sustained = 0.0
    extra: list[report.Row] = []
    floors = {replay: floor(reels, one) for replay, one in {one.replay: one for one in loads}.items()}
    for one in loads:

        def after(course: Course, one: Load = one) -> report.Row:
            if one.name == "continuous":
                extra.append(bench.deliver(course))
            return score(course)

        clips = 60 if quick else {"continuous": 24, "motion": 48}.get(one.name, 12)
        # The load that is promised by the core is looked at longest.
        window_s, tries = (8, 2) if quick else {"continuous": (60, 3), "motion": (45, 3)}.get(one.name, (30, 2))
        speed, each = capacity(bench, one, 40 if one.continuous else 600, clips=clips, window_s=window_s)
        share = 0.8 if one.name == "motion" else 0.97
        for row in search(bench, one, guess=speed / each, share=share, window_s=window_s, tries=tries, after=after):
            row.update(floors[one.replay] | {"burst_frames_per_s": round(speed, 1)})
            if row["cpu_ms_per_frame"]:
                row["cpu_of_floor"] = round(row["floor_cpu_ms_per_frame"] / row["cpu_ms_per_frame"], 3)
            rows.append(row)
            print(f"{row['what']}: lag {row['lag_p99_s']} s, sustained: {row['sustained']}", flush=True)
        if one.name == "continuous":
            sustained = rows[-1]["cameras"]
        if not quick and one.name in limits:
            key, limit = limits[one.name]
            figure = rows[-1][key] if rows[-1]["sustained"] else None
            report.against(rows[-1], key, at_least=limit)
            rows[-1]["met"] = rows[-1]["met"] and figure is not None
    hours, soak_s = (0.2, 12.0) if quick else (2.0, 50.0)
    # It goes on for hours, which at the busiest one would lead into the night, of which other reels would be needed.
    day = replace(loads[0], start_ns=_NOON_NS)
    return [*rows, *extra, *soak(bench, day, sustained, hours=hours, window_s=soak_s)]


def main() -> None:
    """Measure, write JSON, draw."""
    chosen = report.options(__doc__)
    makes = ("Dunmore",) if chosen.quick else _MAKES
    loads = [Load("continuous", makes, _BUSY_NS, 1.0)]
    if not chosen.quick:
        loads.append(Load("motion", makes, _BUSY_NS, 0.0))
        real = _real()
        loads += [Load("replay", makes, _BUSY_NS, 1.0, real)] if real else []
    reels = cache_folder() / "reels"
    film_all(reels, loads)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        bench = Bench(Path(scratch), reels)
        try:
            rows = measure_all(bench, reels, loads, quick=chosen.quick)
        finally:
            bench.close()
    report.draw(report.write("load", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
