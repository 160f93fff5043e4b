"""`lamplighter case`: what was released for a request."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lamplighter.cli.options import Acting, Json, RequestId, desk_as, desk_of

case_app = typer.Typer(no_args_is_help=True, help="What was released for requests.")


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
