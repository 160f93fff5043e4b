"""Cuts of 60 s of 1080p beside their floors: bare ffmpeg's remux, a bare decode, and re-encoding the whole.

`python -m benchmarks.cuts` (some ten minutes), `--quick` (10 s of film, half a minute). One process, one thread. Ours
and the floor take turns as in `benchmarks.stages`. The one decode of the product, which shows that it plays, costs most
of a checked copy, so the rows without it read the product and take its packets apart, and decode nothing.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, cast

import av

from benchmarks import report
from benchmarks.stages import Side, lengthen, pair
from pipeline.clip import Clip
from pipeline.media import remux
from pipeline.media.container import open_file
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.media.proof import Played, Witness
from pipeline.media.transcode import program
from pipeline.media.units import Coding, Header
from pipeline.span import NS, Span
from simulation.scene import Scene, render

_START_NS = 1_767_225_600 * NS  # 2026-01-01
_RATE, _GROUP_S = 30, 4
_PLAY = "play"  # how `remux` decodes a product
_CODERS = {
    "H.264": ("libx264", {"preset": "veryfast", "bf": "2", "sc_threshold": "0", "b": "4M"}),
    "HEVC": ("libx265", {"preset": "ultrafast", "x265-params": "bframes=2:scenecut=0:open-gop=0:log-level=error"}),
}
COLUMNS = {
    "what": "cut",
    "ours": "ours",
    "floor": "floor",
    "unit": "unit",
    "of_floor": "of floor",
    "cpu_of_floor": "of floor, CPU time",
    "cpu_times_less": "times less CPU",
    "native_share": "native",
}


def film(folder: Path, name: str, seconds: int) -> Clip:
    """Write a film of groups of four seconds that lasts longer than `seconds`; its clip lies at its key."""
    coder, options = _CODERS[name]
    short, path = folder / f"short-{name}.mp4", folder / f"{name}.mp4"
    scene = Scene(1, frames=2 * _GROUP_S * _RATE, width=1920, height=1080)
    encode(short, render(scene), rate=Fraction(_RATE), gop=_GROUP_S * _RATE, codec=coder, options=options)
    lengthen(short, path, seconds)
    with open_video(path) as video:
        for _ in video.luma():
            pass
        return Clip("bench", _START_NS, "0" * 64, path.stat().st_size, str(path), video.stream)


def play_now() -> Callable[..., Played]:
    """Return how a product is decoded at present."""
    return cast("Callable[..., Played]", getattr(remux, _PLAY))


@contextmanager
def without_decode(played: Played) -> Iterator[None]:
    """Let a product be read and its packets be taken apart meanwhile, and nothing of it be decoded."""

    def read(path: Path, coding: Coding, witness: Witness, **_: Any) -> Played:  # noqa: ANN401 - what it would compare
        with open_file(path, skip_frame="all") as container:
            video = container.streams.video[0]
            witness.header = Header.read(coding, video.codec_context.extradata or b"")
            for packet in container.demux(video):
                if packet.size:
                    witness(packet)
        if (witness.packets, witness.native) != (played.packets, played.native):
            raise SystemExit("the product is not the one that was decoded: its time means nothing")
        return played

    real = play_now()
    setattr(remux, _PLAY, read)
    try:
        yield
    finally:
        setattr(remux, _PLAY, real)


def bare_decode(path: Path) -> int:
    """Decode exactly, with PyAV's own loop on one thread."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def _of(method: str, frames: int) -> Callable[[Product], bool]:
    return lambda product: (product.method, product.frames) == (method, frames)


def rows_of(name: str, clip: Clip, folder: Path, *, seconds: int, rounds: int) -> list[report.Row]:
    """Measure the remux of whole groups, and the cut that begins two seconds into one."""
    source, target = Path(clip.key), folder / "ours.mp4"
    begin = _START_NS + _GROUP_S * NS
    make = partial(make_cut, source, target)
    on, off = (
        Cut("r0", clip, Span(start, start + seconds * NS), Profile()) for start in (begin, begin + _GROUP_S // 2 * NS)
    )
    whole = Cut("r0", clip, off.span, Profile(codec="hevc" if name == "HEVC" else "h264"))
    facts: dict[str, Any] = {"amount": seconds * _RATE, "unit": "frames/s", "rounds": rounds}
    frames, rows = seconds * _RATE, list[report.Row]()
    window = ["-ss", str(_GROUP_S), "-i", str(source), "-t", str(seconds)]
    bare = [program(), "-v", "error", "-nostdin", "-y", *window, "-c", "copy", "-f", "mp4", str(folder / "bare.mp4")]
    copied = Side(lambda: subprocess.run(bare, check=True).returncode, lambda status: status == 0)
    with _last_played() as played:
        make(on)
        with without_decode(played[-1]):
            ours = Side(lambda: make(on), _of("remux", frames))
            row = pair(f"{name}: remux, checked, without decoding it", ours, copied, **facts | {"rounds": 3 * rounds})
            rows.append(report.against(row, "of_floor", at_least=0.5))
        decoded = Side(lambda: bare_decode(target), lambda many: many == frames)
        row = pair(f"{name}: remux, checked", Side(lambda: make(on), _of("remux", frames)), decoded, **facts)
        rows.append(report.against(row, "of_floor", at_least=0.9))
        product = make(off)
        share = sum(stop - first for first, stop in product.native) / product.frames
        again = Side(lambda: make(whole), _of("transcode", frames))
        smart = Side(lambda: make(off), _of("smart", frames))
        row = _times_less(pair(f"{name}: smart cut, checked", smart, again, **facts), share)
        rows.append(report.against(row, "native_share", at_least=0.9))
        with without_decode(played[-1]):
            row = _times_less(pair(f"{name}: smart cut, without decoding it", smart, again, **facts), share)
            rows.append(report.against(row, "cpu_times_less", at_least=15))
    return rows


def _times_less(row: report.Row, share: float) -> report.Row:
    return row | {"cpu_times_less": round(row["cpu_of_floor"], 2), "native_share": round(share, 3)}


@contextmanager
def _last_played() -> Iterator[list[Played]]:
    """Note what was decoded of the products that are made meanwhile."""
    found: list[Played] = []
    real = play_now()

    def noting(path: Path, coding: Coding, witness: Witness, **named: Any) -> Played:  # noqa: ANN401 - those of `play`
        found.append(real(path, coding, witness, **named))
        return found[-1]

    setattr(remux, _PLAY, noting)
    try:
        yield found
    finally:
        setattr(remux, _PLAY, real)


def main() -> None:
    """Measure, write JSON, draw."""
    chosen = report.options(__doc__)
    seconds, rounds = (12, 1) if chosen.quick else (60, 3)
    results: list[report.Row] = []
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        folder = Path(scratch)
        for name in _CODERS:
            clip = film(folder, name, seconds + 2 * _GROUP_S)
            results += rows_of(name, clip, folder, seconds=seconds, rounds=rounds)
    report.draw(report.write("cuts", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
