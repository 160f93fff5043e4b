"""`lamplighter tune`: settings chosen on stored activity, by labels or by a rate of events."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, settings_of

if TYPE_CHECKING:
    from lamplighter.desk.suggestion import Goal, Plan, Suggestion
    from lamplighter.settings import Settings
    from pipeline.span import Span


@dataclass(frozen=True, slots=True)
class _Output:
    """Where the outcome goes. base: the text of the settings file in use, "" for none."""

    base: str
    write: Path | None
    pictures: Path | None
    still: bool
    as_json: bool


def tune(
    context: typer.Context,
    labels: Annotated[
        Path | None, typer.Argument(help="True spans: CSV with camera,start,end (UTC), or JSON by camera.")
    ] = None,
    *,
    target: Annotated[str | None, typer.Option(help="Without labels: events wanted of a camera, e.g. 6/day.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera; give it again for more.")] = None,
    start: Annotated[str | None, typer.Option(help="Only clips that reach past this time.")] = None,
    end: Annotated[str | None, typer.Option(help="Only clips that start before this time.")] = None,
    per_camera: Annotated[bool, typer.Option(help="Suggest for single cameras too, where they gain by it.")] = True,
    write: Annotated[
        Path | None, typer.Option(help="Write the settings file in use, with the suggestion in it, to this file.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures and one page of them.")] = None,
    still: Annotated[bool, typer.Option(help="Draw heat maps over a frame of each camera's footage.")] = True,
    as_json: Json = False,
) -> None:
    """Try a grid of detection settings on stored activity, and suggest the best. Nothing is measured again.

    With LABELS, best is the highest F1 over true spans. A true span is found when an event shares time with it; an
    event that finds none is a false alarm. Several events in one true span are one find and no false alarm; one event
    over several true spans finds them all, unless true spans fill less than a quarter of it. Rolls do not count.

    With --target, best is what gives about so many events and loses the least of those in force.

    The grid, and what counts as found, are in the section [tune] of the settings. What [day], [night] or a camera's
    own table holds stays as it is, and is tried as it is.
    """
    from lamplighter.desk.suggestion import Plan

    settings = settings_of(context)
    goal = _goal(labels, target)
    output = _Output(_base(context.obj[0], write), write, pictures, still, as_json)
    _tune(settings, Plan(goal, tuple(camera or ()), _span(start, end), per_camera), output)


def _tune(settings: Settings, plan: Plan, output: _Output) -> None:
    from lamplighter.cli import reports, tables
    from lamplighter.desk.desk import open_desk
    from lamplighter.desk.files import write_file
    from lamplighter.desk.suggestion import tune as tuned
    from lamplighter.report.suggestion import draw_suggestion, suggestion_document

    follow = reports.follow_clips(quiet=output.as_json)
    files: list[Path] = []
    shows_footage = False
    with open_desk(settings) as desk:
        if output.pictures is None:
            suggestion = tuned(desk, plan, follow=follow)
        else:
            from lamplighter.report.camera import FleetPictures  # matplotlib with it

            pictures = FleetPictures()
            suggestion = tuned(desk, plan, saw=pictures.add, follow=follow)
            still = reports.still_of(desk) if output.still else None
            drawn = draw_suggestion(suggestion, pictures, still, toml=suggestion.toml(output.base))
            files += reports.write_drawn(output.pictures, drawn)
            shows_footage = drawn.shows_footage
    toml = suggestion.toml(output.base)
    if output.write is not None:
        write_file(output.write, toml.encode())
        files.append(output.write)
    if output.as_json:
        written = {"written": [str(path) for path in files], "shows_footage": shows_footage}
        tables.write_json(suggestion_document(suggestion) | {"toml": toml} | written)
    else:
        _print(suggestion, files, kept=output.write is not None, shows_footage=shows_footage)


def _goal(labels: Path | None, target: str | None) -> Goal:
    from lamplighter.desk.suggestion import ByLabels, ByRate
    from pipeline.detection.labels import read_labels
    from pipeline.detection.rate import parse_rate
    from pipeline.errors import ConfigError

    if target is not None and labels is None:
        try:
            return ByRate(parse_rate(target))
        except ValueError as error:
            raise ConfigError(f"--target: {error}, got {target!r}") from error
    if labels is None or target is not None:
        raise ConfigError("wanted a file of labels, or --target such as 6/day, and not both")
    try:
        text = labels.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{labels}: the labels cannot be read: {reason}") from error
    return ByLabels(read_labels(text, source=str(labels)))


def _span(start: str | None, end: str | None) -> Span:
    from pipeline.errors import ConfigError
    from pipeline.span import Span, parse_iso

    try:
        return Span(parse_iso(start) if start else 0, parse_iso(end) if end else 2**63 - 1)
    except ValueError as error:
        raise ConfigError(f"--start and --end: {error}") from error


def _base(config: Path | None, write: Path | None) -> str:
    """Return the text of the settings file in use, "" for none, before any work: `write` must not lose another's."""
    from lamplighter.desk.suggestion import is_ours
    from pipeline.errors import ConfigError

    used = config or (Path(chosen) if (chosen := os.environ.get("LAMPLIGHTER_CONFIG")) else None)
    if write is not None and write.exists() and not (used is not None and used.exists() and write.samefile(used)):
        try:
            ours = is_ours(write.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise ConfigError(
                f"--write {write}: is there and is not the settings file in use, so what it holds would be lost; "
                f"use it (--config {write}) or name another file"
            )
    return used.read_text(encoding="utf-8") if used else ""


def _print(suggestion: Suggestion, written: Sequence[Path], *, kept: bool, shows_footage: bool) -> None:
    from lamplighter.cli import reports, tables
    from lamplighter.report.suggestion import suggestion_sections
    from lamplighter.settings import revised

    for warning in suggestion.warnings:
        tables.warn(warning)
    reports.print_sections(suggestion_sections(suggestion))
    if revision := suggestion.revision():
        tables.say(f"\nSuggested{'' if kept else ' (--write FILE puts it into a settings file)'}:\n")
        tables.say(revised("", revision).strip())
    else:
        tables.say("\nNothing that was tried does better than the settings in force: they stay.")
    for path in written:
        tables.say(f"written: {path}")
    if shows_footage:
        tables.say("Heat maps and the page show footage: for the operator and the owner, never a requester.")
