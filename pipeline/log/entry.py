"""What an entry of the log says, which of the two logs it goes to, and how it is hidden in its leaf."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pipeline.log.merkle import Hash, leaf_hash

SALT_BYTES: Final = 32


class LogName(StrEnum):
    """The two logs: `open`, whose checkpoints may leave, and `kept`.

    How much stands in the open one follows from nothing secret; how fast the other grows tells how many owners
    answered, and when.
    """

    OPEN = "open"
    KEPT = "kept"


OPEN_ACTIONS: Final = frozenset({
    *("request submitted", "request sent back", "request approved", "request sent", "request held", "request refused"),
    *("request no longer held", "request resolved", "delivered", "fetched", "usage told", "removed from case"),
    *("notice issued", "notice updated", "notice cancelled"),
    *("exported", "listed", "key made", "key rotated", "sealed", "open entry erased"),
})  # fmt: skip
"""What agencies and staff do to requests, what was released, and keys. Every other action, one that nobody here knows
too, goes to the kept log; so does all of a request that an owner makes for their own footage."""


def log_of(action: str, *, own: bool = False) -> LogName:
    """Return which log an action goes to; own: it is on an owner's request for their own footage."""
    return LogName.OPEN if action in OPEN_ACTIONS and not own else LogName.KEPT


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done to what, by whom, when. `request`: the case it belongs to, "" for none.

    sha256: what it vouches for, hexadecimal, by what it is called ("clip", "record", ...). Raises ValueError for a
    SHA-256 that cannot be.
    """

    at_ns: int
    actor: str
    action: str
    subject: str
    detail: str = ""
    request: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.sha256.items():
            if len(value) != 64 or set(value) - set("0123456789abcdef"):
                raise ValueError(f"the SHA-256 of the {name} has 64 hexadecimal digits, got {value!r}")

    @property
    def text(self) -> str:
        """Its one form, whose bytes are hashed: JSON in ASCII, sorted by name, without spaces."""
        said = {
            "action": self.action,
            "actor": self.actor,
            "at_ns": self.at_ns,
            "detail": self.detail,
            "request": self.request,
            "sha256": dict(self.sha256),
            "subject": self.subject,
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Read the text of an entry; what a later version says besides is passed over. Raises ValueError."""
        try:
            said = json.loads(text)
            return cls(
                *(int(said["at_ns"]), str(said["actor"]), str(said["action"]), str(said["subject"])),
                *(str(said["detail"]), str(said["request"]), {str(k): str(v) for k, v in said["sha256"].items()}),
            )
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"wanted an entry of the log, got something else: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf as it is kept: its hash, and what it hides: the salt (64 hexadecimal digits) and the entry's text.

    Both are None of an entry that was erased: the tree is whole, and nothing tells what stood there.
    """

    hash: str
    salt: str | None
    text: str | None

    @property
    def right(self) -> bool:
        """Whether its hash is that of its salt and text; of an erased one nobody can tell, and it counts as right."""
        if self.salt is None or self.text is None:
            return self.salt is None and self.text is None
        try:
            salt = bytes.fromhex(self.salt)  # passes over spaces and reads capitals
            return salt.hex() == self.salt and hidden(salt, self.text).hex() == self.hash
        except ValueError:
            return False

    @property
    def readable(self) -> Entry | None:
        """What it says, None where that is no entry (an audit names it) or was erased."""
        try:
            return self.entry
        except ValueError:
            return None

    @property
    def entry(self) -> Entry | None:
        """What it says, None once it is erased. Raises ValueError for a text that is no entry."""
        return None if self.text is None else Entry.parse(self.text)


def hidden(salt: bytes, text: str) -> Hash:
    """Return the hash of the leaf that hides a text behind 32 random bytes. Raises ValueError for another salt."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, got {len(salt)}")
    return leaf_hash(salt + text.encode())


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal, as entries say it."""
    return hashlib.sha256(data).hexdigest()
