"""Cases: what is asked, what matches it, and what its owners answer. Each sees what is theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from lamplighter.desk.habits import in_force
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.kept import find
from lamplighter.desk.register import check_owner
from pipeline.actor import Role
from pipeline.case.consent import Consent, Standing
from pipeline.case.life import Life
from pipeline.case.match import Match, Verdict
from pipeline.case.match import match as match_all
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Sharing, Transfer, recorded_by
from pipeline.errors import Conflict, NotAllowed, NotFound
from pipeline.span import Span
from storage.archive import Ingested
from storage.catalog.rows import KeptEvents

_RECORDED = {Verdict.MATCH, Verdict.NO_MOTION, Verdict.UNREADABLE}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a match: the verdict, what moved in its clip, and how the owner of one that matches stands to it.

    damage: why what moved cannot be told. habits: the digest of the camera's habits that it was found by, "" for none.
    """

    match: Match
    standing: Standing | None = None
    kept: KeptEvents | None = None
    damage: str = ""
    habits: str = ""

    @property
    def score(self) -> float | None:
        """The score of the strongest event in the asked time, None where nothing moved or nobody knows.

        The operator's and the owner's: a requester learns of no clip how strongly something moved in it.
        """
        if self.kept is None or not self.match.events:
            return None
        scores = dict(zip(self.kept.events, self.kept.scores, strict=True))
        return max(scores[event] for event in self.match.events)


def request(holdings: Holdings, name: str) -> Request:
    """Return the request of that id. Raises NotFound; to an officer for another agency's too, in the same words.

    An owner reads what was asked of anybody, but not what other owners asked of their own footage.
    """
    found, actor = holdings.catalog.cases.request(name), holdings.actor
    hidden = found is not None and (
        (actor.role is Role.OFFICER and (bool(found.own) or found.agency != actor.agency))
        or (actor.role is Role.OWNER and found.own not in {"", actor.name})
    )
    if found is None or hidden:
        asks = actor.role in {Role.OFFICER, Role.OWNER}
        lists = "`lamplighter case list` names yours" if asks else "`lamplighter show` lists them"
        raise NotFound(f"there is no request {name!r}; {lists}")
    return found


def _settled(holdings: Holdings, asked: Request) -> Request:
    """Return a request as it was settled. Raises NotFound when there is none, Conflict when it says something else."""
    found = request(holdings, asked.id)
    if found != asked:
        raise Conflict(f"request {asked.id} was settled otherwise than it is given here; read it again")
    return found


def match(holdings: Holdings, asked: Request) -> list[Row]:
    """Return the verdict on every camera and clip, to an owner on their own; see Desk.match."""
    asked = _settled(holdings, asked)
    cameras = [camera for camera in holdings.catalog.cameras() if _may_see(holdings, camera)]
    near = holdings.catalog.candidates(asked.area, asked.span)
    near += holdings.catalog.neighbours(asked.area, asked.span)
    theirs = _theirs(holdings, asked) if holdings.actor.role is Role.OWNER else None
    near = [(camera, one) for camera, one in near if _may_see(holdings, camera) and (not theirs or theirs(camera, one))]
    return _rows(holdings, asked, cameras, near)


def matching(holdings: Holdings, asked: Request, wanted: Callable[[Camera, Clip], bool]) -> list[Row]:
    """Return the verdict on the clips that are wanted of those that share time with the request, and on no other.

    Not on what a camera recorded when it was another owner's.

    What it costs does not grow with the fleet or the age of the catalogue, and no other clip's motion is looked at.
    """
    asked = _settled(holdings, asked)
    near = holdings.catalog.candidates(asked.area, asked.span)
    theirs = _theirs(holdings, asked)
    found = [(camera, one) for camera, one in near if wanted(camera, one.clip) and theirs(camera, one)]
    return _rows(holdings, asked, list({camera.id: camera for camera, _ in found}.values()), found)


