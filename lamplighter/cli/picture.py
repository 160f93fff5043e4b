"""`lamplighter picture`: what moved in a clip or before a camera, and what two settings make of it, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli.options import Json, settings_in, settings_of

_FEW = 20  # clips that are read before anybody looks for a progress bar


def picture(
    context: typer.Context,
    thing: Annotated[str, typer.Argument(help="A clip, or a camera: all its clips in order of time.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write timeline.png, heat.png and page.html into.")],
    compare: Annotated[
        Path | None, typer.Option(help="Another settings file (TOML), its events drawn below those in force.")
    ] = None,
    still: Annotated[bool, typer.Option(help="Draw the heat map over a frame of the footage.")] = True,
    as_json: Json = False,
) -> None:
    """Draw activity and events over time, and where it moves, as PNG and one page. For operators and owners only.

    Nothing is measured again. The page shows a frame of the footage, unless --no-still is given: keep it like footage.
    """
    from lamplighter.cli import reports, tables
    from lamplighter.desk import comparison
    from lamplighter.desk.desk import open_desk
    from lamplighter.report.camera import CameraPictures
    from lamplighter.report.comparison import draw_comparison
    from lamplighter.report.wording import clip_count

    settings = settings_of(context)
    others = {} if compare is None else {compare.name: settings_in(compare, context.obj[1]).layers.for_clip}
    pictures = CameraPictures()
    with open_desk(settings) as desk:
        follow = reports.follow_clips(quiet=as_json, few=_FEW)
        compared = comparison.compare(desk, thing, others=others, saw=pictures.add, follow=follow)
        drawn = draw_comparison(compared, pictures, reports.still_of(desk) if still else None)
    files = reports.write_drawn(out, drawn)
    events = {one.name: len(one.events) for one in compared.found}
    if as_json:
        written = {"written": [str(file) for file in files], "shows_footage": drawn.shows_footage}
        tables.write_json({"clips": len(compared.clips), "events": events, **written})
        return
    counts = ", ".join(f"{name}: {count:,} events" for name, count in events.items())
    tables.say(f"{compared.title}: {clip_count(len(compared.clips))}; {counts}")
    tables.table("Written", "file", "bytes", rows=[(file, f"{size:,}") for file, size in files.items()])
    if drawn.shows_footage:
        tables.say("The heat map and the page show footage: for the operator and the owner, never a requester.")
