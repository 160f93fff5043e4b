"""`lamplighter status`: what runs and what waits, from any terminal."""

from __future__ import annotations

import typer

from lamplighter.cli.options import Json, desk_of


def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Tell what runs, what waits, why and since when: by the bucket and the catalogue, from any terminal or machine.

    A run says every five seconds that it works. One is *silent* when nothing was heard of it for twenty: its machine or
    its store is away; it was *killed* when it ran here and is not there any more.
    """
    from lamplighter.cli import tables
    from pipeline.span import iso

    with desk_of(context) as desk:
        found = desk.status()
    if as_json:
        tables.write_json(found.document())
        return
    runs = [
        (
            one.state,
            one.run.what,
            f"{one.run.machine}, process {one.run.pid}",
            iso(one.run.began_ns)[:19],
            f"{one.heard_s:.0f}",
            ", ".join(f"{count} {name}" for name, count in one.run.counts.items() if count),
        )
        for one in found.runs
    ]
    if runs:
        tables.table("Runs", "", "what", "where", "since (UTC)", "heard of (s ago)", "counts", rows=runs)
    else:
        tables.say("Nothing runs.")
    waits = [(one.what, one.why, iso(one.since_ns)[:19] if one.since_ns else "") for one in found.waits]
    if waits:
        tables.table("\nWaits", "what", "why", "since (UTC)", rows=waits)
