"""What becomes of an error at a door: the exit code of a command, the HTTP status of a page, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.errors import (
    AuthorityUnavailable,
    ClipError,
    ConfigError,
    Conflict,
    DamagedDocument,
    LamplighterError,
    MachineError,
    MailRefused,
    MailUnavailable,
    NotAllowed,
    NotFound,
    RepeatedBug,
    RequestRefused,
    ScratchFull,
    StoreRefused,
    StoreUnavailable,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The exit code of a command, the HTTP status of a page, and what stands before the error's own text."""

    exit_code: int
    status: int
    prefix: str = ""


ANSWERS: Final[Mapping[type[LamplighterError], Answer]] = {
    ConfigError: Answer(2, 400),
    RequestRefused: Answer(2, 422, "refused: "),
    NotFound: Answer(2, 404),
    Conflict: Answer(2, 409),
    NotAllowed: Answer(2, 403),
    ClipError: Answer(1, 422, "set aside: "),
    StoreUnavailable: Answer(3, 503),
    StoreRefused: Answer(3, 502),
    MailUnavailable: Answer(3, 503),
    MailRefused: Answer(3, 502),
    AuthorityUnavailable: Answer(3, 503),
    DamagedDocument: Answer(1, 500),
    MachineError: Answer(4, 507),
    ScratchFull: Answer(4, 507),
    RepeatedBug: Answer(5, 500),
    LamplighterError: Answer(1, 500),  # raised as it is: something in the store is damaged
}

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "done",
    1: "something was set aside, dropped or found damaged, or a file left out that may hold footage",
    2: "refused before any work: a flag, file or request, or something that is not there, settled or not yours to do",
    3: "the store, the catalogue, the mail server or the time-stamp authority does not answer, or refuses",
    4: "this machine lacks room on a disk, open files or memory",
    5: "a bug of Lamplighter: what it cost is set aside with its traceback; please report it",
}
BUG: Final = 5
"""The exit code of a run in which a clip, or the run itself, met a bug."""


def answer_to(error: LamplighterError) -> Answer:
    """Return the answer to an error: that of its kind, or of the nearest kind above it."""
    return next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
