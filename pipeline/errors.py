"""Errors sorted by what is done about them; anything else is a bug and keeps its traceback."""

import errno
from typing import Final

LACKING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
"""What an OSError says of a full or read-only disk and of too many open files: no clip is to blame for these."""


class LamplighterError(Exception):
    """An error the user can act on; its text says what was wanted, what was got and what to do."""


class ConfigError(LamplighterError):
    """A setting, a flag or an input document is wrong: mend it, no work has been done."""


class ClipError(LamplighterError):
    """One clip is bad: it is set aside with its station and reason, the run goes on.

    `station` is the step that refused it ("fetch", "probe", "decode", "cut", ...).
    """

    def __init__(self, station: str, reason: str) -> None:
        super().__init__(station, reason)
        self.station = station
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.station}: {self.reason}"


class StoreUnavailable(LamplighterError):  # noqa: N818 - named for the state of the store, as in the design
    """The store does not answer: back off, then pause."""

    moved = False
    """Whether part of what was sent arrived, and will not be sent again: whoever tries again gets on."""


class StoreRefused(LamplighterError):  # noqa: N818
    """The store answered no (credentials, policy): stop, trying again changes nothing."""


class MailUnavailable(LamplighterError):  # noqa: N818 - named for the state of the server, as that of the store is
    """The mail server does not answer, or asks to come back later: what waits stays in the outbox."""


class MailRefused(LamplighterError):  # noqa: N818
    """The mail server answered no to all there is (name and password, sender, encryption): mend the settings."""


class AuthorityUnavailable(LamplighterError):  # noqa: N818
    """The time-stamp authority gives no stamp, and a setting lets nothing leave without: try again later."""


class RequestRefused(LamplighterError):  # noqa: N818
    """A request breaks a published rule; `rule` names it."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(rule, reason)
        self.rule = rule
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}"


class NotFound(LamplighterError):  # noqa: N818
    """There is nothing under that name, or nothing that the one who asks may know of: the two look alike."""


class Conflict(LamplighterError):  # noqa: N818
    """It was settled otherwise before, or changed meanwhile: what stands holds, look at it and decide anew."""


class NotAllowed(LamplighterError):  # noqa: N818
    """Who asks may not do this, whatever they say: somebody in another role has to."""


class DamagedDocument(LamplighterError):  # noqa: N818
    """A document of the bucket cannot be read, is of a newer version, or speaks of another thing than its key does."""


class MachineError(LamplighterError):
    """Room on a disk, open files or memory are lacking for any clip: mend that, run again; what was done is kept."""


class ScratchFull(StoreUnavailable, MachineError):  # noqa: N818 - named for its state, as the store is
    """The disk for work in progress is full on this machine: wait as for a store, and free what it names."""


class RepeatedBug(LamplighterError):  # noqa: N818 - named for what happened, as the others are
    """Different clips met one bug, none done in between: stop. Its text ends with the traceback: report it."""
