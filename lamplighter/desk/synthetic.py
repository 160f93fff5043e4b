"""A synthetic fleet for load tests: made, kept as files, and its clips uploaded into a folder or a bucket."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from lamplighter.desk.files import file_at, write_file
from lamplighter.desk.holdings import store_of
from lamplighter.settings import Settings
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, parse_iso
from simulation.arrivals import arrivals
from simulation.feeder import BucketSink, Fed, Feeder, FolderSink, Sink, drive, film_reels, footage_files, reels_of
from simulation.fleet import HOUR_NS, MAKES, Fleet, Mix, dump_fleet, load_fleet, make_fleet
from simulation.traffic import dump_truth, sights
from storage.go_program import cache_folder
from storage.location import Location
from workers.patience import open_once
from workers.receipt import Outcome

START = "2026-01-31T00:00:00Z"  # fixed: the same command makes the same bytes on any day
_EVENING_NS = 17 * HOUR_NS + 45 * 60 * NS  # into a day: still light, and the streets are busy


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a fleet is made of. cameras: how many. busy: a factor on everybody who passes. continuous: share of cameras.

    makes: names of makes, none for all. replay: a folder of real clips, each shown by one of the cameras.
    """

    cameras: int
    seed: int = 1
    busy: float = 1.0
    continuous: float = 0.15
    makes: tuple[str, ...] = ()
    replay: Path | None = None

    def fleet(self, *, start_ns: int, hours: int, say: Callable[[str], None]) -> Fleet:
        """Make it, from the hour at `start_ns` on; `say` is told which footage cannot be replayed."""
        names: list[str] = []
        if self.replay is not None:
            names, left_out = footage_files(self.replay)
            for name, reason in left_out.items():
                say(f"{name} is not replayed: {reason}")
        mix = Mix(self.busy, self.continuous, self.makes or tuple(MAKES), tuple(names))
        return make_fleet(self.cameras, seed=self.seed, start_ns=start_ns, hours=hours, mix=mix)


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """Which uploads are made: for how long, from when, how fast, whereto.

    file: a fleet file or its folder; without one the fleet is made by its recipe. cameras: of a fleet file the first
    so many. start: where in simulated time to begin. speed: simulated seconds in a real one; 0 does not wait. into: a
    folder or s3://BUCKET/PREFIX. said: where what was uploaded is written; cache: where filmed reels are kept.
    """

    for_ns: int
    speed: float = 1.0
    file: Path | None = None
    cameras: int | None = None
    start: str | None = None
    into: str | None = None
    said: Path | None = None
    cache: Path | None = None


