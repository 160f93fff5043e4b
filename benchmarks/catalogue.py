"""How long a request takes to find its clips in the catalogue, by how many clips it holds.

`python -m benchmarks.catalogue` (10,000 to 10,000,000 clips, some minutes and 6 GB of disk), `--most 100000` for less.
A town of cameras on a grid, a clip of 30 s from each every few minutes; a request covers about 0.3 square kilometres
and four hours. Target: the 99th percentile at 10,000,000 clips on SQLite at most 50 ms.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pipeline.clip import Camera, Clip, Stream
from pipeline.request import Area
from pipeline.span import NS, Span
from storage.archive import Archive, Ingested
from storage.catalog import Catalog
from storage.objects import DirectoryStore

_START_NS = 1_767_225_600 * NS  # 2026-01-01
_STEP = 0.0006  # degrees between cameras: some 50 m
_EVERY_NS = 150 * NS
_QUERIES = 300


def fill(path: Path, cameras: int, clips: int) -> None:
    """Write a town of `cameras` and `clips` rows straight into the catalogue's tables."""
    side = int(np.ceil(np.sqrt(cameras)))
    archive = Archive(DirectoryStore(path.parent / "objects"))
    stream = Stream("h264", 1920, 1080, Fraction(1, 15360), 0, 30 * 15360, 450)
    base = Ingested(Clip("cam-0", _START_NS, "0" * 64, 1, "clips/x.mp4", stream), "activity/x.npz", "2-0", "x.mp4")
    document = archive.clips.dump(base)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        places = (
            (f"cam-{n}", 4.8 + n % side * _STEP, 52 + n // side * _STEP, f"owner-{n}", "ask") for n in range(cameras)
        )
        database.executemany("INSERT INTO cameras (id, lon, lat, owner, sharing) VALUES (?, ?, ?, ?, ?)", places)
        database.executemany(
            "INSERT INTO clips (id, camera, start_ns, end_ns, document) VALUES (?, ?, ?, ?, ?)",
            _rows(cameras, clips, document),
        )
        database.execute("UPDATE turn SET longest_ns = ?", (30 * NS,))
        database.execute("ANALYZE")
    database.close()


def _rows(cameras: int, clips: int, document: str) -> Iterator[tuple[str, str, int, int, str]]:
    # By camera, as ids are digests and fall anywhere: the order of insertion is no help to the search.
    per_camera = clips // cameras
    for camera in range(cameras):
        for number in range(per_camera):
            start = _START_NS + number * _EVERY_NS + camera * NS
            yield f"{camera:010x}{number:010x}", f"cam-{camera}", start, start + 30 * NS, document


def ask(catalog: Catalog, cameras: int, clips: int, *, seed: int) -> tuple[float, int]:
    """Ask for a random place and time; return the seconds it took and the clips found, after both were checked."""
    draw = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(cameras)))
    west, south = 4.8 + draw.integers(0, max(1, side - 10)) * _STEP, 52 + draw.integers(0, max(1, side - 10)) * _STEP
    east, north = west + 9.5 * _STEP, south + 9.5 * _STEP
    area = Area((((west, south), (east, south), (east, north), (west, north), (west, south)),))
    hours = max(1, clips // cameras * _EVERY_NS // (3600 * NS) - 4)
    start_ns = _START_NS + int(draw.integers(0, hours)) * 3600 * NS
    span = Span(start_ns, start_ns + 4 * 3600 * NS)
    began = time.perf_counter()
    found = catalog.candidates(area, span)
    inside = [(camera, taken) for camera, taken in found if area.covers(camera)]
    seconds = time.perf_counter() - began
    expected = sum(_overlaps(camera, clips // cameras, span) for camera in {camera for camera, _ in inside})
    if len(inside) != expected or not inside:
        raise SystemExit(f"wanted {expected} clips, found {len(inside)}: the time means nothing")
    return seconds, len(inside)


def _overlaps(camera: Camera, per_camera: int, span: Span) -> int:
    first_ns = _START_NS + int(camera.id.removeprefix("cam-")) * NS
    starts = first_ns + np.arange(per_camera, dtype=np.int64) * _EVERY_NS
    return int(((starts < span.end_ns) & (starts + 30 * NS > span.start_ns)).sum())


def measure(folder: Path, clips: int) -> dict[str, Any]:
    """Fill a catalogue and time the requests; the first ones, with nothing cached, count."""
    cameras = max(100, clips // 1000)
    path = folder / f"catalog-{clips}.sqlite"
    store = DirectoryStore(folder / "objects")
    store.ensure_bucket()
    Catalog(f"sqlite:///{path}", Archive(store)).close()
    fill(path, cameras, clips)
    catalog = Catalog(f"sqlite:///{path}", Archive(store))
    try:
        times, found = zip(*(ask(catalog, cameras, clips, seed=seed) for seed in range(_QUERIES)), strict=True)
    finally:
        catalog.close()
    size = path.stat().st_size
    path.unlink()
    return {
        "what": f"{clips:,} clips",
        "cameras": cameras,
        "found": round(statistics.mean(found)),
        "p50_ms": round(1000 * float(np.percentile(times, 50)), 2),
        "p99_ms": round(1000 * float(np.percentile(times, 99)), 2),
        "us_per_found": round(1e6 * sum(times) / sum(found), 1),
        "catalogue_mb": round(size / 1e6),
    }


def main() -> None:
    """Measure, write JSON, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000_000, help="clips in the largest catalogue")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= options.most]
        results = [measure(Path(scratch), size) for size in sizes]
    report.draw(report.write("catalogue", results))


if __name__ == "__main__":
    main()
