"""Tells lights apart: which pictures of a clip were taken in one light, and what the scene shows in each.

A light that differs from another by more than a gain has a background of its own, found from the pictures in it. It
changes many cells and leaves their texture; a thing takes its place, however large it is and however long it stands.

Shapes: n pictures uint8 (n, rows, columns) of working pixels; halves float32 (n, h, w), means of 2 x 2 of them, whose
cells of light are (n, a, b), squares of 4 x 4 halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.measure.background import SAME_LIGHT, Background, bent, distance, gains, light, looked_at
from pipeline.measure.grid import around

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pipeline.measure.leaves import Whole

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Bool: TypeAlias = NDArray[np.bool_]
    Index: TypeAlias = NDArray[np.int64]

_SIDE = 4  # halves: of a cell of light, as large as a cell of the grid
_CHANGES = 6  # grey levels: a cell that differs by less on average hardly counts as moving
_TEXTURE = 4  # grey levels from one half to the next but one: four times what a sensor's noise leaves there
_GONE = 0.2  # of it is less than a new shadow leaves beside its edge
_TREMBLES = 128  # of 255: where leaves cover half of a cell its texture tells nothing
_FAR = 3  # times as near as one surface: a value that another light tells is so far from what is seen at most
_KEPT = 0.5  # correlation of gradients: noise in the dark leaves that much of a texture, a thing next to nothing
_NEGATIVE = 1 / 3  # of all cells turn, and it is light; of those of a thing a tenth do by chance
_OTHER = 1 / 3  # of all cells at most have a texture of their own in another light
_PART = 1 / 20  # of the picture that one lamp lights at least; the shadow of a walker is smaller
_SURER = 2  # cells whose texture stays against one whose texture goes: a thing keeps some by chance
_CHUNK = 8  # halves of pictures that stay in the cache while they are compared
_LEAST = 3  # pictures that make a light: two may be one passing change
_WORTH = 0.5  # of what strays from one background is left at most when several are told apart
_LOOKED_AT = 12  # pictures tell whether there may be another light
_MOST = 6  # lights of a minute; more are steps on the way from one of these to another
_SHARE = 8  # so few of them take most of the pictures, and the largest at least an eighth: else it is wind
_PLAIN = 12  # grey levels by which lights differ where a mixture of both is told from noise
_CLIPPED = 32  # grey levels: a visitor of any contrast must not outweigh the scene
_BETTER = 0.8  # of that misfit is left at most where a mixture explains a picture


@dataclass(frozen=True, slots=True, eq=False)
class Lit:
    """What the scene shows in one light; whole: see `leaves.Whole`."""

    background: Background
    whole: Whole | None


@dataclass(frozen=True, slots=True, eq=False)
class Lights:
    """Two or more lights of one scene. still: bool (a, b), the cells of light where no leaves move."""

    all: tuple[Lit, ...]
    still: Bool

    def seen(self, images: U8) -> tuple[Background, Whole | None]:
        """Return what images (n, rows, columns), one after another, are compared with.

        In one light that is its background. Between two it is a mixture of both, usual (n, rows, columns).
        """
        misfit = np.stack([misfits(lit.background.usual, images) for lit in self.all])  # (lights, n)
        best = misfit.argmin(0)
        lit = self.all[int(np.bincount(best).argmax())]
        some = np.array(sorted({0, len(images) // 2, len(images) - 1}))
        seen = halves(images[some])
        if (best == best[0]).all() and not differ(halves(lit.background.usual[None])[0], seen, self.still).any():
            return lit.background, lit.whole
        pairs = [(one, other) for n, one in enumerate(self.all) for other in self.all[:n]]
        tried = [mixture(one.background.usual, other.background.usual, images) for one, other in pairs]
        after = [float(misfits(mixed, images).sum()) for mixed in tried]
        n = int(np.argmin(after))
        one, other, mixed = *pairs[n], tried[n]
        if differ(halves(mixed[some]), seen, self.still).any():
            finer = [fine_mixture(one.background.usual, other.background.usual, images) for one, other in pairs]
            left = [float(misfits(mixed, images).sum()) for mixed in finer]
            if min(left) < _BETTER * after[n]:
                n = int(np.argmin(left))
                one, other, mixed = *pairs[n], finer[n]
        below = np.maximum(one.background.below, other.background.below)
        above = np.maximum(one.background.above, other.background.above)
        return Background(mixed, below, above, lit.background.trembles), None


def fine_mixture(a: U8, b: U8, images: U8) -> U8:
    """Return a `mixture` fitted cell by cell, for images that no other explains: who is there fades for that moment."""
    one = a.astype(np.float32)
    apart = b - one
    part = _cells(apart * (images - one), 2 * _SIDE) / np.maximum(_cells((apart * apart)[None], 2 * _SIDE), 1)
    mixed = one + bent(part.clip(0, 1), *a.shape) * apart
    return (mixed + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def mixture(a: U8, b: U8, images: U8) -> U8:
    """Return the mixture of two backgrounds that fits each image best, region by region: uint8 (n, rows, columns)."""
    rows, columns = a.shape
    at = looked_at(rows, columns)  # (down, across, k)
    one, other = (part.reshape(-1).take(at).astype(np.float32) for part in (a, b))  # (down, across, k)
    now = images.reshape(len(images), -1).take(at, axis=1)  # (n, down, across, k)
    apart = other - one
    tells = abs(apart) > _PLAIN
    if not tells.any():
        return np.broadcast_to(a, images.shape)
    part = ((now - one) / np.where(tells, apart, 1)).clip(0, 1)
    part[:, ~tells] = np.inf
    told = tells.sum(2)  # int64 (down, across)
    whole = _middle(part.reshape(len(images), -1), told.sum())  # (n,)
    # Regions that hardly tell take what the whole picture does.
    regions = np.where(told < at.shape[2] // 8, whole[:, None, None], _middle(part, told))
    mixed = a + bent(regions, rows, columns) * (b - a.astype(np.float32))
    return (mixed + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def _middle(values: F32, counts: NDArray[np.int64]) -> F32:
    """Return the median of the `counts` least values, the others being infinite: (n, ..., k) to (n, ...)."""
    ranked = np.sort(values, axis=-1)
    low, high = (
        np.broadcast_to(at, values.shape[:-1])[..., None] for at in (np.maximum(counts - 1, 0) // 2, counts // 2)
    )
    middle: F32 = (np.take_along_axis(ranked, low, -1) + np.take_along_axis(ranked, high, -1))[..., 0] / np.float32(2)
    return middle


def misfits(usual: U8, images: U8) -> F32:
    """Return by how much images (n, rows, columns) differ from a background in their light: grey levels, (n,)."""
    at = looked_at(*images.shape[1:])
    gain = light(usual, images)
    expected = usual.reshape(-1, usual.shape[-2] * usual.shape[-1]).take(at, axis=1).astype(np.float32)
    if gain is not None:
        expected = expected * gain[..., None]
    away = abs(images.reshape(len(images), -1).take(at, axis=1) - expected)  # (n, down, across, k)
    misfit: F32 = np.minimum(away, np.float32(_CLIPPED)).mean((1, 2, 3))
    return misfit


def varied(known: Background, pictures: U8) -> bool:
    """Tell whether pictures (n, rows, columns) may show lights of more than one background; visitors may, too."""
    if min(pictures.shape[1:]) < 2 * _SIDE:
        return False
    strays = np.flatnonzero(_strays(known, pictures) > _PART)
    if len(strays) < 2:  # of which one may be on the way
        return False
    some = halves(pictures[strays[:: len(strays) // _LOOKED_AT + 1]])
    return bool(differ(halves(known.usual[None])[0], some, still_cells(known.trembles)).any())


def worth(found: Sequence[Background], known: Background, pictures: U8) -> bool:
    """Tell whether several backgrounds explain pictures clearly better than the one that is known without them."""
    if len(found) < 2:
        return False
    left = np.min([_strays(background, pictures) for background in found], axis=0)
    return float(left.sum()) < _WORTH * float(_strays(known, pictures).sum())


def _strays(known: Background, pictures: U8) -> F32:
    """Return what part of pictures (n, rows, columns) is not background in any gain: float32 (n,), 0 to 1."""
    count, rows, columns = pictures.shape
    at = looked_at(rows, columns)
    gain = light(known.usual, pictures)
    usual, below, above = (part.reshape(-1).take(at) for part in (known.usual, known.below, known.above))
    lit = usual * (np.float32(1) if gain is None else gain[..., None])  # (n, down, across, k)
    now = pictures.reshape(count, -1).take(at, axis=1)
    away = ((now < lit - below) | (now > lit + above)) & (known.trembles.reshape(-1).take(at) == 0)
    part: F32 = away.mean((1, 2, 3), dtype=np.float32)
    return part


def halves(pictures: U8) -> U8:
    """Return means of 2 x 2: uint8 (n, rows, columns) to (n, rows // 2, columns // 2)."""
    rows, columns = (length // 2 * 2 for length in pictures.shape[1:])
    tall = pictures[:, :rows:2, :columns].astype(np.uint16) + pictures[:, 1:rows:2, :columns]
    return ((tall[:, :, ::2] + tall[:, :, 1::2] + np.uint16(2)) >> np.uint16(2)).astype(np.uint8)


def _cells(level: F32, side: int = _SIDE) -> F32:
    """Return the means of cells of light: (n, h, w) to (n, h // side, w // side)."""
    rows, columns = level.shape[1] // side, level.shape[2] // side
    level = level[:, : rows * side, : columns * side]
    # Whole rows are added, then whole columns: a mean over two axes would take three times as long.
    tall = level[:, ::side].copy()
    for n in range(1, side):
        tall += level[:, n::side]
    total: F32 = tall[:, :, ::side].copy()
    for n in range(1, side):
        total += tall[:, :, n::side]
    total /= np.float32(side * side)
    return total


def _gradients(level: F32) -> tuple[F32, F32]:
    down, right = np.empty((2, *level.shape), np.float32)
    np.subtract(level[:, 2:], level[:, :-2], out=down[:, 1:-1])
    np.subtract(level[:, :, 2:], level[:, :, :-2], out=right[:, :, 1:-1])
    down[:, [0, -1]] = 0
    right[:, :, [0, -1]] = 0
    return down, right


def _each_light(expected: U8, pictures: U8) -> F32 | None:
    """Return the `light` that each picture has by itself: float32 (n, 3, 4), or None where all have 1."""
    gain = gains(expected, pictures)
    gain[(abs(gain - 1) < SAME_LIGHT).all((1, 2))] = 1
    return None if (gain == 1).all() else gain


def differ(expected: U8, pictures: U8, still: Bool, *, together: bool = True) -> F32:
    """Return the part of each picture that another light changes, 0 for one that a gain explains or a thing does.

    expected: (h, w) or (n, h, w); pictures: (n, h, w), both halves; still: bool (a, b), where no leaves move.
    together: see the pictures in one gain where theirs hardly differ. Returns float32 (n,), 0 to 1.

    A cell whose texture stays has gradients that go along with those of before, whatever gain and offset they got;
    to tell light from thing by that: Ohta, "A statistical approach to background subtraction for surveillance
    systems", 2001, and the normalised cross-correlation of many after it.
    """
    gain = light(expected, pictures) if together else _each_light(expected, pictures)
    expected = expected.reshape(-1, *pictures.shape[1:])
    found = np.empty(len(pictures), np.float32)
    for start in range(0, len(pictures), _CHUNK):
        some = slice(start, start + _CHUNK)
        lit = (expected if len(expected) == 1 else expected[some]).astype(np.float32)
        if gain is not None:
            lit = lit * bent(gain if len(gain) == 1 else gain[some], *pictures.shape[1:])
            np.minimum(lit, np.float32(255), out=lit)
        found[some] = _differ(lit, pictures[some].astype(np.float32), still)
    return found


def _differ(lit: F32, level: F32, still: Bool) -> F32:
    """Return it of few pictures, float32 (n, h, w), and what is expected in their light, (1 or n, h, w)."""
    away = level - lit
    changed = _cells(np.abs(away, out=away)) > _CHANGES  # bool (n, a, b)
    changed &= still
    found = np.zeros(len(level), np.float32)
    may = changed.mean((1, 2), dtype=np.float32) >= _PART  # bool (n,): few pictures of most scenes, and no more is due
    if not may.any():
        return found
    changed = changed[may]
    textured, along = _texture(lit[may] if len(lit) > 1 else lit, level[may])
    gone = changed & textured & (along < _GONE)
    kept = changed & textured & (along > _KEPT)
    stays, goes = (cells.sum((1, 2)) for cells in (kept, gone))
    part = (kept | (changed & ~textured)).mean((1, 2), dtype=np.float32)
    found[may] = np.where((stays > _SURER * goes) & (part >= _PART), part, np.float32(0))
    return found


def still_cells(trembles: U8) -> Bool:
    """Return the cells of light where no leaves move: uint8 (rows, columns), see `Background`, to bool (a, b)."""
    still: Bool = _cells(halves(trembles[None]).astype(np.float32))[0] < _TREMBLES
    return still


def _texture(was: F32, now: F32) -> tuple[Bool, F32]:
    """Return which cells have a texture, and how far it stays: bool and -1 to 1, (n, a, b), of halves (n, h, w).

    Infrared turns most textures of a picture into their negative: where it does they stay. A thing does so by chance.
    """
    (down, right), (was_down, was_right) = _gradients(now), _gradients(was)
    along = _cells(_dots(down, was_down, right, was_right))
    energy, was_energy = (
        _cells(_dots(down, down, right, right)),
        _cells(_dots(was_down, was_down, was_right, was_right)),
    )
    along /= np.sqrt(energy * was_energy + np.float32(1e-3))
    textured = np.maximum(energy, was_energy) > _TEXTURE**2
    negative = np.count_nonzero(textured & (along < -_KEPT), axis=(1, 2)) > _NEGATIVE * textured[0].size  # bool (n,)
    along[negative] = abs(along[negative])
    return textured, along


def _dots(a: F32, b: F32, c: F32, d: F32) -> F32:
    """Return a * b + c * d."""
    total: F32 = a * b
    total += c * d
    return total


def backgrounds(
    of_each: list[tuple[int, U8, U8]],
    *,
    find: Callable[[U8, U8, float], Background],
    near: Callable[[float], int],
) -> list[Background]:
    """Return what the scene shows in each light, freed of who stands there for most of one light but not of all.

    of_each: how many pictures a light has, and some of those with their unrest, uint8 (n, rows, columns) both. find:
    gives the background of samples of a contrast, 0 to 1; near: how near values are one surface at a contrast.
    """
    spread = np.array([np.ptp(np.percentile(samples[:: len(samples) // 3], (10, 90))) for _, samples, _ in of_each])
    contrast = [float(one) for one in spread / max(1, *spread)] if len(of_each) > 1 else []
    known = [find(samples, restless, c) for (_, samples, restless), c in zip(of_each, contrast, strict=False)]
    freed = []
    for n, (c, (length, samples, restless)) in enumerate(zip(contrast, of_each, strict=False)):
        others = []
        for k, (other_length, other, _) in enumerate(of_each):
            # As many votes as its time is worth beside that of this light.
            count = min(len(other), round(len(samples) * other_length / length))
            if k != n and count:
                index = np.linspace(0, len(other) - 1, count).round().astype(np.int64)
                others.append(carried(other[index], known[k].usual, known[n].usual))
        others = [samples[:0], *others]
        more = votes(samples, np.concatenate(others), near(c))
        index = np.concatenate([np.arange(len(samples)), np.arange(len(more)) % len(samples)])
        freed.append(find(np.concatenate([samples, more]), restless[index], c))
    return freed


def carried(samples: U8, was: U8, now: U8) -> U8:
    """Return samples (n, rows, columns) of one light in another, by what the scene shows in both: (rows, columns) each.

    Each pixel by its own gain; where a thing stands in one of the two, by the gain around it. None where that would be
    a third of the picture: infrared shows some of it otherwise, and tells nothing of who stands there by day.
    """
    coarse_was, coarse = (halves(picture[None]).astype(np.float32) for picture in (was, now))
    textured, along = _texture(coarse_was, coarse)
    differs = textured & (along < _KEPT)  # bool (1, a, b)
    if np.count_nonzero(differs) > _OTHER * differs.size:
        return samples[:0]
    thing = around(differs.view(np.uint8), np.maximum).astype(np.bool_)
    means, was_means = _cells(coarse) * ~thing, _cells(coarse_was) * ~thing
    gain = np.ones_like(means)
    unknown = thing.copy()
    gain[~thing] = (means[~thing] + 1) / (was_means[~thing] + 1)
    while unknown.any() and not unknown.all():
        weight = around((~unknown).astype(np.float32))
        near = around(gain * ~unknown) / np.maximum(weight, 1)
        found = unknown & (weight > 0)
        gain[found] = near[found]
        unknown &= ~found
    cover = bent(thing.astype(np.float32), *now.shape)[0]
    own = (now + np.float32(1)) / (was + np.float32(1))
    lit: U8 = (samples * (own + (bent(gain, *now.shape)[0] - own) * cover)).clip(0, 255).astype(np.uint8)
    return lit


def votes(samples: U8, others: U8, near: int) -> U8:
    """Return what others (m, rows, columns) say of the values that samples (n, rows, columns) show, as more samples.

    What no sample shows is what only another light shows: there a sample speaks for itself again.
    """
    more = samples[np.arange(len(others)) % len(samples)]
    for n, other in enumerate(others):
        away = distance(samples, other)  # (n, rows, columns)
        nearest = np.take_along_axis(samples, away.argmin(0)[None], axis=0)[0]
        known = (away.min(0) <= _FAR * near) & ((distance(samples, nearest) <= near).sum(0) >= _LEAST)
        more[n][known] = nearest[known]
    return more


def lights_of(pictures: U8, still: Bool) -> list[Index]:
    """Return which of some pictures were taken in each light: positions int64, the light of most pictures first.

    pictures: uint8 (n, h, w), halves, in order of time; still: see `Lights`. What is on the way from one light to
    another is in none.
    """
    groups = _groups(pictures, still)
    typical = [np.median(pictures[_some(group)], axis=0).astype(np.uint8) for group in groups]
    chosen = _chosen(np.stack(typical), still) if len(groups) > 1 else []
    while len(chosen) > 1:
        away = np.stack([differ(typical[n], pictures, still) for n in chosen])  # (lights, n)
        fits = np.stack([misfits(typical[n], pictures) for n in chosen])
        best = np.where(away.min(0) == 0, np.where(away == 0, fits, np.inf).argmin(0), -1)
        found = [np.flatnonzero(best == n) for n in range(len(chosen))]
        lasting = [n for n, one in zip(chosen, found, strict=True) if _lasts(one)]
        if lasting == chosen:
            return sorted(found, key=len, reverse=True)
        chosen = lasting
    return []


def _lasts(group: Index) -> bool:
    """Tell whether pictures are enough for a light, and mostly come one after another."""
    return len(group) >= _LEAST and 2 * int((np.diff(group) == 1).sum()) >= len(group)


def _some(group: list[int]) -> list[int]:
    return group[:: len(group) // 9 + 1]


def _groups(pictures: U8, still: Bool) -> list[list[int]]:
    """Return groups of pictures in one light, the largest first; each has its first picture for a measure.

    None where hardly a picture is in the light of another, as in wind.
    """
    groups: list[list[int]] = []
    same: list[Bool] = []  # of each group, which pictures are in its light: (n,)
    last = -1
    for n in range(len(pictures)):
        if last < 0 or not same[last][n]:
            last = next((k for k in range(len(groups)) if same[k][n]), len(groups))
            if last == len(groups):
                if last >= 2 * _MOST and 2 * last > n:
                    return []
                groups.append([])
                away = differ(pictures[n], pictures[n:], still, together=False)
                same.append(np.concatenate([np.zeros(n, np.bool_), away == 0]))
        groups[last].append(n)
    lasting = sorted((group for group in groups if len(group) >= _LEAST), key=len, reverse=True)
    return lasting if lasting and _SHARE * len(lasting[0]) >= len(pictures) else []


def _chosen(typical: U8, still: Bool) -> list[int]:
    """Return which of pictures (n, h, w), of a light each, are needed to explain all of them: positions, in turn.

    The first is, then always the one that those and mixtures of two of them explain worst.
    """
    chosen = [0]
    apart = np.ones(len(typical), np.float32)  # by what part each differs from all that explains it
    while True:
        one = typical[chosen[-1]]
        for k in (None, *chosen[:-1]):
            left = np.flatnonzero(apart)
            if not len(left):
                return chosen
            expected = one if k is None else mixture(one, typical[k], typical[left])
            apart[left] = np.minimum(apart[left], differ(expected, typical[left], still, together=False))
        if len(chosen) == _MOST or not apart.any():
            return chosen
        chosen.append(int(apart.argmax()))
