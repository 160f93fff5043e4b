"""`lamplighter cameras`: the cameras of the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli.options import Json, desk_of
from pipeline.errors import ConfigError

cameras_app = typer.Typer(no_args_is_help=True, help="The cameras of the fleet.")


@cameras_app.command("import")
def import_cameras(
    context: typer.Context,
    file: Path,
    *,
    owner: Annotated[str, typer.Option(help="The owner who imports their own cameras: only they may say always.")] = "",
    as_json: Json = False,
) -> None:
    """Read cameras from GeoJSON (points) or CSV: id, lon, lat, owner, sharing (ask, always or never; default ask).

    Also read where they are there: zone (of local times), clock_offset_s (seconds its clock is ahead) and clock_known,
    aliases (what else its files call it, apart by |).
    """
    from lamplighter.cli import tables
    from lamplighter.desk.lists import read_cameras
    from pipeline.actor import Actor, Role

    cameras = read_cameras(file)
    try:
        actor = Actor(Role.OWNER, owner) if owner else None
    except ValueError as error:
        raise ConfigError(f"--owner: {error}") from error
    with desk_of(context, actor) as desk:
        desk.import_cameras(cameras)
    if as_json:
        tables.write_json({"imported": [camera.id for camera in cameras]})
    else:
        tables.say(f"cameras imported: {len(cameras)}")
