"""`lamplighter case`: what the one who asked may know of a request, and what was released for it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Acting, ActingIfGiven, Json, RequestId, desk_as, desk_of, one_of
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.desk.export import Exported
    from pipeline.case.view import Progress, View

case_app = typer.Typer(no_args_is_help=True, help="Cases, as those who asked may see them.")


@case_app.command("list")
def list_cases(context: typer.Context, *, person: Acting, as_json: Json = False) -> None:
    """List the requests of an officer's agency, or an owner's for their own footage, and how far each has come."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        found = desk.cases()
    if as_json:
        tables.write_json([one.document() for one in found])
    else:
        rows = [(one.asked.request, one.asked.case_number, one.stage.value, _until(one)) for one in found]
        tables.table("Cases", "request", "case number", "stage", "until", rows=rows)


@case_app.command("show")
def show_case(context: typer.Context, request: RequestId, *, person: Acting, as_json: Json = False) -> None:
    """Show one's own case: how far it has come, and what was released for it.

    What is printed is the requester's: it follows from the request, from what was released and from the clock alone.
    """
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        seen = desk.case(request)
        if as_json:
            tables.write_json(seen.document())
        else:
            _print(seen)


@case_app.command("fetch")
def fetch(
    context: typer.Context,
    request: RequestId,
    *,
    person: Acting,
    to: Annotated[Path, typer.Option(help="Folder for the clips and their records; made when it is missing.")],
    as_json: Json = False,
) -> None:
    """Get what was released for one's own case: each clip, checked against its record, with the record beside it.

    It is written into the log first; the clip's owner reads there who had their footage, and when.
    """
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        seen = desk.fetch_case(request, to)
    if as_json:
        tables.write_json(seen.document())
    else:
        tables.say(f"clips of request {request} in {to}: {len(seen.clips)}")


@case_app.command("export")
def export(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="The request's id; none with --complete.")] = "",
    *,
    person: ActingIfGiven = "",
    to: Annotated[str, typer.Option(help="A new folder for the package, or s3://BUCKET/PREFIX.")] = "",
    complete: Annotated[
        str,
        typer.Option(
            help="The folder of a package, or s3://BUCKET/PREFIX: add the signature, proof or time stamp that it lacks."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Write what was released for a case as one sealed package, which anybody can check with common tools, offline.

    An officer's own case, or as the operator any. It holds what `case show` and `case fetch` show and no more. It is
    signed by this machine's key, and time-stamped where an authority is set ([evidence] in the settings); what it lacks
    is said, and can be added later.
    """
    from lamplighter.cli import tables
    from lamplighter.report.package import pages

    one_of({"--to": to, "--complete": complete})
    if bool(request) != bool(to):
        raise ConfigError("wanted REQUEST with --to, or --complete alone")
    with desk_as(context, person) as desk:
        if not complete:
            done = desk.export_case(request, to, pages=pages, saw=tables.warn)
        else:
            done = desk.complete_package(complete, saw=tables.warn)
    for left_out in done.left_out:
        tables.warn(f"left out: {left_out}")
    if as_json:
        tables.write_json(done.document())
    else:
        _print_package(done)
    if done.left_out:
        raise typer.Exit(1)


def _print_package(done: Exported) -> None:
    from lamplighter.cli import tables

    tables.say(f"{done.place}: {'' if done.made else 'is there already, '}{done.files:,} files, {done.size:,} bytes")
    tables.say(f"signed by {done.signed_by}" if done.signed_by else "signed by nobody")
    for lack in done.lacks:
        tables.say(f"it lacks {lack}")


def _print(seen: View) -> None:
    from lamplighter.cli import tables

    one, asked = seen.progress, seen.progress.asked
    tables.say(f"request {asked.request}: case {asked.case_number}, {asked.span}, {one.stage.value}{_until(one, ' ')}")
    for reason in one.reasons:
        tables.say(f"sent back: {reason}")
    tables.print_records(seen.clips, "the case")
    for name in seen.unread:
        tables.warn(f"{name} was released, and its record cannot be read; ask its operator for it")
    for record in seen.clips:
        for what, told in record.disclosed.items():
            tables.say(f"{record.name}: {what} {told}")
        for part in record.muted:
            tables.say(f"{record.name}: silent {part}")
        if record.note:
            tables.say(f"{record.name}: its owner writes: {record.note}")


def _until(one: Progress, before: str = "") -> str:
    """Return until when a case is open, or since when it is what it is; "" where no clock says so."""
    from pipeline.span import iso

    told = "" if one.open_until_ns is None else f"until {iso(one.open_until_ns)}"
    told += f"; resolved at {iso(one.resolved_ns)}" if one.resolved_ns is not None else ""
    return before + told if told else ""


@case_app.command("upgrade")
def upgrade(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="Only this request's; default: all.")] = "",
    as_json: Json = False,
) -> None:
    """Bring cases of earlier versions over: their files and records told which clip they were made of.

    Each released clip gets a name that tells nothing and is another in every case. What it was called is kept in the
    operator's own account, so that who has the old name can still be answered.
    """
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        renamed = desk.upgrade_cases(request)
    if as_json:
        tables.write_json([{"before": one.before[0], "now": one.now or None, "why": one.why} for one in renamed])
    elif renamed:
        rows = [(one.before[0], one.now or one.why) for one in renamed]
        tables.table("Released clips renamed", "before", "now", rows=rows)
    else:
        tables.say("Nothing to bring over: every released clip has a name that tells nothing.")
    if any(not one.now for one in renamed):
        raise typer.Exit(1)


class Became(StrEnum):
    """What became of a clip, as it is typed."""

    USED = "used"
    NOT_USED = "not-used"
    DELETED = "deleted"


@case_app.command("use")
def tell_usage(
    context: typer.Context,
    request: RequestId,
    name: Annotated[str, typer.Argument(help="The released clip's name.")],
    became: Annotated[Became, typer.Argument(help="What became of it.")],
    *,
    person: Acting,
    as_json: Json = False,
) -> None:
    """Say as an officer what became of a clip that was released to one's agency; its owner reads it, with the date."""
    from lamplighter.cli import tables
    from lamplighter.report.wording import second
    from pipeline.case.usage import Use

    with desk_as(context, person) as desk:
        usage = desk.tell_usage(desk.request(request), name, Use[became.name])
    if as_json:
        told = {"request": usage.request, "clip": usage.name, "use": usage.use.value, "said": second(usage.said_ns)}
        tables.write_json(told)
    else:
        tables.say(f"clip {name} of request {request}: {usage.use}")
