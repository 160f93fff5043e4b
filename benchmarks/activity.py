"""What stored motion costs and saves: bytes per camera-hour, and `detect` beside measuring the same clip again.

`python -m benchmarks.activity` (about a minute). The hour is composed of real footage: frames of an empty room, played
to and fro under a sensor's noise, and people who cross it for a tenth of the time.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.stages import Side, measured
from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.measure.motion import measure
from pipeline.media.decode import open_video

RATE = 15
_BUSY = 0.1  # of the time
_QUIET, _CROSSED = slice(0, 45), slice(60, 420)  # frames of the room: empty, and with people
_LIMIT_MB, _TIMES = 1.0, 1000
_CLIPS = ("atv.mp4", "traffic_camera.mp4", "one-by-one-person-detection.mp4", "residential_street.mp4", "vtest.avi")


def composed(room: NDArray[np.uint8], minutes: int, *, busy: float) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (pts, plane) of so many minutes at `RATE`: a stretch of people every `len / busy` frames, quiet between."""
    rng = np.random.default_rng(1)
    quiet, crossed = room[_QUIET], room[_CROSSED]
    noise = rng.normal(0, 2, 3 * quiet[0].size).round().astype(np.int16)
    period = round(len(crossed) / busy) if busy else 0
    for number in range(minutes * 60 * RATE):
        place = number % period if period else len(crossed)
        plane = crossed[place] if place < len(crossed) else quiet[abs(number % (2 * len(quiet) - 2) - len(quiet) + 1)]
        start = rng.integers(len(noise) - plane.size)
        yield number, (plane + noise[start : start + plane.size].reshape(plane.shape)).clip(0, 255).astype(np.uint8)


def hourly(what: str, activity: Activity, seconds: float) -> dict[str, Any]:
    """Return a row: bytes per camera-hour at `RATE` frames per second."""
    data = activity.to_bytes()
    again = Activity.from_bytes(data)
    if not np.array_equal(again.share, activity.share):
        raise SystemExit(f"{what}: what was stored is not what was measured")
    moving = float((activity.share.max((1, 2)) > 0).mean())
    return {"what": what, "moving": round(moving, 2), "mb_per_hour": round(len(data) / seconds * 3600 / 1e6, 3)}


def again(path: Path) -> dict[str, Any]:
    """Return a row: how many times faster `detect` is than to decode and measure a clip, reading included or not."""
    activity = measured(path)
    data = activity.to_bytes()
    found = detect(activity, Detection())
    whole = Side(lambda: measured(path), lambda a: np.array_equal(a.share, activity.share))
    again = Side(lambda: detect(activity, Detection()), lambda events: events == found)
    read = Side(lambda: Activity.from_bytes(data), lambda a: np.array_equal(a.share, activity.share))
    for _ in range(5):  # in turn, so that a slow moment of the machine meets all of them
        whole.turn()
        again.turn(times=20)
        read.turn(times=20)
    of = {name: statistics.median(side.wall) for name, side in (("measure", whole), ("detect", again), ("read", read))}
    row = {
        "what": f"detect, {path.name}, {activity.width} x {activity.height}",
        "moving": round(float((activity.share.max((1, 2)) > 0).mean()), 2),
        "times_faster": round(of["measure"] / of["detect"]),
        "times_faster_with_reading": round(of["measure"] / (of["detect"] + of["read"])),
    }
    return report.against(row, "times_faster", at_least=_TIMES)


def main() -> None:
    """Measure, write JSON, draw."""
    options = report.options(__doc__)
    clips = report.FOOTAGE / "clips"
    if not clips.is_dir():
        raise SystemExit(f"no footage at {clips}; set LAMPLIGHTER_FOOTAGE")
    with open_video(clips / "one-by-one-person-detection.mp4") as video:
        room = np.stack([plane.copy() for _, plane in video.luma()])
    minutes = 2 if options.quick else 10
    results = []
    for label, busy in (("90 % quiet", _BUSY), ("all quiet", 0.0)):
        activity = measure(composed(room, minutes, busy=busy), time_base=Fraction(1, RATE))
        row = hourly(f"stored, {label}", activity, minutes * 60)
        results.append(report.against(row, "mb_per_hour", at_most=_LIMIT_MB))
    names = _CLIPS[:1] if options.quick else _CLIPS
    for name in names:
        activity = measured(clips / name)
        results.append(hourly(f"stored, all busy: {name}", activity, len(activity.pts) / RATE))
    results += [again(clips / name) for name in names]
    report.draw(report.write("activity", results, folder=options.out, quick=options.quick))


if __name__ == "__main__":
    main()
