"""How alike two pictures are: a re-encoded frame and the frame of its source."""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR: Final = 0.5
"""The least likeness of a re-encoded frame that counts as the frame of its source.

Measured on nine films of streets: at the worst quality that can be asked for (CRF 51, 63 of AV1, 50 kbit/s) frames keep
0.59 and more at their own size. A frame that is black, gray, upside down, or moved by a twentieth, whole or in one
half, has 0.37 at most. What moves or is garbled in less than a sixteenth of the picture it cannot tell: there times,
numbers of frames and what the decoder says are all that is compared.
"""

_MOST: Final = (128, 72)
_TILES: Final = (3, 4)
_IN_MEMORY: Final = 64 << 20


class Album:
    """Reduced pictures of frames, one after the other: in memory, and on disk where there are many.

    size: of the pictures that are compared, (width, height) in pixels; they are reduced to at most 128 x 72, because
    coding takes away detail and a wrong picture differs in the large. skip: share of the height, from the top, that is
    left out of the comparison, where something was drawn. A context manager.
    """

    def __init__(self, size: tuple[int, int], *, skip: float = 0.0) -> None:
        most, tiles = (_MOST, _TILES) if size[0] >= size[1] else (_MOST[::-1], _TILES[::-1])
        scale = min(1.0, most[0] / size[0], most[1] / size[1])
        self._size = w, h = max(8, round(size[0] * scale)), max(8, round(size[1] * scale))
        top = min(math.ceil(skip * h), h - 4)
        self._rows, self._columns = (
            np.linspace(a, b, n + 1).astype(int) for a, b, n in zip((top, 0), (h, w), tiles, strict=True)
        )
        self._scaler = VideoReformatter()
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, luma: NDArray[np.uint8]) -> None:
        """Keep one more picture, uint8 (H, W) of any size."""
        self._file.seek(0, 2)
        self._file.write(self._reduced(luma).data)

    def likeness(self, index: int, luma: NDArray[np.uint8]) -> float:
        """Return how like the kept picture of this number another one is, 0 to 1: of twelve tiles the least.

        A tile's is its structural similarity after Wang et al., Image quality assessment (2004), equations 13 and 14,
        with the tile as the one window: means, spread and covariance of the luma. Below 0 is 0.
        """
        w, h = self._size
        self._file.seek(index * w * h)
        one = np.frombuffer(self._file.read(w * h), np.uint8).reshape(h, w).astype(np.float64)
        two = self._reduced(luma).astype(np.float64)
        mean_one, mean_two = self._means(one), self._means(two)
        spread = self._means(one * one) - mean_one**2 + self._means(two * two) - mean_two**2
        shared = self._means(one * two) - mean_one * mean_two
        light, structure = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        alike = (2 * mean_one * mean_two + light) * (2 * shared + structure)
        alike /= (mean_one**2 + mean_two**2 + light) * (spread + structure)
        return max(0.0, float(alike.min()))

    def _means(self, picture: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means of the tiles, float64 (3, 4), of an upright picture (4, 3)."""
        inside = picture[: self._rows[-1], : self._columns[-1]]
        sums = np.add.reduceat(np.add.reduceat(inside, self._rows[:-1], axis=0), self._columns[:-1], axis=1)
        return np.asarray(sums / np.outer(np.diff(self._rows), np.diff(self._columns)))

    def _reduced(self, luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
        w, h = self._size
        # Four rows or more make one of the small picture: the mean of some is that of all, for a third of the time of
        # 1080p. An odd step takes both fields alike.
        step = max(1, (luma.shape[0] // (4 * h) - 1) | 1)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(luma[::step]), format="gray")
        small = self._scaler.reformat(frame, width=w, height=h, interpolation=Interpolation.AREA, threads=1)
        return np.ascontiguousarray(small.to_ndarray())
