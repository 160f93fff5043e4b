"""The background of a stretch of time: what the scene shows without its visitors, how far it strays, in which light.

Everything is found from a few pictures (samples) of the minutes around, all of them at once: no picture comes before
another, so there is nothing to warm up, nothing to carry over, and no ghost of what stood there first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from pipeline.measure.grid import around

if TYPE_CHECKING:
    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Bool: TypeAlias = NDArray[np.bool_]
    Pictures = TypeVar("Pictures", U8, Bool)

_REGIONS = (3, 4)  # of light, down and across: a cloud is larger than this, a car is smaller
_REGION_PIXELS = 49  # of a region are looked at: a median of so many is good to a sixth of their spread
_REGION_MORE = 0.15  # by what a region's light differs from the picture's at most: what covers more is no cloud
_SAME_LIGHT = 1 / 32  # gains this near are one: leaves sway a median so far; of most surfaces it is below `contrast`
_LASTS = 8  # what shows in an eighth of the samples, and in one after another, lasts: half a minute of four
_THING = 24  # working pixels, a third of a cell: of anything smaller too little outline is seen
_OUTLINE = 0.5  # three quarters of what changes along a rim must vanish: half would by chance, sun and shade do more
_TREMBLES = (0.5, 2)  # times `contrast`: below it is noise of a sensor, above leaves or water, between both in part
_TAIL = 20  # the value beyond which a twentieth of the samples lies bounds what is restless, but for its outliers


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What each working pixel shows without visitors, and how far below and above still is background.

    All uint8 (rows, columns), or (n, rows, columns) for n images that see it otherwise; in grey levels.
    trembles: uint8 (rows, columns), how surely a pixel is of leaves or water: 0 not at all, 255 quite.
    """

    usual: U8
    below: U8
    above: U8
    trembles: U8

    @property
    def lowest(self) -> U8:
        """The darkest that is background."""
        return np.maximum(self.usual, self.below) - self.below

    @property
    def highest(self) -> U8:
        """The brightest that is background."""
        return ~(np.maximum(~self.usual, self.above) - self.above)


def find_background(samples: U8, restless: U8, *, same_levels: int, contrast: int, unrest: float) -> Background:
    """Return the background of pictures of one scene, in order of time.

    samples: uint8 (n, rows, columns), evenly spread over time; restless: of the same shape, how much each pixel
    changes within a moment. same_levels, contrast, unrest: see `MeasureSettings`.

    A pixel's own noise is the median of its restlessness or of its distance from the background, whichever is less:
    the one is small where visitors come and go, the other where something trembles. What is noisy beside
    `contrast` is leaves or water: it has no value of its own but a range, and its neighbours' values blow over it.
    """
    samples = _relit(samples)
    ranked = _ranked(samples)
    usual = _uncovered(samples, ranked, _usual(ranked, same_levels), same_levels)
    middle, tail = (len(samples) - 1) // 2, (len(samples) - 1) // _TAIL
    noise = np.minimum(_ranked(restless)[middle], _ranked(distance(samples, usual))[middle]).astype(np.float32)
    room = contrast + unrest * noise
    weight = np.clip((noise / max(contrast, 1) - _TREMBLES[0]) / (_TREMBLES[1] - _TREMBLES[0]), 0, 1)
    below = above = room
    if weight.any():
        low, high = ranked[tail], ranked[-1 - tail]
        below = np.maximum(room, weight * (contrast + usual.astype(np.float32) - ~around(~low, np.maximum)))
        above = np.maximum(room, weight * (contrast + around(high, np.maximum).astype(np.float32) - usual))
    limits = (limit.clip(0, 255).round().astype(np.uint8) for limit in (below, above, 255 * weight))
    return Background(usual, *limits)


def distance(a: U8, b: U8) -> U8:
    """Return |a - b| of uint8 without widening."""
    high: U8 = np.maximum(a, b)
    high -= np.minimum(a, b)
    return high


