"""`lamplighter ingest`: clips from folders, files, patterns and buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.alerts import alert_line
from lamplighter.cli.options import Json, Layout, RayAddress, Template, Workers, Zone, desk_of, exit_code, naming_flags
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.desk.tally import Tally

_ALERT_S = 60.0  # for those who are away; the rest waits for `watch` or `alerts send`


def ingest(
    context: typer.Context,
    where: Annotated[list[str] | None, typer.Argument(help="Folders, files, patterns, or s3://BUCKET/PREFIX.")] = None,
    *,
    layout: Layout = None,
    template: Template = None,
    zone: Zone = None,
    camera: Annotated[
        str | None,
        typer.Option(help="The camera of all these clips, by id or alias; with --remeasure: only its."),
    ] = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Without WHERE: measure again what is in the store and out of date.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --remeasure: also what is up to date, such as clips taken in sideways.")
    ] = False,
    alerts: Annotated[
        bool, typer.Option("--alerts", help="Tell owners of what moved, as they set it; else `watch` alone does.")
    ] = False,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Take clips in: measure the motion in each once, and keep both in the store. What is in already is left alone.

    The last table accounts for every file found: taken in, set aside by station, left out by rule and ending. Ends with
    exit code 1 when a clip was set aside, or a file left out that may hold footage.

    With --remeasure, the clips in the store whose motion was measured by another version of Lamplighter, or with other
    [measure] settings than those in force, or is gone, are measured again from their stored bytes.
    `lamplighter show` counts them.
    A run that is stopped loses nothing: run it again for the rest.
    """
    _check(where, remeasure=remeasure, everything=everything, alerts=alerts)
    from lamplighter.cli import tables

    batch = {"workers": workers, "ray_address": ray_address}
    with desk_of(context, ingest=naming_flags(layout, template, zone), batch=batch) as desk:
        with tables.followed("Remeasuring" if remeasure else "Ingesting", quiet=as_json) as saw:
            if remeasure:
                tally = desk.remeasure(camera, everything=everything, saw=saw)
            else:
                tally = desk.ingest(where or (), camera=camera, alert_s=_ALERT_S if alerts else None, saw=saw)
        _print(desk.store_url, tally, remeasure=remeasure, as_json=as_json)
    exit_code(tally)


def _check(where: list[str] | None, *, remeasure: bool, everything: bool, alerts: bool) -> None:
    if bool(where) == remeasure:
        raise ConfigError("wanted places to take clips from, or --remeasure for those in the store, and not both")
    if alerts and remeasure:
        raise ConfigError("--alerts is for clips that come in; those of --remeasure came in before")
    if everything and not remeasure:
        raise ConfigError("--all says which clips of the store are measured again; add --remeasure")


def _print(store: str, tally: Tally, *, remeasure: bool, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.desk.show import clip_document

    if as_json:
        clips = sorted(map(clip_document, tally.results), key=lambda clip: str(clip["source"]))
        counts: dict[str, Any] = {"not_whole": len(tally.not_whole)}
        if not remeasure:
            counts["replaced"] = [f"{camera}/{name}" for one in tally.replaced for camera, name in one.clips]
            counts |= {"found": tally.found, "left_out": tally.left.document(), "habits_learnt": tally.learnt}
        if tally.alerts is not None:
            counts["alerts"] = tally.alerts
        tables.write_json({**tables.tally_document(tally), **counts, "clips": clips})
    elif remeasure and not tally.planned:
        tables.say("Every clip is up to date.")
    elif remeasure:
        tables.print_tally(f"Remeasured in {store}", tally)
    else:
        tables.print_found(f"Ingested into {store}", tally)
    tables.tell_learnt(tally)
    if tally.alerts is not None and not as_json:
        tables.say(alert_line(tally.alerts))
