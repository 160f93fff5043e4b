"""`lamplighter agencies`: who may ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, desk_of, text_of
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.people import Agency

agencies_app = typer.Typer(no_args_is_help=True, help="The agencies that may ask for footage.")


@agencies_app.command("add")
def add_agency(
    context: typer.Context,
    agency: Annotated[str, typer.Argument(help="Its id, as requests name it.")],
    *,
    name: Annotated[str, typer.Option(help="What owners read.")],
    contact: Annotated[str, typer.Option(help="How to reach it.")],
    domain: Annotated[str, typer.Option(help="That of its officers' mail addresses; default: any.")] = "",
    retention_days: Annotated[int, typer.Option(help="How long it says it keeps what it is given (days).")] = 365,
    area: Annotated[
        Path | None, typer.Option(help="GeoJSON polygon inside which it may ask; default: anywhere.")
    ] = None,
    place: Annotated[
        str,
        typer.Option(
            help="The state or country that the public map shows it in: a name, US-CA, or a country's three digits; "
            "default: where most of its area lies."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Register an agency; one that is there is changed."""
    from lamplighter.cli import tables
    from pipeline.case.area import Area
    from pipeline.people import Agency

    try:
        rings = Area.from_geojson(json.loads(text_of(area, "--area"))).rings if area else ()
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--area: {area} is no GeoJSON: {error}") from error
    try:
        wanted = Agency(agency, name, contact, domain.strip().lower(), retention_days, rings, _place(place))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    with desk_of(context) as desk:
        added = desk.add_agency(wanted)
    if as_json:
        tables.write_json(_document(added))
    else:
        tables.say(f"agency {added.id}: {added.name}")


@agencies_app.command("list")
def list_agencies(context: typer.Context, as_json: Json = False) -> None:
    """Show the agencies."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        agencies = desk.agencies()
    if as_json:
        tables.write_json([_document(one) for one in agencies])
    else:
        columns = ("agency", "name", "contact", "domain", "keeps (days)", "may ask", "place")
        rows = [
            (
                one.id,
                one.name,
                one.contact,
                one.domain or "any",
                one.retention_days,
                "in its area" if one.area else "anywhere",
                one.place,
            )
            for one in agencies
        ]
        tables.table("Agencies", *columns, rows=rows, right=("keeps (days)",))


def _place(text: str) -> str:
    from pipeline.neighbourhood.outlines import place_named

    if not text.strip():
        return ""
    found = place_named(text)
    if found is None:
        raise ConfigError(
            f"--place: wanted a state or a country, such as California, US-CA, Austria or 040, got {text!r}"
        )
    return found.code


def _document(agency: Agency) -> dict[str, object]:
    names = ("id", "name", "contact", "domain", "retention_days", "place")
    return {name: getattr(agency, name) for name in names} | {"area": agency.area or None}
