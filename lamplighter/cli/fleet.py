"""`lamplighter fleet`: make a synthetic fleet, and let its clips arrive in a folder or a bucket as real ones would."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from lamplighter.cli import tables
from lamplighter.cli.options import Json, Workers, length_ns, settings_of
from lamplighter.desk.desk import open_desk
from lamplighter.settings import Settings
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, parse_iso
from simulation.feeder import BucketSink, Fed, Feeder, FolderSink, Sink, drive, film_reels, footage_files, reels_of
from simulation.fleet import HOUR_NS, MAKES, Fleet, dump_fleet, load_fleet, make_fleet
from simulation.traffic import dump_truth, sights
from simulation.uploads import arrivals
from storage.contract import replacing
from storage.location import Location
from storage.minio_server import cache_folder
from workers.receipt import Outcome

fleet_app = typer.Typer(no_args_is_help=True, help="A synthetic fleet: its cameras, its truth, and its uploads.")

_START = "2026-01-31T00:00:00Z"  # fixed: the same command makes the same bytes on any day
_EVENING_NS = 17 * HOUR_NS + 45 * 60 * NS  # into a day: still light, and the streets are busy

Seed = Annotated[int, typer.Option(min=0, help="The same seed makes the same fleet, byte for byte.")]
Busy = Annotated[float, typer.Option(min=0, max=100, help="A factor on everybody who passes or comes to a door.")]
Continuous = Annotated[float, typer.Option(min=0, max=1, help="Share of cameras that record on end, not by motion.")]
Makes = Annotated[list[str] | None, typer.Option("--make", help=f"Only these makes: {', '.join(MAKES)}.")]
Replay = Annotated[Path | None, typer.Option(help="A folder of real clips; each is shown by one of the cameras.")]


@fleet_app.command("make")
def make(
    cameras: Annotated[int, typer.Option(help="How many cameras.")],
    out: Annotated[Path, typer.Option(help="The folder fleet.geojson and truth.jsonl are written to.")],
    *,
    seed: Seed = 1,
    start: Annotated[str, typer.Option(help="When it begins, on the hour (UTC).")] = _START,
    hours: Annotated[int, typer.Option(min=1, max=744, help="How many hours of truth.")] = 24,
    busy: Busy = 1.0,
    continuous: Continuous = 0.15,
    makes: Makes = None,
    replay: Replay = None,
    as_json: Json = False,
) -> None:
    """Write a fleet that `cameras import` reads, and the truth: who is visible to which camera in which frames."""
    fleet = make_fleet(
        cameras,
        seed=seed,
        start_ns=_instant("--start", start),
        hours=hours,
        busy=busy,
        continuous=continuous,
        makes=makes or tuple(MAKES),
        replay=_footage(replay),
    )
    seen = sights(fleet)
    files = {"fleet": out / "fleet.geojson", "truth": out / "truth.jsonl"}
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(files["fleet"]) as file:
            file.write(dump_fleet(fleet).encode())
        with replacing(files["truth"]) as file:
            file.writelines(line.encode() for line in dump_truth(fleet, seen))
    except OSError as error:
        raise ConfigError(f"--out: {out} cannot be written: {error.strerror}") from error
    counts = {
        "cameras": cameras,
        "owners": len({camera.owner for camera in fleet.cameras}),
        "streets": len(fleet.traffic),
        "things": len({sight.thing for passing in seen.values() for sight in passing}),
        "sights": sum(map(len, seen.values())),
    }
    if as_json:
        tables.write_json({**counts, **{name: str(path) for name, path in files.items()}, "span": str(fleet.span)})
    else:
        tables.out.print(", ".join(f"{count:,} {name}" for name, count in counts.items()) + f", {fleet.span}")
        tables.out.print(f"{files['fleet']}, {files['truth']}")


@fleet_app.command("run")
def run(
    context: typer.Context,
    *,
    cameras: Annotated[int | None, typer.Option(help="How many cameras; of a fleet file the first so many.")] = None,
    length: Annotated[str, typer.Option("--for", help="Simulated time, such as 90s, 30m or 2h.")] = "10m",
    speed: Annotated[float, typer.Option(min=0, help="Simulated seconds in one real second; 0 = no waiting.")] = 1.0,
    into: Annotated[
        str | None, typer.Option(help="A folder or s3://BUCKET/PREFIX; default: incoming in the data folder.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--fleet", help="A fleet file, or the folder of `fleet make`.")] = None,
    seed: Seed = 1,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Where in simulated time to begin (UTC); default: 17:45, or the fleet's start."),
    ] = None,
    busy: Busy = 1.0,
    continuous: Continuous = 0.15,
    makes: Makes = None,
    replay: Replay = None,
    uploads: Annotated[Path | None, typer.Option(help="Where to write what was uploaded, with its truth.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where filmed reels are kept; default: the user's cache.")] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Let the clips of a fleet arrive as real ones do: set off by motion or on end, in bursts, late, twice, or never.

    Clips lie under {camera}/{start}.mp4 in whole seconds of the camera's own clock, as `ingest` and `watch` read them.
    """
    settings = settings_of(context, batch={"workers": workers})
    for_ns = length_ns(length)
    if file is None:
        begin_ns = _instant("--from", start) if start else _instant("--from", _START) + _EVENING_NS
        begun_ns = begin_ns - begin_ns % HOUR_NS
        hours = -(-(begin_ns + for_ns - begun_ns) // HOUR_NS)
        fleet = make_fleet(
            1 if cameras is None else cameras,
            seed=seed,
            start_ns=begun_ns,
            hours=hours,
            busy=busy,
            continuous=continuous,
            makes=makes or tuple(MAKES),
            replay=_footage(replay),
        )
    else:
        fleet = _read(file)
        begin_ns = _instant("--from", start) if start else _evening_ns(fleet, for_ns)
    span = Span(begin_ns, begin_ns + for_ns)
    if fleet.span & span != span:
        raise ConfigError(f"--from, --for: the fleet is simulated from {fleet.span}, not in all of {span}")
    # All of it happens, also where only some cameras upload: who passes does not depend on who looks.
    seen = sights(fleet)
    if file is not None and cameras is not None:
        fleet = _first(fleet, cameras)
    _check_replay(fleet, replay)
    reels = cache or cache_folder() / "reels"
    into = into or str(settings.data / "incoming")
    with _sink(into, settings) as (sink, beside):
        _film(fleet, span, reels, settings, quiet=as_json)
        said = uploads or beside
        tally = _Tally()
        coming = arrivals(
            fleet, {camera.id: seen[camera.id] for camera in fleet.cameras}, settings=settings.fleet, span=span
        )
        with Feeder(reels, seen, sink=sink, replay=replay) as feeder, _lines(said) as write:
            _follow(drive(coming, feeder, span, speed=speed), tally, write=write, quiet=as_json)
    document = {"cameras": len(fleet.cameras), "span": str(span), "into": into, "uploads_file": str(said)}
    if as_json:
        tables.write_json(document | tally.document())
    else:
        rows = [(name.replace("_", " "), value) for name, value in (document | tally.document()).items()]
        tables.table("What arrived", "what", "value", rows=rows)


class _Tally:
    """What was uploaded so far."""

    def __init__(self) -> None:
        self.clips = self.repeated = self.late = self.frames = self.size = self.things = 0
        self.cameras: set[str] = set()
        self.footage_s = Fraction()
        self.behind = array("f")
        self.interrupted = False

    def add(self, fed: Fed) -> None:
        upload = fed.upload
        self.clips += 1
        self.repeated += upload.repeat
        self.late += not upload.repeat and upload.arrival_ns - upload.start_ns - upload.length_ns > 60 * NS
        self.frames += fed.frames
        self.size += fed.size
        self.things += len(fed.things or ())
        self.cameras.add(upload.camera.id)
        self.footage_s += Fraction(upload.length_ns, NS)
        self.behind.append(fed.behind_s)

    def line(self) -> str:
        behind = f", {self.behind[-1]:.1f} s behind" if self.behind and self.behind[-1] >= 0.1 else ""
        return f"{self.clips:,} clips from {len(self.cameras):,} cameras, {self.size / 1e6:,.0f} MB{behind}"

    def document(self) -> dict[str, Any]:
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


def _follow(fed: Iterator[Fed], tally: _Tally, *, write: Any, quiet: bool) -> None:  # noqa: ANN401 - a file's write
    """Count what is fed and write each upload down before the next; Ctrl-C ends it and keeps what was done."""
    with tables.progress(quiet=quiet) as bars:
        task = bars.add_task("Uploading", total=None)
        try:
            for one in fed:
                tally.add(one)
                write(json.dumps(one.document()) + "\n")
                bars.update(task, description=tally.line(), advance=1)
        except KeyboardInterrupt:
            tally.interrupted = True


def _film(fleet: Fleet, span: Span, reels: Path, settings: Settings, *, quiet: bool) -> None:
    needed = reels_of(fleet, span)
    missing = sum(not (reels / reel.name).exists() for reel in needed)
    if missing and not quiet:
        tables.err.print(f"Filming {missing} reels into {reels}, once: up to half a minute of one core for each")
    with tables.progress(quiet=quiet) as bars:
        task = bars.add_task("Filming reels, once", total=missing)
        for receipt in film_reels(needed, reels, settings=settings.batch):
            if receipt.outcome is Outcome.ASIDE:
                raise ConfigError(f"{receipt.job.name} cannot be filmed: {receipt.station}: {receipt.reason}")
            bars.advance(task)


@contextmanager
def _sink(into: str, settings: Settings) -> Iterator[tuple[Sink, Path]]:
    """Give where clips go, and where to write what was uploaded: beside it, not in it."""
    location = Location.parse(into)
    if location.bucket:
        with open_desk(settings) as desk:
            store = desk.context.open_bucket(location.bucket)
            store.ensure_bucket()
            yield BucketSink(store, location.path), settings.data / "uploads.jsonl"
        return
    folder = Path(into)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--into: {into} cannot be made: {error.strerror}") from error
    yield FolderSink(folder), folder.with_name(f"{folder.absolute().name}.uploads.jsonl")


@contextmanager
def _lines(path: Path) -> Iterator[Any]:
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


def _footage(replay: Path | None) -> list[str]:
    """Return the clips that can be replayed; say which cannot."""
    if replay is None:
        return []
    names, left_out = footage_files(replay)
    for name, reason in left_out.items():
        tables.err.print(f"{name} is not replayed: {reason}")
    return names


def _instant(option: str, text: str) -> int:
    try:
        return parse_iso(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error
