"""`lamplighter habits`: what cameras usually show, learnt from their stored activity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, RayAddress, Workers, desk_of, exit_code
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.desk.tally import Tally
    from storage.archive import Learnt

habits_app = typer.Typer(no_args_is_help=True, help="What cameras usually show, learnt from their stored activity.")


@habits_app.command("learn")
def learn(
    context: typer.Context,
    camera: Annotated[list[str] | None, typer.Argument(help="Cameras; without any, all.")] = None,
    *,
    days: Annotated[
        float | None, typer.Option(min=0.01, max=366, help="From how many days of footage; default: habits.days.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only from clips that start before this time.")] = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Learn what cameras usually show. Nothing is measured again, and the same clips give the same habits.

    What was learnt last is in force: for matching, explaining, tuning and drawing. `ingest` and `watch` learn by
    themselves where enough is new, unless habits.learn is false.
    """
    from lamplighter.cli import tables
    from lamplighter.report.habits import learnt_document, learnt_rows

    until_ns = None if until is None else _instant(until)
    with (
        desk_of(context, batch={"workers": workers, "ray_address": ray_address}) as desk,
        tables.followed("Learning habits", quiet=as_json) as saw,
    ):
        tally = desk.learn(camera or (), days=days, until_ns=until_ns, saw=saw)
    if as_json:
        tables.write_json(
            {**tables.tally_document(tally), "habits": [learnt_document(one) for one in _in_order(tally)]}
        )
    else:
        head, *rows = learnt_rows(_in_order(tally))
        tables.table("Habits learnt", *head, rows=rows, right=head[2:])
        tables.warn_of_unlearnt(tally)
    exit_code(tally)


@habits_app.command("show")
def show(
    context: typer.Context,
    camera: Annotated[str, typer.Argument(help="The camera.")],
    picture: Annotated[Path | None, typer.Option(help="Draw where it usually moves into this file (PNG).")] = None,
    as_json: Json = False,
) -> None:
    """Show what a camera usually shows: from which footage it was learnt, and from where on somebody moves by it."""
    from lamplighter.cli import reports, tables
    from lamplighter.desk.files import write_file
    from lamplighter.report.habits import habits_document, habits_picture, habits_sections

    with desk_of(context) as desk:
        known = desk.habits(camera)
        settings = desk.settings
    if picture is not None:
        write_file(picture, habits_picture(known))
    if as_json:
        written = {} if picture is None else {"written": [str(picture)]}
        tables.write_json(habits_document(known, settings) | written)
        return
    reports.print_sections(habits_sections(known, settings))
    if picture is not None:
        tables.say(f"written: {picture}")


def _in_order(tally: Tally) -> list[Learnt]:
    return sorted(tally.results, key=lambda one: one.camera)


def _instant(text: str) -> int:
    from pipeline.span import parse_iso

    try:
        return parse_iso(text)
    except ValueError as error:
        raise ConfigError(f"--until: {error}") from error
