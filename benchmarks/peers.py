"""Ours beside what one would use instead: speed on a 1080p clip, and quality on the labelled sequences.

`python -m benchmarks.peers` (some two minutes), `--quick` (one short sequence). Peers: OpenCV's MOG2 and KNN, ffmpeg's
scene filter, and DVR-Scan (defaults and CNT) where `dvr-scan` is on PATH; it is no dependency of this project
(`pip install dvr-scan-headless opencv-contrib-python-headless` into an environment of its own, its bin folder last on
PATH). All on one thread but DVR-Scan, which has no such option: frames per second of processor time are the fair ones.

frame_ap: average precision of "this frame holds motion", over sequences that have both kinds of frames. cell_ap: the
same for cells. f1: of the frames that the tool's own events cover, over all sequences, with its default settings but
without margins: with them every empty frame of these sequences lies in some event. Only tools that decide have one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks import quality, report
from benchmarks.stages import bare_decode, cpu_s, measured, source
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.media.transcode import program

_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
COLUMNS = {
    "what": "tool",
    "fps": "frames/s, 1080p",
    "fps_cpu": "frames per CPU second",
    "of_decode": "of bare decode, CPU time",
    "frame_ap": "frame AP",
    "cell_ap": "cell AP",
    "f1": "F1 of its events",
}

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tool says of a clip: a score for each frame (N,) or cell (N, R, C), and which frames it calls motion."""

    frames: int
    grid: NDArray[Any] | None = None
    flags: Flags | None = None


def ours(video: Path) -> Seen:
    """Measure and detect."""
    activity = measured(video)
    flags = np.zeros(len(activity.pts), np.bool_)
    for event in detect(activity, Detection(pre_roll_s=0, post_roll_s=0, gap_s=0)):
        flags |= (activity.pts >= event.start_pts) & (activity.pts < event.end_pts)
    return Seen(len(activity.pts), activity.share, flags)


def subtractor(video: Path, make: str) -> Seen:
    """Run one of OpenCV's background subtractors, as `quality` does."""
    grid = quality.opencv(video, make)
    return Seen(len(grid), grid)


