"""Everything the logs claim, computed again: entries, tiles, checkpoints, the catalogue, and what was delivered.

Every place that is wrong is named, not only the first one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from pipeline.case.released import Record
from pipeline.errors import DamagedDocument
from pipeline.finding import Finding
from pipeline.log import merkle
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Entry, Leaf, LogName
from pipeline.log.note import BadNote, Note, Verifier
from pipeline.log.tiles import Tile, Tiles, split
from storage.archive import Archive, Batch
from storage.catalog import held, strays, tables
from storage.catalog.database import Database
from storage.catalog.release_lists import ReleaseLists
from storage.contract import MissingObject
from storage.log import Log, first_of
from storage.scratch import scratch

_HASH = re.compile(r"[0-9a-f]{64}")
_ERASED = {f"{name} entry erased" for name in LogName}
_SHA256 = re.compile(r"sha256 ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one log from elsewhere: who may sign it, and the last checkpoint that was seen here.

    noted: the same with its signatures.
    """

    keys: tuple[Verifier, ...] = ()
    seen: Checkpoint | None = None
    noted: Note | None = None
    witnesses: tuple[Verifier, ...] = ()


@dataclass(slots=True)
class Checked:
    """What a check saw of one log: how many entries, how many of them sealed and erased, and who signed."""

    name: LogName
    entries: int = 0
    sealed: int = 0
    erased: int = 0
    origin: str = ""
    root: str = ""
    signed: bool = False
    witnessed: int = 0


@dataclass(slots=True)
class Report:
    """All that a check found; without findings all is as it was logged. deliveries: how many clips were looked at.

    held, unheld: how many documents are as entries say, and of how many the acts of an earlier version say no hash.
    acknowledged: how often a person has acknowledged what an audit found.
    """

    logs: dict[LogName, Checked] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    deliveries: int = 0
    held: int = 0
    unheld: int = 0
    acknowledged: int = 0

    def found(self, place: str, what: str) -> None:
        """Note a place that is wrong."""
        self.findings.append(Finding(place, what))


def check(database: Database, archive: Archive, known: Mapping[LogName, Known], *, quick: bool = False) -> Report:
    """Check both logs, and what they say was delivered: `quick` leaves out the bytes of the clips.

    Raises StoreUnavailable and StoreRefused as the store does; whatever else is wrong stands in the report.
    """
    report = Report()
    delivered, published, lists = _Delivered(), strays.Published(), ReleaseLists()
    documents, taken_in, removed = held.Held(archive), held.TakenIn(), strays.Removed()
    trees: dict[LogName, Tiles] = {}
    sealed: list[tuple[int, Entry]] = []
    erased: set[tuple[str, int]] = set()
    said_erased: set[tuple[str, int]] = set()

    def told(name: LogName, index: int, entry: Entry) -> None:
        delivered.note(entry)
        documents.note(name.value, index, entry)
        if name is LogName.KEPT:
            taken_in.note(entry)
        published.note(entry)
        lists.note(entry)
        removed.note(entry)
        if entry.action == "sealed":
            sealed.append((index, entry))
        if entry.action in _ERASED:
            log, _, number = entry.subject.partition(" ")
            said_erased.add((log, int(number)))

    for name in (LogName.KEPT, LogName.OPEN):
        one = _OneLog(database, archive, report, name=name, known=known.get(name, Known()))
        trees[name] = one.check(partial(told, name))
        erased |= {(name.value, index) for index in one.erased}
    for index, entry in sealed:
        _check_sealed(report, index, entry, trees[LogName.KEPT])
    _check_erased(report, erased, said_erased)
    sizes = {name: tree.size for name, tree in trees.items()}
    later = partial(strays.since, archive, sizes)
    published.check(archive, later, found=report.found)
    removed.check(archive, later, erased=any(name == LogName.KEPT for name, _ in erased), found=report.found)
    if next(archive.chain.names(), None) is not None and not report.logs[LogName.KEPT].entries:
        report.found("audit/", "an earlier version's log is not carried over yet; the next step that is logged does it")
    strays.check_cases(archive, delivered.keys, later, lists=lists.keys, found=report.found)
    delivered.check(archive, report, quick=quick)
    taken_in.check(report.found)
    documents.check(report.found, partial(strays.later, archive, sizes), database.turn())
    report.held, report.unheld, report.acknowledged = documents.held, documents.unheld, documents.acknowledged

    def settled() -> None:
        with database.turn():
            pass

    lists.check(archive, later, released=delivered.keys, settled=settled, found=report.found)
    return report


