"""What a check finds, of a package as of the logs: one place, and what is the matter with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: `place` is a path or an entry, "" for the whole package; `what` reads on from it."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place or 'the package'}: {self.what}"
