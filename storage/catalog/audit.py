"""The log as the catalogue keeps it: a line goes in with what it tells of, in the same turn; the bucket comes first."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from pipeline.log.entry import SALT_BYTES, Entry, Leaf, LogName, hidden, log_of, sha256
from storage.archive import Archive, Batch
from storage.catalog import proven, tables
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
            put(run, archive, name, first=first, entries=entries)
            logged += [Logged(name, first + at, entry) for at, entry in enumerate(entries)]
    if archive.remembered is not None:
        archive.remembered.told(key for line in lines for key in line.sha256)
    return logged


def put(run: sa.Connection, archive: Archive, name: LogName, *, first: int, entries: Iterable[Entry]) -> None:
    """Write entries into a log from an index on, behind new salts; noted before as what this machine writes."""
    leaves = []
    for index, entry in enumerate(entries, first):
        salt = draw_salt(name, index)
        leaves.append(Leaf(hidden(salt, entry.text).hex(), salt.hex(), entry.text))
    if archive.remembered is not None:
        archive.remembered.intend_entries(name, first, [leaf.hash for leaf in leaves])
    Log(archive, name).put(first, leaves)
    index_batch(run, Batch(name, first, tuple(leaves)))


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
    index = known = 0 if last is None else int(last) + 1
    if not index:
        carry_over(archive, draw_salt)
    found: list[proven.Place] = []
    # A crash after the bucket and before the commit leaves what the catalogue has not seen; so does a forger.
    for batch in Log(archive, name).ahead(index):
        index_batch(run, batch)
        found += _places(batch)
        index = batch.end
    return index + _name_strange(run, archive, name, found, known=known)


def _places(batch: Batch) -> Iterator[proven.Place]:
    return ((index, leaf.hash) for index, leaf in enumerate(batch.leaves, batch.first))


def _name_strange(
    run: sa.Connection, archive: Archive, name: LogName, found: Sequence[proven.Place], *, known: int
) -> int:
    """Say in the kept log which of the entries that were found there nothing proves; return by how many `name` grew."""
    count = 0
    for places in proven.strange(archive, name, found, known=known):
        digest = sha256("".join(leaf for _, leaf in places).encode())
        about = f"{name} {places[0][0]}-{places[-1][0]}"
        line = Line(*(time.time_ns(), "lamplighter", proven.TAKEN_IN, about, proven.TOLD), sha256={"entries": digest})
        archive.appended.add(LogName.KEPT)
        put(run, archive, LogName.KEPT, first=next_index(run, archive, LogName.KEPT), entries=[line.entry])
        count += name is LogName.KEPT
    return count


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
    table = tables.entries
    ends = {name: run.scalar(sa.select(sa.func.max(table.c.seq)).where(table.c.log == name.value)) for name in LogName}
    run.execute(table.delete())
    carry_over(archive, draw_salt)
    beyond: dict[LogName, list[proven.Place]] = {}
    for name, last in ends.items():
        beyond[name] = []
        for batch in Log(archive, name).batches():
            index_batch(run, batch)
            beyond[name] += [] if last is not None and batch.end <= last + 1 else _places(batch)
    for name, last in ends.items():
        known = 0 if last is None else last + 1
        _name_strange(run, archive, name, [one for one in beyond[name] if one[0] >= known], known=known)
    return run.scalar(sa.select(sa.func.count()).select_from(table)) or 0
