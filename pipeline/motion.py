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
from pipeline.background import Background, distance, find_background, light, usual_picture
from pipeline.errors import ClipError
from pipeline.shake import Shake, moved, shakes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from fractions import Fraction
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Seconds: TypeAlias = NDArray[np.float64]

VERSION = 3
"""Raised whenever the same frames and settings would give another Activity."""

_WORK_PIXELS = 28_000  # of a working image at most: 160 x 120 for 320 x 240, 160 x 90 for 720p, 120 x 67 for 1080p
_CELLS = 640  # of a grid: bounds what an hour of activity weighs
_CELL_SIDE = 16  # pixels: below this a cell is sensor noise
_CHUNK = 16  # working images done by one NumPy call: as many as stay in the second-level cache
_SHADE = 0.5  # of its light is the least that a shadow leaves: the sky lights it still
_SHADE_WEIGHT = 0.25  # of a difference that may be a shadow's: a plain coat before a plain wall looks the same
_SUNLIT = 50  # grey levels: what is darker in the background casts no shadow that can be told from noise
_SAME_FACTOR = 0.07  # factors this near are one: three grey levels of 40 where two would be noise
_SUPPORT = 4  # cells' worth of difference within 3 x 3 that let a share stand: a thing of 2 x 2 cells
_STEP = 8  # of a stored share: finer ones are noise, and would take twice the space
_UNSEEN = 32  # grey levels: the `contrast` at an edge that shaking brings into the picture
_EVEN = 0x00FF00FF00FF00FF  # every other byte: room for sums of 257 of them
_GATHER = 0x0001000100010001


