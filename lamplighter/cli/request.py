"""`lamplighter request`: requests for footage."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, desk_of
from pipeline.errors import ConfigError, RequestRefused

if TYPE_CHECKING:
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
    case: Annotated[str, typer.Option(help="Case number.")] = "",
    agency: Annotated[str, typer.Option(help="Who asks.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach them.")] = "",
    incident: Annotated[str, typer.Option(help="Kind of incident, e.g. burglary; no personal data.")] = "",
    note: Annotated[str, typer.Option(help="What owners are told besides.")] = "",
    as_json: Json = False,
) -> None:
    """Make a request: it is checked against the published rules, and never edited or deleted afterwards."""
    from lamplighter.cli import tables
    from pipeline.actor import Actor, Role
    from pipeline.case.request import Request

    made = Request(_area(area), _span(start, end), case, agency, contact, incident, time.time_ns(), note)
    with desk_of(context, Actor(Role.OFFICER, agency)) as desk:
        desk.new_request(made)
    if as_json:
        tables.write_json({"request": made.id, "area_m2": round(made.area.size_m2), "span": str(made.span)})
    else:
        tables.say(f"request {made.id}: {made.area.size_m2:,.0f} m², {made.span}, case {case}")


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
