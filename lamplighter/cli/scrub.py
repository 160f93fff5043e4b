"""`lamplighter scrub`: what the bucket keeps, compared byte for byte with its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, desk_of, length_ns
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.scrub import Scrubbed


def scrub(
    context: typer.Context,
    *,
    rate: Annotated[float, typer.Option(min=0.0, help="Megabytes to read a second at most; 0 = no limit.")] = 20.0,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m or 2h; default: to the end.")] = "",
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin at the beginning, not where the last one stopped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the bytes of every released clip and of every clip taken in with their records, and their activity too.

    A scrub that is stopped goes on where it was; one that came to the end begins anew. What differs is told, with what
    to do, and written into the log; nothing is changed. Ends with exit code 1 where anything differs.
    """
    from lamplighter.cli import tables

    for_s = length_ns(for_) / NS if for_ else None
    with desk_of(context) as desk, tables.progress(quiet=as_json) as bars:
        task = bars.add_task("Scrubbing", total=None)

        def saw(so_far: Scrubbed) -> None:
            bars.update(task, completed=so_far.looked)

        found = desk.scrub(rate=rate * 1e6, for_s=for_s, anew=anew, saw=saw)
    if as_json:
        tables.write_json(found.document())
    else:
        if found.findings:
            tables.table("Found", "where", "what", rows=[(one.place, one.what) for one in found.findings])
        end = "all of it" if found.whole else "not to the end: the next one goes on here"
        tables.say(f"{found.looked} records, {found.size / 1e6:,.1f} MB compared, {end}; {len(found.findings)} found")
    if found.findings:
        raise typer.Exit(1)
