"""What the commands share: their common options, the settings in force, the desk, and the exit code of a run."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.answers import BUG
from pipeline.errors import ConfigError
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.desk import Desk
    from lamplighter.desk.tally import Tally
    from lamplighter.settings import Settings
    from pipeline.actor import Actor
    from pipeline.span import Span

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Workers = Annotated[
    int | None, typer.Option("--workers", "-w", min=0, help="Worker processes; 0 = in this process, without Ray.")
]
RayAddress = Annotated[str | None, typer.Option(help="A Ray cluster, such as HOST:6379; default: a Ray of its own.")]
Layout = Annotated[
    str | None,
    typer.Option(help="Whose names the clips have: plain, frigate, dahua, reolink, ring, blink, unifi or dashcam."),
]
Template = Annotated[
    str | None, typer.Option(help="How a path says its camera and start, e.g. {camera}/{start:%Y%m%d_%H%M%S}.{ext}")
]
Zone = Annotated[
    str | None,
    typer.Option(help="The time zone of local times, e.g. Europe/Vienna, of cameras that have none of their own."),
]
RequestId = Annotated[str, typer.Argument(help="The request's id.")]
Acting = Annotated[str, typer.Option("--as", help="Who does it: the id of a registered person, or of an owner.")]
ActingIfGiven = Annotated[
    str, typer.Option("--as", help="Who does it: the id of a registered person; default: who is logged in here.")
]
OwnerId = Annotated[str, typer.Option("--owner", help="Which owner does it: their id.")]


def settings_of(context: typer.Context, **sections: Mapping[str, Any]) -> Settings:
    """Return the settings in force under the common options, with the flags given (None: not given) by section."""
    config, flags = context.obj
    given = {
        name: {key: value for key, value in section.items() if value is not None} for name, section in sections.items()
    }
    return settings_in(config, flags | {name: flags.get(name, {}) | one for name, one in given.items() if one})


def settings_in(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Return the settings in force with a file and flags, having said what in them no longer means the same."""
    from lamplighter import messages
    from lamplighter.cli import tables
    from lamplighter.settings import load

    settings = load(config, flags=flags)
    messages.install(settings.messages)
    for warning in settings.warnings:
        tables.warn(warning)
    return settings


def naming_flags(layout: str | None, template: str | None, zone: str | None) -> dict[str, object]:
    """Return the flags of the section ingest; a layout takes the place of a template that the settings hold."""
    if layout is not None and template is not None:
        raise ConfigError("--layout and --template: a template is a layout of one's own; give one of them")
    return {"layout": layout, "template": "" if layout is not None else template, "zone": zone}


@contextmanager
def desk_of(context: typer.Context, actor: Actor | None = None, **sections: Mapping[str, Any]) -> Iterator[Desk]:
    """Open the desk under the common options, for an actor or for who sits at this machine."""
    from lamplighter.desk.desk import open_desk

    with open_desk(settings_of(context, **sections), actor) as desk:
        # What was imported stays; walking it again and again would be half the time of a search with many clips.
        gc.freeze()
        yield desk


@contextmanager
def desk_as(context: typer.Context, person: str = "", **sections: Mapping[str, Any]) -> Iterator[Desk]:
    """Open the desk for a registered person, who is who they say; for "" for who sits at this machine."""
    with desk_of(context, None, **sections) as desk:
        yield desk.acting_for(person) if person else desk


@contextmanager
def desk_of_owner(context: typer.Context, owner: str) -> Iterator[Desk]:
    """Open the desk for an owner, who is who they say. Raises ConfigError for what can be nobody's id."""
    from pipeline.actor import Actor, Role

    try:
        actor = Actor(Role.OWNER, owner)
    except ValueError as error:
        raise ConfigError(f"--owner: {error}") from error
    with desk_of(context, actor) as desk:
        yield desk


def text_of(file: Path, flag: str) -> str:
    """Return the text of a file, of standard input for "-". Raises ConfigError naming the flag."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{flag}: {file} cannot be read: {error}") from error


def span_of(text: str, flag: str) -> Span:
    """Return the span of a text START/END. Raises ConfigError naming the flag."""
    from pipeline.span import Span, parse_iso

    try:
        start, slash, end = text.partition("/")
        if not slash:
            raise ValueError(f"wanted START/END, two times apart by /, got {text!r}")  # noqa: TRY301 - told as the others
        return Span(parse_iso(start), parse_iso(end))
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from error


def one_of(given: Mapping[str, object]) -> str:
    """Return which of these flags was given. Raises ConfigError unless it is exactly one."""
    found = [flag for flag, value in given.items() if value]
    if len(found) != 1:
        names = list(given)
        got = " and ".join(found) or "none"
        raise ConfigError(f"wanted one of {', '.join(names[:-1])} and {names[-1]}, got {got}")
    return found[0]


def chosen(words: Sequence[str] | None, known: Sequence[str], flag: str) -> list[str]:
    """Return words that are all known. Raises ConfigError naming the flag and the one that is not."""
    for word in words or ():
        if word not in known:
            raise ConfigError(f"{flag}: wanted {', '.join(known[:-1])} or {known[-1]}, got {word!r}")
    return list(words or ())


def length_ns(text: str, flag: str = "--for") -> int:
    """Return a length of time such as 90s, 30m or 2h (without a unit: seconds) in nanoseconds; ConfigError for none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None or not (length := Fraction(match[1]) * _UNITS[match[2]] * NS):
        raise ConfigError(f"{flag}: wanted a length of time such as 90s, 30m or 2h, got {text!r}")
    return int(length)


def exit_code(tally: Tally) -> None:
    """End with the exit code of a bug when one was met, with 1 when anything was set aside or footage left out."""
    if tally.aside or tally.left.footage:
        raise typer.Exit(BUG if tally.bugs else 1)
