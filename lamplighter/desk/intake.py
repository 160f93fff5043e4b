"""Clips on their way in, from folders and buckets; and measured again when what measured them is out of date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Never

from lamplighter.desk import register
from lamplighter.desk.books import Books, carry_out
from lamplighter.desk.habits import learn_due
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.naming import naming_of
from lamplighter.desk.tally import Saw, Tally
from pipeline.roster import Roster
from storage.archive import Ingested
from storage.catalog.rows import KeptEvents
from workers.batch import session
from workers.ingest import RemeasureJob
from workers.ingest import ingest as ingest_clip
from workers.ingest import remeasure as remeasure_clip
from workers.names import LeftOut
from workers.receipt import Outcome, Receipt
from workers.sources import IngestJob, ingest_jobs

_UNKNOWN = KeptEvents("", night=False, events=(), scores=())


def ingest(holdings: Holdings, where: Sequence[str], *, camera: str | None, alert_s: float | None, saw: Saw) -> Tally:
    """Take in all clips at `where`; see Desk.ingest."""
    naming = naming_of(holdings.settings.ingest, Roster(holdings.catalog.cameras()), camera)
    left, open_bucket = LeftOut(), holdings.context.open_bucket
    jobs, refused = ingest_jobs(where, naming, open_bucket=open_bucket, left=left)
    with session(holdings.settings.batch) if jobs else nullcontext():
        tally = _taken(holdings, jobs, refused, saw, where=where)
        tally.habits = learn_due(holdings, {one.clip.camera for one in tally.results})
    tally.left = left
    if alert_s is not None:
        from lamplighter.desk.alerts import looked  # noqa: PLC0415 - with all that tells, which few batches do

        tally.alerts = looked(holdings, tally.results, within_s=alert_s)
    return tally


def _taken(
    holdings: Holdings,
    jobs: Sequence[IngestJob],
    refused: Iterable[Receipt[IngestJob, Never]],
    saw: Saw,
    *,
    where: Sequence[str],
) -> Tally:
    with Books[None](holdings, "clips ingested", cameras={job.camera for job in jobs}) as books:

        def enter(receipt: Receipt[IngestJob, Ingested | None]) -> None:
            books.add(receipt)
            books.flush()

        what = " ".join(["ingest", *where[:3], *(["..."] if len(where) > 3 else [])])
        tally = carry_out(jobs, ingest_clip, holdings, saw=saw, enter=enter, refused=refused, what=what)
    tally.replaced = books.replaced
    return tally


def remeasure(holdings: Holdings, camera: str | None, *, everything: bool, saw: Saw) -> Tally:
    """Measure again what is out of date; see Desk.remeasure."""
    if camera is not None:
        register.camera(holdings, camera)
    version = holdings.settings.measure.version()
    there = set(holdings.archive.store.keys(f"activity/{camera}/" if camera else "activity/"))
    jobs = [
        RemeasureJob(one, anew=everything)
        for one in holdings.catalog.clips(camera)
        if everything or one.version != version or one.activity not in there
    ]

    def delete_old(replaced: Sequence[tuple[Ingested, Ingested]]) -> None:
        # What was found in one that was up to date is kept under the same name as what is in the new one.
        holdings.catalog.keep_events((new.clip, _UNKNOWN) for _, new in replaced)
        # The catalogue knows the new ones by now, so nobody looks for these any more.
        for old, new in replaced:
            if old.activity != new.activity:
                holdings.archive.store.delete(old.activity)

    # A clip that cannot be measured again is in the store all the same: it gets no account, unless it met a bug.
    books = Books(
        holdings,
        "clips remeasured",
        note=f"by {version}",
        accounts=False,
        cleared=delete_old,
        cameras={job.known.clip.camera for job in jobs},
        log_first=False,
    )
    anew: set[str] = set()

    def enter(receipt: Receipt[RemeasureJob, Ingested]) -> None:
        books.add(receipt, (receipt.job.known, receipt.result) if receipt.result is not None else None)
        if receipt.outcome is Outcome.DONE:
            anew.add(receipt.job.known.clip.camera)
        books.flush()

    with session(holdings.settings.batch) if jobs else nullcontext():
        with books:
            tally = carry_out(jobs, remeasure_clip, holdings, saw=saw, enter=enter, what="ingest --remeasure")
        tally.habits = learn_due(holdings, anew, remeasured=True)
    return tally
