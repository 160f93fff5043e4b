"""`lamplighter request`: requests for footage."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, desk_of
from pipeline.errors import ConfigError, RequestRefused

if TYPE_CHECKING:
    from lamplighter.desk.desk import Desk
    from pipeline.case.area import Area
    from pipeline.span import Span

request_app = typer.Typer(no_args_is_help=True, help="Requests for footage.")


@request_app.command("new")
def new_request(
    context: typer.Context,
    *,
    area: Annotated[Path, typer.Option(help="GeoJSON file with one polygon (WGS84); - reads standard input.")],
    start: Annotated[str, typer.Option(help="Start of the span, e.g. 2026-01-31T18:00:00Z.")],
    end: Annotated[str, typer.Option(help="End of the span (not included).")],
    person: Annotated[str, typer.Option("--as", help="Who asks: an officer, by the id `people add` gave them.")] = "",
    own: Annotated[str, typer.Option(help="The owner who asks for their own footage; nobody else is asked.")] = "",
    case: Annotated[str, typer.Option(help="Case number.")] = "",
    agency: Annotated[str, typer.Option(help="The agency that asks; default: the officer's.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach it; default: as it was registered.")] = "",
    incident: Annotated[str, typer.Option(help="Kind of incident, e.g. burglary; no personal data.")] = "",
    note: Annotated[str, typer.Option(help="What owners are told besides.")] = "",
    as_json: Json = False,
) -> None:
    """Make a request: it is checked against the published rules, and never edited or deleted afterwards.

    An officer's is then reviewed, and sent to the owners. An owner's, for their own footage, is delivered as it is.
    """
    from lamplighter.cli import tables
    from pipeline.case.request import Request

    if bool(person) == bool(own):
        raise ConfigError(
            "wanted --as PERSON, an officer who asks, or --own OWNER, who asks for their own footage; "
            f"got {'both' if own else 'neither'}"
        )
    where, when = _area(area), _span(start, end)
    with _asking(context, person, own=own) as desk:
        if own:
            case, agency, contact, incident = case or "own footage", own, contact or own, incident or "own footage"
        else:
            agency = agency or desk.actor.agency
            contact = contact or next((one.contact for one in desk.agencies() if one.id == agency), "")
        now_ns = time.time_ns()
        made = desk.new_request(Request(where, when, case, agency, contact, incident, now_ns, note, own=own))
    if as_json:
        sizes = {"area_m2": round(made.area.size_m2), "asked_m2": round(made.area.asked_m2)}
        tables.write_json({"request": made.id, **sizes, "span": str(made.span)})
    else:
        tables.say(f"request {made.id}: {made.area.size_m2:,.0f} m², {made.span}, case {case}")


@contextmanager
def _asking(context: typer.Context, person: str, *, own: str) -> Iterator[Desk]:
    """Open the desk for who asks. Raises ConfigError for an owner who cannot be one, NotFound for an unknown person."""
    from pipeline.actor import Actor, Role

    with desk_of(context) as desk:
        try:
            actor = Actor(Role.OWNER, own) if own else None
        except ValueError as error:
            raise ConfigError(f"--own: {error}") from error
        yield desk.acting_for(person) if actor is None else desk.acting_as(actor)


def _area(file: Path) -> Area:
    """Read the polygon. Raises ConfigError for what is no JSON, RequestRefused for what is no polygon to ask for."""
    from pipeline.case.area import Area

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--area: {file} cannot be read as GeoJSON: {error}") from error
    return Area.from_geojson(document)


def _span(start: str, end: str) -> Span:
    from pipeline.span import Span, parse_iso

    try:
        start_ns, end_ns = parse_iso(start), parse_iso(end)
    except ValueError as error:
        raise ConfigError(f"--start, --end: {error}") from error
    try:
        return Span(start_ns, end_ns)
    except ValueError as error:
        raise RequestRefused("span", str(error)) from error