def asked_of(holdings: Holdings, asked: Request, owner: str) -> list[Row]:
    """Return the verdict on the clips about which an owner is asked. Raises NotAllowed to another owner, NotFound."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    return matching(holdings, asked, lambda camera, _: camera.owner == owner and camera.sharing is not Sharing.NEVER)


def clips_of(holdings: Holdings, asked: Request, owner: str) -> list[str]:
    """Return the ids of an owner's clips that recorded some of the asked time, whatever their cameras allow."""
    return [
        record.clip.id
        for camera, record in holdings.catalog.candidates(asked.area, asked.span)
        if camera.owner == owner
        and asked.area.covers(camera)
        and (span := asked.span & record.clip.span) is not None
        and next(iter(record.clip.recorded(span)), None) is not None
    ]


def life_of(holdings: Holdings, asked: Request) -> Life:
    """Return the life of a request so far, as many reviewers wanted as the settings say."""
    return replace(holdings.catalog.cases.life(asked), reviewers=holdings.settings.case.reviewers)


def consent_to(holdings: Holdings, asked: Request) -> Consent:
    """Return all that was said to a request, as the catalogue knows it."""
    consent = holdings.catalog.cases.consent(asked, holdings.catalog.owners())
    case = holdings.settings.case
    return replace(consent, life=replace(consent.life, reviewers=case.reviewers), always_ns=case.always_ns)


def changed_hands(holdings: Holdings) -> Callable[[str], list[Transfer]]:
    """Return what tells of a camera, by its id, when it became another owner's; the store is asked once for each."""
    shelf = holdings.archive.transfers
    changed = {name.partition("/")[0] for name in shelf.names()}

    @cache
    def of(camera: str) -> list[Transfer]:
        return list(shelf.all(f"{camera}/")) if camera in changed else []

    return of


def _theirs(holdings: Holdings, asked: Request) -> Callable[[Camera, Ingested], bool]:
    """Return what tells whether a camera was its owner's when it recorded what is asked of a clip."""
    of = changed_hands(holdings)

    def theirs(camera: Camera, ingested: Ingested) -> bool:
        span = asked.span & ingested.clip.span or ingested.clip.span
        return recorded_by(camera.owner, span, of(camera.id))

    return theirs


def _may_see(holdings: Holdings, camera: Camera) -> bool:
    return holdings.actor.role is not Role.OWNER or camera.owner == holdings.actor.name


def check_own(holdings: Holdings, owner: str) -> None:
    """Raise NotAllowed when an owner acts for another one."""
    if holdings.actor.role is Role.OWNER and holdings.actor.name != owner:
        raise NotAllowed(f"{holdings.actor} may not answer for owner {owner}; {owner} has to")


def _rows(holdings: Holdings, asked: Request, cameras: list[Camera], near: list[tuple[Camera, Ingested]]) -> list[Row]:
    consent, now_ns = consent_to(holdings, asked), time.time_ns()
    ingested: dict[str, dict[str, Ingested]] = {}
    for _, record in sorted(near, key=lambda one: one[1].clip.start_ns):
        ingested.setdefault(record.clip.camera, {})[record.clip.id] = record
    looked_at = [
        (camera, record)
        for camera in cameras
        if camera.id in ingested and asked.area.covers(camera)
        for record in ingested[camera.id].values()
        if record.clip.recorded(asked.span)
    ]
    habits = in_force(holdings, {camera.id for camera, _ in looked_at})
    layers, store = holdings.settings.layers, holdings.store
    found = find(asked, looked_at, layers=layers, habits=habits, store=store, catalog=holdings.catalog)

    def clips(camera: Camera) -> list[Clip]:
        return [record.clip for record in ingested.get(camera.id, {}).values()]

    def events(clip: Clip) -> tuple[Span, ...] | None:
        return None if clip.id in found.damaged else found.motions[clip.id].events

    rows = []
    for one in match_all(asked, cameras, clips=clips, events=events):
        name = one.clip.id if one.clip else ""
        stands, kept = None, found.motions.get(name)
        if one.clip is not None and one.span is not None and one.verdict in _RECORDED:
            stands = consent.standing(one.camera, name, one.span, now_ns)
            # What its owner chose, or an order names, leaves whether or not anything moved; of the rest only that.
            if one.verdict is not Verdict.MATCH and stands not in {Standing.SHARED, Standing.ORDERED}:
                stands = None
        used = habits.name(one.camera.id) if kept else ""
        rows.append(Row(one, stands, kept, found.damaged.get(name, ""), used))
    return rows
