"""What lies in the bucket beside what the logs account for: files that nobody wrote for them, and what lies twice.

`found` is told each place, and what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath

from pipeline.case.delivery import Delivery
from pipeline.errors import DamagedDocument
from pipeline.evidence.release_list import FILES, LIST, LISTED
from pipeline.log.entry import Entry, LogName, sha256
from pipeline.log.note import Note, Verifier
from pipeline.log.tiles import Tile, number_path, tile_at
from pipeline.retention import Removal
from storage.archive import Archive, Batch
from storage.catalog.removals import ACTIONS, stone_name
from storage.contract import MissingObject
from storage.log import Log

Found = Callable[[str, str], None]
Since = Callable[[], Iterable[Entry]]
"""Returns what was logged since the logs were read: an audit stops nobody."""
_TILE = re.compile(r"tile/(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_KEYS = {"key made", "key rotated"}
_NOBODYS = "is no file of a log: somebody put it there; move it away and keep it"


def check_entry_files(archive: Archive, name: LogName, *, found: Found) -> None:
    """Find what lies among the entries of a log and is no object with entries by its name."""
    shelf = archive.entries
    for key in archive.store.keys(f"{shelf.prefix}/{name}/"):
        if not re.fullmatch(r"[0-9]{12}\.json", key.removeprefix(f"{shelf.prefix}/{name}/")):
            found(key, _NOBODYS)


def check_twice(key: str, twin: Batch, packed: Batch, *, found: Found) -> None:
    """Find what differs in entries that lie by themselves and packed with others too."""
    for index, leaf in enumerate(twin.leaves, twin.first):
        if index >= packed.end or packed.leaves[index - packed.first] != leaf:
            found(f"{twin.log} entry {index}", f"lies a second time, as another one, in {key}")


def check_tile_files(log: Log, tiles: Mapping[Tile, bytes], *, note: Note | None, found: Found) -> None:
    """Find what lies in the tree and is no tile of it; `tiles` are those that follow from all entries that are there.

    A partial tile of the tree as it was smaller stays until its place is full, and has to be the beginning of that.
    Where the checkpoint is no more the `note` that was read first, the log grew meanwhile, and larger tiles are right.
    """
    size = sum(len(data) // 32 for tile, data in tiles.items() if tile.level == 0)
    store, any_tile = log.store, False
    for key in store.keys(log.key("")):
        path = key.removeprefix(log.key(""))
        if path == "checkpoint":
            continue
        matched = _TILE.fullmatch(path)
        tile = None if matched is None else _tile(int(matched[1]), matched[2], int(matched[3] or 256))
        try:
            whole = b"" if tile is None else tiles[tile_at(tile.level, tile.number, size)]
        except ValueError:
            whole = b""
        if tile is None or tile.path != path or len(whole) < tile.width * 32:
            if tile is None or not _grew(log, note):
                found(key, _NOBODYS)
            continue
        any_tile = True
        try:
            right = store.get(key) == whole[: tile.width * 32]
        except MissingObject:  # full by now
            continue
        if not right:
            found(key, "is not what follows from the entries below it")
    if any_tile and note is None and not _grew(log, note):
        found(log.key("checkpoint"), "is missing, and the tiles that were under it are there")


def _grew(log: Log, note: Note | None) -> bool:
    try:
        return log.checkpoint() != note
    except DamagedDocument:
        return False


def _tile(level: int, number: str, width: int) -> Tile | None:
    tile = Tile(level, int(number.replace("x", "").replace("/", "")), width)
    return tile if number_path(tile.number) == number and width <= 256 else None


def later(archive: Archive, sizes: Mapping[LogName, int]) -> Iterator[tuple[str, int, Entry]]:
    """Yield the entries that follow the first ones of each log, with their places."""
    for name, size in sizes.items():
        try:
            leaves = [one for batch in Log(archive, name).ahead(size) for one in enumerate(batch.leaves, batch.first)]
        except DamagedDocument:
            continue
        for index, leaf in leaves:
            if (entry := leaf.readable) is not None:
                yield name.value, index, entry


def since(archive: Archive, sizes: Mapping[LogName, int]) -> Iterator[Entry]:
    """Yield the entries that follow the first ones of each log."""
    return (entry for _, _, entry in later(archive, sizes))


def check_identity(archive: Archive, name: LogName, origin: str, *, found: Found) -> None:
    """Find a name of a log that is missing, or not the origin of its checkpoint, "" for none."""
    key = archive.logs.key(name.value)
    try:
        known = archive.logs.as_written(name.value)
    except DamagedDocument as error:
        found(key, str(error))
        return
    if origin and (known is None or known.origin != origin):
        said = "is missing" if known is None else f"says {known.origin}"
        found(key, f"{said}: the checkpoint is of {origin}")


def check_signatures(note: Note, before: Note | None, known: Iterable[Verifier], *, place: str, found: Found) -> None:
    """Find signatures that stand there twice, are by nobody who is known, or stood there when it was seen before."""
    seen = () if before is None or before.text != note.text else before.signatures
    names = {(key.name, key.id) for key in known} | {(one.name, one.id) for one in seen}
    if note.signatures[: len(seen)] != seen:
        found(place, f"has not the signatures that it had here before: {', '.join(one.name for one in seen)}")
    if len({(one.name, one.id) for one in note.signatures}) != len(note.signatures):
        found(place, "is signed twice by one key")
    for one in note.signatures:
        if (one.name, one.id) not in names:
            found(place, f"is signed by {one.name!r}, whom nobody here knows (log.witnesses names those who are asked)")


class Published:
    """The keys that were published, by what the log says of them."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def note(self, entry: Entry) -> None:
        """Take in what an entry says."""
        if entry.action in _KEYS:
            self._last |= {entry.subject: "", **entry.sha256}

    def check(self, archive: Archive, since: Since, *, found: Found) -> None:
        """Compare the documents of the keys with what was said of them."""
        shelf, there = archive.signers, set[str]()
        for key in archive.store.keys(f"{shelf.prefix}/"):
            name = key.removeprefix(f"{shelf.prefix}/").removesuffix(".json")
            there.add(name)
            if name not in self._last:
                for entry in since():
                    self.note(entry)
            if shelf.key(name) != key or name not in self._last:
                found(key, "was published, and no entry of the log says so: move it away unless you know whose it is")
                continue
            try:
                document, wanted = shelf.as_written(name), self._last[name]
            except DamagedDocument as error:
                found(key, str(error))
                continue
            if document is not None and wanted and sha256(shelf.dump(document).encode()) != wanted:
                found(key, "is not the key that was published: it was changed")
        for name in sorted(self._last.keys() - there):
            found(shelf.key(name), "is missing: the log says that it was published")


