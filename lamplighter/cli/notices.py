"""`lamplighter notices`: what agencies tell the owners of an area, and what those answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Acting, Json, desk_as, length_ns, text_of
from pipeline.errors import ConfigError
from pipeline.neighbourhood.notice import Category, Certainty, Severity, Urgency
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.notices import Said, Shown

notices_app = typer.Typer(no_args_is_help=True, help="Safety notices of agencies to the owners of an area.")

NoticeId = Annotated[str, typer.Argument(help="The notice's id.")]
Headline = Annotated[str, typer.Option(help="What it is about, in one line.")]
NoticeText = Annotated[str, typer.Option(help="What readers should know and do.")]
AreaFile = Annotated[
    Path | None, typer.Option(help="GeoJSON polygon of the area; - for standard input. Told to three decimals.")
]
ForHow = Annotated[str, typer.Option("--for", help="How long it holds, e.g. 12h or 3d.")]
CategoryWord = Annotated[Category, typer.Option(case_sensitive=False, help="What kind of thing it is about.")]
UrgencyWord = Annotated[Urgency, typer.Option(case_sensitive=False, help="How soon something is to be done.")]
SeverityWord = Annotated[Severity, typer.Option(case_sensitive=False, help="How bad it is.")]
CertaintyWord = Annotated[Certainty, typer.Option(case_sensitive=False, help="How sure it is.")]


@notices_app.command("issue")
def issue(
    context: typer.Context,
    *,
    person: Acting,
    headline: Headline = "",
    text: NoticeText = "",
    area: AreaFile = None,
    for_: ForHow = "24h",
    category: CategoryWord = Category.SAFETY,
    urgency: UrgencyWord = Urgency.UNKNOWN,
    severity: SeverityWord = Severity.UNKNOWN,
    certainty: CertaintyWord = Certainty.UNKNOWN,
    cap: Annotated[
        Path | None, typer.Option(help="Take what is not given here from a CAP 1.2 document of somebody else.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Issue a notice as an officer, in the name of their agency. Owners with a camera in its cells of the map read it.

    Its area is at least `notice.min_area_m2` and at most `notice.max_area_m2` large, and inside the agency's own. It
    says no telephone number and no mail address: the agency's contact stands beside it.
    """
    said = _said(headline, text, area, for_=for_, words=(category, urgency, severity, certainty), cap=cap)
    with desk_as(context, person) as desk:
        shown = desk.issue_notice(said)
    _print(shown, as_json=as_json)


@notices_app.command("update")
def update(
    context: typer.Context,
    notice: NoticeId,
    *,
    person: Acting,
    headline: Headline,
    text: NoticeText,
    area: AreaFile,
    for_: ForHow = "24h",
    category: CategoryWord = Category.SAFETY,
    urgency: UrgencyWord = Urgency.UNKNOWN,
    severity: SeverityWord = Severity.UNKNOWN,
    certainty: CertaintyWord = Certainty.UNKNOWN,
    as_json: Json = False,
) -> None:
    """Say a notice of one's agency anew: it takes the place of what was said before, and its answers stay."""
    said = _said(headline, text, area, for_=for_, words=(category, urgency, severity, certainty), cap=None)
    with desk_as(context, person) as desk:
        shown = desk.update_notice(notice, said)
    _print(shown, as_json=as_json)


@notices_app.command("cancel")
def cancel(context: typer.Context, notice: NoticeId, *, person: Acting, as_json: Json = False) -> None:
    """Take a notice of one's agency back."""
    with desk_as(context, person) as desk:
        shown = desk.cancel_notice(notice)
    _print(shown, as_json=as_json)


@notices_app.command("list")
def list_notices(context: typer.Context, *, person: Acting, as_json: Json = False) -> None:
    """List the notices that hold: to an owner those of an area of theirs, to an officer those of their agency."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        found = [one.told() for one in desk.notices()]
    if as_json:
        tables.write_json(found)
    else:
        columns = ("notice", "agency", "category", "headline", "made", "expires")
        tables.table("Notices", *columns, rows=[[one[name] for name in columns] for one in found])


@notices_app.command("show")
def show(context: typer.Context, notice: NoticeId, *, person: Acting, as_json: Json = False) -> None:
    """Show a notice with its answers: to an officer those alone whose authors name agencies as readers."""
    with desk_as(context, person) as desk:
        shown = desk.notice(notice)
    _print(shown, as_json=as_json)


@notices_app.command("cap")
def cap(
    context: typer.Context,
    notice: NoticeId,
    *,
    person: Acting,
    to: Annotated[Path | None, typer.Option(help="File to write it into; default: print it.")] = None,
    as_json: Json = False,
) -> None:
    """Print a notice as a CAP 1.2 document: an alert, an update or a cancel, with references to those before it."""
    from lamplighter.cli import tables
    from lamplighter.desk.files import write_file

    with desk_as(context, person) as desk:
        document = desk.cap_notice(notice) + b"\n"
    if to is not None:
        write_file(to, document)
    if as_json:
        tables.write_json({"notice": notice, "cap": document.decode()})
    elif to is None:
        tables.write_text(document)


def _said(
    headline: str,
    text: str,
    area: Path | None,
    *,
    for_: str,
    words: tuple[Category, Urgency, Severity, Certainty],
    cap: Path | None,
) -> Said:
    """Return what a notice says, by flags, and what those leave out by a CAP document. Raises ConfigError."""
    from lamplighter.desk.notices import Said
    from pipeline.case.area import Area

    drawn = None
    if cap is not None:
        from pipeline.neighbourhood.cap import heard

        try:
            other = heard(cap.read_bytes())
        except OSError as error:
            raise ConfigError(f"--cap: {cap} cannot be read: {error.strerror}") from error
        headline, text = headline or other.headline, text or other.text
        drawn, words = Area(other.rings), (other.category, other.urgency, other.severity, other.certainty)
    if area is not None:
        try:
            drawn = Area.from_geojson(json.loads(text_of(area, "--area")))
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"--area: {area} is no GeoJSON: {error}") from error
    if drawn is None:
        raise ConfigError("--area: wanted a GeoJSON polygon, got none")
    return Said(headline, text, drawn, length_ns(for_) / NS, *words)


def _print(shown: Shown, *, as_json: bool) -> None:
    from lamplighter.cli import tables

    told = shown.told()
    if as_json:
        tables.write_json(told)
        return
    tables.say(f"{told['message']} {told['notice']} of {told['agency']} ({told['contact']}), until {told['expires']}")
    tables.say(f"{told['headline']}\n{told['text']}")
    for one in told["answers"]:
        tables.say(f"  {one['made']}: {one['text']}")
