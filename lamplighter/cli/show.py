"""`lamplighter show`: the fleet, a camera, a clip, a request, or the settings in force."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lamplighter.cli.options import Json, desk_of, settings_of
from pipeline.errors import NotFound


def show(
    context: typer.Context,
    thing: Annotated[str | None, typer.Argument(help="A camera, clip or request; without it, the fleet.")] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="The settings in force; of a camera, also where each comes from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the fleet, or one camera, clip or request, or the settings in force."""
    from lamplighter.cli import tables

    if settings and thing is not None:
        _camera_settings(context, thing, as_json=as_json)
        return
    if settings:
        document = settings_of(context).model_dump(mode="json")
        if as_json:
            tables.write_json(document)
        else:
            from lamplighter.report.wording import settings_rows

            tables.table("Settings in force", "setting", "value", rows=settings_rows(document))
        return
    with desk_of(context) as desk:
        if thing is None:
            for warning in desk.strangers():
                tables.warn(warning)
        document = desk.show(thing)
    if as_json:
        tables.write_json(document)
    else:
        _print(thing or "The fleet", document)


def _camera_settings(context: typer.Context, thing: str, *, as_json: bool) -> None:
    from lamplighter.cli.explain import camera_settings

    with desk_of(context) as desk:
        try:
            camera = desk.camera(thing)
        except NotFound as error:
            raise NotFound(f"{error}; of a clip, `lamplighter explain` shows the settings") from error
        camera_settings(desk, camera, as_json=as_json)


def _print(title: str, document: dict[str, Any]) -> None:
    from lamplighter.cli import tables

    lists = {name: value for name, value in document.items() if isinstance(value, list) and value}
    # What is nested is for programs, and stands beside it in words.
    rest = {name: value for name, value in document.items() if name not in lists and not isinstance(value, dict)}
    plain = [(name, "" if value == [] else value) for name, value in rest.items()]
    tables.table(title, "what", "value", rows=plain)
    for name, found in lists.items():
        rows = [row if isinstance(row, dict) else {name: row} for row in found]
        columns = [column for column in rows[0] if column != "trace"]  # of many lines: for --json
        tables.table(f"\n{name}", *columns, rows=[[row[column] for column in columns] for row in rows])
