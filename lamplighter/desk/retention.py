"""How long footage is kept: plans, what expires and when, and the removing of what is past its time or forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lamplighter.desk.cases import changed_hands, check_own
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import camera as camera_of
from lamplighter.desk.register import check_owner
from pipeline.actor import Role
from pipeline.clip import Camera, Clip, Transfer
from pipeline.errors import ConfigError, Conflict, NotFound
from pipeline.retention import (
    DAY_NS,
    Cost,
    Due,
    Ground,
    Plan,
    Removal,
    costs,
    day_of,
    expires_ns,
    forecast,
    id_of,
    owner_at,
)
from pipeline.span import Span
from storage.archive import clip_name, stamp_of, start_of
from workers.holds import Holds
from workers.retention import Stored, batches, footage, of_removal, remove, stored

_MOST = 2000  # clips that are settled in one turn, in which nobody else is heard


def _nothing(_: object) -> None:
    """Watch a run as nobody does."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long one owner's footage is kept, and what there is of it that is not past its time.

    since_ns: since when they have a plan; None: they have that of the settings. days: 0 for ever. next_day: the day
    (YYYYMMDD) on which the first of it expires by its plan, "" for none; a request or an order may keep some longer.
    """

    owner: str
    days: int
    since_ns: int | None
    cameras: tuple[str, ...]
    clips: int
    size: int
    next_day: str


@dataclass(slots=True)
class Swept:
    """What a run removed: clips, and bytes of footage. held: ids of clips that a case or an order keeps.

    locked: keys that the store itself keeps. ended: how many removals of killed runs it ended first.
    """

    clips: int = 0
    size: int = 0
    held: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    ended: int = 0


def plans(holdings: Holdings, owner: str = "") -> list[Cost]:
    """Return what each plan would cost; see Desk.plans."""
    cameras = [one.id for one in _cameras(holdings, owner)]
    recorded = holdings.catalog.removals.recorded(cameras)
    return costs(recorded, sorted({*holdings.settings.retention.plans, *filter(None, [_default(holdings)])}))


def set_plan(holdings: Holdings, owner: str, days: int) -> Plan:
    """Set how long an owner's footage is kept; see Desk.set_plan."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    plan = Plan(owner, holdings.settings.retention.checked(days), time.time_ns(), str(holdings.actor))
    before = holdings.archive.plans.get(owner)
    if before is not None and before.days == days:
        return before
    was = f", {before.days} days before" if before else ""
    holdings.catalog.logs.hold(holdings.archive.plans, plan, holdings.line("plan set", owner, f"{days} days{was}"))
    return plan


def keeping(holdings: Holdings, owner: str = "") -> list[Keeping]:
    """Return how long each owner's footage is kept; see Desk.keeping."""
    cameras = _cameras(holdings, owner)
    chosen = {one.owner: one for one in holdings.archive.plans.all()}
    due = _coming(holdings, cameras)
    found = []
    for name in [owner] if owner else sorted({one.owner for one in cameras}):
        plan = chosen.get(name)
        days = plan.days if plan else _default(holdings)
        mine = tuple(one.id for one in cameras if one.owner == name)
        there = holdings.catalog.removals.recorded(mine) if not days else [one for one in due if one.camera in mine]
        found.append(
            Keeping(
                *(name, days, plan.set_ns if plan else None, mine),
                clips=sum(one.clips for one in there),
                size=sum(one.size for one in there),
                next_day=min((one.day for one in there), default="") if days else "",
            )
        )
    return found


def look_ahead(holdings: Holdings, owner: str = "", *, days: int) -> list[Due]:
    """Return what expires within so many days; see Desk.look_ahead."""
    if not 0 <= days <= 36_500:
        raise ConfigError(f"--days: wanted 0 to 36500 days ahead, got {days}")
    last = day_of(time.time_ns() + days * DAY_NS)
    return [one for one in _coming(holdings, _cameras(holdings, owner)) if one.day <= last]


def _coming(holdings: Holdings, cameras: Iterable[Camera]) -> list[Due]:
    """Return what expires from today on, by camera and day, as the bucket lists it.

    What is past its time and still there is left out: that would tell an owner of an order they may not know of.
    """
    kept, moved, today = _kept_days(holdings), changed_hands(holdings), day_of(time.time_ns())
    found: list[Due] = []
    for camera in cameras:
        transfers = moved(camera.id)

        def days(start_ns: int, camera: Camera = camera, transfers: Sequence[Transfer] = transfers) -> int:
            return kept(owner_at(camera, transfers, start_ns))

        found += forecast(camera.id, footage(holdings.archive, camera.id), days)
    return sorted((one for one in found if one.day >= today), key=lambda one: (one.day, one.camera))


