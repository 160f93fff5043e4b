"""`lamplighter aside`: what was set aside or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, RayAddress, Workers, desk_of, exit_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamplighter.desk.asides import Account

aside_app = typer.Typer(no_args_is_help=True, help="Files that were set aside or given up: what, why, and again.")

Names = Annotated[list[str] | None, typer.Argument(help="Accounts, as `aside list` names them, or files.")]
Station = Annotated[str, typer.Option(help="All of one station, such as deadline or dropped.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


@aside_app.command("list")
def list_asides(context: typer.Context, *, as_json: Json = False) -> None:
    """List what was set aside or given up: what, why, since when, and whether its bytes are kept in the store."""
    with desk_of(context) as desk:
        found = desk.asides()
    _print("Set aside", found, as_json=as_json)


@aside_app.command("retry")
def retry(
    context: typer.Context,
    names: Names = None,
    *,
    station: Station = "",
    everything: All = False,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Take in again what was set aside: from the bytes that are kept, else from where it was found.

    Ends with exit code 1 when something of it was set aside again.
    """
    from lamplighter.cli import tables

    with desk_of(context, batch={"workers": workers, "ray_address": ray_address}) as desk:
        with tables.followed("Ingesting again", quiet=as_json) as saw:
            tally = desk.retry_aside(names or (), station=station, everything=everything, saw=saw)
        if as_json:
            tables.write_json(tables.tally_document(tally))
        else:
            tables.print_tally("Taken in again", tally)
            tables.tell_replaced(tally.replaced)
    exit_code(tally)


@aside_app.command("drop")
def drop(
    context: typer.Context,
    names: Names = None,
    *,
    station: Station = "",
    everything: All = False,
    as_json: Json = False,
) -> None:
    """Remove accounts, and for good what the store keeps of their bytes; what lies where it was uploaded stays."""
    with desk_of(context) as desk:
        gone = desk.drop_aside(names or (), station=station, everything=everything)
    _print("Dropped", gone, as_json=as_json)


def _print(title: str, found: Sequence[Account], *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from pipeline.span import iso

    if as_json:
        tables.write_json(
            [
                {
                    "name": one.name,
                    "clip": one.aside.source,
                    "station": one.aside.station,
                    "reason": one.aside.reason,
                    "since_ns": one.aside.at_ns or None,
                    "camera": one.aside.camera,
                    "kept": one.kept,
                }
                for one in found
            ]
        )
        return
    rows = [
        (
            one.name[:8],
            one.aside.source,
            one.aside.station,
            one.aside.reason,
            iso(one.aside.at_ns)[:19] if one.aside.at_ns else "",
            "yes" if one.kept else "",
        )
        for one in found
    ]
    if rows:
        tables.table(title, "account", "clip", "station", "reason", "since (UTC)", "kept", rows=rows)
    else:
        tables.say("Nothing is set aside.")
