"""What owners say: they share, decline, withdraw, want no more requests, and set what a camera of theirs allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from lamplighter.desk.cases import Row, asked_of, check_own, clips_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import check_owner
from pipeline.case.consent import Decision, Share, Standing, Word
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import State
from pipeline.case.match import Verdict
from pipeline.case.request import Request
from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.cover import Cover
from pipeline.errors import ConfigError, Conflict, NotAllowed, NotFound
from pipeline.span import NS, iso
from pipeline.zone import Zone, checked
from storage.catalog.audit import Line


def decide(
    holdings: Holdings,
    request: Request,
    owner: str,
    *,
    share: Sequence[str | Share] | None,
    discloses: Iterable[Disclosure] | None,
    note: str,
    revision: int | None,
    sound: bool,
    cover: Cover,
    saw: Callable[[list[Row]], None],
) -> Decision:
    """Settle an owner's answer; see Desk.decide."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    rows = asked_of(holdings, request, owner)
    saw(rows)
    there = [row.match.clip.id for row in rows if row.match.clip is not None and row.match.recorded]
    moved = [row.match.clip.id for row in rows if row.match.clip is not None and row.match.verdict is Verdict.MATCH]
    named = moved if share is None else share
    shares = [Share(one, sound=sound, cover=cover) if isinstance(one, str) else one for one in named]
    for one in shares:
        if one.clip not in there:
            raise NotFound(
                f"clip {one.clip} is none of owner {owner} in the asked time; `lamplighter asked` lists them"
            )
    if share is None and not moved:
        raise NotFound(f"nothing moved in a clip of owner {owner} that request {request.id} asks for; name the clips")
    # Those of a camera that never shares too: it may be another's one day, or may share.
    withheld = tuple({*there, *clips_of(holdings, request, owner)} - {one.clip for one in shares})
    known = holdings.catalog.owner(owner) or Owner(owner)
    told = tuple(known.discloses if discloses is None else discloses) if shares else ()

    def make(before: Decision | None, released: Sequence[Delivery]) -> Decision:
        _check_open(holdings, request, closed="no answer is taken any more")
        if revision is not None:
            check_unused(before, revision)
        now = Decision(
            *(request.id, owner, tuple(shares), time.time_ns(), withheld, told, note),
            revision=1 if before is None else before.revision + 1,
        )
        if before is not None and _same(before, now):
            return before
        _check_not_released(owner, released, keeps=now.shares, theirs=there)
        return now

    return _settle(holdings, request, owner, make)


def withdraw(holdings: Holdings, request: Request, owner: str, *, revision: int | None) -> Decision:
    """Take back what an owner said, until it is released; see Desk.withdraw."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    there = clips_of(holdings, request, owner)

    def make(before: Decision | None, released: Sequence[Delivery]) -> Decision:
        _check_open(holdings, request, closed="")
        if revision is not None:
            check_unused(before, revision)
        if before is not None and before.withdrawn:
            return before
        _check_not_released(owner, released, keeps=(), theirs=there)
        number = 1 if before is None else before.revision + 1
        held = (*there, *(() if before is None else (*before.clips, *before.withheld)))
        return Decision(request.id, owner, (), time.time_ns(), held, withdrawn=True, revision=number)

    return _settle(holdings, request, owner, make)


def opt_out(holdings: Holdings, owner: str, *, undo: bool) -> Owner:
    """Let an owner be asked nothing any more, or again; see Desk.opt_out."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    said: list[Owner] = []

    def settle(before: Owner | None, _: Owner) -> Owner:
        now = before or Owner(owner)
        if (now.opted_out_ns is None) is not undo:
            now = replace(now, opted_out_ns=None if undo else time.time_ns())
            said.append(now)
        return now

    def log(_: Owner | None, now: Owner) -> Line | None:
        # Also what the bucket alone knows: whoever was killed before the line says it again.
        told = now in said or now != known
        return holdings.line("owner takes requests again" if undo else "owner opted out", owner) if told else None

    known = holdings.catalog.owner(owner) or Owner(owner)
    if undo and known.opted_out_ns is None and holdings.archive.owners.get(owner) is None:
        return known  # nothing was said that could be undone: no document, and no line
    (now,) = holdings.catalog.put_owners([known], settle=settle, log=log)
    return now


