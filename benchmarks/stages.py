"""Every station of a clip beside its floor: what the bare library needs for the same bytes in the same run.

`python -m benchmarks.stages` (some three minutes), `--quick` (some fifteen seconds). One process, one thread. Ours and
the floor take turns, and what counts is the median of the quotients of neighbours, in wall-clock time (`of_floor`)
and in processor time (`cpu_of_floor`), which a busy machine disturbs less. Floors: PyAV's own loops with the same
settings, the same ffmpeg program with the same arguments, and the `minio` client against the same server.
"""

from __future__ import annotations

import hashlib
import io
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from minio import Minio

from benchmarks import report
from pipeline.activity import Activity
from pipeline.clip import Clip
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.measure.motion import measure
from pipeline.media import cut, encoded, remux
from pipeline.media.cut import Cut
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.packets import open_recording
from pipeline.media.profile import Profile
from pipeline.media.transcode import program
from pipeline.span import NS, Span
from simulation.scene import Scene, render
from storage import minio_server
from storage.access import StoreSettings
from storage.s3 import S3Store

_PEAK_LIMIT_MB = 400
_START_NS = 1_767_225_600 * NS  # 2026-01-01
_COPY = ("-map", "0:v:0", "-c", "copy", "-fflags", "+bitexact")
COLUMNS = {
    "what": "station",
    "ours": "ours",
    "floor": "floor",
    "unit": "unit",
    "of_floor": "of floor",
    "cpu_of_floor": "of floor, CPU time",
}


def bare_decode(path: Path) -> int:
    """Decode with PyAV's own loop and the same settings, the frames counted and thrown away: the floor."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"skip_loop_filter": "all"}
        return sum(1 for _ in container.decode(stream))


def bare_demux(path: Path) -> int:
    """Read every packet of the video with PyAV's own loop."""
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


def demux(path: Path) -> int:
    """Our station: the index of a recording's groups of pictures, from all its packets."""
    with open_recording(path) as recording:
        return sum(group.frames for group in recording.groups)


def decode(path: Path) -> int:
    """Our station: the luma planes of every frame, looked at but not read."""
    with open_video(path) as video:
        return sum(1 for _ in video.luma())


def measured(path: Path) -> Activity:
    """Decode and measure, as the ingest does."""
    with open_video(path) as video:
        return measure(video.luma(), time_base=video.time_base)


@dataclass
class Side:
    """One of two ways to do the same: the work, the check of its output, and the seconds of every turn."""

    work: Callable[[], Any]
    check: Callable[[Any], bool]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def turn(self, *, times: int = 1) -> None:
        """Do it; the output is checked before the time is believed."""
        wall, cpu = time.perf_counter(), cpu_s()
        for _ in range(times):
            result = self.work()
        wall, cpu = (time.perf_counter() - wall) / times, (cpu_s() - cpu) / times
        if not self.check(result):
            raise SystemExit(f"the output is wrong ({result!r}): its time means nothing")
        self.wall.append(wall)
        self.cpu.append(cpu)


