"""`lamplighter answer`: what a link in a letter asks for, and the answer by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.cover import Covering, CoverMoving, CoverZone, Keep, Mute
from lamplighter.cli.options import Json, desk_of
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.desk.cases import Row
    from lamplighter.desk.links import Invited
    from pipeline.case.consent import Decision, Share
    from pipeline.clip import Disclosure


Disclose = Annotated[
    list[str] | None,
    typer.Option(help="What the agency is told of you: name, mail, block, place, nothing; several times."),
]


def answer(
    context: typer.Context,
    *,
    link: Annotated[str, typer.Option(help="The link in the letter, or its last part.")],
    share: Annotated[list[str] | None, typer.Option(help="A clip to share; several times.")] = None,
    share_all: Annotated[bool, typer.Option("--share-all", help="Share every clip in which something moved.")] = False,
    sound: Annotated[bool, typer.Option("--sound", help="Share them with their sound.")] = False,
    disclose: Disclose = None,
    note: Annotated[str, typer.Option(help="What the agency is told besides.")] = "",
    cover: CoverZone = None,
    cover_moving: CoverMoving = False,
    keep: Keep = None,
    mute: Mute = None,
    decline: Annotated[bool, typer.Option("--decline", help="Share nothing.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take back what you said before.")] = False,
    opt_out: Annotated[bool, typer.Option("--opt-out", help="Be asked nothing any more, by nobody.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a link asks for, and change nothing; or answer by it, once.

    With none of --share, --share-all, --decline, --withdraw and --opt-out it only shows. A letter confirms each answer,
    and holds the next link: by that one it can be changed or taken back. What is to be covered is filled with black, or
    silent, in the file that leaves; what is private of the camera is covered anyway.
    """
    acts = {
        "--share": bool(share), "--share-all": share_all, "--decline": decline, "--withdraw": withdraw,
        "--opt-out": opt_out,
    }  # fmt: skip
    chosen = [name for name, given in acts.items() if given]
    if len(chosen) > 1:
        raise ConfigError(f"wanted one of {', '.join(acts)}, got {' and '.join(chosen)}")
    covering = Covering(cover or (), cover_moving, keep or (), mute or ())
    if (sound or disclose or note or covering) and not (share or share_all):
        raise ConfigError("--sound, --disclose, --note and what is covered go with clips that are shared")
    discloses = _discloses(disclose)
    with desk_of(context) as desk:
        if opt_out:
            _say_opted_out(desk.opt_out_by_link(link).id, as_json=as_json)
            return
        invited = desk.by_link(link)
        theirs = desk.acting_as(invited.actor)
        rows = theirs.asked_of(invited.request, invited.owner)
        if not chosen:
            _show(invited, rows, as_json=as_json)
            return
        if withdraw:
            said = theirs.withdraw(invited.request, invited.owner, revision=invited.revision)
        else:
            shares = [] if decline else _shares(share, rows, sound=sound, covering=covering)
            try:
                said = theirs.decide(
                    *(invited.request, invited.owner),
                    share=shares, discloses=discloses, note=note, revision=invited.revision,
                )  # fmt: skip
            except ValueError as error:
                raise ConfigError(str(error)) from error
    _say(said, as_json=as_json)


def _shares(clips: Sequence[str] | None, rows: Sequence[Row], *, sound: bool, covering: Covering) -> list[Share]:
    """Return what is shared: these clips, or those in which something moved. Raises ConfigError when nothing did."""
    from pipeline.case.consent import Share
    from pipeline.case.match import Verdict

    moved = [row.match.clip.id for row in rows if row.match.clip is not None and row.match.verdict is Verdict.MATCH]
    if not clips and not moved:
        raise ConfigError("--share-all: nothing moved in a clip that is asked for; name those to share with --share")
    named = sorted(set(clips or moved))
    covering.check(named)
    try:
        return [Share(clip, sound=sound, cover=covering.of(clip)) for clip in named]
    except ValueError as error:
        raise ConfigError(f"--share: {error}") from error


def _discloses(words: Sequence[str] | None) -> list[Disclosure] | None:
    from pipeline.clip import Disclosure

    if not words:
        return None
    if words == ["nothing"]:
        return []
    try:
        return [Disclosure(word) for word in words]
    except ValueError as error:
        raise ConfigError(f"--disclose: wanted {', '.join(Disclosure)}, or nothing alone; {error}") from error


def _show(invited: Invited, rows: Sequence[Row], *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from pipeline.span import iso

    request, said = invited.request, invited.decision
    closes = None if invited.closes_ns is None else iso(invited.closes_ns)
    found = [(row.match.clip, row.match.camera, [str(part) for part in row.match.recorded]) for row in rows]
    clips = [
        {"clip": clip.id, "camera": camera.id, "recorded": recorded}
        for clip, camera, recorded in found
        if clip is not None and recorded
    ]
    if as_json:
        told: dict[str, Any] = {"request": request.id, "case": request.case_number, "agency": request.agency}
        told |= {"incident": request.incident, "note": request.note, "span": str(request.span), "owner": invited.owner}
        tables.write_json(told | {"closes": closes, "word": said.word.value if said else None, "clips": clips})
        return
    tables.say(f"{request.agency} asks for case {request.case_number}: {request.incident}, {request.span}")
    if said is not None:
        tables.say(f"Your answer so far: {said.word.value}")
    shown = [(clip.id, camera.id, ", ".join(recorded)) for clip, camera, recorded in found if clip and recorded]
    tables.table(f"\nClips that {invited.owner} may share", "clip", "camera", "asked time", rows=shown)
    tables.tell(f"You may answer until {closes or 'you like'}; to do nothing is the same as to decline.")


def _say_opted_out(owner: str, *, as_json: bool) -> None:
    from lamplighter.cli import tables

    if as_json:
        tables.write_json({"owner": owner, "word": "opted out"})
    else:
        tables.say(f"owner {owner} is asked nothing any more")


def _say(said: Decision, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from pipeline.span import iso

    if as_json:
        told = {"request": said.request, "owner": said.owner, "word": said.word.value, "clips": said.clips}
        tables.write_json(told | {"revision": said.revision, "at": iso(said.decided_ns)})
    else:
        tables.say(f"owner {said.owner} {said.word.value} for request {said.request}; a letter confirms it")