def scene_filter(video: Path) -> Seen:
    """Run ffmpeg's scene filter and read its score of every frame."""
    command = [program(), "-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1", "-i", str(video)]
    command += ["-an", "-filter_threads", "1", "-vf", "select='gte(scene,0)',metadata=print:file=-", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    scores = np.array([float(score) for score in re.findall(r"scene_score=([\d.]+)", said)])
    return Seen(len(scores), scores[:, None, None])


def dvr_scan(video: Path, kind: str) -> Seen:
    """Run DVR-Scan over the clip and read its events."""
    command = ["dvr-scan", "-i", str(video), "-so", "-q", "--ignore-user-config", "-b", kind, "-tb", "0", "-tp", "0"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = [60 * (60 * int(h) + int(m)) + float(s) for h, m, s in _TIME.findall(said)]
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        unit = float(stream.time_base or 1)
        pts = sorted(packet.pts or 0 for packet in container.demux(stream) if packet.size)
    at = (np.array(pts) - pts[0]) * unit
    flags = np.zeros(len(at), np.bool_)
    for begin, end in zip(times[::2], times[1::2], strict=True):
        flags |= (at >= begin - 1e-3) & (at <= end + 1e-3)
    return Seen(len(flags), None, flags)


def tools() -> dict[str, Callable[[Path], Seen]]:
    """Return those that run here, by name."""
    found: dict[str, Callable[[Path], Seen]] = {"Lamplighter": ours}
    try:
        import cv2  # noqa: PLC0415 - an extra of the benchmarks
    except ImportError:
        pass
    else:
        cv2.setNumThreads(1)
        found["OpenCV MOG2"] = lambda video: subtractor(video, "createBackgroundSubtractorMOG2")
        found["OpenCV KNN"] = lambda video: subtractor(video, "createBackgroundSubtractorKNN")
    found["ffmpeg scene filter"] = scene_filter
    if shutil.which("dvr-scan"):
        found["DVR-Scan, defaults"] = lambda video: dvr_scan(video, "MOG2")
        found["DVR-Scan, CNT"] = lambda video: dvr_scan(video, "CNT")
    return found


def speed(tool: Callable[[Path], Seen], clip: Path, frames: int) -> tuple[float, float]:
    """Return frames a second, by the clock and by processor time, after the number of frames was checked."""
    wall, cpu = time.perf_counter(), cpu_s()
    seen = tool(clip)
    wall, cpu = time.perf_counter() - wall, cpu_s() - cpu
    if seen.frames != frames:
        raise SystemExit(f"{seen.frames} frames were looked at, the clip has {frames}: the time means nothing")
    return frames / wall, frames / cpu


def judge(tool: Callable[[Path], Seen], folders: list[Path]) -> report.Row:
    """Return the scores of a tool over the labelled sequences."""
    cells, by_frame, counts = [], [], np.zeros(3, np.int64)
    for folder in folders:
        seen = tool(folder / "video.mp4")
        part, moving, scored = quality.truth(folder)
        holds = np.any(moving & scored, axis=(1, 2))
        if seen.grid is not None:
            cell, frame = quality.score(seen.grid, folder)
            if seen.grid.shape[1:] != (1, 1):
                cells.append(cell)
            if not np.isnan(frame):
                by_frame.append(frame)
        if seen.flags is not None:
            said = seen.flags[part]
            counts += [(said & holds).sum(), (said & ~holds).sum(), (~said & holds).sum()]
    found, false, missed = (int(n) for n in counts)
    return {
        "frame_ap": round(float(np.mean(by_frame)), 3) if by_frame else None,
        "cell_ap": round(float(np.mean(cells)), 3) if cells else None,
        "f1": round(2 * found / (2 * found + false + missed), 3) if counts.any() else None,
        "precision": round(found / (found + false), 3) if found + false else None,
        "recall": round(found / (found + missed), 3) if found + missed else None,
    }


def main() -> None:
    """Measure, write JSON, draw."""
    chosen = report.options(__doc__)
    folders = sorted(path for path in (report.FOOTAGE / "labelled").glob("*") if path.is_dir())
    if chosen.quick:
        folders = [folder for folder in folders if folder.name == "hall"]
    results = []
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        clip, what = source(Path(scratch))
        first = 40 if chosen.quick else 150  # the slowest manage some ten a second
        clip, what = _beginning(clip, Path(scratch) / "short.mp4", frames=first), f"the first {first} frames of {what}"
        frames = bare_decode(clip)
        floor = speed(lambda video: Seen(bare_decode(video)), clip, frames)
        for name, tool in tools().items():
            fps, fps_cpu = speed(tool, clip, frames)
            row = {
                "what": name,
                "fps": round(fps, 1),
                "fps_cpu": round(fps_cpu, 1),
                "of_decode": round(fps_cpu / floor[1], 3),
            }
            results.append(row | judge(tool, folders) | {"source": what})
    results.append(
        {"what": "bare decode (PyAV)", "fps": round(floor[0], 1), "fps_cpu": round(floor[1], 1), "of_decode": 1.0}
    )
    if not shutil.which("dvr-scan"):
        results.append({"what": "DVR-Scan is not installed here"})
    sequences = ", ".join(folder.name for folder in folders)
    for row in results:
        row["sequences"] = sequences
    report.draw(report.write("peers", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


def _beginning(clip: Path, out: Path, *, frames: int) -> Path:
    with av.open(str(clip)) as container, av.open(str(out), "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(container.demux(stream)):
            if number == frames or not packet.size:
                break
            packet.stream = copy
            target.mux(packet)
    return out


if __name__ == "__main__":
    main()
