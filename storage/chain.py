"""The log of 0.2.0 and before: entries that each hold the hash of the one before. It is read, and written no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of that log: what was done to what, by whom, when, chained to the line before by its hash."""

    seq: int
    at_ns: int
    actor: str
    action: str
    subject: str
    detail: str
    previous: str

    @property
    def hash(self) -> str:
        """SHA-256 over everything the entry says, the hash of the entry before it included."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def verify(entries: Iterable[Entry]) -> tuple[int, str]:
    """Check entries in order against their chain; return how many there are and the last one's hash.

    Raises ValueError naming the first entry that is missing, moved or changed. What was done to the last entry, or cut
    off at the end, shows only to someone who kept the last hash elsewhere.
    """
    previous, count = GENESIS, 0
    for entry in entries:
        count += 1
        if entry.seq != count:
            raise ValueError(f"audit entry {count} is missing: found {entry.seq} in its place")
        if entry.previous != previous:
            raise ValueError(f"audit entry {entry.seq} does not follow entry {count - 1}: one of the two was changed")
        previous = entry.hash
    return count, previous