def allow(holdings: Holdings, camera: str, sharing: Sharing) -> Camera:
    """Set what a camera of the actor's allows without being asked again; see Desk.allow."""
    found = _own_camera(holdings, camera)
    if sharing is Sharing.ALWAYS and found.gift:
        raise NotAllowed(
            f"camera {camera} was given to its owner or sold cheaper: footage is no price for it, so each request is "
            'asked; "always" cannot be set'
        )
    always_ns = holdings.settings.case.always_ns

    def settle(before: Camera | None, _: Camera) -> Camera:
        if before is None or before.owner != holdings.actor.name or (before.gift and sharing is Sharing.ALWAYS):
            raise Conflict(f"camera {camera} was changed just now; look at it again")
        until_ns = time.time_ns() + always_ns if sharing is Sharing.ALWAYS else None
        return replace(before, sharing=sharing, always_until_ns=until_ns)

    def log(_: Camera | None, now: Camera) -> Line:
        until_ns = now.always_until_ns
        told = f"{sharing}{f' until {iso(until_ns - until_ns % NS)}' if until_ns else ''}"
        return holdings.line("sharing set", camera, told)

    (now,) = holdings.catalog.put_cameras([found], settle=settle, log=log)
    return now


def set_private(holdings: Holdings, camera: str, zones: Iterable[Zone]) -> Camera:
    """Set what of the picture of a camera of the actor's is private; see Desk.set_private."""
    found = _own_camera(holdings, camera)
    try:
        private = checked(zones)
    except ValueError as error:
        raise ConfigError(f"camera {camera}: {error}") from error

    def settle(before: Camera | None, _: Camera) -> Camera:
        if before is None or before.owner != holdings.actor.name:
            raise Conflict(f"camera {camera} was changed just now; look at it again")
        return replace(before, private=private)

    def log(_: Camera | None, now: Camera) -> Line:
        return holdings.line("private zones set", camera, f"{len(now.private)} zones" if now.private else "none")

    (now,) = holdings.catalog.put_cameras([found], settle=settle, log=log)
    return now


def _own_camera(holdings: Holdings, camera: str) -> Camera:
    found = holdings.catalog.camera(camera)
    if found is None or found.owner != holdings.actor.name:
        raise NotFound(f"there is no camera {camera!r} of yours; `lamplighter owners show` lists them")
    return found


def check_unused(decision: Decision | None, revision: int) -> None:
    """Raise Conflict when a link made after `revision` answers acted before, or an answer came another way since."""
    if (decision.revision if decision else 0) != revision:
        raise Conflict(
            "link: it acted before, or you answered in another way since; each link acts once, and the letter that "
            "confirmed your answer has the next one"
        )


def _settle(
    holdings: Holdings, request: Request, owner: str, make: Callable[[Decision | None, Sequence[Delivery]], Decision]
) -> Decision:
    def letters(decision: Decision) -> Iterable[Letter]:
        yield Letter(request.id, owner, Kind.ANSWERED, decision.decided_ns, decision.revision)

    def log(decision: Decision) -> Line:
        told = {
            Word.SHARED: f"shared {len(decision.shares)} clips",
            Word.DECLINED: "declined",
            Word.WITHDREW: "withdrew",
        }
        return holdings.line("decision", request.id, told[decision.word])

    return holdings.catalog.cases.settle(request.id, owner, make, letters=letters, log=log)


def _check_open(holdings: Holdings, request: Request, *, closed: str) -> None:
    """Raise Conflict unless a request's owners were asked, and for a closed one if `closed` says what is too late.

    By the bucket alone: it is called in turn, and another catalogue over this bucket may have sent the request.
    """
    life = holdings.archive.life(request, holdings.settings.case.reviewers)
    state = life.state(time.time_ns())
    if state is State.CLOSED and closed:
        raise Conflict(f"request {request.id} closed at {iso(life.closes_ns or 0)}; {closed}")
    if state not in {State.SENT, State.CLOSED}:
        raise Conflict(f"request {request.id} is {state}: its owners were not asked yet")


def _check_not_released(
    owner: str, released: Sequence[Delivery], *, keeps: Sequence[Share], theirs: Sequence[str]
) -> None:
    """Raise Conflict when more was released on an owner's word than they `keep` sharing.

    `theirs` are their clips, by which an account of an earlier version tells whose it is. What an order released, or
    the word of another owner of the camera, is not theirs to take back: they may say what they like, and are not told.
    """
    shares, gone = {share.clip: share for share in keeps}, set[str]()
    for one in released:
        mine = one.owner == owner if one.owner else one.clip in theirs
        if not mine or one.word == Standing.ORDERED.value:
            continue
        share, asked, audio = shares.get(one.clip), one.record.asked, one.record.audio is not None
        more = share is not None and not one.cover.covers(share.cover.within(asked, sound=audio))
        if share is None or more or asked not in share.of(asked) or (audio and not share.sound):
            covered = f", covered: {', '.join(one.record.covered) or 'nothing'}" if more else ""
            gone.add(f"{one.clip} ({asked}{', with its sound' if audio else ''}{covered})")
    if gone:
        raise Conflict(
            f"released before and not to be called back: clip {'; '.join(sorted(gone))}. What is not released yet can "
            "be kept back by sharing just these, as they were released"
        )


def _same(one: Decision, other: Decision) -> bool:
    return replace(one, decided_ns=0, revision=1) == replace(other, decided_ns=0, revision=1)
