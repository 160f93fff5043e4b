"""The operator's side of a released clip: the secret its names are made with, and the link back to its source."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from pipeline.case.released import Covered, Record
from pipeline.clip import check_id
from pipeline.cover import BARE, Cover

_SECRET = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CaseKey:
    """The secret of one request: 256 random bits from which the names of everything released for it are made.

    Without it no dictionary of cameras, times and hashes finds a name, and two cases have no name in common. It stays
    in the part of the bucket that no requester reads: never in a job, a record or the log.
    """

    request: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        check_id("request", self.request)
        if not _SECRET.fullmatch(self.secret):
            raise ValueError("a case key is 64 hexadecimal digits, got something else")

    def name(self, cut: str) -> str:
        """Return what the files of a cut are called, 32 hexadecimal digits: the same at every try."""
        return self._derived("name", cut)[:32]

    def token(self, owner: str, revision: int) -> str:
        """Return the secret of the link by which an owner answers after `revision` answers: 256 bits, hexadecimal.

        Each answer makes another one, so a link acts once; nothing has to be kept of it but its hash.
        """
        return self._derived("link", f"{owner}\0{revision}")

    def opt_out_token(self, owner: str) -> str:
        """Return the secret of the link by which an owner opts out of all requests: 256 bits, hexadecimal."""
        return self._derived("opt out", owner)

    def salt(self, cut: str) -> str:
        """Return the salt of the commitment to a cut's source, 64 hexadecimal digits."""
        return self._derived("salt", cut)

    def _derived(self, use: str, cut: str) -> str:
        message = f"{use}\0{self.request}\0{cut}".encode()
        return hmac.new(bytes.fromhex(self.secret), message, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """The operator's own account of one released clip: which clip it was made of, and all that was said to others.

    `clip` and `cut` are the ids of the work, `camera` is whose footage it is; `salt` opens the record's commitment to
    `source_sha256`. `word`: how the clip stood when it was released; `owner`: whose camera it was then. `formerly` are
    the keys under which an earlier version released the same file. `why`: why not all of its frames are the camera's
    own packets, for the operator alone: it may tell of what was not released. `cover`: what is covered of it. When it
    was released stands in its record. Raises ValueError for ids of the wrong form.
    """

    request: str
    cut: str
    clip: str
    source_sha256: str
    salt: str
    record: Record
    formerly: tuple[str, ...] = ()
    camera: str = ""
    word: str = ""
    owner: str = ""
    why: str = ""
    cover: Cover = BARE

    def __post_init__(self) -> None:
        for kind, value in (("request", self.request), ("cut", self.cut), ("clip", self.clip)):
            check_id(kind, value)
        if self.record.request != self.request:
            raise ValueError(f"the delivery is for request {self.request}, its record for {self.record.request}")


def kinds(cover: Cover) -> tuple[Covered, ...]:
    """Return what is covered, in the words that leave."""
    there = {
        Covered.PRIVATE: cover.private,
        Covered.ZONE: cover.zones,
        Covered.MOVING: cover.moving,
        Covered.SOUND: cover.muted,
    }
    return tuple(kind for kind, what in there.items() if what)
