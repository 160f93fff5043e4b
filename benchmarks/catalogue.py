"""How long a request takes to find its clips in the catalogue, by how many clips it holds.

`python -m benchmarks.catalogue` (10,000 to 10,000,000 clips, a minute or two and 5 GB of disk), `--quick` (100,000).
A town of cameras on a grid; a request covers 0.3 square kilometres with 100 cameras, and four hours. How many clips a
camera has a day decides how many are found. `sparse` is the mean of this project's own synthetic fleet over a day (see
`clips_a_day`), in which every camera sees a residential street; `dense` is a clip every 150 s, day and night, as a
camera on a main road has. What is timed is `Catalog.candidates` and the question whether each camera stands inside the
polygon. The motion of each clip is looked at by `Desk.match`, in rows of its own: for a first request over these clips
from their stored activities, for a second one from what the catalogue keeps of the first.
Target: the 99th percentile at 10,000,000 sparse clips on SQLite at most 50 ms.
"""

from __future__ import annotations

import gc
import math
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from lamplighter.desk.desk import open_desk
from lamplighter.settings import load
from pipeline.activity import Activity
from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.case.life import Act, Step
from pipeline.case.request import Request
from pipeline.span import NS, Span
from simulation.arrivals import arrivals
from simulation.fleet import Mix, make_fleet
from simulation.traffic import sights
from storage.archive import Archive
from storage.catalog.catalog import Catalog
from storage.directory import DirectoryStore

_START_NS = 1_767_225_600 * NS  # 2026-01-01
_STEP = 0.0006  # degrees between cameras: some 50 m
_DENSE_S = 150
_LENGTH_NS = 30 * NS
_HOURS = 4
_ACTIVITY = "activity/shared.npz"
_ROW_BYTES = 500  # of disk for a clip while its index is made
COLUMNS = {
    "what": "catalogue",
    "found": "clips found",
    "p50_ms": "median (ms)",
    "p99_ms": "99 % (ms)",
    "us_per_found": "a found clip (µs)",
    "catalogue_mb": "catalogue (MB)",
}


def clips_a_day(cameras: int = 60) -> float:
    """Return how many clips motion sets off in a day at a camera of the synthetic fleet, on average."""
    fleet = make_fleet(cameras, seed=1, start_ns=_START_NS, hours=24, mix=Mix(continuous=0.0))
    return sum(not arrival.repeat for arrival in arrivals(fleet, sights(fleet))) / cameras