def expire(holdings: Holdings, *, now_ns: int | None = None, step: Callable[[str], object] = _nothing) -> Swept:
    """Remove what is past its time and kept by nothing; see Desk.expire. step: told of each part before it."""
    at_ns, swept = time.time_ns() if now_ns is None else now_ns, Swept()
    with _alone(holdings):
        holds = _holds(holdings)
        _end_others(holdings, holds, swept, step=step)
        for batch in batches(_due(holdings, at_ns), _MOST):
            _sweep(holdings, holds, batch, swept, why=Ground.EXPIRED, note="by plan", at_ns=at_ns, step=step)
    return swept


def forget(
    holdings: Holdings,
    *,
    clips: Sequence[str] = (),
    camera: str = "",
    span: Span | None = None,
    owner: str = "",
    reason: str,
    dry_run: bool = False,
    step: Callable[[str], object] = _nothing,
) -> Swept:
    """Remove these clips now, but those that something keeps; see Desk.forget."""
    if not reason.strip() or len(reason) > 500:
        raise ConfigError(f"--why: wanted why it is forgotten, in 1 to 500 characters, got {len(reason.strip())}")
    now_ns, swept = time.time_ns(), Swept()
    if camera:
        camera_of(holdings, camera)
    if owner and all(one.before != owner for one in holdings.archive.transfers.all()):  # who has no camera any more
        check_owner(holdings, owner)
    names = [clip_name(_clip(holdings, clip)).partition("/") for clip in clips]
    chosen = _named(holdings, names) if clips else _inside(holdings, camera, span) if camera else _of(holdings, owner)
    # What has no record and was written just now is being taken in.
    whole = (one for one in chosen if one.record or one.written_ns < now_ns - DAY_NS)
    with _alone(holdings):
        holds = _holds(holdings)
        if not dry_run:
            _end_others(holdings, holds, swept, step=step)
        for batch in batches(whole, _MOST):
            if dry_run:
                _count(
                    swept, batch, holds.keeps(_removal(holdings, batch, why=Ground.FORGOTTEN, note="", at_ns=now_ns))
                )
            else:
                _sweep(
                    holdings, holds, batch, swept, why=Ground.FORGOTTEN, note=reason.strip(), at_ns=now_ns, step=step
                )
    return swept


@contextmanager
def _alone(holdings: Holdings) -> Iterator[None]:
    """Let one process remove clips at a time. Raises Conflict while another one does."""
    with holdings.catalog.removals.alone() as mine:
        if not mine:
            raise Conflict("another process is removing clips just now; run it again when that has ended")
        yield


def _sweep(
    holdings: Holdings,
    holds: Holds,
    batch: Sequence[Stored],
    swept: Swept,
    *,
    why: Ground,
    note: str,
    at_ns: int,
    step: Callable[[str], object],
) -> None:
    wanted = _removal(holdings, batch, why=why, note=note, at_ns=at_ns)
    step("settle")
    going = holdings.catalog.removals.settle(wanted, holds.keeps)
    gone = set(going.clips) if going else set()
    _count(swept, batch, {id_of(one.name) for one in batch if (one.camera, one.name) not in gone})
    if going is not None:
        clips = [one for one in batch if (one.camera, one.name) in gone]
        swept.locked += remove(holdings.archive, going, clips, step=step)


def _count(swept: Swept, batch: Sequence[Stored], kept: set[str]) -> None:
    for one in batch:
        if id_of(one.name) in kept:
            swept.held.append(id_of(one.name))
        else:
            swept.clips += 1
            swept.size += one.footage


def _removal(holdings: Holdings, batch: Sequence[Stored], *, why: Ground, note: str, at_ns: int) -> Removal:
    names = [(one.camera, one.name) for one in batch]
    return Removal.of(names, why=why, at_ns=at_ns, actor=holdings.line("", "").actor, note=note)


def _end_others(holdings: Holdings, holds: Holds, swept: Swept, *, step: Callable[[str], object]) -> None:
    """End what runs that were killed began: settled in the log or not, nothing stays half."""
    for begun in list(holdings.archive.removals.all()):
        _end(holdings, holds, begun, swept, step=step)


