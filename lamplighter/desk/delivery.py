"""What leaves: every clip of a request that its owner lets out, and what the one who asked is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import PurePosixPath
from typing import Any, Final, Never

import numpy as np
from pydantic import TypeAdapter

from lamplighter.desk import logs
from lamplighter.desk.books import Accounts, carry_out
from lamplighter.desk.cases import changed_hands, consent_to, matching
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.release_list import check_may_release, list_released
from lamplighter.desk.tally import Saw, Tally
from pipeline.case.consent import Consent, Standing
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.match import Verdict
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Transfer, private_in
from pipeline.cover import Cover
from pipeline.errors import Conflict, DamagedDocument
from pipeline.evidence.release_list import FILES as LIST_FILES
from pipeline.log.entry import LogName, sha256
from pipeline.media.cut import Cut
from pipeline.media.profile import Profile
from pipeline.span import Span
from storage.archive import clip_name
from storage.catalog import held
from storage.catalog.audit import Line
from storage.contract import ObjectStore
from workers.deliver import DeliverJob, drop_prepared, hand_over, prepare, prepared_for, to_release
from workers.receipt import Outcome, Receipt, set_aside
from workers.wall import OTHER_COVER

_RECORDS = TypeAdapter(list[Record])
# Who draws a zone while it is cut has it cut again in the same run; who goes on drawing waits for the next one.
_TRIES: Final = 3
_ON_THEIR_WORD = {Standing.SHARED.value, Standing.ALWAYS.value}


def deliver(holdings: Holdings, request: Request, *, saw: Saw) -> Tally:
    """Cut aside every clip its owner lets out, and release what is due; see Desk.deliver."""
    if next(holdings.archive.to_rename(request.id, passing=lambda *_: None), None) is not None:
        raise Conflict(
            f"an earlier version released clips for request {request.id} under names that tell whose they are; "
            "bring them over first (lamplighter case upgrade)"
        )
    # Of the start alone: how long cutting takes, also of what is not released then, moves no release to another tick.
    start_ns = time.time_ns()
    logs.check_signs(holdings)
    check_may_release(holdings)
    _finish(holdings, request)
    accounts, now = Accounts(holdings), set[str]()

    def enter(receipt: Receipt[DeliverJob, Delivery]) -> None:
        if receipt.outcome is not Outcome.ASIDE or receipt.trace:
            accounts.put(receipt)

    for _ in range(_TRIES):
        jobs, damaged = _jobs(holdings, request)
        _sweep(holdings, request, set(jobs) | set(damaged))
        # In the order of their names: in that of cameras, files would tell by their times which are of one camera.
        chosen = [jobs[name] for name in sorted(jobs)]
        refused = [damaged[name] for name in sorted(damaged)]
        tally = carry_out(chosen, prepare, holdings, saw=saw, enter=enter, refused=refused)
        now |= {one.cut for one in release(holdings, request, tally, start_ns=start_ns)}
        if all(receipt.reason != OTHER_COVER for receipt in tally.aside):
            break
    known = {one.cut: one for one in holdings.catalog.cases.deliveries(request.id)}
    tally.count_released(known, now)
    for name, why in _unread(holdings, request, {one.record.name for one in known.values()}).items():
        tally.leave(name, f"{why}; nobody can tell what it is of: move it away and keep it")
    tally.lacks = tuple(list_released(holdings, request))
    if request.own:  # that an owner asked for their own footage moves nothing that others see
        logs.seal(holdings, LogName.KEPT)
    else:
        logs.seal_tick(holdings, start_ns)
    return tally


def release(
    holdings: Holdings, request: Request, tally: Tally | None = None, *, start_ns: int | None = None
) -> list[Delivery]:
    """Release what is due of the cuts set aside for a request, and hand it over; return what was released now.

    What was said until the last tick before `start_ns` is due, by default before now.
    """
    archive, case = holdings.archive, holdings.settings.case
    start_ns = time.time_ns() if start_ns is None else start_ns
    refused: list[tuple[Delivery, str]] = []
    asked = count()  # the second time, what this run has just written is what it asks about

    def settle() -> list[Delivery]:
        refused.clear()
        now_ns = time.time_ns()  # in turn: an "always" may run out while one waits for it
        return to_release(
            *(archive, request.id),
            tick_ns=case.tick_ns(start_ns),
            now_ns=now_ns,
            at_once_ns=start_ns,
            cell_m=request.area.cell_m or holdings.settings.request.cell_m,
            always_ns=case.always_ns,
            fresh=next(asked) == 0,
            refused=lambda delivery, why: refused.append((delivery, why)),
        )

    letters = partial(_letters, holdings, request)
    released = sorted(holdings.catalog.cases.release(settle, letters=letters), key=lambda one: one.record.key)
    for delivery in released:
        _hand_over(holdings, request, delivery)
    for delivery, why in refused:
        line = holdings.line("kept back", request.id, f"clip {delivery.clip}: {why}")
        _settle(holdings, delivery, line)
        if tally is not None:
            tally.keep_back(delivery, why)
    return released


def _letters(holdings: Holdings, request: Request, deliveries: Iterable[Delivery]) -> list[Letter]:
    """Return the letters that tell each owner what left on their word; of an order they are told by one of its own."""
    told = {(one.owner, one.record.released_ns) for one in deliveries if one.owner and one.word in _ON_THEIR_WORD}
    said = holdings.catalog.cases.decisions(request.id) if told else {}
    revisions = {owner: decision.revision for owner, decision in said.items()}
    return [
        Letter(request.id, owner, Kind.RELEASED, released_ns, revisions.get(owner, 0), str(released_ns))
        for owner, released_ns in sorted(told)
    ]


def _finish(holdings: Holdings, request: Request) -> None:
    """Hand over what a killed run had settled as released and not handed over."""
    archive = holdings.archive
    for waits in list(prepared_for(archive, request.id)):
        known = _account(holdings, waits)
        if known is not None and not waits.word and known.record.sha256 == waits.record.sha256:
            holdings.catalog.cases.put_deliveries([known])
            holdings.catalog.cases.tell(_letters(holdings, request, [known]))
            _hand_over(holdings, request, known)


def _account(holdings: Holdings, waits: Delivery) -> Delivery | None:
    """Return the account of a cut's release, None where there is none, or none that can be read: `prepare` says so."""
    try:
        return holdings.archive.deliveries.get(f"{waits.request}/{waits.cut}")
    except DamagedDocument:
        return None


