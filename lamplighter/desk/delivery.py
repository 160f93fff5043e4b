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
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip
from pipeline.media.cut import Cut, Record
from workers.deliver import DeliverJob
from workers.deliver import deliver as deliver_cut
from workers.receipt import Outcome, Receipt

_RECORDS = TypeAdapter(list[Record])


def deliver(holdings: Holdings, request: Request, *, saw: Saw) -> Tally:
    """Deliver every clip its owner lets out; see Desk.deliver."""
    decisions = holdings.catalog.decisions(request.id)

    def let_out(camera: Camera, clip: Clip) -> bool:
        return standing(camera, clip.id, decisions.get(camera.owner)).allowed

    jobs = [
        DeliverJob(Cut(request.id, row.match.clip, row.match.span, holdings.settings.profile))
        for row in matching(holdings, request, let_out)
        if row.standing is not None and row.standing.allowed and row.match.clip and row.match.span
    ]

    def enter(receipt: Receipt[Any]) -> None:
        record: Record | None = receipt.result
        if record is not None:
            holdings.catalog.put_deliveries([record])
            if receipt.outcome is Outcome.DONE:
                holdings.log("delivered", record.key, f"sha256 {record.sha256}, clip {record.clip}")

    return carry_out(jobs, deliver_cut, holdings, saw=saw, enter=enter)


def told(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return what a requester is told of each delivered clip, as plain values, in the order of their keys."""
    documents: list[dict[str, Any]] = _RECORDS.dump_python(sorted(records, key=lambda one: one.key), mode="json")
    return documents
