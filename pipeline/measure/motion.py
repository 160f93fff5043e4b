"""Measures motion: from luma planes to an Activity, with no threshold of an operator's.

Each plane is reduced at once to a small working image; the background of every stretch of time is the value each
working pixel shows most often in the minutes around it, so a clip needs no time to warm up and leaves no ghosts.

Shapes: n working images, uint8 (n, rows, columns), become as many raw cells, uint8 (n, R, C); `finish` makes shares of
them. N is the number of all frames, n that of those measured.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import operator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pipeline.activity import Activity, Depth
from pipeline.errors import ClipError
from pipeline.holes import longest_step, usual_step
from pipeline.measure.background import Background, bent, distance, find_background, light, usual_picture
from pipeline.measure.beams import is_dark, lift_beams
from pipeline.measure.grid import Grid
from pipeline.measure.leaves import Whole, calmed, leaves_of
from pipeline.measure.lights import Lights, Lit, backgrounds, halves, lights_of, still_cells, varied, worth
from pipeline.measure.shadows import lift_shadows
from pipeline.measure.shake import Shake, moved, shakes
from pipeline.measure.shares import between, finish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pipeline.measure.grid import Unsigned

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Seconds: TypeAlias = NDArray[np.float64]

VERSION = 7
"""Raised whenever the same frames and settings would give another Activity.

Not when clips with holes began to be measured part by part: no other clip's changed, and whole archives would have been
out of date. `ingest --remeasure --all` measures them anew.
"""

_CHUNK = 16  # working images done by one NumPy call: as many as stay in the second-level cache
_KNOWN = 5  # frames, of which three agree on the scene: below it all of a clip is cold, however long it lasts
_A_BLOCK = 100  # frames at least are of one block, and by twice as many around it: a slow camera has few in a minute
_UNSEEN = 32  # grey levels: the `contrast` at an edge that shaking brings into the picture


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
    quarter of the sum over that square of 2 x 2 cells around it which holds most. A single cell keeps half of it.
    Changes of light and shaking of the camera are taken out first. Of cells of leaves and water the mean is looked at
    too, and what they usually show is taken off. Shares are stored in steps of 1/32. What comes after a hole longer
    than `horizon_s` is measured as a clip of its own: nothing of the light before it is left.

    Deterministic. Memory is bounded by `horizon_s` times `rate_hz` working images (about 15 to 28 kB each), or some
    hundreds of a camera with less than two frames a second, besides the result. Raises ClipError when there are no
    frames, when their size changes or when time runs backwards.
    """
    settings = settings or MeasureSettings()
    second = float(time_base)
    reader = _Reader(frames, second, settings)
    recordings = [
        list(_with_background(blocks, reader, settings))
        for _, blocks in itertools.groupby(reader, key=operator.attrgetter("recording"))
    ]
    if reader.grid is None:
        raise ClipError("decode", "wanted at least one frame, got no frames; the clip holds no picture")
    pts = np.array(reader.pts, np.int64)  # (N,)
    measured = np.array(reader.measured, np.int64)  # (n,): which frames were
    at = (pts[measured] * second).astype(np.float64)  # (n,): seconds
    ends = np.cumsum([0, *(sum(len(cells) for cells, _ in blocks) for blocks in recordings)])
    spans = [slice(*ends) for ends in itertools.pairwise(ends)]  # of `at`, the frames of each recording
    calm = [calmed(blocks, at[span]) for blocks, span in zip(recordings, spans, strict=True)]
    share = finish(
        calm[0] if len(calm) == 1 else np.concatenate(calm), at, smooth_s=settings.smooth_s, floor=settings.floor
    )  # (n, R, C)
    longest = max(at[span][-1] - at[span][0] for span in spans) if len(spans) > 1 else (pts[-1] - pts[0]) * second
    before = np.searchsorted(measured, np.arange(len(pts)), side="right") - 1  # (N,): the one at or before each frame
    layout = reader.grid.layout
    return Activity(
        share=between(share, before, measured, pts) if len(measured) < len(pts) else share,
        pts=pts,
        luma=np.concatenate(reader.luma)[before],
        time_base=time_base,
        cold=len(pts) if longest < settings.known_s or len(measured) < _KNOWN else 0,
        width=layout.width,
        height=layout.height,
        version=settings.version(),
        cell_side=layout.side,
        depth=Depth.FULL,
    )


@dataclass(slots=True)
class _Block:
    """A stretch of n working images, and the k of them that are kept for its neighbours' sake.

    chunks: uint8 (_CHUNK, rows, columns) each, the last one shorter. times: float64 (n,), seconds. kept, unrest: uint8
    (k, rows, columns), images and how much each pixel changes within a moment then; kept_times: float64 (k,), seconds.
    recording: how many holes longer than the horizon come before it.
    """

    chunks: list[U8]
    times: Seconds
    kept: U8
    kept_times: Seconds
    unrest: U8
    recording: int