def _check_erased(report: Report, erased: set[tuple[str, int]], said: set[tuple[str, int]]) -> None:
    for log, index in sorted(erased - said):
        report.found(f"{log} entry {index}", "was erased, and no entry says by whom and why")
    for log, index in sorted(said - erased):
        report.found(f"{log} entry {index}", "can be read, and an entry says that it was erased")


class _OneLog:
    """The check of one log."""

    def __init__(self, database: Database, archive: Archive, report: Report, *, name: LogName, known: Known) -> None:
        self._database, self._archive, self._report, self._name = database, archive, report, name
        self._log, self._known = Log(archive, name), known
        self._seen = report.logs.setdefault(name, Checked(name))
        self.erased: list[int] = []

    def check(self, told: Callable[[int, Entry], None]) -> Tiles:
        """Check it, and return its tree as its entries give it; each that can be read is `told`."""
        self._head, note = self._checkpoint()
        self._stored = self._leaves_of_tiles()
        hashes: list[bytes] = []
        with self._database.transaction() as run:
            for index, (leaf, row) in enumerate(self._beside_rows(run)):
                hashes.append(self._entry(index, leaf, row, told))
        self._seen.entries = len(hashes)
        tree, new = Tiles(0, self._log.tile).grown(hashes)
        size = self._seen.sealed = min(self._head.size, len(hashes))
        self._tiles(Tiles(0, self._log.tile).grown(hashes[:size])[1] if size < len(hashes) else new)
        found = self._report.found
        strays.check_tile_files(self._log, new, note=note, found=found)
        strays.check_entry_files(self._archive, self._name, found=found)
        self._heads(tree, note)
        return tree

    def _place(self, index: int) -> str:
        return f"{self._name} entry {index}"

    def _checkpoint(self) -> tuple[Checkpoint, Note | None]:
        try:
            note = self._log.checkpoint()
        except DamagedDocument as error:
            self._report.found(f"{self._name} checkpoint", str(error))
            note = None
        if note is None:
            return Checkpoint("-", 0, merkle.EMPTY), None
        return Checkpoint.parse(note.text), note

    def _leaves_of_tiles(self) -> Callable[[int], bytes | None]:
        """Return what gives the hash of a leaf as the tiles have it, None for one that is not sealed or is gone."""
        tiles = self._log.tiles(self._head.size)

        def leaf(index: int) -> bytes | None:
            if index >= self._head.size:
                return None
            try:
                return tiles.leaf(index)
            except (DamagedDocument, ValueError):
                return None

        return leaf

    def _there(self) -> Iterator[tuple[int, Leaf]]:
        """Yield the leaves that are there with their indices; what cannot be read is found."""
        last: Batch | None = None
        for name in self._log.names():
            key = self._archive.entries.key(name)
            try:
                batch = self._archive.entries.as_written(name)
            except DamagedDocument as error:
                self._report.found(key, str(error))
                continue
            if batch is None:
                continue
            if last is not None and first_of(name) < last.end:
                strays.check_twice(key, batch, last, found=self._report.found)
                continue
            yield from enumerate(batch.leaves, batch.first)
            last = batch

    def _beside_rows(self, run: sa.Connection) -> Iterator[tuple[Leaf | None, str | None]]:
        """Yield for each index the leaf that is there and the hash that the catalogue has; either may be missing."""
        table = tables.entries
        query = sa.select(table.c.seq, table.c.leaf).where(table.c.log == self._name.value).order_by(table.c.seq)
        rows = iter(run.execution_options(yield_per=2000).execute(query))
        there = self._there()
        row, leaf, index = next(rows, None), next(there, None), 0
        while row is not None or leaf is not None or index < self._head.size:
            mine = leaf[1] if leaf is not None and leaf[0] == index else None
            known = row.leaf if row is not None and row.seq == index else None
            yield mine, known
            if leaf is not None and leaf[0] <= index:
                leaf = next(there, None)
            if row is not None and row.seq <= index:
                row = next(rows, None)
            index += 1

    def _entry(self, index: int, leaf: Leaf | None, row: str | None, told: Callable[[int, Entry], None]) -> bytes:
        """Check one entry, and return the hash that its leaf should have."""
        stored, place = self._stored(index), self._place(index)
        if leaf is None:
            self._report.found(place, "is missing: it was logged, and is not there")
            return stored or _digest(row or "")
        if not leaf.right:
            self._report.found(place, "was changed: its text is not what was logged")
        elif row is None:
            self._report.found(place, "is not in the catalogue (lamplighter catalog rebuild)")
        elif row != leaf.hash:
            self._report.found(place, "is another one than the catalogue knows")
        digest = _digest(leaf.hash)
        if stored is not None and stored != digest:
            self._report.found(place, "is not the one that was sealed: it was changed with its hash, or its tile was")
        if leaf.text is None:
            self._seen.erased += 1
            self.erased.append(index)
        else:
            try:
                told(index, Entry.parse(leaf.text))
            except ValueError as error:
                self._report.found(place, f"cannot be read: {error}")
        return digest

    def _tiles(self, new: Mapping[Tile, bytes]) -> None:
        for tile, data in new.items():
            place = self._log.key(tile.path)
            try:
                stored = self._log.tile(tile)
                split(tile, stored)
            except (DamagedDocument, ValueError) as error:
                self._report.found(place, str(error))
                continue
            if stored != data:
                self._report.found(place, "is not what follows from the entries below it")

    def _heads(self, tree: Tiles, note: Note | None) -> None:
        """Check the checkpoint and what was seen of it before against the tree of what is there."""
        seen, known, place = self._seen, self._known, self._log.key("checkpoint")
        if note is not None:
            seen.origin, seen.root = self._head.origin, self._head.root.hex()
            if self._head.size > tree.size or tree.root(self._head.size) != self._head.root:
                self._report.found(place, f"its root is not that of the first {self._head.size} entries")
            try:
                signers = note.by([*known.keys, *known.witnesses])
            except BadNote as error:
                self._report.found(place, str(error))
            else:
                seen.signed = any(key in signers for key in known.keys)
                seen.witnessed = sum(key in signers for key in known.witnesses)
                if known.keys and not seen.signed:
                    self._report.found(place, "is signed by no key that was published for it (lamplighter keys show)")
            strays.check_signatures(
                note, known.noted, [*known.keys, *known.witnesses], place=place, found=self._report.found
            )
        before = known.seen
        if before is not None:
            self._before(tree, note, before)

    def _before(self, tree: Tiles, note: Note | None, before: Checkpoint) -> None:
        """Check what was seen here before against the tree of what is there."""
        place = self._log.key("checkpoint")
        if note is None:
            self._report.found(place, f"is missing: one over {before.size} entries was seen here before")
        if note is None or before.size > self._head.size:
            has = 0 if note is None else self._head.size
            self._report.found(
                f"{self._name} log", f"has {has} sealed entries and had {before.size} here: its end was cut off"
            )
        elif before.size > tree.size or tree.root(before.size) != before.root:
            self._report.found(
                f"{self._name} log", f"its first {before.size} entries are not those seen here before: it was rewritten"
            )
        if note is not None and before.origin != self._head.origin:
            self._report.found(place, f"is of {self._head.origin}, and was of {before.origin} here before")


