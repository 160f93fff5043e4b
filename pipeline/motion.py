"""Measures motion: from luma planes to an Activity, with no threshold of an operator's.

Each plane is reduced at once to a small working image; the background of every stretch of time is the value each
working pixel shows most often in the minutes around it, so a clip needs no time to warm up and leaves no ghosts.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pipeline.activity import Activity
from pipeline.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from fractions import Fraction
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Seconds: TypeAlias = NDArray[np.float64]

VERSION = 2
"""Raised whenever the same frames and settings would give another Activity."""

_WORK_PIXELS = 28_000  # of a working image: 160 x 120 for 320 x 240, 160 x 90 for 16:9 pictures of any size
_CELLS = 640  # of a grid: bounds what an hour of activity weighs
_CELL_SIDE = 16  # pixels: below this a cell is sensor noise
_CHUNK = 16  # working images done by one NumPy call: as many as stay in the second-level cache
_REGIONS = (3, 4)  # of light, down and across: a cloud is larger than this, a car is smaller
_SUPPORT = 4  # cells' worth of difference within 3 x 3 that let a share stand: a thing of 2 x 2 cells
_STEP = 8  # of a stored share: finer ones are noise, and would take twice the space
_UNSEEN = 32  # grey levels: the `contrast` at an edge that shaking brings into the picture
_REACH = 4  # a camera shakes by a quarter of the picture at most
_STEADY = 0.25  # working pixels: a displacement below this is not told from noise
_EVEN = np.uint32(0x00FF00FF)  # every other byte: room for sums of 257 of them


class MeasureSettings(BaseModel):
    """What `measure` may be told; the defaults suit fixed cameras, by day and by night."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_hz: float = Field(15.0, gt=0, le=240, description="frames measured at most, the rest is interpolated (Hz)")
    horizon_s: float = Field(120.0, ge=1, le=3600, description="how long before and after the background is from (s)")
    block_s: float = Field(20.0, ge=0.5, le=600, description="how often the background is found anew (s)")
    samples: int = Field(24, ge=3, le=250, description="pictures the background is found from (count)")
    same_levels: int = Field(8, ge=1, le=64, description="values this near are one surface (grey levels of 255)")
    contrast: int = Field(6, ge=0, le=64, description="difference that counts as nothing (grey levels of 255)")
    full: int = Field(32, ge=1, le=128, description="difference beyond `contrast` that counts fully (grey levels)")
    unrest: float = Field(2.0, ge=0, le=16, description="a pixel's own unrest raises `contrast` this much (factor)")
    unrest_lag_s: float = Field(0.4, gt=0, le=5, description="unrest is the change over this long (s)")
    smooth_s: float = Field(0.15, ge=0, le=2, description="neighbouring frames this near are averaged (s)")
    floor: float = Field(0.02, ge=0, lt=1, description="a share below this is stored as 0 (share of the cell)")
    known_s: float = Field(2.0, ge=0, le=60, description="a clip shorter than this is all cold (s)")

    def version(self) -> str:
        """Return the version of `measure` with a digest of these settings, e.g. "1-5f2c9ab04e"."""
        return f"{VERSION}-{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:10]}"