def light(expected: U8, images: U8) -> F32 | None:
    """Return by what the light of each image is that of what is expected: float32 (n or 1, 3, 4), or None for 1.

    `expected` is uint8 (n, rows, columns) or (rows, columns). Exposure, clouds and lamps scale what is seen. The gain
    is the median ratio in each of 3 x 4 regions, so that moving things do not sway it; `bent` gives it for each pixel.
    Where the images differ among themselves by less than what counts they have one gain.
    """
    count, rows, columns = images.shape
    at = _looked_at(rows, columns)
    now, usual = (part.reshape(-1, rows * columns).take(at, axis=1) for part in (images, expected))
    # 8 grey levels more on both sides: in the dark a ratio is all noise.
    ratio = (now + np.uint16(8)) / (usual + np.float32(8))
    gain: F32 = np.sort(ratio, axis=3)[..., at.shape[2] // 2]
    whole = np.sort(gain.reshape(count, -1))[:, gain[0].size // 2, None, None]
    gain = gain.clip(whole / np.float32(1 + _REGION_MORE), whole * np.float32(1 + _REGION_MORE))
    if (abs(gain - 1) < _SAME_LIGHT).all():
        return None
    one = gain.mean(0, keepdims=True)
    return one if (abs(gain - one) < _SAME_LIGHT).all() else gain


def bent(gain: F32, rows: int, columns: int) -> F32:
    """Return the gain of regions bent smoothly between their middles: float32 (n, rows, columns)."""
    field: F32 = np.matmul(np.matmul(_tent(gain.shape[1], rows), gain), _tent(gain.shape[2], columns).T)
    return field


@lru_cache(8)
def _looked_at(rows: int, columns: int) -> NDArray[np.int64]:
    """Return the flat indices of the pixels of each region that are looked at: int64 (down, across, n)."""
    down, across = min(_REGIONS[0], rows), min(_REGIONS[1], columns)
    high, wide = rows // down, columns // across
    step = max(1, math.isqrt(high * wide // _REGION_PIXELS))
    y = np.arange(down)[:, None] * high + np.arange(step // 2, high, step)
    x = np.arange(across)[:, None] * wide + np.arange(step // 2, wide, step)
    return (y[:, None, :, None] * columns + x[None, :, None, :]).reshape(down, across, -1)


@lru_cache(8)
def _tent(count: int, length: int) -> F32:
    """Return float32 (length, count): weights that interpolate linearly between the middles of `count` regions."""
    at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    weights = np.maximum(0, 1 - abs(at[:, None] - np.arange(count))).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _relit(samples: U8) -> U8:
    """Return the samples in the light of the one of median brightness: else every light would be its own value."""
    order = np.argsort(samples.mean((1, 2)), kind="stable")
    gain = light(samples[order[len(order) // 2]], samples)
    if gain is None:
        return samples
    relit = samples * bent(np.float32(1) / gain, *samples.shape[1:])
    relit += np.float32(0.5)
    return relit.clip(0, 255).astype(np.uint8)


def usual_picture(samples: U8, near: int) -> U8:
    """Return the value most samples lie within `near` of, per pixel: uint8 (n, rows, columns) to (rows, columns).

    A mode and not a median: someone who stays for half of the time shifts a median, never a mode. Where more than
    half lie about the median they are the mode, and votes need not be counted.
    """
    return _usual(_ranked(samples), near)


def _usual(ranked: U8, near: int) -> U8:
    inside = distance(ranked, ranked[(len(ranked) - 1) // 2]) <= near
    split = 2 * inside.sum(0, dtype=np.uint16) <= len(ranked)
    usual = _mean(ranked, inside)
    if split.any():
        usual[split] = _most(_only(ranked, split), near)
    return usual


def _most(ranked: U8, near: int, valid: Bool | None = None) -> U8:
    """Return the mean of the samples about the one that most (valid) samples lie within `near` of: (n, m) to (m,)."""
    votes = np.ones(ranked.shape, np.uint8) if valid is None else valid.astype(np.uint8)
    for lag in range(1, len(ranked)):
        agrees = ranked[lag:] - ranked[:-lag] <= near
        if valid is not None:
            agrees &= valid[lag:]
            agrees &= valid[:-lag]
        if not agrees.any():  # nor will any that are further apart in rank
            break
        votes[lag:] += agrees.view(np.uint8)
        votes[:-lag] += agrees.view(np.uint8)
    best = np.take_along_axis(ranked, votes.argmax(0)[None], axis=0)[0]
    inside = distance(ranked, best) <= near
    return _mean(ranked, inside if valid is None else inside & valid)


def _mean(samples: U8, chosen: Bool) -> U8:
    """Return the mean of the chosen samples of each pixel, rounded; 0 of none."""
    total = np.sum(samples * chosen.view(np.uint8), axis=0, dtype=np.uint16)
    members = np.maximum(np.sum(chosen, axis=0, dtype=np.uint16), 1)
    return ((total + members // 2) // members).astype(np.uint8)


def _uncovered(samples: U8, ranked: U8, usual: U8, near: int) -> U8:
    """Return the background freed of what stood before it for longer than it was seen itself.

    `ranked` are the samples in the order of their values.

    Where two values of a pixel last, the longer-lasting is not always the scene: somebody may sit there for most of a
    clip. What stands before a scene has an outline; the scene behind it has none in the same place. So of every
    region in which the two pictures differ, the other is taken when it has less gradient along the region's rim. The
    test is that by which abandoned objects are told from removed ones, e.g. San Miguel and Martinez, "Robust
    unattended and stolen object detection by fusing simple algorithms", 2008.
    """
    least = max(3, len(samples) // _LASTS)
    away = distance(samples, usual) > near
    where = away.sum(0, dtype=np.uint8) >= least
    if np.count_nonzero(where) < _THING:
        return usual
    seen = _only(ranked, where)
    value = _most(seen, near, distance(seen, usual[where]) > near)
    member = _only(away, where) & (distance(_only(samples, where), value) <= near)
    votes = member.sum(0)
    lasts = (votes >= least) & (2 * (member[1:] & member[:-1]).sum(0) >= votes)
    other, differs, known = usual.copy(), np.zeros(usual.shape, np.bool_), np.zeros(usual.shape, np.bool_)
    other[where], known[where] = value, votes >= least
    differs[where] = lasts & (distance(value, usual[where]) > 2 * near)
    thing = ~_grown(~_grown(differs)) | differs  # closed: noise leaves holes
    from skimage.measure import label  # noqa: PLC0415 - brings SciPy, which settings and readers never use

    regions = label(thing.view(np.uint8), connectivity=2).astype(np.uint16)  # type: ignore[no-untyped-call]
    near_by = around(regions, np.maximum)
    rim = (near_by > 0) & _grown(~thing)
    drop = (_edges(usual) - _edges(np.where(differs, other, usual)))[rim]
    count = int(regions.max()) + 1
    weaker, change = (np.bincount(near_by[rim], weight, minlength=count) for weight in (drop, abs(drop)))
    behind = (weaker > _OUTLINE * change) & (np.bincount(regions.ravel()) >= _THING)
    behind[0] = False
    return np.where(behind[near_by] & known, other, usual)


def _only(pictures: Pictures, where: Bool) -> Pictures:
    """Return pictures[:, where]: (n, rows, columns) to (n, m), picture by picture in memory, which that is not."""
    return pictures.reshape(len(pictures), -1).take(np.flatnonzero(where), axis=1)


def _edges(picture: U8) -> F32:
    """Return the gradient's size, by central differences: float32 (rows, columns), 0 on the frame."""
    level = picture.astype(np.float32)
    down, right = np.zeros_like(level), np.zeros_like(level)
    down[1:-1] = level[2:] - level[:-2]
    right[:, 1:-1] = level[:, 2:] - level[:, :-2]
    return np.hypot(down, right)


def _grown(mask: Bool) -> Bool:
    return around(mask.view(np.uint8), np.maximum).astype(np.bool_)


def _ranked(samples: U8) -> U8:
    """Return the samples of each pixel in ascending order: uint8 (n, ...) to the same shape.

    By Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M), which compares
    whole pictures at a time: np.sort would take ten times as long.
    """
    ranked = samples.copy()
    rows = list(ranked)
    scratch = np.empty_like(rows[0])
    for low, high in _exchanges(len(rows)):
        np.minimum(rows[low], rows[high], out=scratch)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low][...] = scratch
    return ranked


@lru_cache(8)
def _exchanges(count: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of places to compare and exchange, in turn, that sort `count` values."""
    found = []
    top = 2 ** max(0, (count - 1).bit_length() - 1)
    step = top
    while step:
        reach, residue, apart = top, 0, step
        while True:
            found += [(i, i + apart) for i in range(count - apart) if i & step == residue]
            if reach == step:
                break
            apart, reach, residue = reach - step, reach // 2, step
        step //= 2
    return tuple(found)
