"""What was set aside or given up: what and why and since when, tried again, or dropped for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lamplighter.desk.books import Books, carry_out
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.naming import naming_of
from lamplighter.desk.tally import Saw, Tally
from pipeline.errors import ConfigError, NotFound
from pipeline.roster import Roster
from storage.archive import Aside, Ingested, short
from storage.location import Location
from workers.batch import session
from workers.inbox import Held, Inbox
from workers.ingest import ingest
from workers.names import LeftOut
from workers.receipt import Outcome, Receipt, set_aside
from workers.sources import IngestJob, ingest_jobs

if TYPE_CHECKING:
    from typing import Never

_GONE: Final = "its bytes are not here any more; upload it again"


@dataclass(frozen=True, slots=True)
class Account:
    """One account, by the name it has for short; kept: whether its bytes lie in the store's inbox."""

    name: str
    aside: Aside
    kept: bool


def asides(holdings: Holdings) -> list[Account]:
    """Return the accounts of what was set aside or given up, the oldest first."""
    kept = _kept(holdings)
    found = [Account(short(one.source), one, one.mark in kept) for one in holdings.archive.aside.all()]
    return sorted(found, key=lambda one: (one.aside.at_ns, one.aside.source))


def retry(holdings: Holdings, names: Collection[str], *, station: str, everything: bool, saw: Saw) -> Tally:
    """Take in again what was set aside; see Desk.retry_aside."""
    chosen, kept = _chosen(holdings, names, station=station, everything=everything), _kept(holdings)
    jobs: list[IngestJob] = []
    refused: list[Receipt[IngestJob, Never]] = []
    whose: dict[str, str] = {}
    for one in chosen:
        if (held := kept.get(one.aside.mark)) is not None:
            jobs.append(held.job)
            continue
        found, against = _found(holdings, one.aside)
        jobs += found
        refused += against
        whose |= {job.mark: one.name for job in found}

    def enter(receipt: Receipt[IngestJob, Ingested | None]) -> None:
        held = kept.get(receipt.job.mark)
        if receipt.outcome is not Outcome.ASIDE and receipt.job.mark in whose:
            again.add(whose[receipt.job.mark])  # under whatever name it came now
        books.add(receipt, None if receipt.outcome is Outcome.ASIDE else held)
        books.flush()

    def cleared(batch: Sequence[Held]) -> None:
        for held in batch:
            holdings.archive.store.delete(held.key)

    again = set[str]()
    with session(holdings.settings.batch) if jobs else nullcontext():
        with Books[Held](
            *(holdings, "clips ingested"),
            note="again",
            kept=lambda receipt, _: isinstance(receipt.job, IngestJob) and receipt.job.mark in kept,
            cleared=cleared,
            every_s=0.5,
        ) as books:
            tally = carry_out(jobs, ingest, holdings, saw=saw, enter=enter, refused=refused, what="aside retry")
        for name in again:
            holdings.archive.aside.remove(name)
    tally.replaced = books.replaced
    return tally


def drop(holdings: Holdings, names: Collection[str], *, station: str, everything: bool) -> list[Account]:
    """Remove accounts, and what is kept of their bytes; see Desk.drop_aside."""
    chosen, kept = _chosen(holdings, names, station=station, everything=everything), _kept(holdings)
    if not chosen:
        return []
    told = " ".join(one.name for one in chosen)
    holdings.log("accounts dropped", f"{len(chosen)} accounts", told)
    for one in chosen:
        if (held := kept.get(one.aside.mark)) is not None:
            holdings.archive.store.delete(held.key)
        holdings.archive.aside.remove(one.name)
    return chosen


def _found(holdings: Holdings, aside: Aside) -> tuple[list[IngestJob], list[Receipt[IngestJob, Never]]]:
    """Return the job of what lies where an account says, or its refusal."""
    naming = naming_of(holdings.settings.ingest, Roster(holdings.catalog.cameras()), aside.camera or None)
    place = aside.place or aside.source  # what was read from the inbox may lie where it was uploaded still
    gone = IngestJob(aside.source, Location(place), aside.mark, aside.camera, None)
    try:
        jobs, refused = ingest_jobs([place], naming, open_bucket=holdings.context.open_bucket, left=LeftOut())
    except (ConfigError, NotFound):
        return [], [set_aside(gone, "fetch", _GONE)]
    return (jobs, refused) if jobs or refused else ([], [set_aside(gone, "fetch", _GONE)])


def _kept(holdings: Holdings) -> dict[str, Held]:
    """Return what lies in the inbox, by its mark."""
    return {held.job.mark: held for held in Inbox(holdings.archive.store, holdings.store).held()}


def _chosen(holdings: Holdings, names: Collection[str], *, station: str, everything: bool) -> list[Account]:
    """Return accounts by their names (the beginning is enough) or files, by station, or all of them."""
    if sum(map(bool, (names, station, everything))) != 1:
        raise ConfigError("wanted the names of accounts, a station or all of them, and one of these alone")
    found = asides(holdings)
    if not names:
        return [one for one in found if everything or one.aside.station == station]
    chosen = {}
    for name in names:
        fits = [one for one in found if name == one.aside.source or (len(name) >= 4 and one.name.startswith(name))]
        if len(fits) != 1:
            raise NotFound(f"{len(fits)} accounts are called {name!r}; `lamplighter aside list` names them")
        chosen[fits[0].name] = fits[0]
    return list(chosen.values())