def _end(
    holdings: Holdings, holds: Holds, begun: Removal, swept: Swept, *, step: Callable[[str], object]
) -> Removal | None:
    keeps = holds.names if begun.why is Ground.REPLACED else holds.keeps
    going = holdings.catalog.removals.settle(begun, keeps, begun=True)
    if going is not None:
        swept.ended += 1
        swept.locked += remove(holdings.archive, going, of_removal(holdings.archive, going), step=step)
    return going


def end_replaced(holdings: Holdings) -> list[Removal]:
    """Remove the clips that were taken short and whose place a longer one took; return what went.

    What a case names stays beside it. While another process removes clips nothing goes: whoever removes next ends it.
    """
    names = list(holdings.archive.removals.names())
    begun = [one for one in map(holdings.archive.removals.get, names) if one and one.why is Ground.REPLACED]
    if not begun:
        return []
    with holdings.catalog.removals.alone() as mine:
        if not mine:
            return []
        holds, swept = _holds(holdings), Swept()
        gone = [_end(holdings, holds, one, swept, step=_nothing) for one in begun]
    return [one for one in gone if one is not None]


def _holds(holdings: Holdings) -> Holds:
    return Holds(
        holdings.archive,
        reviewers=holdings.settings.case.reviewers,
        after_close_ns=holdings.settings.retention.after_close_ns,
        longest_ns=holdings.catalog.removals.longest_ns(),
        known=holdings.catalog.cases.requests(),
    )


# Which clips


def _due(holdings: Holdings, at_ns: int) -> Iterator[Stored]:
    """Yield what lies in the bucket of clips that are past their time, of all cameras it has anything of."""
    kept, moved = _kept_days(holdings), changed_hands(holdings)
    for camera in holdings.catalog.cameras():
        transfers = moved(camera.id)
        owners = {camera.owner, *(one.before for one in transfers)}
        shortest = min((days for days in map(kept, owners) if days), default=0)
        if not shortest:
            continue
        for one in stored(holdings.archive, camera.id, until=stamp_of(at_ns - shortest * DAY_NS)):
            start_ns = start_of(one.name)
            days = kept(owner_at(camera, transfers, start_ns))
            if days and expires_ns(start_ns, one.written_ns, days) <= at_ns:
                yield one


def _named(holdings: Holdings, names: Iterable[tuple[str, str, str]]) -> Iterator[Stored]:
    for camera, _, name in names:
        yield from stored(holdings.archive, camera, since=name, until=f"{name}~")


def _inside(holdings: Holdings, camera: str, span: Span | None) -> Iterator[Stored]:
    if span is None:
        yield from stored(holdings.archive, camera)
        return
    since_ns = max(0, span.start_ns - holdings.catalog.removals.longest_ns())
    for one in stored(holdings.archive, camera, since=stamp_of(since_ns), until=stamp_of(span.end_ns)):
        reaches = start_of(one.name) >= span.start_ns
        if not reaches and (record := holdings.archive.clips.get(f"{camera}/{one.name}")) is not None:
            reaches = bool(record.clip.span & span)
        if reaches:
            yield one


def _of(holdings: Holdings, owner: str) -> Iterator[Stored]:
    """Yield what cameras recorded while they were an owner's; what they recorded for another one is not theirs."""
    moved = changed_hands(holdings)
    for camera in holdings.catalog.cameras():
        transfers = moved(camera.id)
        if owner == camera.owner or any(one.before == owner for one in transfers):
            for one in stored(holdings.archive, camera.id):
                if owner_at(camera, transfers, start_of(one.name)) == owner:
                    yield one


def _clip(holdings: Holdings, clip: str) -> Clip:
    found = holdings.catalog.clip(clip)
    if found is None:
        raise NotFound(f"there is no clip {clip!r}; `lamplighter show CAMERA` lists those of a camera")
    return found.clip


# Whose


def _cameras(holdings: Holdings, owner: str) -> list[Camera]:
    """Return an owner's cameras, or all. Raises NotAllowed to an owner but for their own, NotFound for nobody's."""
    if owner or holdings.actor.role is Role.OWNER:
        check_own(holdings, owner)
        check_owner(holdings, owner)
    return [one for one in holdings.catalog.cameras() if not owner or one.owner == owner]


def _default(holdings: Holdings) -> int:
    return holdings.settings.retention.days


def _kept_days(holdings: Holdings) -> Callable[[str], int]:
    """Return what tells how long an owner's footage is kept (days)."""
    chosen = {one.owner: one.days for one in holdings.archive.plans.all()}
    return lambda owner: chosen.get(owner, _default(holdings))
