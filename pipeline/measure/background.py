"""The background of a stretch of time: what the scene shows without its visitors, how far it strays, in which light.

Everything is found from a few pictures (samples) of the minutes around, all of them at once: no picture comes before
another, so there is nothing to warm up, nothing to carry over, and no ghost of what stood there first.

Shapes: n pictures of (rows, columns) working pixels, in order of time; (n, m) where only m of their pixels are looked
at; 3 x 4 regions of light. A picture's values are grey levels, uint8, and stay so where a wider type is not said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import numpy as np

from pipeline.measure.grid import around, regions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Bool: TypeAlias = NDArray[np.bool_]
    Pictures = TypeVar("Pictures", U8, Bool)

_REGIONS = (3, 4)  # of light, down and across: a cloud is larger than this, a car is smaller
_REGION_PIXELS = 49  # of a region are looked at: a median of so many is good to a sixth of their spread
_REGION_MORE = 0.15  # by what a region's light differs from the picture's at most: what covers more is no cloud
SAME_LIGHT = 1 / 32  # gains this near are one: leaves sway a median so far; of most surfaces it is below `contrast`
_LASTS = 6  # what shows in a sixth of the samples, and in one after another, lasts: who comes last is no scene
_THING = 24  # working pixels, a third of a cell: of anything smaller too little outline is seen
_LARGEST = 0.5  # of the picture: the outline of what covers more is out of sight, and its rim tells nothing
_MOST = 0.5  # of a thing is seen, or what is behind it: else it is on its way
_TWICE = 2  # samples at least with a thing, and without: one is a chance
_INTERRUPTED = 16  # samples with a thing for one in their midst without it: noise, and no coming back
_AT_ONCE = 6  # groups of things that come and go at times of their own are told apart, the largest first
_TOGETHER = 6  # pixels of one thing change at the same times but for a sixth of the samples: who sways, and noise
_OUTLINE = 0.5  # three quarters of what changes along a rim must vanish: half would by chance, sun and shade do more
_VANISHES = 0.25  # of all gradient along a rim at least: a scene has edges of its own there, and noise moves them
_TREMBLES = (0.5, 2)  # times `contrast`: below it is noise of a sensor, above leaves or water, between both in part
_BUSY = (3, 3)  # times the nearer quarter of 3 x 3 pixels, and grey levels: of leaves the middle is nearer than this
_RANGE = 60  # grey levels between the tenths of a scene: less than most show by day, where nothing shall change
_FAINTEST = 0.6  # 3.6 grey levels: below, noise of a sensor that was compressed comes in blocks and stays
_TAIL = 20  # the value beyond which a twentieth of the samples lies bounds what is restless, but for its outliers


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What each working pixel shows without visitors, and how far below and above still is background.

    All uint8 (rows, columns), or (n, rows, columns) for n images that see it otherwise; in grey levels.
    trembles: uint8 (rows, columns), how surely a pixel is of leaves or water: 0 not at all, 255 quite.
    faint: what differences count for here, of those of a picture from black to white: 1 by day, less at night.
    """

    usual: U8
    below: U8
    above: U8
    trembles: U8
    faint: float = 1.0

    @property
    def lowest(self) -> U8:
        """The darkest that is background: usual - below, and 0 where that is less."""
        return np.maximum(self.usual, self.below) - self.below

    @property
    def highest(self) -> U8:
        """The brightest that is background: usual + above, at most 255. The same upside down: ~x is 255 - x."""
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
    usual = _uncovered(
        samples, ranked, _usual(ranked, same_levels), same_levels
    )  # (rows, columns), as all that follows
    noise = _noise(samples, restless, usual)
    faint = _faint(usual)
    room = faint * contrast + unrest * noise
    trembles = np.clip((noise / max(contrast, 1) - _TREMBLES[0]) / (_TREMBLES[1] - _TREMBLES[0]), 0, 1)
    below = above = room
    if trembles.any():
        tail = (len(samples) - 1) // _TAIL
        low, high = ranked[tail], ranked[-1 - tail]
        lowest, highest = ~around(~low, np.maximum), around(high, np.maximum)  # of a pixel and its neighbours
        below = np.maximum(room, trembles * (contrast + usual.astype(np.float32) - lowest))
        above = np.maximum(room, trembles * (contrast + highest.astype(np.float32) - usual))
    limits = (below, above, 255 * trembles)
    low, high, leaves = (limit.clip(0, 255).round().astype(np.uint8) for limit in limits)
    return Background(usual, low, high, leaves, faint)