@dataclass
class Uploaded:
    """What was uploaded so far; `behind` in seconds, one for each upload."""

    clips: int = 0
    repeated: int = 0
    late: int = 0
    frames: int = 0
    size: int = 0
    things: int = 0
    cameras: set[str] = field(default_factory=set)
    footage_s: Fraction = Fraction()
    behind: array[float] = field(default_factory=lambda: array("f"))
    interrupted: bool = False

    def add(self, fed: Fed) -> None:
        """Count one upload."""
        arrival = fed.arrival
        self.clips += 1
        self.repeated += arrival.repeat
        self.late += not arrival.repeat and arrival.arrival_ns - arrival.start_ns - arrival.length_ns > 60 * NS
        self.frames += fed.frames
        self.size += fed.size
        self.things += len(fed.things or ())
        self.cameras.add(arrival.camera.id)
        self.footage_s += Fraction(arrival.length_ns, NS)
        self.behind.append(fed.behind_s)

    def line(self) -> str:
        """Return it in one line."""
        behind = f", {self.behind[-1]:.1f} s behind" if self.behind and self.behind[-1] >= 0.1 else ""
        return f"{self.clips:,} clips from {len(self.cameras):,} cameras, {self.size / 1e6:,.0f} MB{behind}"

    def document(self) -> dict[str, Any]:
        """Return it in figures."""
        behind = sorted(self.behind)
        return {
            "clips": self.clips,
            "cameras_heard": len(self.cameras),
            "repeated": self.repeated,
            "late": self.late,
            "frames": self.frames,
            "bytes": self.size,
            "footage_s": round(float(self.footage_s), 3),
            "things": self.things,
            "behind_p99_s": round(behind[len(behind) * 99 // 100], 3) if behind else None,
            "behind_max_s": round(behind[-1], 3) if behind else None,
            "interrupted": self.interrupted,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """Who watches. say: told in words; filming: how many reels are filmed, are to be, and where; fed: what is there."""

    say: Callable[[str], None] = lambda _: None
    filming: Callable[[int, int, Path], None] = lambda _done, _all, _folder: None
    fed: Callable[[Uploaded], None] = lambda _: None


def write_fleet(recipe: Recipe, out: Path, *, start: str, hours: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Write fleet.geojson and truth.jsonl to `out`; return what is in them, in figures.

    Raises ConfigError for a recipe that cannot be made, and a folder that cannot be written.
    """
    fleet = recipe.fleet(start_ns=_instant("--start", start), hours=hours, say=say)
    seen = sights(fleet)
    files = {"fleet": out / "fleet.geojson", "truth": out / "truth.jsonl"}
    write_file(files["fleet"], dump_fleet(fleet).encode())
    with file_at(files["truth"]) as file:
        file.writelines(line.encode() for line in dump_truth(fleet, seen))
    return {
        "cameras": recipe.cameras,
        "owners": len({camera.owner for camera in fleet.cameras}),
        "streets": len(fleet.traffic),
        "things": len({sight.thing for passing in seen.values() for sight in passing}),
        "sights": sum(map(len, seen.values())),
        **{name: str(path) for name, path in files.items()},
        "span": str(fleet.span),
    }


def upload(recipe: Recipe, plan: UploadPlan, settings: Settings, *, progress: Progress) -> dict[str, Any]:
    """Let the clips of a fleet arrive as real ones do; return what arrived, in figures. Ctrl-C ends it early.

    Raises ConfigError for a fleet, a time or a place that does not fit, StoreUnavailable and StoreRefused for a bucket.
    """
    fleet, span = _fleet(recipe, plan, progress.say)
    # All of it happens, also where only some cameras upload: who passes does not depend on who looks.
    seen = sights(fleet)
    if plan.file is not None and plan.cameras is not None:
        fleet = _first(fleet, plan.cameras)
    _check_replay(fleet, recipe.replay)
    reels = plan.cache or cache_folder() / "reels"
    into = plan.into or str(settings.data / "incoming")
    uploaded, mine = Uploaded(), {camera.id: seen[camera.id] for camera in fleet.cameras}
    with _sink(into, settings) as (sink, beside):
        _film(fleet, span, reels, settings=settings, progress=progress)
        said = plan.said or beside
        coming = arrivals(fleet, mine, settings=settings.fleet, span=span)
        with Feeder(reels, seen, sink=sink, replay=recipe.replay) as feeder, _lines(said) as write:
            _follow(drive(coming, feeder, span, speed=plan.speed), uploaded, write=write, fed=progress.fed)
    document = {"cameras": len(fleet.cameras), "span": str(span), "into": into, "uploads_file": str(said)}
    return document | uploaded.document()


def _fleet(recipe: Recipe, plan: UploadPlan, say: Callable[[str], None]) -> tuple[Fleet, Span]:
    """Return the fleet, made or read, and the span of it in which uploads are made."""
    start, for_ns = plan.start, plan.for_ns
    if plan.file is None:
        begin_ns = _instant("--from", start) if start else _instant("--from", START) + _EVENING_NS
        begun_ns = begin_ns - begin_ns % HOUR_NS
        fleet = recipe.fleet(start_ns=begun_ns, hours=-(-(begin_ns + for_ns - begun_ns) // HOUR_NS), say=say)
    else:
        fleet = _read(plan.file)
        begin_ns = _instant("--from", start) if start else _evening_ns(fleet, for_ns)
    span = Span(begin_ns, begin_ns + for_ns)
    if fleet.span & span != span:
        raise ConfigError(f"--from, --for: the fleet is simulated from {fleet.span}, not in all of {span}")
    return fleet, span


def _follow(
    made: Iterable[Fed], uploaded: Uploaded, *, write: Callable[[str], object], fed: Callable[[Uploaded], None]
) -> None:
    """Count what is uploaded and write each down before the next; Ctrl-C ends it and keeps what was done."""
    try:
        for one in made:
            uploaded.add(one)
            write(json.dumps(one.document()) + "\n")
            fed(uploaded)
    except KeyboardInterrupt:
        uploaded.interrupted = True


def _film(fleet: Fleet, span: Span, reels: Path, *, settings: Settings, progress: Progress) -> None:
    needed = reels_of(fleet, span)
    missing = sum(not (reels / reel.name).exists() for reel in needed)
    progress.filming(0, missing, reels)
    for filmed, receipt in enumerate(film_reels(needed, reels, settings=settings.batch), 1):
        if receipt.outcome is Outcome.ASIDE:
            raise ConfigError(f"{receipt.job.name} cannot be filmed: {receipt.station}: {receipt.reason}")
        progress.filming(filmed, missing, reels)


@contextmanager
def _sink(into: str, settings: Settings) -> Iterator[tuple[Sink, Path]]:
    """Give where clips go, and where to write what was uploaded: beside it, not in it."""
    location = Location.parse(into)
    if location.bucket:
        store = open_once(store_of(settings).of_bucket(location.bucket))
        store.ensure_bucket(make=settings.store.create)
        yield BucketSink(store, location.path), settings.data / "uploads.jsonl"
        return
    folder = Path(into)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--into: {into} cannot be made: {error.strerror}") from error
    yield FolderSink(folder), folder.with_name(f"{folder.absolute().name}.uploads.jsonl")


@contextmanager
def _lines(path: Path) -> Iterator[Callable[[str], object]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"--uploads: {path} cannot be written: {error.strerror}") from error
    with file:
        yield file.write


def _read(file: Path) -> Fleet:
    file = file / "fleet.geojson" if file.is_dir() else file
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: the fleet cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not a fleet file: {error}") from error
    return load_fleet(text, name=str(file))


def _evening_ns(fleet: Fleet, for_ns: int) -> int:
    """Return the fleet's first evening, or its start where that much of an evening is not in it."""
    evening_ns = fleet.start_ns + (_EVENING_NS - fleet.start_ns) % (24 * HOUR_NS)
    return evening_ns if evening_ns + for_ns <= fleet.span.end_ns else fleet.start_ns


def _first(fleet: Fleet, cameras: int) -> Fleet:
    if not 1 <= cameras <= len(fleet.cameras):
        raise ConfigError(f"--cameras: wanted 1 to {len(fleet.cameras)}, as the fleet file has, got {cameras}")
    return replace(fleet, cameras=fleet.cameras[:cameras])


def _check_replay(fleet: Fleet, replay: Path | None) -> None:
    wanted = {camera.replay for camera in fleet.cameras if camera.replay}
    if wanted and replay is None:
        raise ConfigError(f"the fleet replays real footage ({', '.join(sorted(wanted))}); say where it is: --replay")
    missing = sorted(name for name in wanted if replay and not (replay / name).is_file())
    if missing:
        raise ConfigError(f"--replay: {replay} has no {', '.join(missing)}, which the fleet replays")


def _instant(option: str, text: str) -> int:
    try:
        return parse_iso(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error
