"""What was found of a package: each fault with its place, what it lacks, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.evidence.manifest import Manifest
from pipeline.evidence.stamp import Stamp
from pipeline.finding import Finding
from pipeline.span import iso


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was found of one package.

    signed_by: the fingerprint of the key that signed it, "" for none. vouched: whoever asked named that key.
    lacks: what it could have and has not. remarks: what makes it no worse, and whoever judges it has to know.
    stamp: of an authority; stamp_vouched: whoever asked named its root.
    """

    faults: tuple[Finding, ...]
    lacks: tuple[str, ...] = ()
    remarks: tuple[Finding, ...] = ()
    manifest: Manifest | None = None
    signed_by: str = ""
    vouched: bool = False
    stamp: Stamp | None = None
    stamp_vouched: bool = False
    files: int = 0
    size: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it; who made it is another question."""
        return not self.faults

    def document(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        made = self.manifest
        return {
            "sound": self.sound,
            "signed_by": self.signed_by or None,
            "vouched": self.vouched,
            "request": made.request if made else None,
            "made": iso(made.made_ns) if made else None,
            "stamped": iso(self.stamp.at_ns) if self.stamp else None,
            "stamp_vouched": self.stamp_vouched,
            "files": self.files,
            "bytes": self.size,
            "faults": [{"place": one.place, "what": one.what} for one in self.faults],
            "lacks": list(self.lacks),
            "remarks": [{"place": one.place, "what": one.what} for one in self.remarks],
        }
