"""Takes off light that sweeps over a dark scene: a beam, or an insect before the lens that infrared lights.

Shapes: pictures are (rows, columns) of working pixels, blocks (a, b), squares of 4 x 4 of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.measure.grid import around, regions

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Bool: TypeAlias = NDArray[np.bool_]
    Index: TypeAlias = NDArray[np.int64]

_DARK = 80  # grey levels: where half of a scene is brighter, no headlight outshines what lights it
_SIDE = 4  # working pixels: of a block, so that what has no room for a rim of its own is never told
_CLEARLY = 2  # grey levels beyond what is background: noise comes so far alone, but not in a cell's worth of blocks
_BRIGHTER = 4  # grey levels that a block of a patch is brighter on average
_LEAST = 4  # blocks of a patch: as large as a cell
_PLAIN = (12, 6)  # grey levels, and times the noise: below, a rim cannot be told from noise
_NOISE = 1.6  # times the noise between blocks: one in a thousand has more of it
_SOFT = 0.15  # of what a patch brightens is left of detail along a blurred rim; a sharp one has twice that
_TEXTURE = 2.0  # grey levels of detail: twice what is left of noise in a background
_KEPT = 0.5  # of a texture at least is there under light
_BURNT = 250  # grey levels: a lamp itself, whatever is behind it
_AROUND = 3  # blocks around what is brighter tell the noise
_SHARP = 0.25  # of a patch at most has rims: a thing has one all around


def is_dark(usual: U8) -> bool:
    """Tell whether a scene (rows, columns) or (n, rows, columns) is so dark that lamps outshine what lights it."""
    return bool(np.median(usual[..., ::4, ::4]) < _DARK)


def lift_beams(brighter: U8, images: U8, usual: U8) -> None:
    """Take off light, in place: `brighter` is by how much each working pixel is brighter than its background.

    brighter, images: uint8 (n, rows, columns); usual: uint8 (rows, columns), (1, rows, columns) or (n, rows, columns).

    Light adds no edge: what is there below it keeps its texture, only stronger, and its rim is soft. So of each patch
    that is brighter what the scene's own texture does not explain is looked at; where that is much, and next to it,
    is a thing in the light: who is lit by a beam, or the lamp itself. Small and faint patches are left as they are.
    """
    rows, columns = (length // _SIDE for length in brighter.shape[1:])
    middle = slice(_SIDE // 2, rows * _SIDE, _SIDE), slice(_SIDE // 2, columns * _SIDE, _SIDE)
    some = brighter[:, *middle] > _CLEARLY  # bool (n, a, b): of each block one pixel
    scene = usual.reshape(-1, *images.shape[1:])  # (1 or n, rows, columns)
    for n in np.flatnonzero(np.count_nonzero(some, axis=(1, 2)) >= _LEAST).tolist():
        down = _around(np.flatnonzero(some[n].any(1)), rows)
        right = _around(np.flatnonzero(some[n].any(0)), columns)
        now, was = images[n, down, right], scene[min(n, len(scene) - 1), down, right]
        light = _light(now.astype(np.float32), was.astype(np.float32))
        if light is not None:
            brighter[n, down, right][light.repeat(_SIDE, axis=0).repeat(_SIDE, axis=1)] = 0


def _around(blocks: Index, count: int) -> slice:
    """Return the pixels of some of `count` blocks and those around, along one axis."""
    return slice(max(0, blocks[0] - _AROUND) * _SIDE, min(count, blocks[-1] + 1 + _AROUND) * _SIDE)


def _light(now: F32, was: F32) -> Bool | None:
    """Return which blocks are brighter by light alone, None for none: bool (a, b) of what is seen and usual."""
    mean, usual_mean = _means(now), _means(was)
    brightened = mean - usual_mean
    if brightened.max() <= _PLAIN[0]:  # before anything that costs time: noise comes so far in many pictures
        return None
    bright = brightened > _BRIGHTER
    left, gone = _unexplained(now, was, (mean + 8) / (usual_mean + 8))
    noise = 0.0 if bright.all() else float(np.median(left[~bright]))
    plain = brightened > max(_PLAIN[0], _PLAIN[1] * noise)
    if not plain.any():
        return None
    most = around(around(brightened, np.maximum), np.maximum)
    sharp = (left > np.hypot(_NOISE * noise, _SOFT * most)) | gone | (mean > _BURNT)
    patch = regions(bright)
    count, hard, clear = (np.bincount(patch.ravel(), part.ravel()) for part in (bright, sharp, plain))
    soft = (count >= _LEAST) & (hard < _SHARP * count) & (clear > 0)
    if not soft.any():
        return None
    clear_of = ~_grown(_grown(sharp & bright))
    return _grown(soft[patch] & clear_of) & clear_of


def _unexplained(now: F32, was: F32, ratio: F32) -> tuple[F32, Bool]:
    """Return the detail of each block that the scene's own does not explain, and where that is gone: (a, b) each.

    ratio: by what blocks are brighter, float32 (a, b). The detail that is left is in grey levels. Within 3 x 3 blocks
    the scene's detail is stronger by one factor, 1 where it has none, at most twice the ratio: a scene that is black by
    a lens's own haze gains more contrast than light.
    """
    detail, usual = _detail(now), _detail(was)
    both, of_usual, of_now = _means(detail * usual), _means(usual * usual), _means(detail * detail)
    near = around(of_usual)
    slope = np.clip((around(both) + 9) / (near + 9), 0, 2 * ratio)
    left = np.sqrt(np.maximum(of_now - 2 * slope * both + slope * slope * of_usual, 0))
    return left, (near > 9 * _TEXTURE**2) & (slope < _KEPT)


def _grown(mask: Bool) -> Bool:
    return around(mask.view(np.uint8), np.maximum).astype(np.bool_)


def _means(level: F32) -> F32:
    """Return the means of blocks: (rows, columns) to (a, b)."""
    tall = level[::_SIDE].copy()
    for n in range(1, _SIDE):
        tall += level[n::_SIDE]
    wide: F32 = tall[:, ::_SIDE].copy()
    for n in range(1, _SIDE):
        wide += tall[:, n::_SIDE]
    wide /= np.float32(_SIDE * _SIDE)
    return wide


def _detail(level: F32) -> F32:
    """Return by how much each pixel differs from the mean of the 5 x 5 around it: (rows, columns) to the same."""
    padded = np.pad(level, 2, mode="edge")
    rows, columns = level.shape
    tall = padded[:rows].copy()
    for n in range(1, 5):
        tall += padded[n : n + rows]
    mean = tall[:, :columns].copy()
    for n in range(1, 5):
        mean += tall[:, n : n + columns]
    mean *= np.float32(-1 / 25)
    mean += level
    return mean