def measure(
    frames: Iterable[tuple[int, NDArray[np.uint8]]], *, time_base: Fraction, settings: MeasureSettings | None = None
) -> Activity:
    """Measure the motion of one clip.

    `frames` gives (pts, plane): pts in units of `time_base` seconds, increasing; plane uint8 (H, W), the luma, any
    row stride, read only until the next step. Returns one (R, C) share for every frame. Cells are squares of whole
    working pixels from the top left corner; what remains at the right and bottom edge belongs to the last cell.

    A cell's share is the mean over its working pixels of how far each is from the background (0 below the pixel's own
    noise, 1 at `contrast + full` grey levels), damped where the cells around do not agree: the geometric mean with a
    quarter of the sum over 3 x 3 cells, which halves a single cell and leaves a thing of 2 x 2 cells as it is.
    Changes of light and shaking of the camera are taken out first. Shares are stored in steps of 1/32.

    Deterministic. Memory is bounded by `horizon_s` times `rate_hz` working images (about 15 to 28 kB each) besides
    the result. Raises ClipError when there are no frames, when their size changes or when time runs backwards.
    """
    settings = settings or MeasureSettings()
    second = float(time_base)
    reader = _Reader(frames, second, settings)
    cells = [grid for block in _with_background(reader, settings) for grid in block]
    if reader.plan is None:
        raise ClipError("decode", "wanted at least one frame, got no frames; the clip holds no picture")
    times = np.array(reader.pts, np.int64)
    index = np.array(reader.chosen, np.int64)
    share = _finish(np.concatenate(cells), (times[index] * second).astype(np.float64), settings)
    before = np.searchsorted(index, np.arange(len(times)), side="right") - 1  # the measured frame at or before each
    height, width = reader.plan.size
    return Activity(
        share=_between(share, before, index, times) if len(index) < len(times) else share,
        pts=times,
        luma=np.concatenate(reader.luma)[before],
        time_base=time_base,
        cold=len(times) if (times[-1] - times[0]) * second < settings.known_s else 0,
        width=width,
        height=height,
        version=settings.version(),
    )


class _Plan:
    """How one size of picture becomes working images and cells."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        side = math.sqrt(height * width / _WORK_PIXELS)
        # Boxes of 2, or of whole 32-bit words: rows are summed four pixels at a time.
        self.box = 1 if side <= 1 else 2 if side <= 2 else 4 * math.ceil(side / 4)
        if min(height, width) < self.box:  # a sliver: thousands of pixels by a handful
            self.box = 1
        self.shape = (height // self.box, width // self.box)
        # Every other pixel of three rows is read of a large box: touching all would cost more than the arithmetic
        # after it, and half as many let moving leaves through, which only a mean over the whole box evens out.
        self.picked = [0, 1, 2, 3] if self.box == 4 else [(2 * n + 1) * self.box // 6 for n in range(3)]
        self.scratch = np.empty((2, self.shape[0], self.shape[1] * self.box // 4), np.uint32)
        per = max(_CELL_SIDE / self.box, math.sqrt(height * width / _CELLS) / self.box)
        self.per = max(1, math.ceil(per - 1e-9))
        self.grid = (max(1, self.shape[0] // self.per), max(1, self.shape[1] // self.per))
        self.area = self.cells(np.ones((1, *self.shape), np.uint8))  # working pixels of each cell

    def reduce(self, plane: U8) -> U8:
        """Return the working image of a plane: box means, uint8 (rows, columns)."""
        box, (rows, columns) = self.box, self.shape
        if plane.strides[1] != 1:
            plane = np.ascontiguousarray(plane)
        if box == 1:
            return plane[:rows, :columns].copy()
        if box == 2:
            pairs = plane[: 2 * rows, : 2 * columns].view(np.uint16)
            pairs = (pairs & np.uint16(255)) + (pairs >> np.uint16(8))
            return ((pairs[::2] + pairs[1::2] + np.uint16(2)) >> np.uint16(2)).astype(np.uint8)
        total, more = self.scratch
        read = [plane[row : box * rows : box, : box * columns].view(np.uint32) for row in self.picked]
        np.bitwise_and(read[0], _EVEN, out=total)
        for words in read[1:]:
            total += np.bitwise_and(words, _EVEN, out=more)
        sums = total[:, :: box // 4].copy()
        for word in range(1, box // 4):
            sums += total[:, word :: box // 4]
        sums *= np.uint32(0x00010001)  # both 16-bit lanes meet in the upper one
        sums >>= np.uint32(16)
        count = len(self.picked) * box // 2
        sums += np.uint32(count // 2)
        sums //= np.uint32(count)
        return sums.astype(np.uint8)

    def cells(self, images: U8) -> NDArray[np.int64]:
        """Sum working pixels over cells: (n, rows, columns) to (n, R, C)."""
        by_row = _fold(images, self.per, self.grid[0], axis=1)
        return _fold(by_row, self.per, self.grid[1], axis=2).astype(np.int64)


def _fold(images: NDArray[np.uint8] | NDArray[np.uint32], per: int, count: int, *, axis: int) -> NDArray[np.uint32]:
    """Sum runs of `per` along an axis into `count` cells, the last of them taking what remains."""
    shape = list(images.shape)
    shape[axis] = count
    total = np.zeros(shape, np.uint32)
    source, target = np.moveaxis(images, axis, -1), np.moveaxis(total, axis, -1)
    length = source.shape[-1]
    for offset in range(min(per, length)):
        target += source[..., offset : count * per : per]
    for rest in range(count * per, length):
        target[..., -1] += source[..., rest]
    return total


@dataclass(slots=True)
class _Block:
    """A stretch of working images with their times in seconds, and the few kept of it for its neighbours' sake."""

    images: U8
    times: Seconds
    kept: U8
    kept_times: Seconds
    unrest: U8


