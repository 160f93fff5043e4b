"""`lamplighter catalog`: the index over the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lamplighter.cli.options import Json, desk_of

if TYPE_CHECKING:
    from pipeline.errors import DamagedDocument

catalog_app = typer.Typer(no_args_is_help=True, help="The index over the bucket.")


@catalog_app.command("rebuild")
def rebuild(context: typer.Context, as_json: Json = False) -> None:
    """Read the catalogue back from the bucket, which is the truth.

    A document that cannot be read is left out and named; exit code 1 then. A catalogue that was lost or is damaged
    needs no command: it is made anew when it is opened, and a damaged one is kept beside it.
    """
    from lamplighter.cli import tables

    unreadable: list[dict[str, str]] = []

    def unread(key: str, error: DamagedDocument) -> None:
        unreadable.append({"place": key, "what": str(error)})

    with desk_of(context) as desk:
        counts = desk.rebuild(unread=unread)
    if as_json:
        tables.write_json({**counts, "unreadable": unreadable})
    else:
        tables.table("Catalogue rebuilt", "table", "rows", rows=list(counts.items()), right=("rows",))
        for one in unreadable:
            tables.warn(f"{one['place']} is left out: {one['what']}")
    if unreadable:
        raise typer.Exit(1)


@catalog_app.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Compare the catalogue with the bucket, row by row, and name what differs; exit code 1 if anything does.

    It changes nothing, and others may work meanwhile. Of an SQLite file the pages are checked too.
    """
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        told = desk.check_catalog()
    findings = [{"place": one.place, "what": one.what} for one in told.findings]
    if as_json:
        tables.write_json({"rows": told.rows, "findings": findings, "more": told.more})
    else:
        tables.table("Catalogue checked", "table", "rows", rows=list(told.rows.items()), right=("rows",))
        for one in told.findings:
            tables.warn(str(one))
        if told.more:
            tables.warn(f"and {told.more:,} more")
    if findings:
        raise typer.Exit(1)
