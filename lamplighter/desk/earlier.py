"""What earlier versions left behind, brought over: released clips whose names tell the clip they were made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lamplighter.desk.holdings import Holdings
from pipeline.case.delivery import Delivery
from pipeline.case.released import commitment
from storage.archive import released_key
from storage.contract import MissingObject


@dataclass(frozen=True, slots=True)
class Renamed:
    """One released clip that got a new name: the keys it lay under, and its account; `gone`: its bytes are missing."""

    before: tuple[str, str]
    delivery: Delivery
    gone: bool = False


def rename_released(holdings: Holdings, request: str) -> list[Renamed]:
    """Give what was released for one request, or for all, names that tell nothing; see Desk.upgrade_cases.

    The new files and records are there before the old ones go, so whoever is stopped half-way runs it again. A clip
    whose bytes are gone keeps its record, for nothing could be copied.
    """
    archive, catalog = holdings.archive, holdings.catalog
    renamed = []
    for old in list(archive.to_rename(request)):
        key = catalog.case_key(old.request)
        name, salt = key.name(old.cut), key.salt(old.cut)
        before = (old.record.key, archive.records.key(f"{old.request}/{old.cut}"))
        record = replace(
            old.record,
            name=name,
            key=released_key(old.request, name),
            source_commitment=commitment(salt, old.source_sha256),
        )
        new = replace(old, salt=salt, record=record, formerly=before)
        try:
            archive.store.copy(old.record.key, record.key, meta={"sha256": record.sha256})
        except MissingObject:
            if archive.store.head(record.key) is None:
                renamed.append(Renamed(before, old, gone=True))
                continue
        archive.records.put(record)
        archive.deliveries.put(new)
        catalog.put_deliveries([new])
        archive.store.delete(before[0])
        archive.store.delete(before[1])
        holdings.log("case upgraded", record.key, f"formerly {before[0]}")
        renamed.append(Renamed(before, new))
    return renamed
