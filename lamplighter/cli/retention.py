"""`lamplighter retention` and `lamplighter forget`: how long footage is kept, and what is removed for good."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Json, desk_as, desk_of, one_of, span_of

if TYPE_CHECKING:
    from lamplighter.desk.retention import Swept

retention_app = typer.Typer(no_args_is_help=True, help="How long footage is kept: plans, what expires, and when.")

OfOwner = Annotated[str, typer.Option("--owner", help="Of which owner: their id; default: of all.")]
As = Annotated[str, typer.Option("--as", help="Who does it: an owner's id; default: who is logged in here.")]


@retention_app.command("plans")
def plans(context: typer.Context, *, owner: OfOwner = "", person: As = "", as_json: Json = False) -> None:
    """Show the plans there are, and how many bytes each would keep at the rate at which is recorded."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        found = desk.plans(owner or person)
    if as_json:
        names = ("days", "bytes_a_day", "kept")
        tables.write_json([{name: round(getattr(one, name)) for name in names} for one in found])
        return
    rows = [(f"{one.days} days", size(one.bytes_a_day), size(one.kept)) for one in found]
    tables.table("Plans", "plan", "recorded a day", "kept", rows=rows, right={"recorded a day", "kept"})


@retention_app.command("set")
def set_plan(
    context: typer.Context,
    days: Annotated[int, typer.Argument(help="The plan: one of `retention.plans`, in days.")],
    *,
    owner: Annotated[str, typer.Option("--owner", help="Whose footage: the owner's id.")],
    person: As = "",
    as_json: Json = False,
) -> None:
    """Set how long an owner's footage is kept; what was recorded before counts too."""
    from lamplighter.cli import tables
    from lamplighter.report.wording import second

    with desk_as(context, person) as desk:
        plan = desk.set_plan(owner, days)
    if as_json:
        tables.write_json({"owner": plan.owner, "days": plan.days, "since": second(plan.set_ns), "by": plan.by})
    else:
        tables.say(f"footage of {owner} is kept for {days} days")


@retention_app.command("show")
def show_plans(context: typer.Context, *, owner: OfOwner = "", person: As = "", as_json: Json = False) -> None:
    """Show how long each owner's footage is kept, what there is of it, and when the first of it expires."""
    from lamplighter.cli import tables
    from lamplighter.report.account import keeping_document

    with desk_as(context, person) as desk:
        found = [keeping_document(one) for one in desk.keeping(owner or person)]
    if as_json:
        tables.write_json(found)
        return
    tables.table(
        "How long footage is kept",
        *("owner", "plan", "set", "cameras", "clips", "bytes", "first expires"),
        rows=[
            (
                *(one["owner"], f"{one['days']} days" if one["days"] else "for ever", one["since"] or "by default"),
                *(len(one["cameras"]), one["clips"], size(one["bytes"]), one["first_expires"] or ""),
            )
            for one in found
        ],
        right={"cameras", "clips", "bytes"},
    )


@retention_app.command("forecast")
def forecast(
    context: typer.Context,
    *,
    owner: OfOwner = "",
    person: As = "",
    days: Annotated[int, typer.Option(help="How far ahead (days).")] = 30,
    as_json: Json = False,
) -> None:
    """Show what expires, by day and camera; what a case or an order keeps stays longer."""
    from lamplighter.cli import tables
    from lamplighter.report.account import due_document

    with desk_as(context, person) as desk:
        found = [due_document(one) for one in desk.look_ahead(owner or person, days=days)]
    if as_json:
        tables.write_json(found)
        return
    rows = [(one["day"], one["camera"], one["clips"], size(one["bytes"])) for one in found]
    tables.table(f"What expires within {days} days", "day", "camera", "clips", "bytes", rows=rows, right={"clips"})


@retention_app.command("run")
def run(context: typer.Context, as_json: Json = False) -> None:
    """Remove what is past its time: footage, what was measured of it, and all that would bring it back.

    What an open case may still get or an approved order names is kept until that ends. What was released or exported is
    not touched. A run that was killed is simply run again: it ends first what the other began.
    """
    with desk_of(context) as desk:
        swept = desk.expire()
    _tell(swept, "expired", as_json=as_json)


def forget(
    context: typer.Context,
    clips: Annotated[list[str] | None, typer.Argument(help="Ids of clips.")] = None,
    *,
    camera: Annotated[str, typer.Option(help="All of a camera, or its clips in --span.")] = "",
    span: Annotated[str, typer.Option(help="START/END, with --camera: clips that overlap it.")] = "",
    owner: Annotated[str, typer.Option(help="All that cameras recorded while they were this owner's.")] = "",
    why: Annotated[str, typer.Option("--why", help="Why; it stands in the log.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, and count what would be.")] = False,
    as_json: Json = False,
) -> None:
    """Remove clips for good, now: footage, record, activity, marks and kept matches. They are not taken in again.

    What an open case may still get or an approved order names stays, and the exit code is 1. What was released or
    exported is not touched.
    """
    from pipeline.errors import ConfigError

    one_of({"clips": bool(clips), "--camera": bool(camera), "--owner": bool(owner)})
    if span and not camera:
        raise ConfigError("--span: wanted with --camera, whose clips it is about")
    asked = span_of(span, "--span") if span else None
    with desk_of(context) as desk:
        swept = desk.forget(clips=clips or (), camera=camera, span=asked, owner=owner, reason=why, dry_run=dry_run)
    _tell(swept, "to be forgotten" if dry_run else "forgotten", as_json=as_json)
    if swept.held or swept.locked:
        raise typer.Exit(1)


def _tell(swept: Swept, what: str, *, as_json: bool) -> None:
    from lamplighter.cli import tables

    if as_json:
        document: dict[str, Any] = {what.replace(" ", "_"): swept.clips, "bytes": swept.size, "held": swept.held}
        tables.write_json(document | {"locked": swept.locked, "ended": swept.ended})
        return
    if swept.ended:
        tables.say(f"removals of runs that were killed, ended now: {swept.ended}")
    tables.say(f"clips {what}: {swept.clips}, {size(swept.size)}")
    if swept.held:
        tables.say(f"kept, since a case or an order needs them: {len(swept.held)}")
    if swept.locked:
        tables.warn(f"{len(swept.locked)} objects are locked in the store itself, such as {swept.locked[0]}; run again")


def size(count: float) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count:,.0f} bytes"
    power = min(4, int(math.log10(count)) // 3)
    return f"{count / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"
