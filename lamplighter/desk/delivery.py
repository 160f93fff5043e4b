"""What leaves: every clip of a request that its owner lets out, and what the one who asked is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, Never

import numpy as np
from pydantic import TypeAdapter

from lamplighter.desk.books import Accounts, carry_out
from lamplighter.desk.cases import matching
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.tally import Saw, Tally
from pipeline.case.consent import standing, withheld_by
from pipeline.case.delivery import Delivery
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip
from pipeline.errors import Conflict
from pipeline.media.cut import Cut
from pipeline.span import Span
from storage.archive import clip_name
from workers.deliver import DeliverJob
from workers.deliver import deliver as deliver_cut
from workers.receipt import Outcome, Receipt, set_aside

_RECORDS = TypeAdapter(list[Record])


def deliver(holdings: Holdings, request: Request, *, saw: Saw) -> Tally:
    """Deliver every clip its owner lets out; see Desk.deliver."""
    if next(holdings.archive.to_rename(request.id), None) is not None:
        raise Conflict(
            f"an earlier version released clips for request {request.id} under names that tell whose they are; "
            "bring them over first (lamplighter case upgrade)"
        )
    jobs, damaged = _jobs(holdings, request)
    _sweep(holdings, request, set(jobs) | set(damaged))
    accounts = Accounts(holdings)
    logged = {one.cut for one in holdings.catalog.deliveries(request.id)}

    def enter(receipt: Receipt[DeliverJob, Delivery]) -> None:
        delivery = receipt.result
        if receipt.outcome is not Outcome.ASIDE or receipt.trace:
            accounts.put(receipt)
        if delivery is None:
            return
        # Logged before the catalogue knows: who is killed between the two logs it a second time, and never not at all.
        if receipt.outcome is Outcome.DONE or delivery.cut not in logged:
            record = delivery.record
            holdings.log("delivered", record.key, f"sha256 {record.sha256}, clip {delivery.clip}")
        holdings.catalog.put_deliveries([delivery])

    # In the order of their names: in that of cameras, files would tell by their times which are of one camera.
    chosen = [jobs[name] for name in sorted(jobs)]
    refused = [damaged[name] for name in sorted(damaged)]
    return carry_out(chosen, deliver_cut, holdings, saw=saw, enter=enter, refused=refused)


def told(deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
    """Return what a requester is told of each delivered clip, as plain values, in the order of their keys."""
    records = sorted((delivery.record for delivery in deliveries), key=lambda one: one.key)
    documents: list[dict[str, Any]] = _RECORDS.dump_python(records, mode="json")
    return documents


def _jobs(holdings: Holdings, request: Request) -> tuple[dict[str, DeliverJob], dict[str, Receipt[DeliverJob, Never]]]:
    """Return what is to be delivered, by the name it will have: each recorded part of a clip's asked time.

    And what would be, if it could be read what moved in it.
    """
    key = holdings.catalog.case_key(request.id)  # there before any worker asks for it
    decisions = holdings.catalog.decisions(request.id)
    withheld = withheld_by(decisions.values())

    def let_out(camera: Camera, clip: Clip) -> bool:
        return standing(camera, clip.id, decisions.get(camera.owner), withheld=withheld).allowed

    jobs: dict[str, DeliverJob] = {}
    damaged: dict[str, Receipt[DeliverJob, Never]] = {}
    for row in matching(holdings, request, let_out):
        clip = row.match.clip
        if clip is None or not (row.damage or (row.standing is not None and row.standing.allowed)):
            continue
        for span in _with_frames(holdings, clip, row.match.recorded):
            cut = Cut(request.id, clip, span, holdings.settings.profile)
            job = DeliverJob(request.id, clip_name(clip), span, cut.profile)
            if row.damage:
                damaged[key.name(cut.id)] = set_aside(job, "activity", row.damage)
            else:
                jobs[key.name(cut.id)] = job
    return jobs, damaged


def _with_frames(holdings: Holdings, clip: Clip, parts: Sequence[Span]) -> Sequence[Span]:
    """Return the parts of a clip in which a frame begins: the asked time may start while the last before a hole lasts.

    A lone part is left as it is: whoever asks for less than a frame of a clip, and nothing else of it, is told.
    """
    if len(parts) < 2 or (record := holdings.catalog.clip(clip.id)) is None:
        return parts
    pts = holdings.archive.activity(record).pts
    bounds = np.searchsorted(pts, [[clip.pts_at(part.start_ns), clip.pts_at(part.end_ns)] for part in parts])
    return [part for part, (first, last) in zip(parts, bounds.tolist(), strict=True) if first < last]


def _sweep(holdings: Holdings, request: Request, wanted: set[str]) -> None:
    """Remove what lies in the case, is accounted for nowhere and will not be made now: a killed run left it."""
    store = holdings.archive.store
    keys = list(store.keys(f"cases/{request.id}/"))
    if not keys:
        return
    known = {one.record.name for one in holdings.archive.deliveries.all(f"{request.id}/")} | wanted
    for key in keys:
        if PurePosixPath(key).stem not in known:
            holdings.log("removed from case", key, "no account of it, and its owner does not let it out")
            store.delete(key)
