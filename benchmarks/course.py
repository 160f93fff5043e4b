"""One run of a fleet: the feeder here, live ingest in a process of its own, and an account of every clip afterwards."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.processes import Tree
from lamplighter.desk.board import Board
from lamplighter.desk.desk import open_desk
from lamplighter.desk.rehearsal import ask, move_in
from lamplighter.settings import Settings, load
from pipeline.case.area import Area
from pipeline.clip import Sharing
from pipeline.span import NS, Span
from simulation.arrivals import Arrival, arrivals
from simulation.feeder import Fed, Feeder, FolderSink, drive
from simulation.film import FilmJob, film
from simulation.fleet import HOUR_NS, Fleet
from simulation.scene import Scene
from simulation.settings import FleetSettings
from simulation.traffic import Sight, sights
from workers.batch import run, session
from workers.settings import BatchSettings

WORKERS = 2
_ASKED = 8  # the smallest area the rules allow holds more
_LEAD_NS = 120 * NS  # recorded before the first second that counts, so that from then on clips arrive as ever


@dataclass
class Course:
    """What one run came to: the board's figures, what was fed, and what both cost."""

    fleet: Fleet
    board: dict[str, Any]
    fed: list[Fed]
    window_s: float
    pipeline_cpu_s: float | None
    feeder_cpu_s: float
    memory_mb: list[tuple[float, float]]
    data: Path

    @property
    def frames(self) -> int:
        """How many frames were uploaded."""
        return sum(one.frames for one in self.fed)


class Bench:
    """The pipeline in a process of its own, with one Ray for all runs; the feeder is here."""

    def __init__(self, scratch: Path, reels: Path) -> None:
        self._scratch, self._reels, self._numbers = scratch, reels, itertools.count()
        context = multiprocessing.get_context("spawn")
        self._ready: Event = context.Event()
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(self._ready,))
        self.pid: int = self._pool.submit(_warm, str(scratch / "warm")).result()

    def close(self) -> None:
        """End the pipeline's process and its Ray."""
        self._pool.submit(_end).result()
        self._pool.shutdown()

    def run(
        self,
        fleet: Fleet,
        span: Span,
        *,
        speed: float = 1.0,
        live: dict[str, Any] | None = None,
        most: int | None = None,
        rules: FleetSettings | None = None,
    ) -> Course:
        """Let the clips that arrive in `span` arrive and be taken in; speed 0: all (at most `most`) are there before.

        Raises SystemExit when a clip that was fed is neither done nor accounted for, or has other frames.
        """
        data = self._scratch / f"run-{next(self._numbers)}"
        incoming = data / "incoming"
        incoming.mkdir(parents=True)
        seen = sights(fleet)
        coming = arriving(fleet, seen, span, rules)
        window_s = span.duration_ns / NS / (speed or 1)
        replay = report.FOOTAGE / "clips"
        job = {
            "data": str(data),
            "live": {"drain_s": 300.0} | (live or {}),
            "for_s": window_s + 6 if speed else 3.0,
            "cameras": [replace(camera.camera, sharing=Sharing.ALWAYS) for camera in fleet.cameras],
        }
        with Feeder(self._reels, seen, sink=FolderSink(incoming), replay=replay) as feeder:
            if speed:
                watched = self._watch(job)
                tree = Tree(self.pid)
                with tree.sampling():
                    cpu_s = time.process_time()
                    fed = list(drive(coming, feeder, span, speed=speed))
                    feeder_cpu_s = time.process_time() - cpu_s
                    board = watched.result()
            else:
                fed = [feeder.write(arrival) for arrival in itertools.islice(coming, most)]
                feeder_cpu_s, tree = 0.0, Tree(self.pid)
                with tree.sampling():
                    board = self._watch(job).result()
        course = Course(
            fleet=fleet,
            board=board,
            fed=fed,
            window_s=window_s,
            pipeline_cpu_s=tree.cpu_s,
            feeder_cpu_s=feeder_cpu_s,
            memory_mb=tree.memory_mb,
            data=data,
        )
        account(course)
        shutil.rmtree(incoming)
        return course

    def deliver(self, course: Course) -> report.Row:
        """Answer one request over all that a course took in."""
        return self._pool.submit(_deliver, str(course.data), course.fleet).result()

    def _watch(self, job: dict[str, Any]) -> Future[dict[str, Any]]:
        self._ready.clear()
        watched = self._pool.submit(_watch, job)
        while not self._ready.wait(0.1):
            if watched.done():
                watched.result()  # raises what went wrong
        return watched


