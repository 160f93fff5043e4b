"""`lamplighter catalog`: the index over the bucket."""

from __future__ import annotations

import typer

from lamplighter.cli.options import Json, desk_of

catalog_app = typer.Typer(no_args_is_help=True, help="The index over the bucket.")


@catalog_app.command("rebuild")
def rebuild(context: typer.Context, as_json: Json = False) -> None:
    """Read the catalogue back from the bucket, which is the truth."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        counts = desk.rebuild()
    if as_json:
        tables.write_json(counts)
    else:
        tables.table("Catalogue rebuilt", "table", "rows", rows=list(counts.items()), right=("rows",))
