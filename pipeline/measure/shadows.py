"""Lets the shadows that visitors cast weigh little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]

_SHADE = 0.5  # of its light is the least that a shadow leaves: the sky lights it still
_SHADE_BITS = 2  # a difference that may be a shadow's is a quarter: a plain coat before a plain wall looks the same
_SUNLIT = 50  # grey levels: what is darker in the background casts no shadow that can be told from noise
_SAME_FACTOR = 0.05  # factors this near are one: two grey levels of 40, or sensor noise would hide a shadow
_UNIT = 8192  # of a factor in sixteen bits


def lift_shadows(darker: U8, images: U8, usual: U8) -> None:
    """Let shadows weigh little, in place: `darker` is by how much each working pixel is darker than its background.

    darker, images: uint8 (n, rows, columns); usual: uint8 (rows, columns) or (n, rows, columns).

    A shadow darkens what is there by a factor and adds no edge: inside of it those on both sides of a pixel are that
    much darker, by the same factor. Its rim is what is next to that.
    """
    if not darker.any():
        return
    # Pictures are laid out flat, (n, rows * columns): the pixel below is `columns` farther, and every step is one pass.
    columns = images.shape[2]
    shown, shade = (part.reshape(len(images), -1) for part in (images, darker))
    scene = usual.reshape(-1, shown.shape[1])  # (1 or n, rows * columns)
    # How much of its light is left, in units of 1 / _UNIT: uint16, which holds the factor of any scene of 29 grey
    # levels and more. 4 grey levels more on both sides: in the dark a ratio is all noise.
    factor = (_UNIT / (scene + np.float32(4))).clip(0, 252).astype(np.uint16) * (shown + np.uint16(4))
    may = factor >= round(_SHADE * _UNIT)  # bool, as all below
    may &= shade > 0
    may &= scene >= _SUNLIT
    inside = may.copy()
    same = np.uint16(round(_SAME_FACTOR * _UNIT))
    for beside in (1, columns):  # left and right, then above and below
        apart = factor[:, 2 * beside :] - factor[:, : -2 * beside]
        apart += same  # -same to same becomes 0 to 2 * same; what is below wraps around to something large
        inside[:, beside:-beside] &= apart <= 2 * same
    shadow = inside.copy()
    for beside in (1, columns):
        shadow[:, beside:] |= inside[:, :-beside]
        shadow[:, :-beside] |= inside[:, beside:]
    shadow &= may
    np.copyto(shade, shade >> np.uint8(_SHADE_BITS), where=shadow)
