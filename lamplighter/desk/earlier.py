"""What earlier versions left behind, brought over: released clips whose names tell the clip they were made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.case.delivery import Delivery
from pipeline.case.released import commitment
from storage.archive import Archive, released_key
from storage.catalog import Catalog
from storage.contract import MissingObject


@dataclass(frozen=True, slots=True)
class Renamed:
    """One released clip that got a new name: the keys it lay under, and its account; `gone`: its bytes are missing."""

    before: tuple[str, str]
    delivery: Delivery
    gone: bool = False


def rename_released(archive: Archive, catalog: Catalog, request: str = "") -> Iterator[Renamed]:
    """Give what was released for one request, or for all, names that tell nothing; yield each as it is done.

    The new files and records are there before the old ones go, so whoever is stopped half-way runs it again. A clip
    whose bytes are gone keeps its record, for nothing could be copied.
    """
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
                yield Renamed(before, old, gone=True)
                continue
        archive.records.put(record)
        archive.deliveries.put(new)
        catalog.put_deliveries([new])
        archive.store.delete(before[0])
        archive.store.delete(before[1])
        yield Renamed(before, new)