def fill(path: Path, cameras: int, clips: int, *, every_s: int) -> None:
    """Write a town of `cameras` and `clips` rows straight into the tables of an empty catalogue.

    By camera, which is how the table keeps them, in whatever order they come; so it takes a third of the time.
    """
    side = int(np.ceil(np.sqrt(cameras)))
    with sqlite3.connect(path) as database:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
            database.execute(f"PRAGMA {pragma}")
        database.executemany(
            "INSERT INTO cameras (id, lon, lat, owner, sharing) VALUES (?, ?, ?, ?, ?)",
            [(f"cam-{n}", 4.8 + n % side * _STEP, 52 + n // side * _STEP, f"owner-{n}", "ask") for n in range(cameras)],
        )
        database.execute("DROP INDEX clips_id")
        database.execute("CREATE TEMP TABLE town AS SELECT id, CAST(substr(id, 5) AS INTEGER) AS n FROM cameras")
        database.execute("CREATE TEMP TABLE shot (i INTEGER PRIMARY KEY, at_ns INTEGER)")
        starts = ((i, _START_NS + i * every_s * NS) for i in range(clips // cameras))
        database.executemany("INSERT INTO shot VALUES (?, ?)", starts)
        database.execute(
            "INSERT INTO clips (camera, start_ns, id, end_ns, sha256, size, key, codec, width, height, time_base, "
            "first_pts, end_pts, frames, audio, activity, version, source) "
            "SELECT id, at_ns + n * ?, printf('%08x%012x', n, i), at_ns + n * ? + ?, "
            "?, 2000000 + i, 'clips/' || id || '/20260101T000000.mp4', 'h264', 1920, 1080, '1/15360', 0, 460800, 450, "
            "NULL, ?, '2-0', '20260101T000000Z.mp4' FROM (SELECT * FROM town ORDER BY id) CROSS JOIN shot",
            (NS // 10, NS // 10, _LENGTH_NS, "0" * 64, _ACTIVITY),
        )
        database.execute("CREATE INDEX clips_id ON clips (id)")
        database.execute("UPDATE turn SET longest_ns = ?", (_LENGTH_NS,))
    database.close()


def _town(clips: int) -> int:
    """Return how many cameras such a catalogue has: about one for every 1000 clips, in a square."""
    return max(10, math.isqrt(clips // 1000)) ** 2


def a_request(cameras: int, clips: int, *, every_s: int, seed: int) -> tuple[Area, Span]:
    """Return a random place with 100 cameras, and four hours in the time the catalogue covers."""
    draw = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(cameras)))
    # Half a step outside of the corner camera: no camera stands on the edge.
    west, south = (base + (draw.integers(0, max(1, side - 9)) - 0.5) * _STEP for base in (4.8, 52.0))
    east, north = west + 10 * _STEP, south + 10 * _STEP
    area = Area((((west, south), (east, south), (east, north), (west, north), (west, south)),))
    hours = max(1, clips // cameras * every_s // 3600 - _HOURS)
    start_ns = _START_NS + int(draw.integers(0, hours)) * 3600 * NS
    return area, Span(start_ns, start_ns + _HOURS * 3600 * NS)


def ask(catalog: Catalog, cameras: int, clips: int, *, every_s: int, seed: int) -> tuple[float, int]:
    """Ask for a random place and time; return the seconds it took and the clips found, after both were checked."""
    area, span = a_request(cameras, clips, every_s=every_s, seed=seed)
    began = time.perf_counter()
    found = catalog.candidates(area, span)
    inside = {camera.id for camera in {camera.id: camera for camera, _ in found}.values() if area.covers(camera)}
    taken = [one for camera, one in found if camera.id in inside]
    seconds = time.perf_counter() - began
    wanted = sum(_overlaps(int(name.removeprefix("cam-")), cameras, clips, span, every_s) for name in inside)
    right = all(one.clip.camera == camera.id and span & one.clip.span for camera, one in found)
    if len(taken) != wanted or not taken or not right or len(inside) != 100:
        raise SystemExit(f"wanted {wanted} clips of 100 cameras, found {len(taken)} of {len(inside)}: no time counts")
    return seconds, len(taken)


def _overlaps(camera: int, cameras: int, clips: int, span: Span, every_s: int) -> int:
    starts = _START_NS + camera * (NS // 10) + np.arange(clips // cameras, dtype=np.int64) * every_s * NS
    return int(((starts < span.end_ns) & (starts + _LENGTH_NS > span.start_ns)).sum())


def measure(folder: Path, clips: int, *, density: str, every_s: int, queries: int) -> tuple[report.Row, Path]:
    """Fill a catalogue and time requests over it; the first ones, with nothing cached, count. Return it as well."""
    cameras = _town(clips)
    path = folder / f"catalog-{clips}-{density}.sqlite"
    store = DirectoryStore(folder / "objects")
    store.ensure_bucket()
    Catalog(f"sqlite:///{path}", Archive(store)).close()
    fill(path, cameras, clips, every_s=every_s)
    catalog = Catalog(f"sqlite:///{path}", Archive(store))
    gc.freeze()  # as the command line does once everything is imported
    try:
        asked = [ask(catalog, cameras, clips, every_s=every_s, seed=seed) for seed in range(queries)]
    finally:
        catalog.close()
    times, found = zip(*asked, strict=True)
    row = {"what": f"{clips:,} clips, {density}", "clips": clips, "density": density, "cameras": cameras}
    row |= {"clips_a_day": round(86_400 / every_s, 1), **_times(times, found)}
    return row | {"catalogue_mb": round(path.stat().st_size / 1e6)}, path


def _times(times: Sequence[float], found: Sequence[int]) -> report.Row:
    return {
        "found": round(statistics.mean(found)),
        "p50_ms": round(1000 * float(np.percentile(times, 50)), 2),
        "p99_ms": round(1000 * float(np.percentile(times, 99)), 2),
        "us_per_found": round(1e6 * sum(times) / sum(found), 1),
    }


def whole_match(path: Path, clips: int, *, every_s: int, queries: int) -> list[report.Row]:
    """Time `Desk.match` over a filled catalogue, for a first request and for a second one over the same clips.

    Every camera's verdict and every clip's events; what both find must be the same, and be all that overlap.
    """
    cameras = _town(clips)
    flags = {"data": path.parent / "desk", "batch": {"workers": 0}, "catalog": {"url": f"sqlite:///{path}"}}
    share = np.zeros((450, 9, 16), np.uint8)
    share[100:200, 4:6, 4:8] = 200
    pts = np.arange(450, dtype=np.int64) * 1024
    facts: dict[str, Any] = {
        "time_base": Fraction(1, 15360),
        "width": 1920,
        "height": 1080,
        "version": "2-0",
        "cell_side": 120,
    }
    activity = Activity(share=share, pts=pts, luma=np.full(450, 120, np.uint8), cold=0, **facts)
    times: tuple[list[float], list[float]] = ([], [])
    found: list[int] = []
    store = DirectoryStore(path.parent / "desk" / "objects")
    store.ensure_bucket()
    store.put(_ACTIVITY, activity.to_bytes())
    with open_desk(load(flags=flags)) as desk, closing(Catalog(f"sqlite:///{path}", Archive(store))) as catalog:
        for seed in range(queries):
            area, span = a_request(cameras, clips, every_s=every_s, seed=seed)
            answers = []
            for taken, number in zip(times, (1, 2), strict=True):
                request = Request(area, span, f"B-{seed}", "Bench agency", f"desk {number}", "burglary", span.end_ns)
                # Past the desk, as an earlier version made them: its rules refuse footage this old.
                submitted = Step(request.id, 1, Act.SUBMIT, Role.OFFICER, "bench", request.made_ns)
                catalog.cases.put_request(request, submitted, check=lambda _request, _others: None)
                began = time.perf_counter()
                answers.append(desk.match(request))
                taken.append(time.perf_counter() - began)
            rows = answers[0]
            inside = {row.match.camera.id for row in rows if row.match.clip}
            wanted = sum(_overlaps(int(name.removeprefix("cam-")), cameras, clips, span, every_s) for name in inside)
            found.append(sum(len(row.kept.events) == 1 for row in rows if row.kept))
            outside = sum(row.match.clip is None for row in rows)
            if answers[1] != rows or found[-1] != wanted or outside != cameras - 100:
                raise SystemExit(
                    f"wanted {wanted} clips with an event and {cameras - 100} cameras outside, twice the same; "
                    f"got {found[-1]} and {outside}: no time counts"
                )
    what = f"{clips:,} clips, sparse: `match` with motion, the"
    return [
        {"what": f"{what} {turn} time", "clips": clips, "cameras": cameras, **_times(taken, found)}
        for turn, taken in zip(("first", "second"), times, strict=True)
    ]


def main() -> None:
    """Measure, write JSON, draw."""
    most = ("--most", {"type": int, "default": 10_000_000, "help": "clips in the largest catalogue"})
    chosen = report.options(__doc__, most)
    largest, queries = (100_000, 40) if chosen.quick else (chosen.most, 200)
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= largest]
    sparse_s = round(86_400 / clips_a_day())
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        folder = Path(scratch)
        if shutil.disk_usage(folder).free < sizes[-1] * _ROW_BYTES:
            raise SystemExit(
                f"{folder}: {sizes[-1]:,} clips need {sizes[-1] * _ROW_BYTES / 1e9:.0f} GB of disk; "
                "set TMPDIR to a folder that has them, or ask for fewer: --most"
            )
        rows: list[report.Row] = []
        matched: list[report.Row] = []
        for size in sizes:
            row, path = measure(folder, size, density="sparse", every_s=sparse_s, queries=queries)
            rows.append(row)
            if size == min(largest, 1_000_000):
                matched = whole_match(path, size, every_s=sparse_s, queries=1 if chosen.quick else 3)
            path.unlink()
        report.against(rows[-1], "p99_ms", at_most=50)
        rows[-1]["growth"] = round(rows[-1]["p99_ms"] / rows[0]["p99_ms"], 2)
        for size in [size for size in sizes if size <= 1_000_000]:
            row, path = measure(folder, size, density="dense", every_s=_DENSE_S, queries=max(20, queries // 4))
            rows.append(row)
            path.unlink()
        rows += matched
    report.draw(report.write("catalogue", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
