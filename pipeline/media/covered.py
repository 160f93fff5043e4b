"""The check of what is covered in a product: every pixel of its pictures, and every sample of its sound."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from pipeline.errors import ClipError
from pipeline.media.container import open_file, said
from pipeline.media.decode import open_video
from pipeline.media.transcode import clock_rows
from pipeline.media.veil import BLOCK, FILL, MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.media.veil import Veil


def check_covered(
    path: Path, veil: Veil, frames: Sequence[tuple[Fraction, int]], *, fps: int | None, clock: bool
) -> None:
    """Decode a product and compare every pixel of every block that is covered with FILL: light and both colours.

    frames: of the source, (seconds after the first, pts). fps: the product's constant rate if it has one: then what is
    looked at is covered in all frames of the source within a step of its time. clock: whether one was drawn at the
    top, whose lines are left out. Where a covered block meets one that is not, four pixels of it are left out.
    Raises ClipError ("cut").
    """
    at, known, inside = 0, b"", np.zeros((0, 0), np.bool_)
    top = math.ceil(clock_rows(veil.size[1]) * veil.size[1] / BLOCK) * BLOCK + MARGIN if clock else 0
    with open_video(path, loop_filter=True) as video:
        for pts, frame in video.frames():
            if (frame.width, frame.height) != veil.size or frame.format.name not in {"yuv420p", "yuvj420p"}:
                raise ClipError("cut", f"what is covered was laid out for {veil.size}, got {frame}; report it")
            chosen = _near(frames, pts * video.time_base, fps) if fps else frames[at : at + 1]
            blocks = np.logical_and.reduce([veil.blocks(one) for _, one in chosen])
            if (told := blocks.tobytes()) != known:
                known, inside = told, _inner(blocks, veil.size, top)
            _compare(frame.to_ndarray().astype(np.uint8, copy=False), inside, at, veil.most_off)
            at += 1


def _near(frames: Sequence[tuple[Fraction, int]], at: Fraction, fps: int) -> list[tuple[Fraction, int]]:
    """Return the frames within a step of a time, and the one that is shown then."""
    shown = max((one for one in frames if one[0] <= at), default=frames[0])
    return [shown, *(one for one in frames if abs(one[0] - at) <= Fraction(1, fps))]


def _inner(blocks: NDArray[np.bool_], size: tuple[int, int], top: int) -> NDArray[np.bool_]:
    """Return the pixels of covered blocks that no filter at their edges reaches: bool (H, W)."""
    width, height = size
    step = BLOCK // MARGIN  # in squares of the margin's size all of this costs a sixteenth
    squares = np.kron(blocks, np.ones((step, step), np.bool_))
    beyond = np.pad(squares, 1, mode="edge")  # the edge of the picture is none of a block
    squares = np.logical_and.reduce(
        [beyond[y : y + squares.shape[0], x : x + squares.shape[1]] for y, x in np.ndindex(3, 3)]
    )
    pixels: NDArray[np.bool_] = squares.repeat(MARGIN, axis=0).repeat(MARGIN, axis=1)[:height, :width]
    pixels[:top] = False
    return pixels


def _compare(planes: NDArray[np.uint8], inside: NDArray[np.bool_], number: int, most: int) -> None:
    height, width = inside.shape
    light = planes[:height]
    colours = planes[height:].reshape(2, height // 2, width // 2)
    colour = inside[::2, ::2] & inside[1::2, 1::2]
    found = [light[inside], colours[0][colour], colours[1][colour]]
    for name, plane, wanted in zip(("light", "blue", "red"), found, FILL, strict=True):
        if (off := int(np.abs(plane.astype(np.int16) - wanted).max(initial=0))) > most:
            raise ClipError("cut", f"a covered pixel of frame {number} is off by {off} levels of {name}; report it")


def check_hushed(path: Path, parts: Sequence[tuple[Fraction, Fraction]]) -> None:
    """Decode the sound of a product and look that parts of it, in its seconds, are silence to the sample.

    Raises ClipError ("cut").
    """
    if not parts:
        return
    try:
        with open_file(path) as container:
            for frame in container.decode(audio=0):
                rate, first = frame.sample_rate, (frame.pts or 0) * (frame.time_base or Fraction())
                loud = (frame.to_ndarray().reshape(-1, frame.samples) != 0).max(axis=0)
                for start, end in parts:
                    begins, ends = (max(0, math.ceil((at - first) * rate)) for at in (start, end))
                    if loud[begins:ends].any():
                        when = f"{float(start):.3f} to {float(end):.3f} s"
                        raise ClipError("cut", f"the sound from {when} was to be muted and is not silent; report it")
    except av.FFmpegError as error:
        raise ClipError("cut", f"the sound of the product cannot be read: {said(error)}") from error
