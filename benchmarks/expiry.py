"""How fast footage that is past its time goes: `python -m benchmarks.expiry` (20,000 clips), `--quick` (1,000).

Clips of 20 cameras, a minute each, day and night, every one with its record, its activity, its bytes and its mark: four
objects of few bytes, as what is removed costs the same whatever its size. One in a hundred is kept by an order. What is
timed is `lamplighter retention run` from its first listing to its last word, in a MinIO of our own and in a folder; the
catalogue is SQLite. The floor is removing as many objects that need not be found, by the store's own request for a
thousand at once. It is checked that all is gone but what is kept, which is whole, and that a second run finds nothing.
`--clips 1000000` is the long form, of some hours, most of them to fill the store.
Target: 2,000 clips a second at MinIO.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks import report
from lamplighter.desk import retention
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.actor import Actor, Role
from pipeline.case.area import Area
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Stream
from pipeline.retention import DAY_NS
from pipeline.span import NS, Span
from storage import minio_server
from storage.archive import Archive, Ingested, Mark, clip_name, short

COLUMNS = {
    "what": "store",
    "clips": "clips",
    "held": "kept",
    "rate_hz": "clips a second",
    "floor_hz": "bare removing",
    "of_floor": "of that",
    "cpu_ms": "processor time (ms)",
}
_START_NS = 1_767_225_600 * NS  # 2026-01-01
_CAMERAS = 20
_WRITERS = 16
_OBJECTS = 4  # of a clip
_HELD = 100  # one clip in so many


def fill(desk: Desk, count: int) -> set[str]:
    """Put so many clips into the bucket and the catalogue, and an order that names one in a hundred; return those."""
    holdings = desk._holdings  # noqa: SLF001 - past the ingesting, which is not what is measured
    archive = holdings.archive
    cameras = [Camera(f"cam-{n:02}", 4.8 + n / 1000, 52.0, f"owner-{n}") for n in range(_CAMERAS)]
    holdings.catalog.put_cameras(cameras)
    stream = Stream("h264", 1920, 1080, Fraction(1, 15360), 0, 60 * 15360, 900)
    clips = []
    for number in range(count):
        camera, minute = cameras[number % _CAMERAS].id, number // _CAMERAS
        clip = Clip(camera, _START_NS + minute * 60 * NS, f"{number:064x}", 7, "clips/none", stream)
        key = f"clips/{clip_name(clip)}.mp4"
        made = Clip(camera, clip.start_ns, clip.sha256, 7, key, stream)
        clips.append(Ingested(made, f"activity/{clip_name(made)}-1.npz", "1", "a.mp4"))
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda one: _put(archive, one), clips))
    for at in range(0, count, 2000):
        some = clips[at : at + 2000]
        holdings.catalog.put_clips(some, marks={short(one.clip.key): one.clip.id for one in some})
    last_ns = clips[-1].clip.span.end_ns
    held = Span(_START_NS, _START_NS + max(60 * NS, (last_ns - _START_NS) * _CAMERAS // _HELD // 60 // NS * 60 * NS))
    ring = ((4.79, 51.99), (4.83, 51.99), (4.83, 52.01), (4.79, 52.01), (4.79, 51.99))
    request = Request(Area((ring,)), held, "C-1", "town", "desk 4", "burglary", _START_NS)
    archive.requests.put(request)
    order = Order(
        *("o-1", request.id, Basis.COURT, "district court 7", (cameras[0].id,), held, "linus", _START_NS),
        file_sha256="ab" * 32,
    )
    archive.orders.put(order.approved(Actor(Role.LEGAL, "lena"), _START_NS + 1, call_back="by telephone"))
    return {one.clip.id for one in clips if one.clip.camera == cameras[0].id and one.clip.span & held}


def _put(archive: Archive, one: Ingested) -> None:
    archive.store.put(one.clip.key, b"footage", meta={"sha256": one.clip.sha256})
    archive.store.put(one.activity, b"activity")
    archive.clips.put(one)
    archive.sources.put(Mark(short(one.clip.key), clip_name(one.clip)))


def floor(archive: Archive, clips: int) -> float:
    """Return how many clips' worth of objects a second the store removes, none of which has to be found."""
    keys = [f"floor/{number:07}" for number in range(min(clips, 5000))]
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda key: archive.store.put(key, b"footage"), keys))
    began = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(archive.store.delete_many, [keys[at : at + 1000] for at in range(0, len(keys), 1000)]))
    return len(keys) / _OBJECTS / (time.perf_counter() - began)


def measure(desk: Desk, what: str, clips: int) -> report.Row:
    """Fill a store, remove what is past its time, and check what is left."""
    held = fill(desk, clips)
    holdings = desk._holdings  # noqa: SLF001 - a run 61 days from now
    now_ns = time.time_ns() + 61 * DAY_NS
    began, worked = time.perf_counter(), time.process_time()
    swept = retention.expire(holdings, now_ns=now_ns)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - worked
    archive = holdings.archive
    left = {one.clip.id for one in archive.clips.all()}
    whole = [sum(1 for _ in archive.store.keys(f"{prefix}/")) for prefix in ("clips", "activity", "sources")]
    if swept.clips != clips - len(held) or left != held or whole != [len(held)] * 3 or set(swept.held) != held:
        raise SystemExit(f"wanted {len(held)} of {clips} clips kept whole, got {swept.clips} removed, {whole} left")
    if retention.expire(holdings, now_ns=now_ns).clips:
        raise SystemExit("a second run removed what the first one should have: no time counts")
    rate, bare = swept.clips / took_s, floor(archive, clips)
    row: dict[str, Any] = {"what": what, "clips": clips, "held": len(held), "rate_hz": round(rate)}
    row |= {"floor_hz": round(bare), "of_floor": round(rate / bare, 2), "cpu_ms": round(1000 * cpu_s / clips, 2)}
    return row


@contextmanager
def _minio(folder: Path) -> Iterator[dict[str, Any]]:
    """Run a MinIO of our own, and yield the settings of a bucket in it; the credentials go into the environment."""
    try:
        minio_server.start(folder / "data" / "minio", progress=print)
        yield {"kind": "s3", "bucket": "lamplighter", "secure": False}
    finally:
        minio_server.stop(folder / "data" / "minio")


def main() -> None:
    """Measure in a MinIO and in a folder, then draw."""
    chosen = report.options(__doc__, ("--clips", {"type": int, "default": 0, "help": "how many clips"}))
    clips, rows = chosen.clips or (1000 if chosen.quick else 20_000), []
    for what in ("MinIO", "folder"):
        with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
            folder = Path(name)
            flags: dict[str, Any] = {"data": folder / "data", "batch": {"workers": 0}}
            if what == "MinIO":
                with _minio(folder) as store, open_desk(load(flags=flags | {"store": store})) as desk:
                    rows.append(report.against(measure(desk, what, clips), "rate_hz", at_least=2000))
            else:
                with open_desk(load(flags=flags)) as desk:
                    rows.append(measure(desk, what, clips))
    draws = report.write("expiry", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS)
    report.draw(draws)


if __name__ == "__main__":
    main()
