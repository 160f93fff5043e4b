"""What owners say: they share, decline, withdraw, want no more requests, and set what a camera of theirs allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from lamplighter.desk.cases import Row, asked_of, check_own, consent_to
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import check_owner
from pipeline.case.consent import Decision, Share, Word
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import State
from pipeline.case.match import Verdict
from pipeline.case.request import Request
from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.errors import Conflict, NotAllowed, NotFound
from pipeline.span import NS, iso

_DAY_NS = 86_400 * NS


def decide(
    holdings: Holdings,
    request: Request,
    owner: str,
    *,
    share: Sequence[str | Share] | None,
    discloses: Iterable[Disclosure] | None,
    note: str,
    sound: bool,
    saw: Callable[[list[Row]], None],
) -> Decision:
    """Settle an owner's answer; see Desk.decide."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    rows = asked_of(holdings, request, owner)
    saw(rows)
    there = [row.match.clip.id for row in rows if row.match.clip is not None and row.match.recorded]
    moved = [row.match.clip.id for row in rows if row.match.clip is not None and row.match.verdict is Verdict.MATCH]
    shares = [Share(one, sound=sound) if isinstance(one, str) else one for one in (moved if share is None else share)]
    for one in shares:
        if one.clip not in there:
            raise NotFound(
                f"clip {one.clip} is none of owner {owner} in the asked time; `lamplighter asked` lists them"
            )
    if share is None and not moved:
        raise NotFound(f"nothing moved in a clip of owner {owner} that request {request.id} asks for; name the clips")
    withheld = tuple(set(there) - {one.clip for one in shares})
    known = holdings.catalog.owner(owner) or Owner(owner)
    told = tuple(known.discloses if discloses is None else discloses) if shares else ()

    def make(before: Decision | None, released: Sequence[Delivery]) -> Decision:
        _check_open(holdings, request)
        now = Decision(
            *(request.id, owner, tuple(shares), time.time_ns(), withheld, told, note),
            revision=1 if before is None else before.revision + 1,
        )
        if before is not None and _same(before, now):
            return before
        _check_not_released(holdings, owner, released, keeps=now.clips)
        return now

    return _settle(holdings, request, owner, make)


def withdraw(holdings: Holdings, request: Request, owner: str) -> Decision:
    """Take back what an owner said, until it is released; see Desk.withdraw."""
    check_own(holdings, owner)
    check_owner(holdings, owner)

    def make(before: Decision | None, released: Sequence[Delivery]) -> Decision:
        if before is not None and before.withdrawn:
            return before
        _check_not_released(holdings, owner, released, keeps=())
        revision = 1 if before is None else before.revision + 1
        held = () if before is None else (*before.clips, *before.withheld)
        return Decision(request.id, owner, (), time.time_ns(), held, withdrawn=True, revision=revision)

    return _settle(holdings, request, owner, make)


def opt_out(holdings: Holdings, owner: str, *, undo: bool) -> Owner:
    """Let an owner be asked nothing any more, or again; see Desk.opt_out."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    known = holdings.catalog.owner(owner) or Owner(owner)
    if (known.opted_out_ns is None) is undo:
        return known
    now = replace(known, opted_out_ns=None if undo else time.time_ns())
    holdings.catalog.put_owners([now])
    holdings.log("owner takes requests again" if undo else "owner opted out", owner)
    return now


def allow(holdings: Holdings, camera: str, sharing: Sharing) -> Camera:
    """Set what a camera of the actor's allows without being asked again; see Desk.allow."""
    found = holdings.catalog.camera(camera)
    if found is None or found.owner != holdings.actor.name:
        raise NotFound(f"there is no camera {camera!r} of yours; `lamplighter owners show` lists them")
    if sharing is Sharing.ALWAYS and found.gift:
        raise NotAllowed(
            f"camera {camera} was given to its owner or sold cheaper: footage is no price for it, so each request is "
            'asked; "always" cannot be set'
        )
    until_ns = None
    if sharing is Sharing.ALWAYS:
        until_ns = time.time_ns() + holdings.settings.case.always_days * _DAY_NS
    now = replace(found, sharing=sharing, always_until_ns=until_ns)
    holdings.catalog.put_cameras([now])
    holdings.log("sharing set", camera, f"{sharing}{f' until {iso(until_ns - until_ns % NS)}' if until_ns else ''}")
    return now


def _settle(
    holdings: Holdings, request: Request, owner: str, make: Callable[[Decision | None, Sequence[Delivery]], Decision]
) -> Decision:
    fresh: list[Decision] = []

    def letters(decision: Decision) -> Iterable[Letter]:
        fresh.append(decision)
        yield Letter(request.id, owner, Kind.ANSWERED, decision.decided_ns, decision.revision)

    settled = holdings.catalog.cases.settle(request.id, owner, make, letters=letters)
    if fresh:
        told = {
            Word.SHARED: f"shared {len(settled.shares)} clips",
            Word.DECLINED: "declined",
            Word.WITHDREW: "withdrew",
        }
        holdings.log("decision", request.id, told[settled.word])
    return settled


def _check_open(holdings: Holdings, request: Request) -> None:
    life = consent_to(holdings, request).life
    state = life.state(time.time_ns())
    if state is State.CLOSED:
        raise Conflict(f"request {request.id} closed at {iso(life.closes_ns or 0)}; no answer is taken any more")
    if state is not State.SENT:
        raise Conflict(f"request {request.id} is {state}: its owners were not asked yet")


def _check_not_released(holdings: Holdings, owner: str, released: Sequence[Delivery], *, keeps: Sequence[str]) -> None:
    """Raise Conflict when a clip of the owner's that they no longer share was released."""
    mine = {camera.id for camera in holdings.catalog.cameras() if camera.owner == owner}
    gone = sorted({one.clip for one in released if one.camera in mine and one.clip not in keeps})
    if gone:
        raise Conflict(
            f"released before and not to be called back: clip {', '.join(gone)}; what is not released yet can be kept "
            "back by sharing these alone"
        )


def _same(one: Decision, other: Decision) -> bool:
    return replace(one, decided_ns=0, revision=1) == replace(other, decided_ns=0, revision=1)
