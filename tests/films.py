"""Footage for tests: films in which every frame carries its own number, and what is found in them again."""

from __future__ import annotations

import hashlib
import subprocess
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.clip import Clip
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.media.transcode import program
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WIDTH, HEIGHT, BITS = 128, 96, 12
START = 1_750_000_000 * NS + 123_456_789
MILLION = 1_000_000


def numbered(number: int) -> NDArray[np.uint8]:
    """I420 (144, 128): twelve blocks of 32 x 32, each one bit of the number."""
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    bits = np.array([220 if number >> bit & 1 else 30 for bit in range(BITS)], np.uint8)
    picture[:HEIGHT] = np.kron(bits.reshape(3, 4), np.ones((32, 32), np.uint8))
    return picture


def number_of(luma: NDArray[np.uint8]) -> int:
    h, w = luma.shape
    middle = luma[h // 6 :: h // 3, w // 8 :: w // 4][:3, :4].ravel()
    return sum(1 << bit for bit, value in enumerate(middle) if value > 125)


def footage_file(path: Path, count: int = 60, **options: Any) -> Path:
    settings: dict[str, Any] = {"rate": Fraction(25), "gop": 10}
    encode(path, (numbered(n) for n in range(count)), **(settings | options))
    return path


def clip_of(path: Path) -> Clip:
    with open_video(path) as video:
        for _ in video.luma():
            pass
        data = path.read_bytes()
        return Clip("cam-1", START, hashlib.sha256(data).hexdigest(), len(data), f"clips/{path.name}", video.stream)


def frames_of(path: Path) -> list[tuple[int, Fraction]]:
    """(number, seconds) of every shown frame."""
    with open_video(path, loop_filter=True) as video:
        return [(number_of(luma), pts * video.time_base) for pts, luma in video.luma()]


def ffmpeg(*arguments: object) -> bytes:
    """Run the ffmpeg program and return what it writes to its output."""
    run = [program(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(run, capture_output=True, check=True).stdout


def cut_out(path: Path, target: Path, start_ms: int = 0, end_ms: int = 3_600_000, **profile: Any) -> Product:
    """Make the cut from one time of the clip to another, in milliseconds after its start."""
    span = Span(START + start_ms * MILLION, START + end_ms * MILLION)
    return make_cut(path, target, Cut("r1", clip_of(path), span, Profile(**profile)))


def samples_of(path: Path, rate: int) -> tuple[Fraction, NDArray[np.float32]]:
    """The time of the first sample in seconds, and all of them, one channel: read by PyAV alone."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = list(container.decode(container.streams.audio[0]))
        first = (frames[0].pts or 0) * Fraction(frames[0].time_base or 1)
        pieces = [piece for frame in [*frames, None] for piece in resampler.resample(frame)]
    return first, np.concatenate([piece.to_ndarray()[0] for piece in pieces])