def cpu_s() -> float:
    """Return the processor time of this process and of the programs it ran and waited for (seconds)."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def pair(what: str, ours: Side, floor: Side, *, rounds: int, times: int = 1, amount: float, unit: str) -> report.Row:
    """Let both take turns and return the row; `amount` of `unit` is what one turn works off."""
    for side in (ours, floor):
        side.turn()  # not counted: caches, and libraries that are loaded late
        side.wall.clear()
        side.cpu.clear()
    for turn in range(rounds):
        for side in (ours, floor) if turn % 2 else (floor, ours):
            side.turn(times=times)
    return row_of(what, ours, floor, amount=amount, unit=unit)


def row_of(what: str, ours: Side, floor: Side, *, amount: float, unit: str) -> report.Row:
    """Return the row of two sides that have taken their turns."""
    share, cpu = report.ratio(floor.wall, ours.wall), report.ratio(floor.cpu, ours.cpu)
    return {
        "what": what,
        "ours": round(amount / statistics.median(ours.wall), 2),
        "floor": round(amount / statistics.median(floor.wall), 2),
        "unit": unit,
        "of_floor": round(share["median"], 3),
        "cpu_of_floor": round(cpu["median"], 3),
        "low": round(share["low"], 3),
        "high": round(share["high"], 3),
        "rounds": len(ours.wall),
    }


def source(folder: Path) -> tuple[Path, str]:
    """Return a 1080p H.264 clip: a real one, or a simulated one where there is no footage."""
    real = report.FOOTAGE / "clips" / "atv.mp4"
    if real.is_file():
        return real, "atv.mp4, 1920 x 1080, real footage"
    path = folder / "simulated.mp4"
    scene = Scene(1, frames=240, width=1920, height=1080)
    encode(path, render(scene), rate=Fraction(10), options={"preset": "veryfast"})
    return path, "simulated, 1920 x 1080"


def pictures(clip: Path, *, rounds: int) -> list[report.Row]:
    """Measure demux, decode, measure and detect."""
    activity = measured(clip)
    frames = len(activity.pts)
    whole = Side(lambda: measured(clip), lambda a: np.array_equal(a.share, activity.share))

    def counted(work: Callable[[Path], int]) -> Side:
        return Side(lambda: work(clip), lambda n: n == frames)

    demuxed = pair("demux", counted(demux), counted(bare_demux), rounds=rounds, times=5, amount=frames, unit="frames/s")
    decoded = pair("decode", counted(decode), counted(bare_decode), rounds=rounds, amount=frames, unit="frames/s")
    both = pair("decode and measure", whole, counted(bare_decode), rounds=rounds, amount=frames, unit="frames/s")
    found = detect(activity, Detection())
    again = Side(lambda: detect(activity, Detection()), lambda events: events == found)
    for _ in range(rounds):
        again.turn(times=10)
    quick = statistics.median(again.wall)
    detected = {
        "what": "detect, from stored activity",
        "ours": round(frames / quick),
        "floor": round(frames / statistics.median(whole.wall), 2),
        "unit": "frames/s (floor: decode and measure again)",
        "times_faster": round(statistics.median(whole.wall) / quick),
    }
    return [
        demuxed,
        decoded,
        report.against(both, "of_floor", at_least=0.95),
        report.against(detected, "times_faster", at_least=1000),
    ]


def cuts(clip: Path, folder: Path, *, rounds: int) -> list[report.Row]:
    """Measure both ways of cutting: ffmpeg as we call it, and the whole station with its checks, beside bare ffmpeg."""
    with open_video(clip) as video, clip.open("rb") as file:
        for _ in video.luma():
            pass
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    taken = Clip("bench", _START_NS, sha256, clip.stat().st_size, "clips/bench.mp4", video.stream)
    length_ns = taken.span.duration_ns
    middle = Span(_START_NS + length_ns // 3, _START_NS + length_ns * 2 // 3)
    # The whole clip begins on a keyframe and is copied; what lies in its middle is coded again.
    orders = {"remux": (taken.span, Profile()), "transcode": (middle, Profile(codec="h264"))}
    rows = []
    for method, (span, profile) in orders.items():
        order, product, bare = Cut("r0", taken, span, profile), folder / "ours.mp4", folder / "bare.mp4"
        name = "copy" if method == "remux" else "transcode"
        with _noted(remux if method == "remux" else encoded, name) as steps, _noted(subprocess, "run") as programs:
            record = cut.make_cut(clip, product, order)
        runs = [call.args[0] for call in programs if f"file:{product.resolve()}" in call.args[0]]
        if record.method != method or len(runs) != (method == "transcode"):
            raise SystemExit(f"wanted one {method}, got {record.method} in {len(runs)} runs of ffmpeg")
        # Copied packets are written in this process.
        command = runs[0] if runs else [program(), "-y", "-v", "error", "-i", str(clip), *_COPY, str(product.resolve())]
        command = [word.replace(str(product.resolve()), str(bare.resolve())) for word in command]
        subprocess.run(command, capture_output=True, check=True)
        sides = _sides(
            {
                "ours": steps[0],
                "whole": partial(cut.make_cut, clip, product, order),
                "floor": partial(subprocess.run, command, capture_output=True, check=True),
            },
            {"ours": product, "whole": product, "floor": bare},
            {"ours": record.sha256, "whole": record.sha256, "floor": hashlib.sha256(bare.read_bytes()).hexdigest()},
        )
        facts: dict[str, Any] = {"amount": record.frames, "unit": "frames/s"}
        turns = rounds if method == "remux" else max(2, rounds // 2)
        if runs:  # copied packets are written while their source is open, and not again afterwards
            rows.append(pair(f"{method}: ffmpeg", sides["ours"], sides["floor"], rounds=turns, **facts))
        name = f"{method}: the whole cut, checked frame by frame"
        rows.append(pair(name, sides["whole"], sides["floor"], rounds=max(2, rounds // 3), **facts))
    return rows


def _sides(works: dict[str, Callable[[], Any]], files: dict[str, Path], digests: dict[str, str]) -> dict[str, Side]:
    """Return sides that are right when the file they write has its digest: the same arguments give the same bytes."""

    def check(file: Path, sha256: str) -> Callable[[Any], bool]:
        return lambda _: hashlib.sha256(file.read_bytes()).hexdigest() == sha256

    return {name: Side(work, check(files[name], digests[name])) for name, work in works.items()}


@contextmanager
def _noted(module: Any, name: str) -> Iterator[list[partial[Any]]]:  # noqa: ANN401 - any module
    """Note how a function of a module is called meanwhile, so that it can be called again."""
    calls: list[partial[Any]] = []
    function = getattr(module, name)

    def noting(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - those of the function
        calls.append(partial(function, *arguments, **keywords))
        return function(*arguments, **keywords)

    setattr(module, name, noting)
    try:
        yield calls
    finally:
        setattr(module, name, function)


def puts(clip: Path, folder: Path, *, rounds: int) -> list[report.Row]:
    """Measure a put of the clip and of a small document into a real MinIO, beside the bare client."""
    if minio_server.find_binary() is None:
        said = "not measured: there is no MinIO on this machine, `make minio` builds it"
        return [report.against({"what": f"put ({said})", "of_floor": None}, "of_floor", at_least=0.9)]
    server = minio_server.start(folder / "minio", progress=lambda _: None)
    try:
        return [_put(server, clip, rounds=rounds, times=3), _put(server, b"{}" * 250, rounds=rounds, times=10)]
    finally:
        minio_server.stop(folder / "minio")


def _put(server: minio_server.Server, data: Path | bytes, *, rounds: int, times: int) -> report.Row:
    settings = StoreSettings(kind="s3", endpoint=server.endpoint, bucket="bench", secure=False)
    store = S3Store(settings, server.credentials)
    store.ensure_bucket()
    keys = server.credentials
    client = Minio(server.endpoint, access_key=keys.access_key, secret_key=keys.secret_key, secure=False)
    size = len(data) if isinstance(data, bytes) else data.stat().st_size
    content = data if isinstance(data, bytes) else data.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()

    def bare() -> str:
        source = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
        with source:
            client.put_object(
                "bench", "bare.mp4", source, size, content_type="video/mp4", metadata={"x-amz-meta-sha256": sha256}
            )
        return "bare.mp4"

    def ours() -> str:
        store.put("ours.mp4", data, meta={"sha256": sha256})
        return "ours.mp4"

    def check(key: str) -> bool:
        return store.get(key) == content

    what = f"put of {size / 1e6:.1f} MB into MinIO" if size > 1e5 else f"put of {size} bytes into MinIO"
    mb = size > 1e5
    row = pair(
        what,
        Side(ours, check),
        Side(bare, check),
        rounds=3 * rounds,
        times=times,
        amount=size / 1e6 if mb else 1,
        unit="MB/s" if mb else "puts/s",
    )
    return report.against(row, "of_floor", at_least=0.9)


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


def memory(clip: Path, folder: Path, seconds: int) -> report.Row:
    """Measure the peak memory (MB) of a fresh process that measures a file of `seconds`, and of one that only imports.

    Raises SystemExit when the process did not see every frame.
    """
    long = folder / "long.mp4"
    frames = lengthen(clip, long, seconds)
    code = "import sys; from benchmarks.stages import child; child(sys.argv[1])"
    peaks = []
    for name, wanted in ((str(long), frames), ("", 0)):
        said = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True).stdout
        seen, peak = said.split()
        if int(seen) != wanted:
            raise SystemExit(f"{seen} frames were measured, {wanted} are in the file: its memory means nothing")
        peaks.append(round(float(peak)))
    row = {
        "what": f"peak memory of measuring {seconds / 60:g} minutes of 1080p",
        "ours": peaks[0],
        "floor": peaks[1],
        "unit": "MB (floor: the imports alone)",
        "peak_mb": peaks[0],
        "frames": frames,
    }
    return report.against(row, "peak_mb", at_most=_PEAK_LIMIT_MB)


def child(name: str) -> None:
    """Measure the file, print its frames and the peak memory of this process (MB)."""
    frames = len(measured(Path(name)).pts) if name else 0
    status = Path("/proc/self/status")
    # On Linux ru_maxrss also counts what the parent had when it forked.
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    unit = 1 if sys.platform == "darwin" else 1024
    peak = int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(frames, peak / 1e6)


def main() -> None:
    """Measure, write JSON, draw."""
    rounds_flag = ("--rounds", {"type": int, "default": 0, "help": "turns to compare (default 11, quick 3)"})
    chosen = report.options(__doc__, rounds_flag)
    rounds = chosen.rounds or (3 if chosen.quick else 11)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        folder = Path(scratch)
        clip, what = source(folder)
        results = pictures(clip, rounds=rounds)
        results += cuts(clip, folder, rounds=rounds)
        results += puts(clip, folder, rounds=rounds)
        results.append(memory(clip, folder, 120 if chosen.quick else 3600))
    for row in results:
        row["source"] = what
    report.draw(report.write("stages", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
