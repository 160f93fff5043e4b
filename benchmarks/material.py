"""What decisions are measured on, each clip measured once: nuisances, composites, labelled sequences, clips, fleets.

`python -m benchmarks.material --cache FOLDER` keeps FOLDER/GROUP__NAME.npz (`Activity.to_bytes`) and beside it a .json
with the truth, so that ways to decide are tried in seconds. What is there already is not measured again.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks import composites, nuisances, quality, report
from pipeline.activity import Activity
from pipeline.errors import ClipError
from pipeline.measure.motion import measure
from pipeline.media.decode import open_video
from pipeline.span import NS, Span, parse_iso
from simulation.arrivals import Arrival, arrivals
from simulation.feeder import Feeder, FolderSink, film_reels, reels_of
from simulation.fleet import Fleet, Mix, make_fleet
from simulation.settings import FleetSettings
from simulation.traffic import sights
from storage.go_program import cache_folder
from workers.settings import BatchSettings

U8 = NDArray[np.uint8]
Frames = Iterable[tuple[int, U8]]

GROUPS = ("nuisances", "composites", "labelled", "clips", "fleet-continuous", "fleet-motion")
_START_NS = parse_iso("2026-01-31T00:00:00Z")
_MINUTE_NS = 60 * NS
# Of a day: a night hour without anybody, noon, the busiest hour of daylight, and an evening in the dark.
_HOURS = (2, 12, 17, 19)


@dataclass(frozen=True)
class Truth:
    """What is known of one clip.

    visible: half-open ranges of frames in which somebody is visible, None where nobody knows. scored: the frames that
    are scored, half-open. half: "chosen" or "shown": by which constants may be chosen, and which only show. camera,
    start_ns, dark: of a fleet's clips, whose camera has a past.
    """

    group: str
    name: str
    kind: str
    half: str
    frames: int
    rate: float
    visible: tuple[tuple[int, int], ...] | None
    frames_scored: tuple[int, int]
    camera: str = ""
    start_ns: int = 0
    dark: bool = False

    @property
    def key(self) -> str:
        """What its files are called."""
        return f"{self.group}__{self.name}".replace("/", "-")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what `save` wrote."""
        known = json.loads(path.read_text(encoding="utf-8"))
        seen = known["visible"]
        known["visible"] = None if seen is None else tuple((first, end) for first, end in seen)
        return cls(**known | {"frames_scored": tuple(known["frames_scored"])})


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip with its truth; `opened` runs something over its (pts, plane) and time base, as often as one likes."""

    truth: Truth
    opened: Callable[[Callable[[Frames, Fraction], Any]], Any]


class Job(Protocol):
    """Makes some clips, in a process of its own."""

    @property
    def keys(self) -> Sequence[str]:
        """The files its clips will have, () when that shows only later."""
        ...

    @property
    def prefix(self) -> str:
        """What the keys of all its clips begin with."""
        ...

    @property
    def is_compared(self) -> bool:
        """Tell whether other rules judge its clips too: they take many times as long as measuring."""
        ...

    def clips(self) -> Iterator[Clip]:
        """Yield its clips; each may be opened until the next is asked for."""
        ...


def half_of(name: str) -> str:
    """Return the half a thing without takes belongs to: by its name alone, so that others do not change it."""
    return ("chosen", "shown")[zlib.crc32(name.encode()) % 2]


@cache
def _footage() -> composites.Footage:
    return composites.Footage(report.FOOTAGE)


def ranges(flags: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return where flags (N,) are set, as half-open ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return tuple((first, end) for first, end in edges.reshape(-1, 2).tolist())


def visible(masks: U8) -> NDArray[np.bool_]:
    """Return bool (N,): in which frames of labels (N, H, W) a cell moves, as `quality.labelled` says."""
    parts = [quality.labelled(masks[at : at + 100]) for at in range(0, len(masks), 100)]
    return np.concatenate([np.any(moving & scored, axis=(1, 2)) for moving, scored in parts])


def _composed(case: composites.Case, rate: int, **known: Any) -> Clip:  # noqa: ANN401 - passed on
    count = len(case.frames)
    truth = Truth(frames=count, rate=rate, visible=ranges(visible(case.masks)), frames_scored=(0, count), **known)
    return Clip(truth, lambda use: use(enumerate(case.frames), Fraction(1, rate)))


@dataclass(frozen=True)
class NuisanceJob:
    """One of `benchmarks/nuisances.py`."""

    case: nuisances.Nuisance

    @property
    def keys(self) -> Sequence[str]:
        """See Job."""
        return [f"nuisances__{self.case.name}"]

    @property
    def prefix(self) -> str:
        """See Job."""
        return self.keys[0]

    @property
    def is_compared(self) -> bool:
        """See Job."""
        return True

    def clips(self) -> Iterator[Clip]:
        """See Job."""
        half = "chosen" if self.case.take == nuisances.TAKES[0] else "shown"
        made, rate = self.case.make(_footage()), self.case.scene.rate
        yield _composed(made, rate, group="nuisances", name=self.case.name, kind=self.case.kind, half=half)


@dataclass(frozen=True)
class CompositeJob:
    """One of `benchmarks/composites.py`."""

    name: str

    @property
    def keys(self) -> Sequence[str]:
        """See Job."""
        return [f"composites__{self.name}"]

    @property
    def prefix(self) -> str:
        """See Job."""
        return self.keys[0]

    @property
    def is_compared(self) -> bool:
        """See Job."""
        return True

    def clips(self) -> Iterator[Clip]:
        """See Job."""
        made = composites.CASES[self.name](_footage())
        known = {"group": "composites", "name": self.name, "kind": "composites", "half": half_of(self.name)}
        yield _composed(made, composites.RATE, **known)


@dataclass(frozen=True)
class FileJob:
    """A file of footage; with `groundtruth` or `events.json` beside it its truth is read."""

    group: str
    path: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path.parent.name if self.group == "labelled" else self.path.stem

    @property
    def keys(self) -> Sequence[str]:
        """See Job."""
        return [f"{self.group}__{self.name}"]

    @property
    def prefix(self) -> str:
        """See Job."""
        return self.keys[0]

    @property
    def is_compared(self) -> bool:
        """See Job."""
        return self.group == "labelled"

    def clips(self) -> Iterator[Clip]:
        """See Job."""
        try:
            pts, time_base = self._open(lambda frames, base: ([at for at, _ in frames], base))
        except ClipError as error:
            print(f"left out {self.path}: {error}", flush=True)
            return
        count, seen, scored = len(pts), None, (0, len(pts))
        length_s = float((pts[-1] - pts[0]) * time_base) * count / max(count - 1, 1)
        if (self.path.parent / "groundtruth").is_dir():
            part, moving, known = quality.truth(self.path.parent)
            scored = (part.start, part.start + len(moving))
            flags = np.zeros(count, np.bool_)
            flags[part.start : scored[1]] = np.any(moving & known, axis=(1, 2))
            seen = ranges(flags)
        elif (events := self.path.parent / "events.json").is_file():
            # Both ends are included there.
            said = json.loads(events.read_text(encoding="utf-8"))["visible"]
            seen = tuple((first, last + 1) for first, last in said)
        rate = count / length_s if length_s else 1.0
        half = half_of(self.name)
        yield Clip(Truth(self.group, self.name, self.group, half, count, rate, seen, scored), self._open)

    def _open(self, use: Callable[[Frames, Fraction], Any]) -> Any:  # noqa: ANN401
        with open_video(self.path) as video:
            return use(video.luma(), video.time_base)


@dataclass(frozen=True)
class CameraJob:
    """One camera of a fleet, over some minutes of some hours of a day, clip by clip."""

    group: str
    make: str
    camera: str
    minutes: int
    quick: bool = False

    @property
    def keys(self) -> Sequence[str]:
        """See Job."""
        return ()

    @property
    def prefix(self) -> str:
        """See Job."""
        return f"{self.group}__{self.make.lower()}-{self.camera}__"

    @property
    def is_compared(self) -> bool:
        """See Job."""
        return self.make == next(iter(_FLEET)) and self.camera == _name(0)

    @property
    def fleet(self) -> Fleet:
        """The fleet it hangs in."""
        mix = Mix(continuous=float(self.group == "fleet-continuous"), makes=(self.make,))
        return make_fleet(_CAMERAS, seed=12, start_ns=_START_NS, hours=24, mix=mix)

    @property
    def spans(self) -> list[Span]:
        """When it is looked at."""
        starts = [_START_NS + hour * 60 * _MINUTE_NS for hour in (_HOURS[2:3] if self.quick else _HOURS)]
        return [Span(start, start + self.minutes * _MINUTE_NS) for start in starts]

    def clips(self) -> Iterator[Clip]:
        """See Job."""
        fleet = self.fleet
        alone = replace(fleet, cameras=tuple(one for one in fleet.cameras if one.id == self.camera))
        seen = sights(fleet)
        # Nothing comes twice, and the network holds: that is not what is measured here.
        rules = FleetSettings(repeated=0, outages=0, late=0)
        folder = cache_folder() / "reels"
        for receipt in film_reels(self._reels(alone), folder, settings=BatchSettings(workers=0)):
            print(f"filmed {receipt.job.name}: {receipt.outcome} {receipt.reason}", flush=True)
        coming = itertools.chain.from_iterable(
            arrivals(alone, {self.camera: seen[self.camera]}, settings=rules, span=span) for span in self.spans
        )
        with (
            TemporaryDirectory(prefix="lamplighter-") as name,
            Feeder(folder, seen, sink=FolderSink(Path(name))) as feeder,
        ):
            for number, arrival in enumerate(coming):
                yield self._clip(number, arrival, feeder, Path(name))
                (Path(name) / arrival.name).unlink()

    def _reels(self, fleet: Fleet) -> list[Any]:
        needed = {reel for span in self.spans for reel in reels_of(fleet, span)}
        return sorted(needed, key=lambda reel: reel.name)

    def _clip(self, number: int, arrival: Arrival, feeder: Feeder, folder: Path) -> Clip:
        fed = feeder.write(arrival)
        seen = [(frames.start, frames.stop) for _, frames in fed.things or ()]
        dark = arrival.camera.is_dark(arrival.start_ns)
        truth = Truth(
            group=self.group,
            name=f"{self.make.lower()}-{self.camera}__{number:03d}",
            kind=f"{self.group}, {'night' if dark else 'day'}",
            half=half_of(self.make + self.camera),
            frames=fed.frames,
            rate=float(arrival.camera.rate),
            visible=tuple(seen),
            frames_scored=(0, fed.frames),
            camera=f"{self.make.lower()}-{self.camera}",
            start_ns=arrival.start_ns,
            dark=dark,
        )

        def opened(use: Callable[[Frames, Fraction], Any]) -> Any:  # noqa: ANN401
            with open_video(folder / arrival.name) as video:
                return use(video.luma(), video.time_base)

        return Clip(truth, opened)


_CAMERAS = 6
# How many cameras of a make, and how many minutes of each hour: 1080p costs most, and teaches least.
_FLEET: Mapping[str, tuple[int, int]] = {"Dunmore": (6, 20), "Calder": (2, 15)}


def _name(number: int) -> str:
    return f"cam-{number + 1:05d}"


def jobs(groups: Sequence[str] = GROUPS, *, sequences: Path | None = None, quick: bool = False) -> list[Job]:
    """Return what there is to measure. sequences: a folder of more labelled sequences; quick: a little of each."""
    found: list[Job] = []
    if "nuisances" in groups:
        kinds = ("exposure", "headlights") if quick else nuisances.KINDS
        # The night cases are encoded, and take longest to make.
        ordered = sorted(nuisances.cases(kinds), key=lambda case: case.kind.startswith("night"))
        found += [NuisanceJob(case) for case in ordered if not quick or case.take == nuisances.TAKES[1]]
    if "composites" in groups:
        found += [CompositeJob(name) for name in list(composites.CASES)[: 1 if quick else None]]
    if "labelled" in groups:
        homes = [report.FOOTAGE / "labelled", report.FOOTAGE / "harder", *([sequences] if sequences else [])]
        paths = [path for home in homes for path in sorted(home.glob("*/video.mp4"))]
        found += [FileJob("labelled", path) for path in paths if not quick or path.parent.name == "hall"]
    if "clips" in groups and not quick:
        found += [FileJob("clips", path) for path in sorted((report.FOOTAGE / "clips").glob("*.*"))]
    for group in ("fleet-continuous", "fleet-motion"):
        if group in groups:
            for make, (cameras, minutes) in _FLEET.items():
                if quick and make != "Dunmore":
                    continue
                names = [_name(number) for number in range(1 if quick else cameras)]
                found += [CameraJob(group, make, name, 2 if quick else minutes, quick=quick) for name in names]
    return found


def measured(clip: Clip) -> bytes:
    """Measure a clip as the ingest does and return its activity as it is stored."""
    activity: Activity = clip.opened(lambda frames, base: measure(frames, time_base=base))
    return activity.to_bytes()


Makers = Mapping[str, Callable[[Clip], bytes]]
"""What is made of a clip, by the suffix it is kept under."""


def save(job: Job, folder: Path, makers: Makers) -> list[str]:
    """Make and keep what is missing of a job's clips, and the truth beside it; return the keys."""
    ends = [*makers, ".json"]
    if job.keys and all((folder / f"{key}{end}").is_file() for key in job.keys for end in ends):
        return list(job.keys)
    keys = []
    for clip in job.clips():
        for suffix, made in makers.items():
            path = folder / f"{clip.truth.key}{suffix}"
            if not path.is_file():
                path.write_bytes(made(clip))
        (folder / f"{clip.truth.key}.json").write_text(json.dumps(asdict(clip.truth)), encoding="utf-8")
        keys.append(clip.truth.key)
    return keys


def save_all(found: Sequence[Job], folder: Path, makers: Makers) -> list[str]:
    """Do `save` for all jobs on every core, for nothing is timed; return the keys of their clips, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    keys: list[str] = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for more in pool.map(partial(save, folder=folder, makers=makers), found):
            keys += more
            print(f"{len(keys)}: {more[-1] if more else 'nothing'}", flush=True)
    return keys


def main() -> None:
    """Measure all there is and keep it."""
    chosen = report.options(__doc__, *OPTIONS)
    found = jobs(chosen.groups or GROUPS, sequences=chosen.sequences, quick=chosen.quick)
    save_all(found, chosen.cache, {".npz": measured})


OPTIONS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("--cache", {"type": Path, "required": True, "help": "folder in which what was measured is kept"}),
    ("--sequences", {"type": Path, "help": "folder of more labelled sequences"}),
    ("--groups", {"nargs": "+", "choices": GROUPS, "help": "only these groups"}),
)


if __name__ == "__main__":
    main()
