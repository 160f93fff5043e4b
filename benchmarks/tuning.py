"""What tuning over stored activity costs: a sweep of 500 settings, and `detect` beside measuring again.

`python -m benchmarks.tuning` (24 camera-hours, about a minute), `--quick` (1 camera-hour). One core, one thread.
The activity is made of what `measure` gives for real clips (simulated ones where there are none), shifted in time and
mirrored, on quiet hours with single-cell flicker; the sweep is compared with plain `detect` before its time
is believed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.stages import measured
from pipeline.activity import Activity
from pipeline.clip import Clip, Stream
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.detection.labels import Labels
from pipeline.detection.score import score
from pipeline.detection.sweep import Footage, Sweep, sweep
from pipeline.detection.trials import IN_FORCE, Changes, TuneSettings
from pipeline.media.encode import encode
from pipeline.span import NS, Span, parse_iso
from simulation.scene import Scene, render

RATE = 15
BUSY = 0.1  # of the frames
_CLIPS = ("atv.mp4", "traffic_camera.mp4", "one-by-one-person-detection.mp4", "residential_street.mp4", "vtest.avi")
_LIMIT_S, _LIMIT_TIMES = 30.0, 1000.0
COLUMNS = {
    "what": "what",
    "settings": "settings",
    "camera_hours": "camera-hours",
    "frames": "frames",
    "seconds": "seconds",
    "cpu_seconds": "CPU seconds",
    "times_faster": "times faster than measuring",
}
_NOON = parse_iso("2026-03-01T00:00:00Z")


def sources(folder: Path) -> list[Path]:
    """Return the clips whose motion is used."""
    real = [report.FOOTAGE / "clips" / name for name in _CLIPS]
    if all(path.is_file() for path in real):
        return real
    for seed in (1, 2):
        path = folder / f"{seed}.mp4"
        encode(path, render(Scene(seed, frames=600, busy=20)), rate=Fraction(10), options={"preset": "veryfast"})
    return [folder / f"{seed}.mp4" for seed in (1, 2)]


def a_clip(
    share: list[NDArray[np.uint8]], template: Activity, frames: int, rng: np.random.Generator
) -> tuple[Activity, list[tuple[int, int]]]:
    """Return a clip of `frames` at 15 a second, about a tenth of them busy, and the frames its motion lies in."""
    rows, columns = template.share.shape[1:]
    out = np.zeros((frames, rows, columns), np.uint8)
    flicker = np.flatnonzero(rng.random(frames) < 0.01)
    out[flicker, rng.integers(0, rows, len(flicker)), rng.integers(0, columns, len(flicker))] = rng.integers(
        5, 90, len(flicker)
    )
    true = []
    at = int(rng.exponential(40 * RATE))
    while at < frames:
        motion = share[rng.integers(len(share))]
        length = min(int(rng.integers(3 * RATE, 12 * RATE)), len(motion), frames - at)
        first = int(rng.integers(len(motion) - length + 1))
        piece = motion[first : first + length, :: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        high, wide = min(rows, piece.shape[1]), min(columns, piece.shape[2])
        out[at : at + length, :high, :wide] = piece[:, :high, :wide]
        true.append((at, at + length))
        at += length + int(rng.exponential(7.5 * RATE * (1 / BUSY - 1)))
    pts = np.arange(frames, dtype=np.int64) * 1024
    time_base = Fraction(1, 1024 * RATE)
    luma = np.full(frames, 120, np.uint8)
    return replace(template, share=out, pts=pts, luma=luma, time_base=time_base, cold=0), true


def synthesise(
    folder: Path, activities: list[Activity], *, cameras: int, hours: int, clip_s: int
) -> tuple[list[tuple[Clip, Path]], Labels]:
    """Write stored activities for cameras times hours; return the clips with their files, and the true spans."""
    rng = np.random.default_rng(4)
    share = [activity.share for activity in activities]
    clips, labels = [], {}
    for camera in range(cameras):
        spans = []
        for number in range(hours * 3600 // clip_s):
            activity, true = a_clip(share, activities[camera % len(activities)], clip_s * RATE, rng)
            path = folder / f"{camera}-{number}.npz"
            path.write_bytes(activity.to_bytes())
            size = activity.width, activity.height
            stream = Stream("h264", *size, activity.time_base, 0, clip_s * RATE * 1024, clip_s * RATE)
            start_ns = _NOON + number * clip_s * NS
            clip = Clip(f"cam-{camera}", start_ns, f"{camera:032x}{number:032x}", 1, path.name, stream)
            clips.append((clip, path))
            spans += [Span(clip.time_ns(first * 1024), clip.time_ns(last * 1024)) for first, last in true]
        labels[f"cam-{camera}"] = tuple(spans)
    return clips, labels


def footage(clips: list[tuple[Clip, Path]]) -> Iterator[Footage]:
    """Read the clips one after the other, as `lamplighter tune` does."""
    for clip, path in clips:
        yield Footage(clip, Activity.from_bytes(path.read_bytes()), Detection())


def agrees(swept: Sweep, clips: list[tuple[Clip, Path]], labels: Labels, settings: TuneSettings) -> bool:
    """Tell whether plain `detect`, clip by clip, gives the same counts and scores.

    All clips of a camera under the settings in force and two of the grid, each camera under others.
    """
    rng = np.random.default_rng(1)
    chosen = {camera: [IN_FORCE, *rng.choice(len(swept.trials), 2, replace=False).tolist()] for camera in labels}
    spans: dict[tuple[str, int], list[Span]] = {(camera, trial): [] for camera in labels for trial in chosen[camera]}
    for item in footage(clips):
        for trial in chosen[item.clip.camera]:
            detection = item.under({**swept.trials[trial], "pre_roll_s": 0.0, "post_roll_s": 0.0})
            spans[item.clip.camera, trial] += [
                Span(item.clip.time_ns(event.start_pts), item.clip.time_ns(event.end_pts))
                for event in detect(item.activity, detection)
            ]
    for (camera, trial), events in spans.items():
        counts = swept.cameras[camera]
        expected = score(events, labels[camera], duration_ns=counts.duration_ns, rule=settings)
        if counts.events[trial] != len(events) or counts.score(trial) != expected:
            print(f"trial {trial} on {camera}: {counts.score(trial)}, plain detect {expected}")
            return False
    return True


def clocked(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result, the wall-clock seconds and the seconds of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def a_sweep(folder: Path, activities: list[Activity], *, cameras: int, hours: int, clip_s: int) -> dict[str, Any]:
    """Sweep the default grid over what is synthesised in `folder`."""
    folder.mkdir()
    clips, labels = synthesise(folder, activities, cameras=cameras, hours=hours, clip_s=clip_s)
    settings = TuneSettings()
    trials: list[Changes] = [{}, *settings.grid()]
    swept, wall, cpu = clocked(lambda: sweep(footage(clips), trials, rule=settings, labels=labels))
    if not agrees(swept, clips, labels, settings):
        raise SystemExit("the sweep differs from plain detect: its time means nothing")
    frames = cameras * hours * 3600 * RATE
    busy = sum(span.duration_ns for spans in labels.values() for span in spans) / (cameras * hours * 3600 * NS)
    scores = [swept.fleet(trial).f1 or 0 for trial in range(len(trials))]
    limit = round(_LIMIT_S * cameras * hours / 24, 2)
    row: report.Row = {
        "what": f"sweep, clips of {clip_s} s",
        "settings": len(trials) - 1,
        "camera_hours": cameras * hours,
        "frames": frames,
        "busy": round(busy, 3),
        "events_tried": int(sum(counts.events.sum() for counts in swept.cameras.values())),
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "f1_low_high": [round(min(scores), 3), round(max(scores), 3)],
    }
    return report.against(row, "cpu_seconds", at_most=limit)


def again(path: Path, rounds: int) -> tuple[dict[str, Any], Activity]:
    """Time `detect` over a stored activity beside decoding and measuring the clip again; return the activity too."""
    activity, _, once = clocked(lambda: measured(path))
    stored = activity.to_bytes()
    detect(activity, Detection())
    in_memory, from_store = [], []
    for _ in range(rounds):
        events, _, seconds = clocked(lambda: detect(activity, Detection()))
        in_memory.append(seconds)
        read, _, seconds = clocked(lambda: detect(Activity.from_bytes(stored), Detection()))
        from_store.append(seconds)
        if events != read or not np.array_equal(Activity.from_bytes(stored).share, activity.share):
            raise SystemExit(f"{path.name}: the stored activity differs: its time means nothing")
    row: report.Row = {
        "what": f"detect, {path.name}",
        "frames": len(activity.pts),
        "busy": round(float((activity.share.reshape(len(activity.pts), -1).max(1) > 0).mean()), 3),
        "measure_s": round(once, 4),
        "detect_s": round(min(in_memory), 6),
        "times_faster": round(once / min(in_memory)),
        "times_faster_with_reading": round(once / min(from_store)),
    }
    return report.against(row, "times_faster", at_least=_LIMIT_TIMES), activity


def main() -> None:
    """Measure, write JSON, draw."""
    chosen = report.options(__doc__)
    cameras = 1 if chosen.quick else 4
    with tempfile.TemporaryDirectory() as scratch:
        paths = sources(Path(scratch))[: 2 if chosen.quick else None]
        rows, activities = zip(*(again(path, 3 if chosen.quick else 10) for path in paths), strict=True)
        results = list(rows)
        results += [
            a_sweep(Path(scratch) / f"{clip_s}", list(activities), cameras=cameras, hours=hours, clip_s=clip_s)
            for clip_s, hours in (((600, 1),) if chosen.quick else ((600, 6), (60, 2)))
        ]
    report.draw(report.write("tuning", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
