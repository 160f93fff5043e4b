"""`lamplighter owners`: who decides about the cameras' footage."""

from __future__ import annotations

from pathlib import Path

import typer

from lamplighter.cli.options import Json, desk_of

owners_app = typer.Typer(no_args_is_help=True, help="The owners of the cameras, who are asked and decide.")


@owners_app.command("import")
def import_owners(context: typer.Context, file: Path, as_json: Json = False) -> None:
    """Read owners from CSV or a JSON list: id, name, mail, language, discloses (name, mail, place; default nothing).

    Several things to disclose stand apart by spaces or semicolons. Only the id must be there; an owner whom a camera
    names can decide without being imported, but nobody can write to them.
    """
    from lamplighter.cli import tables
    from lamplighter.desk.lists import read_owners

    owners = read_owners(file)
    with desk_of(context) as desk:
        desk.import_owners(owners)
    if as_json:
        tables.write_json({"imported": [owner.id for owner in owners]})
    else:
        tables.say(f"{len(owners)} owners imported")


@owners_app.command("list")
def list_owners(context: typer.Context, as_json: Json = False) -> None:
    """Show the owners that were imported."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        owners = desk.owners()
    if as_json:
        names = ("id", "name", "mail", "language")
        tables.write_json([{n: getattr(one, n) for n in names} | {"discloses": one.discloses} for one in owners])
    else:
        rows = [(one.id, one.name, one.mail, one.language, " ".join(one.discloses)) for one in owners]
        tables.table("Owners", "owner", "name", "mail", "language", "discloses", rows=rows)
