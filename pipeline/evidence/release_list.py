"""The list of what was released for one case, beside it: read by `sha256sum -c`, signed as `ssh-keygen` does it.

It is the smallest thing by which a case can be checked that nobody exported: two lines that `sha256sum` passes over,
and the SHA-256 of each file. Whether it is signed stands in it: who takes its signature away does not make it unsigned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.evidence.bag import PAYLOAD, listed, unlisted
from pipeline.span import iso, parse_iso

LIST: Final = PAYLOAD
"""What it is called in its case, as the list of the payload is in a package."""
SIGNATURE: Final = f"{LIST}.sig"
PROOF: Final = f"{LIST}.tlog-proof"
ENTRY: Final = f"{LIST}.tlog-entry"
FILES: Final = (LIST, SIGNATURE, ENTRY, PROOF)
LISTED: Final = "listed"
"""What the log calls it, and, below, the list whose SHA-256 such an entry vouches for."""
OF_LIST: Final = "list"
UNSIGNED: Final = "a signature: the machine that released it had no key for evidence"

_HEAD: Final = re.compile(
    r"# Released for request (?P<request>[A-Za-z0-9][A-Za-z0-9._-]{0,63})"
    r"(?:, the last of it at (?P<until>[0-9TZ:.-]+))?\. Check: sha256sum -c (?P<name>\S+)\n"
    r"# (?:Signed by (?P<key>SHA256:[A-Za-z0-9+/]{43})|Lacks (?P<lacks>[ -~]+))\n"
)


@dataclass(frozen=True, slots=True)
class ReleaseList:
    """What was released for a request: SHA-256 (hexadecimal) by file name, and which key signs it, "" for none.

    until_ns: the instant of the last release in it, 0 where an earlier version did not write one down.
    """

    request: str
    hashes: Mapping[str, str]
    until_ns: int = 0
    key: str = ""

    def written(self) -> bytes:
        """Return its bytes: of the same releases, and signed by the same key, the same."""
        until = f", the last of it at {iso(self.until_ns)}" if self.until_ns else ""
        signed = f"Signed by {self.key}" if self.key else f"Lacks {UNSIGNED}"
        head = f"# Released for request {self.request}{until}. Check: sha256sum -c {LIST}\n# {signed}\n"
        return head.encode() + listed(self.hashes)

    @classmethod
    def read(cls, data: bytes) -> ReleaseList:
        """Return what a list says. Raises ValueError for bytes that are not written so."""
        text = data.decode("ascii", "replace")
        found = _HEAD.match(text)
        if found is None:
            raise ValueError("wanted the list of what was released, got something else")
        hashes, wrong = unlisted(data[found.end() :])
        if wrong:
            raise ValueError(f"the list of what was released: {wrong[0]}")
        until_ns = parse_iso(found["until"]) if found["until"] else 0
        read = cls(found["request"], hashes, until_ns, found["key"] or "")
        if read.written() != data:
            raise ValueError("the list of what was released is not written as it is made")
        return read

    def by(self, key: str) -> ReleaseList:
        """Return the same list, signed by a key of that fingerprint, or by none."""
        return replace(self, key=key)


def list_key(request: str) -> str:
    """Return where the list of a request lies in the bucket."""
    return f"cases/{request}/{LIST}"
