"""Clips whose pictures bear their number: twelve blocks of 34 x 32 pixels, each one bit; and how they are read."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.transcode import program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.clip import Stream

WIDTH, HEIGHT, BITS = 136, 96, 12  # a decoder's lines of 136 pixels are padded


def numbered(number: int, width: int = WIDTH) -> NDArray[np.uint8]:
    """I420 (144, width): twelve blocks, each one bit of the number."""
    picture = np.full((HEIGHT * 3 // 2, width), 128, np.uint8)
    bits = np.array([220 if number >> bit & 1 else 30 for bit in range(BITS)], np.uint8)
    picture[:HEIGHT] = np.kron(bits.reshape(3, 4), np.ones((32, width // 4), np.uint8))
    return picture


def number_of(luma: NDArray[np.uint8]) -> int:
    h, w = luma.shape
    middle = luma[h // 6 :: h // 3, w // 8 :: w // 4][:3, :4].ravel()
    return sum(1 << bit for bit, value in enumerate(middle) if value > 125)


def write(path: Path, count: int = 50, *, first: int = 0, width: int = WIDTH, **options: Any) -> Path:
    settings: dict[str, Any] = {"rate": Fraction(25), "gop": 10}
    encode(path, (numbered(n, width) for n in range(first, first + count)), **(settings | options))
    return path


def read(path: Path, **options: Any) -> tuple[Stream, list[int], list[int]]:
    with open_video(path, **options) as video:
        shown = [(pts, number_of(luma)) for pts, luma in video.luma()]
        return video.stream, [pts for pts, _ in shown], [number for _, number in shown]


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([program(), "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ClipError) as caught, open_video(path, **options) as video:
        for _ in video.luma():
            pass
    return str(caught.value)


def scene_number(luma: NDArray[np.uint8]) -> int:
    """Return the number of a frame of the odd footage: twelve bars of 20 px in its top rows, from x = 20 on."""
    return sum(1 << bit for bit in range(BITS) if luma[4:10, 26 + 20 * bit : 34 + 20 * bit].mean() > 125)
