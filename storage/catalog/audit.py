"""The audit log as the catalogue keeps it: a line goes in with what it tells of, in the same turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from storage.archive import Archive
from storage.catalog import tables
from storage.catalog.database import upsert
from storage.log import GENESIS, Entry


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of the log says, before it has its place in the chain."""

    at_ns: int
    actor: str
    action: str
    subject: str
    detail: str = ""


def append(run: sa.Connection, archive: Archive, line: Line) -> Entry:
    """Append a line, chained to the last, in the bucket before the turn that `run` is in ends."""
    seq, previous = _last(run, archive)
    entry = Entry(seq + 1, line.at_ns, line.actor, line.action, line.subject, line.detail, previous)
    archive.log.put(entry)
    upsert(run, tables.audit, [{"seq": entry.seq, "hash": entry.hash}])
    return entry


def since(run: sa.Connection, archive: Archive, at_ns: int) -> Iterator[Entry]:
    """Yield the entries from the last one back, until one that was written before an instant."""
    for seq in range(_last(run, archive)[0], 0, -1):
        entry = archive.log.get(f"{seq:012d}")
        if entry is None or entry.at_ns < at_ns:
            return
        yield entry


def _last(run: sa.Connection, archive: Archive) -> tuple[int, str]:
    """Return the number and the hash of the last entry."""
    last = run.execute(sa.select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(1)).first()
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    # A crash after the bucket and before the commit leaves a line the catalogue has not seen.
    while (ahead := archive.log.get(f"{seq + 1:012d}")) is not None:
        seq, previous = ahead.seq, ahead.hash
        upsert(run, tables.audit, [{"seq": seq, "hash": previous}])
    return seq, previous
