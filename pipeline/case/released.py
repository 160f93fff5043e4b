"""What the one who asked may read of a delivered clip. It knows no camera, no owner, no decision and no clip.

Every name in it is another in every case; what it tells is the footage itself, how it was made, and a commitment to
the source that the operator can open later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from pipeline.span import Span

_NAME = re.compile(r"[0-9a-f]{20,64}")


class Covered(StrEnum):
    """What was covered, as it is told with what leaves: no more than who watches it sees."""

    PRIVATE = "private zone"
    ZONE = "zone"
    MOVING = "what moves"
    SOUND = "sound"


CONSENT: Final = "consent"
"""The basis of what left on its owner's word, whenever and however they gave it."""
OWN: Final = "own footage"
"""The basis of what its owner asked for themselves."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How it is known when a clip was recorded: what its start was read from, and in which zone, "" for UTC.

    offset_s: seconds that the camera's clock was ahead, which were taken off; known: how that is known, in words.
    """

    source: str
    zone: str = ""
    offset_s: float = 0.0
    known: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One released clip: `name` is what its files are called, `key` where its bytes lie, `sha256` is their hash.

    `asked` is the time that was asked of the clip; `actual` goes from the first frame's instant to the last frame's
    end, inside it. method: "remux" are the camera's own packets, "transcode" is re-encoded, "smart" is some of both.
    native: the frames that are the camera's own, bit for bit, as ranges (first, stop) of their numbers from 0; an
    earlier version, which told none, copied all or none. source_commitment: see `commitment`; empty where an earlier
    version made none. tools: the programs' versions and the profile's hash.
    damaged: frames of the source, of those shown, in which its decoder had to conceal something; missing: frames of the
    asked time that are in the source and cannot be shown. similarity: of re-encoded pictures, that of the frame least
    like its source, 0 to 1 (see pipeline.media.cut); None where an earlier version did not compare. covered: what is
    covered of it, no more than who watches it sees; muted: the times of it, UTC, that are silence.
    timing: how its times are known. hole_before, hole_after: whether the recording itself lacks what goes before or
    follows. basis: CONSENT, OWN, or the kind of the legal order. Of earlier versions nothing is known of these four.

    Raises ValueError for a record that cannot be true.
    """

    request: str
    name: str
    key: str
    sha256: str
    size: int
    asked: Span
    actual: Span
    frames: int
    method: Literal["remux", "smart", "transcode"]
    source_commitment: str
    codec: str
    width: int
    height: int
    audio: str | None
    tools: str
    damaged: int = 0
    missing: int = 0
    similarity: float | None = None
    released_ns: int = 0
    disclosed: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    native: tuple[tuple[int, int], ...] = ()
    covered: tuple[Covered, ...] = ()
    muted: tuple[Span, ...] = ()
    timing: Timing | None = None
    hole_before: bool = False
    hole_after: bool = False
    basis: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a released clip is named by 20 to 64 hexadecimal digits, got {self.name!r}")
        if self.asked & self.actual != self.actual:
            raise ValueError(f"a cut lies inside the asked time, got {self.actual} for {self.asked}")
        if self.method not in {"remux", "smart", "transcode"}:
            raise ValueError(f"a cut is made by remux, smart or transcode, got {self.method!r}")
        object.__setattr__(self, "covered", tuple(map(Covered, self.covered)))
        object.__setattr__(self, "muted", tuple(self.muted))
        if self.covered and self.method != "transcode":
            raise ValueError(f"what is covered is re-encoded, got {', '.join(self.covered)} of a {self.method}")
        if bool(self.muted) != (Covered.SOUND in self.covered):
            raise ValueError(f"muted are times of sound that is covered, got {self.muted} and {self.covered}")
        if min(self.size, self.frames, self.width, self.height) < 1 or len(self.sha256) != 64 or not self.key:
            raise ValueError(f"a cut has bytes, frames, pixels, a SHA-256 and a key, got {self}")
        if min(self.damaged, self.missing) < 0 or not 0 <= (self.similarity or 0.0) <= 1:
            raise ValueError(f"damage is counted from 0 and a similarity is 0 to 1, got {self}")
        if self.method == "remux" and not self.native:
            object.__setattr__(self, "native", ((0, self.frames),))
        self._check_native()

    @property
    def native_frames(self) -> int:
        """How many frames are the camera's own, bit for bit."""
        return sum(stop - first for first, stop in self.native)

    def _check_native(self) -> None:
        edges = [edge for one in self.native for edge in one]
        rising = all(a < b for a, b in self.native) and edges == sorted(edges)
        inside = not edges or (edges[0] >= 0 and edges[-1] <= self.frames)
        wanted = {"remux": {self.frames}, "transcode": {0}}.get(self.method, range(1, self.frames))
        if not rising or not inside or self.native_frames not in wanted:
            told = f"{self.method} of {self.frames} frames, {self.native}"
            raise ValueError(f"native are all frames of a remux, some of a smart cut, none of a transcode, got {told}")


def commitment(salt: str, source_sha256: str) -> str:
    """Return SHA-256 over a salt and a source's SHA-256 (both hexadecimal): it binds the one and tells neither.

    Who is given both later can check that the released clip was made of that very source. A plain hash would be the
    same in every case and for everybody who holds the source.
    """
    return hashlib.sha256(bytes.fromhex(salt) + bytes.fromhex(source_sha256)).hexdigest()