def _digest(text: str) -> bytes:
    """Return the hash of a leaf as it is written; of what is no hash, one that no leaf has."""
    return bytes.fromhex(text) if _HASH.fullmatch(text) else merkle.EMPTY


def _check_sealed(report: Report, index: int, entry: Entry, kept: Tiles) -> None:
    """Check what the open log says of the kept one at one tick."""
    place = f"open entry {index}"
    try:
        head = Checkpoint.parse(entry.detail)
    except BadNote as error:
        report.found(place, f"names no checkpoint of the kept log: {error}")
        return
    if head.size > kept.size:
        report.found("kept log", f"has {kept.size} entries, and had {head.size} as {place} says: its end was cut off")
    elif kept.root(head.size) != head.root:
        report.found("kept log", f"its first {head.size} entries are not those that {place} sealed: it was rewritten")


class _Delivered:
    """What was delivered, and not removed since, by where it lies."""

    def __init__(self) -> None:
        self._last: dict[str, Mapping[str, str]] = {}
        self._accounts: dict[str, Record] | None = None

    @property
    def keys(self) -> Iterable[str]:
        """Where the clips lie."""
        return self._last

    def note(self, entry: Entry) -> None:
        """Take in what an entry says; in the words of an earlier version's chain stands the hash of a clip."""
        if entry.action == "delivered":
            found = _SHA256.search(entry.detail)
            self._last[entry.subject] = (
                entry.sha256 if "clip" in entry.sha256 else {"clip": found[1]} if found is not None else {}
            )
        elif entry.action in {"removed from case", "old name removed"}:
            self._last.pop(entry.subject, None)
        elif entry.action == "case upgraded":
            before = entry.detail.removeprefix("formerly ").partition(";")[0]
            moved = self._last.pop(before, {})
            if ";" not in entry.detail:  # else its bytes were gone; its record was made anew
                self._last[entry.subject] = {"clip": moved["clip"]} if "clip" in moved else {}

    def check(self, archive: Archive, report: Report, *, quick: bool) -> None:
        """Compare each clip and record with what was said of it."""
        report.deliveries = len(self._last)
        with scratch() as folder:
            for key, hashes in sorted(self._last.items()):
                self._check_one(archive, report, key, hashes, folder / "clip", quick=quick)

    def _check_one(
        self, archive: Archive, report: Report, key: str, hashes: Mapping[str, str], path: Path, *, quick: bool
    ) -> None:
        record = f"{key.removesuffix('.mp4')}.json"
        try:
            data = archive.store.get(record)
        except MissingObject:
            report.found(record, "is gone, and its removal was not logged")
        else:
            if "record" in hashes:
                found = hashlib.sha256(data).hexdigest()
                if found != hashes["record"]:
                    report.found(record, f"is not what was delivered: wanted {hashes['record']}, got {found}")
            else:
                self._check_by_account(archive, report, key, record, data)
        head = archive.store.head(key)
        if head is None:
            report.found(key, "is gone, and its removal was not logged")
        elif "clip" not in hashes:
            return
        elif head.meta.get("sha256", hashes["clip"]) != hashes["clip"]:
            report.found(key, f"is not what was delivered: wanted {hashes['clip']}, it says {head.meta['sha256']}")
        elif not quick and (found := archive.store.fetch(key, path)) != hashes["clip"]:
            report.found(key, f"is not what was delivered: wanted {hashes['clip']}, got {found}")

    def _check_by_account(self, archive: Archive, report: Report, key: str, record: str, data: bytes) -> None:
        """Compare a record that an earlier version released, of which the log says nothing, with the account of it."""
        if self._accounts is None:
            self._accounts = {}
            for name in archive.deliveries.names():
                with suppress(DamagedDocument):
                    if (account := archive.deliveries.get(name)) is not None:
                        self._accounts[account.record.key] = account.record
        try:
            said = archive.records.read(record, data)
        except DamagedDocument as error:
            report.found(record, str(error))
            return
        if (wanted := self._accounts.get(key)) is not None and said != wanted:
            report.found(record, "is not what the account of its delivery says")
