"""`lamplighter explain`: why a clip has these events, or none; and where each setting of a camera comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, settings_of

if TYPE_CHECKING:
    from lamplighter.desk.desk import Desk
    from pipeline.clip import Camera


def explain_clip(
    context: typer.Context,
    clip: Annotated[str, typer.Argument(help="The clip's id; `lamplighter show CAMERA` lists them.")],
    as_json: Json = False,
) -> None:
    """Tell why a clip has these events, or none: what each setting leaves of its frames, and where it comes from.

    Each stretch of motion is told with the first setting that leaves nothing of it. Of a clip without events it is
    also told which setting would give one, changed alone and as little as possible. Nothing is measured again.
    """
    from lamplighter.cli import reports, tables
    from lamplighter.desk import explanation
    from lamplighter.desk.desk import open_desk
    from lamplighter.report import explanation as report

    settings = settings_of(context)
    with open_desk(settings) as desk:
        explained = explanation.explain_clip(desk, clip)
    if as_json:
        tables.write_json(report.explanation_document(explained, settings))
        return
    for warning in report.explanation_warnings(explained):
        tables.warn(warning)
    reports.print_sections(report.explanation_sections(explained, settings))


def camera_settings(desk: Desk, camera: Camera, *, as_json: bool) -> None:
    """Print every detection setting of a camera by day and by night, with where it comes from."""
    from lamplighter.cli import reports, tables
    from lamplighter.desk.explanation import never_fires
    from lamplighter.report import explanation as report

    settings = desk.settings
    day, night = (settings.layers.of(camera.id, night=dark) for dark in (False, True))
    never = never_fires(desk, camera)
    if as_json:
        document = report.settings_document(day, night, settings)
        darkness = settings.darkness.model_dump(mode="json")
        tables.write_json({"camera": camera.id, **document, "darkness": darkness, "never_fires": never})
        return
    reports.print_sections(report.settings_sections(camera.id, day=day, night=night, settings=settings))
    for reason in never:
        tables.warn(f"these settings can never fire {reason}")
