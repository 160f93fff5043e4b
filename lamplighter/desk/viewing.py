"""What an owner sees of their own: what they are asked, their cameras, and their footage, each look logged first."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Protocol

from lamplighter.desk.account import Asked, asked_of_owner, of_owner
from lamplighter.desk.cases import Row, asked_of, request
from lamplighter.desk.habits import in_force
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.looks import note_look
from pipeline.case.letter import Kind
from pipeline.case.mail import Facts, Words, compose_unlinked
from pipeline.clip import Camera, Clip, Owner, recorded_by
from pipeline.errors import DamagedDocument, NotFound
from pipeline.span import Span, iso
from storage.archive import Ingested
from workers.film import copied, original, plays

# The same words for what is not there and what is another's.
_NO_CLIP = "there is no such clip of yours"
_NO_REQUEST = "there is no such request that concerns you"
_STILL_ROWS = 720


class Film(Protocol):
    """What is played: its media type, how many bytes, and when in UTC (nanoseconds) it begins."""

    media_type: str
    size: int
    begins_ns: int

    def read(self, start: int, length: int) -> bytes:
        """Return at most so many bytes from `start` on. Raises NotFound where they are gone."""
        ...

    def close(self) -> None:
        """Give back what it takes of this machine."""
        ...


@dataclass(frozen=True, slots=True)
class Inbox:
    """Whose pages they are, their cameras, and what was asked of them, the last first."""

    owner: Owner
    cameras: tuple[Camera, ...]
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """One request as its owner reads it: what is known of it, the letter's words, and the clips it is about."""

    asked: Asked
    owner: Owner
    words: Words
    rows: tuple[Row, ...]

    @property
    def revision(self) -> int:
        """How many answers they gave so far."""
        return 0 if self.asked.decision is None else self.asked.decision.revision

    def plays(self, clip: Clip) -> bool:
        """Tell whether browsers play a clip's bytes as they are."""
        return bool(plays(clip))


@dataclass(frozen=True, slots=True)
class OwnClip:
    """A clip of the actor's own: its camera, its record, and what moved in it, None where nobody can tell."""

    camera: Camera
    ingested: Ingested
    events: tuple[Span, ...] | None = None

    @property
    def clip(self) -> Clip:
        """The clip."""
        return self.ingested.clip

    @property
    def plays(self) -> bool:
        """Whether browsers play its bytes as they are."""
        return bool(plays(self.clip))


def inbox(holdings: Holdings) -> Inbox:
    """Return what was asked of the actor, without what leads to the footage itself; see Desk.inbox."""
    name = holdings.actor.name
    owner = holdings.catalog.owner(name) or Owner(name)
    return Inbox(owner, own_cameras(holdings), asked_of_owner(holdings, name))


def own_cameras(holdings: Holdings) -> tuple[Camera, ...]:
    """Return the actor's cameras, in order of id."""
    return of_owner(holdings, holdings.actor.name)


def own_camera(holdings: Holdings, name: str) -> Camera:
    """Return a camera of the actor's. Raises NotFound."""
    found = holdings.catalog.camera(name)
    if found is None or found.owner != holdings.actor.name:
        raise NotFound("there is no such camera of yours")
    return found


def asking(holdings: Holdings, name: str, *, language: str) -> Asking:
    """Return a request that concerns the actor, as they read it; see Desk.asking."""
    me = holdings.actor.name
    try:
        request(holdings, name)
    except NotFound:
        raise NotFound(_NO_REQUEST) from None
    found = next(iter(asked_of_owner(holdings, me, only=name)), None)
    if found is None:
        raise NotFound(_NO_REQUEST)
    owner = holdings.catalog.owner(me) or Owner(me)
    mine, now_ns = own_cameras(holdings), time.time_ns()
    facts = Facts(
        found.request,
        holdings.catalog.cases.agency(found.request.agency),
        found.closes_ns,
        zone=next((camera.zone for camera in mine if camera.zone), holdings.settings.ingest.zone),
        always=tuple(camera.id for camera in mine if camera.shares_always_at(now_ns)),
        discloses=owner.discloses,
        sender=holdings.settings.mail.name,
    )
    rows = asked_of(holdings, found.request, me) if found.asked_ns is not None or found.decision else []
    words = compose_unlinked(Kind.ASK, facts, language or owner.language)
    # A page breaks lines by itself; what is indented or quoted stays lines.
    text = re.sub(r"(?<!\n)\n(?![\n >-]|$)", " ", words.text)
    return Asking(found, owner, replace(words, text=text), tuple(rows))