def _hand_over(holdings: Holdings, request: Request, delivery: Delivery) -> None:
    record, replaced = delivery.record, list[str]()
    if not hand_over(holdings.archive, delivery, replaced=replaced.append):
        return
    for what in replaced:
        holdings.log("found replaced", record.key, what)
    told = sha256(holdings.archive.records.dump(record).encode())
    account = held.first(holdings.archive, holdings.archive.deliveries, delivery)
    # At the instant of the release: how long cutting took is nobody's to know. Clip and owner stand in the kept log
    # alone.
    _settle(
        *(holdings, delivery),
        holdings.line(
            *("delivered", record.key, record.basis),
            request=request,
            sha256={"clip": record.sha256, "record": told},
            at_ns=record.released_ns or None,
        ),
        holdings.line("delivered of", record.key, f"clip {delivery.clip}, {delivery.word}", sha256=account),
    )


def _settle(holdings: Holdings, delivery: Delivery, *lines: Line) -> None:
    """Log what became of a cut that was set aside, and let it go; whoever else comes to the same does nothing.

    Logged before it goes: who is killed in between logs it a second time, and never not at all.
    """
    archive = holdings.archive
    key = archive.prepared.key(f"{delivery.request}/{delivery.cut}")
    holdings.catalog.logs.append_while(
        partial(_lies, archive.store, key), *lines, done=lambda: drop_prepared(archive, [delivery])
    )


