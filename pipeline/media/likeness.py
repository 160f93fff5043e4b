"""How alike two pictures are: a re-encoded frame and the frame of its source."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import skimage as ski  # loads its parts, and SciPy, when they are first asked for
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR: Final = 0.6
"""The least `likeness` of a re-encoded frame that counts as the frame of its source."""

_MOST: Final = (128, 72)
_IN_MEMORY: Final = 64 << 20


class Album:
    """Reduced pictures of frames, one after the other: in memory, and on disk where there are many.

    size: of the pictures that are compared, (width, height) in pixels; they are reduced to at most 128 x 72, because
    coding takes detail away and a wrong picture differs in the large. skip: share of the height, from the top, that is
    left out of the comparison, where something was drawn. A context manager.
    """

    def __init__(self, size: tuple[int, int], *, skip: float = 0.0) -> None:
        scale = min(1.0, _MOST[0] / size[0], _MOST[1] / size[1])
        self._size = max(8, round(size[0] * scale)), max(8, round(size[1] * scale))
        self._top = min(round(skip * self._size[1] + 0.5) if skip else 0, self._size[1] - 7)
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
        """Return how like the kept picture of this number another one is: their structural similarity, 0 to 1.

        After Wang et al., Image quality assessment (2004), over windows of 7 x 7 of the reduced luma; below 0 is 0.
        """
        w, h = self._size
        self._file.seek(index * w * h)
        kept = np.frombuffer(self._file.read(w * h), np.uint8).reshape(h, w)
        structural_similarity: Any = ski.metrics.structural_similarity
        return max(
            0.0, float(structural_similarity(kept[self._top :], self._reduced(luma)[self._top :], data_range=255))
        )

    def _reduced(self, luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(luma), format="gray")
        w, h = self._size
        small = self._scaler.reformat(frame, width=w, height=h, interpolation=Interpolation.AREA, threads=1)
        return np.ascontiguousarray(small.to_ndarray())