def arriving(fleet: Fleet, seen: dict[str, list[Sight]], span: Span, rules: FleetSettings | None) -> Iterator[Arrival]:
    """Yield what arrives in a span; a clip that was on its way before is there in its first seconds."""
    recorded = Span(max(fleet.start_ns, span.start_ns - _LEAD_NS), span.end_ns)
    coming = arrivals(fleet, seen, settings=rules, span=recorded)
    return (arrival for arrival in coming if arrival.arrival_ns >= span.start_ns)


def account(course: Course) -> None:
    """Raise SystemExit unless every clip that was fed is accounted for and holds the frames that were fed."""
    board = course.board
    dropped = sum(entry["clips"] for entry in board["dropped"])
    fed = {one.arrival.name: one.frames for one in course.fed}
    done: dict[str, int] = board["frames"]
    refused = sum(board["set_aside"].values())
    wrong = [name for name, frames in done.items() if fed.get(name) != frames]
    if wrong:
        raise SystemExit(f"{len(wrong)} clips have other frames than were fed, the first is {wrong[0]}")
    lost = len(fed) - len(done) - dropped - refused
    if lost > 0 or board["waiting"] or board["uploads_waiting"]:
        raise SystemExit(
            f"{len(fed)} clips were fed, {len(done)} done, {dropped} dropped, {refused} set aside, "
            f"{board['waiting'] + board['uploads_waiting']} wait: {lost} are lost"
        )


# In the pipeline's process --------------------------------------------------------------------------------------------

_open = ExitStack()
_told: list[Event] = []


def _begin(ready: Event) -> None:
    _told.append(ready)


def _warm(folder: str) -> int:
    """Start Ray and its workers, so that the first clip does not wait for them; return this process's id."""
    settings = BatchSettings(workers=WORKERS)
    _open.enter_context(session(settings))
    jobs = [FilmJob(Scene(1, frames=2), Path(folder) / f"{n}.mp4") for n in range(2 * WORKERS)]
    for _ in run(jobs, film, None, settings=settings):
        pass
    return os.getpid()


def _end() -> None:
    _open.close()


def settings_in(data: Path, live: dict[str, Any] | None = None) -> Settings:
    """Return the settings of every course: the defaults, in that data folder, with two workers."""
    flags = {"data": data, "batch": {"workers": WORKERS}, "live": live or {}}
    # A fleet's hours are always the same, and its clips are released as soon as they are cut.
    return load(flags=flags | {"request": {"max_age_days": 36_500}, "case": {"tick_s": 0}})


def _watch(job: dict[str, Any]) -> dict[str, Any]:
    """Run live ingest over one folder and return the board's figures, and the frames of every clip by its name."""
    data = Path(job["data"])
    with open_desk(settings_in(data, job["live"])) as desk:
        move_in(desk, job["cameras"])
        board = desk.watch([str(data / "incoming")], for_s=job["for_s"], shown=_tell_when_ready)
        frames = {f"{one.clip.camera}/{one.source}": one.clip.stream.frames for one in desk.clips()}
        return board.document() | {"frames": frames, "refused": board.counts["refused"]}


def _tell_when_ready(board: Board) -> None:
    """Let the window begin once the shards are there: starting their processes is no part of a load that goes on."""

    def look() -> None:
        while not board.shards:
            time.sleep(0.05)
        _told[0].set()

    threading.Thread(target=look, daemon=True).start()


def _deliver(data: str, fleet: Fleet) -> report.Row:
    """Ask for the area around a few cameras and deliver what moved; return the time to the last clip."""
    near = sorted(fleet.cameras, key=lambda camera: (camera.lon, camera.lat))[:_ASKED]
    lons, lats = [camera.lon for camera in near], [camera.lat for camera in near]
    west, east, south, north = min(lons) - 0.002, max(lons) + 0.002, min(lats) - 0.0013, max(lats) + 0.0013
    area = Area((((west, south), (east, south), (east, north), (west, north), (west, south)),))
    span = Span(fleet.start_ns, fleet.start_ns + HOUR_NS // 2)
    with open_desk(settings_in(Path(data))) as desk:
        began = time.monotonic()
        asked = ask(desk, area, span)
        tally = desk.deliver(asked)
        took_s = time.monotonic() - began
        inside = sum(asked.area.covers(camera.camera) for camera in fleet.cameras)
        size = sum(delivery.record.size for delivery in tally.results)
    if tally.aside or len(tally.results) != tally.planned:
        raise SystemExit(f"{len(tally.results)} of {tally.planned} clips were delivered: the time means nothing")
    return {
        "what": f"one request over {inside} cameras, to its last delivered clip",
        "seconds": round(took_s, 2),
        "delivered": tally.planned,
        "megabytes_out": round(size / 1e6, 2),
        "seconds_per_clip": round(took_s / tally.planned, 3) if tally.planned else None,
    }