class Removed:
    """The tombstones of clips that expired or were forgotten, by what the log says of them."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def note(self, entry: Entry) -> None:
        """Take in what an entry says."""
        if entry.action in ACTIONS.values():
            self._told |= entry.sha256

    def check(self, archive: Archive, since: Since, *, erased: bool, found: Found) -> None:
        """Compare the tombstones with what was said of them; no clip is missing that one stands for.

        erased: entries of the log were, which may have vouched for some.
        """
        shelf, there = archive.tombstones, set[str]()
        begun = {stone_name(one) for removal in _begun(archive) for one in removal.tombstones}
        for name in shelf.names():
            there.add(name)
            if name not in self._told and name not in begun:
                for entry in since():
                    self.note(entry)
            key = shelf.key(name)
            try:
                document = shelf.as_written(name)
            except DamagedDocument as error:
                found(key, str(error))
                continue
            if name not in self._told:
                if name not in begun and not erased:
                    found(key, "says that clips were removed, and no entry of the log does: move it away and keep it")
            elif document is not None and sha256(shelf.dump(document).encode()) != self._told[name]:
                found(key, "is not the tombstone that was logged: it was changed")
        for name in sorted(self._told.keys() - there):
            found(shelf.key(name), "is missing: the log says that clips were removed, and nothing keeps them away now")


def _begun(archive: Archive) -> Iterator[Removal]:
    for name in archive.removals.names():
        with suppress(DamagedDocument):
            if (removal := archive.removals.get(name)) is not None:
                yield removal


def check_cases(
    archive: Archive, released: Iterable[str], since: Since, *, lists: Iterable[str] = (), found: Found
) -> None:
    """Find what lies in a case and was never released there; `released` are the keys of the clips that were.

    lists: where the lists of what was released lie, beside which their signatures and proofs do.
    """
    told, listed = {_stem(key) for key in released}, set(lists)
    waiting: set[str] | None = None
    for key in archive.store.keys("cases/"):
        path = PurePosixPath(key)
        if path.suffix in {".mp4", ".json"} and _stem(key) in told:
            continue
        if path.name in FILES:
            if str(path.with_name(LIST)) not in listed:
                listed |= {entry.subject for entry in since() if entry.action == LISTED}
            if str(path.with_name(LIST)) in listed:
                continue
        if waiting is None:  # what is just being handed over is logged after it lies there
            waiting = {_stem(one.record.key) for one in _handed_over(archive)}
            waiting |= {_stem(entry.subject) for entry in since() if entry.action == "delivered"}
        if path.suffix not in {".mp4", ".json"} or _stem(key) not in waiting:
            found(key, "lies in a case, and no entry of the log says that it was released: move it away and keep it")


def _stem(key: str) -> str:
    return str(PurePosixPath(key).with_suffix(""))


def _handed_over(archive: Archive) -> Iterator[Delivery]:
    for name in archive.prepared.names():
        try:
            waits = archive.prepared.get(name)
            known = archive.deliveries.get(name)
        except DamagedDocument:
            continue
        if waits is not None and known is not None:
            yield known