def own_clip(holdings: Holdings, name: str, *, of: str = "") -> OwnClip:
    """Return a clip of the actor's own; see Desk.own_clip."""
    found = _own(holdings, name)
    if of:
        asked = request(holdings, of)
        if not asked.area.covers(found.camera) or not found.clip.recorded(asked.span):
            raise NotFound(_NO_CLIP)
    return found


def moved(holdings: Holdings, found: OwnClip) -> OwnClip:
    """Return a clip with what moved in it, by the settings in force."""
    from pipeline.detection.detect import detect  # noqa: PLC0415 - of one clip's page alone

    clip = found.clip
    try:
        activity = holdings.archive.activity(found.ingested)
    except DamagedDocument:
        return found
    holds = holdings.settings.layers.for_clip(found.camera, clip, activity, in_force(holdings).of(found.camera.id))
    events = detect(activity, holds.detection, holds.usual)
    return replace(found, events=tuple(clip.between(one.start_pts, one.end_pts) for one in events))


def last_clip(holdings: Holdings, camera: str) -> OwnClip | None:
    """Return the newest clip of a camera of the actor's that they may see, None without one."""
    found = own_camera(holdings, camera)
    start_ns = holdings.catalog.last_start_ns(found.id)
    if start_ns is None:
        return None
    for ingested in holdings.catalog.clips(found.id, Span(start_ns, start_ns + 1)):
        if ingested.clip.start_ns == start_ns and _recorded(holdings, found, ingested):
            return OwnClip(found, ingested)
    return None


def film(holdings: Holdings, found: OwnClip, *, span: Span | None, copy: bool) -> Film:
    """Open a clip of the actor's own to be watched; see Desk.film."""
    clip = found.clip
    _look(holdings, clip, clip.start_ns if span is None else span.start_ns, "footage watched")
    if not copy and (whole := original(holdings.archive, clip)) is not None:
        return whole
    return copied(holdings.archive, clip, span or clip.span, most_pixels=holdings.settings.ingest.max_pixels)


def own_still(holdings: Holdings, found: OwnClip, at_ns: int | None) -> bytes | None:
    """Return a frame of a clip of the actor's own as JPEG; see Desk.own_still."""
    from workers.still import still  # noqa: PLC0415 - decoding, which most pages do without

    clip = found.clip
    first, last = clip.stream.first_pts, clip.stream.end_pts - 1
    pts = first if at_ns is None else max(first, min(last, clip.pts_at(at_ns)))
    _look(holdings, clip, clip.time_ns(pts), "still taken")
    most = holdings.settings.ingest.max_pixels
    return still(holdings.archive, clip, pts, private=(), most_pixels=most, height=_STILL_ROWS)


def _look(holdings: Holdings, clip: Clip, frame_ns: int, action: str) -> None:
    note_look(holdings, clip, frame_ns, action, f"from {iso(frame_ns)}, by its owner")


def _own(holdings: Holdings, name: str) -> OwnClip:
    ingested = holdings.catalog.clip(name)
    camera = None if ingested is None else holdings.catalog.camera(ingested.clip.camera)
    if ingested is None or camera is None or camera.owner != holdings.actor.name:
        raise NotFound(_NO_CLIP)
    if not _recorded(holdings, camera, ingested):
        raise NotFound(_NO_CLIP)
    return OwnClip(camera, ingested)


def _recorded(holdings: Holdings, camera: Camera, ingested: Ingested) -> bool:
    """Tell whether the camera was the actor's when it recorded the clip."""
    transfers = holdings.archive.transfers.all(f"{camera.id}/")
    return recorded_by(holdings.actor.name, ingested.clip.span, transfers)
