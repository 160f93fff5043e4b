"""One of the two logs as it lies in the bucket: entries in batches, the tree in tiles, and the checkpoint over it.

What lies below log/open/ is what C2SP tlog-tiles wants a server to serve; entries with their salts lie apart from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipeline.errors import DamagedDocument
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Leaf, LogName
from pipeline.log.note import BadNote, Note
from pipeline.log.tiles import WIDTH, Tile, Tiles
from storage.archive import Archive, Batch
from storage.contract import MissingObject, ObjectStore

GROUP: Final = WIDTH
"""Entries that are packed into one object once they are all there; a batch never reaches over two groups."""


class Log:
    """What the bucket holds of one log. Whoever writes has a turn of the catalogue."""

    def __init__(self, archive: Archive, name: LogName) -> None:
        self.name, self._archive, self._store = name, archive, archive.store

    def __str__(self) -> str:
        return f"the {self.name} log in {self._store.url}"

    @property
    def store(self) -> ObjectStore:
        """Where it lies."""
        return self._store

    # Entries

    def names(self, first: int = 0) -> Iterator[str]:
        """Yield the names of the batches that begin at an index or later, in the order of their entries."""
        shelf = self._archive.entries
        after = shelf.key(self._name(first - 1)) if first else ""
        for key in self._store.keys(f"{shelf.prefix}/{self.name}/", after=after):
            if key.endswith(".json"):
                yield key[len(shelf.prefix) + 1 : -len(".json")]

    def batches(self) -> Iterator[Batch]:
        """Yield the entries from the first one on, none twice; raises DamagedDocument for what cannot be read."""
        end = 0
        for name in self.names():
            # What was packed lies there by itself too, until more was appended.
            if first_of(name) >= end and (batch := self._archive.entries.get(name)) is not None:
                yield batch
                end = batch.end

    def ahead(self, index: int) -> Iterator[Batch]:
        """Yield what is there from an index on: of who was killed before the catalogue knew, or of another one."""
        while (batch := self._from(index)) is not None:
            yield batch
            index = batch.end

    def _from(self, index: int) -> Batch | None:
        if (found := self._archive.entries.get(self._name(index))) is not None:
            return found
        # Entries lie by themselves until others follow their group: only then may those at `index` have been packed.
        # As many calls at every index: how many entries the kept log has is nobody's to know.
        group = index - index % GROUP
        if self._store.head(self._archive.entries.key(self._name(group + GROUP))) is None:
            return None
        packed = self._archive.entries.get(self._name(group))
        return None if packed is None or packed.end <= index else _cut(packed, index)

    def leaf(self, index: int) -> Leaf | None:
        """Return the leaf at an index, or None."""
        return next((leaf for _, leaf in self.leaves([index])), None)

    def leaves(self, indices: Iterable[int]) -> Iterator[tuple[int, Leaf]]:
        """Yield the leaves at these indices, which rise, with them; those that are not there are left out."""
        batch: Batch | None = None
        for index in indices:
            if batch is None or not batch.first <= index < batch.end:
                batch = next(self._holding(index), None)
            if batch is not None:
                yield index, batch.leaves[index - batch.first]

    def backwards(self, end: int) -> Iterator[tuple[int, Leaf]]:
        """Yield the leaves before an index, the last one first."""
        while end > 0:
            batch = next(self._holding(end - 1), None)
            if batch is None:
                return
            for index in range(end - 1, batch.first - 1, -1):
                yield index, batch.leaves[index - batch.first]
            end = batch.first

    def put(self, first: int, leaves: list[Leaf]) -> None:
        """Write entries from an index on, a batch for each group that they are in."""
        while leaves:
            count = GROUP - first % GROUP
            self._archive.entries.put(Batch(self.name, first, tuple(leaves[:count])))
            first, leaves = first + count, leaves[count:]

    def erase(self, index: int) -> None:
        """Remove the text and the salt of an entry wherever they lie; its hash stays."""
        for batch in list(self._holding(index)):
            at = index - batch.first
            leaves = (*batch.leaves[:at], Leaf(batch.leaves[at].hash, None, None), *batch.leaves[at + 1 :])
            self._archive.entries.put(Batch(self.name, batch.first, leaves))

    def pack(self, first: int, size: int) -> None:
        """Put each full group of entries from `first` to `size` into one object, and remove what lies there twice."""
        groups: dict[int, list[str]] = {}
        for name in self.names(max(0, first - first % GROUP - GROUP)):
            groups.setdefault(first_of(name) // GROUP, []).append(name)
        for group, names in groups.items():
            begin, end = group * GROUP, (group + 1) * GROUP
            if end > size or len(names) == 1:
                continue
            leaves = [leaf for _, leaf in self.leaves(range(begin, end))]
            if len(leaves) < GROUP:
                continue  # something is missing, as an audit tells
            self._archive.entries.put(Batch(self.name, begin, tuple(leaves)))
            for name in names[1:] if size > end else ():
                self._archive.entries.remove(name)

    def _holding(self, index: int) -> Iterator[Batch]:
        """Yield every batch that holds an entry: the packed one first."""
        shelf, group = self._archive.entries, index - index % GROUP
        if (first := shelf.get(self._name(group))) is not None and index < first.end:
            yield first
        if index == group:
            return
        if (own := shelf.get(self._name(index))) is not None:
            yield own
            return
        names = [one for one in shelf.names(f"{self.name}/{group:012d}"[:-3]) if group < first_of(one) < index]
        for name in reversed(names):
            if (found := shelf.get(name)) is not None and found.first <= index < found.end:
                yield found

    def _name(self, index: int) -> str:
        return f"{self.name}/{index:012d}"

    # The tree

    def key(self, path: str) -> str:
        """Return the key of a file of the tree, such as "checkpoint"."""
        return f"log/{self.name}/{path}"

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of a tile, of a full one that took the place of a partial one its beginning.

        Raises DamagedDocument where neither is there.
        """
        for one in (tile, Tile(tile.level, tile.number)):
            try:
                data = self._store.get(self.key(one.path))
            except MissingObject:
                continue
            # Of another length it is damaged, and not to be cut into shape.
            return data[: tile.width * 32] if len(data) == one.width * 32 else data
        raise DamagedDocument(
            f"{self.key(tile.path)} is missing in {self._store.url}: `lamplighter log audit` says more"
        )

    def tiles(self, size: int) -> Tiles:
        """Return the tree of a size."""
        return Tiles(size, self.tile)

    def put_tiles(self, new: Mapping[Tile, bytes]) -> None:
        """Write tiles; partial ones whose place is full now go."""
        for tile, data in new.items():
            self._store.put(self.key(tile.path), data)
        for tile in new:
            if tile.width == WIDTH:
                for key in list(self._store.keys(self.key(tile.partial_prefix))):
                    self._store.delete(key)

    def checkpoint(self) -> Note | None:
        """Return the checkpoint with its signatures, None before the first one. Raises DamagedDocument."""
        key = self.key("checkpoint")
        try:
            note = Note.parse(self._store.get(key))
            Checkpoint.parse(note.text)
        except MissingObject:
            return None
        except BadNote as error:
            raise DamagedDocument(f"{key} in {self._store.url} cannot be read: {error}") from error
        return note

    def put_checkpoint(self, note: Note) -> None:
        """Write the checkpoint."""
        self._store.put(self.key("checkpoint"), str(note).encode())


def first_of(name: str) -> int:
    """Return the index of the first entry of a batch by its name; one that is no number is after all others."""
    number = name.rpartition("/")[2]
    return int(number) if number.isascii() and number.isdigit() else 1 << 62


def _cut(batch: Batch, first: int) -> Batch:
    return Batch(batch.log, first, batch.leaves[first - batch.first :])
