"""The luma of a decoded frame, upright: out of any pixel format, without a copy where none is needed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from av.sidedata.sidedata import Type
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

_MSB_ALIGNED: Final = ("p010", "p012", "p016", "p210", "p212", "p216", "p410", "p412", "p416")


class Turn(NamedTuple):
    """How a stored picture is turned to stand upright: first transposed, then its rows, then its columns reversed."""

    transposed: bool = False
    rows: bool = False
    columns: bool = False

    def __call__(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `plane` (H, W) turned; a copy where anything is turned, so that its lines lie in order."""
        if not any(self):
            return plane
        turned = plane.T if self.transposed else plane
        return np.ascontiguousarray(turned[:: -1 if self.rows else 1, :: -1 if self.columns else 1])


UPRIGHT: Final = Turn()


def turn_of(frame: VideoFrame) -> Turn | None:
    """Return how the display matrix of a frame says it is to be turned; None when by no multiple of 90 degrees."""
    try:
        matrix = struct.unpack("=9i", bytes(cast("Any", frame.side_data)[Type.DISPLAYMATRIX])[:36])
    except (KeyError, struct.error):
        return UPRIGHT
    # A pixel at (x, y) is shown at (a x + c y, b x + d y), see libavutil/display.h.
    a, b, _, c, d = matrix[:5]
    along, across = min(abs(a), abs(d)), max(abs(b), abs(c))
    if along > 1000 * across:
        return Turn(rows=d < 0, columns=a < 0)
    along, across = min(abs(b), abs(c)), max(abs(a), abs(d))
    if along > 1000 * across:
        return Turn(transposed=True, rows=b < 0, columns=c < 0)
    return None


class Luma:
    """Gets the luma out of a frame of any pixel format; remembers how for the format it saw last."""

    def __init__(self) -> None:
        self._format = ""
        self._shift: int | None = None
        self._via = ""
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame, turn: Turn = UPRIGHT) -> NDArray[np.uint8]:
        """Return uint8 (H, W), read-only; see `Video.luma`."""
        if frame.format.name != self._format:
            self._learn(frame.format)
        if self._shift is None:
            frame = self._scaler.reformat(frame, format=self._via, threads=1)
        plane, shape = VideoPlane(frame, 0), (frame.height, frame.width)  # `frame.planes` would make all three
        buffer, line = cast("memoryview[int]", plane), plane.line_size
        if self._shift:
            luma = (np.ndarray(shape, "<u2", buffer, strides=(abs(line), 2)) >> self._shift).astype(np.uint8)
        else:
            luma = np.ndarray(shape, np.uint8, buffer, strides=(abs(line), 1))
        if line < 0:  # a picture stored bottom up, as AVI may
            luma = luma[::-1]
        luma = turn(luma)
        luma.setflags(write=False)
        return luma

    def _learn(self, form: VideoFormat) -> None:
        first, *others = form.components
        alone = first.is_luma and first.plane == 0 and all(other.plane for other in others)
        plain = alone and not form.has_palette and not form.is_big_endian and 8 <= first.bits <= 16
        self._format = form.name
        self._shift = (8 if form.name.startswith(_MSB_ALIGNED) else first.bits - 8) if plain else None
        # Packed YUV keeps its luma when it is only taken apart; going to gray would also stretch its range.
        self._via = "yuv422p" if first.is_luma and any(other.is_chroma for other in others) else "gray"
