"""An owner's pages: what they are asked, how they answer, and all that happened."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from lamplighter.desk.viewing import Asking
from lamplighter.report.area import drawn
from lamplighter.web.owner_answer import clock, read, told_times, told_zones
from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Owner, Visitor, text
from lamplighter.web.words import language_of
from pipeline.case.consent import Decision
from pipeline.case.life import State
from pipeline.clip import Clip, Disclosure
from pipeline.errors import Conflict, LamplighterError, NotAllowed, NotFound
from pipeline.span import NS

router = APIRouter(include_in_schema=False)

_STALE = (
    "You answered in another way since this page was opened. What stands now is above; what you typed is below, and "
    "takes its place if you send it again."
)


def whole(who: Owner) -> Visitor:
    """Return an owner who is signed in: to who came by a letter it is a page that is not there."""
    if who.bound:
        raise NotFound("there is no such page")
    return who


Whole = Annotated[Visitor, Depends(whole)]


def one_request(who: Owner, request_id: str) -> Visitor:
    """Return an owner who may see a request: any of theirs, or the one that their letter asks about."""
    if who.bound not in {"", request_id}:
        raise NotFound("there is no such page")
    return who


Asked = Annotated[Visitor, Depends(one_request)]


@router.get("/owner")
def inbox(request: Request, who: Owner) -> Response:
    """Show what waits for an answer, and what was asked before."""
    if who.bound:
        return RedirectResponse(f"/owner/requests/{who.bound}", 303)
    found = who.desk.inbox()
    waits = [one for one in found.asked if one.state is State.SENT and one.asked_ns and one.decision is None]
    answerable = [one for one in found.asked if one.state is State.SENT and one.asked_ns and one.decision]
    others = [one for one in found.asked if one not in waits and one not in answerable]
    return page(request, "owner-inbox.html", who, found=found, waits=waits, answerable=answerable, others=others)


@router.post("/owner/opt-out")
def opt_out(who: Whole, form: Form) -> Response:
    """Be asked nothing any more, or again."""
    who.desk.opt_out(who.actor.name, undo=bool(text(form, "undo")))
    return RedirectResponse("/owner", 303)


@router.get("/owner/requests/{request_id}")
def one(request: Request, who: Asked, request_id: str) -> Response:
    """Show what a request asks, and the form of an answer as it stands."""
    asking = who.desk.asking(request_id, language=language_of(request))
    return _shown(request, who, asking, typed=_standing(asking))


@router.post("/owner/requests/{request_id}")
def answer(request: Request, who: Asked, request_id: str, form: Form) -> Response:
    """Share, decline or withdraw, if nobody answered since the form was shown; else show it again as it was typed."""
    asking = who.desk.asking(request_id, language=language_of(request))
    clips = {one.id: one for one in _clips(asking)}
    what, errors = text(form, "do"), dict[str, str]()
    typed = read(form, clips) if what == "share" else None
    if typed is not None and typed.errors:
        return _shown(request, who, asking, typed=_typed(form, clips), errors=typed.errors, status=422)
    revision = text(form, "revision")
    try:
        known = int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 10 else -1
        if known != asking.revision:
            raise Conflict(_STALE)
        asked, me = asking.asked.request, who.actor.name
        if typed is not None:
            who.desk.decide(
                asked, me, share=typed.shares, discloses=typed.discloses, note=typed.note, revision=known
            )  # fmt: skip
        elif what == "decline":
            who.desk.decide(asked, me, share=[], note="", revision=known)
        elif what == "withdraw":
            who.desk.withdraw(asked, me, revision=known)
        else:
            errors["answer"] = "Share, decline, or do nothing, which counts as declining."
    except (NotFound, NotAllowed):
        raise
    except ValueError as error:
        errors["note"] = str(error)
    except LamplighterError as error:
        asking = who.desk.asking(request_id, language=language_of(request))
        errors["answer"] = _STALE if asking.revision != known else str(error)
        return _shown(request, who, asking, typed=_typed(form, clips), errors=errors, status=409)
    if errors:
        return _shown(request, who, asking, typed=_typed(form, clips), errors=errors, status=422)
    return RedirectResponse(f"/owner/requests/{request_id}", 303)


@router.post("/owner/requests/{request_id}/opt-out")
def opt_out_here(who: Asked, request_id: str, form: Form) -> Response:
    """Be asked nothing any more, from the page of a request."""
    who.desk.asking(request_id)
    who.desk.opt_out(who.actor.name, undo=bool(text(form, "undo")))
    return RedirectResponse(f"/owner/requests/{request_id}", 303)


@router.get("/owner/account")
def account(request: Request, who: Whole) -> Response:
    """Show all that was ever asked of an owner, what became of it, who looked, and what expires."""
    return page(request, "owner-account.html", who, found=who.desk.account(who.actor.name))


def _clips(asking: Asking) -> list[Clip]:
    return [row.match.clip for row in asking.rows if row.match.clip is not None and row.match.recorded]


def _shown(
    request: Request,
    who: Visitor,
    asking: Asking,
    *,
    typed: dict[str, Any],
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    asked = asking.asked
    films = [
        _film(asking, row.match.clip, row) for row in asking.rows if row.match.clip is not None and row.match.recorded
    ]
    values = {
        "asking": asking,
        "asked": asked,
        "films": sorted(films, key=lambda one: (not one["moved"], one["clip"].start_ns, one["clip"].camera)),
        "area": drawn(asked.request.area.to_geojson()),
        "typed": typed,
        "errors": errors or {},
        "disclosures": list(Disclosure),
        "open": asked.state is State.SENT and not asked.request.own,
        "State": State,
    }
    return page(request, "owner-request.html", who, status=status, **values)


def _film(asking: Asking, clip: Clip, row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of the desk, as the template reads it
    """Return what the page tells of a clip: its times on the player, where something moved first."""
    copies = not asking.plays(clip)
    begins_ns = row.match.recorded[0].start_ns if copies else clip.start_ns
    first_ns = row.match.events[0].start_ns if row.match.events else row.match.recorded[0].start_ns
    return {
        "clip": clip,
        "camera": row.match.camera,
        "row": row,
        "moved": bool(row.match.events),
        "copies": copies,
        "copy_offset_s": (row.match.recorded[0].start_ns - clip.start_ns) / NS,
        "offset_s": (begins_ns - clip.start_ns) / NS,
        "at_s": max(0.0, (first_ns - begins_ns) / NS),
        "still_ms": max(0, (first_ns - clip.start_ns) // (NS // 1000)),
        "events": [clock((one.start_ns - clip.start_ns) // (NS // 10) * (NS // 10)) for one in row.match.events[:12]],
        "asked": told_times(row.match.recorded, clip),
        "length": clock(clip.span.duration_ns // (NS // 10) * (NS // 10)),
    }


def _standing(asking: Asking) -> dict[str, Any]:
    """Return what the form holds before anybody typed: the answer as it stands, else what they always disclose."""
    decision, typed = asking.asked.decision, dict[str, Any]()
    typed["discloses"] = list(asking.owner.discloses if decision is None else decision.discloses)
    typed["note"] = "" if decision is None else decision.note
    typed |= {"share": [], "sound": [], "moving": []}
    return typed | (_answered(decision, {one.id: one for one in _clips(asking)}) if decision else {})


def _answered(decision: Decision, clips: dict[str, Clip]) -> dict[str, Any]:
    typed: dict[str, Any] = {"share": list(decision.clips), "sound": [], "moving": []}
    for share in decision.shares:
        if share.clip not in clips:
            continue
        clip, cover = clips[share.clip], share.cover
        typed |= {f"parts-{clip.id}": told_times(share.parts, clip), f"mute-{clip.id}": told_times(cover.muted, clip)}
        typed |= {f"zones-{clip.id}": told_zones(cover.zones), f"keep-{clip.id}": told_zones(cover.keep)}
        typed["sound"] += [clip.id] * bool(share.sound)
        typed["moving"] += [clip.id] * cover.moving
    return typed


def _typed(form: Any, clips: dict[str, Clip]) -> dict[str, Any]:  # noqa: ANN401 - a form as it came
    """Return what was typed, to be shown again."""
    typed: dict[str, Any] = {name: form.getlist(name) for name in ("share", "sound", "moving", "discloses")}
    typed["note"] = text(form, "note")
    names = [f"{what}-{clip}" for clip in clips for what in ("parts", "mute", "zones", "keep")]
    return typed | {name: text(form, name) for name in names}
