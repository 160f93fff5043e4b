"""What leaves: every clip of a request that its owner lets out, and what the one who asked is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from lamplighter.desk.books import carry_out
from lamplighter.desk.cases import matching
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.tally import Saw, Tally
from pipeline.case.consent import standing
from pipeline.case.delivery import Delivery
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip
from pipeline.errors import Conflict
from storage.archive import clip_name
from workers.deliver import DeliverJob
from workers.deliver import deliver as deliver_cut
from workers.receipt import Outcome, Receipt

_RECORDS = TypeAdapter(list[Record])


def deliver(holdings: Holdings, request: Request, *, saw: Saw) -> Tally:
    """Deliver every clip its owner lets out; see Desk.deliver."""
    if next(holdings.archive.to_rename(request.id), None) is not None:
        raise Conflict(
            f"an earlier version released clips for request {request.id} under names that tell whose they are; "
            "bring them over first (lamplighter case upgrade)"
        )
    holdings.catalog.case_key(request.id)  # there before any worker asks for it
    decisions = holdings.catalog.decisions(request.id)

    def let_out(camera: Camera, clip: Clip) -> bool:
        return standing(camera, clip.id, decisions.get(camera.owner)).allowed

    jobs = [
        DeliverJob(request.id, clip_name(row.match.clip), row.match.span, holdings.settings.profile)
        for row in matching(holdings, request, let_out)
        if row.standing is not None and row.standing.allowed and row.match.clip and row.match.span
    ]

    def enter(receipt: Receipt[DeliverJob, Delivery]) -> None:
        delivery = receipt.result
        if delivery is not None:
            holdings.catalog.put_deliveries([delivery])
            if receipt.outcome is Outcome.DONE:
                record = delivery.record
                holdings.log("delivered", record.key, f"sha256 {record.sha256}, clip {delivery.clip}")

    return carry_out(jobs, deliver_cut, holdings, saw=saw, enter=enter)


def told(deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
    """Return what a requester is told of each delivered clip, as plain values, in the order of their keys."""
    records = sorted((delivery.record for delivery in deliveries), key=lambda one: one.key)
    documents: list[dict[str, Any]] = _RECORDS.dump_python(records, mode="json")
    return documents
