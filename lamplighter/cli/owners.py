"""`lamplighter owners`: who decides about the cameras' footage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lamplighter.cli.options import Json, OwnerId, desk_of, desk_of_owner, one_of
from pipeline.clip import Sharing

owners_app = typer.Typer(no_args_is_help=True, help="The owners of the cameras, who are asked and decide.")


@owners_app.command("import")
def import_owners(context: typer.Context, file: Path, as_json: Json = False) -> None:
    """Read owners from CSV or a JSON list: id, name, mail, language, discloses.

    They disclose any of name, mail, block and place, by default nothing; several stand apart by spaces or semicolons.
    Only the id must be there; an owner whom a camera names can decide without being imported, but nobody can write to
    them.
    """
    from lamplighter.cli import tables
    from lamplighter.desk.lists import read_owners

    owners = read_owners(file)
    with desk_of(context) as desk:
        desk.import_owners(owners)
    if as_json:
        tables.write_json({"imported": [owner.id for owner in owners]})
    else:
        tables.say(f"owners imported: {len(owners)}")


@owners_app.command("list")
def list_owners(context: typer.Context, as_json: Json = False) -> None:
    """Show the owners that were imported."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        owners = desk.owners()
    if as_json:
        names = ("id", "name", "mail", "language")
        tables.write_json([{n: getattr(one, n) for n in names} | {"discloses": one.discloses} for one in owners])
    else:
        rows = [(one.id, one.name, one.mail, one.language, " ".join(one.discloses)) for one in owners]
        tables.table("Owners", "owner", "name", "mail", "language", "discloses", rows=rows)


@owners_app.command("show")
def show_owner(context: typer.Context, *, owner: OwnerId, as_json: Json = False) -> None:
    """Show an owner all that was ever asked of them, what they said, what left and became of it, and who looked."""
    from lamplighter.cli import tables
    from lamplighter.report.account import account_document

    with desk_of_owner(context, owner) as desk:
        document = account_document(desk.account(owner))
    if as_json:
        tables.write_json(document)
    else:
        _print_account(document)


@owners_app.command("allow")
def allow(
    context: typer.Context,
    camera: Annotated[str, typer.Argument(help="A camera of yours.")],
    sharing: Annotated[Sharing, typer.Argument(help="What it allows without your being asked again.")],
    *,
    owner: OwnerId,
    as_json: Json = False,
) -> None:
    """Set as an owner what a camera of yours allows. "always" runs out after `case.always_days`; say it again to renew.

    A camera that was given to you, or sold cheaper, cannot be set to "always": footage is no price for it.
    """
    from lamplighter.cli import tables
    from lamplighter.report.wording import second

    with desk_of_owner(context, owner) as desk:
        now = desk.allow(camera, sharing)
    until = None if now.always_until_ns is None else second(now.always_until_ns)
    if as_json:
        tables.write_json({"camera": now.id, "sharing": now.sharing.value, "until": until})
    else:
        tables.say(f"camera {now.id}: {now.sharing}{f' until {until}' if until else ''}")


@owners_app.command("private")
def private(
    context: typer.Context,
    camera: Annotated[str, typer.Argument(help="A camera of yours.")],
    *,
    owner: OwnerId,
    zone: Annotated[
        list[str] | None,
        typer.Option(
            help='A zone of its picture, as "0,0 0.3,0 0.3,0.5": corners X,Y in shares of its width and height, from '
            "the top left. Several times."
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing of it is private any more.")] = False,
    as_json: Json = False,
) -> None:
    """Set as an owner which zones of a camera's picture are private, in place of those before.

    They are filled with black in all that leaves of it from now on, whoever asks, but in what you ask of your own
    footage. A legal order may be for them too; two persons have to say so. What has left before is not called back.
    """
    from lamplighter.cli import tables
    from lamplighter.cli.cover import zones_of

    one_of({"--zone": bool(zone), "--none": none})
    zones = zones_of(zone or (), "--zone")
    with desk_of_owner(context, owner) as desk:
        now = desk.set_private(camera, zones)
    if as_json:
        tables.write_json({"camera": now.id, "private": now.private})
    else:
        count = len(now.private)
        tables.say(f"camera {now.id}: {f'{count} private zone' + 's' * (count > 1) if count else 'nothing is private'}")


@owners_app.command("opt-out")
def opt_out(
    context: typer.Context,
    *,
    owner: OwnerId,
    undo: Annotated[bool, typer.Option("--undo", help="Take requests again.")] = False,
    as_json: Json = False,
) -> None:
    """Be asked nothing any more, by nobody: no letters come, and nothing of yours leaves but by a legal order."""
    from lamplighter.cli import tables
    from lamplighter.report.wording import second

    with desk_of_owner(context, owner) as desk:
        now = desk.opt_out(owner, undo=undo)
    if as_json:
        since = None if now.opted_out_ns is None else second(now.opted_out_ns)
        tables.write_json({"owner": now.id, "opted_out": since})
    else:
        tables.say(f"owner {owner} {'takes requests again' if undo else 'is asked nothing any more'}")


def _print_account(document: dict[str, Any]) -> None:
    from lamplighter.cli import tables

    if document["opted_out"]:
        tables.say(f"{document['owner']} takes no requests since {document['opted_out']}\n")
    cameras = [
        (one["camera"], one["sharing"], one["always_until"] or "", len(one["private"]) or "")
        for one in document["cameras"]
    ]
    tables.table("Your cameras", "camera", "sharing", "until", "private zones", rows=cameras)
    kept = document["kept"]
    days = f"for {kept['days']} days" if kept["days"] else "for ever"
    tables.say(f"\nYour footage is kept {days} (retention set).")
    if kept["clips"]:
        tables.say(f"There are {kept['clips']} clips of it; the first expires on {kept['first_expires'] or 'no day'}.")
    due = [(one["day"], one["camera"], one["clips"]) for one in document["expires"]]
    if due:
        tables.table("What expires next", "day", "camera", "clips", rows=due, right={"clips"})
    asked: list[dict[str, Any]] = document["asked"]
    tables.table(
        "\nAsked of you",
        *("request", "agency", "case", "asked time", "you were asked", "you said", "it is", "closes"),
        rows=[
            (
                *(one["request"], one["agency"], one["case"], one["span"], one["asked"] or ""),
                *(_answered(one), one["state"], one["closes"] or ""),
            )
            for one in asked
        ],
    )
    tables.table(
        "\nWhat left",
        *("released", "to", "camera", "clip", "why", "what became of it"),
        rows=[
            (clip["released"] or "", one["agency"], clip["camera"], clip["clip"], clip["why"] or "", _became(clip))
            for one in asked
            for clip in one["released"]
        ],
    )
    tables.table(
        "\nLegal orders that name your cameras",
        *("approved", "for", "basis", "authority", "time", "withdrawn"),
        rows=[
            (
                order["approved"],
                one["agency"],
                order["basis"],
                order["authority"],
                order["span"],
                order["withdrawn"] or "",
            )
            for one in asked
            for order in one["orders"]
        ],
    )
    looks = [(look["at"], look["by"], look["camera"], look["clip"], look["frame"]) for look in document["looks"]]
    tables.table("\nWho looked at your footage", "at", "who", "camera", "clip", "frame", rows=looks)


def _answered(asked: dict[str, Any]) -> str:
    answer = asked["answer"]
    if answer is None:
        return ""
    return f"{answer['word']} at {answer['at']}" + (f", {answer['revision']} times" if answer["revision"] > 1 else "")


def _became(clip: dict[str, Any]) -> str:
    return f"{clip['use']}, they say at {clip['use_said']}" if clip["use"] else "they have not said"
