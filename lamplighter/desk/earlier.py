"""What earlier versions left behind, brought over: released clips whose names tell the clip they were made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lamplighter.desk import cases
from lamplighter.desk.holdings import Holdings
from pipeline.case.delivery import Delivery
from pipeline.case.released import commitment
from storage.archive import released_key
from storage.catalog import held
from storage.contract import MissingObject

_TELLING = re.compile(r"cases/([^/]+)/[0-9a-f]{20}\.mp4")  # a cut's id, of which a dictionary finds the clip


@dataclass(frozen=True, slots=True)
class Renamed:
    """One released clip: the keys it lay under, and the key of its file now, "" when it has none: `why` says it."""

    before: tuple[str, ...]
    now: str
    why: str = ""


def rename_released(holdings: Holdings, request: str) -> list[Renamed]:
    """Give what was released for one request, or for all, names that tell nothing; see Desk.upgrade_cases.

    The new files and records are there before the old ones go, so whoever is stopped half-way runs it again.
    """
    if request:
        cases.request(holdings, request)
    renamed = [_rename(holdings, old) for old in list(holdings.archive.to_rename(request))]
    return [*renamed, *_remove_unaccounted(holdings, request)]


def _rename(holdings: Holdings, old: Delivery) -> Renamed:
    archive, key = holdings.archive, holdings.catalog.cases.case_key(old.request)
    name, salt = key.name(old.cut), key.salt(old.cut)
    before = (old.record.key, archive.records.key(f"{old.request}/{old.cut}"))
    record = replace(
        old.record,
        name=name,
        key=released_key(old.request, name),
        source_commitment=commitment(salt, old.source_sha256),
    )
    new = replace(old, salt=salt, record=record, formerly=before)
    why = ""
    try:
        archive.store.copy(old.record.key, record.key, meta={"sha256": record.sha256})
    except MissingObject:
        if archive.store.head(record.key) is None:
            why = "its bytes are gone; the next delivery makes it again if its owner still lets it out"
    if not why:
        archive.records.put(record)
    archive.deliveries.put(new)
    # Logged before the old names go: who is killed in between logs it a second time, and never not at all.
    account = held.first(archive, archive.deliveries, new)
    line = holdings.line("case upgraded", record.key, f"formerly {before[0]}{why and f'; {why}'}", sha256=account)
    holdings.catalog.logs.append(line)
    holdings.catalog.cases.put_deliveries([new])
    for gone in before:
        archive.store.delete(gone)
    return Renamed(before, "" if why else record.key, why)


def _remove_unaccounted(holdings: Holdings, request: str) -> Iterator[Renamed]:
    """Remove files under telling names that have no record: an earlier version was killed before it wrote one."""
    store = holdings.archive.store
    for key in list(store.keys(f"cases/{request}/" if request else "cases/")):
        if _TELLING.fullmatch(key):
            why = "it had no record; the next delivery makes it again if its owner lets it out"
            holdings.log("old name removed", key, why)  # not "removed from case": that name tells the clip
            store.delete(key)
            yield Renamed((key,), "", why)
