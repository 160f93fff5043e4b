"""Every station of a clip beside its floor: what the bare library needs for the same bytes in the same run.

`python -m benchmarks.stages` (some ten minutes), `--quick` (about one).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks import report
from pipeline.activity import Activity
from pipeline.detect import Detection, detect
from pipeline.motion import measure
from pipeline.scene import Scene, render
from pipeline.video import encode, open_video

_FOOTAGE = Path(os.environ.get("LAMPLIGHTER_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))
_PEAK_LIMIT_MB = 400


def bare_decode(path: Path) -> int:
    """Decode with PyAV's own loop and the same settings, the frames counted and thrown away: the floor."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"skip_loop_filter": "all"}
        return sum(1 for _ in container.decode(stream))


def decode(path: Path) -> int:
    """Our station: the luma planes of every frame, looked at but not read."""
    with open_video(path) as video:
        return sum(1 for _ in video.luma())


def measured(path: Path) -> Activity:
    """Decode and measure, as the ingest does."""
    with open_video(path) as video:
        return measure(video.luma(), time_base=video.time_base)


def timed(work: Callable[[], Any], check: Callable[[Any], bool]) -> float:
    """Return the seconds `work` takes; its output is checked before the time is believed."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    if not check(result):
        raise SystemExit(f"the output is wrong ({result!r}): its time means nothing")
    return seconds


def source(folder: Path) -> tuple[Path, str]:
    """Return a 1080p H.264 clip: a real one, or a simulated one where there is no footage."""
    real = _FOOTAGE / "clips" / "atv.mp4"
    if real.is_file():
        return real, "atv.mp4, 1920 x 1080, real footage"
    path = folder / "simulated.mp4"
    encode(
        path, render(Scene(1, frames=240, width=1920, height=1080)), rate=Fraction(10), options={"preset": "veryfast"}
    )
    return path, "simulated, 1920 x 1080"


def lengthen(path: Path, out: Path, seconds: int) -> int:
    """Repeat a clip by stream copy until it lasts `seconds`; return its frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        length = max(pts for pts, _ in times) + (packets[-1].duration or 1)
        rounds = int(seconds / float(length * (stream.time_base or 1))) + 1
        with av.open(str(out), "w") as target:
            copy = target.add_stream_from_template(stream)
            for turn in range(rounds):
                for packet, (pts, dts) in zip(packets, times, strict=True):
                    packet.pts, packet.dts = pts + turn * length, dts + turn * length
                    packet.stream = copy
                    target.mux(packet)
    return rounds * len(packets)


def peak_mb(path: Path) -> tuple[float, float]:
    """Return the peak memory (MB) of a fresh process that measures `path`, and of one that only imports."""
    code = "import sys; from benchmarks.stages import _child; _child(sys.argv[1])"
    return tuple(  # type: ignore[return-value]
        float(subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True).stdout)
        for name in (str(path), "")
    )


def _child(name: str) -> None:
    if name:
        measured(Path(name))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def main() -> None:
    """Measure, write JSON, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and a five-minute file for the memory")
    parser.add_argument("--rounds", type=int, default=0, help="pairs of runs to compare (default 9, quick 3)")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 9)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        clip, what = source(Path(scratch))
        activity = measured(clip)
        frames = len(activity.pts)
        stations: dict[str, tuple[Callable[[], Any], Callable[[Any], bool]]] = {
            "floor": (lambda: bare_decode(clip), lambda n: n == frames),
            "decode": (lambda: decode(clip), lambda n: n == frames),
            "measure": (lambda: measured(clip), lambda a: np.array_equal(a.share, activity.share)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in stations}
        for _ in range(rounds):  # in turn, so that a slow moment of the machine meets all of them
            for name, (work, check) in stations.items():
                seconds[name].append(timed(work, check))
        for name, label in (("decode", "decode"), ("measure", "decode + measure")):
            share = report.ratio(seconds["floor"], seconds[name])
            results.append(
                {
                    "what": label,
                    "source": what,
                    "frames": frames,
                    "fps": frames / statistics.median(seconds[name]),
                    "floor_fps": frames / statistics.median(seconds["floor"]),
                    "of_floor": round(share["median"], 3),
                    "low": round(share["low"], 3),
                    "high": round(share["high"], 3),
                }
            )
        again = [timed(lambda: detect(activity, Detection()), lambda events: events is not None) for _ in range(rounds)]
        results.append(
            {
                "what": "detect",
                "source": "stored activity of the same clip",
                "frames": frames,
                "fps": frames / statistics.median(again),
                "times_faster_than_measuring": round(statistics.median(seconds["measure"]) / statistics.median(again)),
            }
        )
        long = Path(scratch) / "long.mp4"
        length = 300 if options.quick else 3600
        long_frames = lengthen(clip, long, length)
        peak, imports = peak_mb(long)
        results.append(
            {
                "what": f"peak memory of measuring {length / 60:g} minutes",
                "source": what,
                "frames": long_frames,
                "peak_mb": round(peak),
                "imports_alone_mb": round(imports),
                "limit_mb": _PEAK_LIMIT_MB,
            }
        )
    report.draw(report.write("stages", results))


if __name__ == "__main__":
    main()