def told(deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
    """Return what a requester is told of each delivered clip, as plain values, in the order of their keys."""
    records = sorted((delivery.record for delivery in deliveries), key=lambda one: one.key)
    documents: list[dict[str, Any]] = _RECORDS.dump_python(records, mode="json")
    return documents


def _jobs(holdings: Holdings, request: Request) -> tuple[dict[str, DeliverJob], dict[str, Receipt[DeliverJob, Never]]]:
    """Return what is to be delivered, by the name it will have: each recorded part of a clip's time that may leave.

    And what would be, if it could be read what moved in it.
    """
    key = holdings.catalog.cases.case_key(request.id)  # there before any worker asks for it
    consent, now_ns, profile = consent_to(holdings, request), time.time_ns(), holdings.settings.profile
    jobs: dict[str, DeliverJob] = {}
    damaged: dict[str, Receipt[DeliverJob, Never]] = {}
    left = _left(holdings, request)

    def add(clip: Clip, parts: Sequence[Span], how: Profile, cover: Callable[[Span], Cover], damage: str = "") -> None:
        for one in _with_frames(holdings, clip, parts):
            cut = left(Cut(request.id, clip, one, how, cover(one)))
            job, name = DeliverJob(request.id, clip_name(clip), one, how, cut.cover), key.name(cut.id)
            if damage:
                damaged[name] = set_aside(job, "activity", damage)
            else:
                jobs[name] = job

    def let_out(camera: Camera, clip: Clip) -> bool:
        return consent.word(camera, clip.id, now_ns).allowed

    for row in matching(holdings, request, let_out):
        camera, clip, span = row.match.camera, row.match.clip, row.match.span
        # Of what an order names it is not asked whether anything moved, of what nobody chose it is.
        if clip is None or span is None or not (row.damage or (row.standing is not None and row.standing.allowed)):
            continue
        parts, sound = consent.let_out(camera, clip.id, span, now_ns)
        how = profile if sound is None else profile.model_copy(update={"audio": sound})
        both = [one for part in parts for recorded in row.match.recorded if (one := part & recorded)]
        # What an order names leaves whole on the order, and at once: a part of it would tell when its owner answered.
        both = [one for one in both if not consent.ordered(camera, one)]
        chosen = consent.word(camera, clip.id, now_ns) is Standing.SHARED
        if chosen or row.match.verdict is not Verdict.NO_MOTION:
            covered = partial(_covered, consent, camera, clip.id, now_ns=now_ns)
            add(clip, both, how, covered, "" if chosen else row.damage)
    if any(order.in_force for order in consent.orders):
        before = changed_hands(holdings)
        for camera, clip, named in _ordered(holdings, consent):
            add(clip, named, profile, partial(_ordered_cover, consent, camera, before(camera.id)))
    return jobs, damaged


def _ordered(holdings: Holdings, consent: Consent) -> Iterator[tuple[Camera, Clip, list[Span]]]:
    """Yield each clip that an order in force names, and the parts of it that were recorded."""
    for order in (one for one in consent.orders if one.in_force):
        for camera in filter(None, map(holdings.catalog.camera, order.cameras)):
            for ingested in holdings.catalog.clips(camera.id, order.span):
                yield camera, ingested.clip, ingested.clip.recorded(order.span)


def _ordered_cover(consent: Consent, camera: Camera, transfers: Sequence[Transfer], span: Span) -> Cover:
    return consent.ordered_cover(replace(camera, private=private_in(camera, span, transfers)), span)


def _covered(consent: Consent, camera: Camera, clip: str, span: Span, *, now_ns: int) -> Cover:
    return consent.cover(camera, clip, span, now_ns)


def _left(holdings: Holdings, request: Request) -> Callable[[Cut], Cut]:
    """Return what finds for a cut the same one as it left before with less covered: what has left is not cut again."""
    known: dict[tuple[str, Span], list[Delivery]] = {}
    for one in holdings.catalog.cases.deliveries(request.id):
        known.setdefault((one.clip, one.record.asked), []).append(one)

    def found(cut: Cut) -> Cut:
        for one in known.get((cut.clip.id, cut.span), ()):
            before = replace(cut, cover=one.cover)
            there = before.id == one.cut and cut.cover.covers(one.cover)
            if there and cut != before and holdings.archive.store.head(one.record.key) is not None:
                return before
        return cut

    return found


def _with_frames(holdings: Holdings, clip: Clip, parts: Sequence[Span]) -> Sequence[Span]:
    """Return the parts of a clip in which a frame begins: the asked time may start while the last before a hole lasts.

    A lone part is left as it is: whoever asks for less than a frame of a clip, and nothing else of it, is told.
    """
    if len(parts) < 2 or (record := holdings.catalog.clip(clip.id)) is None:
        return parts
    try:
        pts = holdings.archive.activity(record).pts
    except DamagedDocument:  # a part without a frame is then refused by itself
        return parts
    bounds = np.searchsorted(pts, [[clip.pts_at(part.start_ns), clip.pts_at(part.end_ns)] for part in parts])
    return [part for part, (first, last) in zip(parts, bounds.tolist(), strict=True) if first < last]


def _unread(holdings: Holdings, request: Request, accounted: Collection[str]) -> dict[str, str]:
    """Return why records in a case cannot be read that no account is of, by name: one of an earlier version may be."""
    found: dict[str, str] = {}
    shelf = holdings.archive.records
    for name in shelf.names(f"{request.id}/"):
        if (stem := name.partition("/")[2]) not in accounted:
            try:
                shelf.get(name)
            except DamagedDocument as error:
                found[stem] = str(error)
    return found


def _sweep(holdings: Holdings, request: Request, wanted: set[str]) -> None:
    """Remove what lies in the case and is accounted for nowhere, and what was cut aside and will not leave now."""
    store, archive = holdings.archive.store, holdings.archive
    for waits in list(prepared_for(archive, request.id)):
        if waits.record.name not in wanted:
            drop_prepared(archive, [waits])
    # The file of an account that cannot be read stays beside it: somebody may put that back.
    known = {f"{archive.prepared.prefix}/{name}.mp4" for name in archive.prepared.names(f"{request.id}/")}
    for key in list(store.keys(f"prepared/{request.id}/")):
        if not key.endswith(".json") and key not in known:
            store.delete(key)
    _sweep_case(holdings, request)


def _sweep_case(holdings: Holdings, request: Request) -> None:
    store, archive = holdings.archive.store, holdings.archive
    keys = list(store.keys(f"cases/{request.id}/"))
    if not keys:
        return
    names, unread = set[str](), list[str]()
    for one in archive.deliveries.readable(f"{request.id}/", unread=lambda name, _: unread.append(name)):
        names.add(one.record.name)
    if unread:  # what that accounts for nobody can tell
        return
    kept = names | set(_unread(holdings, request, names))
    for key in keys:
        path = PurePosixPath(key)
        if path.name in LIST_FILES:
            if not names:  # of nothing there is no list
                store.delete(key)
        elif path.stem not in kept:
            line = holdings.line("removed from case", key, "no account of it", request=request)
            holdings.catalog.logs.append_while(partial(_lies, store, key), line, done=partial(store.delete, key))


def _lies(store: ObjectStore, key: str) -> bool:
    return store.head(key) is not None