@dataclass(slots=True)
class _Reader:
    """Reads frames into blocks of working images; remembers every pts, and which frames were measured."""

    frames: Iterable[tuple[int, U8]]
    second: float  # length of one tick
    settings: MeasureSettings
    pts: list[int] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    luma: list[U8] = field(default_factory=list)  # mean brightness of the measured frames, block by block
    plan: _Plan | None = None

    def _reduce(self, plane: U8) -> U8:
        if self.plan is None:
            if plane.dtype != np.uint8 or plane.ndim != 2 or 0 in plane.shape:
                raise ValueError(f"wanted luma planes uint8 (H, W), got {plane.dtype} {plane.shape}")
            self.plan = _Plan(*plane.shape)
        if plane.shape != self.plan.size:
            (h, w), (new_h, new_w) = self.plan.size, plane.shape
            raise ClipError(
                "decode",
                f"wanted one size, got {new_w} x {new_h} after {w} x {h} at frame {len(self.pts)}: split the clip",
            )
        return self.plan.reduce(plane)

    def __iter__(self) -> Iterator[_Block]:
        images: list[U8] = []
        times: list[float] = []
        least = 0.9 / self.settings.rate_hz / self.second  # 0.9: a time base of whole milliseconds rounds frame times
        last = started = -math.inf
        length = self.settings.block_s / self.second
        for pts, plane in self.frames:
            if self.pts and pts <= self.pts[-1]:
                raise ClipError(
                    "decode", f"wanted times that increase, got pts {pts} after {self.pts[-1]} at frame {len(self.pts)}"
                )
            if pts - last < least and self.plan is not None and plane.shape == self.plan.size:
                self.pts.append(pts)
                continue
            image = self._reduce(plane)
            if pts - started >= length:
                if images:
                    yield self._block(images, times)
                    images, times = [], []
                started = pts
            self.chosen.append(len(self.pts))
            self.pts.append(pts)
            images.append(image)
            times.append(pts * self.second)
            last = pts
        if images:
            yield self._block(images, times)

    def _block(self, images: list[U8], times: list[float]) -> _Block:
        stack, at = np.stack(images), np.array(times)
        rows = stack[:, :: max(1, stack.shape[1] // 32)]  # about 32 rows make as good a mean as all
        self.luma.append(rows.mean((1, 2), dtype=np.float32).round().astype(np.uint8))
        kept = _spread(at, self.settings.samples, at[0], at[-1])
        later = np.minimum(np.searchsorted(at, at[kept] + self.settings.unrest_lag_s - 1e-6), len(at) - 1)
        earlier = np.where(later > kept, kept, np.maximum(kept - 1, 0))
        return _Block(stack, at, stack[kept], at[kept], _distance(stack[later], stack[earlier]))


def _spread(times: Seconds, count: int, first: float, last: float) -> NDArray[np.int64]:
    """Return at most `count` distinct indices into increasing `times`, evenly spread between two times."""
    wanted = np.linspace(first, last, count)
    right = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    return np.unique(np.where(wanted - times[left] < times[right] - wanted, left, right))


def _distance(a: U8, b: U8) -> U8:
    """Return |a - b| of uint8 without widening."""
    high: U8 = np.maximum(a, b)
    high -= np.minimum(a, b)
    return high


def _with_background(reader: _Reader, settings: MeasureSettings) -> Iterator[list[U8]]:
    """Yield the raw cells of every block in turn, each once the blocks within the horizon after it are read."""
    held: list[_Block] = []
    current = 0
    blocks = iter(reader)
    while True:
        while current == len(held) or held[-1].times[-1] - held[current].times[-1] < settings.horizon_s:
            ahead = next(blocks, None)
            if ahead is None:
                break
            held.append(ahead)
        if current == len(held) or reader.plan is None:
            return
        block = held[current]
        while held[0].times[-1] < block.times[0] - settings.horizon_s:
            del held[0]
            current -= 1
        yield _compare(block, held, reader.plan, settings)
        block.images = block.kept  # the past is needed for its samples only
        current += 1


def _compare(block: _Block, held: list[_Block], plan: _Plan, settings: MeasureSettings) -> list[U8]:
    times = np.concatenate([b.kept_times for b in held])
    first = max(times[0], block.times[0] - settings.horizon_s)
    last = min(times[-1], block.times[-1] + settings.horizon_s)
    picked = _spread(times, settings.samples, first, last)
    pool = [pair for b in held for pair in zip(b.kept, b.unrest, strict=True)]
    samples, restless = (np.stack(images) for images in zip(*(pool[i] for i in picked), strict=True))
    shake = None
    if _shakes(np.concatenate([samples[:: len(samples) // 4 + 1], block.kept[:: len(block.kept) // 4 + 1]])):
        shake = _Shake(block.kept[len(block.kept) // 2])
        # The first reference is a single picture, blurred perhaps; the second is what most of them agree on.
        shake = _Shake(_usual(np.stack([shake.steady(image) for image in samples]), settings.same_levels))
        samples = np.stack([shake.steady(image) for image in samples])
    usual = _usual(samples, settings.same_levels)
    noise = np.minimum(_median(restless), _median(_distance(samples, usual)))
    limit = np.clip(settings.contrast + settings.unrest * noise, 0, 255).round().astype(np.uint8)
    out = []
    for start in range(0, len(block.images), _CHUNK):
        images = block.images[start : start + _CHUNK]
        if shake is None:
            expected, limits = np.broadcast_to(usual, images.shape), np.broadcast_to(limit, images.shape)
        else:
            shifts = [shake.shift(image) for image in images]
            expected = np.stack([_moved(usual, *shift) for shift in shifts])
            limits = np.stack([_moved(limit, *shift, outside=_UNSEEN) for shift in shifts])
        differs = _distance(images, _same_light(expected, images))
        np.maximum(differs, limits, out=differs)
        differs -= limits
        np.minimum(differs, np.uint8(settings.full), out=differs)
        sums = plan.cells(differs)
        sums *= 255
        sums //= plan.area * settings.full
        out.append(sums.astype(np.uint8))
    return out


def _usual(samples: U8, near: int) -> U8:
    """Return the value most samples lie within `near` of, per pixel: uint8 (n, rows, columns) to (rows, columns).

    A mode and not a median: someone who stays for half of the time shifts a median, never a mode.
    """
    count = len(samples)
    votes = np.ones(samples.shape, np.uint8)
    for lag in range(1, count):
        agrees = (_distance(samples[lag:], samples[:-lag]) <= near).view(np.uint8)
        votes[lag:] += agrees
        votes[:-lag] += agrees
    best, most = samples[0].copy(), votes[0].copy()
    for sample, vote in zip(samples[1:], votes[1:], strict=True):
        better = vote > most
        np.copyto(best, sample, where=better)
        np.copyto(most, vote, where=better)
    inside = _distance(samples, best) <= near
    total = np.sum(samples, axis=0, dtype=np.uint32, where=inside)
    members = np.sum(inside, axis=0, dtype=np.uint32)
    return ((total + members // 2) // members).astype(np.uint8)


def _median(samples: U8) -> U8:
    """Return the lower median over the first axis, found bit by bit: np.median would take ten times as long."""
    median = np.zeros(samples.shape[1:], np.uint8)
    half = (len(samples) - 1) // 2
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        trial = median | np.uint8(bit)
        below = np.add.reduce((samples < trial).view(np.uint8), axis=0, dtype=np.uint8)
        np.copyto(median, trial, where=below <= half)
    return median


def _same_light(expected: U8, images: U8) -> U8:
    """Return the background in the light of each image: the camera's exposure or a cloud scales what is seen.

    The gain is the median ratio in each of 3 x 4 regions, so that moving things do not sway it, and bent smoothly
    between their middles. A region follows the whole picture within 15 %: what covers more of it is no cloud.
    """
    count, rows, columns = images.shape
    down, across = min(_REGIONS[0], rows), min(_REGIONS[1], columns)
    high, wide = rows // down, columns // across
    step = max(1, math.isqrt(high * wide // 100))  # about 100 working pixels a region are enough for a median
    # 8 grey levels more on both sides: in the dark a ratio is all noise.
    now, usual = (
        part[:, : down * high, : across * wide].reshape(-1, down, high, across, wide)[:, :, ::step, :, ::step]
        for part in (images, expected)
    )
    ratio = (now + np.uint16(8)) / (usual + np.float32(8))
    gain = np.median(ratio.transpose(0, 1, 3, 2, 4).reshape(count, down, across, -1), axis=3)
    middle = np.median(gain.reshape(count, -1), axis=1)[:, None, None]
    gain = gain.clip(middle / np.float32(1.15), middle * np.float32(1.15))
    if (abs(gain - 1) < 1 / 128).all():
        return expected
    level = expected * np.matmul(np.matmul(_tent(down, rows), gain), _tent(across, columns).T)
    level += np.float32(0.5)
    light: U8 = np.minimum(level, np.float32(255)).astype(np.uint8)
    return light


def _tent(count: int, length: int) -> F32:
    """Return float32 (length, count): weights that interpolate linearly between the middles of `count` regions."""
    at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(count))).astype(np.float32)


class _Shake:
    """Finds how far an image is displaced from a reference, by phase correlation on the working images.

    Kuglin and Hines, "The phase correlation image alignment method", 1975; the peak is refined by a parabola.
    """

    def __init__(self, reference: U8) -> None:
        rows, columns = reference.shape
        self.reference = reference
        self.window = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1]).astype(np.float32)
        self.spectrum = np.conj(self._transform(reference))

    def _transform(self, image: U8) -> NDArray[np.complex64]:
        return np.fft.rfft2((image - np.float32(image.mean())) * self.window).astype(np.complex64)

    def shift(self, image: U8) -> tuple[float, float]:
        """Return (down, right) in working pixels; (0, 0) unless that explains the image clearly better."""
        product = self._transform(image) * self.spectrum
        product /= np.abs(product) + np.float32(1e-6)
        surface = np.fft.irfft2(product, s=image.shape)
        reach = np.array(image.shape) // _REACH
        near = np.roll(surface, tuple(reach), (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
        y, x = divmod(int(near.argmax()), near.shape[1])
        down = y - reach[0] + _vertex(near[y - 1 : y + 2, x])
        right = x - reach[1] + _vertex(near[y, x - 1 : x + 2])
        if abs(down) < _STEADY and abs(right) < _STEADY:
            return 0.0, 0.0
        # A large vehicle can have the highest peak; clipped differences tell whether the whole scene moved with it.
        still = np.minimum(_distance(image, self.reference), np.uint8(32)).sum()
        moved = np.minimum(_distance(image, _moved(self.reference, down, right)), np.uint8(32)).sum()
        return (float(down), float(right)) if moved < 0.9 * still else (0.0, 0.0)

    def steady(self, image: U8) -> U8:
        """Return the image moved back onto the reference."""
        down, right = self.shift(image)
        return _moved(image, -down, -right)


def _vertex(values: NDArray[np.floating[Any]]) -> float:
    """Return where a parabola through three values has its top, -0.5 to 0.5 from the middle one."""
    if len(values) < 3:
        return 0.0
    left, middle, right = (float(v) for v in values)
    curve = left - 2 * middle + right
    return min(0.5, max(-0.5, 0.5 * (left - right) / curve)) if curve < 0 else 0.0


def _shakes(images: U8) -> bool:
    """Tell whether two or more of the images are displaced from the middle one."""
    if min(images.shape[1:]) < 2 * _REACH:
        return False
    probe = _Shake(images[len(images) // 2])
    return sum(probe.shift(image) != (0.0, 0.0) for image in images) >= 2


def _moved(image: U8, down: float, right: float, *, outside: int | None = None) -> U8:
    """Return the image displaced by a fraction of a pixel; what comes in is `outside`, or the edge repeated."""
    level: F32 = image.astype(np.float32)
    for axis, by in ((0, down), (1, right)):
        part = np.float32(by - math.floor(by))
        at = np.arange(image.shape[axis]) - math.floor(by)
        last = image.shape[axis] - 1
        near, far = level.take(at.clip(0, last), axis), level.take((at - 1).clip(0, last), axis)
        level = near + (far - near) * part
        if outside is not None:
            np.moveaxis(level, axis, 0)[(at < math.ceil(part)) | (at > last)] = outside
    return (level + np.float32(0.5)).astype(np.uint8)


def _finish(cells: U8, times: Seconds, settings: MeasureSettings) -> U8:
    """Damp what no neighbour in space supports, average neighbours in time, drop what is below the floor."""
    share = np.empty_like(cells)
    near = np.concatenate([[False], np.diff(times) <= settings.smooth_s, [False]])
    for start in range(0, len(cells), 512):
        stop = min(start + 512, len(cells))
        low, high = max(0, start - 1), min(len(cells), stop + 1)
        level = cells[low:high].astype(np.float32)
        level = np.sqrt(level * np.minimum(_around(level) / _SUPPORT, 255))
        here = np.arange(start - low, stop - low)
        before, after = (near[start + n : stop + n].astype(np.float32)[:, None, None] for n in (0, 1))
        # The first has none before it and takes the last's for it, with a weight of 0.
        total = level[here] + level[here - 1] * before + level[np.minimum(here + 1, len(level) - 1)] * after
        total /= 1 + before + after
        total[total < settings.floor * 255] = 0
        share[start:stop] = _stepped(total)
    return share


def _stepped(level: F32) -> U8:
    return np.minimum(np.round(level / _STEP) * _STEP, np.float32(255)).astype(np.uint8)


def _around(level: F32) -> F32:
    """Sum the 3 x 3 cells around each cell, those there are: (n, R, C) to (n, R, C)."""
    padded = np.pad(level, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total: F32 = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return total


def _between(share: U8, before: NDArray[np.int64], index: NDArray[np.int64], times: NDArray[np.int64]) -> U8:
    """Return a share for every frame, linear in time between those measured (`index`)."""
    full = np.empty((len(times), *share.shape[1:]), np.uint8)
    after = np.minimum(before + 1, len(index) - 1)
    gap = np.maximum(times[index[after]] - times[index[before]], 1)
    part = ((times - times[index[before]]) / gap).astype(np.float32)
    part[after == before] = 0
    for start in range(0, len(times), 512):
        rows = slice(start, start + 512)
        low = share[before[rows]].astype(np.float32)
        low += (share[after[rows]] - low) * part[rows, None, None]
        full[rows] = _stepped(low)
    return full