class MeasureSettings(BaseModel):
    """What `measure` may be told; the defaults suit fixed cameras, by day and by night."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_hz: float = Field(15.0, gt=0, le=240, description="frames measured at most, the rest is interpolated (Hz)")
    horizon_s: float = Field(120.0, ge=1, le=3600, description="how long before and after the background is from (s)")
    block_s: float = Field(60.0, ge=0.5, le=600, description="how often the background is found anew (s)")
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
        self.box = 2 ** max(0, math.ceil(math.log2(side)))  # whole 32-bit words: rows are summed four pixels at a time
        if min(height, width) < self.box:  # a sliver: thousands of pixels by a handful
            self.box = 1
        self.shape = (height // self.box, width // self.box)
        self.scratch = np.empty((2, self.shape[0], self.shape[1] * self.box), np.uint8)
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
        # Bytes are summed four or two to a word, in lanes of sixteen bits: every other byte of all four rows of a small
        # box, all bytes of the middle row of a larger one. Memory bounds the speed: each further row that is touched
        # costs as much as half of the arithmetic after it.
        word, even, gather = (np.uint64, _EVEN, _GATHER) if box >= 8 else (np.uint32, _EVEN >> 32, _GATHER >> 32)
        total, more = (part.view(word) for part in self.scratch)
        if box == 4:
            read = [plane[row : box * rows : box, : box * columns].view(word) for row in range(box)]
            np.bitwise_and(read[0], word(even), out=total)
            for words in read[1:]:
                total += np.bitwise_and(words, word(even), out=more)
        else:
            words = plane[box // 2 : box * rows : box, : box * columns].view(word)
            np.right_shift(words, word(8), out=total)
            total &= word(even)
            total += np.bitwise_and(words, word(even), out=more)
        per = max(1, box // 8)
        sums = total[:, ::per] + total[:, 1::per] if per > 1 else total
        for n in range(2, per):
            sums += total[:, n::per]
        # A multiplication gathers the lanes in the uppermost; they are means of 8 pixels, or of as many as a row has.
        sums *= word(gather)
        sums >>= word(8 * word().itemsize - 16)
        count = max(8, box)
        sums += word(count // 2)
        sums >>= word(count.bit_length() - 1)
        image: U8 = sums.astype(np.uint8)
        return image

    def cells(self, images: U8) -> NDArray[np.int64]:
        """Sum working pixels over cells: (n, rows, columns) to (n, R, C)."""
        by_row = _fold(images, self.per, self.grid[0])
        return _fold(by_row.swapaxes(1, 2), self.per, self.grid[1]).swapaxes(1, 2).astype(np.int64)


def _fold(images: NDArray[np.unsignedinteger[Any]], per: int, count: int) -> NDArray[np.uint32]:
    """Sum runs of `per` along the middle axis into `count` cells, the last of them taking what remains."""
    per = min(per, images.shape[1])
    whole = images[:, : count * per].reshape(len(images), count, per, -1)
    sixteen = images.dtype == np.uint8 and per < 255
    total: NDArray[np.uint32] = np.add.reduce(whole, axis=2, dtype=np.uint16 if sixteen else np.uint32).astype(
        np.uint32
    )
    if count * per < images.shape[1]:
        total[:, -1] += images[:, count * per :].sum(1, dtype=np.uint32)
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
        return _Block(stack, at, stack[kept], at[kept], distance(stack[later], stack[earlier]))


def _spread(times: Seconds, count: int, first: float, last: float) -> NDArray[np.int64]:
    """Return at most `count` distinct indices into increasing `times`, evenly spread between two times."""
    wanted = np.linspace(first, last, count)
    right = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    return np.unique(np.where(wanted - times[left] < times[right] - wanted, left, right))


def _with_background(reader: _Reader, settings: MeasureSettings) -> Iterator[list[U8]]:
    """Yield the raw cells of every block in turn, each once the blocks within the horizon after it are read."""
    held: list[_Block] = []
    current = 0
    finder = _Finder(settings)
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
        yield _compare(block, *finder(block, held), reader.plan, settings.full)
        block.images = block.kept  # the past is needed for its samples only
        current += 1


@dataclass(slots=True)
class _Finder:
    """Finds the background of a block from the blocks around it; the same pictures are looked at once."""

    settings: MeasureSettings
    times: Seconds = field(default_factory=lambda: np.empty(0))
    background: Background | None = None

    def __call__(self, block: _Block, held: list[_Block]) -> tuple[Background, Shake | None]:
        settings = self.settings
        times = np.concatenate([b.kept_times for b in held])
        first = max(times[0], block.times[0] - settings.horizon_s)
        last = min(times[-1], block.times[-1] + settings.horizon_s)
        picked = _spread(times, settings.samples, first, last)
        pool = [pair for b in held for pair in zip(b.kept, b.unrest, strict=True)]
        samples, restless = (np.stack(images) for images in zip(*(pool[i] for i in picked), strict=True))
        shake = None
        if shakes(np.concatenate([samples[:: len(samples) // 4 + 1], block.kept[:: len(block.kept) // 4 + 1]])):
            shake = Shake(block.kept[len(block.kept) // 2])
            # The first reference is a single picture, blurred perhaps; the second is what most of them agree on.
            shake = Shake(usual_picture(np.stack([shake.steady(image) for image in samples]), settings.same_levels))
            samples = np.stack([shake.steady(image) for image in samples])
        elif self.background is not None and np.array_equal(times[picked], self.times):
            return self.background, None
        found = find_background(
            samples, restless, same_levels=settings.same_levels, contrast=settings.contrast, unrest=settings.unrest
        )
        self.times, self.background = times[picked], None if shake else found
        return found, shake


def _compare(block: _Block, known: Background, shake: Shake | None, plan: _Plan, full: int) -> list[U8]:
    """Return the raw cells of every working image of a block."""
    steady = known.lowest, known.highest
    out = []
    for start in range(0, len(block.images), _CHUNK):
        images = block.images[start : start + _CHUNK]
        here, (lowest, highest) = known, steady
        if shake is not None:
            here = _shaken(known, [shake.shift(image) for image in images])
        gain = light(here.usual, images)
        if gain is not None:
            lit = np.minimum(here.usual * gain + np.float32(0.5), np.float32(255)).astype(np.uint8)
            here = Background(lit, here.below, here.above)
        if here is not known:
            lowest, highest = here.lowest, here.highest
        darker = np.maximum(images, lowest)
        np.subtract(darker, images, out=darker)
        _lift_shadows(darker, images, here.usual)
        brighter = np.maximum(images, highest)
        np.subtract(brighter, highest, out=brighter)
        np.maximum(darker, brighter, out=darker)
        sums = plan.cells(np.minimum(darker, np.uint8(full), out=darker))
        sums *= 255
        sums //= plan.area * full
        out.append(sums.astype(np.uint8))
    return out


def _shaken(known: Background, shifts: list[tuple[float, float]]) -> Background:
    """Return the background as it lies in each of some displaced images; what comes in at an edge is hardly known."""
    below, above = (
        np.stack([moved(room, *shift, outside=_UNSEEN) for shift in shifts]) for room in (known.below, known.above)
    )
    return Background(np.stack([moved(known.usual, *shift) for shift in shifts]), below, above)


def _lift_shadows(darker: U8, images: U8, usual: U8) -> None:
    """Let shadows weigh little, in place: `darker` is by how much each working pixel is darker than its background.

    A shadow darkens what is there by a factor and adds no edge: a pixel and those beside it are that much darker, and
    all by the same factor.
    """
    at = np.flatnonzero(darker > 0)
    if not len(at):
        return
    shown, scene = images.ravel(), usual.ravel()

    def factor(places: NDArray[np.int64]) -> F32:
        places = np.clip(places, 0, shown.size - 1)
        return (shown[places] + np.float32(4)) / (scene[places % scene.size] + np.float32(4))

    at = at[(factor(at) >= _SHADE) & (scene[at % scene.size] >= _SUNLIT)]
    row = images.shape[2]
    edge = np.maximum(abs(factor(at - 1) - factor(at + 1)), abs(factor(at - row) - factor(at + row)))
    at = at[edge < _SAME_FACTOR]
    flat = darker.ravel()
    flat[at] = (flat[at] * np.float32(_SHADE_WEIGHT)).astype(np.uint8)


def _finish(cells: U8, times: Seconds, settings: MeasureSettings) -> U8:
    """Damp what no neighbour in space supports, average neighbours in time, drop what is below the floor."""
    share = np.zeros_like(cells)
    near = np.concatenate([[False], np.diff(times) <= settings.smooth_s, [False]])
    busy = np.pad(cells.any((1, 2)), 1)  # most frames of most cameras hold nothing at all
    kept = np.flatnonzero(busy[:-2] | busy[1:-1] | busy[2:])
    last = len(cells) - 1
    for start in range(0, len(kept), _CHUNK):
        here = kept[start : start + _CHUNK]
        # The first has none before it and takes itself for it, with a weight of 0.
        of, place = np.unique(np.concatenate([here - 1, here, here + 1]).clip(0, last), return_inverse=True)
        level = cells[of].astype(np.float32)
        level = np.sqrt(level * np.minimum(_around(level) / _SUPPORT, 255))
        earlier, now, later = level[place].reshape(3, len(here), *level.shape[1:])
        before, after = (near[here + n].astype(np.float32)[:, None, None] for n in (0, 1))
        total = (now + earlier * before + later * after) / (1 + before + after)
        total[total < settings.floor * 255] = 0
        share[here] = _stepped(total)
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
