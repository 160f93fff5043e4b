"""`lamplighter measure`: the motion in one file, as plain arrays, without a store."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli.options import Json, settings_of


def measure(
    context: typer.Context,
    file: Path,
    out: Annotated[Path, typer.Option(help="Where to write the arrays (.npz).")],
    as_json: Json = False,
) -> None:
    """Measure the motion in one file and write it as plain arrays.

    They are `share` (frames, rows, columns; 255 = the whole cell moves), `pts`, `luma`, `time_base`, `cold`, `size`,
    `version`, `cell_side` and `depth`.
    """
    import numpy as np

    from lamplighter.cli import tables
    from lamplighter.desk.files import file_at
    from pipeline.measure.motion import measure as measured
    from pipeline.media.decode import open_video

    settings = settings_of(context)
    of = settings.ingest
    rate = Fraction(of.raw_rate) if of.raw_rate else None
    with open_video(file, max_pixels=of.max_pixels, track=of.track, raw_rate=rate) as video:
        activity = measured(video.luma(), time_base=video.time_base, settings=settings.measure)
    # Signed, because who ranks or subtracts shares elsewhere would wrap around in uint8.
    arrays = activity.arrays() | {"share": activity.share.astype(np.int16)}
    with file_at(out) as target:
        np.savez_compressed(target, allow_pickle=False, **arrays)
    frames, rows, columns = activity.share.shape
    if as_json:
        facts = {"out": str(out), "frames": frames, "rows": rows, "columns": columns, "cold": activity.cold}
        tables.write_json({**facts, "version": activity.version})
    else:
        tables.say(f"{out}: {frames} frames, {rows} x {columns} cells, {activity.cold} cold, {activity.version}")
