"""How far a shaking camera displaces its pictures, by phase correlation of small images, and pictures moved so far.

Images are uint8 (rows, columns); displacements are (down, right) in working pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.measure.background import distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]

_REACH = 4  # a camera shakes by a quarter of the picture at most
_STEADY = 0.25  # working pixels: a displacement below this is not told from noise
_CLIPPED = 32  # grey levels: a vehicle of any contrast must not outweigh the scene
_BETTER = 0.9  # a displacement must explain the image clearly better, or a large vehicle would move the scene


class Shake:
    """Finds how far an image is displaced from a reference, by phase correlation on the working images.

    A displacement turns the phase of every frequency by an angle that grows with the frequency, and leaves its size. So
    the phases alone of one spectrum over the other, transformed back, are a surface with one peak: where it stands is
    how far the image lies from the reference.
    Kuglin and Hines, "The phase correlation image alignment method", 1975; the peak is refined by a parabola.

    reference, and every image: uint8 (rows, columns).
    """

    def __init__(self, reference: U8) -> None:
        rows, columns = reference.shape
        self.reference = reference
        self.size = _quick(rows), _quick(columns)  # of a transform; what is added is 0
        # Fades to the edges, (rows, columns): to a transform the picture goes on at its other side, which is an edge.
        self.window = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1]).astype(np.float32)
        self.spectrum = np.conj(self._transform(reference))

    def _transform(self, image: U8) -> NDArray[np.complex64]:
        """Return the spectrum of an image: complex64 (size[0], size[1] // 2 + 1)."""
        return np.fft.rfft2((image - np.float32(image.mean())) * self.window, self.size).astype(np.complex64)

    def shift(self, image: U8) -> tuple[float, float]:
        """Return (down, right) in working pixels; (0, 0) unless that explains the image clearly better."""
        product = self._transform(image) * self.spectrum
        product /= np.abs(product) + np.float32(1e-6)  # the phases alone
        surface = np.fft.irfft2(product, self.size)
        reach = np.array(image.shape) // _REACH
        # Displacements of -reach to reach, those below 0 being at the far end of the surface: the middle is (0, 0).
        near = surface[np.ix_(*(np.arange(-far, far + 1) for far in reach))]
        y, x = divmod(int(near.argmax()), near.shape[1])
        down = y - reach[0] + _vertex(near[y - 1 : y + 2, x])
        right = x - reach[1] + _vertex(near[y, x - 1 : x + 2])
        if abs(down) < _STEADY and abs(right) < _STEADY:
            return 0.0, 0.0
        # A large vehicle can have the highest peak; clipped differences tell whether the whole scene moved with it.
        still = np.minimum(distance(image, self.reference), np.uint8(_CLIPPED)).sum()
        after = np.minimum(distance(image, moved(self.reference, down, right)), np.uint8(_CLIPPED)).sum()
        return (float(down), float(right)) if after < _BETTER * still else (0.0, 0.0)

    def steady(self, image: U8) -> U8:
        """Return the image moved back onto the reference."""
        down, right = self.shift(image)
        return moved(image, -down, -right)


def _quick(length: int) -> int:
    """Return the next length without a prime factor above 5: a transform of 67 takes three times that of 72."""
    while (rest := length) > 1:
        for factor in (2, 3, 5):
            while not rest % factor:
                rest //= factor
        if rest == 1:
            break
        length += 1
    return length


def _vertex(values: NDArray[np.floating[Any]]) -> float:
    """Return where a parabola through three values has its top, -0.5 to 0.5 from the middle one."""
    if len(values) < 3:
        return 0.0
    left, middle, right = (float(v) for v in values)
    curve = left - 2 * middle + right
    return min(0.5, max(-0.5, 0.5 * (left - right) / curve)) if curve < 0 else 0.0


def shakes(images: U8) -> bool:
    """Tell whether two or more of the images are displaced from the middle one, and from one of those as well.

    images: uint8 (n, rows, columns). A vehicle that fills the middle one displaces them all, but only from that.
    """
    if min(images.shape[1:]) < 2 * _REACH:
        return False
    away = _displaced(images, len(images) // 2)
    return len(away) >= 2 and len(_displaced(images, away[0])) >= 2


def _displaced(images: U8, reference: int) -> list[int]:
    """Return which of the images are displaced from one of them."""
    probe = Shake(images[reference])
    others = (n for n in range(len(images)) if n != reference)
    return [n for n in others if probe.shift(images[n]) != (0.0, 0.0)]


def moved(image: U8, down: float, right: float, *, outside: int | None = None) -> U8:
    """Return the image displaced by fractions of a pixel; what comes in is `outside`, or the edge repeated."""
    if not (down or right):
        return image
    level: F32 = image.astype(np.float32)
    for axis, by in ((0, down), (1, right)):
        # A row comes from two rows of before: the whole part of `by` away, and the one before that.
        part = np.float32(by - math.floor(by))
        at = np.arange(image.shape[axis]) - math.floor(by)  # (rows,) or (columns,)
        last = image.shape[axis] - 1
        near, far = level.take(at.clip(0, last), axis), level.take((at - 1).clip(0, last), axis)
        level = near + (far - near) * part
        if outside is not None:
            np.moveaxis(level, axis, 0)[(at < math.ceil(part)) | (at > last)] = outside
    return (level + np.float32(0.5)).astype(np.uint8)
