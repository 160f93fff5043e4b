"""`lamplighter asked`: what an owner is asked for, and which clips they may share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from lamplighter.cli.options import Json, OwnerId, RequestId, desk_of_owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamplighter.desk.cases import Row


def asked(context: typer.Context, request: RequestId, *, owner: OwnerId, as_json: Json = False) -> None:
    """Show an owner what they are asked for: every clip of theirs in the asked time, whether or not anything moved."""
    from lamplighter.cli import tables
    from lamplighter.report.wording import short_spans

    with desk_of_owner(context, owner) as desk:
        known = desk.request(request)
        agency = next((one.name for one in desk.agencies() if one.id == known.agency), known.agency)
        rows = desk.asked_of(known, owner)
        tables.warn_of_deaf(rows)
    clips = _documents(rows)
    if as_json:
        names = ("incident", "note", "contact")
        told = {name: getattr(known, name) for name in names}
        told |= {"request": known.id, "agency": agency, "case": known.case_number, "span": str(known.span)}
        tables.write_json({**told, "clips": clips})
        return
    tables.say(f"{agency} asks for case {known.case_number}: {known.incident}, {known.span}")
    if known.note:
        tables.say(f"They say: {known.note}")
    spans = {row.match.clip.id: short_spans(row.match.recorded) for row in rows if row.match.clip}
    columns = ("clip", "camera", "asked time", "moved", "consent")
    shown = [
        (one["clip"], one["camera"], spans[one["clip"]], _moved(one["moved"]), one["consent"] or "") for one in clips
    ]
    tables.table(f"\nClips that {owner} may share", *columns, rows=shown)
    tables.tell("Share them by `lamplighter decide`; to do nothing is the same as to decline.")


def _moved(moved: bool | None) -> str:
    return "nobody can tell" if moved is None else "yes" if moved else "no"


def _documents(rows: Sequence[Row]) -> list[dict[str, Any]]:
    from pipeline.case.match import Verdict

    moved = {Verdict.MATCH: True, Verdict.NO_MOTION: False}
    return [
        {
            "clip": row.match.clip.id,
            "camera": row.match.camera.id,
            "recorded": [str(part) for part in row.match.recorded],
            "moved": moved.get(row.match.verdict),
            "events": [str(event) for event in row.match.events],
            "consent": row.standing.value if row.standing else None,
        }
        for row in rows
        if row.match.clip is not None and row.match.recorded
    ]
