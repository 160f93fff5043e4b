"""The log as the catalogue keeps it: a line goes in with what it tells of, in the same turn; the bucket comes first."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from pipeline.log.entry import SALT_BYTES, Entry, Leaf, LogName, hidden, log_of
from storage.archive import Archive, Batch
from storage.catalog import tables
from storage.catalog.carried import carry_over
from storage.catalog.database import upsert
from storage.log import Log


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of the log says, before it has its place.

    request, sha256: as an entry has them. own: it is on an owner's request for their own footage.
    """

    at_ns: int
    actor: str
    action: str
    subject: str
    detail: str = ""
    request: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    own: bool = False

    @property
    def log(self) -> LogName:
        """The log it goes to."""
        return log_of(self.action, own=self.own)

    @property
    def entry(self) -> Entry:
        """What it says."""
        return Entry(self.at_ns, self.actor, self.action, self.subject, self.detail, self.request, self.sha256)


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry in its place."""

    log: LogName
    index: int
    entry: Entry


def draw_salt(_log: LogName, _index: int) -> bytes:
    """Return 32 random bytes for the leaf at an index."""
    return secrets.token_bytes(SALT_BYTES)


def append(run: sa.Connection, archive: Archive, *lines: Line) -> list[Logged]:
    """Append lines, in the bucket before the turn that `run` is in ends; return them in their places."""
    logged = []
    for name in LogName:
        entries = [line.entry for line in lines if line.log is name]
        if entries:
            archive.appended.add(name)
            first = next_index(run, archive, name)
            put(run, Log(archive, name), first=first, entries=entries)
            logged += [Logged(name, first + at, entry) for at, entry in enumerate(entries)]
    return logged


def put(run: sa.Connection, log: Log, *, first: int, entries: Iterable[Entry]) -> None:
    """Write entries into a log from an index on, behind new salts."""
    leaves = []
    for index, entry in enumerate(entries, first):
        salt = draw_salt(log.name, index)
        leaves.append(Leaf(hidden(salt, entry.text).hex(), salt.hex(), entry.text))
    log.put(first, leaves)
    index_batch(run, Batch(log.name, first, tuple(leaves)))


def index_batch(run: sa.Connection, batch: Batch) -> None:
    """Write the rows of entries that are in the bucket."""
    upsert(run, tables.entries, list(rows(batch)))


def erased(name: LogName, index: int, leaf: Leaf) -> Batch:
    """Return an entry as it is indexed once its text and salt are gone."""
    return Batch(name, index, (Leaf(leaf.hash, None, None),))


def rows(batch: Batch) -> Iterator[dict[str, object]]:
    """Yield the rows of a batch; by its request an entry of the open log alone is found."""
    for seq, leaf in enumerate(batch.leaves, batch.first):
        entry = leaf.readable if batch.log is LogName.OPEN else None
        request = entry.request or None if entry is not None else None
        yield {"log": batch.log.value, "seq": seq, "leaf": leaf.hash, "request": request}


def next_index(run: sa.Connection, archive: Archive, name: LogName) -> int:
    """Return the index that the next entry of a log has; what the bucket alone has is learnt first."""
    last = run.scalar(sa.select(sa.func.max(tables.entries.c.seq)).where(tables.entries.c.log == name.value))
    index = 0 if last is None else int(last) + 1
    if not index:
        carry_over(archive, draw_salt)
    # A crash after the bucket and before the commit leaves what the catalogue has not seen.
    for batch in Log(archive, name).ahead(index):
        index_batch(run, batch)
        index = batch.end
    return index


def since(run: sa.Connection, archive: Archive, at_ns: int, *, log: LogName) -> Iterator[Entry]:
    """Yield the entries of a log from the last one back, until one that was written before an instant."""
    for _, leaf in Log(archive, log).backwards(next_index(run, archive, log)):
        entry = leaf.readable
        if entry is not None:
            if entry.at_ns < at_ns:
                return
            yield entry


def read_back(run: sa.Connection, archive: Archive) -> int:
    """Fill the rows of both logs from the bucket, after what an earlier version left is carried over; count them."""
    run.execute(tables.entries.delete())
    carry_over(archive, draw_salt)
    count = 0
    for name in LogName:
        for batch in Log(archive, name).batches():
            index_batch(run, batch)
            count += len(batch.leaves)
    return count