def _noise(samples: U8, restless: U8, usual: U8) -> F32:
    """Return how far each pixel strays by itself, in grey levels: float32 (rows, columns).

    On a busy road most samples show cars, and both medians do. But there the scene's own values lie close together,
    as those of leaves never do: a quarter of the samples that is far nearer than the middle one tells of the scene.
    """
    ranked = _ranked(distance(samples, usual))
    middle = np.minimum(_median(restless), ranked[(len(ranked) - 1) // 2]).astype(np.float32)
    quarter = ranked[(len(ranked) - 1) // 4].astype(np.float32)
    busy = middle > _BUSY[0] * around(quarter, np.maximum) + _BUSY[1]  # of a pixel and its neighbours: leaves by chance
    # Half of a normal distribution lies within twice of what a quarter does; 1: levels are whole.
    noise: F32 = np.where(busy, np.minimum(middle, 2 * quarter + 1), middle)
    return noise


def _faint(usual: U8) -> float:
    """Return what differences count for before a scene: at night and to infrared, all of it is within few grey levels.

    Who comes there is as faint as all else, so what must differ, and what counts fully, is by the scene's own range.
    """
    darkest, brightest = np.percentile(usual[::2, ::2], (10, 90))
    return float(np.clip((brightest - darkest) / _RANGE, _FAINTEST, 1))


def distance(a: U8, b: U8) -> U8:
    """Return |a - b| of uint8 of any shapes that fit each other, without widening: the larger minus the smaller."""
    high: U8 = np.maximum(a, b)
    high -= np.minimum(a, b)
    return high


def light(expected: U8, images: U8) -> F32 | None:
    """Return the `gains` of images over what is expected: float32 (n or 1, 3, 4), or None for 1.

    Where the images differ among themselves by less than what counts they have one gain.
    """
    gain = gains(expected, images)
    if (abs(gain - 1) < SAME_LIGHT).all():
        return None
    one = gain.mean(0, keepdims=True)  # (1, 3, 4)
    return one if (abs(gain - one) < SAME_LIGHT).all() else gain


def gains(expected: U8, images: U8) -> F32:
    """Return by what the light of each image is that of what is expected: float32 (n, 3, 4).

    `expected` is uint8 (n, rows, columns) or (rows, columns). Exposure, clouds and lamps scale what is seen. The gain
    is the median ratio in each of 3 x 4 regions, so that moving things do not sway it; `bent` gives it for each pixel.
    """
    count, rows, columns = images.shape
    at = looked_at(rows, columns)  # (3, 4, k), k pixels of each region
    now, usual = (part.reshape(-1, rows * columns).take(at, axis=1) for part in (images, expected))  # (n or 1, 3, 4, k)
    # 8 grey levels more on both sides: in the dark a ratio is all noise.
    ratio = (now + np.uint16(8)) / (usual + np.float32(8))  # float32 (n, 3, 4, k)
    gain: F32 = np.sort(ratio, axis=3)[..., at.shape[2] // 2]  # the median of each region: (n, 3, 4)
    whole = np.sort(gain.reshape(count, -1))[:, gain[0].size // 2, None, None]  # of each picture: (n, 1, 1)
    return gain.clip(whole / np.float32(1 + _REGION_MORE), whole * np.float32(1 + _REGION_MORE))


def bent(gain: F32, rows: int, columns: int) -> F32:
    """Return the gain of regions (n, down, across) bent smoothly between their middles: float32 (n, rows, columns)."""
    tall = np.matmul(_tent(gain.shape[1], rows), gain)  # (n, rows, across)
    field: F32 = np.matmul(tall, _tent(gain.shape[2], columns).T)
    return field


@lru_cache(8)
def looked_at(rows: int, columns: int) -> NDArray[np.int64]:
    """Return the flat indices of the pixels of each region that are looked at: int64 (down, across, k)."""
    down, across = min(_REGIONS[0], rows), min(_REGIONS[1], columns)
    high, wide = rows // down, columns // across
    step = max(1, math.isqrt(high * wide // _REGION_PIXELS))
    # Of a sliver a region is thinner than half a step.
    y = np.arange(down)[:, None] * high + np.arange(min(step // 2, high - 1), high, step)  # (down, some rows of it)
    x = np.arange(across)[:, None] * wide + np.arange(min(step // 2, wide - 1), wide, step)  # (across, some columns)
    return (y[:, None, :, None] * columns + x[None, :, None, :]).reshape(down, across, -1)


@lru_cache(8)
def _tent(count: int, length: int) -> F32:
    """Return float32 (length, count): weights that interpolate linearly between the middles of `count` regions."""
    at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    weights = np.maximum(0, 1 - abs(at[:, None] - np.arange(count))).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _relit(samples: U8) -> U8:
    """Return the samples (n, rows, columns) in the light of the one of median brightness.

    Else a wall would show a value of its own in every light, and none of them most of the time.
    """
    order = np.argsort(samples.mean((1, 2)), kind="stable")
    gain = light(samples[order[len(order) // 2]], samples)
    if gain is None:
        return samples
    relit = samples * bent(np.float32(1) / gain, *samples.shape[1:])  # float32
    relit += np.float32(0.5)
    return relit.clip(0, 255).astype(np.uint8)


def usual_picture(samples: U8, near: int) -> U8:
    """Return the value most samples lie within `near` of, per pixel: uint8 (n, rows, columns) to (rows, columns).

    A mode and not a median: someone who stays for half of the time shifts a median, never a mode. Where more than
    half lie about the median they are the mode, and votes need not be counted.
    """
    return _usual(_ranked(samples), near)


def _usual(ranked: U8, near: int) -> U8:
    """Return the `usual_picture` of samples in the order of their values: (n, rows, columns) to (rows, columns)."""
    inside = distance(ranked, ranked[(len(ranked) - 1) // 2]) <= near  # bool (n, rows, columns): about the median
    split = 2 * inside.sum(0, dtype=np.uint16) <= len(ranked)  # bool (rows, columns): where no more than half are
    usual = _mean(ranked, inside)
    if split.any():
        usual[split] = _most(_only(ranked, split), near)
    return usual


def _most(ranked: U8, near: int, valid: Bool | None = None) -> U8:
    """Return the mean of the samples about the one that most (valid) samples lie within `near` of: (n, m) to (m,).

    ranked: in the order of their values, so that the agreement of two samples is told by how far apart they rank: every
    sample is compared with the next, then with the one after that, until none agree any more. valid: bool (n, m), which
    have a vote and get votes.
    """
    votes = np.ones(ranked.shape, np.uint8) if valid is None else valid.astype(np.uint8)  # (n, m): its own first
    for lag in range(1, len(ranked)):
        agrees = ranked[lag:] - ranked[:-lag] <= near  # bool (n - lag, m): sample i + lag with sample i
        if valid is not None:
            agrees &= valid[lag:]
            agrees &= valid[:-lag]
        if not agrees.any():  # nor will any that are further apart in rank
            break
        votes[lag:] += agrees.view(np.uint8)
        votes[:-lag] += agrees.view(np.uint8)
    best = np.take_along_axis(ranked, votes.argmax(0)[None], axis=0)[0]  # (m,): the sample with most votes
    inside = distance(ranked, best) <= near
    return _mean(ranked, inside if valid is None else inside & valid)


def _mean(samples: U8, chosen: Bool) -> U8:
    """Return the mean of the chosen samples of each pixel, rounded; 0 of none: (n, ...) to (...)."""
    total = np.sum(samples * chosen.view(np.uint8), axis=0, dtype=np.uint16)  # 250 samples of 255 are 63,750
    members = np.maximum(np.sum(chosen, axis=0, dtype=np.uint16), 1)
    return ((total + members // 2) // members).astype(np.uint8)


def _uncovered(samples: U8, ranked: U8, usual: U8, near: int) -> U8:
    """Return the background (rows, columns) freed of what stood before it for longer than it was seen itself.

    `ranked` are the samples in the order of their values, `usual` what each pixel shows most.

    Where two values of a pixel last, the longer-lasting is not always the scene: somebody may sit there for most of a
    clip. What stands before a scene has an outline; the scene behind it has none in the same place. So of every
    thing that comes or goes as one, the pictures with it and without are compared, and that which has less gradient
    along the thing's rim is the scene. The test is that by which abandoned objects are told from removed ones, e.g.
    San Miguel and Martinez, "Robust unattended and stolen object detection by fusing simple algorithms", 2008.
    """
    second = _second_value(samples, ranked, usual, near)
    if second is None:
        return usual
    scene = usual.copy()
    for thing in _things(second, usual.shape):  # bool (rows, columns)
        if np.count_nonzero(thing) > _LARGEST * usual.size:
            continue
        of_it = thing.ravel()[second.at]  # bool (m,)
        first, other = (shows[:, of_it].mean(1) for shows in (second.first, second.other))  # (n,): part of it that is
        # Whole pictures are taken when most of the thing is there, or away: who sways has a rim of neither value.
        with_it, without = first > np.maximum(other, _MOST), other > np.maximum(first, _MOST)  # bool (n,)
        if min(np.count_nonzero(with_it), np.count_nonzero(without)) < _TWICE or not _once(with_it, without):
            continue
        box = _box(thing)
        part, (now, then) = thing[box], (_median(samples[which][:, *box]) for which in (with_it, without))
        rim = _grown(part) & _grown(~part)  # one pixel inside and one outside of the outline
        along = _edges(now)[rim]  # float32 (pixels of the rim,)
        drop = along - _edges(then)[rim]  # gradient that goes with the thing
        if drop.sum() > max(_OUTLINE * abs(drop).sum(), _VANISHES * along.sum()):
            np.copyto(scene[box], then, where=_grown(part))
    return scene


def _once(with_it: Bool, without: Bool) -> bool:
    """Tell whether a thing is there for one stretch of the samples, bool (n,) each, hardly interrupted.

    What shows again and again is what is behind others that come and go: nobody returns to the very same place.
    """
    there = np.flatnonzero(with_it)
    return bool(_INTERRUPTED * np.count_nonzero(without[there[0] : there[-1]]) <= len(there))


class _Second(NamedTuple):
    """What m pixels show that show two values clearly apart, each for long.

    at: int64 (m,), their flat indices; first, other: bool (n, m), in which samples they show the usual value, and the
    other one.
    """

    at: NDArray[np.int64]
    first: Bool
    other: Bool


def _second_value(samples: U8, ranked: U8, usual: U8, near: int) -> _Second | None:
    """Return what pixels show most often besides the usual; None when they are too few for a thing."""
    least = max(3, len(samples) // _LASTS)  # samples
    away = distance(samples, usual) > near  # bool (n, rows, columns), in order of time
    where = away.sum(0, dtype=np.uint8) >= least  # bool (rows, columns): the m pixels that matter from here on
    if np.count_nonzero(where) < _THING:
        return None
    seen, first = _only(ranked, where), usual[where]  # (n, m), (m,)
    value = _most(seen, near, distance(seen, first) > near)  # (m,)
    differs = _only(away, where)  # bool (n, m)
    member = differs & (distance(_only(samples, where), value) <= near)  # bool (n, m): who shows it, and when
    votes = member.sum(0)  # int64 (m,)
    lasts = (votes >= least) & (2 * (member[1:] & member[:-1]).sum(0) >= votes)
    lasts &= distance(value, first) > 2 * near
    if np.count_nonzero(lasts) < _THING:
        return None
    return _Second(np.flatnonzero(where)[lasts], ~differs[:, lasts], member[:, lasts])


def _things(second: _Second, shape: tuple[int, int]) -> Iterator[Bool]:
    """Yield the things that come or go as one, each as a mask (rows, columns): pixels that change at the same times.

    A bag that stays and its owner who leaves touch each other, and are two.
    """
    # When each pixel shows the other value, as the bits of a word: uint64 (m,), of at most 64 samples.
    some = second.other[:: -(-len(second.other) // 64)]  # bool (k, m)
    when = (some * (np.uint64(1) << np.arange(len(some), dtype=np.uint64))[:, None]).sum(0, dtype=np.uint64)
    at = second.at
    for _ in range(_AT_ONCE):
        if len(at) < _THING:
            return
        times, counts = np.unique(when, return_counts=True)
        together = np.bitwise_count(when ^ times[counts.argmax()]) <= max(2, len(some) // _TOGETHER)  # bool (m,)
        mask = np.zeros(shape, np.bool_)
        mask.ravel()[at[together]] = True
        at, when = at[~together], when[~together]
        mask |= ~_grown(~_grown(mask))  # closed: noise leaves holes
        if np.count_nonzero(mask) < _THING:
            continue
        of_region = regions(_grown(_grown(mask))) * mask
        numbers, counts = np.unique(of_region, return_counts=True)
        for number in numbers[(counts >= _THING) & (numbers > 0)].tolist():
            yield of_region == number


def _box(mask: Bool) -> tuple[slice, slice]:
    """Return the rows and columns that a mask (rows, columns) and three pixels around it are in."""
    down, right = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(max(0, down[0] - 3), down[-1] + 4), slice(max(0, right[0] - 3), right[-1] + 4)


def _only(pictures: Pictures, where: Bool) -> Pictures:
    """Return pictures[:, where]: (n, rows, columns) to (n, m), picture by picture in memory, which that is not."""
    return pictures.reshape(len(pictures), -1).take(np.flatnonzero(where), axis=1)


def _edges(picture: U8) -> F32:
    """Return the gradient's size, by central differences: float32 (rows, columns), 0 at the picture's own edges."""
    level = picture.astype(np.float32)
    down, right = np.zeros_like(level), np.zeros_like(level)
    down[1:-1] = level[2:] - level[:-2]
    right[:, 1:-1] = level[:, 2:] - level[:, :-2]
    return np.hypot(down, right)


def _grown(mask: Bool) -> Bool:
    """Return a mask (rows, columns) with the eight neighbours of all that is in it."""
    return around(mask.view(np.uint8), np.maximum).astype(np.bool_)


def _median(samples: U8) -> U8:
    """Return the median of each pixel's samples, the lower of two: (n, ...) to (...)."""
    middle: U8 = _ranked(samples)[(len(samples) - 1) // 2]
    return middle


def _ranked(samples: U8) -> U8:
    """Return the samples of each pixel in ascending order: uint8 (n, ...) to the same shape.

    By Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M), which compares
    whole pictures at a time: np.sort would take ten times as long.
    """
    ranked = samples.copy()
    pictures = list(ranked)  # views, each (...)
    lower = np.empty_like(pictures[0])
    for low, high in _exchanges(len(pictures)):
        np.minimum(pictures[low], pictures[high], out=lower)
        np.maximum(pictures[low], pictures[high], out=pictures[high])
        pictures[low][...] = lower
    return ranked


@lru_cache(8)
def _exchanges(count: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of positions to compare and exchange, in turn, that sort `count` values."""
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
