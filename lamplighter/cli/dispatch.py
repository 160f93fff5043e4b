"""`lamplighter dispatch`: what a city's dispatch feed says, without whom it says it of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Acting, ActingIfGiven, Json, desk_as, desk_of, length_ns
from pipeline.errors import ConfigError
from pipeline.neighbourhood.notice import Certainty
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.dispatch import Watched

dispatch_app = typer.Typer(
    no_args_is_help=True, help="Emergency dispatch feeds, of which six fields are kept for a day."
)


@dispatch_app.command("watch")
def watch(
    context: typer.Context,
    where: Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|URL...", help="Feeds: JSON lines, JSON or CSV.")],
    *,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    for_: Annotated[str, typer.Option("--for", help="End after this long, e.g. 8h; default: until Ctrl-C.")] = "",
    zone: Annotated[str | None, typer.Option(help="The time zone of a feed's local times.")] = None,
    as_json: Json = False,
) -> None:
    """Read dispatch feeds: of each entry its id (hashed with a key), kind, time, cell of 500 m, state and update.

    No other field is ever stored. Kinds come by a list, all others are dropped. An incident is shown ten minutes after
    its time at the earliest, and is gone a day after it. Updates and cancels are followed.
    """
    if once and for_:
        raise ConfigError("--once and --for: one look, or looks for a time, not both")
    from lamplighter.cli import tables

    for_s = 0.0 if once else length_ns(for_) / NS if for_ else None
    stop = threading.Event()
    seen: list[Watched] = []
    with desk_of(context, dispatch={"zone": zone}) as desk:
        try:
            desk.watch_dispatch(
                where, for_s=for_s, stop=stop, shown=lambda told: seen.append(told) if not seen else None
            )
        except KeyboardInterrupt:
            tables.tell("Ending.")
    document = seen[0].document() if seen else {}
    if as_json:
        tables.write_json(document)
    else:
        for name in ("kept", "dropped", "not read"):
            counts = document.get(name)
            if isinstance(counts, dict) and counts:
                tables.say(f"{name}: {', '.join(f'{what} {count}' for what, count in counts.items())}")
        if not any(document.get(name) for name in ("kept", "dropped", "not read")):
            tables.say("Nothing was new.")
    if document.get("not read") or document.get("dropped"):
        _exit_of(document)


def _exit_of(document: dict[str, object]) -> None:
    """End with 1 when a feed, or a part of one, could not be read; entries that are not kept are no fault."""
    dropped = document["dropped"]
    if document["not read"] or (isinstance(dropped, dict) and {"garbage", "entry size", "reading size"} & set(dropped)):
        raise typer.Exit(1)


@dispatch_app.command("list")
def list_incidents(context: typer.Context, *, person: ActingIfGiven = "", as_json: Json = False) -> None:
    """List the incidents that are shown now: ten minutes old at least, a day at most."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        found = [one.told() for one in desk.incidents()]
    if as_json:
        tables.write_json(found)
    else:
        columns = ("id", "kind", "time", "place", "state", "updated")
        tables.table("Incidents", *columns, rows=[[one[name] for name in columns] for one in found])


@dispatch_app.command("confirm")
def confirm(
    context: typer.Context,
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    *,
    person: Acting,
    agency: Annotated[str, typer.Option(help="In whose name; an officer's own by default, a reviewer says it.")] = "",
    headline: Annotated[str, typer.Option(help="What it is about; default: its kind.")] = "",
    text: Annotated[str, typer.Option(help="What readers should know; default: that it was reported, and when.")] = "",
    for_: Annotated[
        str, typer.Option("--for", help="How long the notice holds; a day after the call at most.")
    ] = "12h",
    certainty: Annotated[Certainty, typer.Option(case_sensitive=False, help="How sure it is.")] = Certainty.POSSIBLE,
    as_json: Json = False,
) -> None:
    """Make a notice of an incident, as an officer or a reviewer: nothing of a feed is told to anybody without that.

    When the feed cancels the incident, or corrects its kind to one that is not kept, the notice is cancelled too.
    """
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        shown = desk.confirm_incident(
            incident, agency=agency, headline=headline, text=text, for_s=length_ns(for_) / NS, certainty=certainty
        )
    if as_json:
        tables.write_json(shown.told())
    else:
        tables.say(f"notice {shown.notice.notice} of {shown.agency.name}: {shown.notice.headline}")