@dataclass(slots=True)
class _Reader:
    """Reads frames into blocks of working images; remembers every pts, and which frames were measured."""

    frames: Iterable[tuple[int, U8]]
    second: float  # length of one tick
    settings: MeasureSettings
    pts: list[int] = field(default_factory=list)  # of every frame
    measured: list[int] = field(default_factory=list)  # which frames are, as positions in `pts`
    luma: list[U8] = field(default_factory=list)  # mean brightness of those, chunk by chunk: (up to _CHUNK,) each
    grid: Grid | None = None  # known from the first frame on
    samples: list[Unsigned] = field(default_factory=list)  # of planes that are not reduced yet
    chunks: list[U8] = field(default_factory=list)  # working images of the block that is being read
    recording: int = 0  # of that block

    def _take(self, plane: U8) -> None:
        """Sample a plane (H, W). Raises ValueError for what is no plane, ClipError for another size than the first."""
        if self.grid is None:
            if plane.dtype != np.uint8 or plane.ndim != 2 or 0 in plane.shape:
                raise ValueError(f"wanted luma planes uint8 (H, W), got {plane.dtype} {plane.shape}")
            self.grid = Grid(*plane.shape)
        if plane.shape != self.grid.size:
            (h, w), (new_h, new_w) = self.grid.size, plane.shape
            raise ClipError(
                "decode",
                f"wanted one size, got {new_w} x {new_h} after {w} x {h} at frame {len(self.pts)}: split the clip",
            )
        self.samples.append(self.grid.sample(plane))
        if len(self.samples) == _CHUNK:
            self._reduce(self.grid)

    def _reduce(self, grid: Grid) -> None:
        """Make working images of the samples there are: a chunk of the block, and its frames' mean brightness."""
        images = grid.reduce(self.samples)  # (up to _CHUNK, rows, columns)
        self.samples.clear()
        self.chunks.append(images)
        some = images[:, :: max(1, images.shape[1] // 32), :: max(1, images.shape[2] // 32)]  # as good a mean as all
        self.luma.append(some.mean((1, 2), dtype=np.float32).round().astype(np.uint8))

    def __iter__(self) -> Iterator[_Block]:
        times: list[float] = []
        least = 0.9 / self.settings.rate_hz / self.second  # 0.9: a time base of whole milliseconds rounds frame times
        last = started = -math.inf
        length = self.settings.block_s / self.second
        for pts, plane in self.frames:
            if self.pts and pts <= self.pts[-1]:
                raise ClipError(
                    "decode", f"wanted times that increase, got pts {pts} after {self.pts[-1]} at frame {len(self.pts)}"
                )
            if pts - last < least and self.grid is not None and plane.shape == self.grid.size:
                self.pts.append(pts)
                continue
            paused = self._paused(pts)
            if (pts - started >= length and not 0 < len(times) < _A_BLOCK) or paused:
                if times:
                    yield self._block(times)
                    times = []
                started = pts
                self.recording += paused
            self._take(plane)
            self.measured.append(len(self.pts))
            self.pts.append(pts)
            times.append(pts * self.second)
            last = pts
        if times:
            yield self._block(times)

    def _paused(self, pts: int) -> bool:
        """Tell whether there is a hole longer than the horizon between the last frame and one at `pts`."""
        if not self.pts or (pts - self.pts[-1]) * self.second <= self.settings.horizon_s:
            return False
        usual = usual_step(np.array(self.pts, np.int64))
        return len(self.pts) > 1 and pts - self.pts[-1] > longest_step(usual, Fraction(self.second))

    def _block(self, times: list[float]) -> _Block:
        """Return what was read since the last block, at these times in seconds."""
        if self.samples and self.grid is not None:
            self._reduce(self.grid)
        chunks, self.chunks = self.chunks, []
        at = np.array(times)
        kept = _spread(at, self.settings.samples, at[0], at[-1])  # (k,)
        pictures, unrest = _taken(chunks, at, kept, lag=self.settings.unrest_lag_s)
        return _Block(chunks, at, pictures, at[kept], unrest, self.recording)


def _taken(chunks: list[U8], times: Seconds, index: NDArray[np.int64], *, lag: float) -> tuple[U8, U8]:
    """Return images of a block and how much each pixel changes within `lag` seconds then: (k, rows, columns) both."""
    # Each is compared with the image `lag` later, or the block's last; that one with the image before it.
    later = np.minimum(np.searchsorted(times, times[index] + lag - 1e-6), len(times) - 1)  # (k,)
    earlier = np.where(later > index, index, np.maximum(index - 1, 0))
    pictures, after, before = (
        np.stack([chunks[i // _CHUNK][i % _CHUNK] for i in at.tolist()]) for at in (index, later, earlier)
    )
    return pictures, distance(after, before)


def _spread(times: Seconds, count: int, first: float, last: float) -> NDArray[np.int64]:
    """Return at most `count` distinct indices into increasing `times`, evenly spread between two times: int64 (k,)."""
    wanted = np.linspace(first, last, count)
    # The two on both sides of each wanted time, of which the nearer is taken.
    right = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    return np.unique(np.where(wanted - times[left] < times[right] - wanted, left, right))


def _with_background(blocks: Iterator[_Block], reader: _Reader, settings: MeasureSettings) -> Iterator[tuple[U8, F32]]:
    """Yield the raw cells of every block of a recording in turn, and how much each is one of leaves (see `calmed`).

    Each comes once the blocks within the horizon after it are read.
    """
    held: list[_Block] = []
    current = 0
    finder = _Finder(settings)
    while True:
        while current == len(held) or held[-1].times[-1] - held[current].times[-1] < _reach_s(held, settings):
            ahead = next(blocks, None)
            if ahead is None:
                break
            held.append(ahead)
        if current == len(held) or reader.grid is None:
            return
        block = held[current]
        reach = _reach_s(held, settings)
        while held[0].times[-1] < block.times[0] - reach:
            del held[0]
            current -= 1
        scene = finder(block, held, reader.grid)
        yield np.concatenate(_compare(block, scene, reader.grid, settings.full)), scene.leaves
        block.chunks.clear()  # the past is needed for its samples only
        current += 1


def _reach_s(held: list[_Block], settings: MeasureSettings) -> float:
    """Return how far before and after a block its background is from: longer where frames are far apart."""
    step = (held[-1].times[-1] - held[0].times[0]) / max(1, sum(len(block.times) for block in held) - 1)
    return settings.horizon_s * max(1.0, float(step) * _A_BLOCK / settings.block_s)


class _Scene(NamedTuple):
    """What a block is compared with. leaves: float32 (R, C), see `leaves_of`; whole: what to see before them with.

    lights: those of the block, where there are several.
    """

    background: Background
    shake: Shake | None
    leaves: F32
    whole: Whole | None
    lights: Lights | None = None


@dataclass(slots=True)
class _Finder:
    """Finds the scene of a block from the blocks around it; the same pictures are looked at once."""

    settings: MeasureSettings
    times: Seconds = field(default_factory=lambda: np.empty(0))  # of the samples that `scene` is from
    scene: _Scene | None = None  # found last, unless the camera shook

    def __call__(self, block: _Block, held: list[_Block], grid: Grid) -> _Scene:
        times, samples, restless = self._samples(block, held)
        shake = self._shake(block, samples, alone=len(held) == 1)
        if shake is not None:
            samples = _steadied(samples, shake)
        elif self.scene is not None and np.array_equal(times, self.times):
            return self._in_lights(self.scene, block, held, grid)
        known = self._background(samples, restless)
        leaves = leaves_of(known, grid)
        whole = Whole.find(samples, known, leaves, grid) if leaves.any() and not shake else None
        found = _Scene(known, shake, leaves, whole)
        self.times, self.scene = times, None if shake else found
        return found if shake else self._in_lights(found, block, held, grid)

    def _background(self, samples: U8, restless: U8, contrast: float = 1) -> Background:
        """Return the background of samples; contrast: theirs beside that of the scene's best light, 0 to 1."""
        near, knobs = self._near(contrast), self.settings
        return find_background(samples, restless, same_levels=near, contrast=knobs.contrast, unrest=knobs.unrest)

    def _near(self, contrast: float) -> int:
        """Return how near values are one surface in a light: at half the contrast, half as near; below is noise."""
        return round(self.settings.same_levels * max(contrast, 0.5))

    def _in_lights(self, scene: _Scene, block: _Block, held: list[_Block], grid: Grid) -> _Scene:
        """Return the scene of a block in its lights, where it has several: the same where it has one."""
        if not varied(scene.background, block.kept):
            return scene
        # One a second: a light that stays must cost no more than seconds.
        first, last = block.times[0], block.times[-1]
        index = _spread(block.times, 1 + math.ceil(last - first), first, last)
        dense = _taken(block.chunks, block.times, index, lag=self.settings.unrest_lag_s)
        reach = self.settings.horizon_s
        near = [b for b in held if b.times[-1] >= first - reach and b.times[0] <= last + reach]
        parts = [dense if b is block else (b.kept, b.unrest) for b in near]
        pictures, restless = (np.concatenate(images) for images in zip(*parts, strict=True))
        of_each = [
            (len(group), pictures[some], restless[some])
            for group in lights_of(halves(pictures), still_cells(scene.background.trembles))
            if len(some := group[:: math.ceil(len(group) / self.settings.samples)])
        ]
        found = backgrounds(of_each, find=self._background, near=self._near)
        if not worth(found, scene.background, pictures):
            return scene
        leaves = leaves_of(found[0], grid)
        wholes = [
            Whole.find(samples, known, leaves, grid) if leaves.any() else None
            for known, (_, samples, _) in zip(found, of_each, strict=True)
        ]
        lights = Lights(tuple(map(Lit, found, wholes)), still_cells(scene.background.trembles))
        return _Scene(found[0], None, leaves, wholes[0], lights)

    def _samples(self, block: _Block, held: list[_Block]) -> tuple[Seconds, U8, U8]:
        """Return times (k,), images and their unrest (k, rows, columns), evenly spread over the horizon of a block."""
        times = np.concatenate([b.kept_times for b in held])
        reach = _reach_s(held, self.settings)
        first, last = max(times[0], block.times[0] - reach), min(times[-1], block.times[-1] + reach)
        picked = _spread(times, self.settings.samples, first, last)
        pool = [pair for b in held for pair in zip(b.kept, b.unrest, strict=True)]
        samples, restless = (np.stack(images) for images in zip(*(pool[i] for i in picked), strict=True))
        return times[picked], samples, restless

    def _shake(self, block: _Block, samples: U8, *, alone: bool) -> Shake | None:
        """Return how to find the camera's displacement in an image of the block, or None when it stands still.

        alone: the samples are all of this block.
        """
        probes = samples[:: len(samples) // 6 + 1]
        if not alone:
            probes = np.concatenate([probes, block.kept[:: len(block.kept) // 4 + 1]])
        if not shakes(probes):
            return None
        # The first reference is a single picture, blurred perhaps; the second is what most of them agree on.
        rough = Shake(block.kept[len(block.kept) // 2])
        return Shake(usual_picture(_steadied(samples, rough), self.settings.same_levels))


def _steadied(images: U8, shake: Shake) -> U8:
    """Return images (n, rows, columns) moved back onto what the shake is found against."""
    return np.stack([shake.steady(image) for image in images])


def _compare(block: _Block, scene: _Scene, grid: Grid, full: int) -> list[U8]:
    """Return the raw cells of every working image of a block, chunk by chunk: uint8 (up to _CHUNK, R, C) each."""
    known, shake, _, whole, lights = scene
    full = max(1, round(full * known.faint))
    steady = known.lowest, known.highest
    most = np.full_like(known.usual, full)  # a scalar in its place would take twenty times as long
    dark = is_dark(known.usual)
    scale = np.float32(255.01 / full) / grid.area  # beyond 255, or a full cell might be rounded down to 254
    out = []
    for images in block.chunks:  # (n, rows, columns), as all below that is not said to be of cells
        here, (lowest, highest) = known, steady
        if lights is not None:
            here, whole = lights.seen(images)
        if shake is not None:
            here = _shaken(known, [shake.shift(image) for image in images])
        gain = light(here.usual, images)
        if gain is not None:
            here = replace(here, usual=_lit(here.usual, gain))
        if here is not known:
            lowest, highest = here.lowest, here.highest
        # By how much each pixel is darker than the darkest, and brighter than the brightest, that is background.
        darker = np.maximum(images, lowest)
        np.subtract(darker, images, out=darker)
        lift_shadows(darker, images, here.usual)
        brighter = np.maximum(images, highest)
        np.subtract(brighter, highest, out=brighter)
        if dark:
            lift_beams(brighter, images, here.usual)
        away = np.maximum(darker, brighter, out=darker)  # one of the two is 0
        cells = (grid.cells(np.minimum(away, most, out=away), full) * scale).astype(np.uint8)  # (n, R, C)
        out.append(cells if whole is None else whole.look(cells, images, gain, grid, full))
    return out


def _lit(usual: U8, gain: F32) -> U8:
    """Return the background in the light of some images: (rows, columns) or (n, rows, columns) to the latter."""
    lit = usual * bent(gain, *usual.shape[-2:])  # float32
    lit += np.float32(0.5)
    np.minimum(lit, np.float32(255), out=lit)
    level: U8 = lit.astype(np.uint8)
    return level


def _shaken(known: Background, shifts: list[tuple[float, float]]) -> Background:
    """Return the background as it lies in each of n displaced images: usual, below and above (n, rows, columns).

    shifts: (down, right) of each image in working pixels. What comes in at an edge is hardly known.
    """
    below, above = (
        np.stack([moved(room, *shift, outside=_UNSEEN) for shift in shifts]) for room in (known.below, known.above)
    )
    usual = np.stack([moved(known.usual, *shift) for shift in shifts])
    return replace(known, usual=usual, below=below, above=above)
