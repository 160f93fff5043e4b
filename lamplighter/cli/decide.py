"""`lamplighter decide`: an owner's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.cover import Covering, CoverMoving, CoverZone, Keep, Mute
from lamplighter.cli.options import Json, OwnerId, RequestId, chosen, desk_of_owner, one_of, span_of
from pipeline.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from pipeline.case.consent import Decision, Share
    from pipeline.clip import Disclosure
    from pipeline.span import Span


Part = Annotated[list[str] | None, typer.Option(help="A part of a clip to share: CLIP@START/END; several times.")]
Disclose = Annotated[
    list[str] | None,
    typer.Option(
        help="What the requester is told of you: name, mail, block, place, or nothing; several times. "
        "Default: what you always disclose."
    ),
]


def decide(
    context: typer.Context,
    request: RequestId,
    *,
    owner: OwnerId,
    share: Annotated[list[str] | None, typer.Option(help="A clip to share; several times.")] = None,
    part: Part = None,
    share_all: Annotated[bool, typer.Option("--share-all", help="Share every clip in which something moved.")] = False,
    sound: Annotated[bool, typer.Option("--sound", help="Share them with their sound.")] = False,
    disclose: Disclose = None,
    note: Annotated[str, typer.Option(help="What the requester is told besides.")] = "",
    cover: CoverZone = None,
    cover_moving: CoverMoving = False,
    keep: Keep = None,
    mute: Mute = None,
    decline: Annotated[bool, typer.Option("--decline", help="Share nothing.")] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back what you said, until it is released.")
    ] = False,
    opt_out: Annotated[
        bool, typer.Option("--opt-out", help="Be asked nothing any more, by nobody: nothing of yours leaves.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer a request as an owner: share clips or parts of them, decline, withdraw, or be asked no more.

    A later answer takes the place of an earlier one, until what it takes back was released. Any clip of yours in the
    asked time can be shared; `lamplighter asked` shows them. To do nothing is the same as to decline. What is to be
    covered is filled with black, or silent, in the file that leaves; what is private of the camera is covered anyway.
    """
    clips = bool(share or part)
    what = one_of(
        {"--share CLIP or --part": clips, "--share-all": share_all, "--decline": decline, "--withdraw": withdraw,
         "--opt-out": opt_out}
    )  # fmt: skip
    covering = Covering(cover or (), cover_moving, keep or (), mute or ())
    if (sound or disclose or note or covering) and not (clips or share_all):
        told = "--sound, --disclose, --note and what is covered"
        raise ConfigError(f"{told}: they go with clips that are shared, not with {what}")
    shares = None if share_all else _shares(share or (), part or (), sound=sound, covering=covering)
    if share_all:
        covering.check(())
    everywhere = covering.of()
    discloses = _discloses(disclose)
    from lamplighter.cli import tables

    with desk_of_owner(context, owner) as desk:
        known = desk.request(request)
        if opt_out:
            desk.opt_out(owner)
            _say_opted_out(request, owner, as_json=as_json)
            return
        try:
            settled = desk.withdraw(known, owner) if withdraw else desk.decide(
                *(known, owner),
                share=shares, discloses=discloses, note=note, sound=sound, cover=everywhere, saw=tables.warn_of_deaf,
            )  # fmt: skip
        except ValueError as error:
            raise ConfigError(str(error)) from error
    _print(settled, as_json=as_json)


def _shares(clips: Sequence[str], parts: Sequence[str], *, sound: bool, covering: Covering) -> list[Share]:
    """Return what is shared. Raises ConfigError for a clip that is given whole and in parts, or parts that overlap."""
    from pipeline.case.consent import Share

    by_clip: dict[str, list[Span]] = {}
    for one in parts:
        clip, at, text = one.partition("@")
        if not at:
            raise ConfigError(f"--part: wanted CLIP@START/END, got {one!r}")
        by_clip.setdefault(clip, []).append(span_of(text, "--part"))
    whole = sorted(set(clips))
    if both := sorted(set(whole) & set(by_clip)):
        raise ConfigError(f"--share and --part: share clip {both[0]} whole or in parts, not both")
    by_clip |= {clip: [] for clip in whole}
    covering.check(list(by_clip))
    try:
        return [Share(clip, tuple(spans), sound, covering.of(clip)) for clip, spans in by_clip.items()]
    except ValueError as error:
        # An id of the wrong form is nobody's clip, as any other that is not theirs.
        if "overlap" not in str(error):
            raise NotFound(f"there is no such clip: {error}; `lamplighter asked` lists those you may share") from error
        raise ConfigError(f"--part: {error}") from error


def _discloses(words: Sequence[str] | None) -> list[Disclosure] | None:
    from pipeline.clip import Disclosure

    told = chosen(words, [*Disclosure, "nothing"], "--disclose")
    if "nothing" in told and len(told) > 1:
        raise ConfigError("--disclose: nothing, or what is disclosed, not both")
    return None if not told else [Disclosure(word) for word in told if word != "nothing"]


def _print(settled: Decision, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.report.wording import clip_count
    from pipeline.case.consent import Word
    from pipeline.case.delivery import kinds
    from pipeline.span import iso

    if as_json:
        tables.write_json(
            {
                "request": settled.request,
                "owner": settled.owner,
                "word": settled.word.value,
                "revision": settled.revision,
                "clips": settled.clips,
                "parts": {share.clip: [str(part) for part in share.parts] for share in settled.shares if share.parts},
                "sound": [share.clip for share in settled.shares if share.sound],
                "covered": {
                    share.clip: [str(one) for one in kinds(share.cover)] for share in settled.shares if share.cover
                },
                "discloses": [str(one) for one in settled.discloses],
                "at": iso(settled.decided_ns),
            }
        )
        return
    answer = {
        Word.SHARED: f"shares {clip_count(len(settled.clips))}",
        Word.DECLINED: "declines",
        Word.WITHDREW: "withdraws what they said",
    }
    tables.say(f"owner {settled.owner} {answer[settled.word]} for request {settled.request}")


def _say_opted_out(request: str, owner: str, *, as_json: bool) -> None:
    from lamplighter.cli import tables

    if as_json:
        tables.write_json({"request": request, "owner": owner, "word": "opted out"})
    else:
        tables.say(
            f"owner {owner} is asked nothing any more; `lamplighter owners opt-out --owner {owner} --undo` undoes it"
        )
