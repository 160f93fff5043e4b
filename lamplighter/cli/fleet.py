"""`lamplighter fleet`: make a synthetic fleet, and let its clips arrive in a folder or a bucket as real ones would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, Workers, length_ns, settings_of
from pipeline.text import shown

if TYPE_CHECKING:
    from lamplighter.desk.synthetic import Progress, Uploaded

fleet_app = typer.Typer(no_args_is_help=True, help="A synthetic fleet: its cameras, its truth, and its uploads.")

_START = "2026-01-31T00:00:00Z"
_MAKES = "Arundel, Brook, Calder, Dunmore"

Seed = Annotated[int, typer.Option(min=0, help="The same seed makes the same fleet, byte for byte.")]
Busy = Annotated[float, typer.Option(min=0, max=100, help="A factor on everybody who passes or comes to a door.")]
Continuous = Annotated[float, typer.Option(min=0, max=1, help="Share of cameras that record on end, not by motion.")]
Makes = Annotated[list[str] | None, typer.Option("--make", help=f"Only these makes: {_MAKES}.")]
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
    from lamplighter.cli import tables
    from lamplighter.desk.synthetic import Recipe, write_fleet

    recipe = Recipe(cameras, seed, busy, continuous, tuple(makes or ()), replay)
    found = write_fleet(recipe, out, start=start, hours=hours, say=tables.tell)
    if as_json:
        tables.write_json(found)
        return
    counts = ", ".join(f"{count:,} {name}" for name, count in found.items() if isinstance(count, int))
    tables.say(f"{counts}, {found['span']}")
    tables.say(f"{found['fleet']}, {found['truth']}")


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
    from lamplighter.cli import tables
    from lamplighter.desk.synthetic import Recipe, UploadPlan, upload

    recipe = Recipe(1 if cameras is None else cameras, seed, busy, continuous, tuple(makes or ()), replay)
    plan = UploadPlan(length_ns(length), speed, file, cameras, start, into, uploads, cache)
    settings = settings_of(context, batch={"workers": workers})
    with _progress(quiet=as_json) as progress:
        document = upload(recipe, plan, settings, progress=progress)
    if as_json:
        tables.write_json(document)
    else:
        rows = [(name.replace("_", " "), value) for name, value in document.items()]
        tables.table("What arrived", "what", "value", rows=rows)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """Show how many reels are filmed, and then how many clips are uploaded."""
    from lamplighter.cli import tables
    from lamplighter.desk.synthetic import Progress

    with tables.progress(quiet=quiet) as bars:
        reels = bars.add_task("Filming reels, once", total=None)
        clips = bars.add_task("Uploading", total=None, visible=False)

        def filming(done: int, needed: int, folder: Path) -> None:
            if needed and not done and not quiet:
                tables.tell(f"Filming {needed} reels into {folder}, once: up to half a minute of one core for each")
            bars.update(reels, completed=done, total=needed)

        def fed(uploaded: Uploaded) -> None:
            bars.update(reels, visible=False)
            bars.update(clips, description=shown(uploaded.line()), completed=uploaded.clips, visible=True)

        yield Progress(tables.tell, filming, fed)
